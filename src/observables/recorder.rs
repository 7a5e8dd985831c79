//! Collects the draws of every observable and the sampler's statistics, chain by chain.

use serde::{Deserialize, Serialize};

use super::Observable;
use crate::backend::{IntegratorParams, Measurement, Transition};
use crate::model::Network;
use crate::sampler::{Phase, RoundResult};

/// Draws of all observables at one temperature.
#[derive(Debug, Clone, Default)]
pub struct SampledTemperature {
    /// For every observable, the draws of all chains that were not lost: row-major, one row per
    /// chain.
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
    rank: usize,
    network: Network,
    temperatures: usize,
    recorded: Recorded,
}

/// What was recorded so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    pub draws: Series,
    /// Trajectories of the warm-up that were measured; none unless that was asked for.
    pub warm_up: Series,
    /// Chains that were lost, ordered by temperature, then replica.
    pub lost: Vec<bool>,
}

/// Draw by draw what every chain did. A chain is a place on the ladder: where temperatures exchange
/// states, it is the temperature that stays.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// Ordered by temperature, then replica.
    pub chains: Vec<ChainSeries>,
    /// \[temperature\]\[draw\]: steps of the trajectories and their length.
    pub steps: Vec<Vec<u32>>,
    pub step_sizes: Vec<Vec<f64>>,
}

/// The draws of one chain.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ChainSeries {
    /// \[observable\]\[draw\].
    pub observables: Vec<Vec<f64>>,
    /// Log density of (v, W′) without its normalisation: −βL − ½λ0‖W′‖² − ½λ1‖v‖².
    pub log_density: Vec<f64>,
    pub acceptance: Vec<f64>,
    /// See [`Transition::energy`]; after an exchange it is that of the state which left.
    pub energy: Vec<f64>,
    pub energy_error: Vec<f64>,
    pub diverged: Vec<bool>,
}

impl Series {
    /// Draws recorded.
    pub fn draws(&self) -> usize {
        self.steps.first().map_or(0, Vec::len)
    }

    /// The chains of one temperature.
    pub fn at(&self, temperature: usize) -> &[ChainSeries] {
        let replicas = self.chains.len() / self.steps.len().max(1);
        self.chains.get(temperature * replicas..(temperature + 1) * replicas).unwrap_or_default()
    }
}

impl Recorder {
    /// For `points` training points whose inputs have rank `rank`.
    pub fn new(
        observables: Vec<Observable>,
        (points, rank): (usize, usize),
        network: Network,
        temperatures: usize,
    ) -> Self {
        Self { observables, points, rank, network, temperatures, recorded: Recorded::default() }
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

    /// The draws so far of one observable at one temperature, chain after chain, without the chains
    /// that were lost; and the number of chains.
    pub fn column(&self, column: usize, temperature: usize) -> (Vec<f64>, usize) {
        let Recorded { draws, lost, .. } = &self.recorded;
        let chains = &draws.chains;
        let replicas = chains.len() / self.temperatures.max(1);
        let members = temperature * replicas..(temperature + 1) * replicas;
        let kept: Vec<usize> = members.filter(|&chain| !lost[chain]).collect();
        (kept.iter().flat_map(|&chain| chains[chain].observables[column].iter().copied()).collect(), kept.len())
    }

    /// Adds one draw of every chain, or one measured trajectory of its warm-up.
    pub fn record(&mut self, result: RoundResult) {
        let RoundResult { phase, moves, round, outcome } = result;
        let (temperatures, columns) = (self.temperatures, self.observables.len());
        let series = match phase {
            Phase::WarmUp => &mut self.recorded.warm_up,
            Phase::Sampling => &mut self.recorded.draws,
        };
        if series.chains.is_empty() {
            let empty = ChainSeries { observables: vec![Vec::new(); columns], ..ChainSeries::default() };
            series.chains = vec![empty; outcome.measurements.len()];
            (series.steps, series.step_sizes) = (vec![Vec::new(); temperatures], vec![Vec::new(); temperatures]);
        }
        for (column, &steps) in series.steps.iter_mut().zip(&round.steps) {
            column.push(steps);
        }
        for (column, at) in series.step_sizes.iter_mut().zip(moves) {
            column.push(at.step_size);
        }
        let replicas = outcome.measurements.len() / temperatures.max(1);
        let lost = &mut self.recorded.lost;
        lost.resize(outcome.measurements.len(), false);
        for (chain, (transition, measurement)) in outcome.transitions.iter().zip(&outcome.measurements).enumerate() {
            lost[chain] |= measurement.lost;
            let series = &mut series.chains[chain];
            for (column, observable) in series.observables.iter_mut().zip(&self.observables) {
                column.push(observable.measure(measurement, self.points));
            }
            let log_density = log_density(measurement, &moves[chain / replicas], self.network, self.rank);
            series.log_density.push(log_density);
            series.add(transition);
        }
    }

    /// The draws of all observables, per temperature; a lost chain is left out whole.
    pub fn sampled(&self) -> Vec<SampledTemperature> {
        let Recorded { draws, lost, .. } = &self.recorded;
        let replicas = lost.len() / self.temperatures.max(1);
        let mut sampled = Vec::new();
        for temperature in 0..self.temperatures {
            let members = temperature * replicas..(temperature + 1) * replicas;
            let kept: Vec<usize> = members.filter(|&chain| !lost[chain]).collect();
            let column =
                |o: usize| kept.iter().flat_map(|&chain| draws.chains[chain].observables[o].iter().copied()).collect();
            let draws = (0..self.observables.len()).map(column).collect();
            sampled.push(SampledTemperature { draws, chains: kept.len() });
        }
        sampled
    }

    /// All that was recorded.
    pub fn into_recorded(self) -> Recorded {
        self.recorded
    }
}

impl ChainSeries {
    fn add(&mut self, transition: &Transition) {
        self.acceptance.push(transition.acceptance);
        self.energy.push(transition.energy);
        self.energy_error.push(transition.energy_error);
        self.diverged.push(transition.diverged);
    }
}

/// See [`ChainSeries::log_density`].
fn log_density(m: &Measurement, at: &IntegratorParams, network: Network, rank: usize) -> f64 {
    let width = network.width as f64;
    let weights = network.lambda0 * width * rank as f64 * m.weight_second_moment;
    let readout = network.lambda1 * width * m.readout_second_moment;
    -at.beta * m.loss - 0.5 * (weights + readout)
}
