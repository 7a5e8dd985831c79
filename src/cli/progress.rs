//! A progress bar on a terminal, and Ctrl-C as a request to stop.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::sampler::{Phase, Progress};
use crate::store::{Claim, Remains};

/// Shows where a run stands and carries the wish to end it. Nothing is drawn when stderr is not a terminal.
pub struct Display {
    bar: ProgressBar,
    label: Option<&'static str>,
    stop: Arc<AtomicBool>,
}

impl Display {
    /// Takes over Ctrl-C, SIGTERM and SIGHUP: the first asks the run to end after its current trajectories, the second ends the process. A run that
    /// has a directory and nothing in it to go on from is undone.
    pub fn new(claim: Option<Claim>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        // Without a handler Ctrl-C simply ends the process, which is no reason not to run.
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
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
            eprintln!("interrupted: ending after the current trajectories; Ctrl-C again ends at once");
        });
        Self { bar: ProgressBar::no_length(), label: None, stop }
    }

    pub fn update(&mut self, state: Progress) -> ControlFlow<()> {
        let label = match state.phase {
            Phase::WarmUp => "warm-up ",
            Phase::Sampling => "sampling",
        };
        self.show(label, "trajectories", state.done, state.total)
    }

    /// `done` of `total` `units` of what `label` names.
    pub fn show(&mut self, label: &'static str, units: &str, done: usize, total: usize) -> ControlFlow<()> {
        if self.label != Some(label) {
            self.label = Some(label);
            self.bar.reset();
            self.bar.set_length(total as u64);
            let template = format!("{{msg}} [{{bar:40}}] {{pos}}/{{len}} {units}, {{eta}} left");
            // A malformed template would only cost the bar its looks.
            if let Ok(style) = ProgressStyle::with_template(&template) {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.set_message(label);
        }
        self.bar.set_position(done as u64);
        if self.stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
