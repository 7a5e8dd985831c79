//! Ctrl-C, SIGTERM and SIGHUP as a request to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::progress::Style;
use crate::store::{Claim, Remains};

static STOP: AtomicBool = AtomicBool::new(false);

/// What the run that is under way would leave behind.
static CLAIM: Mutex<Option<Claim>> = Mutex::new(None);

/// Takes over the signals, once in a process: the first asks the run to end after its current
/// trajectories, the second ends the process. A run that has a directory and nothing in it to go on
/// from is then undone; `claim` is that of the run that begins now.
pub fn watch(claim: Option<Claim>, style: Style) {
    *CLAIM.lock().unwrap_or_else(PoisonError::into_inner) = claim;
    // Without a handler Ctrl-C simply ends the process, which is no reason not to run; and the
    // handler of an earlier run serves.
    let _ = ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::SeqCst) {
            let claim = CLAIM.lock().unwrap_or_else(PoisonError::into_inner);
            match claim.as_ref().map(|claim| (claim.abandon(), claim.path())) {
                None | Some((Remains::Nothing, _)) => {
                    eprintln!("error: interrupted twice: nothing of this run was kept");
                }
                Some((Remains::Run, path)) => {
                    let path = path.display();
                    eprintln!("error: interrupted twice: `featherm resume {path}` goes on from what was last kept");
                }
            }
            std::process::exit(3);
        }
        style.say("interrupted: ending after the current trajectories; Ctrl-C again ends at once");
    });
}

/// Whether the run is asked to end.
pub fn asked() -> bool {
    STOP.load(Ordering::SeqCst)
}
