//! The Cholesky factor of 1 + c TᵀT, for a T that is the features or their transpose, and solves by
//! it, in float32 and in explicit registers.
//!
//! With U the factor, M = UᵀU, both parts are one operation: a block of rows of U, or of the
//! unknowns, is a sum over what is known,
//!
//! ```text
//! x_b = D_b⁻ᵀ (s_b − Σ_{k<b} U_kbᵀ x_k)      s_b = c T_bᵀT for U itself, the right side for U⁻ᵀB
//! ```
//!
//! so TᵀT is never stored, and half of it never calculated. D⁻ᵀ of the diagonal blocks is made
//! explicit, which turns their substitution into one more such sum.

use pulp::{Arch, Simd, WithSimd};

use super::product::lanes;

/// The factor of the last matrix, with room for the columns that are solved together.
#[derive(Debug, Clone)]
pub struct Cholesky {
    /// Rows and columns of Φ.
    units: usize,
    points: usize,
    /// Numbers in a row of a panel: two registers.
    width: usize,
    /// T in panels of columns, each (depth, width): zeros where there is no column.
    tall: Vec<f32>,
    /// U in panels of columns, each of as many rows as there are columns in all; the identity where
    /// M has ended.
    upper: Vec<f32>,
    /// D⁻¹, then D⁻ᵀ, of every diagonal block, row by row.
    inverses: Vec<f32>,
    /// A panel of right sides.
    columns: Vec<f32>,
}

impl Cholesky {
    /// Of the smaller of 1 + cΦΦᵀ and 1 + cΦᵀΦ for Φ of shape (units, points).
    pub fn new(units: usize, points: usize) -> Self {
        let (side, depth, width) = (units.min(points), units.max(points), 2 * lanes());
        let rows = side.next_multiple_of(width);
        Self {
            units,
            points,
            width,
            tall: vec![0.0; rows * depth],
            upper: vec![0.0; rows * rows],
            // Twice as many rows as a block has are at most as many as the numbers of two
            // registers.
            inverses: vec![0.0; rows * width],
            columns: vec![0.0; rows * width],
        }
    }

    /// Factorises; returns ½ ln det M, not a number if M is not positive.
    pub fn factorize(&mut self, features: &[f32], coupling: f64) -> f64 {
        let (side, depth) = (self.units.min(self.points), self.units.max(self.points));
        for (first, panel) in (0..side).step_by(self.width).zip(self.tall.chunks_exact_mut(depth * self.width)) {
            let part = Part { points: self.points, first, count: (side - first).min(self.width) };
            part.load(features, panel, self.width, self.units <= self.points);
        }
        Arch::new().dispatch(Factorize { of: self, coupling: coupling as f32 })
    }

    /// out = ΦA⁻¹ = M⁻¹Φ for the Φ that was factorised.
    pub fn solve(&mut self, features: &[f32], out: &mut [f32]) {
        Arch::new().dispatch(Substitute { by: self, features, out });
    }
}

/// Consecutive columns, or rows, of a matrix with rows of `points`.
#[derive(Clone, Copy)]
struct Part {
    points: usize,
    first: usize,
    count: usize,
}

impl Part {
    /// Into the columns of a panel: columns of the matrix or, `across`, its rows, four at a time.
    fn load(self, matrix: &[f32], panel: &mut [f32], width: usize, across: bool) {
        let Self { points, first, count } = self;
        if !across {
            for (row, source) in panel.chunks_exact_mut(width).zip(matrix.chunks_exact(points)) {
                row[..count].copy_from_slice(&source[first..first + count]);
            }
            return;
        }
        let source = |c: usize| &matrix[(first + c) * points..][..points];
        for c in (0..count).step_by(4) {
            if count - c >= 4 {
                let sources: [&[f32]; 4] = std::array::from_fn(|i| source(c + i));
                for (k, row) in panel.chunks_exact_mut(width).take(points).enumerate() {
                    row[c..c + 4].copy_from_slice(&sources.map(|source| source[k]));
                }
            } else {
                for c in c..count {
                    panel.chunks_exact_mut(width).zip(source(c)).for_each(|(row, &x)| row[c] = x);
                }
            }
        }
    }

    /// The way back.
    fn store(self, panel: &[f32], matrix: &mut [f32], width: usize, across: bool) {
        let Self { points, first, count } = self;
        if across {
            for (c, target) in matrix[first * points..].chunks_exact_mut(points).take(count).enumerate() {
                target.iter_mut().zip(panel.chunks_exact(width)).for_each(|(x, row)| *x = row[c]);
            }
        } else {
            for (row, target) in panel.chunks_exact(width).zip(matrix.chunks_exact_mut(points)) {
                target[first..first + count].copy_from_slice(&row[..count]);
            }
        }
    }
}

/// A row of a panel.
type Pair<V> = [<V as Simd>::f32s; 2];

/// ROWS rows of the first REGISTERS registers of a panel.
type Tile<V, const ROWS: usize, const REGISTERS: usize> = [[<V as Simd>::f32s; REGISTERS]; ROWS];

fn pairs<V: Simd>(values: &[f32]) -> &[Pair<V>] {
    V::as_simd_f32s(values).0.as_chunks().0
}

fn pairs_mut<V: Simd>(values: &mut [f32]) -> &mut [Pair<V>] {
    V::as_mut_simd_f32s(values).0.as_chunks_mut().0
}

#[inline(always)]
fn take<V: Simd, const ROWS: usize, const REGISTERS: usize>(rows: &[Pair<V>]) -> Tile<V, ROWS, REGISTERS> {
    std::array::from_fn(|i| std::array::from_fn(|r| rows[i][r]))
}

#[inline(always)]
fn put<V: Simd, const ROWS: usize, const REGISTERS: usize>(tile: &Tile<V, ROWS, REGISTERS>, rows: &mut [Pair<V>]) {
    for (row, registers) in rows.iter_mut().zip(tile) {
        row[..REGISTERS].copy_from_slice(registers);
    }
}

/// sums_i += Σ_k l_ki x_k, or −=, where row k of `left` begins at k·stride.
#[inline(always)]
fn accumulate<V: Simd, const ROWS: usize, const REGISTERS: usize, const MINUS: bool>(
    simd: V,
    left: &[f32],
    stride: usize,
    right: &[Pair<V>],
    sums: &mut Tile<V, ROWS, REGISTERS>,
) {
    // A copy stays in registers where the borrowed tile would be stored at every turn.
    let mut kept = *sums;
    for (left, x) in left.chunks(stride).zip(right) {
        let left = &left[..ROWS];
        for i in 0..ROWS {
            let factor = simd.splat_f32s(left[i]);
            for r in 0..REGISTERS {
                kept[i][r] = if MINUS {
                    simd.negate_mul_add_f32s(factor, x[r], kept[i][r])
                } else {
                    simd.mul_add_f32s(factor, x[r], kept[i][r])
                };
            }
        }
    }
    *sums = kept;
}

/// Leaves in `rows` the tile multiplied by the transpose of `left`, (ROWS, ROWS).
#[inline(always)]
fn multiply<V: Simd, const ROWS: usize, const REGISTERS: usize>(
    simd: V,
    left: &[f32],
    tile: &Tile<V, ROWS, REGISTERS>,
    rows: &mut [Pair<V>],
) {
    put::<V, ROWS, REGISTERS>(tile, rows);
    let mut product = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
    accumulate::<V, ROWS, REGISTERS, false>(simd, left, ROWS, rows, &mut product);
    put::<V, ROWS, REGISTERS>(&product, rows);
}

/// From 1 + `block`, rows at a stride: D⁻¹ and D⁻ᵀ, and ½ ln det DᵀD. Gauss's elimination beside
/// the identity; TWICE is twice ROWS.
#[inline(always)]
fn diagonal<V: Simd, const ROWS: usize, const TWICE: usize>(
    simd: V,
    block: &[f32],
    stride: usize,
    inverses: &mut [f32],
) -> f64 {
    let mut rows = [[0f32; TWICE]; ROWS];
    for (i, row) in rows.iter_mut().enumerate() {
        row[..ROWS].copy_from_slice(&block[i * stride..][..ROWS]);
        row[i] += 1.0;
        row[ROWS + i] = 1.0;
    }
    let mut determinant = 1f64;
    for i in 0..ROWS {
        let scale = 1.0 / rows[i][i].sqrt();
        determinant *= f64::from(scale);
        let (above, below) = rows.split_at_mut(i + 1);
        let (own, scale) = (&mut above[i], simd.splat_f32s(scale));
        V::as_mut_simd_f32s(own).0.iter_mut().for_each(|x| *x = simd.mul_f32s(*x, scale));
        for (row, &factor) in below.iter_mut().zip(&own[i + 1..]) {
            let factor = simd.splat_f32s(factor);
            for (x, &o) in V::as_mut_simd_f32s(row).0.iter_mut().zip(V::as_simd_f32s(own).0) {
                *x = simd.negate_mul_add_f32s(factor, o, *x);
            }
        }
    }
    // The right halves are now D⁻ᵀ.
    for i in 0..ROWS {
        for k in 0..ROWS {
            inverses[k * ROWS + i] = rows[i][ROWS + k];
            inverses[(ROWS + i) * ROWS + k] = rows[i][ROWS + k];
        }
    }
    -determinant.ln()
}

struct Factorize<'a> {
    of: &'a mut Cholesky,
    coupling: f32,
}

impl WithSimd for Factorize<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) -> f64 {
        if V::F32_LANES >= 16 { self.blocks::<V, 8, 16>(simd) } else { self.blocks::<V, 4, 8>(simd) }
    }
}

impl Factorize<'_> {
    /// Panel by panel, so that a panel of T and one of U stay in the first cache.
    #[inline(always)]
    fn blocks<V: Simd, const ROWS: usize, const TWICE: usize>(mut self, simd: V) -> f64 {
        let (side, width) = (self.of.units.min(self.of.points), self.of.width);
        let mut half_log_determinant = 0.0;
        for from in (0..side).step_by(width) {
            for first in (0..(from + width).min(side)).step_by(ROWS) {
                half_log_determinant += if side - from > V::F32_LANES {
                    self.block::<V, ROWS, TWICE, 2>(simd, from, first)
                } else {
                    self.block::<V, ROWS, TWICE, 1>(simd, from, first)
                };
            }
        }
        half_log_determinant
    }

    /// Rows from `first` on of U in the panel of columns from `from` on; what they add to ½ ln det
    /// M.
    #[inline(always)]
    fn block<V: Simd, const ROWS: usize, const TWICE: usize, const REGISTERS: usize>(
        &mut self,
        simd: V,
        from: usize,
        first: usize,
    ) -> f64 {
        let Cholesky { units, points, width, tall, upper, inverses, .. } = &mut *self.of;
        let (width, depth) = (*width, (*units).max(*points));
        let rows = (*units).min(*points).next_multiple_of(width);
        // Column `first` is number `place` of the panel from `home` on.
        let (home, place) = (first - first % width, first % width);
        let mut tile = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
        let right = pairs::<V>(&tall[from * depth..][..width * depth]);
        let left = &tall[home * depth..][place..width * depth];
        accumulate::<V, ROWS, REGISTERS, false>(simd, left, width, right, &mut tile);
        let coupling = simd.splat_f32s(self.coupling);
        tile.as_flattened_mut().iter_mut().for_each(|x| *x = simd.mul_f32s(*x, coupling));

        let (before, panel) = upper.split_at_mut(from * rows);
        let (known, rest) = panel.split_at_mut(first * width);
        if first > 0 {
            let left = if home == from { &known[place..] } else { &before[home * rows + place..] };
            accumulate::<V, ROWS, REGISTERS, true>(simd, left, width, pairs::<V>(known), &mut tile);
        }
        let own = &mut rest[..ROWS * width];
        let inverses = &mut inverses[first * TWICE..][..ROWS * TWICE];
        let mut half_log_determinant = 0.0;
        if home == from {
            put::<V, ROWS, REGISTERS>(&tile, pairs_mut::<V>(own));
            half_log_determinant = diagonal::<V, ROWS, TWICE>(simd, &own[place..], width, inverses);
        }
        multiply::<V, ROWS, REGISTERS>(simd, &inverses[..ROWS * ROWS], &tile, pairs_mut::<V>(own));
        half_log_determinant
    }
}

struct Substitute<'a> {
    by: &'a mut Cholesky,
    features: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Substitute<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) {
        let Self { by: Cholesky { units, points, width, upper, inverses, columns, .. }, features, out } = self;
        let (side, depth, width, across) = ((*units).min(*points), (*units).max(*points), *width, units > points);
        let factor = Factor { side, width, upper, inverses };
        for first in (0..depth).step_by(width) {
            let part = Part { points: *points, first, count: (depth - first).min(width) };
            part.load(features, columns, width, across);
            let unknowns = pairs_mut::<V>(columns);
            match (V::F32_LANES >= 16, part.count > V::F32_LANES) {
                (true, true) => factor.substitute::<V, 8, 2>(simd, unknowns),
                (true, false) => factor.substitute::<V, 8, 1>(simd, unknowns),
                (false, true) => factor.substitute::<V, 4, 2>(simd, unknowns),
                (false, false) => factor.substitute::<V, 4, 1>(simd, unknowns),
            }
            part.store(columns, out, width, across);
        }
    }
}

struct Factor<'a> {
    side: usize,
    width: usize,
    upper: &'a [f32],
    inverses: &'a [f32],
}

impl Factor<'_> {
    /// x ← U⁻¹U⁻ᵀx.
    #[inline(always)]
    fn substitute<V: Simd, const ROWS: usize, const REGISTERS: usize>(&self, simd: V, unknowns: &mut [Pair<V>]) {
        let Self { side, width, upper, inverses } = *self;
        let (rows, square) = (side.next_multiple_of(width), ROWS * ROWS);
        let inverses = |first: usize| &inverses[2 * first * ROWS..][..2 * square];
        for first in (0..side).step_by(ROWS) {
            let (known, rest) = unknowns.split_at_mut(first);
            let own = &mut rest[..ROWS];
            let mut tile = take::<V, ROWS, REGISTERS>(own);
            let (home, place) = (first - first % width, first % width);
            accumulate::<V, ROWS, REGISTERS, true>(simd, &upper[home * rows + place..], width, known, &mut tile);
            multiply::<V, ROWS, REGISTERS>(simd, &inverses(first)[..square], &tile, own);
        }
        for first in (0..side).step_by(ROWS).rev() {
            let (rest, known) = unknowns[..side.next_multiple_of(ROWS)].split_at_mut(first + ROWS);
            let mut known: &[Pair<V>] = known;
            let own = &mut rest[first..];
            let mut tile = take::<V, ROWS, REGISTERS>(own);
            let mut column = first + ROWS;
            while !known.is_empty() {
                // As far as the panel goes.
                let (home, place) = (column - column % width, column % width);
                let (now, later) = known.split_at(known.len().min(width - place));
                let left = &upper[home * rows + first * width..][..ROWS * width];
                let left: [&[f32]; ROWS] = std::array::from_fn(|i| &left[i * width + place..][..now.len()]);
                let mut kept = tile;
                for (k, x) in now.iter().enumerate() {
                    for i in 0..ROWS {
                        let factor = simd.splat_f32s(left[i][k]);
                        for r in 0..REGISTERS {
                            kept[i][r] = simd.negate_mul_add_f32s(factor, x[r], kept[i][r]);
                        }
                    }
                }
                tile = kept;
                column += now.len();
                known = later;
            }
            multiply::<V, ROWS, REGISTERS>(simd, &inverses(first)[square..], &tile, own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUPLING: f64 = 0.3;

    fn entry(i: usize, j: usize) -> f32 {
        ((i * 31 + j * 57 + i * j * 13) % 23) as f32 / 11.5 - 1.0
    }

    /// Largest |M X − Φ| for X = M⁻¹Φ, and the error of ½ ln det M, in float64; solved for a Φ with
    /// one entry spoiled by as much as said.
    fn errors(units: usize, points: usize, spoil: f32) -> (f64, f64) {
        let phi: Vec<f32> = (0..units * points).map(|e| entry(e / points, e % points)).collect();
        let mut spoiled = phi.clone();
        spoiled[units * points / 2] += spoil;
        let mut solver = Cholesky::new(units, points);
        let mut x = vec![f32::NAN; units * points];
        // Twice, as a step does: nothing of the first may be left in the second.
        for features in [vec![0.5; units * points], spoiled] {
            solver.factorize(&features, COUPLING);
            solver.solve(&features, &mut x);
        }
        let half_log_determinant = solver.factorize(&phi, COUPLING);
        let m = faer::Mat::from_fn(units, units, |i, j| {
            let sum: f64 = (0..points).map(|k| f64::from(phi[i * points + k]) * f64::from(phi[j * points + k])).sum();
            COUPLING * sum + f64::from(u8::from(i == j))
        });
        let mut worst = 0f64;
        for i in 0..units {
            for k in 0..points {
                let image: f64 = (0..units).map(|j| m[(i, j)] * f64::from(x[j * points + k])).sum();
                let error = (image - f64::from(phi[i * points + k])).abs();
                worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
            }
        }
        let exact: f64 =
            m.llt(faer::Side::Lower).map_or(f64::NAN, |llt| (0..units).map(|i| llt.L()[(i, i)].ln()).sum());
        (worst, (half_log_determinant - exact).abs())
    }

    #[test]
    fn features_of_every_shape_are_solved_and_their_determinant_known() {
        for (units, points) in
            [(1, 1), (1, 5), (5, 1), (7, 16), (16, 7), (13, 13), (33, 40), (40, 33), (50, 100), (100, 50), (65, 65)]
        {
            let (residual, determinant) = errors(units, points, 0.0);
            assert!(residual < 2e-4, "{units} × {points}: M X − Φ is {residual:e}");
            assert!(determinant < 1e-5 * points as f64, "{units} × {points}: ½ ln det M is off by {determinant:e}");
        }
        assert!(errors(13, 20, 1e-2).0 > 2e-3, "another Φ must be seen");
    }

    #[test]
    fn a_matrix_that_is_not_positive_has_no_determinant() {
        let mut solver = Cholesky::new(3, 4);
        assert!(solver.factorize(&[1.0; 12], -1.0).is_nan());
        assert!(solver.factorize(&[f32::NAN; 12], 1.0).is_nan());
        assert!(solver.factorize(&[1.0; 12], 1.0).is_finite(), "and nothing is left of it");
    }
}
