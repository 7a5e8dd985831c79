//! Stage activation: σ and σ′ of a block of pre-activations in float32, branch-free so that they
//! run in vector registers.
//!
//! erf and tanh are odd rational functions x P(x²)/Q(x²) on a clamped range, with minimax
//! coefficients fitted for this file (relative error 2e-8 before rounding); in float32 they stay
//! within 7 ulp, 4e-7 absolute (measured in the tests below).

use crate::model::Activation;
use crate::numerics::simd::{fused, mul_add, polynomial, vectorize};

/// Replaces pre-activations `h` by σ′(h) and writes σ(h) to `features`.
pub fn activate(activation: Activation, h: &mut [f32], features: &mut [f32]) {
    match activation {
        Activation::Erf => fused!(FMA => each(h, features, erf_and_slope::<FMA>)),
        Activation::Relu => vectorize!(each(h, features, relu_and_slope)),
        Activation::Tanh => fused!(FMA => each(h, features, tanh_and_slope::<FMA>)),
        Activation::Identity => vectorize!(each(h, features, identity_and_slope)),
        Activation::Gelu => fused!(FMA => each(h, features, gelu_and_slope::<FMA>)),
    }
}

#[inline(always)]
fn erf_and_slope<const FMA: bool>(x: f32) -> (f32, f32) {
    (erf::<FMA>(x), TWO_OVER_SQRT_PI * exp::<FMA>(-x * x))
}

/// The factor 0·x keeps a NaN.
#[inline(always)]
fn relu_and_slope(x: f32) -> (f32, f32) {
    if x > 0.0 { (x, 1.0) } else { (0.0 * x, 0.0) }
}

#[inline(always)]
fn tanh_and_slope<const FMA: bool>(x: f32) -> (f32, f32) {
    let t = tanh::<FMA>(x);
    (t, 1.0 - t * t)
}

#[inline(always)]
fn identity_and_slope(x: f32) -> (f32, f32) {
    (x, 1.0)
}

#[inline(always)]
fn gelu_and_slope<const FMA: bool>(x: f32) -> (f32, f32) {
    let cdf = 0.5 * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2));
    (x * cdf, cdf + x * ONE_OVER_SQRT_TWO_PI * exp::<FMA>(-0.5 * x * x))
}

const TWO_OVER_SQRT_PI: f32 = std::f32::consts::FRAC_2_SQRT_PI;
const ONE_OVER_SQRT_TWO_PI: f32 = 0.398_942_3;

#[inline(always)]
fn each(h: &mut [f32], features: &mut [f32], f: impl Fn(f32) -> (f32, f32)) {
    for (h, feature) in h.iter_mut().zip(features) {
        (*feature, *h) = f(*h);
    }
}

/// Keeps NaN (a clamp by min/max would swallow it) while limiting the range.
#[inline(always)]
fn clamp(x: f32, bound: f32) -> f32 {
    let x = if x > bound { bound } else { x };
    if x < -bound { -bound } else { x }
}

/// erf in float32.
#[inline(always)]
#[expect(clippy::approx_constant, reason = "a fitted coefficient, near 2/√π but not equal to it")]
pub fn erf<const FMA: bool>(x: f32) -> f32 {
    let x = clamp(x, 3.92);
    let z = x * x;
    const P: [f32; 6] = [1.128_379_1, 0.190_405_23, 0.052_748_55, 0.003_765_562_5, 2.848_813e-4, 2.050_093_2e-6];
    const Q: [f32; 6] = [1.0, 0.502_075, 0.114_108_59, 0.014_969_106, 0.001_162_522, 3.809_170_3e-5];
    x * polynomial::<FMA, 6>(z, P) / polynomial::<FMA, 6>(z, Q)
}

/// tanh in float32.
#[inline(always)]
pub fn tanh<const FMA: bool>(x: f32) -> f32 {
    let x = clamp(x, 9.02);
    let z = x * x;
    const P: [f32; 5] = [1.0, 0.133_797_18, 0.003_494_034_3, 2.058_347_5e-5, 1.331_906_4e-8];
    const Q: [f32; 5] = [1.0, 0.467_130_33, 0.025_871_072, 3.283_092_3e-4, 7.762_016e-7];
    x * polynomial::<FMA, 5>(z, P) / polynomial::<FMA, 5>(z, Q)
}

/// exp in float32: 2ⁿ eʳ with |r| ≤ ½ ln 2 and a Taylor polynomial of degree 7 (5e-9); 0 below −87,
/// ∞-free above 88.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f32) -> f32 {
    let clamped = if x > 88.0 { 88.0 } else { x };
    let clamped = if clamped < -87.0 { -87.0 } else { clamped };
    // Adding 1.5·2²³ rounds to the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    let shifted = mul_add::<FMA>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n·high is exact.
    let r = mul_add::<FMA>(n, 2.121_944_4e-4, mul_add::<FMA>(n, -0.693_359_4, clamped));
    const TAYLOR: [f32; 8] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let poly = polynomial::<FMA, 8>(r, TAYLOR);
    let scale = f32::from_bits(((shifted.to_bits() << 23) as i32).wrapping_add(127 << 23) as u32);
    if x < -87.0 { 0.0 } else { poly * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-120_000..=120_000).map(|i| i as f32 * 1e-4)
    }

    /// Largest error of `approximate` against `exact` in units of the last place of the exact
    /// value, and absolute.
    fn worst(approximate: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (f64, f64) {
        grid().fold((0.0, 0.0), |(ulps, absolute), x| {
            let truth = exact(f64::from(x));
            let error = (f64::from(approximate(x)) - truth).abs();
            let ulp = f64::from(f32::EPSILON) * 2f64.powi(truth.abs().max(1e-30).log2().floor() as i32);
            (f64::max(ulps, error / ulp), f64::max(absolute, error))
        })
    }

    #[test]
    fn erf_and_tanh_are_accurate_to_seven_units_in_the_last_place() {
        let errors = [
            ("erf", worst(erf::<false>, libm::erf)),
            ("erf, fused", worst(erf::<true>, libm::erf)),
            ("tanh", worst(tanh::<false>, f64::tanh)),
            ("tanh, fused", worst(tanh::<true>, f64::tanh)),
        ];
        for (name, (ulps, absolute)) in errors {
            assert!(ulps < 7.0 && absolute < 4.5e-7, "{name}: {ulps} ulp, {absolute:e}");
        }
        let (ulps, _) = worst(|x| erf::<true>(x * 1.000_002), libm::erf);
        assert!(ulps > 7.0, "a relative error of 2e-6 must be seen");
    }

    #[test]
    fn exp_is_accurate_to_three_units_in_the_last_place() {
        for exp in [exp::<false>, exp::<true>] {
            let (ulps, _) = worst(exp, f64::exp);
            assert!(ulps < 3.0, "{ulps}");
            assert_eq!(exp(-100.0), 0.0);
            assert!(exp(100.0).is_finite());
        }
    }

    #[test]
    fn activations_match_their_float64_definitions() {
        for activation in [Activation::Erf, Activation::Relu, Activation::Tanh, Activation::Identity, Activation::Gelu]
        {
            let inputs: Vec<f32> = grid().step_by(7).collect();
            let mut slope = inputs.clone();
            let mut value = vec![0.0; inputs.len()];
            activate(activation, &mut slope, &mut value);
            for ((&x, &v), &s) in inputs.iter().zip(&value).zip(&slope) {
                let x = f64::from(x);
                let bound = 6e-7 * (1.0 + x.abs());
                assert!((f64::from(v) - activation.sigma(x)).abs() < bound, "{activation:?} at {x}");
                assert!((f64::from(s) - activation.sigma_prime(x)).abs() < 1e-6, "{activation:?}' at {x}");
            }
        }
    }

    #[test]
    fn not_a_number_is_not_swallowed() {
        for activation in [Activation::Erf, Activation::Relu, Activation::Tanh, Activation::Identity, Activation::Gelu]
        {
            let (mut h, mut features) = (vec![f32::NAN], vec![0.0]);
            activate(activation, &mut h, &mut features);
            assert!(features[0].is_nan(), "{activation:?}");
        }
    }
}
