//! Panics of the graphics stack, turned into values: wgpu panics where a driver breaks its promises, and what a user should see of it is the one
//! message of a failed run, not also the line that the panic hook prints.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread would be caught by [`catch`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs something that may panic; a panic is an error with its message in one line, and nothing is printed.
///
/// # Errors
/// When `action` panics.
pub fn catch<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(install);
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    CAUGHT.set(before);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("no reason given").split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

/// Puts a hook before the one there is: it is silent about panics that will be caught, and passes on all others. Hooks belong to the whole
/// process, which is why the mark of the thread decides.
fn install() {
    let next = take_hook();
    set_hook(Box::new(move |info| {
        if !CAUGHT.get() {
            next(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn caught_panics_reach_no_hook_and_all_others_do() {
        let heard = Arc::new(AtomicUsize::new(0));
        let (counter, own) = (Arc::clone(&heard), thread::current().id());
        let before = take_hook();
        set_hook(Box::new(move |info| {
            // Other tests of this process may panic meanwhile.
            if thread::current().id() == own {
                counter.fetch_add(1, Ordering::Relaxed);
            } else {
                before(info);
            }
        }));
        install();
        assert_eq!(catch(|| 3), Ok(3));
        let device = 7;
        assert_eq!(catch(|| panic!("device {device}\n   lost")), Err::<(), _>("device 7 lost".into()));
        assert_eq!(heard.load(Ordering::Relaxed), 0);
        assert!(catch_unwind(|| panic!("heard")).is_err());
        assert_eq!(heard.load(Ordering::Relaxed), 1, "a panic that nobody here catches was kept quiet");
    }
}
