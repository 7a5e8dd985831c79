//! Where the time of a trajectory goes, when someone asks.

use std::time::Instant;

/// The stages that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// H = W′Zᵀ and gZ.
    Products,
    /// σ and σ′.
    Activation,
    /// Output, residual and the readout's part of the gradient, or the readout integrated out and
    /// drawn.
    Readout,
    /// Normal deviates.
    Noise,
    /// Kicks, drifts, refreshments and energies.
    Update,
}

impl Stage {
    pub const ALL: [(Self, &str); 5] = [
        (Self::Products, "products"),
        (Self::Activation, "activation"),
        (Self::Readout, "readout"),
        (Self::Noise, "noise"),
        (Self::Update, "update"),
    ];
}

/// The clock of one thread. It stands still, and costs a branch, unless it was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopwatch {
    last: Option<Instant>,
    seconds: [f64; Stage::ALL.len()],
}

impl Stopwatch {
    /// Counts from now, and from zero.
    pub fn start(&mut self) {
        *self = Self { last: Some(Instant::now()), ..Self::default() };
    }

    /// Time that passes between laps belongs to the stage that ends with the second; what passes
    /// before `resume` belongs to none.
    pub fn resume(&mut self) {
        if let Some(last) = &mut self.last {
            *last = Instant::now();
        }
    }

    /// A stage has ended.
    #[inline(always)]
    pub fn lap(&mut self, stage: Stage) {
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            self.seconds[stage as usize] += (now - *last).as_secs_f64();
            *last = now;
        }
    }

    /// Stops, and returns the seconds of every stage.
    pub fn stop(&mut self) -> [f64; Stage::ALL.len()] {
        self.last = None;
        self.seconds
    }
}
