//! Panics of the graphics stack, turned into values. wgpu reports most failures through error
//! scopes and callbacks, but panics where a driver breaks its promises.
//!
//! The panic hook belongs to the whole process, so [`catch`] leaves the hook alone. Rust's default
//! hook then prints a line for a panic that is caught too. A front end that shows the error itself
//! calls [`silence_caught_panics`] once.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    /// Whether a panic of this thread would be caught by [`catch`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs something that may panic. A panic becomes an error with the panic's message in one line.
///
/// # Errors
/// If `action` panics.
pub fn catch<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    CAUGHT.set(before);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("no reason given").split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

/// Puts a panic hook in front of the present one. The new hook prints nothing of a panic that
/// [`catch`] turns into an error, and passes all other panics on.
pub fn silence_caught_panics() {
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
        let device = 7;
        let lost = || catch(|| panic!("device {device}\n   lost"));
        assert_eq!(lost(), Err::<(), _>("device 7 lost".into()));
        assert_eq!(heard.load(Ordering::Relaxed), 1, "the library changed the hook of the process");
        silence_caught_panics();
        assert_eq!(catch(|| 3), Ok(3));
        assert_eq!(lost(), Err::<(), _>("device 7 lost".into()));
        assert_eq!(heard.load(Ordering::Relaxed), 1);
        assert!(catch_unwind(|| panic!("heard")).is_err());
        assert_eq!(heard.load(Ordering::Relaxed), 2, "a panic that nobody here catches was kept quiet");
    }
}
