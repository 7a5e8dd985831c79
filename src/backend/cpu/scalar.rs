//! The precision of the CPU backend: float32 by default, float64 to check it.

use std::iter::Sum;

use faer::traits::RealField;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::activation::activate;
use crate::model::Activation;

/// A floating-point type in which chains can be moved.
pub trait Scalar:
    RealField + Copy + Default + From<f32> + Into<f64> + Sum + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Name in reports.
    const NAME: &'static str;

    /// Rounds to this precision.
    fn round(x: f64) -> Self;

    /// The values, where they are float32.
    fn singles(values: &[Self]) -> Option<&[f32]>;

    /// As [`Scalar::singles`].
    fn singles_mut(values: &mut [Self]) -> Option<&mut [f32]>;

    /// Replaces pre-activations `h` by σ′(h) and writes σ(h) to `features`.
    fn activate(activation: Activation, h: &mut [Self], features: &mut [Self]);
}

impl Scalar for f32 {
    const NAME: &'static str = "float32";

    fn round(x: f64) -> Self {
        x as f32
    }

    fn singles(values: &[f32]) -> Option<&[f32]> {
        Some(values)
    }

    fn singles_mut(values: &mut [f32]) -> Option<&mut [f32]> {
        Some(values)
    }

    fn activate(activation: Activation, h: &mut [Self], features: &mut [Self]) {
        activate(activation, h, features);
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "float64";

    fn round(x: f64) -> Self {
        x
    }

    fn singles(_: &[f64]) -> Option<&[f32]> {
        None
    }

    fn singles_mut(_: &mut [f64]) -> Option<&mut [f32]> {
        None
    }

    fn activate(activation: Activation, h: &mut [Self], features: &mut [Self]) {
        for (h, feature) in h.iter_mut().zip(features) {
            (*feature, *h) = (activation.sigma(*h), activation.sigma_prime(*h));
        }
    }
}

/// `values` rounded to the precision S.
pub fn rounded<S: Scalar>(values: impl IntoIterator<Item = f64>) -> Vec<S> {
    values.into_iter().map(S::round).collect()
}
