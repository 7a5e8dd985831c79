//! How far first-layer weights move along the direction û of the labels, and how that goes with the
//! readout.

use super::Figure;
use super::ladder::Quantity;
use crate::results::Document;

pub fn figures(document: &Document) -> Vec<Figure> {
    let caption = "Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE. Lines: theories. û is the direction in input space along which the saddle \
                   point says that weights move; at infinite width they keep their prior.";
    let second = Quantity::new("weight_second_moment_along_u", "⟨(w·û)²⟩");
    let correlation = Quantity::new("readout_weight_correlation_norm", "⟨v w·û⟩");
    let figures = [
        second.figure(document, "⟨(w·û)²⟩(T): displacement of the weights", caption, None),
        correlation.figure(document, "⟨v w·û⟩(T): weights and readout together", caption, None),
    ];
    figures.into_iter().flatten().collect()
}
