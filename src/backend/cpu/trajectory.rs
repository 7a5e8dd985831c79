//! A chain and its trajectories: the stages of one gradient composed into OBABO, BAOAB,
//! Euler–Maruyama, marginal and descent steps.

use faer::Accum;
use serde::{Deserialize, Serialize};

use super::accept::metropolis;
use super::backward::{backward, pull_back};
use super::forward::{Inputs, combine, preactivations};
use super::readout::{ReadoutScratch, draw_readout, integrate};
use super::residual::residual;
use super::scalar::{Scalar, rounded};
use super::stopwatch::{Stage, Stopwatch};
use super::storage::Storage;
use super::update::{
    RowMass, RowRotation, descend, draw, drift, euler_maruyama, kick, kinetic, refresh, rotate, strays, sum_of_squares,
};
use crate::backend::{DIVERGENCE, Ensemble, IntegratorParams, RUNAWAY, Scheme, Transition, Weights};
use crate::host::stop::Stop;
use crate::model::Network;
use crate::numerics::noise::{Address, Purpose};

/// What all chains share: the network and the training data.
#[derive(Debug)]
pub struct Target<S> {
    pub network: Network,
    pub inputs: Inputs<S>,
    pub labels: Vec<S>,
    /// Of Φ and σ′(H).
    pub storage: Storage,
}

/// A [`IntegratorParams`] with its mass in the chain's precision.
#[derive(Debug)]
pub struct CpuIntegrator<S> {
    beta: f64,
    scheme: Scheme,
    step_size: f64,
    weights: RowMass<S>,
    readout: RowMass<S>,
    /// How W′ turns in a step of [`Scheme::Marginal`].
    rotation: Option<RowRotation<S>>,
}

impl<S: Scalar> CpuIntegrator<S> {
    pub fn new(network: &Network, integrator: &IntegratorParams) -> Self {
        let turns = matches!(integrator.scheme, Scheme::Marginal { .. });
        Self {
            beta: integrator.beta,
            scheme: integrator.scheme,
            step_size: integrator.step_size,
            weights: RowMass::new(&integrator.mass.weights),
            readout: RowMass::new(&vec![integrator.mass.readout; network.width]),
            rotation: turns.then(|| RowRotation::new(&integrator.mass.weights, network.lambda0, integrator.step_size)),
        }
    }

    /// Whether W′ alone moves, v being integrated out.
    fn marginal(&self) -> bool {
        matches!(self.scheme, Scheme::Marginal { .. })
    }

    /// Normals of a slot for the blocks that move.
    fn fill(&self, stream: &Stream, purpose: Purpose, slot: u32, noise: &mut Blocks<S>) {
        if self.marginal() {
            stream.address(purpose, 2 * slot + 1).normals(&mut noise.weights);
        } else {
            stream.fill(purpose, slot, noise);
        }
    }
}

/// Weights of one network, or anything of their shape: v, length N1, and W′, (N1, r) row-major.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Blocks<S> {
    pub readout: Vec<S>,
    pub weights: Vec<S>,
}

impl<S: Scalar> Blocks<S> {
    fn zeros(units: usize, rank: usize) -> Self {
        Self { readout: vec![S::default(); units], weights: vec![S::default(); units * rank] }
    }

    fn copy_from(&mut self, other: &Self) {
        self.readout.copy_from_slice(&other.readout);
        self.weights.copy_from_slice(&other.weights);
    }
}

/// What the gradient of a chain was taken of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Energy {
    /// L, by both blocks.
    Loss,
    /// V = −ln ∫ p(v) e^{−βL} dv, by W′ alone, and its value.
    Marginal { beta: f64, value: f64 },
}

/// One chain where it stands, with the gradient of its energy there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chain<S> {
    pub position: Blocks<S>,
    gradient: Blocks<S>,
    energy: Energy,
    /// L at `position`.
    pub loss: f64,
    /// An unadjusted trajectory ended in a non-finite state or beyond [`RUNAWAY`]; `position` is
    /// where it began and no longer moves.
    pub lost: bool,
}

/// Buffers that a trajectory needs beside the chain, reused by one thread for all its chains.
#[derive(Debug)]
pub struct Scratch<S> {
    momentum: Blocks<S>,
    noise: Blocks<S>,
    saved: Blocks<S>,
    saved_gradient: Blocks<S>,
    /// H, then σ′(H), then g: (N1, P).
    slope: Vec<S>,
    /// Φ, (N1, P).
    features: Vec<S>,
    /// f, then f − y.
    output: Vec<S>,
    readout: ReadoutScratch<S>,
    pub watch: Stopwatch,
    /// A trajectory ends between two steps where this is requested; the chain is then of no use.
    pub stop: Stop,
}

impl<S: Scalar> Scratch<S> {
    pub fn new(target: &Target<S>) -> Self {
        let (units, points, rank) = (target.network.width, target.inputs.count, target.inputs.rank);
        let blocks = || Blocks::zeros(units, rank);
        Self {
            momentum: blocks(),
            noise: blocks(),
            saved: blocks(),
            saved_gradient: blocks(),
            slope: vec![S::default(); units * points],
            features: vec![S::default(); units * points],
            output: vec![S::default(); points],
            readout: ReadoutScratch::new(units, points),
            watch: Stopwatch::default(),
            stop: Stop::default(),
        }
    }
}

/// The noise of one chain in one trajectory: `readout` and `weights` of a slot are two streams.
struct Stream {
    seed: u64,
    chain: u32,
    trajectory: u32,
}

impl Stream {
    fn address(&self, purpose: Purpose, step: u32) -> Address {
        Address { seed: self.seed, chain: self.chain, trajectory: self.trajectory, step, purpose }
    }

    /// Normals for slot `slot`: readout at step 2·slot, weights at 2·slot + 1.
    fn fill<S: Scalar>(&self, purpose: Purpose, slot: u32, noise: &mut Blocks<S>) {
        self.address(purpose, 2 * slot).normals(&mut noise.readout);
        self.address(purpose, 2 * slot + 1).normals(&mut noise.weights);
    }
}

impl<S: Scalar> Chain<S> {
    /// A draw from the prior, named by the seed and the chain.
    pub fn from_prior(target: &Target<S>, seed: u64, chain: u32, scratch: &mut Scratch<S>) -> Self {
        let (units, rank) = (target.network.width, target.inputs.rank);
        let mut position = Blocks::zeros(units, rank);
        Stream { seed, chain, trajectory: 0 }.fill(Purpose::Prior, 0, &mut position);
        let scale = |values: &mut [S], lambda: f64| {
            let deviation = S::round(1.0 / lambda.sqrt());
            values.iter_mut().for_each(|x| *x *= deviation);
        };
        scale(&mut position.readout, target.network.lambda1);
        scale(&mut position.weights, target.network.lambda0);
        Self::at(target, position, scratch)
    }

    /// A chain at given weights.
    pub fn from_weights(target: &Target<S>, weights: &Weights, scratch: &mut Scratch<S>) -> Self {
        let position = Blocks {
            readout: rounded(weights.readout.iter().copied()),
            weights: rounded(weights.rotated.iter().copied()),
        };
        Self::at(target, position, scratch)
    }

    fn at(target: &Target<S>, position: Blocks<S>, scratch: &mut Scratch<S>) -> Self {
        let gradient = Blocks::zeros(target.network.width, target.inputs.rank);
        let mut chain = Self { position, gradient, energy: Energy::Loss, loss: 0.0, lost: false };
        chain.differentiate_loss(target, scratch);
        chain
    }

    /// Whether both are of networks of the same shape.
    pub fn same_shape(&self, other: &Self) -> bool {
        let shape = |blocks: &Blocks<S>| [blocks.readout.len(), blocks.weights.len()];
        [&other.position, &other.gradient].iter().all(|blocks| shape(blocks) == shape(&self.position))
    }

    pub fn to_weights(&self) -> Weights {
        let widen = |values: &[S]| values.iter().map(|&x| x.into()).collect();
        Weights { readout: widen(&self.position.readout), rotated: widen(&self.position.weights) }
    }

    /// Energy and gradient that a move needs, at the current position.
    fn differentiate(&mut self, target: &Target<S>, integrator: &CpuIntegrator<S>, scratch: &mut Scratch<S>) {
        if integrator.marginal() {
            self.differentiate_marginal(target, integrator.beta, scratch);
        } else {
            self.differentiate_loss(target, scratch);
        }
    }

    /// Makes the gradient that of a move's energy: after an exchange, or another kind of move, it
    /// is not.
    fn prepare(&mut self, target: &Target<S>, integrator: &CpuIntegrator<S>, scratch: &mut Scratch<S>) {
        let fits = match self.energy {
            Energy::Loss => !integrator.marginal(),
            Energy::Marginal { beta, .. } => integrator.marginal() && beta == integrator.beta,
        };
        if !fits {
            self.differentiate(target, integrator, scratch);
        }
    }

    /// Φ, and σ′(H) in `slope`, at the current position.
    fn propagate(&self, target: &Target<S>, scratch: &mut Scratch<S>) {
        let Scratch { slope, features, watch, .. } = scratch;
        watch.lap(Stage::Update);
        preactivations(&self.position.weights, &target.inputs, slope, Accum::Replace);
        watch.lap(Stage::Products);
        S::activate(target.network.activation, slope, features);
        watch.lap(Stage::Activation);
    }

    /// ∂W′ from the gradient by H, which `slope` holds.
    fn pull_back(&mut self, target: &Target<S>, scratch: &mut Scratch<S>) {
        scratch.watch.lap(Stage::Readout);
        pull_back(&scratch.slope, &target.inputs, &mut self.gradient.weights);
        scratch.watch.lap(Stage::Products);
    }

    /// V and its gradient; the loss stays that of the last readout drawn.
    fn differentiate_marginal(&mut self, target: &Target<S>, beta: f64, scratch: &mut Scratch<S>) {
        self.propagate(target, scratch);
        let Scratch { slope, features, readout, .. } = scratch;
        target.storage.keep(features);
        target.storage.keep(slope);
        let value = integrate(&target.network, beta, &target.labels, features, slope, readout);
        self.pull_back(target, scratch);
        self.energy = Energy::Marginal { beta, value };
    }

    /// Draws v given W′, where V was last taken, and its loss.
    fn draw_readout(&mut self, target: &Target<S>, beta: f64, stream: &Stream, scratch: &mut Scratch<S>) {
        let Target { network, labels, .. } = target;
        let Scratch { output: noise, features, readout, watch, .. } = scratch;
        watch.lap(Stage::Update);
        stream.address(Purpose::Readout, 0).normals(&mut self.position.readout);
        stream.address(Purpose::Readout, 1).normals(noise);
        self.loss = draw_readout(network, beta, labels, features, &mut self.position.readout, noise, readout);
        watch.lap(Stage::Readout);
    }

    /// Loss and gradient at the current position.
    fn differentiate_loss(&mut self, target: &Target<S>, scratch: &mut Scratch<S>) {
        self.propagate(target, scratch);
        let Scratch { slope, features, output, .. } = scratch;
        combine(&self.position.readout, features, output);
        self.loss = residual(output, &target.labels);
        target.storage.keep(features);
        target.storage.keep(slope);
        backward(&self.position.readout, output, features, slope, &mut self.gradient.readout);
        self.pull_back(target, scratch);
        self.energy = Energy::Loss;
    }

    /// β L + ½ λ0 ‖W′‖² + ½ λ1 ‖v‖², or V + ½ λ0 ‖W′‖².
    fn potential(&self, network: &Network, beta: f64) -> f64 {
        let prior = 0.5 * network.lambda0 * sum_of_squares(&self.position.weights);
        match self.energy {
            Energy::Loss => beta * self.loss + prior + 0.5 * network.lambda1 * sum_of_squares(&self.position.readout),
            Energy::Marginal { value, .. } => value + prior,
        }
    }

    /// B for time t: of βL and the prior on both blocks, or of V on W′.
    fn kick(&self, network: &Network, beta: f64, time: f64, momentum: &mut Blocks<S>) {
        let (x, g) = (&self.position, &self.gradient);
        match self.energy {
            Energy::Loss => {
                kick(&mut momentum.readout, &x.readout, &g.readout, time, beta, network.lambda1);
                kick(&mut momentum.weights, &x.weights, &g.weights, time, beta, network.lambda0);
            }
            Energy::Marginal { .. } => kick(&mut momentum.weights, &x.weights, &g.weights, time, 1.0, 0.0),
        }
    }

    /// A for time t on both blocks.
    fn drift(&mut self, integrator: &CpuIntegrator<S>, time: f64, momentum: &Blocks<S>) {
        drift(&mut self.position.readout, &momentum.readout, &integrator.readout, time);
        drift(&mut self.position.weights, &momentum.weights, &integrator.weights, time);
    }

    /// A for one step: a drift of both blocks, or the rotation of W′ under its prior.
    fn step(&mut self, integrator: &CpuIntegrator<S>, momentum: &mut Blocks<S>) {
        match &integrator.rotation {
            Some(rotation) => rotate(&mut self.position.weights, &mut momentum.weights, rotation),
            None => self.drift(integrator, integrator.step_size, momentum),
        }
    }

    /// Plays one trajectory of `steps` steps, with a full momentum refreshment before it.
    ///
    /// The two half refreshments that meet between OBABO steps are one refreshment with e^{−γh},
    /// and those at the ends fall into the full refreshments there: the law of the trajectory is
    /// the same and half the noise is saved.
    pub fn advance(
        &mut self,
        target: &Target<S>,
        integrator: &CpuIntegrator<S>,
        steps: u32,
        (seed, chain, trajectory): (u64, u32, u32),
        scratch: &mut Scratch<S>,
    ) -> Transition {
        let still = Transition { acceptance: 0.0, energy_error: 0.0, energy: f64::NAN, diverged: false };
        if self.lost || steps == 0 || scratch.stop.is_requested() {
            return still;
        }
        scratch.watch.resume();
        let stream = Stream { seed, chain, trajectory };
        let (network, beta, h) = (&target.network, integrator.beta, integrator.step_size);
        self.prepare(target, integrator, scratch);
        let (saved_loss, saved_energy) = (self.loss, self.energy);
        scratch.saved.copy_from(&self.position);
        scratch.saved_gradient.copy_from(&self.gradient);

        let (adjusted, transition) = match integrator.scheme {
            Scheme::Ula => {
                self.ula(target, integrator, steps, &stream, scratch);
                (false, Transition { acceptance: 1.0, ..still })
            }
            Scheme::Descent => {
                for _ in 0..steps {
                    if scratch.stop.is_requested() {
                        break;
                    }
                    descend(&mut self.position.readout, &self.gradient.readout, h);
                    descend(&mut self.position.weights, &self.gradient.weights, h);
                    self.differentiate(target, integrator, scratch);
                }
                (false, Transition { acceptance: 1.0, ..still })
            }
            Scheme::Obabo { friction, .. } | Scheme::Marginal { friction } => {
                let energy = self.start(network, integrator, &stream, scratch);
                let heat = self.obabo(target, integrator, friction, steps, &stream, scratch);
                let end = self.potential(network, beta) + total_kinetic(integrator, &scratch.momentum);
                if integrator.marginal() {
                    // Before the verdict: (W′, v) is proposed as a whole, and p(v | W′) cancels
                    // from its acceptance.
                    self.draw_readout(target, beta, &stream, scratch);
                }
                let adjusted = !matches!(integrator.scheme, Scheme::Obabo { metropolis: false, .. });
                (adjusted, Transition { acceptance: 1.0, energy_error: end - energy - heat, energy, diverged: false })
            }
            Scheme::Baoab { friction } => {
                let energy = self.start(network, integrator, &stream, scratch);
                let mut heat = 0.0;
                for step in 0..steps {
                    if scratch.stop.is_requested() {
                        break;
                    }
                    self.kick(network, beta, 0.5 * h, &mut scratch.momentum);
                    self.drift(integrator, 0.5 * h, &scratch.momentum);
                    heat += thermostat(integrator, (-friction * h).exp(), &stream, step, scratch);
                    self.drift(integrator, 0.5 * h, &scratch.momentum);
                    self.differentiate(target, integrator, scratch);
                    self.kick(network, beta, 0.5 * h, &mut scratch.momentum);
                }
                let end = self.potential(network, beta) + total_kinetic(integrator, &scratch.momentum);
                (false, Transition { acceptance: 1.0, energy_error: end - energy - heat, energy, diverged: false })
            }
        };

        let (keep, transition) = if adjusted {
            let uniform = stream.address(Purpose::Accept, 0).uniform();
            metropolis(transition, uniform)
        } else {
            let x = &self.position;
            self.lost = !self.loss.is_finite()
                || strays(&x.readout, RUNAWAY / network.lambda1.sqrt())
                || strays(&x.weights, RUNAWAY / network.lambda0.sqrt());
            let wild = transition.energy_error.abs() > DIVERGENCE;
            (!self.lost, Transition { diverged: self.lost || wild, ..transition })
        };
        if !keep {
            self.position.copy_from(&scratch.saved);
            self.gradient.copy_from(&scratch.saved_gradient);
            (self.loss, self.energy) = (saved_loss, saved_energy);
        }
        scratch.watch.lap(Stage::Update);
        transition
    }

    /// Draws the momentum from N(0, m) and returns the Hamiltonian.
    fn start(
        &self,
        network: &Network,
        integrator: &CpuIntegrator<S>,
        stream: &Stream,
        scratch: &mut Scratch<S>,
    ) -> f64 {
        scratch.watch.lap(Stage::Update);
        integrator.fill(stream, Purpose::Momentum, 0, &mut scratch.noise);
        scratch.watch.lap(Stage::Noise);
        if !integrator.marginal() {
            draw(&mut scratch.momentum.readout, &scratch.noise.readout, &integrator.readout);
        }
        draw(&mut scratch.momentum.weights, &scratch.noise.weights, &integrator.weights);
        self.potential(network, integrator.beta) + total_kinetic(integrator, &scratch.momentum)
    }

    /// BAB steps with refreshments between them; returns the kinetic energy that these brought in.
    fn obabo(
        &mut self,
        target: &Target<S>,
        integrator: &CpuIntegrator<S>,
        friction: f64,
        steps: u32,
        stream: &Stream,
        scratch: &mut Scratch<S>,
    ) -> f64 {
        let (network, h) = (&target.network, integrator.step_size);
        let mut heat = 0.0;
        self.kick(network, integrator.beta, 0.5 * h, &mut scratch.momentum);
        for step in 0..steps {
            if scratch.stop.is_requested() {
                break;
            }
            self.step(integrator, &mut scratch.momentum);
            self.differentiate(target, integrator, scratch);
            if step + 1 == steps {
                self.kick(network, integrator.beta, 0.5 * h, &mut scratch.momentum);
            } else if friction > 0.0 {
                self.kick(network, integrator.beta, 0.5 * h, &mut scratch.momentum);
                heat += thermostat(integrator, (-friction * h).exp(), stream, step, scratch);
                self.kick(network, integrator.beta, 0.5 * h, &mut scratch.momentum);
            } else {
                self.kick(network, integrator.beta, h, &mut scratch.momentum);
            }
        }
        heat
    }

    /// Euler–Maruyama steps with T = 1/β.
    fn ula(
        &mut self,
        target: &Target<S>,
        integrator: &CpuIntegrator<S>,
        steps: u32,
        stream: &Stream,
        scratch: &mut Scratch<S>,
    ) {
        let (network, eta, temperature) = (&target.network, integrator.step_size, 1.0 / integrator.beta);
        for step in 0..steps {
            if scratch.stop.is_requested() {
                break;
            }
            scratch.watch.lap(Stage::Update);
            stream.fill(Purpose::Friction, step, &mut scratch.noise);
            scratch.watch.lap(Stage::Noise);
            let (x, g, xi) = (&mut self.position, &self.gradient, &scratch.noise);
            euler_maruyama(&mut x.readout, &g.readout, &xi.readout, eta, temperature, network.lambda1);
            euler_maruyama(&mut x.weights, &g.weights, &xi.weights, eta, temperature, network.lambda0);
            self.differentiate(target, integrator, scratch);
        }
    }
}

/// The chain's name for its noise and the trajectory's number.
pub fn name(ensemble: &Ensemble, chain: usize, trajectory: u32) -> (u64, u32, u32) {
    let (temperature, replica) = (chain / ensemble.replicas, chain % ensemble.replicas);
    (ensemble.seed, Ensemble::chain_id(temperature, replica), trajectory)
}

fn total_kinetic<S: Scalar>(integrator: &CpuIntegrator<S>, momentum: &Blocks<S>) -> f64 {
    let readout = if integrator.marginal() { 0.0 } else { kinetic(&momentum.readout, &integrator.readout) };
    readout + kinetic(&momentum.weights, &integrator.weights)
}

/// O with `keep` = e^{−γt} in friction slot `slot`; returns the kinetic energy gained.
fn thermostat<S: Scalar>(
    integrator: &CpuIntegrator<S>,
    keep: f64,
    stream: &Stream,
    slot: u32,
    scratch: &mut Scratch<S>,
) -> f64 {
    let before = total_kinetic(integrator, &scratch.momentum);
    scratch.watch.lap(Stage::Update);
    integrator.fill(stream, Purpose::Friction, slot, &mut scratch.noise);
    scratch.watch.lap(Stage::Noise);
    if !integrator.marginal() {
        refresh(&mut scratch.momentum.readout, &scratch.noise.readout, &integrator.readout, keep);
    }
    refresh(&mut scratch.momentum.weights, &scratch.noise.weights, &integrator.weights, keep);
    total_kinetic(integrator, &scratch.momentum) - before
}
