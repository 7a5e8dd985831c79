//! Products of large matrices, between two of which work can be stopped.

use faer::{Mat, MatRef};

use crate::host::stop::{Stop, Stopped};

/// A product of two matrices.
///
/// # Errors
/// [`Stopped`] where that was requested before.
pub(super) fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>, stop: &Stop) -> Result<Mat<f64>, Stopped> {
    stop.check()?;
    Ok(left * right)
}
