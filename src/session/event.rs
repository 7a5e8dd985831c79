//! What a session tells of itself while it runs.

use super::live::Live;
use crate::sampler;

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Phase {
    /// Kernels, then every theory at every temperature.
    #[default]
    Theory,
    /// Trajectories whose tuning is still being adapted.
    WarmUp,
    /// Trajectories that are measured.
    Sampling,
}

impl Phase {
    /// The machine-readable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Theory => "theory",
            Self::WarmUp => "warm-up",
            Self::Sampling => "sampling",
        }
    }
}

impl From<sampler::Phase> for Phase {
    fn from(phase: sampler::Phase) -> Self {
        match phase {
            sampler::Phase::WarmUp => Self::WarmUp,
            sampler::Phase::Sampling => Self::Sampling,
        }
    }
}

/// Where a run stands. The listener's answer goes on with the run or stops it within 0.2 s.
///
/// Events come after every piece of work, and at least every [`HEARTBEAT`](super::HEARTBEAT) while
/// a piece takes longer; such an event repeats the last.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Event {
    /// The part of the run.
    pub phase: Phase,
    /// What is done of this phase: solutions of theories at a temperature, or trajectories.
    pub done: usize,
    /// All that there is to do in this phase.
    pub total: usize,
    /// Gradients of one chain, summed over chains, since the run began.
    pub gradients: u64,
    /// R̂ and ESS of D² at every temperature, over the draws so far; `None` where they were not
    /// evaluated anew since the last event.
    pub live: Option<Vec<Live>>,
}
