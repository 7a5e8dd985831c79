//! A number with its Monte Carlo error, as it stands in the report.

use serde::{Deserialize, Serialize};

/// `null` where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    pub value: Option<f64>,
    pub error: Option<f64>,
}

impl Measured {
    pub fn exact(value: f64) -> Self {
        Self { value: finite(value), error: None }
    }

    /// (value − predicted)/error.
    pub fn z(self, predicted: f64) -> Option<f64> {
        let error = self.error.filter(|&error| error > 0.0)?;
        finite((self.value? - predicted) / error)
    }
}

impl From<(f64, f64)> for Measured {
    fn from((value, error): (f64, f64)) -> Self {
        Self { value: finite(value), error: finite(error) }
    }
}

/// The number, unless it is none.
pub(super) fn finite(x: f64) -> Option<f64> {
    Some(x).filter(|x| x.is_finite())
}
