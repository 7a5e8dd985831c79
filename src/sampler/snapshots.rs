//! Weights of every chain at evenly spaced draws, of which a run keeps as many as were asked for,
//! however many draws it comes to take.
//!
//! Which draws these are depends on the draws taken and not on how many are planned, so that a run
//! that is extended, or interrupted, has the snapshots of a run that was planned that long: one in
//! every 2^k draws is kept, and when they are twice as many as were asked for, every other one is
//! let go.

use serde::{Deserialize, Serialize};

use crate::backend::Weights;

/// Weights of all chains after some draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Draws taken, this one counted.
    pub draws: usize,
    /// Of every chain, ordered by temperature, then replica: v (N1) and W′ (N1, r) row-major, in
    /// float32 as chains are unless asked otherwise.
    pub chains: Vec<(Vec<f32>, Vec<f32>)>,
}

/// The snapshots of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshots {
    kept: Vec<Snapshot>,
}

/// Draws from one snapshot to the next, after `draws` draws, when `wanted` are to be had in the
/// end.
fn spacing(draws: usize, wanted: usize) -> usize {
    let mut spacing = 1;
    while 2 * wanted * spacing <= draws {
        spacing *= 2;
    }
    spacing
}

/// Whether one is due after `draws` draws.
pub fn due(draws: usize, wanted: usize) -> bool {
    wanted > 0 && draws > 0 && draws.is_multiple_of(spacing(draws, wanted))
}

/// Most snapshots held at a time.
pub fn most(wanted: usize) -> usize {
    2 * wanted
}

impl Snapshots {
    /// Takes the one that is due.
    pub fn take(&mut self, draws: usize, wanted: usize, weights: &[Weights]) {
        let spacing = spacing(draws, wanted);
        self.kept.retain(|snapshot| snapshot.draws.is_multiple_of(spacing));
        let single = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let chains = weights.iter().map(|w| (single(&w.readout), single(&w.rotated))).collect();
        self.kept.push(Snapshot { draws, chains });
    }

    /// `wanted` of them as evenly as can be, the last one among them; all where there are fewer.
    pub fn chosen(&self, wanted: usize) -> Vec<&Snapshot> {
        let (held, chosen) = (self.kept.len(), self.kept.len().min(wanted));
        (1..=chosen).map(|k| &self.kept[k * held / chosen - 1]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as were asked for, evenly spaced up to the end, and nothing depends on what comes
    /// later.
    #[test]
    fn snapshots_are_evenly_spaced_whenever_the_run_ends() {
        for wanted in [1, 2, 3, 7] {
            let mut snapshots = Snapshots::default();
            for draws in 1..300 {
                if due(draws, wanted) {
                    snapshots.take(draws, wanted, &[]);
                }
                assert!(snapshots.kept.len() <= most(wanted));
                let chosen: Vec<usize> = snapshots.chosen(wanted).iter().map(|s| s.draws).collect();
                assert_eq!(chosen.len(), wanted.min(draws));
                let spacing = spacing(draws, wanted);
                assert!(draws - chosen[chosen.len() - 1] < spacing);
                let gaps: Vec<usize> = chosen.windows(2).map(|pair| pair[1] - pair[0]).collect();
                assert!(
                    gaps.iter().all(|&gap| gap == spacing || gap == 2 * spacing),
                    "{wanted} at {draws}: {chosen:?}"
                );
            }
        }
    }
}
