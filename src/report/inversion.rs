//! The inversion of class manifolds along descent in words.

use crate::results::{short, with_error};
use crate::studies::descent::{Inversion, Spread};

/// The symbol of a D², from the name of its track.
fn symbol(observable: &str) -> String {
    observable.replace("centroid_distance_sq_test", "D² test").replace("centroid_distance_sq", "D²")
}

/// Where the starts have their maximum, where their mean has it, and whether that is an inversion:
/// two sentences.
pub fn sentences(found: &Inversion) -> String {
    let symbol = symbol(&found.observable);
    let starts = found.peaks.len();
    let interior = found.peaks.iter().filter(|peak| peak.interior).count();
    let mut text = format!(
        "{symbol} is largest inside the path in {interior} of {starts} starts ({})",
        with_error(Some(found.interior_fraction), Some(found.interior_fraction_error))
    );
    if let (Some(loss), Some(fall)) = (&found.train_loss, &found.relative_fall) {
        text += &format!(
            ", at L/P = {}, and falls by {} % from there to the last record",
            with_error(Some(loss.mean), loss.error),
            with_error(Some(100.0 * fall.mean), fall.error.map(|error| 100.0 * error))
        );
    }
    let mean = &found.mean;
    let change = |spread: &Spread| with_error(Some(spread.mean), spread.error);
    let loss = short(mean.train_loss);
    text += &format!(". Its mean is largest, {:.5}, at step {}, L/P = {loss}", mean.value, mean.step);
    text += &match (mean.interior, found.inverts) {
        (false, _) => ", not above both ends of the path: no inversion.".into(),
        (true, verdict) => {
            let verdict = match verdict {
                Some(true) => "an inversion, both by more than three standard errors",
                Some(false) => "no inversion is claimed, as one of them is less than three standard errors",
                None => "with fewer than four starts no inversion is claimed",
            };
            format!(
                ", {} above the first record and {} above the last: {verdict}.",
                change(&mean.rise),
                change(&mean.fall)
            )
        }
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studies::descent::{MeanPeak, Peak};

    fn found(interior: bool, inverts: Option<bool>) -> Inversion {
        let spread = |mean, error| Spread { mean, sd: Some(2.0 * error), error: Some(error) };
        let peak = Peak { step: 7, train_loss: 0.02, value: 0.06, relative_fall: 0.05, interior };
        let (rise, fall) = (spread(0.03, 0.001), spread(0.003, 0.0005));
        Inversion {
            observable: "centroid_distance_sq_test[2,4]".into(),
            peaks: vec![peak; 4],
            interior_fraction: f64::from(u8::from(interior)),
            interior_fraction_error: 0.14,
            train_loss: interior.then(|| spread(0.02, 0.003)),
            relative_fall: interior.then(|| spread(0.05, 0.004)),
            mean: MeanPeak { step: 7, train_loss: 0.02, value: 0.06, interior, rise, fall },
            inverts,
        }
    }

    #[test]
    fn an_inversion_is_claimed_where_there_is_one() {
        let claimed = "D² test[2,4] is largest inside the path in 4 of 4 starts (1.00 ± 0.14), at L/P = 0.0200 ± 0.0030, and falls by 5.00 ± 0.40 % from there to the last record. \
             Its mean is largest, 0.06000, at step 7, L/P = 0.02, 0.0300 ± 0.0010 above the first record and 0.00300 ± 0.00050 above the last: an inversion, both by more than three \
             standard errors.";
        assert_eq!(sentences(&found(true, Some(true))), claimed);
        assert!(sentences(&found(true, Some(false))).contains("no inversion is claimed"));
        assert!(sentences(&found(true, None)).contains("no inversion is claimed"));
        let monotonic = "D² test[2,4] is largest inside the path in 0 of 4 starts (0.00 ± 0.14). Its mean is largest, 0.06000, at step 7, L/P = 0.02, not above both ends of the path: no \
             inversion.";
        assert_eq!(sentences(&found(false, Some(false))), monotonic);
    }
}
