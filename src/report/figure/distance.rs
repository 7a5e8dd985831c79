//! D²(T), the squared distance of two class centroids, with its sampled maximum pointed out.

use super::Figure;
use super::ladder::Quantity;
use super::plot::Callout;
use crate::report::Document;
use crate::report::table::short;

pub fn figures(document: &Document) -> Vec<Figure> {
    quantities(document).iter().filter_map(|quantity| figure(document, quantity)).collect()
}

/// One for every pair of classes.
pub fn quantities(document: &Document) -> Vec<Quantity> {
    let names = document.temperatures.first().into_iter().flat_map(|at| at.observables.keys());
    names
        .filter(|name| name.starts_with("centroid_distance_sq"))
        .map(|name| Quantity::new(name, &name.replace("centroid_distance_sq", "D²")))
        .collect()
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
