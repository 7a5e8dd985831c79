//! Markov chains on the measure of one unit, for tilts so strong that reweighted prior draws have
//! lost their effective sample size.
//!
//! Chains hold a w ⟨v²⟩_w times as often as the measure does, and draws have the weight 1/⟨v²⟩_w,
//! which is bounded by 1 + q: a far mode in which one unit in fifty carries a third of ⟨v²⟩ holds a
//! third of the chains then, and not a fiftieth.
//!
//! In the coordinates x = √λ0 w' the prior is the standard Gaussian and the rest of the potential
//! is Ψ(x) = −ln of ⟨v²⟩ times the tilt. Hamiltonian trajectories are split so that the prior part
//! is solved exactly, whatever the dimension (Beskos et al., Stoch. Proc. Appl. 121, 2201, 2011):
//!
//! ```text
//! p ← p − (h/2)∇Ψ        (x, p) ← rotation by the angle h        p ← p − (h/2)∇Ψ
//! ```
//!
//! and are accepted with probability min(1, e^{−Δ(Ψ + ½‖x‖² + ½‖p‖²)}). After each, x·û' is drawn
//! anew from the mixture of widened Gaussians that prior draws take it from, the rest of x staying,
//! and accepted by Metropolis and Hastings: far modes lie along û, and trajectories alone would
//! need hundreds to reach one or to leave it. Chains start from the prior. All move together, so
//! that a gradient is a few matrix products, and they can go on while the measure changes.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::block::{Block, WIDENINGS, address, log_prior_over_widened, tested};
use super::draws::Draws;
use super::measure::{Measure, UnitAction};
use super::mixture::{Mixture, MixtureTilt};
use crate::host::stop::{Stop, Stopped};
use crate::model::{Network, Problem};
use crate::theory::Theory;

/// How many chains, how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainParams {
    pub chains: usize,
    /// Trajectories before any is kept.
    pub warmup: usize,
    /// Trajectories kept.
    pub draws: usize,
}

/// Chains that move in one matrix.
const TOGETHER: usize = 32;

/// Acceptance rate that warm-up aims at.
const TARGET: f64 = 0.85;

/// Angle of a trajectory: a quarter turn exchanges position and momentum of the prior.
const ANGLE: f64 = std::f64::consts::FRAC_PI_2;

/// Largest step, in radians.
const LARGEST_STEP: f64 = 0.8;

/// A bundle of chains, one per column.
struct Bundle {
    index: u32,
    /// x.
    position: Mat<f64>,
    state: State,
    accepted: f64,
}

/// What depends on the position.
#[derive(Clone)]
pub(super) struct State {
    pub features: Mat<f64>,
    /// Ψ.
    potential: Vec<f64>,
    /// ∇Ψ.
    gradient: Mat<f64>,
    pub actions: Vec<UnitAction>,
    /// φ·Be/√(λ1N1).
    pub responses: Vec<f64>,
    tilts: Vec<MixtureTilt>,
}

/// What chains move on.
pub(super) struct Target<'a> {
    pub problem: &'a Problem,
    pub network: &'a Network,
    pub measure: &'a Measure,
    /// The fields of a unit about that of `measure`, where one does not stand for all.
    pub mixture: Option<&'a Mixture>,
    /// û'.
    pub direction: &'a [f64],
    pub stop: &'a Stop,
}

/// Many chains in one step of their life.
pub(super) struct Chains {
    bundles: Vec<Bundle>,
    set: u32,
    trajectory: u32,
    step: f64,
}

/// Draws from the measure. Each chain is one group of [`Draws`]; their `log_base` makes their
/// weights under this very measure equal.
///
/// # Errors
/// [`Stopped`] on request, as all that moves chains.
pub(super) fn sample(
    theory: &Theory,
    measure: &Measure,
    direction: &[f64],
    params: &ChainParams,
    set: u32,
    stop: &Stop,
) -> Result<Draws, Stopped> {
    let (problem, network) = (&theory.problem, &theory.network);
    let target = Target { problem, network, measure, mixture: None, direction, stop };
    let mut chains = Chains::start(&target, params.chains, set)?;
    for trajectory in 0..params.warmup {
        chains.adapt(&target, trajectory)?;
    }
    let mut blocks = Vec::new();
    for _ in 0..params.draws {
        chains.advance(&target)?;
        blocks.extend(chains.record(&target)?);
    }
    Draws::from_chains(blocks, chains.count(), measure, stop)
}

impl Chains {
    /// At least `count` chains, from prior draws.
    pub fn start(target: &Target<'_>, count: usize, set: u32) -> Result<Self, Stopped> {
        let bundles = 0..count.div_ceil(TOGETHER).max(1) as u32;
        let bundles = bundles.into_par_iter().map(|index| target.start(index, set)).collect::<Result<_, _>>()?;
        Ok(Self { bundles, set, trajectory: 0, step: 0.3 })
    }

    pub fn count(&self) -> usize {
        self.bundles.len() * TOGETHER
    }

    /// Goes on in another measure.
    pub fn enter(&mut self, target: &Target<'_>) -> Result<(), Stopped> {
        self.bundles.par_iter_mut().try_for_each(|bundle| {
            bundle.state = target.state(&bundle.position)?;
            Ok(())
        })
    }

    /// One trajectory of every chain and one redrawing along û; returns the mean acceptance
    /// probability of the trajectories.
    pub fn advance(&mut self, target: &Target<'_>) -> Result<f64, Stopped> {
        let (set, trajectory, step) = (self.set, self.trajectory, self.step);
        // The same length for all, since they move together; its jitter breaks resonances.
        let jitter = 0.6 + 0.8 * address(set, trajectory, 4).uniform();
        let steps = (jitter * ANGLE / step).round().max(1.0) as usize;
        self.bundles.par_iter_mut().try_for_each(|bundle| {
            let noise = Noise { set, index: trajectory * 4096 + bundle.index };
            target.trajectory(bundle, step, steps, &noise)?;
            target.redraw_along(bundle, &noise)
        })?;
        self.trajectory += 1;
        Ok(self.bundles.iter().map(|bundle| bundle.accepted).sum::<f64>() / self.bundles.len() as f64)
    }

    /// [`Chains::advance`], and the step changed by Robbins–Monro in ln h: fast at first, then
    /// averaging.
    pub fn adapt(&mut self, target: &Target<'_>, since: usize) -> Result<(), Stopped> {
        let rate = self.advance(target)?;
        let gain = 2.0 / (1.0 + since as f64).powf(0.6);
        self.step = (self.step * (gain * (rate - TARGET)).exp()).clamp(1e-4, LARGEST_STEP);
        Ok(())
    }

    /// The draws that the chains are at, a block per bundle.
    pub fn record(&self, target: &Target<'_>) -> Result<Vec<Block>, Stopped> {
        let trajectory = self.trajectory.saturating_sub(1);
        let record = |bundle: &Bundle| {
            target.stop.check()?;
            Ok(target.record(bundle, &Noise { set: self.set, index: trajectory * 4096 + bundle.index }))
        };
        self.bundles.par_iter().map(record).collect()
    }

    /// Of every bundle its state and, per chain, the averages over the fields given w.
    pub fn units(&self) -> impl Iterator<Item = (&State, &[MixtureTilt])> {
        self.bundles.iter().map(|bundle| (&bundle.state, bundle.state.tilts.as_slice()))
    }
}

/// Names the random numbers of one bundle in one trajectory.
struct Noise {
    set: u32,
    index: u32,
}

impl Noise {
    fn normals(&self, step: u32, count: usize) -> Vec<f64> {
        let mut noise = vec![0.0; count];
        address(self.set, self.index, step).normals(&mut noise);
        noise
    }

    fn uniform(&self, step: u32, k: usize) -> f64 {
        address(self.set, self.index, step + k as u32).uniform()
    }
}

/// What the random numbers of a trajectory are for; from the last four on there is one for every
/// chain.
const MOMENTUM: u32 = 2;
const ALONG: u32 = 3;
const TESTED: u32 = 8;
const ACCEPTANCE: u32 = 16;
const WIDENING: u32 = 64;
const ACCEPTANCE_ALONG: u32 = 128;
const FIELD: u32 = 192;

impl Target<'_> {
    fn start(&self, index: u32, set: u32) -> Result<Bundle, Stopped> {
        let rank = self.problem.rank();
        let mut noise = vec![0.0f64; TOGETHER * rank];
        address(set, index, 1).normals(&mut noise);
        let position = Mat::from_fn(rank, TOGETHER, |j, i| noise[i * rank + j]);
        Ok(Bundle { index, state: self.state(&position)?, position, accepted: 0.0 })
    }

    fn tilt(&self, action: UnitAction, response: f64) -> MixtureTilt {
        match self.mixture {
            Some(mixture) => MixtureTilt::new(action, response, mixture.fields()),
            None => MixtureTilt::new(action, response, std::iter::once((0.0, 0.0))),
        }
    }

    fn trajectory(&self, bundle: &mut Bundle, step: f64, steps: usize, noise: &Noise) -> Result<(), Stopped> {
        let rank = self.problem.rank();
        let normals = noise.normals(MOMENTUM, TOGETHER * rank);
        let mut momentum = Mat::from_fn(rank, TOGETHER, |j, i| normals[i * rank + j]);
        let mut position = bundle.position.clone();
        let before = energies(&position, &momentum, &bundle.state);
        let (sin, cos) = step.sin_cos();
        let mut state = bundle.state.clone();
        for _ in 0..steps {
            momentum -= faer::Scale(0.5 * step) * &state.gradient;
            for (x, p) in position.col_iter_mut().zip(momentum.col_iter_mut()) {
                for (x, p) in x.iter_mut().zip(p.iter_mut()) {
                    (*x, *p) = (cos * *x + sin * *p, cos * *p - sin * *x);
                }
            }
            state = self.state(&position)?;
            momentum -= faer::Scale(0.5 * step) * &state.gradient;
        }
        let after = energies(&position, &momentum, &state);
        bundle.accepted = 0.0;
        for (k, (before, after)) in before.iter().zip(&after).enumerate() {
            let probability = (before - after).exp().min(1.0);
            // A NaN is never accepted.
            if noise.uniform(ACCEPTANCE, k) < probability {
                bundle.adopt(&position, &state, k);
            }
            bundle.accepted += if probability.is_nan() { 0.0 } else { probability } / TOGETHER as f64;
        }
        Ok(())
    }

    /// Draws x·û' anew, where there is a û'.
    fn redraw_along(&self, bundle: &mut Bundle, noise: &Noise) -> Result<(), Stopped> {
        if self.direction.iter().all(|u| *u == 0.0) {
            return Ok(());
        }
        let normals = noise.normals(ALONG, TOGETHER);
        let along = |x: faer::ColRef<'_, f64>| x.iter().zip(self.direction).map(|(x, u)| x * u).sum::<f64>();
        let before: Vec<f64> = bundle.position.col_iter().map(along).collect();
        let after: Vec<f64> = (normals.iter().enumerate())
            .map(|(k, z)| {
                let component = (noise.uniform(WIDENING, k) * WIDENINGS.len() as f64) as usize;
                z * WIDENINGS[component.min(WIDENINGS.len() - 1)].sqrt()
            })
            .collect();
        let mut position = bundle.position.clone();
        for (k, column) in position.col_iter_mut().enumerate() {
            column.iter_mut().zip(self.direction).for_each(|(x, u)| *x += (after[k] - before[k]) * u);
        }
        let state = self.state(&position)?;
        for k in 0..TOGETHER {
            let gain = bundle.state.potential[k] - state.potential[k];
            let log = gain + log_prior_over_widened(after[k]) - log_prior_over_widened(before[k]);
            if noise.uniform(ACCEPTANCE_ALONG, k) < log.exp() {
                bundle.adopt(&position, &state, k);
            }
        }
        Ok(())
    }

    /// Ψ and its gradient: with s_q, s_m, s_r the slopes in q, m and the response, ∇_φ = s_q
    /// 2Bφ/(λ1N1) + (s_m a + s_r Be)/√(λ1N1), and ∇_x = −Zᵀ(σ'(h)∘∇_φ)/√λ0.
    fn state(&self, position: &Mat<f64>) -> Result<State, Stopped> {
        let Target { problem, network, measure, stop, .. } = self;
        stop.check()?;
        let deviation = 1.0 / network.lambda0.sqrt();
        let (points, chains) = (problem.points(), position.ncols());
        let mut h = Mat::zeros(points, chains);
        matmul(h.as_mut(), Accum::Replace, problem.z_train.as_ref(), position.as_ref(), deviation, Par::Seq);
        let mut features = h.clone();
        for column in features.col_iter_mut() {
            column.iter_mut().for_each(|h| *h = network.activation.sigma(*h));
        }
        let mut product = Mat::new();
        let actions = measure.actions(features.as_ref(), &mut product);
        let responses = measure.responses(features.as_ref());
        let tilts: Vec<MixtureTilt> =
            actions.iter().zip(&responses).map(|(&action, &response)| self.tilt(action, response)).collect();
        let scale = measure.scale();
        for (k, tilt) in tilts.iter().enumerate() {
            let [on_q, on_m, on_response] = tilt.slopes;
            let (on_product, on_dual_field, on_response) =
                (2.0 * on_q / scale, on_m / scale.sqrt(), on_response / scale.sqrt());
            let mut images = product.col_mut(k);
            for (image, a) in images.as_mut().iter_mut().zip(&measure.dual_field) {
                *image = on_product * *image + on_dual_field * a;
            }
            for (image, response) in images.as_mut().iter_mut().zip(&measure.field_response) {
                *image += on_response * response;
            }
            for (image, h) in images.iter_mut().zip(h.col(k).iter()) {
                *image *= network.activation.sigma_prime(*h);
            }
        }
        let mut gradient = Mat::zeros(position.nrows(), chains);
        matmul(gradient.as_mut(), Accum::Replace, problem.z_train.transpose(), product.as_ref(), -deviation, Par::Seq);
        let potential = tilts.iter().map(|tilt| -tilt.log_sized).collect();
        Ok(State { features, potential, gradient, actions, responses, tilts })
    }

    fn record(&self, bundle: &Bundle, noise: &Noise) -> Block {
        let deviation = 1.0 / self.network.lambda0.sqrt();
        let along =
            |x: faer::ColRef<'_, f64>| -> f64 { x.iter().zip(self.direction).map(|(x, u)| deviation * x * u).sum() };
        let weights = &bundle.position * faer::Scale(deviation);
        let State { features, actions, responses, tilts, .. } = &bundle.state;
        let offsets = self.mixture.map(|mixture| {
            let pick = |(k, (action, response)): (usize, (&UnitAction, &f64))| {
                mixture.pick(*action, *response, noise.uniform(FIELD, k))
            };
            actions.iter().zip(responses).enumerate().map(pick).collect()
        });
        let outside = address(noise.set, noise.index, TESTED);
        Block {
            features: features.clone(),
            tested: tested(self.problem, self.network, &weights, &outside),
            outside,
            weights,
            along: bundle.position.col_iter().map(along).collect(),
            log_base: tilts.iter().map(|tilt| -tilt.square.ln()).collect(),
            offsets: offsets.unwrap_or_default(),
        }
    }
}

impl Bundle {
    /// Moves chain `k` to where it stands in `position`.
    fn adopt(&mut self, position: &Mat<f64>, state: &State, k: usize) {
        self.position.col_mut(k).copy_from(position.col(k));
        self.state.adopt(state, k);
    }
}

impl State {
    /// Takes over chain `k` of `other`.
    fn adopt(&mut self, other: &Self, k: usize) {
        self.features.col_mut(k).copy_from(other.features.col(k));
        self.gradient.col_mut(k).copy_from(other.gradient.col(k));
        self.potential[k] = other.potential[k];
        self.actions[k] = other.actions[k];
        self.responses[k] = other.responses[k];
        self.tilts[k] = other.tilts[k];
    }
}

/// Ψ + ½‖x‖² + ½‖p‖² of every chain.
fn energies(position: &Mat<f64>, momentum: &Mat<f64>, state: &State) -> Vec<f64> {
    let squares = |column: faer::ColRef<'_, f64>| column.squared_norm_l2();
    (state.potential.iter().zip(position.col_iter()).zip(momentum.col_iter()))
        .map(|((potential, x), p)| potential + 0.5 * (squares(x) + squares(p)))
        .collect()
}
