//! Which random numbers of the data live at which address of [`crate::numerics::noise`].
//!
//! All carry [`Purpose::Data`]. The `trajectory` word is the [`Stream`], the `step` word the
//! [`Part`], and the `chain` word counts rows: the point, or the hidden unit of a teacher. So point
//! i is the same whatever P is, and training and test draws never meet. What is drawn from an
//! address is up to `rand` and `rand_distr`, whose values are stable within a minor version.

use ndarray::Array1;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;

use crate::data::Order;
use crate::numerics::noise::{Address, PhiloxRng, Purpose};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stream {
    /// A shuffle.
    Shuffle = 0,
    /// Coordinates of a teacher's inputs.
    Inputs = 1,
    /// Noise on a teacher's labels, and the labels of `teacher:random`.
    Labels = 2,
    /// First-layer weights of a teacher: β, or the rows a_i.
    TeacherWeights = 3,
    /// Readout b of `teacher:network`.
    TeacherReadout = 4,
}

/// Which side of the split is drawn for; a teacher itself is drawn once, as `Train`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Part {
    Train = 0,
    Test = 1,
}

/// The draws of one seed, stream and part.
#[derive(Debug, Clone, Copy)]
pub(super) struct RandomNumbers {
    pub seed: u64,
    pub stream: Stream,
    pub part: Part,
}

impl RandomNumbers {
    /// The generator of a row.
    pub fn rng(&self, row: usize) -> PhiloxRng {
        let (chain, trajectory, step) = (row as u32, self.stream as u32, self.part as u32);
        Address { seed: self.seed, chain, trajectory, step, purpose: Purpose::Data }.rng()
    }

    /// The first `length` standard normals of a row.
    pub fn normals(&self, row: usize, length: usize) -> Array1<f64> {
        self.rng(row).sample_iter(StandardNormal).take(length).collect()
    }
}

/// `count` of the numbers 0..n: the first of them in their order or in that of a shuffle, which
/// does not depend on `count`. `count` must not exceed `n`.
pub(super) fn choose(n: usize, count: usize, order: Order, seed: u64, part: Part) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..n).collect();
    if order == Order::Seeded {
        indices.shuffle(&mut RandomNumbers { seed, stream: Stream::Shuffle, part }.rng(0));
    }
    indices.truncate(count);
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_order_takes_the_first() {
        assert_eq!(choose(10, 4, Order::File, 1, Part::Train), [0, 1, 2, 3]);
    }

    #[test]
    fn a_shuffle_is_a_permutation_that_depends_on_seed_and_part_and_grows_by_its_tail() {
        let whole = choose(50, 50, Order::Seeded, 1, Part::Train);
        let mut sorted = whole.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(choose(50, 20, Order::Seeded, 1, Part::Train), whole[..20]);
        assert_ne!(choose(50, 50, Order::Seeded, 2, Part::Train), whole);
        assert_ne!(choose(50, 50, Order::Seeded, 1, Part::Test), whole);
    }

    /// Every number comes first, and second, equally often: χ² with 9 degrees of freedom stays
    /// below its 1 − 10⁻⁵ quantile.
    #[test]
    fn a_shuffle_is_even() {
        let seeds = 20_000;
        for position in 0..2 {
            let mut counts = [0f64; 10];
            for seed in 0..seeds {
                counts[choose(10, 2, Order::Seeded, seed, Part::Train)[position]] += 1.0;
            }
            let expected = seeds as f64 / 10.0;
            let chi2: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
            assert!(chi2 < 38.6, "position {position}: χ² = {chi2}");
        }
    }
}
