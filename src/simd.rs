//! Runs a loop compiled for the widest vectors the processor has, chosen at run time.

use pulp::{Arch, NullaryFnOnce};

/// Evaluates an expression that is compiled, with everything inlined into it, once per instruction set.
///
/// What it calls must be `#[inline(always)]`: code that stays a function of its own is compiled for the oldest processor.
macro_rules! vectorize {
    ($body:expr) => {
        $crate::simd::run(
            #[inline(always)]
            || $body,
        )
    };
}
pub(crate) use vectorize;

/// Calls `f` under the instruction set found at run time. Use [`vectorize!`].
#[inline(always)]
pub fn run<R>(f: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Body(f))
}

/// A closure called through `FnMut`: its `FnOnce` form is a compiler-made shim that nothing can force inline.
struct Body<F>(F);

impl<R, F: FnMut() -> R> NullaryFnOnce for Body<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}
