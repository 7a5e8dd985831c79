//! Numbers with Monte Carlo errors.

use serde::{Deserialize, Serialize};

/// A number with its Monte Carlo standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    pub error: f64,
}

impl Estimate {
    /// A number without an error.
    pub fn exact(value: f64) -> Self {
        Self { value, error: 0.0 }
    }

    /// Mean of independent values and its error.
    pub(crate) fn of_independent(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        Self { value: mean, error: (squares / (n - 1.0) / n).sqrt() }
    }

    pub(crate) fn is_finite(self) -> bool {
        self.value.is_finite() && self.error.is_finite()
    }
}
