//! Products with a right factor that does not change: its columns are packed once, sixteen at a time, for a kernel that keeps a block of the result in
//! registers.
//!
//! A step multiplies the inputs from two sides and by nothing else, so nothing is packed inside of it: on AVX2 the products of small networks take a tenth
//! less time than a library's, those of large ones the same. The kernel is written for registers of 256 bits; where the processor has wider ones the library's
//! kernels use them, and are taken.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::scalar::Scalar;
use crate::simd::fused;

/// Columns of a panel.
const COLUMNS: usize = 16;

/// The right factor B, of shape (depth, columns).
#[derive(Debug, Clone)]
pub struct RightFactor<S> {
    depth: usize,
    columns: usize,
    /// Panels of sixteen columns, one after the other, each (depth, 16) and row-major; the last is filled up with zeros.
    panels: Vec<[S; COLUMNS]>,
    /// B row by row, where the library multiplies.
    rows: Vec<S>,
}

impl<S: Scalar> RightFactor<S> {
    pub fn new(depth: usize, columns: usize, entry: impl Fn(usize, usize) -> S) -> Self {
        if wide_registers() {
            let rows = (0..depth).flat_map(|k| (0..columns).map(move |j| (k, j))).map(|(k, j)| entry(k, j)).collect();
            return Self { depth, columns, panels: Vec::new(), rows };
        }
        let mut panels = vec![[S::default(); COLUMNS]; columns.div_ceil(COLUMNS) * depth];
        for j in 0..columns {
            for k in 0..depth {
                panels[j / COLUMNS * depth + k][j % COLUMNS] = entry(k, j);
            }
        }
        Self { depth, columns, panels, rows: Vec::new() }
    }

    /// C = A B or C += A B for A of shape (m, depth), both row-major.
    pub fn product(&self, a: &[S], c: &mut [S], accum: Accum) {
        let Self { depth, columns, panels, rows } = self;
        let add = accum == Accum::Add;
        if *depth == 0 && !add {
            c.fill(S::default());
        }
        if rows.is_empty() {
            fused!(FMA => multiply::<FMA, S>(a, (panels, *depth, *columns), c, add));
            return;
        }
        let count = a.len() / depth;
        let a = MatRef::from_row_major_slice(a, count, *depth);
        let b = MatRef::from_row_major_slice(rows, *depth, *columns);
        matmul(MatMut::from_row_major_slice_mut(c, count, *columns), accum, a, b, S::round(1.0), Par::Seq);
    }
}

/// Whether registers of 512 bits are there.
fn wide_registers() -> bool {
    #[cfg(target_arch = "x86_64")]
    let wide = std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let wide = false;
    wide
}

#[inline(always)]
fn multiply<const FMA: bool, S: Scalar>(
    a: &[S],
    (panels, depth, columns): (&[[S; COLUMNS]], usize, usize),
    c: &mut [S],
    add: bool,
) {
    if depth == 0 {
        return;
    }
    for (p, panel) in panels.chunks_exact(depth).enumerate() {
        let from = p * COLUMNS;
        let width = (columns - from).min(COLUMNS);
        let (mut a, mut c) = (a, &mut *c);
        loop {
            // Six rows of two registers are the accumulators; a row of float64 takes four.
            let rows = (a.len() / depth).min(S::TILE_ROWS);
            let (block, rest) = c.split_at_mut(rows * columns);
            let target = (block, columns, from, width, add);
            match rows {
                0 => break,
                1 => tile::<FMA, S, 1>(a, panel, target),
                2 => tile::<FMA, S, 2>(a, panel, target),
                3 => tile::<FMA, S, 3>(a, panel, target),
                4 => tile::<FMA, S, 4>(a, panel, target),
                5 => tile::<FMA, S, 5>(a, panel, target),
                _ => tile::<FMA, S, 6>(a, panel, target),
            }
            (a, c) = (&a[rows * depth..], rest);
        }
    }
}

/// A block of ROWS × `width` entries of C, from column `from` on, in rows of length `columns`.
#[inline(always)]
fn tile<const FMA: bool, S: Scalar, const ROWS: usize>(
    a: &[S],
    panel: &[[S; COLUMNS]],
    (c, columns, from, width, add): (&mut [S], usize, usize, usize, bool),
) {
    let depth = panel.len();
    let rows: [&[S]; ROWS] = std::array::from_fn(|i| &a[i * depth..(i + 1) * depth]);
    let mut sums = [[S::default(); COLUMNS]; ROWS];
    for (k, b) in panel.iter().enumerate() {
        for i in 0..ROWS {
            let x = rows[i][k];
            for j in 0..COLUMNS {
                sums[i][j] = x.mul_add::<FMA>(b[j], sums[i][j]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        let out = &mut c[i * columns + from..][..width];
        if add {
            out.iter_mut().zip(sums).for_each(|(c, &sum)| *c += sum);
        } else if let Ok(out) = <&mut [S; COLUMNS]>::try_from(&mut *out) {
            *out = *sums;
        } else {
            out.copy_from_slice(&sums[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [(usize, usize, usize); 6] =
        [(1, 1, 1), (6, 4, 16), (13, 7, 33), (50, 64, 100), (5, 100, 17), (3, 2, 48)];

    fn entry(i: usize, j: usize) -> f64 {
        ((i * 31 + j * 57 + i * j * 13) % 23) as f64 / 7.0 - 1.5
    }

    fn largest_error<S: Scalar>(spoil: f64) -> f64 {
        let mut worst = 0f64;
        for (m, depth, columns) in SHAPES {
            let a: Vec<S> = (0..m * depth).map(|e| S::round(entry(e / depth, e % depth))).collect();
            let b = RightFactor::new(depth, columns, |k, j| S::round(entry(k + 5, j) + spoil));
            let rows = (0..depth * columns).map(|e| S::round(entry(e / columns + 5, e % columns) + spoil)).collect();
            let library = RightFactor { depth, columns, panels: Vec::new(), rows };
            let exact = |i: usize, j: usize| (0..depth).map(|k| entry(i, k) * entry(k + 5, j)).sum::<f64>();
            for b in [&b, &library] {
                let mut c = vec![S::round(f64::NAN); m * columns];
                b.product(&a, &mut c, Accum::Replace);
                b.product(&a, &mut c, Accum::Add);
                for (e, &c) in c.iter().enumerate() {
                    worst = worst.max((c.into() - 2.0 * exact(e / columns, e % columns)).abs());
                }
            }
            let mut c = vec![S::default(); m * columns];
            if !b.panels.is_empty() {
                multiply::<false, S>(&a, (&b.panels, depth, columns), &mut c, false);
                let error = |(e, &c): (usize, &S)| (c.into() - exact(e / columns, e % columns)).abs();
                worst = c.iter().enumerate().map(error).fold(worst, f64::max);
            }
        }
        worst
    }

    #[test]
    fn products_of_every_shape_are_those_of_float64() {
        let (single, double) = (largest_error::<f32>(0.0), largest_error::<f64>(0.0));
        assert!(single < 2e-3 && double < 1e-11, "{single:e}, {double:e}");
        assert!(largest_error::<f32>(1e-3) > 1e-2, "another factor must be seen");
    }
}
