//! The training loss per point and the squared error at test points along the ladder.

use super::Figure;
use super::ladder::Quantity;
use crate::results::Document;

pub fn figures(document: &Document) -> Vec<Figure> {
    let caption =
        "Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE. Lines: theories. Logarithmic where a decade is spanned.";
    let loss = Quantity::new("train_loss", "⟨L⟩/P").figure(document, "⟨L⟩/P: training loss per point", caption, None);
    let test =
        Quantity::new("test_mse", "test MSE").figure(document, "Mean squared error at the test points", caption, None);
    loss.into_iter().chain(test).collect()
}
