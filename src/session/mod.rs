//! A session: an [`Experiment`] on a [`Problem`], from the theory through the samples to the
//! results.
//!
//! [`Session::run`] does it all. Its parts can be had one by one: [`Session::solve`] is the theory,
//! [`Job::sample`] the chains, on any backend that holds [`Job::ensemble`].
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use featherm::backend::DeviceRequest;
//! use featherm::config::{Experiment, Setup, preset};
//! use featherm::session::{Phase, Session};
//! use featherm::studies;
//!
//! let digits = Setup::resolve(preset("quick")?)?;
//! let problem = studies::load(&digits)?;
//! let network = *digits.experiment().network();
//! let experiment = Experiment::builder(network).temperatures([1.0]).chains(4).warmup(20).draws(20).build()?;
//! let mut rounds = 0;
//! let run = Session::new(&experiment, problem)?.run(&DeviceRequest::default(), |event| {
//!     rounds += usize::from(event.phase == Phase::Sampling);
//!     ControlFlow::Continue(())
//! })?;
//! assert!(rounds > 0 && !run.document.interrupted);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrays;
mod assemble;
mod checkpoint;
mod error;
mod event;
#[cfg(fuzzing)]
pub mod fuzz;
mod live;
mod memory;
mod sample;
mod signatures;
mod theory;
mod watch;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::backend::DeviceRequest;
use crate::config::Experiment;
use crate::model::Problem;

pub use arrays::ChainDraws;
pub use checkpoint::Checkpoints;
pub use error::{KeepError, RunError};
pub use event::{Event, Phase};
pub use live::Live;
pub use memory::{memory_need, tune};
pub use sample::{Job, Run, ULA_STEPS};
pub use theory::{Solved, solve};
pub use watch::HEARTBEAT;

/// An experiment on a problem.
#[derive(Debug, Clone)]
pub struct Session {
    experiment: Experiment,
    problem: Arc<Problem>,
}

impl Session {
    /// Puts an experiment on a problem.
    ///
    /// # Errors
    /// [`RunError::Memory`] when the theory does not fit into memory.
    pub fn new(experiment: &Experiment, problem: impl Into<Arc<Problem>>) -> Result<Self, RunError> {
        let problem = problem.into();
        theory::require_memory(&problem, experiment.theories())?;
        Ok(Self { experiment: experiment.clone(), problem })
    }

    /// Solves the theories, samples on a device, and compares.
    ///
    /// `listener` hears of every piece of work, at least every [`HEARTBEAT`], and may stop the run.
    /// What was measured until then is returned.
    ///
    /// # Errors
    /// [`RunError`] when the memory does not suffice, the device or the sampler fails, or the run
    /// is stopped before four draws were taken.
    pub fn run(
        self,
        device: &DeviceRequest,
        mut listener: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<Run, RunError> {
        // Before the theory, whose cost grows as P³.
        memory_need(&self.experiment, &self.problem, device)?.1?;
        let job = self.solve(&mut listener)?;
        let mut opened = job.open(device)?;
        job.sample(opened.backend.as_mut(), listener, None)
    }

    /// Solves the theories at every temperature. Where one has no solution the run goes on without
    /// it, with a warning.
    ///
    /// Infinite width and the saddle point are solved whether asked for or not: they name û and
    /// what the evidence is integrated from.
    ///
    /// # Errors
    /// [`RunError::Theory`] when the kernel cannot be decomposed; [`RunError::Interrupted`] when
    /// `listener` stops the work.
    pub fn solve(self, listener: impl FnMut(&Event) -> ControlFlow<()>) -> Result<Job, RunError> {
        Job::new(self.experiment, self.problem, listener)
    }
}
