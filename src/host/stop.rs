//! A request to stop, for work that takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

/// A request to stop, shared between who makes it and the work that heeds it. All clones are one
/// request; [`Stop::default`] makes a new one, which nobody has made yet.
///
/// ```
/// use featherm::host::stop::{Stop, Stopped};
///
/// let stop = Stop::default();
/// assert_eq!(stop.check(), Ok(()));
/// stop.clone().request();
/// assert_eq!(stop.check(), Err(Stopped));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requested: AtomicBool,
    #[cfg(test)]
    counted: counted::Counted,
}

/// The work was stopped by a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("stopped on request")]
pub struct Stopped;

impl Stop {
    /// Makes the request. Work ends at its next check.
    pub fn request(&self) {
        self.shared.requested.store(true, Ordering::Relaxed);
    }

    /// Returns whether the request was made.
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::Relaxed)
    }

    /// Lets work go on unless the request was made. Costs one relaxed load.
    ///
    /// # Errors
    /// [`Stopped`] once the request was made.
    pub fn check(&self) -> Result<(), Stopped> {
        #[cfg(test)]
        self.count();
        if self.is_requested() { Err(Stopped) } else { Ok(()) }
    }
}

/// Requests that count the checks, so that tests can bound the work after a request by a number.
#[cfg(test)]
mod counted {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Stop;

    #[derive(Debug, Default)]
    pub struct Counted {
        checks: AtomicUsize,
        /// The check at which the request makes itself; zero is never.
        last: AtomicUsize,
    }

    impl Stop {
        /// A request that makes itself at check number `last`, counted from one.
        pub(crate) fn at_check(last: usize) -> Self {
            let stop = Self::default();
            stop.shared.counted.last.store(last, Ordering::SeqCst);
            stop
        }

        /// Checks so far, on all threads.
        pub(crate) fn checks(&self) -> usize {
            self.shared.counted.checks.load(Ordering::SeqCst)
        }

        pub(super) fn count(&self) {
            let check = 1 + self.shared.counted.checks.fetch_add(1, Ordering::SeqCst);
            if check == self.shared.counted.last.load(Ordering::SeqCst) {
                self.request();
            }
        }
    }
}
