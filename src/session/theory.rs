//! The theory of a session: kernels, then every theory at every temperature.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::watch::{Listener, Report, detachable};
use super::{Event, Phase, RunError};
use crate::host::memory;
use crate::host::stop::Stop;
use crate::model::{Network, Problem};
use crate::remedy::{Remedy, Setting};
use crate::theory::ladder::{self, Progress};
use crate::theory::unit::{self, Params};
use crate::theory::{self, Prediction, Theory, TheoryError, TheoryKind, failure_messages};

/// The theories of a problem.
pub struct Solved {
    /// The problem that they are of.
    pub problem: Arc<Problem>,
    /// What does not depend on the temperature.
    pub theory: Theory,
    /// For every temperature, the theories that have a solution there.
    pub predictions: Vec<Vec<Prediction>>,
    /// Where theories have no solution, and where one is not to be relied on.
    pub warnings: Vec<String>,
}

/// Solves `kinds` at `temperatures`, on a thread of its own while `listener` hears of it.
///
/// # Errors
/// [`RunError::Memory`] before anything is computed, [`RunError::Theory`] when the kernel cannot be
/// decomposed, [`RunError::Interrupted`] when `listener` stops the work.
pub fn solve(
    problem: &Arc<Problem>,
    network: &Network,
    kinds: &[TheoryKind],
    temperatures: &[f64],
    mut listener: impl FnMut(&Event) -> ControlFlow<()>,
) -> Result<Solved, RunError> {
    require_memory(problem, kinds)?;
    let stop = Stop::default();
    let work = {
        let (problem, network, stop) = (Arc::clone(problem), *network, stop.clone());
        let (kinds, temperatures) = (kinds.to_vec(), temperatures.to_vec());
        move |report: &mut Report| solve_here(problem, &network, &kinds, &temperatures, &stop, report)
    };
    let listener: &mut Listener = &mut listener;
    match detachable(&stop, listener, work) {
        None | Some(Err(TheoryError::Stopped)) => Err(RunError::Interrupted),
        Some(solved) => Ok(solved?),
    }
}

fn solve_here(
    problem: Arc<Problem>,
    network: &Network,
    kinds: &[TheoryKind],
    temperatures: &[f64],
    stop: &Stop,
    report: &mut Report,
) -> Result<Solved, TheoryError> {
    let total = kinds.len() * temperatures.len();
    let mut tell = |done| {
        if report(Event { phase: Phase::Theory, done, total, gradients: 0, live: None }).is_break() {
            stop.request();
        }
    };
    tell(0);
    let theory = Theory::new_until(&problem, network, stop)?;
    let progress = |Progress { kind, done, of }: Progress| {
        let before = kinds.iter().position(|&other| other == kind).unwrap_or(0);
        tell(before * of + done);
    };
    let found = ladder::solve(&theory, kinds, temperatures, &Params::default(), stop, progress)?;
    let ladder::Solved { predictions, failures } = found;
    let mut warnings = failure_messages(&failures);
    warnings.extend(unit::reliability_warning(network.width, predictions.iter().flatten()));
    Ok(Solved { problem, theory, predictions, warnings })
}

/// Refuses a theory that the machine has no memory for.
pub(super) fn require_memory(problem: &Problem, kinds: &[TheoryKind]) -> Result<(), RunError> {
    let points = problem.points();
    // One theory is solved after the other.
    let of = |&kind| unit::memory(kind, points, problem.test_points());
    let draws = kinds.iter().map(of).max().unwrap_or(0);
    let needed = theory::memory(points).saturating_add(draws);
    let what = format!("the theory of {points} training points");
    Ok(memory::require(&what, needed, &[Setting::Train, Setting::Theories].map(Remedy::lower))?)
}
