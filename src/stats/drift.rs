//! Is the distribution still on the move? First half of the draws against the second, judged by the
//! spread over chains.

use super::{Chains, mean, moments};

/// Mean of the first half of the draws less that of the second, over its standard error:
///
/// ```text
/// z = d̄ / (s_d/√m),   d_c = (mean of the first half of chain c) − (mean of its second half)
/// ```
///
/// with the mean d̄ and the standard deviation s_d of d_c over the m chains. Chains are independent,
/// so no autocorrelation time enters: under stationarity z follows Student's t with m − 1 degrees
/// of freedom. It tells a warm-up that was too short, which more draws do not mend, from chains
/// that are merely slow. NaN with fewer than 4 chains or 4 draws, or where all d_c are equal.
pub fn drift(chains: Chains) -> f64 {
    if !chains.are_valid() || chains.chains() < 4 {
        return f64::NAN;
    }
    let half = chains.half();
    let differences: Vec<f64> =
        chains.iter().map(|chain| mean(&chain[..half]) - mean(&chain[chain.len() - half..])).collect();
    let (shift, variance) = moments(&differences);
    if variance > 0.0 { shift / (variance / differences.len() as f64).sqrt() } else { f64::NAN }
}
