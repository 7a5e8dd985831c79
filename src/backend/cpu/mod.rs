//! The ensemble on the processor: one sequential gradient per chain, chains spread over all cores.
//!
//! A chain's arithmetic does not depend on the others, so its bits do not depend on the size of the
//! ensemble or on the threads.

mod accept;
mod activation;
mod backward;
mod cholesky;
mod forward;
mod gram;
mod observe;
mod product;
mod readout;
mod residual;
mod scalar;
mod stopwatch;
mod storage;
mod trajectory;
mod update;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use self::accept::exchange;
use self::forward::Inputs;
use self::gram::GramSum;
use self::observe::{ChainSums, Observer, ObserverScratch, Subject};
use self::scalar::rounded;
use self::stopwatch::{Stage, Stopwatch};
use self::storage::Storage;
use self::trajectory::{Chain, CpuIntegrator, Scratch, Target, name};
use super::{
    Accumulated, Backend, BackendError, Device, Ensemble, IntegratorParams, Measurement, Moments, Observation, Outcome,
    Parity, PredictiveBatch, Round, Scheme, StageTime, UnitHistogram, Weights, saved,
};
use crate::host::stop::Stop;
use crate::numerics::noise::{Address, Purpose};

pub use self::scalar::Scalar;

/// The CPU backend in precision S.
#[derive(Debug)]
pub struct Cpu<S: Scalar> {
    ensemble: Ensemble,
    target: Target<S>,
    observer: Observer<S>,
    chains: Vec<Chain<S>>,
    /// One sum per temperature and block of replicas.
    gram: Vec<GramSum<S>>,
    /// The same of the weights.
    weight_moments: Vec<GramSum<S>>,
    /// The batches of every chain.
    predictive: Vec<Vec<PredictiveBatch>>,
    /// The hidden units of every chain.
    units: Vec<UnitHistogram>,
    /// Buffers of every worker thread, and of the thread outside the pool.
    scratch: Vec<Mutex<Workspace<S>>>,
    /// Work ends soon where this is requested.
    stop: Stop,
}

#[derive(Debug)]
struct Workspace<S> {
    trajectory: Scratch<S>,
    observer: ObserverScratch<S>,
}

/// A chain and what its draws are added to.
type Member<'a> = (usize, Option<ChainSums<'a>>);

/// The buffers of the current thread. They are overwritten before they are read, so what a panicked
/// thread left does no harm.
fn workspace<S>(pool: &[Mutex<Workspace<S>>]) -> MutexGuard<'_, Workspace<S>> {
    let thread = rayon::current_thread_index().unwrap_or(pool.len() - 1);
    pool[thread].lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Scalar> Cpu<S> {
    /// Starts every chain at a draw from the prior.
    pub fn new(ensemble: Ensemble) -> Self {
        Self::stored(ensemble, Storage::Full)
    }

    /// Starts every chain at a draw from the prior, with the roundings of
    /// [`Precision::F16`](super::Precision::F16): what a graphics device stores in float16 is
    /// rounded to float32 and then to float16, to nearest, ties to even.
    pub fn with_half_storage(ensemble: Ensemble) -> Self {
        Self::stored(ensemble, Storage::Half)
    }

    fn stored(ensemble: Ensemble, storage: Storage) -> Self {
        let problem = &ensemble.problem;
        let target = Target {
            network: ensemble.network,
            inputs: Inputs::new(&problem.z_train),
            labels: rounded(problem.y_train.iter().copied()),
            storage,
        };
        let observer = Observer::new(&ensemble);
        let scratch: Vec<_> = (0..=rayon::current_num_threads())
            .map(|_| Mutex::new(Workspace { trajectory: Scratch::new(&target), observer: observer.scratch(&target) }))
            .collect();
        let chains = (0..ensemble.chains())
            .into_par_iter()
            .map(|chain| {
                let (seed, id, _) = name(&ensemble, chain, 0);
                Chain::from_prior(&target, seed, id, &mut workspace(&scratch).trajectory)
            })
            .collect();
        let test = problem.test_points();
        let batch = PredictiveBatch { draws: 0, sum: vec![0.0; test], sum_of_squares: vec![0.0; test] };
        let blocks = ensemble.temperatures * ensemble.gram_blocks();
        let sums = |size: usize| (0..blocks).map(|_| GramSum::new(size)).collect();
        let (gram, weight_moments) = (sums(problem.points()), sums(problem.rank()));
        let predictive = vec![vec![batch; ensemble.batches]; ensemble.chains()];
        let units = vec![UnitHistogram::new(problem.rank()); ensemble.chains()];
        Self {
            target,
            observer,
            chains,
            gram,
            weight_moments,
            predictive,
            units,
            scratch,
            ensemble,
            stop: Stop::default(),
        }
    }

    /// Exchanges neighbours; returns what became of every attempt.
    fn exchange(&mut self, moves: &[IntegratorParams], trajectory: u32, parity: Parity) -> Vec<bool> {
        let replicas = self.ensemble.replicas;
        let mut accepted = Vec::new();
        for lower in parity.pairs(self.ensemble.temperatures) {
            let beta = [moves[lower].beta, moves[lower + 1].beta];
            for replica in 0..replicas {
                let pair = [lower * replicas + replica, (lower + 1) * replicas + replica];
                let (seed, chain, trajectory) = name(&self.ensemble, pair[0], trajectory);
                let address = Address { seed, chain, trajectory, step: 0, purpose: Purpose::Exchange };
                let loss = pair.map(|chain| self.chains[chain].loss);
                let lost = pair.iter().any(|&chain| self.chains[chain].lost);
                let swap = !lost && exchange(beta, loss, address.uniform());
                if swap {
                    self.chains.swap(pair[0], pair[1]);
                }
                accepted.push(swap);
            }
        }
        accepted
    }

    /// Measures every chain; a block of replicas shares its Gram sum and is measured in order.
    fn observe(&mut self, trajectory: u32, observation: Observation) -> Vec<Measurement> {
        let Self { ensemble, target, observer, chains, gram, weight_moments, predictive, units, scratch, .. } = self;
        let (replicas, blocks) = (ensemble.replicas, ensemble.gram_blocks());
        let mut members: Vec<Vec<Member>> = (0..gram.len()).map(|_| Vec::new()).collect();
        for (chain, (batches, histogram)) in predictive.iter_mut().zip(units).enumerate() {
            let block = chain / replicas * blocks + ensemble.gram_block(chain % replicas);
            let sums = observation.batch.map(|batch| ChainSums { batch: &mut batches[batch], histogram });
            members[block].push((chain, sums));
        }
        let measured: Vec<Vec<Measurement>> = gram
            .par_iter_mut()
            .zip(weight_moments)
            .zip(members)
            .map(|((gram, weight_moments), members)| {
                let scratch = &mut workspace(scratch).observer;
                let measure = |(chain, sums): Member| {
                    if observation.weights && !chains[chain].lost {
                        weight_moments.add(&chains[chain].position.weights);
                    }
                    let gram = observation.gram.then_some(&mut *gram);
                    let name = name(ensemble, chain, trajectory);
                    let subject = Subject { chain: &chains[chain], temperature: chain / replicas, name };
                    observer.observe(target, subject, gram, sums, scratch)
                };
                members.into_iter().map(measure).collect()
            })
            .collect();
        measured.into_iter().flatten().collect()
    }
}

impl<S: Scalar> Backend for Cpu<S> {
    fn device(&self) -> Device {
        let threads = rayon::current_num_threads();
        let plural = if threads == 1 { "" } else { "s" };
        let storage = match self.target.storage {
            Storage::Full => "",
            Storage::Half => ", activations in float16",
        };
        Device { backend: "cpu".into(), name: format!("{threads} thread{plural}, {}{storage}", S::NAME), tiling: None }
    }

    fn integrates_readout(&self) -> bool {
        true
    }

    fn heed(&mut self, stop: Stop) {
        for workspace in &mut self.scratch {
            workspace.get_mut().unwrap_or_else(PoisonError::into_inner).trajectory.stop = stop.clone();
        }
        self.stop = stop;
    }

    fn run(&mut self, moves: &[IntegratorParams], rounds: &[Round]) -> Result<Vec<Outcome>, BackendError> {
        if moves.iter().any(|m| m.scheme == Scheme::Ula && m.beta <= 0.0) {
            return Err(BackendError::Invalid("ULA needs a finite temperature: its noise is √(2ηT)".into()));
        }
        let prepared: Vec<CpuIntegrator<S>> =
            moves.iter().map(|m| CpuIntegrator::new(&self.ensemble.network, m)).collect();
        let outcomes = rounds.iter().map(|round| {
            let Self { ensemble, target, chains, scratch, stop, .. } = self;
            let transitions = chains
                .par_iter_mut()
                .enumerate()
                .map(|(index, chain)| {
                    let temperature = index / ensemble.replicas;
                    let name = name(ensemble, index, round.trajectory);
                    let scratch = &mut workspace(scratch).trajectory;
                    chain.advance(target, &prepared[temperature], round.steps[temperature], name, scratch)
                })
                .collect();
            stop.check()?;
            let exchanged = round.exchange.map_or_else(Vec::new, |p| self.exchange(moves, round.trajectory, p));
            let measurements = round.observe.map_or_else(Vec::new, |o| self.observe(round.trajectory, o));
            Ok(Outcome { transitions, exchanged, measurements })
        });
        outcomes.collect()
    }

    fn stages(&mut self, moves: &[IntegratorParams], round: &Round) -> Result<Vec<StageTime>, BackendError> {
        let clocks = |scratch: &[Mutex<Workspace<S>>], mut f: Box<dyn FnMut(&mut Stopwatch) + '_>| {
            for workspace in scratch {
                f(&mut workspace.lock().unwrap_or_else(PoisonError::into_inner).trajectory.watch);
            }
        };
        clocks(&self.scratch, Box::new(Stopwatch::start));
        self.run(moves, std::slice::from_ref(round))?;
        let mut seconds = [0.0; Stage::ALL.len()];
        let add = |watch: &mut Stopwatch| seconds.iter_mut().zip(watch.stop()).for_each(|(sum, s)| *sum += s);
        clocks(&self.scratch, Box::new(add));
        let share =
            1.0 / (rayon::current_num_threads() as f64 * f64::from(round.steps.iter().copied().max().unwrap_or(1)));
        let named =
            Stage::ALL.map(|(stage, name)| StageTime { stage: name.into(), seconds: share * seconds[stage as usize] });
        Ok(named.into())
    }

    fn moments(&self) -> Result<Vec<Moments>, BackendError> {
        Ok(self
            .chains
            .chunks_exact(self.ensemble.replicas)
            .map(|chains| pooled(chains, self.target.inputs.rank))
            .collect())
    }

    fn merge_batches(&mut self) -> Result<(), BackendError> {
        self.predictive.iter_mut().for_each(|batches| PredictiveBatch::merge_pairs(batches));
        Ok(())
    }

    fn save(&self, saved: &mut Vec<u8>) -> Result<(), BackendError> {
        // Every field is named: a new one must be sorted into what is saved and what is not.
        let Self {
            ensemble: _,
            target: _,
            observer: _,
            scratch: _,
            stop: _,
            chains,
            gram,
            weight_moments,
            predictive,
            units,
        } = self;
        saved::append(&(chains, gram, weight_moments, predictive, units), saved)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<bool, BackendError> {
        type Sums<S> = Vec<GramSum<S>>;
        type Carried<S> = (Vec<Chain<S>>, Sums<S>, Sums<S>, Vec<Vec<PredictiveBatch>>, Vec<UnitHistogram>);
        let Some((chains, gram, weight_moments, predictive, units)) = saved::read::<Carried<S>>(saved) else {
            return Ok(false);
        };
        let same_shape = all_same_shape(&self.chains, &chains, Chain::same_shape)
            && all_same_shape(&self.gram, &gram, GramSum::same_shape)
            && all_same_shape(&self.weight_moments, &weight_moments, GramSum::same_shape)
            && all_same_shape(&self.predictive, &predictive, |a, b| all_same_shape(a, b, PredictiveBatch::same_shape))
            && all_same_shape(&self.units, &units, UnitHistogram::same_shape);
        if same_shape {
            (self.chains, self.gram, self.weight_moments) = (chains, gram, weight_moments);
            (self.predictive, self.units) = (predictive, units);
        }
        Ok(same_shape)
    }

    fn accumulated(&self) -> Result<Accumulated, BackendError> {
        let means = |sums: &[GramSum<S>]| {
            let blocks = sums.chunks_exact(self.ensemble.gram_blocks());
            blocks.map(|blocks| blocks.iter().map(GramSum::mean).filter(|g| !g.is_empty()).collect()).collect()
        };
        let (gram, weights) = (means(&self.gram), means(&self.weight_moments));
        let predictive = self.predictive.chunks_exact(self.ensemble.replicas).map(<[_]>::to_vec).collect();
        let units = self.units.chunks_exact(self.ensemble.replicas).map(<[_]>::to_vec).collect();
        Ok(Accumulated { gram, weights, predictive, units })
    }

    fn weights(&self) -> Result<Vec<Weights>, BackendError> {
        Ok(self.chains.iter().map(Chain::to_weights).collect())
    }

    fn set_weights(&mut self, weights: &[Weights]) -> Result<(), BackendError> {
        self.ensemble.check_shapes(weights)?;
        let scratch = &mut workspace(&self.scratch).trajectory;
        self.chains = weights.iter().map(|w| Chain::from_weights(&self.target, w, scratch)).collect();
        Ok(())
    }
}

/// Returns true if two lists are equally long and each pair of members has the same shape.
fn all_same_shape<T>(ours: &[T], theirs: &[T], same_shape: impl Fn(&T, &T) -> bool) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same_shape(a, b))
}

/// Mean and mean square over the units of all chains that are not lost.
fn pooled<S: Scalar>(chains: &[Chain<S>], rank: usize) -> Moments {
    let mut moments = Moments {
        weight_mean: vec![0.0; rank],
        weight_square: vec![0.0; rank],
        readout_mean: 0.0,
        readout_square: 0.0,
    };
    let mut units = 0.0;
    for chain in chains.iter().filter(|chain| !chain.lost) {
        for &v in &chain.position.readout {
            let v: f64 = v.into();
            moments.readout_mean += v;
            moments.readout_square += v * v;
            units += 1.0;
        }
        for row in chain.position.weights.chunks_exact(rank) {
            for (j, &w) in row.iter().enumerate() {
                let w: f64 = w.into();
                moments.weight_mean[j] += w;
                moments.weight_square[j] += w * w;
            }
        }
    }
    let Moments { weight_mean, weight_square, readout_mean, readout_square } = &mut moments;
    weight_mean.iter_mut().chain(weight_square).chain([readout_mean, readout_square]).for_each(|m| *m /= units);
    moments
}
