//! The joint law of weights and data under every sampler: Geweke's alternation and simulation-based
//! calibration.

use featherm::model::Activation;

use crate::common::joint::{Joint, RANKS, STATISTICS, Sampler as Motion, distances, uniformity};
use crate::table::{Found, Sampler, Table};

const ACTIVATIONS: [Activation; 3] = [Activation::Erf, Activation::Relu, Activation::Tanh];
const WIDTH: usize = 8;
const POINTS: usize = 8;
const RANK: usize = 4;
const TEMPERATURE: f64 = 0.3;

/// Step length of a trajectory with v sampled.
const STEP: f64 = 0.25;

const SETTING: &str = "N1 = 8, P = 8, N0 = 4, T = 0.3, float32 on the CPU";

fn joint(activation: Activation) -> Joint {
    Joint::new(activation, WIDTH, POINTS, RANK, TEMPERATURE)
}

/// Every right sampler, and for erf the wrong ones.
fn samplers(joint: &Joint, activation: Activation) -> Vec<(Sampler, Motion)> {
    let right = joint.exact(STEP).into_iter().map(|motion| (Sampler::Right, motion));
    let wrong = joint.wrong(STEP).into_iter().map(|motion| (Sampler::Wrong, motion));
    right.chain(wrong.filter(|_| activation == Activation::Erf)).collect()
}

fn name(motion: &Motion, activation: Activation) -> [String; 3] {
    [motion.name.into(), motion.readout.into(), format!("{activation:?}").to_lowercase()]
}

fn columns(last: &'static str) -> Vec<&'static str> {
    [&["sampler", "readout", "activation"][..], &STATISTICS, &[last]].concat()
}

pub fn geweke() -> usize {
    const REPLICATES: u64 = 30_000;
    const INDEPENDENT: u64 = 8 * REPLICATES;
    const ALTERNATIONS: u32 = 12;
    let text = format!(
        "z of every statistic between {REPLICATES} replicates after {ALTERNATIONS} alternations of labels given weights and weights \
         given labels, and {INDEPENDENT} exact draws of the joint law. {SETTING}; seeds 0 to {}. The last number is the mean \
         acceptance. Rows share their starts, so their z are not independent.",
        REPLICATES + INDEPENDENT - 1
    );
    let mut table = Table::new("Geweke's joint-distribution test", &text, &columns("accepted"));
    for activation in ACTIVATIONS {
        let joint = joint(activation);
        let independent = joint.independent(REPLICATES, INDEPENDENT);
        for (sampler, motion) in samplers(&joint, activation) {
            let (alternated, acceptance) = joint.alternated(&motion, 0, REPLICATES, ALTERNATIONS);
            let z = distances(&alternated, &independent);
            let mut cells = name(&motion, activation).to_vec();
            cells.extend(z.iter().map(|z| format!("{z:.2}")));
            cells.push(format!("{acceptance:.2}"));
            table.row(sampler, &cells, Found::by_z(&z));
        }
    }
    table.end()
}

pub fn calibration() -> usize {
    const RUNS: u64 = 4000;
    const BETWEEN: u32 = 8;
    const FIRST: u64 = 1_000_000;
    let text = format!(
        "p of χ² with {RANKS} degrees of freedom that the ranks of the true statistics among {RANKS} draws, {BETWEEN} trajectories \
         apart, are uniform. {SETTING}; seeds {FIRST} to {}.",
        FIRST + RUNS - 1
    );
    let mut table = Table::new("Simulation-based calibration", &text, &columns("runs"));
    for activation in ACTIVATIONS {
        let joint = joint(activation);
        for (sampler, motion) in samplers(&joint, activation) {
            let p = joint.ranks(&motion, FIRST, RUNS, BETWEEN).map(|counts| uniformity(&counts));
            let mut cells = name(&motion, activation).to_vec();
            cells.extend(p.iter().map(|&p| if p < 1e-3 { format!("{p:.0e}") } else { format!("{p:.3}") }));
            cells.push(RUNS.to_string());
            table.row(sampler, &cells, Found::by_p(&p));
        }
    }
    table.end()
}
