//! Weights given by their logarithms.

/// ln Σ exp of these logarithms, without overflow.
pub(super) fn log_sum(log: &[f64]) -> f64 {
    let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + log.iter().map(|l| (l - most).exp()).sum::<f64>().ln()
}

/// Weights of these logarithms, their sum one.
pub(super) fn normalised(log: &[f64]) -> Vec<f64> {
    let total = log_sum(log);
    log.iter().map(|l| (l - total).exp()).collect()
}
