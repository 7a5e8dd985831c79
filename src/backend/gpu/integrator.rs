//! The integrator of one temperature, as the numbers that the shaders read.

use super::slots::{IntegratorSlot, KernelScheme};
use crate::backend::{IntegratorParams, Scheme, harmonic_flow};

/// The integrator of one temperature, in the numbers that `integrator_of` in shaders/update.wgsl
/// reads.
#[derive(Debug, Clone)]
pub struct GpuIntegrator {
    pub(super) head: [f64; IntegratorSlot::COUNT],
    pub(super) weights: Vec<f64>,
    /// How each direction of W′ turns in a step of [`Scheme::Marginal`].
    pub(super) harmonic_flow: Vec<[f64; 3]>,
}

impl GpuIntegrator {
    /// The numbers of an integrator, with the prior precisions λ0 and λ1.
    pub fn new(params: &IntegratorParams, lambda: [f64; 2]) -> Self {
        let (h, beta, mass) = (params.step_size, params.beta, params.mass.readout);
        let (scheme, metropolis, time, friction) = match params.scheme {
            Scheme::Obabo { friction, metropolis } => (KernelScheme::Obabo, metropolis, h, friction),
            Scheme::Marginal { friction } => (KernelScheme::Marginal, true, 0.0, friction),
            Scheme::Baoab { friction } => (KernelScheme::Baoab, false, 0.5 * h, friction),
            Scheme::Ula | Scheme::Descent => (KernelScheme::Ula, false, 0.0, 0.0),
        };
        let keep = (-friction * h).exp();
        // V has β within it, and the prior turns W′ in every step.
        let marginal = matches!(params.scheme, Scheme::Marginal { .. });
        let prior = lambda.map(|lambda| if marginal { 0.0 } else { 0.5 * h * lambda });
        let turn = |m: &f64| if marginal { harmonic_flow(*m, lambda[0], h) } else { [0.0; 3] };
        let (shrink, amplitude) = match params.scheme {
            Scheme::Ula => (lambda.map(|lambda| 1.0 - h / beta * lambda), (2.0 * h / beta).sqrt()),
            // ULA's step without its noise and its prior.
            Scheme::Descent => ([1.0; 2], 0.0),
            _ => ([0.0; 2], 0.0),
        };
        let head = IntegratorSlot::ALL.map(|slot| match slot {
            IntegratorSlot::Scheme => f64::from(scheme as u32),
            IntegratorSlot::Metropolis => f64::from(u8::from(metropolis)),
            IntegratorSlot::Beta => beta,
            IntegratorSlot::Time => time,
            IntegratorSlot::Force if marginal => 0.5 * h,
            IntegratorSlot::Force => 0.5 * h * beta,
            IntegratorSlot::WeightPrior => prior[0],
            IntegratorSlot::ReadoutPrior => prior[1],
            IntegratorSlot::Keep => keep,
            IntegratorSlot::Fresh => (1.0 - keep * keep).sqrt(),
            IntegratorSlot::Inverse => 1.0 / mass,
            IntegratorSlot::Root => mass.sqrt(),
            IntegratorSlot::WeightShrink => shrink[0],
            IntegratorSlot::ReadoutShrink => shrink[1],
            IntegratorSlot::Rate => h,
            IntegratorSlot::Amplitude => amplitude,
        });
        let harmonic_flow = params.mass.weights.iter().map(turn).collect();
        Self { head, weights: params.mass.weights.clone(), harmonic_flow }
    }

    /// An integrator that moves nothing: only the loss and the gradient at the position are found.
    pub fn frozen(rank: usize) -> Self {
        let mut head = [0.0; IntegratorSlot::COUNT];
        head[IntegratorSlot::Scheme as usize] = f64::from(KernelScheme::Frozen as u32);
        Self { head, weights: vec![1.0; rank], harmonic_flow: vec![[0.0; 3]; rank] }
    }
}
