//! The precision of the CPU backend: float32 by default, float64 to check it.

use std::iter::Sum;

use faer::traits::RealField;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::activation::activate;
use crate::model::Activation;
use crate::simd::mul_add;

/// A floating-point type in which chains can be moved.
pub trait Scalar:
    RealField + Copy + Default + From<f32> + Into<f64> + Sum + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Name in reports.
    const NAME: &'static str;

    /// Rows of sixteen numbers that fill the vector registers of a matrix product, but for what it reads.
    const TILE_ROWS: usize;

    /// Rounds to this precision.
    fn round(x: f64) -> Self;

    /// self·b + c, rounded once if `FMA` (see [`crate::simd::fused`]).
    fn mul_add<const FMA: bool>(self, b: Self, c: Self) -> Self;

    /// Replaces pre-activations `h` by σ′(h) and writes σ(h) to `features`.
    fn activate(activation: Activation, h: &mut [Self], features: &mut [Self]);
}

impl Scalar for f32 {
    const NAME: &'static str = "float32";

    const TILE_ROWS: usize = 6;

    fn round(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn mul_add<const FMA: bool>(self, b: Self, c: Self) -> Self {
        mul_add::<FMA>(self, b, c)
    }

    fn activate(activation: Activation, h: &mut [Self], features: &mut [Self]) {
        activate(activation, h, features);
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "float64";

    const TILE_ROWS: usize = 3;

    fn round(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn mul_add<const FMA: bool>(self, b: Self, c: Self) -> Self {
        if FMA { f64::mul_add(self, b, c) } else { self * b + c }
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
