//! Q̄(T) = λ1⟨v²⟩, which rescales the prior of the predictor.

use super::Figure;
use super::ladder::Quantity;
use crate::results::Document;

pub fn figures(document: &Document) -> Vec<Figure> {
    let title = "Q\u{304}(T) = λ1⟨v²⟩: scale of the readout";
    let caption = "Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE. Lines: theories. At infinite width Q\u{304} = 1.";
    quantity(document).figure(document, title, caption, None).into_iter().collect()
}

pub fn quantity(document: &Document) -> Quantity {
    let lambda1 = document.config.network.lambda1.unwrap_or(1.0);
    Quantity { scale: lambda1, ..Quantity::new("readout_second_moment", "Q\u{304}") }
}
