//! Decompositions whose bits do not depend on the number of threads: the basis of the inputs names
//! the noise of every chain, and chains do not forget a last digit.
//!
//! faer splits its work into as many parts as there are threads, and sums and signs follow the
//! parts. Here there are as many as the size asks for, whatever runs them.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::cholesky::llt::inverse::{inverse, inverse_scratch};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{ColRef, Mat, MatRef, Par};

use super::simd::vectorize;

/// Entries below which work is not split.
const SMALL: usize = 1 << 20;

/// Parts of larger work.
const PARTS: usize = 16;

fn parts(rows: usize, columns: usize) -> Par {
    if rows * columns < SMALL { Par::Seq } else { Par::rayon(PARTS) }
}

/// X = U diag(s) Vᵀ, s falling: (m, k), (k) and (n, k) with k the lesser of m and n.
pub(crate) struct Svd {
    pub u: Mat<f64>,
    pub s: Vec<f64>,
    pub v: Mat<f64>,
}

/// The singular value decomposition of an (m, n) matrix; `None` where it does not converge.
pub(crate) fn singular_values(x: MatRef<'_, f64>) -> Option<Svd> {
    let (m, n) = x.shape();
    let (k, par) = (m.min(n), parts(m, n));
    let (mut u, mut v, mut s) = (Mat::zeros(m, k), Mat::zeros(n, k), Diag::zeros(k));
    let thin = ComputeSvdVectors::Thin;
    let mut memory = MemBuffer::new(svd_scratch::<f64>(m, n, thin, thin, par, Default::default()));
    let stack = MemStack::new(&mut memory);
    svd(x, s.as_mut(), Some(u.as_mut()), Some(v.as_mut()), par, stack, Default::default()).ok()?;
    Some(Svd { u, s: s.column_vector().iter().copied().collect(), v })
}

/// Eigenvalues, rising, and eigenvectors, by columns, of a symmetric matrix of which the lower half
/// counts; `None` where they do not converge.
pub(crate) fn eigen(matrix: MatRef<'_, f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = matrix.nrows();
    let par = parts(n, n);
    let (mut u, mut s) = (Mat::zeros(n, n), Diag::zeros(n));
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, par, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(matrix, s.as_mut(), Some(u.as_mut()), par, stack, Default::default()).ok()?;
    Some((s.column_vector().iter().copied().collect(), u))
}

/// The inverse of a positive definite matrix; `None` where it is not.
pub(crate) fn inverse_of_positive(matrix: MatRef<'_, f64>) -> Option<Mat<f64>> {
    let n = matrix.nrows();
    let par = parts(n, n);
    let mut factor = matrix.to_owned();
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, par, Default::default()));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(factor.as_mut(), Default::default(), par, stack, Default::default()).ok()?;
    let mut result = Mat::zeros(n, n);
    let mut memory = MemBuffer::new(inverse_scratch::<f64>(n, par));
    inverse(result.as_mut(), factor.as_ref(), par, MemStack::new(&mut memory));
    for j in 0..n {
        for i in 0..j {
            result[(i, j)] = result[(j, i)];
        }
    }
    Some(result)
}

/// xᵀy.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    sum_of([x, y], |[x, y]| x * y)
}

/// Σ_i f(a_i, b_i, …) over vectors of equal length in eight partial sums: a fixed order that
/// vectorises.
pub(crate) fn sum_of<const K: usize>(vectors: [&[f64]; K], f: impl Fn([f64; K]) -> f64) -> f64 {
    const LANES: usize = 8;
    vectorize!({
        let split = vectors.map(|vector| vector.as_chunks::<LANES>());
        let length = split.iter().map(|(chunks, _)| chunks.len()).min().unwrap_or(0);
        let mut sums = [0.0; LANES];
        for c in 0..length {
            let chunk: [[f64; LANES]; K] = std::array::from_fn(|k| split[k].0[c]);
            for l in 0..LANES {
                sums[l] += f(std::array::from_fn(|k| chunk[k][l]));
            }
        }
        let rest = split.iter().map(|(_, rest)| rest.len()).min().unwrap_or(0);
        let tail: f64 = (0..rest).map(|l| f(std::array::from_fn(|k| split[k].1[l]))).sum();
        sums.iter().sum::<f64>() + tail
    })
}

/// The product of a matrix and a vector.
pub(crate) fn multiply(matrix: MatRef<'_, f64>, x: &[f64]) -> Vec<f64> {
    (matrix * ColRef::from_slice(x)).iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    fn random(rows: usize, columns: usize) -> Mat<f64> {
        let mut noise = vec![0.0; rows * columns];
        let address = Address { seed: 3, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Unit };
        address.normals(&mut noise);
        Mat::from_fn(rows, columns, |i, j| noise[i * columns + j])
    }

    fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    /// Sizes on either side of where work is split.
    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        for (rows, columns) in [(120, 784), (400, 300), (1100, 1000)] {
            let x = random(rows, columns);
            let gram = Mat::from_fn(columns.min(400), columns.min(400), |i, j| {
                let product: f64 = x.col(i).iter().zip(x.col(j).iter()).map(|(a, b)| a * b).sum();
                product / rows as f64 + if i == j { 1.0 } else { 0.0 }
            });
            let all = |threads| {
                with_threads(threads, || {
                    let svd = singular_values(x.as_ref()).unwrap();
                    (svd.u, svd.s, svd.v, eigen(gram.as_ref()).unwrap(), inverse_of_positive(gram.as_ref()).unwrap())
                })
            };
            assert!(all(1) == all(3), "{rows}×{columns}");
        }
        let large = Mat::from_fn(1030, 1030, |i, j| if i == j { 3.0 } else { 1.0 / (1 + i + j) as f64 });
        let both = |threads| {
            with_threads(threads, || (eigen(large.as_ref()).unwrap(), inverse_of_positive(large.as_ref()).unwrap()))
        };
        assert!(both(1) == both(3));
        // Control: as many parts as threads give another basis. Where this fails, faer has no need
        // of this module any more.
        let x = random(120, 784);
        let basis = |threads| {
            with_threads(threads, || faer::linalg::solvers::Svd::new_thin(x.as_ref()).unwrap().V().to_owned())
        };
        assert!(basis(1) != basis(3));
    }

    #[test]
    fn decompositions_give_back_what_they_are_of() {
        let x = random(30, 50);
        let Svd { u, s, v } = singular_values(x.as_ref()).unwrap();
        let back = Mat::from_fn(30, 30, |i, j| u[(i, j)] * s[j]) * v.transpose();
        assert!((&back - &x).norm_l2() < 1e-12 && s.is_sorted_by(|a, b| a >= b));
        let gram = &x * x.transpose();
        let (values, vectors) = eigen(gram.as_ref()).unwrap();
        let back = Mat::from_fn(30, 30, |i, j| vectors[(i, j)] * values[j]) * vectors.transpose();
        assert!((&back - &gram).norm_l2() < 1e-11 && values.is_sorted());
        let one = inverse_of_positive(gram.as_ref()).unwrap() * &gram;
        assert!((one - Mat::<f64>::identity(30, 30)).norm_l2() < 1e-9);
        // Control: of rank 30 in 50 dimensions.
        assert_eq!(inverse_of_positive((x.transpose() * &x - Mat::<f64>::identity(50, 50)).as_ref()), None);
    }
}
