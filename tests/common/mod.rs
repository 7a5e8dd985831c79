//! What the statistical tests share: an ensemble sampled by hand, errors from its chains, and the
//! targets that every backend must meet.
#![allow(dead_code, reason = "each test program uses its part")]

#[cfg(all(test, feature = "fetch"))]
pub mod fetch;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(all(test, feature = "fetch"))]
pub mod http;
pub mod joint;
pub mod linear_network;
pub mod posterior;
pub mod restore;
// Needs the program, whose place cargo tells to tests only; examples use the other modules too.
#[cfg(test)]
pub mod resume;
pub mod two_starts;

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use featherm::backend::{Backend, Ensemble, Measurement};
use featherm::model::{Network, Problem, Task};
use featherm::sampler::{Readout, RunReport, SamplerKind, SamplerPlan, Tuning, informed_mass, sample};
use featherm::stats::{Chains, Summary};
use ndarray::{Array1, Array2};

/// Seed of every ensemble that is sampled by [`run`].
pub const SEED: u64 = 20_261_124;

/// The number of other seeds that the statistical tests are to use, from `FEATHERM_TEST_SEED`; 0
/// without it.
pub fn rotation() -> u64 {
    static ROTATION: LazyLock<u64> = LazyLock::new(|| {
        let asked = std::env::var("FEATHERM_TEST_SEED").ok();
        asked.map_or(0, |text| text.parse().expect("FEATHERM_TEST_SEED is a whole number"))
    });
    *ROTATION
}

/// Whether the longest versions of tests are asked for, by `FEATHERM_TEST_LONG=1`.
pub fn long() -> bool {
    std::env::var("FEATHERM_TEST_LONG").is_ok_and(|value| value == "1")
}

/// A task from rows of inputs, with two classes by the sign of the label.
pub fn task(x_train: &[Vec<f64>], y_train: &[f64], x_test: &[Vec<f64>]) -> Task {
    let matrix = |rows: &[Vec<f64>]| Array2::from_shape_fn((rows.len(), x_train[0].len()), |(i, j)| rows[i][j]);
    let class = |y: &f64| usize::from(*y < 0.0);
    Task {
        name: "reference".into(),
        x_train: matrix(x_train),
        y_train: Array1::from(y_train.to_vec()),
        class_train: y_train.iter().map(class).collect(),
        x_test: matrix(x_test),
        y_test: Array1::zeros(x_test.len()),
        // In turn: their labels are all zero, and classes are to have manifolds there.
        class_test: (0..x_test.len()).map(|i| i % 2).collect(),
        class_names: vec!["+1".into(), "-1".into()],
    }
}

/// How an ensemble is sampled.
pub struct Setting {
    pub kind: SamplerKind,
    /// Hot to cold; infinity samples the prior.
    pub temperatures: Vec<f64>,
    pub replicas: usize,
    pub warmup: usize,
    pub draws: usize,
    /// Fixed step length.
    pub step_size: Option<f64>,
    pub tempering: bool,
    pub readout: Readout,
}

impl Setting {
    pub fn new(kind: SamplerKind, temperatures: &[f64]) -> Self {
        Self {
            kind,
            temperatures: temperatures.to_vec(),
            replicas: 64,
            warmup: 150,
            draws: 250,
            step_size: None,
            tempering: false,
            readout: Readout::Sampled,
        }
    }
}

/// The ensemble of a setting, measuring weights along `direction`.
pub fn ensemble(problem: &Problem, network: Network, setting: &Setting, direction: &[f64]) -> Ensemble {
    let rotated: Vec<f64> = (0..problem.rank())
        .map(|j| (0..problem.dimension()).map(|i| problem.basis[(i, j)] * direction[i]).sum())
        .collect();
    Ensemble {
        problem: Arc::new(problem.clone()),
        network,
        seed: SEED + rotation(),
        temperatures: setting.temperatures.len(),
        replicas: setting.replicas,
        projection_axes: vec![rotated; setting.temperatures.len()],
        histogram_ranges: vec![[4.5; 2]; setting.temperatures.len()],
        // Between ten and twenty of these are filled.
        batches: 20,
    }
}

/// What the loop is asked to do in a setting.
pub fn plan(ensemble: &Ensemble, setting: &Setting) -> SamplerPlan {
    let betas: Vec<f64> = setting.temperatures.iter().map(|t| 1.0 / t).collect();
    let initial = betas
        .iter()
        .map(|&beta| Tuning {
            step_size: setting.step_size.unwrap_or(0.3),
            steps: if setting.kind == SamplerKind::Ula { 20 } else { 1 },
            mass: informed_mass(&ensemble.problem, &ensemble.network, beta, 1.0 / ensemble.network.lambda1),
        })
        .collect();
    SamplerPlan {
        kind: setting.kind,
        readout: setting.readout,
        betas,
        warmup: setting.warmup,
        draws: setting.draws,
        batches: ensemble.batches,
        initial,
        adapt_step_size: setting.step_size.is_none(),
        adapt_steps: setting.kind.tunes_steps(),
        tempering: setting.tempering,
        superchains: 1,
        gram: true,
        observe_warmup: false,
        snapshots: 0,
    }
}

/// Samples a backend; returns the measurements [draw][chain] and the report.
pub fn run(backend: &mut dyn Backend, ensemble: &Ensemble, setting: &Setting) -> (Vec<Vec<Measurement>>, RunReport) {
    let plan = plan(ensemble, setting);
    let mut draws = Vec::new();
    let report = sample(backend, &plan, |m| draws.push(m.to_vec()), |_| ControlFlow::Continue(())).unwrap();
    (draws, report)
}

/// Mean, error and ESS of a scalar of the measurements at one temperature.
pub fn summary(
    draws: &[Vec<Measurement>],
    setting: &Setting,
    temperature: usize,
    value: impl Fn(&Measurement) -> f64,
) -> Summary {
    let members = temperature * setting.replicas..(temperature + 1) * setting.replicas;
    let values: Vec<f64> =
        members.flat_map(|chain| draws.iter().map(move |d| (chain, d))).map(|(c, d)| value(&d[c])).collect();
    Summary::new(Chains::new(&values, setting.replicas).unwrap(), 4)
}

/// A posterior mean that a sampler must meet.
pub struct Target {
    pub name: String,
    pub mean: f64,
    /// Error of the target itself.
    pub mcse: f64,
    pub sampled: Summary,
}

impl Target {
    /// Distance in combined errors.
    pub fn z(&self) -> f64 {
        (self.sampled.mean - self.mean) / self.mcse.hypot(self.sampled.mcse)
    }
}

/// Bound on |z| of a single comparison.
pub const MAX_Z: f64 = 4.0;

/// Least effective sample size for a comparison to mean anything.
pub const MIN_ESS: f64 = 400.0;

/// Fails unless every target is met with enough effective samples.
pub fn assert_met(label: &str, targets: &[Target]) {
    for target in targets {
        let (z, ess) = (target.z(), target.sampled.ess_bulk);
        assert!(ess >= MIN_ESS, "{label}, {}: ESS {ess:.0}", target.name);
        assert!(
            z.abs() < MAX_Z,
            "{label}, {}: {} ± {} against {} ± {}, z = {z:.1}",
            target.name,
            target.sampled.mean,
            target.sampled.mcse,
            target.mean,
            target.mcse
        );
    }
}

/// Fails unless some target is clearly missed: the control of [`assert_met`].
pub fn assert_missed(label: &str, targets: &[Target]) {
    let worst = targets.iter().map(|target| target.z().abs()).fold(0.0, f64::max);
    assert!(worst > MAX_Z, "{label}: a wrong sampler passes, worst |z| = {worst:.1}");
}
