//! Collects the draws of every observable, chain by chain.

use serde::{Deserialize, Serialize};

use super::Observable;
use crate::backend::Measurement;

/// Draws of all observables at one temperature.
#[derive(Debug, Clone, Default)]
pub struct SampledTemperature {
    /// For every observable, the draws of all chains that were not lost: row-major, one row per chain.
    pub draws: Vec<Vec<f64>>,
    /// Chains recorded.
    pub chains: usize,
}

impl SampledTemperature {
    /// The mean over the draws of every chain, for the observable in `column`.
    pub fn chain_means(&self, column: usize) -> Vec<f64> {
        let values = &self.draws[column];
        let draws = values.len() / self.chains.max(1);
        values.chunks_exact(draws.max(1)).map(|chain| chain.iter().sum::<f64>() / draws as f64).collect()
    }
}

/// Turns measurements into columns of draws.
#[derive(Debug)]
pub struct Recorder {
    observables: Vec<Observable>,
    points: usize,
    temperatures: usize,
    recorded: Recorded,
}

/// What was recorded so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// [temperature · replica][observable][draw].
    chains: Vec<Vec<Vec<f64>>>,
    lost: Vec<bool>,
}

impl Recorder {
    pub fn new(observables: Vec<Observable>, points: usize, temperatures: usize) -> Self {
        Self { observables, points, temperatures, recorded: Recorded::default() }
    }

    /// What was recorded so far, for a checkpoint.
    pub fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// Goes on from what a recorder of the same observables held.
    pub fn resume(&mut self, recorded: Recorded) {
        self.recorded = recorded;
    }

    pub fn observables(&self) -> &[Observable] {
        &self.observables
    }

    /// The draws so far of one observable at one temperature, chain after chain, without the chains that were lost; and the number of chains.
    pub fn column(&self, column: usize, temperature: usize) -> (Vec<f64>, usize) {
        let Recorded { chains, lost } = &self.recorded;
        let replicas = chains.len() / self.temperatures.max(1);
        let members = temperature * replicas..(temperature + 1) * replicas;
        let kept: Vec<usize> = members.filter(|&chain| !lost[chain]).collect();
        (kept.iter().flat_map(|&chain| chains[chain][column].iter().copied()).collect(), kept.len())
    }

    /// Adds one draw of every chain.
    pub fn record(&mut self, measurements: &[Measurement]) {
        let Recorded { chains, lost } = &mut self.recorded;
        if chains.is_empty() {
            *chains = vec![vec![Vec::new(); self.observables.len()]; measurements.len()];
            *lost = vec![false; measurements.len()];
        }
        for ((chain, lost), measurement) in chains.iter_mut().zip(lost).zip(measurements) {
            *lost |= measurement.lost;
            for (column, observable) in chain.iter_mut().zip(&self.observables) {
                column.push(observable.measure(measurement, self.points));
            }
        }
    }

    /// What was recorded, per temperature; a lost chain is left out whole.
    pub fn finish(self) -> Vec<SampledTemperature> {
        let Recorded { chains, lost } = self.recorded;
        let replicas = chains.len() / self.temperatures.max(1);
        let mut sampled = Vec::new();
        for temperature in 0..self.temperatures {
            let members = temperature * replicas..(temperature + 1) * replicas;
            let kept: Vec<usize> = members.filter(|&chain| !lost[chain]).collect();
            let column = |o: usize| kept.iter().flat_map(|&chain| chains[chain][o].iter().copied()).collect();
            let draws = (0..self.observables.len()).map(column).collect();
            sampled.push(SampledTemperature { draws, chains: kept.len() });
        }
        sampled
    }
}
