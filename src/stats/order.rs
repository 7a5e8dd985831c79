//! Order statistics of all draws together: quantiles, and the rank normalisation that frees R̂ and
//! ESS from the tails.

use super::Chains;
use super::inverse::normal_quantile;

/// A draw's value and its slot in the half-chains, laid out one half after the other as in
/// [`Chains::halves`].
type Ranked = (f64, usize);

/// The draws in ascending order; sorting is done once for everything that needs it.
pub(super) struct Order {
    /// All draws.
    values: Vec<f64>,
    /// The draws that belong to a half-chain.
    halves: Vec<Ranked>,
}

impl Order {
    pub(super) fn new(chains: Chains) -> Self {
        let (draws, half) = (chains.draws(), chains.half());
        let slots = 2 * half * chains.chains();
        // The middle draw of an odd chain gets a slot past the end.
        let slot = |c: usize, t: usize| match draws - 2 * half {
            1 if t == half => slots,
            odd => 2 * half * c + t - if t > half { odd } else { 0 },
        };
        let mut halves: Vec<Ranked> = (chains.iter().enumerate())
            .flat_map(|(c, chain)| chain.iter().enumerate().map(move |(t, &x)| (x, slot(c, t))))
            .collect();
        halves.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let values = halves.iter().map(|&(x, _)| x).collect();
        halves.retain(|&(_, slot)| slot < slots);
        Self { values, halves }
    }

    /// All draws, ascending.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(super) fn quantile(&self, probability: f64) -> f64 {
        quantile(&self.values, probability)
    }

    /// Rank-normalised half-chains (Vehtari et al., eq. 14).
    pub(super) fn rank_normalised(&self) -> Vec<f64> {
        rank_normalise(&self.halves)
    }

    /// Half-chains of |x − median|, rank-normalised (Vehtari et al., eq. 15).
    pub(super) fn folded_rank_normalised(&self) -> Vec<f64> {
        rank_normalise(&fold(&self.halves))
    }
}

/// Quantile of an ascending list by linear interpolation (type 7 of Hyndman and Fan); NaN outside
/// of \[0, 1\].
///
/// The rounding is NumPy's: which draw counts as below a quantile that falls on a draw must not
/// hang on the last bit.
fn quantile(ascending: &[f64], probability: f64) -> f64 {
    if ascending.is_empty() || !(0.0..=1.0).contains(&probability) {
        return f64::NAN;
    }
    let last = ascending.len() - 1;
    let position = last as f64 * probability;
    let below = (position as usize).min(last);
    let (low, high, weight) = (ascending[below], ascending[(below + 1).min(last)], position - below as f64);
    if weight < 0.5 { low + (high - low) * weight } else { high - (high - low) * (1.0 - weight) }
}

/// |x − median| in ascending order.
fn fold(ascending: &[Ranked]) -> Vec<Ranked> {
    let n = ascending.len();
    if n == 0 {
        return Vec::new();
    }
    let median = (ascending[(n - 1) / 2].0 + ascending[n / 2].0) / 2.0;
    let mut folded: Vec<Ranked> = ascending.iter().map(|&(x, slot)| ((x - median).abs(), slot)).collect();
    // Distances grow outwards on both sides of the median: two ascending runs, which the standard
    // stable sort merges in linear time.
    folded[..n / 2].reverse();
    folded.sort_by(|a, b| a.0.total_cmp(&b.0));
    folded
}

/// z = Φ⁻¹((r − 3/8)/(S + 1/4)) written to each draw's slot; r is the rank among S draws, averaged
/// over ties (Blom's plotting position).
fn rank_normalise(ascending: &[Ranked]) -> Vec<f64> {
    let mut z = vec![0.0; ascending.len()];
    let mut first = 0;
    for tied in ascending.chunk_by(|a, b| a.0 == b.0) {
        let rank = first as f64 + (tied.len() + 1) as f64 / 2.0;
        let score = normal_quantile((rank - 0.375) / (ascending.len() as f64 + 0.25));
        for &(_, slot) in tied {
            z[slot] = score;
        }
        first += tied.len();
    }
    z
}
