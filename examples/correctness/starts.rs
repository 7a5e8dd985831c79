//! Chains from the prior and chains planted in a cold state end in the same posterior.

use featherm::model::Activation;
use featherm::sampler::Readout;

use crate::common::MIN_ESS;
use crate::common::two_starts::{OBSERVABLES, TEMPERATURE, TwoStarts, hasty, patient};
use crate::table::{Found, Sampler, Table};

const WIDTH: usize = 20;
const POINTS: usize = 40;
const REPLICAS: usize = 64;
const DRAWS: usize = 600;

pub fn two_starts() -> usize {
    let text = format!(
        "z of every observable between {REPLICAS} chains from the prior and {REPLICAS} from samples at T = {}, {DRAWS} draws each; \
         the controls barely move. Digits 3/8, N1 = {WIDTH}, P = {POINTS}, T = {TEMPERATURE}, float32 on the CPU; seeds 1, 2 and 7.",
        TEMPERATURE / 50.0
    );
    let columns = [&["sampler", "readout", "activation"][..], &OBSERVABLES, &["least ESS"]].concat();
    let mut table = Table::new("Two starts", &text, &columns);
    for activation in [Activation::Erf, Activation::Relu, Activation::Tanh] {
        let starts = TwoStarts::new(activation, WIDTH, POINTS);
        for readout in [Readout::Sampled, Readout::Integrated] {
            let right = (Sampler::Right, "malt", patient(readout, REPLICAS, DRAWS));
            let wrong = (Sampler::Wrong, "mala, 40 short steps", hasty(readout));
            let controls = (activation == Activation::Erf).then_some(wrong);
            for (sampler, name, setting) in [right].into_iter().chain(controls) {
                let met = starts.meet(&setting);
                let (z, ess) = (met.z(), met.least_ess());
                let mut cells =
                    vec![name.into(), format!("{readout:?}").to_lowercase(), format!("{activation:?}").to_lowercase()];
                cells.extend(z.iter().map(|z| format!("{z:.2}")));
                cells.push(format!("{ess:.0}"));
                table.row(sampler, &cells, Found::by_z(&z).if_enough(ess >= MIN_ESS));
            }
        }
    }
    table.end()
}
