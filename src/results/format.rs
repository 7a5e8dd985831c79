//! Numbers as text.

/// `value ± error` with the error in two significant digits.
pub fn with_error(value: Option<f64>, error: Option<f64>) -> String {
    match (value, error) {
        (Some(value), Some(error)) if error > 0.0 => {
            let decimals = (1 - error.log10().floor() as i32).clamp(0, 12) as usize;
            format!("{value:.decimals$} ± {error:.decimals$}")
        }
        (Some(value), _) => format!("{value:.5}"),
        (None, _) => "-".into(),
    }
}

/// A temperature in four significant digits.
pub fn short(temperature: f64) -> String {
    let rounded = format!("{temperature:.3e}").parse().unwrap_or(temperature);
    if (1e-4..1e6).contains(&rounded) { format!("{rounded}") } else { format!("{rounded:e}") }
}
