//! Runs a loop compiled for the widest vectors the processor has, chosen at run time.

use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};

/// Evaluates an expression that is compiled, with everything inlined into it, once per instruction
/// set.
///
/// What it calls must be `#[inline(always)]`: code that stays a function of its own is compiled for
/// the oldest processor.
macro_rules! vectorize {
    ($body:expr) => {
        $crate::numerics::simd::run(
            #[inline(always)]
            || $body,
        )
    };
}
pub(crate) use vectorize;

/// As [`vectorize!`], of an expression with a constant that says whether [`mul_add`] may round
/// once: `fused!(FMA => f::<FMA>(x))`.
macro_rules! fused {
    ($fma:ident => $body:expr) => {
        if $crate::numerics::simd::has_fma() {
            const $fma: bool = true;
            $crate::numerics::simd::vectorize!($body)
        } else {
            const $fma: bool = false;
            $crate::numerics::simd::vectorize!($body)
        }
    };
}
pub(crate) use fused;

/// Whether the processor multiplies and adds in one instruction: every instruction set that is
/// dispatched to does, the oldest does not.
pub fn has_fma() -> bool {
    struct Asked;
    impl WithSimd for Asked {
        type Output = bool;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> bool {
            !S::IS_SCALAR
        }
    }
    Arch::new().dispatch(Asked)
}

/// a·b + c, rounded once if `FMA`. Without the instruction that would be a call for every element,
/// so there it is rounded twice.
#[inline(always)]
pub fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Σ_k c_k x^k by Horner's rule.
#[inline(always)]
pub fn polynomial<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut value = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        value = mul_add::<FMA>(x, value, coefficients[k]);
    }
    value
}

/// Calls `f` under the instruction set found at run time. Use [`vectorize!`].
#[inline(always)]
pub fn run<R>(f: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Body(f))
}

/// A closure called through `FnMut`: its `FnOnce` form is a compiler-made shim that nothing can
/// force inline.
struct Body<F>(F);

impl<R, F: FnMut() -> R> NullaryFnOnce for Body<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}
