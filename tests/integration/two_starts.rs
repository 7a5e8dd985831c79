//! Two starts meet: chains from the prior and chains planted in a cold state forget where they came
//! from. `examples/correctness` has the long version.

use crate::common::two_starts::{TwoStarts, hasty, patient};
use crate::common::{MAX_Z, MIN_ESS};
use featherm::model::Activation;
use featherm::sampler::Readout;

#[test]
#[ignore = "slow: statistical"]
fn chains_from_the_prior_and_from_a_cold_state_agree() {
    let starts = TwoStarts::new(Activation::Erf, 20, 40);
    for readout in [Readout::Integrated, Readout::Sampled] {
        let met = starts.meet(&patient(readout, 64, 400));
        assert!(met.least_ess() >= MIN_ESS, "{met:?}");
        assert!(met.z().iter().all(|z| z.abs() < MAX_Z), "readout {readout:?}: {:?}, {met:?}", met.z());
        // The control.
        let z = starts.meet(&hasty(readout)).z();
        assert!(z.iter().any(|z| z.abs() > MAX_Z), "two starts that cannot have met are not told apart: {z:?}");
    }
}
