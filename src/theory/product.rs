//! Products of large matrices in pieces, with the bits of the whole.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::host::stop::{Stop, Stopped};

/// Multiplications of one piece: some 20 ms on two cores.
const PIECE: usize = 1 << 29;

/// Columns of a piece are a multiple of this, which the innermost loops of faer take at a time: so
/// every number is summed up as in the whole product.
const COLUMNS: usize = 16;

/// A product of two matrices, some columns at a time.
///
/// # Errors
/// [`Stopped`] on request.
pub(super) fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>, stop: &Stop) -> Result<Mat<f64>, Stopped> {
    in_pieces(left, right, columns(left), faer::get_global_parallelism(), stop)
}

/// [`product`] on this thread alone.
///
/// # Errors
/// [`Stopped`] on request.
pub(super) fn sequential_product(
    left: MatRef<'_, f64>,
    right: MatRef<'_, f64>,
    stop: &Stop,
) -> Result<Mat<f64>, Stopped> {
    in_pieces(left, right, columns(left), Par::Seq, stop)
}

/// Columns of one piece.
fn columns(left: MatRef<'_, f64>) -> usize {
    let most = PIECE / (left.nrows() * left.ncols()).max(1) / COLUMNS;
    most.max(1) * COLUMNS
}

/// The product by pieces of `columns`, the last of which takes up what is too little for one.
fn in_pieces(
    left: MatRef<'_, f64>,
    right: MatRef<'_, f64>,
    columns: usize,
    par: Par,
    stop: &Stop,
) -> Result<Mat<f64>, Stopped> {
    let all = right.ncols();
    let mut result = Mat::zeros(left.nrows(), all);
    let mut start = 0;
    while start < all {
        stop.check()?;
        let width = if all - start < columns + COLUMNS { all - start } else { columns };
        let piece = result.as_mut().subcols_mut(start, width);
        matmul(piece, Accum::Replace, left, right.subcols(start, width), 1.0, par);
        start += width;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_bits_of_the_whole() {
        let matrix = |rows: usize, columns: usize, scale: f64| {
            Mat::from_fn(rows, columns, |i, j| ((i * 7919 + j * 104_729) as f64 * scale).sin())
        };
        let mut apart = 0;
        for (m, k, n) in [(30, 30, 121), (100, 100, 33), (300, 70, 130), (500, 500, 97), (250, 784, 160)] {
            let (left, right) = (matrix(m, k, 0.618), matrix(k, n, 0.8));
            let (flat, tall) = (left.transpose().to_owned(), right.transpose().to_owned());
            for (left, right) in [(left.as_ref(), right.as_ref()), (flat.transpose(), tall.transpose())] {
                for par in [Par::Seq, faer::get_global_parallelism()] {
                    let pieces = |columns| in_pieces(left, right, columns, par, &Stop::default()).unwrap();
                    let whole = left * right;
                    for columns in [16, 32, 64] {
                        assert!(pieces(columns) == whole, "{m}×{k}×{n} by {columns}");
                    }
                    apart += usize::from(pieces(1) != whole);
                }
            }
        }
        assert!(apart > 0, "single columns are summed up in another order: the comparison sees bits");
    }

    #[test]
    fn a_request_stops_between_pieces() {
        let one = Mat::<f64>::identity(40, 40);
        let stop = Stop::at_check(2);
        assert_eq!(in_pieces(one.as_ref(), one.as_ref(), 16, Par::Seq, &stop).err(), Some(Stopped));
        assert!(in_pieces(one.as_ref(), one.as_ref(), 16, Par::Seq, &Stop::at_check(3)).is_ok());
    }
}
