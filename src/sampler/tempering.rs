//! Replica exchange along the ladder of temperatures: the deterministic even/odd scheme, and the
//! account of how states travel.

use super::SamplerPlan;
use crate::backend::{Outcome, Parity};

/// The ladder of temperatures and where the states that climb it have been.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Ladder {
    temperatures: usize,
    enabled: bool,
    next: Parity,
    /// Parities handed out and not yet accounted for, oldest first.
    pending: Vec<Parity>,
    /// The end of the ladder that the state at (temperature, replica) touched last.
    last_end: Vec<Option<End>>,
    attempts: Vec<usize>,
    accepted: Vec<usize>,
    round_trips: usize,
    counted_rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum End {
    Hot,
    /// At the cold end, having come from the hot one.
    Cold,
}

/// Exchange between neighbouring temperatures over the draws.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ExchangeReport {
    /// Acceptance rate of every pair of neighbours, from the hot end.
    pub rates: Vec<f64>,
    /// Journeys hot → cold → hot completed, over all states.
    pub round_trips: usize,
}

impl Ladder {
    pub fn new(plan: &SamplerPlan) -> Self {
        let temperatures = plan.betas.len();
        Self {
            temperatures,
            enabled: plan.tempering && temperatures > 1,
            next: Parity::Even,
            pending: Vec::new(),
            last_end: Vec::new(),
            attempts: vec![0; temperatures.saturating_sub(1)],
            accepted: vec![0; temperatures.saturating_sub(1)],
            round_trips: 0,
            counted_rounds: 0,
        }
    }

    /// The exchange that follows the next trajectory: even and odd pairs take turns, which makes
    /// states drift along the ladder instead of diffusing (Okabe et al. 2001; Syed, Bouchard-Côté,
    /// Deligiannidis & Doucet 2022).
    pub fn next(&mut self) -> Option<Parity> {
        if !self.enabled {
            return None;
        }
        let parity = self.next;
        self.next = match parity {
            Parity::Even => Parity::Odd,
            Parity::Odd => Parity::Even,
        };
        self.pending.push(parity);
        Some(parity)
    }

    /// Accounts for the rounds just played; `counted` ones enter the report.
    pub fn record(&mut self, outcomes: &[Outcome], counted: bool) {
        if !self.enabled {
            return;
        }
        for (outcome, parity) in outcomes.iter().zip(std::mem::take(&mut self.pending)) {
            let replicas = outcome.transitions.len() / self.temperatures;
            self.last_end.resize(outcome.transitions.len(), None);
            let mut exchanged = outcome.exchanged.iter();
            for lower in parity.pairs(self.temperatures) {
                for (replica, &accepted) in exchanged.by_ref().take(replicas).enumerate() {
                    let (a, b) = (lower * replicas + replica, (lower + 1) * replicas + replica);
                    if accepted {
                        self.last_end.swap(a, b);
                    }
                    if counted {
                        self.attempts[lower] += 1;
                        self.accepted[lower] += usize::from(accepted);
                    }
                }
            }
            let cold = (self.temperatures - 1) * replicas;
            for replica in 0..replicas {
                let hot_end = &mut self.last_end[replica];
                if *hot_end == Some(End::Cold) && counted {
                    self.round_trips += 1;
                }
                *hot_end = Some(End::Hot);
                let cold_end = &mut self.last_end[cold + replica];
                if *cold_end == Some(End::Hot) {
                    *cold_end = Some(End::Cold);
                }
            }
            self.counted_rounds += usize::from(counted);
        }
    }

    pub fn report(&self) -> Option<ExchangeReport> {
        (self.enabled && self.counted_rounds > 0).then(|| {
            let rate = |(&accepted, &attempts): (&usize, &usize)| accepted as f64 / (attempts as f64).max(1.0);
            let rates = self.accepted.iter().zip(&self.attempts).map(rate).collect();
            ExchangeReport { rates, round_trips: self.round_trips }
        })
    }
}
