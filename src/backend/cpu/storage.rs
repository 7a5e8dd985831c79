//! How the activations Φ, the slopes σ′(H) and the weights W⊥ of test points are stored between
//! stages.
//!
//! A graphics device that stores them in float16 (shaders/features_half.wgsl) rounds what it writes
//! there and calculates in float32. Outputs of the network are summed before that, from the
//! unrounded activations; all that reads activations or slopes again gets rounded ones: gradients,
//! the integrated readout, Gram matrices and manifolds.

use half::f16;

use super::scalar::Scalar;

/// The format of stored activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// The precision of the chain.
    Full,
    /// float16.
    Half,
}

impl Storage {
    /// Rounds `values` to what is read back of them.
    pub fn keep<S: Scalar>(self, values: &mut [S]) {
        match self {
            Self::Full => {}
            Self::Half => values.iter_mut().for_each(|x| *x = halved(*x)),
        }
    }
}

/// x rounded to float32 and that to float16, to nearest and ties to even: what a device stores.
fn halved<S: Scalar>(x: S) -> S {
    let x: f64 = x.into();
    S::from(f16::from_f32(x as f32).to_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 + 2⁻¹¹ lies halfway between neighbours in float16, and 2⁻²⁵ between 0 and the smallest.
    #[test]
    fn rounding_is_to_nearest_and_ties_to_even() {
        let (half, tiny) = (2f32.powi(-11), 2f32.powi(-25));
        let given = [1.0 + half, 1.0 + 1.01 * half, 1.0 + 3.0 * half, tiny, 1.01 * tiny, -65504.0, 65520.0];
        let expected = [1.0, 1.0 + 2.0 * half, 1.0 + 4.0 * half, 0.0, 2.0 * tiny, -65504.0, f32::INFINITY];
        let mut kept = given;
        Storage::Half.keep(&mut kept);
        assert_eq!(kept, expected);
        let mut kept = given;
        Storage::Full.keep(&mut kept);
        assert_eq!(kept, given, "the control");
        let mut broken = [f32::NAN];
        Storage::Half.keep(&mut broken);
        assert!(broken[0].is_nan());
    }

    /// 1 + 2⁻¹¹ + 2⁻³⁰ is above the middle, but not in float32, which the device rounds first.
    #[test]
    fn float64_is_rounded_by_way_of_float32() {
        let mut value = [1.0 + 2f64.powi(-11) + 2f64.powi(-30)];
        Storage::Half.keep(&mut value);
        assert_eq!(value, [1.0]);
    }
}
