//! What the theories of one unit take of the memory.

use super::params::{Params, prior_draws};
use super::{population, predictor};
use crate::theory::kind::TheoryKind;

/// Bytes that the draws of `kind` take at once beside what [`memory`](crate::theory::memory)
/// counts, for `points` training points: of every draw φ and w', one for each point at most; and
/// what is summed up of them at `tests` test points.
pub fn memory(kind: TheoryKind, points: usize, tests: usize) -> u64 {
    let Params { draws, chain, sets, adaptive_draws, adaptive_chain } = Params::default();
    let together = sets.min(rayon::current_num_threads());
    let draws = match kind {
        TheoryKind::Nngp | TheoryKind::Saddle => 0,
        TheoryKind::SingleUnit => draws.max(chain.chains * chain.draws),
        TheoryKind::Adaptive => prior_draws(adaptive_draws, points).max(together * population::kept(&adaptive_chain)),
    };
    let sums =
        if kind == TheoryKind::Adaptive { predictor::memory(points, tests).saturating_mul(together as u64) } else { 0 };
    (draws as u64).saturating_mul(points as u64).saturating_mul(2 * 8).saturating_add(sums)
}
