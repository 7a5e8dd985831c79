//! From the tuning of a temperature to the rounds that the backend plays.

use super::tempering::Ladder;
use crate::backend::{IntegratorParams, Mass, Observation, Round, Scheme};
use crate::sampler::{Readout, SamplerKind};

/// How the chains of one temperature move, frozen after warm-up.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tuning {
    /// Step length h.
    pub step_size: f64,
    /// Steps L per trajectory.
    pub steps: u32,
    pub mass: Mass,
}

impl Tuning {
    /// Duration hL of a trajectory.
    pub fn duration(&self) -> f64 {
        self.step_size * f64::from(self.steps)
    }

    /// Friction γ. Malt forgets its momentum about once per trajectory, which takes the place of a
    /// jittered length; for the unadjusted `baoab` the unit of time is that of a prior-like
    /// direction, where γ = 1 is near critical damping.
    pub fn friction(&self, kind: SamplerKind) -> f64 {
        match kind {
            SamplerKind::Malt => 1.0 / self.duration(),
            SamplerKind::Baoab => 1.0,
            SamplerKind::Hmc | SamplerKind::Mala | SamplerKind::Ula => 0.0,
        }
    }

    /// The move that this tuning describes. The unadjusted samplers have one treatment of the
    /// readout, whatever is asked.
    pub fn integrator(&self, kind: SamplerKind, readout: Readout, beta: f64) -> IntegratorParams {
        let friction = self.friction(kind);
        let scheme = match kind {
            SamplerKind::Malt | SamplerKind::Hmc | SamplerKind::Mala => match readout {
                Readout::Integrated => Scheme::Marginal { friction },
                Readout::Sampled => Scheme::Obabo { friction, metropolis: true },
            },
            SamplerKind::Baoab => Scheme::Baoab { friction },
            SamplerKind::Ula => Scheme::Ula,
        };
        IntegratorParams { beta, scheme, step_size: self.step_size, mass: self.mass.clone() }
    }
}

/// The round of `trajectory`: the steps of every temperature, and what follows the trajectory.
pub fn round(
    kind: SamplerKind,
    tunings: &[Tuning],
    trajectory: u32,
    ladder: &mut Ladder,
    observe: Option<Observation>,
) -> Round {
    let steps = tunings.iter().map(|tuning| jittered(kind, tuning.steps, trajectory)).collect();
    Round { trajectory, steps, exchange: ladder.next(), observe }
}

/// Without friction a fixed duration can resonate with a mode of the target, so `hmc` takes ⌈2uL⌉
/// steps with u from the base-3 van der Corput sequence (as in ChEES-HMC, Hoffman, Radul & Sountsov
/// 2021). The length does not depend on the chain's state, so the target stays exact.
fn jittered(kind: SamplerKind, steps: u32, trajectory: u32) -> u32 {
    if kind != SamplerKind::Hmc {
        return steps;
    }
    // Base 2 would pair long and short trajectories with the two parities of the exchange.
    let (mut u, mut place, mut rest) = (0.0, 1.0, trajectory);
    while rest > 0 {
        place /= 3.0;
        u += place * f64::from(rest % 3);
        rest /= 3;
    }
    ((2.0 * u * f64::from(steps)).ceil() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jittered_lengths_have_the_wanted_mean_and_spread() {
        let lengths: Vec<u32> = (0..729).map(|t| jittered(SamplerKind::Hmc, 10, t)).collect();
        let mean = lengths.iter().sum::<u32>() as f64 / 729.0;
        assert!((mean - 10.5).abs() < 0.1, "{mean}");
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&1), Some(&20)));
        assert_eq!(jittered(SamplerKind::Malt, 10, 3), 10);
    }
}
