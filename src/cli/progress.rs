//! A progress bar on a terminal, which also carries the wish to stop.

use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt;
use crate::sampler::{Phase, Progress};
use crate::store::Claim;

/// Shows where a run stands and carries the wish to end it. Nothing is drawn when stderr is not a terminal.
pub struct Display {
    bar: ProgressBar,
    label: Option<&'static str>,
}

impl Display {
    /// A display of the run that begins now; takes over the signals as [`interrupt::watch`].
    pub fn new(claim: Option<Claim>) -> Self {
        interrupt::watch(claim);
        Self { bar: ProgressBar::no_length(), label: None }
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
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
