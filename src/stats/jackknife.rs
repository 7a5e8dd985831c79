//! The jackknife: the error of any function of means over independent parts.

/// The estimate from all of `parts` parts, which `estimate(None)` gives, and its standard error
/// from those without one of them, √((n − 1)/n Σ_k (x₋ₖ − x̄₋)²) (Tukey 1958). Fewer than four parts
/// say too little of their own spread: the error is then NaN.
pub fn jackknife(parts: usize, estimate: impl Fn(Option<usize>) -> f64) -> (f64, f64) {
    let value = estimate(None);
    if parts < 4 {
        return (value, f64::NAN);
    }
    let without: Vec<f64> = (0..parts).map(|part| estimate(Some(part))).collect();
    let n = parts as f64;
    let mean = without.iter().sum::<f64>() / n;
    let squares: f64 = without.iter().map(|x| (x - mean).powi(2)).sum();
    (value, ((n - 1.0) / n * squares).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_mean_is_its_standard_error() {
        let values = [1.0, 4.0, 2.0, 8.0, 5.5];
        let mean_without = |left: Option<usize>| {
            let kept: Vec<f64> = (0..5).filter(|&k| Some(k) != left).map(|k| values[k]).collect();
            kept.iter().sum::<f64>() / kept.len() as f64
        };
        let (mean, error) = jackknife(5, mean_without);
        let variance = values.iter().map(|x| (x - 4.1f64).powi(2)).sum::<f64>() / 4.0;
        assert!((mean - 4.1).abs() < 1e-12 && (error - (variance / 5.0).sqrt()).abs() < 1e-12);
        // That of its square is 2 x̄ times as large, to first order.
        let (_, of_square) = jackknife(5, |left| mean_without(left).powi(2));
        assert!((of_square / (8.2 * error) - 1.0).abs() < 0.1, "{of_square}");
        assert!(jackknife(3, mean_without).1.is_nan());
    }
}
