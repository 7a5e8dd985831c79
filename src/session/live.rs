//! How far the chains have come while they are still being sampled: R̂ and ESS at every temperature.

use serde::Serialize;

use crate::observables::{Observable, Recorder};
use crate::sampler::superchains;
use crate::stats::{Chains, ess_bulk, nested_rhat, rhat};

/// The centroid distance at one temperature, over the draws taken so far; of several pairs of
/// classes the pair that is worst in each respect, and without pairs of classes the training loss.
///
/// NaN (in JSON null) where there are too few draws or chains to say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Live {
    pub temperature: f64,
    /// Draws per chain.
    pub draws: usize,
    pub rhat: f64,
    pub nested_rhat: f64,
    /// Bulk effective sample size of all chains together.
    pub ess: f64,
}

impl Live {
    /// The R̂ that the verdict will look at.
    pub fn decisive_rhat(&self) -> f64 {
        if self.nested_rhat.is_nan() { self.rhat } else { self.nested_rhat }
    }
}

/// One entry for every temperature; none before the first draw.
pub(super) fn live(recorder: &Recorder, temperatures: &[f64]) -> Vec<Live> {
    let columns_of = |wanted: fn(&Observable) -> bool| -> Vec<usize> {
        recorder.observables().iter().enumerate().filter(|(_, o)| wanted(o)).map(|(column, _)| column).collect()
    };
    let mut columns = columns_of(|o| matches!(o, Observable::CentroidDistanceSq(..)));
    if columns.is_empty() {
        columns = columns_of(|o| *o == Observable::TrainLoss);
    }
    let at = |(index, &temperature): (usize, &f64)| {
        let mut live = Live { temperature, draws: 0, rhat: f64::NAN, nested_rhat: f64::NAN, ess: f64::NAN };
        for &column in &columns {
            let (values, chains) = recorder.column(column, index);
            live.draws = values.len() / chains.max(1);
            // `max` and `min` keep the number where the other is NaN.
            if let Ok(chains) = Chains::new(&values, chains) {
                live.rhat = live.rhat.max(rhat(chains));
                live.nested_rhat = live.nested_rhat.max(nested_rhat(chains, superchains(chains.chains())));
                live.ess = live.ess.min(ess_bulk(chains));
            }
        }
        (live.draws > 0).then_some(live)
    };
    temperatures.iter().enumerate().filter_map(at).collect()
}
