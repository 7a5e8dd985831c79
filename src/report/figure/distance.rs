//! D²(T), the squared distance of two class centroids, with its sampled maximum pointed out.

use super::Figure;
use super::ladder::Quantity;
use super::plot::Callout;
use crate::results::{Document, short};

pub fn figures(document: &Document) -> Vec<Figure> {
    let train = quantities(document);
    let test = of_pairs(document, "centroid_distance_sq_test", "D² test");
    train.iter().chain(&test).filter_map(|quantity| figure(document, quantity)).collect()
}

/// One for every pair of classes.
pub fn quantities(document: &Document) -> Vec<Quantity> {
    of_pairs(document, "centroid_distance_sq", "D²")
}

/// Those called `name`, whatever pair of classes stands behind it in brackets.
fn of_pairs(document: &Document, name: &str, symbol: &str) -> Vec<Quantity> {
    let names = document.temperatures.first().into_iter().flat_map(|at| at.observables.keys());
    let of_name = |full: &String| {
        let pair = full.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('['))?;
        Some(Quantity::new(full, &format!("{symbol}{pair}")))
    };
    names.filter_map(of_name).collect()
}

fn figure(document: &Document, quantity: &Quantity) -> Option<Figure> {
    let found = document.signatures.get(&quantity.observable.replace("distance_sq", "distance_maximum"));
    let callout = found.filter(|_| document.temperatures.len() > 2).map(|found| Callout {
        x: found.temperature,
        y: found.value,
        text: format!("largest at T = {}", short(found.temperature)),
    });
    let mut caption = "Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE. Lines: theories at the temperatures of the ladder, joined; bands ± 2 \
                       Monte Carlo errors where a theory has them. Above the nngp line features are learnt."
        .to_string();
    if let Some(confidence) = found.filter(|found| found.interior).and_then(|found| found.confidence) {
        caption += &format!(" The maximum lies inside the ladder with confidence {:.1} %.", 100.0 * confidence);
    }
    let title = format!("{}(T): squared distance of the class centroids", quantity.symbol);
    quantity.figure(document, &title, &caption, callout)
}
