//! R²_a(T), the mean squared distance of the points of a class to their centroid.

use super::Figure;
use super::ladder::Quantity;
use crate::report::Document;

const NAME: &str = "gyration_radius_sq";

pub fn figures(document: &Document) -> Vec<Figure> {
    let title = |quantity: &Quantity| format!("{}(T): squared radius of a class", quantity.symbol);
    let caption = "Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE. Lines: theories.";
    quantities(document).iter().filter_map(|q| q.figure(document, &title(q), caption, None)).collect()
}

/// One for every class: with two classes they are the elements of one array.
pub fn quantities(document: &Document) -> Vec<Quantity> {
    let Some(first) = document.temperatures.first() else { return Vec::new() };
    let mut quantities = Vec::new();
    for (name, report) in first.observables.iter().filter(|(name, _)| name.starts_with(NAME)) {
        let suffix = name.trim_start_matches(NAME);
        let elements = report.mean.values().len();
        for index in 0..elements {
            let label = match document.data.classes.get(index) {
                Some(class) if suffix.is_empty() => format!("[{class}]"),
                _ => suffix.to_string(),
            };
            quantities.push(Quantity { index, ..Quantity::new(name, &format!("R²{label}")) });
        }
    }
    quantities
}
