//! What every backend must do with its saved state: go on as if nothing had happened, and refuse
//! what is not its own.

use featherm::backend::{Backend, IntegratorParams, Outcome, PredictiveBatch, Round};

/// All that is known of a backend after `outcomes`; Debug prints every bit of a number.
fn everything(backend: &dyn Backend, outcomes: &[Outcome]) -> String {
    format!("{outcomes:?}\n{:?}\n{:?}", backend.accumulated().unwrap(), backend.weights().unwrap())
}

/// Cuts a run at every round by saving, and restores into a new backend; `other` is of another
/// ensemble.
pub fn assert_goes_on(
    new: &dyn Fn() -> Box<dyn Backend>,
    other: &dyn Fn() -> Box<dyn Backend>,
    moves: &[IntegratorParams],
    rounds: &[Round],
) {
    let mut whole = new();
    let outcomes = whole.run(moves, rounds).unwrap();
    for cut in 0..rounds.len() {
        let (before, after) = rounds.split_at(cut);
        let mut first = new();
        first.run(moves, before).unwrap();
        let mut saved = Vec::new();
        first.save(&mut saved).unwrap();
        let mut second = new();
        if cut == 1 {
            // What is left of another life must not show.
            second.run(moves, after).unwrap();
        }
        assert!(second.restore(&saved).unwrap());
        let rest = second.run(moves, after).unwrap();
        let goes_on = everything(second.as_ref(), &rest);
        assert!(goes_on == everything(whole.as_ref(), &outcomes[cut..]), "cut before round {cut}");
        if cut > 0 {
            let mut fresh = new();
            let rest = fresh.run(moves, after).unwrap();
            assert!(everything(fresh.as_ref(), &rest) != goes_on, "the control: without its state it goes another way");
        }
    }
    let mut saved = Vec::new();
    whole.save(&mut saved).unwrap();
    let before = everything(whole.as_ref(), &[]);
    let mut foreign = Vec::new();
    other().save(&mut foreign).unwrap();
    let longer = [&saved[..], &[0]].concat();
    for wrong in [&saved[..saved.len() - 1], &longer, &foreign, &[]] {
        assert!(!whole.restore(wrong).unwrap());
        assert!(everything(whole.as_ref(), &[]) == before, "a refused state changes nothing");
    }
}

/// Merged batches hold the sums of what they were made of.
pub fn assert_merges(backend: &mut dyn Backend) {
    let before = backend.accumulated().unwrap().predictive;
    backend.merge_batches().unwrap();
    let after = backend.accumulated().unwrap().predictive;
    for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
        let mut expected = before.clone();
        PredictiveBatch::merge_pairs(&mut expected);
        assert!(expected.iter().any(|batch| batch.draws > before[0].draws), "something was merged");
        assert_eq!(after.len(), before.len());
        for (found, expected) in after.iter().zip(&expected) {
            assert_eq!(found.draws, expected.draws);
            let pairs = found.sum.iter().zip(&expected.sum);
            for (a, b) in pairs.chain(found.sum_of_squares.iter().zip(&expected.sum_of_squares)) {
                // Sums on a device have the 48 bits of two float32.
                assert!((a - b).abs() <= 1e-13 * b.abs().max(1.0), "{a} and {b}");
            }
        }
    }
}
