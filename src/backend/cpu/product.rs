//! Products with a right factor that does not change: in float32 its columns are packed once, for a
//! kernel that keeps a block of the result in registers.
//!
//! A step multiplies the inputs from two sides and by nothing else, so nothing is packed inside of
//! it. On registers of 256 bits small products take about a tenth less time than the library's, and
//! large ones no more; wider ones are left to the library, whose kernels use them, and so is
//! float64.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::scalar::Scalar;
use crate::numerics::simd::has_fma;

/// Rows of a block of the result: with two registers of columns they are twelve accumulators of
/// sixteen registers.
const ROWS: usize = 6;

/// The right factor B, of shape (depth, columns).
#[derive(Debug, Clone)]
pub struct RightFactor<S> {
    depth: usize,
    columns: usize,
    /// B row by row.
    rows: Vec<S>,
    panels: Option<Panels>,
}

impl<S: Scalar> RightFactor<S> {
    pub fn new(depth: usize, columns: usize, entry: impl Fn(usize, usize) -> S) -> Self {
        let mut rows = Vec::with_capacity(depth * columns);
        for k in 0..depth {
            rows.extend((0..columns).map(|j| entry(k, j)));
        }
        let panels = S::singles(&rows).filter(|_| kernel_suits()).map(|rows| Panels::new(rows, depth, columns));
        Self { depth, columns, rows, panels }
    }

    /// C = A B or C += A B for A of shape (m, depth), both row-major.
    pub fn product(&self, a: &[S], c: &mut [S], accum: Accum) {
        let Self { depth, columns, rows, panels } = self;
        if *depth == 0 {
            if accum == Accum::Replace {
                c.fill(S::default());
            }
        } else if let (Some(panels), Some(a)) = (panels, S::singles(a))
            && let Some(c) = S::singles_mut(c)
        {
            Arch::new().dispatch(Multiply { a, panels, c, add: accum == Accum::Add });
        } else {
            let a = MatRef::from_row_major_slice(a, a.len() / depth, *depth);
            let b = MatRef::from_row_major_slice(rows, *depth, *columns);
            let c = MatMut::from_row_major_slice_mut(c, a.nrows(), *columns);
            matmul(c, accum, a, b, S::round(1.0), Par::Seq);
        }
    }
}

/// Whether the kernel is the best there is: with multiply-add, and with no registers wider than it
/// makes good use of.
fn kernel_suits() -> bool {
    #[cfg(target_arch = "x86_64")]
    let wider = std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let wider = false;
    has_fma() && !wider
}

/// B in panels of two registers of columns, each panel row by row, the last filled up with zeros.
#[derive(Debug, Clone)]
struct Panels {
    depth: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Panels {
    fn new(rows: &[f32], depth: usize, columns: usize) -> Self {
        let width = 2 * lanes();
        let mut values = vec![0.0; columns.div_ceil(width) * depth * width];
        for (k, row) in rows.chunks_exact(columns.max(1)).enumerate() {
            for (p, part) in row.chunks(width).enumerate() {
                values[(p * depth + k) * width..][..part.len()].copy_from_slice(part);
            }
        }
        Self { depth, columns, values }
    }
}

/// C = A B, or C += A B.
struct Multiply<'a> {
    a: &'a [f32],
    panels: &'a Panels,
    c: &'a mut [f32],
    add: bool,
}

/// Where a block of C stands: the length of its rows in memory, its first column and how many it
/// has.
#[derive(Clone, Copy)]
struct Place {
    stride: usize,
    from: usize,
    width: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) {
        let Self { a, panels: &Panels { depth, columns, ref values }, c, add } = self;
        let registers = V::as_simd_f32s(values).0.as_chunks::<2>().0;
        let (count, whole) = (a.len() / depth, 2 * V::F32_LANES);
        // Blocks as equal as can be: one of a single row would take as long as one of four.
        let blocks = count.div_ceil(ROWS);
        for (p, panel) in registers.chunks_exact(depth).enumerate() {
            let from = p * whole;
            let place = Place { stride: columns, from, width: (columns - from).min(whole) };
            for block in 0..blocks {
                let (first, end) = (block * count / blocks, (block + 1) * count / blocks);
                let (a, c) = (&a[first * depth..end * depth], &mut c[first * columns..end * columns]);
                if place.width > V::F32_LANES {
                    multiply_block::<V, 2>(simd, a, panel, c, place, add);
                } else {
                    multiply_block::<V, 1>(simd, a, panel, c, place, add);
                }
            }
        }
    }
}

#[inline(always)]
fn multiply_block<V: Simd, const REGISTERS: usize>(
    simd: V,
    a: &[f32],
    panel: &[[V::f32s; 2]],
    c: &mut [f32],
    place: Place,
    add: bool,
) {
    match a.len() / panel.len() {
        1 => multiply_tile::<V, 1, REGISTERS>(simd, a, panel, c, place, add),
        2 => multiply_tile::<V, 2, REGISTERS>(simd, a, panel, c, place, add),
        3 => multiply_tile::<V, 3, REGISTERS>(simd, a, panel, c, place, add),
        4 => multiply_tile::<V, 4, REGISTERS>(simd, a, panel, c, place, add),
        5 => multiply_tile::<V, 5, REGISTERS>(simd, a, panel, c, place, add),
        _ => multiply_tile::<V, ROWS, REGISTERS>(simd, a, panel, c, place, add),
    }
}

#[inline(always)]
fn multiply_tile<V: Simd, const ROWS: usize, const REGISTERS: usize>(
    simd: V,
    a: &[f32],
    panel: &[[V::f32s; 2]],
    c: &mut [f32],
    Place { stride, from, width }: Place,
    add: bool,
) {
    // The length is spelled out so that no bounds are checked inside.
    let depth = panel.len();
    let rows: [&[f32]; ROWS] = std::array::from_fn(|i| &a[i * depth..][..depth]);
    let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
    for (k, b) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let x = simd.splat_f32s(row[k]);
            for r in 0..REGISTERS {
                sums[r] = simd.mul_add_f32s(x, b[r], sums[r]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        let out = &mut c[i * stride + from..][..width];
        if width == REGISTERS * V::F32_LANES {
            for (out, &sum) in V::as_mut_simd_f32s(out).0.iter_mut().zip(sums) {
                *out = if add { simd.add_f32s(*out, sum) } else { sum };
            }
        } else {
            for (out, &sum) in out.iter_mut().zip(bytemuck::cast_slice::<_, f32>(sums)) {
                *out = if add { *out + sum } else { sum };
            }
        }
    }
}

/// Numbers in a register.
pub fn lanes() -> usize {
    struct Asked;
    impl WithSimd for Asked {
        type Output = usize;

        #[inline(always)]
        fn with_simd<V: Simd>(self, _: V) -> usize {
            V::F32_LANES
        }
    }
    Arch::new().dispatch(Asked)
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
            let library = RightFactor { panels: None, ..b.clone() };
            let exact = |i: usize, j: usize| (0..depth).map(|k| entry(i, k) * entry(k + 5, j)).sum::<f64>();
            for b in [&b, &library] {
                let mut c = vec![S::round(f64::NAN); m * columns];
                b.product(&a, &mut c, Accum::Replace);
                b.product(&a, &mut c, Accum::Add);
                for (e, &c) in c.iter().enumerate() {
                    worst = worst.max((c.into() - 2.0 * exact(e / columns, e % columns)).abs());
                }
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
