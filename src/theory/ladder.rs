//! Theories down a ladder of temperatures: the one loop that solves them.

use super::failures::Failure;
use super::unit::{self, Params};
use super::{Prediction, Theory, TheoryError, TheoryKind, process};
use crate::host::stop::{Stop, Stopped};

/// What [`solve`] found.
#[derive(Debug)]
pub struct Solved {
    /// For every temperature, in the order given, the predictions of the theories that have a
    /// solution there, in the order of their kinds.
    pub predictions: Vec<Vec<Prediction>>,
    /// Where theories have none and why: kind by kind, in the order of the temperatures.
    pub failures: Vec<Failure>,
}

/// How far [`solve`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The theory that is being solved.
    pub kind: TheoryKind,
    /// Temperatures done, of all.
    pub done: usize,
    pub of: usize,
}

/// Solves the theories `kinds` at all `temperatures`, one theory after the other.
///
/// Each theory is followed from the highest temperature to the lowest, in whatever order they are
/// given. A theory without a solution at some temperature is a failure there and no error.
/// `progress` hears of every theory as it begins and after its temperatures: the processes, whose
/// temperatures share their work, do all at once. `params` are those of the theories of one unit.
///
/// # Errors
/// [`Stopped`] on request. Work ends within a tenth of a second, but for problems so large that a
/// matrix of P² numbers takes longer to invert.
pub fn solve(
    theory: &Theory,
    kinds: &[TheoryKind],
    temperatures: &[f64],
    params: &Params,
    stop: &Stop,
    mut progress: impl FnMut(Progress),
) -> Result<Solved, Stopped> {
    let mut solved = Solved { predictions: vec![Vec::new(); temperatures.len()], failures: Vec::new() };
    for &kind in kinds {
        let mut done = |done| progress(Progress { kind, done, of: temperatures.len() });
        done(0);
        let results: Vec<Result<Prediction, TheoryError>> = match kind {
            TheoryKind::Nngp | TheoryKind::Saddle => {
                let results = process::solve(theory, kind, temperatures, stop)?;
                done(temperatures.len());
                results.into_iter().map(|result| result.map(Prediction::from)).collect()
            }
            TheoryKind::SingleUnit | TheoryKind::Adaptive => {
                unit::solve(theory, kind, temperatures, params, stop, &mut done)?
            }
        };
        for ((at, &temperature), result) in solved.predictions.iter_mut().zip(temperatures).zip(results) {
            match result {
                Ok(prediction) => at.push(prediction),
                Err(error) => solved.failures.push(Failure { kind, temperature, error }),
            }
        }
    }
    Ok(solved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::theory::tests::{network, problem};
    use crate::theory::unit::ChainParams;

    /// Wherever the request comes, little more is done; without one the work goes to its end.
    #[test]
    fn a_request_to_stop_ends_the_work_soon() {
        let theory = Theory::new(&problem(), &network(Activation::Erf)).unwrap();
        let params = Params { draws: 2048, sets: 2, adaptive_draws: 2048, ..Params::default() };
        let work = |stop: &Stop| solve(&theory, &TheoryKind::ALL, &[1.0, 0.4], &params, stop, |_| {});
        let whole = Stop::default();
        assert!(work(&whole).is_ok_and(|solved| solved.predictions.iter().all(|at| at.len() == 4)));
        let checks = whole.checks();
        assert!(checks > 100, "{checks}");
        for at in [1, checks / 4, checks / 2, checks - 1] {
            let stop = Stop::at_check(at);
            assert_eq!(work(&stop).err(), Some(Stopped), "at check {at} of {checks}");
            // Work in parallel looks once more in every piece that has begun.
            assert!(stop.checks() < at + 40, "{} checks, asked to stop at {at}", stop.checks());
        }
    }

    /// The same where prior draws fail, so that the adaptive theory goes on by chains.
    #[test]
    fn a_request_to_stop_ends_chains_soon() {
        let theory = Theory::new(&problem(), &network(Activation::Erf)).unwrap();
        let adaptive_chain = ChainParams { chains: 64, warmup: 10, draws: 16 };
        let params = Params { sets: 2, adaptive_draws: 2048, adaptive_chain, ..Params::default() };
        let work = |stop: &Stop, temperatures: &[f64], heard: &mut Vec<usize>| {
            solve(&theory, &[TheoryKind::Adaptive], temperatures, &params, stop, |progress| heard.push(progress.done))
        };
        let (hot, whole) = (Stop::default(), Stop::default());
        assert!(work(&hot, &[3.0], &mut Vec::new()).is_ok());
        let mut heard = Vec::new();
        assert!(work(&whole, &[3.0, 0.02], &mut heard).is_ok());
        let (before, checks) = (hot.checks(), whole.checks());
        assert_eq!(heard, [0, 1, 2]);
        assert!(checks > 2 * before, "{checks} checks, {before} of them at the higher temperature");
        for share in [0.3, 0.6, 0.9] {
            let at = before + (share * (checks - before) as f64) as usize;
            let (stop, mut heard) = (Stop::at_check(at), Vec::new());
            assert_eq!(work(&stop, &[3.0, 0.02], &mut heard).err(), Some(Stopped), "at check {at} of {checks}");
            assert!(stop.checks() < at + 40, "{} checks, asked to stop at {at}", stop.checks());
            assert_eq!(heard, [0, 1], "the lower temperature was under way");
        }
    }
}
