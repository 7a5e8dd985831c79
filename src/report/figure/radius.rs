//! R²_a(T), the mean squared distance of the points of a class to their centroid.

use super::Figure;
use super::ladder::Quantity;
use crate::results::Document;

pub fn figures(document: &Document) -> Vec<Figure> {
    let title = |quantity: &Quantity| format!("{}(T): squared radius of a class", quantity.symbol);
    let caption = "Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE. Lines: theories.";
    let all = [quantities(document), of_classes(document, "gyration_radius_sq_test", "R² test")].concat();
    all.iter().filter_map(|q| q.figure(document, &title(q), caption, None)).collect()
}

/// One for every class: with two classes they are the elements of one array.
pub fn quantities(document: &Document) -> Vec<Quantity> {
    of_classes(document, "gyration_radius_sq", "R²")
}

fn of_classes(document: &Document, name: &str, symbol: &str) -> Vec<Quantity> {
    let Some(first) = document.temperatures.first() else { return Vec::new() };
    let mut quantities = Vec::new();
    for (full, report) in &first.observables {
        let Some(suffix) = full.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('[')) else {
            continue;
        };
        let elements = report.mean.values().len();
        for index in 0..elements {
            let label = match document.data.classes.get(index) {
                Some(class) if suffix.is_empty() => format!("[{class}]"),
                _ => suffix.to_string(),
            };
            quantities.push(Quantity { index, ..Quantity::new(full, &format!("{symbol}{label}")) });
        }
    }
    quantities
}
