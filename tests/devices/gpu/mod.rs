//! The GPU backend against the CPU's, kernel by kernel, on whatever device there is.
//!
//! The device is the first hardware GPU or else a software one; `FEATHERM_GPU` names another. Without any the tests are reported as ignored,
//! unless `FEATHERM_REQUIRE_GPU=1` makes that a failure.

mod common;
#[path = "gpu_backend/half_forces.rs"]
mod half_forces;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use featherm::backend::cpu::Cpu;
use featherm::backend::doctor::{Check, Tolerances, compare, doctor};
use featherm::backend::gpu::schedule::Schedule;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::tiling::{SUBGROUP_LANES, Tiling};
use featherm::backend::gpu::{AdapterChoice, Gpu, GpuOptions};
use featherm::backend::{Backend, Ensemble, Mass, Measurement, Move, Observation, Outcome, Parity, Round, Scheme};
use featherm::config::{Experiment, Readout, SamplerKind, TemperatureSettings, preset};
use featherm::data::Task;
use featherm::model::{Activation, Network, Problem};
use featherm::noise::{Address, Purpose, philox4x32};
use featherm::observables::Recorder;
use featherm::run::{Checkpoints, Job, Run, RunError, prepare};
use featherm::sampler::{Phase, Progress};
use libtest_mimic::{Arguments, Failed, Trial};
use ndarray::{Array1, Array2};

type Test = Result<(), Failed>;
/// What a run kept on its way, and how it ended.
type Course = (Vec<Vec<u8>>, Result<Run, RunError>);

fn main() {
    let arguments = Arguments::from_args();
    let device = common::gpu::device();
    let required = std::env::var("FEATHERM_REQUIRE_GPU").is_ok_and(|value| value == "1");
    let missing = device.is_none() && !required;
    let without_subgroups = device.as_ref().is_some_and(|info| (info.subgroup as usize) < SUBGROUP_LANES);
    let without_matrices = device.as_ref().is_some_and(|info| !info.cooperative);
    let mut trials = Vec::new();
    let mut add = |name: String, missing: bool, test: Box<dyn FnOnce(AdapterChoice, bool) -> Test + Send>| {
        let device = device.clone();
        let trial = Trial::test(name, move || match device {
            Some(info) => test(AdapterChoice::Index(info.index), info.is_software()),
            None => Err("no graphics device, and FEATHERM_REQUIRE_GPU is set".into()),
        });
        trials.push(trial.with_ignored_flag(missing));
    };
    for case in CASES {
        let missing = missing || case.tiling == SUBGROUP && without_subgroups;
        if case.tiling == COOPERATIVE && without_matrices {
            continue;
        }
        add(format!("parity::{}", case.name), missing, Box::new(move |device, _| parity(&device, case)));
    }
    add(
        "control::rows_handed_on".into(),
        missing || without_subgroups,
        Box::new(|device, _| control_is_seen(&device, HANDED_ON, Case { tiling: SUBGROUP, ..BASE })),
    );
    let mut trial = |name, test| add(name, missing, test);
    for control in CONTROLS {
        trial(format!("control::{}", control.name), Box::new(move |device, _| control_is_seen(&device, control, BASE)));
    }
    for control in HALF_CONTROLS {
        let name = format!("control::half_forces::{}", control.name);
        trial(name, Box::new(move |device, _| control_is_seen(&device, control, HALF_FORCES)));
    }
    trial("half_forces::err_by_the_rounding_of_float16".into(), Box::new(|device, _| half_forces::rounding(&device)));
    trial("half_forces::cost_hardly_any_acceptance".into(), Box::new(|device, _| half_forces::acceptance(&device)));
    trial("half_forces::that_overflow_are_rejected".into(), Box::new(|device, _| half_forces::overflow(&device)));
    trial("half_forces::wrong_ones_leave_the_law".into(), Box::new(|device, _| half_forces::wrong_force(&device)));
    trial("half_forces::a_wrong_energy_is_seen".into(), Box::new(|device, _| half_forces::wrong_energy(&device)));
    // Of either readout one: on a software device each takes a minute.
    for (case, readout) in common::posterior::Case::all().into_iter().zip([Readout::Sampled, Readout::Integrated]) {
        let name = format!("half_forces::meet_the_reference_posterior::{}::{readout:?}", case.activation);
        trial(name, Box::new(move |device, _| half_forces::posterior(&device, &case, readout)));
    }
    if without_matrices {
        let name = "half_forces::need_cooperative_matrices";
        trial(name.into(), Box::new(|device, _| half_forces::refused(&device)));
    }
    trial(
        "doctor_finds_nothing".into(),
        Box::new(|device, _| all_pass(&doctor(|e| Ok(Box::new(Gpu::new(&device, e, GpuOptions::default())?)))?)),
    );
    trial("chains_do_not_depend_on_their_neighbours".into(), Box::new(|device, _| neighbours(&device)));
    trial("shards_change_nothing".into(), Box::new(|device, _| shards(&device)));
    trial("calls_of_run_can_be_cut_anywhere".into(), Box::new(|device, _| cut_runs(&device)));
    trial("a_restored_ensemble_goes_on_to_the_same_bits".into(), Box::new(|device, _| restored(&device)));
    #[cfg(unix)]
    trial("a_killed_run_goes_on_to_the_same_bits".into(), Box::new(|device, _| killed(&device)));
    trial("lost_chains_stay_and_are_left_out".into(), Box::new(|device, _| lost_chains(&device)));
    trial("chains_that_run_away_are_lost_as_on_the_cpu".into(), Box::new(|device, _| runaway_chains(&device)));
    trial("loops_stay_below_the_devices_limit".into(), Box::new(long_loops));
    trial("a_million_gram_matrices_keep_full_precision".into(), Box::new(|device, _| gram_precision(&device)));
    trial("broken_shaders_name_file_and_line".into(), Box::new(|device, _| broken_shader(&device)));
    trial("too_large_ensembles_are_refused_with_numbers".into(), Box::new(|device, _| refusal(&device)));
    trial("optional_features_can_be_left_out".into(), Box::new(|device, _| core_features(&device)));
    trial("philox_words_are_the_cpus_bit_for_bit".into(), Box::new(|device, _| philox_words(&device)));
    trial("a_buffer_beyond_the_device_is_one_message".into(), Box::new(|device, _| large_buffer(&device)));
    trial("a_panic_of_the_driver_is_one_message".into(), Box::new(|device, _| driver_panic(&device)));
    trial("a_lost_device_is_one_message".into(), Box::new(|device, _| lost_device(&device)));
    trial("a_device_lost_in_a_run_leaves_its_checkpoint".into(), Box::new(|device, _| lost_in_a_run(&device)));
    for case in common::posterior::Case::all() {
        let name = format!("malt_meets_the_reference_posterior::{}", case.activation);
        trial(name, Box::new(move |device, _| posterior(&device, &case, Readout::Sampled)));
    }
    for case in common::posterior::Case::all() {
        let name = format!("an_integrated_readout_meets_the_reference_posterior::{}", case.activation);
        trial(name, Box::new(move |device, _| posterior(&device, &case, Readout::Integrated)));
    }
    trial("a_wrong_integrated_readout_misses_the_reference_posterior".into(), Box::new(|device, _| wrong(&device)));
    trial("a_tempered_linear_network_is_exact".into(), Box::new(|device, _| tempered(&device, Readout::Sampled)));
    for width in [3, 10] {
        let name = format!("an_integrated_readout_leaves_a_linear_network_exact::{width}");
        trial(name, Box::new(move |device, _| linear_network(&device, width)));
    }
    trial(
        "an_integrated_readout_leaves_a_tempered_linear_network_exact".into(),
        Box::new(|device, _| tempered(&device, Readout::Integrated)),
    );
    trial("kept_gradients_are_those_made_anew".into(), Box::new(|device, _| kept_gradients(&device)));
    trial("the_energy_can_change_from_run_to_run".into(), Box::new(|device, _| switched(&device)));
    trial("a_diverged_trajectory_is_rejected_and_forgotten".into(), Box::new(|device, _| diverged(&device)));
    trial("a_cold_system_has_the_cpus_energy".into(), Box::new(|device, _| cold_system(&device)));
    trial("the_largest_system_is_solved".into(), Box::new(|device, _| largest_system(&device)));
    trial("too_large_systems_leave_the_readout_sampled".into(), Box::new(|device, _| too_large_systems(&device)));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A backend on the device, for the bodies that all backends share; they panic like any test.
fn start(device: &AdapterChoice) -> impl Fn(Ensemble) -> Box<dyn Backend> {
    |ensemble| match Gpu::new(device, ensemble, GpuOptions::default()) {
        Ok(gpu) => Box::new(gpu),
        Err(error) => panic!("{error}"),
    }
}

fn posterior(device: &AdapterChoice, case: &common::posterior::Case, readout: Readout) -> Test {
    let setting = common::Setting { readout, ..common::Setting::new(SamplerKind::Malt, &[case.temperature]) };
    common::assert_met(&case.activation, &case.sample(&setting, start(device)));
    Ok(())
}

/// A draw of v with a fifth too little noise of the labels is seen.
fn wrong(device: &AdapterChoice) -> Test {
    let case = &common::posterior::Case::all()[0];
    let setting = common::Setting {
        readout: Readout::Integrated,
        ..common::Setting::new(SamplerKind::Malt, &[case.temperature])
    };
    let narrow: fn(Kernel, &mut String) =
        |_, text| *text = text.replace("sqrt(beta) * noise", "0.8 * sqrt(beta) * noise");
    let options = GpuOptions { edit: Some(narrow), ..GpuOptions::default() };
    let spoiled = |ensemble| -> Box<dyn Backend> {
        match Gpu::new(device, ensemble, options) {
            Ok(gpu) => Box::new(gpu),
            Err(error) => panic!("{error}"),
        }
    };
    common::assert_missed("a readout with too little noise", &case.sample(&setting, spoiled));
    Ok(())
}

fn linear_network(device: &AdapterChoice, width: usize) -> Test {
    use common::linear_network::{TEMPERATURE, exact, network, problem, targets};

    let problem = problem();
    let setting =
        common::Setting { readout: Readout::Integrated, ..common::Setting::new(SamplerKind::Malt, &[TEMPERATURE]) };
    let met = targets(&problem, network(width), &setting, 0, &exact(&problem, width), start(device));
    common::assert_met(&format!("linear network, N1 = {width}"), &met);
    Ok(())
}

fn tempered(device: &AdapterChoice, readout: Readout) -> Test {
    use common::linear_network::{TEMPERATURE, exact, network, problem, targets};

    let problem = problem();
    let ladder = [3.0, 1.0, TEMPERATURE];
    let setting = common::Setting { tempering: true, readout, ..common::Setting::new(SamplerKind::Malt, &ladder) };
    let met = targets(&problem, network(10), &setting, 2, &exact(&problem, 10), start(device));
    common::assert_met("tempered linear network", &met);
    Ok(())
}

/// The shape of a test problem.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    units: usize,
    points: usize,
    dimension: usize,
    test: usize,
    classes: usize,
    temperatures: usize,
    replicas: usize,
    activation: Activation,
    tiling: Option<Tiling>,
    half: bool,
}

const REGISTER_8: Option<Tiling> = Some(Tiling::Register(8));
const REGISTER_4: Option<Tiling> = Some(Tiling::Register(4));
const SUBGROUP: Option<Tiling> = Some(Tiling::Subgroup);
const SHARED_8: Option<Tiling> = Some(Tiling::Workgroup(8));
const SHARED_4: Option<Tiling> = Some(Tiling::Workgroup(4));
const EMULATED: Option<Tiling> = Some(Tiling::Emulated);
const COOPERATIVE: Option<Tiling> = Some(Tiling::Cooperative);

const BASE: Case = Case {
    name: "odd_shapes",
    units: 13,
    points: 11,
    dimension: 15,
    test: 5,
    classes: 2,
    temperatures: 3,
    replicas: 4,
    activation: Activation::Erf,
    tiling: REGISTER_4,
    half: false,
};

/// Shapes that are no multiples of anything, the smallest ones, many chains, every activation, every tiling and storage.
const CASES: [Case; 21] = [
    BASE,
    Case { name: "relu", activation: Activation::Relu, ..BASE },
    Case { name: "tanh", activation: Activation::Tanh, ..BASE },
    Case { name: "identity", activation: Activation::Identity, ..BASE },
    Case { name: "gelu", activation: Activation::Gelu, ..BASE },
    Case { name: "width_1", units: 1, ..BASE },
    Case { name: "one_point", points: 1, classes: 1, ..BASE },
    Case { name: "rank_1", dimension: 1, ..BASE },
    Case { name: "one_chain_without_test_points", temperatures: 1, replicas: 1, test: 0, ..BASE },
    Case { name: "hundreds_of_chains", units: 5, points: 6, temperatures: 2, replicas: 300, ..BASE },
    Case { name: "register_8", units: 41, points: 67, dimension: 90, classes: 3, tiling: REGISTER_8, ..BASE },
    Case { name: "shared_8", units: 75, points: 67, dimension: 90, tiling: SHARED_8, ..BASE },
    Case { name: "shared_4", units: 64, points: 32, dimension: 30, classes: 3, tiling: SHARED_4, ..BASE },
    Case { name: "subgroup", units: 75, points: 67, dimension: 90, classes: 3, tiling: SUBGROUP, ..BASE },
    Case { name: "more_points", units: 37, points: 67, dimension: 30, tiling: SHARED_8, ..BASE },
    Case { name: "subgroup_more_points", units: 37, points: 67, dimension: 30, tiling: SUBGROUP, ..BASE },
    Case { name: "half", units: 41, points: 37, dimension: 50, half: true, ..BASE },
    HALF_FORCES,
    Case { name: "half_forces_more_points", units: 37, points: 67, dimension: 30, tiling: EMULATED, ..BASE },
    Case { name: "cooperative", tiling: COOPERATIVE, ..HALF_FORCES },
    Case { name: "cooperative_more_points", units: 37, points: 67, dimension: 30, tiling: COOPERATIVE, ..BASE },
];

/// More than one tile along every side.
const HALF_FORCES: Case = Case { name: "half_forces", units: 75, points: 67, dimension: 90, tiling: EMULATED, ..BASE };

impl Case {
    fn ensemble(&self) -> Ensemble {
        let Self { points, dimension, test, classes, .. } = *self;
        let address = Address { seed: 5, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Data };
        let mut inputs = vec![0.0; (points + test) * dimension];
        address.normals(&mut inputs);
        let input = |point: usize, j: usize| inputs[point * dimension + j];
        let label = |point: usize| if point.is_multiple_of(3) { 1.0 } else { -0.7 };
        let task = Task {
            name: self.name.into(),
            x_train: Array2::from_shape_fn((points, dimension), |(i, j)| input(i, j)),
            y_train: Array1::from_shape_fn(points, label),
            class_train: (0..points).map(|i| i % classes).collect(),
            x_test: Array2::from_shape_fn((test, dimension), |(i, j)| input(points + i, j)),
            y_test: Array1::from_shape_fn(test, label),
            class_test: (0..test).map(|i| i % classes).collect(),
            class_names: (0..classes).map(|class| class.to_string()).collect(),
        };
        let problem = Arc::new(Problem::new(&task).expect("the inputs are not zero"));
        let unit_vector = |t: usize| {
            let raw: Vec<f64> = (0..problem.rank()).map(|j| 1.0 + ((t + j) % 3) as f64).collect();
            let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
            raw.iter().map(|x| x / norm).collect()
        };
        Ensemble {
            network: Network { width: self.units, activation: self.activation, lambda0: 0.8, lambda1: 1.3 },
            seed: 0x1234_5678_9abc_def0,
            temperatures: self.temperatures,
            replicas: self.replicas,
            directions: (0..self.temperatures).map(unit_vector).collect(),
            reaches: (0..self.temperatures).map(|t| [1.5 + 0.1 * t as f64, 2.0]).collect(),
            batches: 2,
            problem,
        }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { tiling: self.tiling, half: self.half, ..GpuOptions::default() }
    }
}

fn checks(device: &AdapterChoice, case: Case, options: GpuOptions) -> Result<Vec<Check>, Failed> {
    let ensemble = case.ensemble();
    let rounded = case.half || case.tiling.is_some_and(Tiling::halved);
    let tolerances = if rounded { Tolerances::HALF } else { Tolerances::SINGLE };
    let mut gpu = Gpu::new(device, ensemble.clone(), options)?;
    Ok(compare(&mut Cpu::<f64>::new(ensemble.clone()), &mut gpu, &ensemble, &tolerances)?)
}

fn all_pass(checks: &[Check]) -> Test {
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("{failed:#?}").into()) }
}

fn parity(device: &AdapterChoice, case: Case) -> Test {
    let checks = checks(device, case, case.options())?;
    for check in &checks {
        println!("{:30} {:24} {:9.2e} of {:9.2e}", case.name, check.stage, check.deviation, check.tolerance);
    }
    all_pass(&checks)
}

/// A kernel spoiled on purpose, and the stage in which that must show.
#[derive(Clone, Copy)]
struct Control {
    name: &'static str,
    kernel: Kernel,
    from: &'static str,
    to: &'static str,
    stage: &'static str,
}

macro_rules! controls {
    ($list:ident: $($name:ident: $kernel:ident, $from:literal => $to:literal, $stage:literal;)*) => {
        const $list: [Control; [$(stringify!($name)),*].len()] = [$(Control {
            name: stringify!($name), kernel: Kernel::$kernel, from: $from, to: $to, stage: $stage,
        }),*];
    };
}

// Relative errors of 1e-4, signs, bounds and bits.
controls! {
    CONTROLS:
    philox: Prior, "0x9E3779B9u" => "0x9E3779BAu", "prior";
    box_muller: Prior, "1.0 / 5.0" => "1.0 / 4.0", "prior";
    prior_scale: Prior, "* PRIOR_DEVIATION" => "* 1.0001 * PRIOR_DEVIATION", "prior";
    outputs: Forward, "sum += dot(" => "sum += 1.0001 * dot(", "loss";
    activation: Forward, "0.19040523" => "0.19060523", "loss";
    slope: Forward, "1.1283791670955126" => "1.1285791670955126", "gradient";
    labels: Residual, "- scalar(DATA_LABELS" => "- 1.0001 * scalar(DATA_LABELS", "loss";
    weight_gradient: Backward, "OUTPUT_SCALE * v" => "1.0001 * OUTPUT_SCALE * v", "gradient";
    readout_gradient: BackwardReadout, "sum * OUTPUT_SCALE" => "1.0001 * sum * OUTPUT_SCALE", "gradient";
    momentum: Launch, "p = place.root" => "p = 1.0001 * place.root", "hmc";
    starting_energy: Launch, "vec2<f32>(0.5 *" => "vec2<f32>(0.501 *", "energy";
    kick: Backward, "halves * motion.force" => "1.001 * halves * motion.force", "hmc";
    drift: Backward, "motion.time *" => "1.0001 * motion.time *", "hmc";
    friction: Backward, "motion.fresh *" => "1.0001 * motion.fresh *", "obabo";
    middle_friction: Launch, "motion.fresh *" => "1.0001 * motion.fresh *", "baoab";
    langevin_noise: Launch, "motion.amplitude *" => "1.001 * motion.amplitude *", "ula";
    work: Backward, "0.5 * LAMBDA" => "0.499 * LAMBDA", "energy";
    metropolis: Accept, "u < acceptance" => "u < 0.5 * acceptance", "accepted states";
    settle: Settle, "offset < CHAIN_BODY" => "offset + 1u < CHAIN_BODY", "ula";
    exchange: Exchange, "exponent >= 0.0 ||" => "exponent < 0.0 ||", "exchange";
    swap: Swap, "offset >= CHAIN_STATE" => "offset + 1u >= CHAIN_STATE", "losses after exchange";
    centroids: Centroids, "mean += share" => "mean += 1.0001 * share", "observables";
    measure: Measure, "v * w_u_rounded" => "1.0001 * v * w_u_rounded", "observables";
    signs: Measure, "normal < 0.0" => "normal > 0.0", "observables";
    fourth_moment: Measure, "v * v * v * v" => "1.0001 * v * v * v * v", "observables";
    correlation: Correlate, "sum.high / f32(UNITS)" => "1.001 * sum.high / f32(UNITS)", "readout–weight vector";
    cells: Count, "+ 1.5" => "+ 1.45", "counts of units";
    gram: Gram, "1.0 / f32(UNITS)" => "1.0001 / f32(UNITS)", "gram";
    complement: Complement, "* PRIOR_DEVIATION" => "* 1.001 * PRIOR_DEVIATION", "predictions";
    test_outputs: ForwardTest, "sum += dot(" => "sum += 1.0001 * dot(", "predictions";
    test_error: Predict, "- scalar(DATA_TEST" => "- 1.001 * scalar(DATA_TEST", "observables";
    test_features: ForwardTest, "UNITS) * activated.value" => "UNITS) * 1.001 * activated.value", "observables";
    test_centroids: CentroidsTest, "mean += share" => "mean += 1.001 * share", "observables";
    weight_moment: WeightMoment, "1.0 / f32(UNITS)" => "1.0001 / f32(UNITS)", "second moment of the weights";
    padded_units: WeightMoment, "w, unit < UNITS" => "w, true", "second moment of the weights";
    test_manifolds: MeasureTest, "norm, units" => "1.001 * norm, units", "observables";
    moments: Moments, "w * w)" => "1.0001 * w * w)", "moments";
    system: Assemble, "coupling * block" => "1.001 * coupling * block", "integrated energy";
    factor: Factorize, "c[3].w - l0.z" => "1.01 * c[3].w - l0.z", "beside the readout";
    factor_below: Factorize, "k < column" => "k + 1u < column", "integrated energy";
    solution: Solve, "solve_upper(factor" => "1.001 * solve_upper(factor", "beside the readout";
    mean: Evaluate, "* project(" => "* 1.001 * project(", "beside the readout";
    mean_energy: Evaluate, "0.5 * LAMBDA" => "0.499 * LAMBDA", "integrated energy";
    volume: Evaluate, "let rest = ln(" => "let rest = 1.01 * ln(", "integrated energy";
    force: BackwardMarginal, "READOUT_SCALE * solved" => "1.001 * READOUT_SCALE * solved", "beside the readout";
    residual_force: BackwardMarginal, "let mean = four" => "let mean = 1.001 * four", "beside the readout";
    rotation: BackwardMarginal, "data[place.turn + RV]" => "1.0001 * data[place.turn + RV]", "beside the readout";
    rotation_back: Launch, "data[place.turn + 2u * RV]" => "1.001 * data[place.turn + 2u * RV]", "beside the readout";
    drawn_prior: DrawReadout, "PRIOR_DEVIATION[1]" => "1.0001 * PRIOR_DEVIATION[1]", "drawn readout";
    drawn_noise: DrawReadout, "sqrt(beta) * noise" => "1.001 * sqrt(beta) * noise", "drawn readout";
    drawn_loss: DrawReadout, "0.5 * e * e" => "0.5001 * e * e", "loss of the drawn readout";
    marginal_energy: Accept, "note.xy, note.zw" => "note.xy, note.xy", "integrated energy";
    refitted: Solve, "all(state" => "any(state", "beside the readout";
}

// What only forces within a trajectory feel.
controls! {
    HALF_CONTROLS:
    packed_inputs: PackInputs, "halves(select" => "halves(1.01 * select", "hmc";
    packed_weights: PackWeights, "halves(block" => "halves(1.01 * block", "hmc";
    packed_force: PackForce, "halves(block" => "halves(1.01 * block", "hmc";
    packed_marginal_force: PackForceMarginal, "halves(block" => "halves(1.1 * block", "beside the readout";
    edge: ProductBackward, "found < ROWS && column" => "found + 16u < ROWS && column", "hmc";
    staged: ForwardStaged, "staged(first + COLUMNS)" => "staged(first)", "hmc";
    ends: Backward, "const LAST = true" => "const LAST = false", "gradient";
}

/// One group of rows gets another's values.
const HANDED_ON: Control = Control {
    name: "rows_handed_on",
    kernel: Kernel::Backward,
    from: "subgroupBroadcast(rows, 1u)",
    to: "subgroupBroadcast(rows, 2u)",
    stage: "gradient",
};

/// The control that the kernels are to be spoiled with: edits are plain functions, and every control runs in a thread of its own.
mod spoil {
    use std::cell::Cell;

    use super::{Control, Kernel};

    thread_local! {
        static CONTROL: Cell<Option<Control>> = const { Cell::new(None) };
    }

    pub fn set(control: Option<Control>) {
        CONTROL.set(control);
    }

    pub fn edit(kernel: Kernel, text: &mut String) {
        if let Some(control) = CONTROL.get().filter(|control| control.kernel == kernel) {
            assert!(text.contains(control.from), "{}: `{}` is not in the shader", control.name, control.from);
            *text = text.replace(control.from, control.to);
        }
    }
}

fn control_is_seen(device: &AdapterChoice, control: Control, case: Case) -> Test {
    spoil::set(Some(control));
    let checks = checks(device, case, GpuOptions { edit: Some(spoil::edit), ..case.options() });
    spoil::set(None);
    if checks?.iter().any(|check| check.stage == control.stage && !check.passed()) {
        return Ok(());
    }
    Err(format!("stage `{}` did not notice", control.stage).into())
}

/// How all temperatures move in the tests below.
fn moves(ensemble: &Ensemble, scheme: Scheme, step_size: f64) -> Vec<Move> {
    let mass = Mass { weights: vec![2.0; ensemble.problem.rank()], readout: 3.0 };
    let beta = |t: usize| 0.5 + t as f64;
    (0..ensemble.temperatures).map(|t| Move { beta: beta(t), scheme, step_size, mass: mass.clone() }).collect()
}

fn rounds(ensemble: &Ensemble, count: u32, observed: bool) -> Vec<Round> {
    let observe = observed.then_some(Observation { batch: Some(1), gram: true, weights: true });
    let steps = vec![3; ensemble.temperatures];
    (1..=count).map(|trajectory| Round { trajectory, steps: steps.clone(), exchange: None, observe }).collect()
}

const MALT: Scheme = Scheme::Obabo { friction: 0.5, metropolis: true };
const INTEGRATED: Scheme = Scheme::Marginal { friction: 0.5 };

/// Everything that is known of a run, chain by chain, as bits.
fn bits(gpu: &Gpu, outcomes: &[Outcome]) -> Result<Vec<Vec<u64>>, Failed> {
    let accumulated = gpu.accumulated()?;
    let sums = accumulated.predictive.into_iter().flatten().zip(accumulated.units.into_iter().flatten());
    let weights = gpu.weights()?;
    Ok(sums
        .zip(weights)
        .enumerate()
        .map(|(chain, ((batches, tally), weights))| {
            let mut all = [weights.readout, weights.rotated].concat();
            batches.iter().for_each(|b| all.extend(b.sum.iter().chain(&b.sum_of_squares)));
            all.extend(tally.correlation.iter().chain(&tally.readout).chain(&tally.along_u));
            for outcome in outcomes {
                let t = &outcome.transitions[chain];
                all.extend([t.acceptance, t.energy, t.energy_error]);
                if let Some(m) = outcome.measurements.get(chain) {
                    all.extend(m.centroid_gram.iter().chain(&m.mean_square_norm));
                    all.extend(m.test_manifolds.iter().flat_map(|(gram, norms)| gram.iter().chain(norms)));
                    all.extend([m.loss, m.readout_mean, m.readout_weight_along_u, m.weight_second_moment]);
                }
            }
            all.into_iter().map(f64::to_bits).collect()
        })
        .collect())
}

fn played(
    device: &AdapterChoice,
    case: Case,
    scheme: Scheme,
    options: GpuOptions,
) -> Result<(Gpu, Vec<Vec<u64>>), Failed> {
    let ensemble = case.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), options)?;
    let outcomes = gpu.run(&moves(&ensemble, scheme, 0.4), &rounds(&ensemble, 4, true))?;
    let bits = bits(&gpu, &outcomes)?;
    Ok((gpu, bits))
}

fn neighbours(device: &AdapterChoice) -> Test {
    let few = Case { temperatures: 2, replicas: 3, ..BASE };
    let many = Case { temperatures: 3, replicas: 41, ..BASE };
    for (tiling, scheme) in [(REGISTER_4, MALT), (SHARED_4, MALT), (REGISTER_4, INTEGRATED), (SHARED_4, INTEGRATED)] {
        let (few, many) = (Case { tiling, ..few }, Case { tiling, ..many });
        let (_, alone) = played(device, few, scheme, few.options())?;
        let (_, crowd) = played(device, many, scheme, many.options())?;
        for (chain, bits) in alone.iter().enumerate() {
            let twin = chain / few.replicas * many.replicas + chain % few.replicas;
            assert_eq!(bits, &crowd[twin], "chain {chain} with {tiling:?} and {scheme:?}");
        }
        assert_ne!(crowd[0], crowd[1], "other chains are other");
    }
    Ok(())
}

fn shards(device: &AdapterChoice) -> Test {
    let case = Case { temperatures: 3, replicas: 23, ..BASE };
    let small = GpuOptions { binding_bytes: Some(1 << 14), ..case.options() };
    assert_eq!(played(device, case, INTEGRATED, case.options())?.1, played(device, case, INTEGRATED, small)?.1);
    let (whole, one) = played(device, case, MALT, case.options())?;
    let (split, many) = played(device, case, MALT, small)?;
    assert_eq!(whole.plan().shards, 1);
    assert!(split.plan().shards > 2 && split.plan().gram_buffers > 1, "{}", split.plan());
    assert_eq!(one, many);
    let (a, b) = (whole.accumulated()?.gram, split.accumulated()?.gram);
    let pairs = a.iter().flatten().flatten().zip(b.iter().flatten().flatten());
    let worst = pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-12, "Gram sums differ by {worst}");
    // Moves between temperatures stay within a shard; moments and states are gathered from all.
    all_pass(&checks(device, case, small)?)
}

/// Rounds with exchanges of either parity.
fn exchanging(ensemble: &Ensemble) -> Vec<Round> {
    let mut rounds = rounds(ensemble, 9, true);
    rounds
        .iter_mut()
        .for_each(|round| round.exchange = Some(if round.trajectory % 2 == 0 { Parity::Even } else { Parity::Odd }));
    rounds
}

fn cut_runs(device: &AdapterChoice) -> Test {
    for scheme in [MALT, INTEGRATED] {
        let ensemble = BASE.ensemble();
        let moves = moves(&ensemble, scheme, 0.4);
        let rounds = exchanging(&ensemble);
        let mut at_once = Gpu::new(device, ensemble.clone(), BASE.options())?;
        let mut in_parts = Gpu::new(device, ensemble, BASE.options())?;
        let whole = at_once.run(&moves, &rounds)?;
        let mut parts = Vec::new();
        for part in [&rounds[..1], &rounds[1..6], &[], &rounds[6..]] {
            parts.extend(in_parts.run(&moves, part)?);
        }
        assert_eq!(bits(&at_once, &whole)?, bits(&in_parts, &parts)?);
        let accepted: usize = whole.iter().map(|o| o.exchanged.iter().filter(|&&e| e).count()).sum();
        assert!(accepted > 0, "some exchange was accepted");
    }
    Ok(())
}

fn restored(device: &AdapterChoice) -> Test {
    // The second in several shards, of which the last is smaller.
    for (scheme, replicas, count, binding_bytes) in [(INTEGRATED, 4, 4, None), (MALT, 23, 3, Some(1 << 14))] {
        let case = Case { replicas, ..BASE };
        let ensemble = case.ensemble();
        let other = Case { replicas: replicas + 1, ..BASE }.ensemble();
        let new = |ensemble: &Ensemble| {
            let options = GpuOptions { binding_bytes, ..case.options() };
            Gpu::new(device, ensemble.clone(), options).expect("the device was there before")
        };
        assert_eq!(new(&ensemble).plan().shards > 1, binding_bytes.is_some());
        let (moves, mut rounds) = (moves(&ensemble, scheme, 0.4), exchanging(&ensemble));
        rounds.truncate(count);
        for round in &mut rounds {
            round.observe = Some(Observation {
                batch: Some(round.trajectory as usize % ensemble.batches),
                gram: true,
                weights: true,
            });
        }
        common::restore::assert_goes_on(&|| Box::new(new(&ensemble)), &|| Box::new(new(&other)), &moves, &rounds);
        let mut gpu = new(&ensemble);
        gpu.run(&moves, &rounds)?;
        common::restore::assert_merges(&mut gpu);
    }
    Ok(())
}

/// The whole program on this device, killed at some moments.
#[cfg(unix)]
fn killed(device: &AdapterChoice) -> Test {
    use common::resume::{completed, result, survive, with};

    let AdapterChoice::Index(index) = device else { return Err("the tests choose their device by its number".into()) };
    let index = index.to_string();
    let run = [("--backend", "gpu"), ("--adapter", &index), ("--warmup", "60"), ("--draws", "100"), ("--chains", "4")];
    let arguments = with(&run);
    let reference = result(completed(&arguments).path());
    let killed = survive(&arguments, 4, 1500, 7, &reference);
    assert!(killed > 0, "it was never killed");
    Ok(())
}

/// V and its gradient have the same bits whether they were kept from the last trajectory or taken anew before the next.
fn kept_gradients(device: &AdapterChoice) -> Test {
    const FITS: &str = "|| all(state[base(GRADIENT, chain) + CHAIN_BODY].yz == energy_of(chain))";
    let anew: fn(Kernel, &mut String) = |_, text| {
        assert!(text.contains(FITS));
        *text = text.replace(FITS, "");
    };
    let never: fn(Kernel, &mut String) = |_, text| *text = text.replace(FITS, "|| call.round > 0u");
    let ensemble = BASE.ensemble();
    let result = |edit| -> Result<Vec<Vec<u64>>, Failed> {
        let mut gpu = Gpu::new(device, ensemble.clone(), GpuOptions { edit, ..BASE.options() })?;
        let outcomes = gpu.run(&moves(&ensemble, INTEGRATED, 0.4), &exchanging(&ensemble))?;
        bits(&gpu, &outcomes)
    };
    let kept = result(None)?;
    assert_eq!(kept, result(Some(anew))?);
    assert_ne!(kept, result(Some(never))?, "a gradient of another temperature's energy must show");
    Ok(())
}

/// Moves by V and by L, at changing temperatures, one after another from where the last one ended.
fn switched(device: &AdapterChoice) -> Test {
    let deviation = |edit| -> Result<f64, Failed> {
        let ensemble = BASE.ensemble();
        let mut gpu = Gpu::new(device, ensemble.clone(), GpuOptions { edit, ..BASE.options() })?;
        let mut cpu = Cpu::<f64>::new(ensemble.clone());
        let mut trajectory = 0;
        for (scheme, beta, moving) in [
            (MALT, 1.0, 3),
            (INTEGRATED, 1.0, 3),
            (INTEGRATED, 1.5, 2),
            // Of a temperature that stays the gradient is left as it is.
            (MALT, 1.0, 1),
            (MALT, 1.0, 3),
            (INTEGRATED, 0.5, 3),
            (Scheme::Baoab { friction: 0.5 }, 0.5, 3),
        ] {
            let mut moves = moves(&ensemble, scheme, 0.2);
            moves.iter_mut().for_each(|motion| motion.beta *= beta);
            let mut rounds = rounds(&ensemble, 2, true);
            for round in &mut rounds {
                trajectory += 1;
                round.trajectory = trajectory;
                round.steps[moving..].fill(0);
            }
            cpu.run(&moves, &rounds)?;
            gpu.run(&moves, &rounds)?;
        }
        let (a, b) = (cpu.weights()?, gpu.weights()?);
        let pairs = a.iter().zip(&b).flat_map(|(a, b)| {
            a.rotated.iter().chain(&a.readout).zip(b.rotated.iter().chain(&b.readout)).map(|(x, y)| (x - y).abs())
        });
        Ok(pairs.fold(0.0, f64::max))
    };
    let found = deviation(None)?;
    println!("largest deviation {found:.1e}");
    assert!(found < 1e-4, "{found:e}");
    let blind: fn(Kernel, &mut String) = |_, text| {
        *text = text.replace("select(note.yz, energy_of(chain), steps_of(chain) > 0u)", "energy_of(chain)");
    };
    let found = deviation(Some(blind))?;
    assert!(found > 1e-3, "a gradient taken for one that fits must show, but deviates by {found:e}");
    Ok(())
}

/// A trajectory whose features overflow must be rejected and leave no trace in the next one.
fn diverged(device: &AdapterChoice) -> Test {
    let case = Case { activation: Activation::Identity, ..BASE };
    let ensemble = case.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), case.options())?;
    let mut calm = Gpu::new(device, ensemble.clone(), case.options())?;
    let start = gpu.weights()?;
    let mut wild = moves(&ensemble, INTEGRATED, 1e6);
    wild.iter_mut().for_each(|motion| {
        motion.beta = 1e6;
        motion.mass.weights.fill(1e-12);
    });
    let mut long = rounds(&ensemble, 1, false);
    long[0].steps.fill(20);
    let outcomes = gpu.run(&wild, &long)?;
    assert!(outcomes[0].transitions.iter().all(|t| t.diverged && t.acceptance == 0.0), "{outcomes:?}");
    assert_eq!(gpu.weights()?, start);
    let (tame, mut next) = (moves(&ensemble, INTEGRATED, 0.2), rounds(&ensemble, 2, true));
    next.iter_mut().for_each(|round| round.trajectory += 1);
    let (a, b) = (gpu.run(&tame, &next)?, calm.run(&tame, &next)?);
    assert!(a.iter().flat_map(|o| &o.transitions).all(|t| t.acceptance > 0.5 && !t.diverged), "{a:?}");
    assert_eq!(bits(&gpu, &a)?, bits(&calm, &b)?);
    Ok(())
}

/// Pivots beyond 2, whose logarithms have a part in whole powers of 2.
fn cold_system(device: &AdapterChoice) -> Test {
    let deviation = |edit| -> Result<f64, Failed> {
        let ensemble = BASE.ensemble();
        let mut moves = moves(&ensemble, INTEGRATED, 0.01);
        moves.iter_mut().for_each(|motion| motion.beta *= 100.0);
        let rounds = rounds(&ensemble, 1, false);
        let mut gpu = Gpu::new(device, ensemble.clone(), GpuOptions { edit, ..BASE.options() })?;
        let (a, b) = (Cpu::<f64>::new(ensemble).run(&moves, &rounds)?, gpu.run(&moves, &rounds)?);
        let pairs = a[0].transitions.iter().zip(&b[0].transitions);
        Ok(pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a.energy - b.energy).abs() / a.energy.abs())))
    };
    let found = deviation(None)?;
    println!("largest deviation {found:.1e}");
    assert!(found < 1e-5, "{found:e}");
    let spoiled: fn(Kernel, &mut String) = |_, text| *text = text.replace("0.693359375", "0.69");
    let found = deviation(Some(spoiled))?;
    assert!(found > 1e-4, "wrong powers of 2 must show, but deviate by {found:e}");
    Ok(())
}

/// The order at which systems are still solved: no loop is cut short.
fn largest_system(device: &AdapterChoice) -> Test {
    let case = Case { units: 512, points: 513, dimension: 3, test: 0, temperatures: 1, replicas: 1, ..BASE };
    let ensemble = case.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), GpuOptions::default())?;
    let mut cpu = Cpu::<f64>::new(ensemble.clone());
    let mut rounds = rounds(&ensemble, 1, true);
    rounds[0].steps.fill(2);
    let moves = moves(&ensemble, INTEGRATED, 0.1);
    let (a, b) = (cpu.run(&moves, &rounds)?.remove(0), gpu.run(&moves, &rounds)?.remove(0));
    let (a_state, b_state) = (cpu.weights()?.remove(0), gpu.weights()?.remove(0));
    let pairs = a_state.rotated.iter().chain(&a_state.readout).zip(b_state.rotated.iter().chain(&b_state.readout));
    let worst = pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    println!("{:?}\n{:?}\nlargest deviation {worst:.1e}", a.transitions, b.transitions);
    assert!(a.transitions[0].acceptance > 0.5 && worst < 1e-4, "{worst:e}");
    assert!((a.transitions[0].energy_error - b.transitions[0].energy_error).abs() < 1e-2);
    Ok(())
}

/// Where there is no room for the systems, or no time, the ensemble runs as ever with its readout sampled.
fn too_large_systems(device: &AdapterChoice) -> Test {
    let wide = Case { units: 513, points: 513, dimension: 2, temperatures: 1, replicas: 1, test: 0, ..BASE };
    for (case, binding_bytes) in [(wide, None), (Case { units: 61, points: 60, half: true, ..wide }, Some(29_200))] {
        let ensemble = case.ensemble();
        let mut gpu = Gpu::new(device, ensemble.clone(), GpuOptions { binding_bytes, ..case.options() })?;
        assert!(!gpu.integrates_readout(), "{}", gpu.plan());
        let refused = gpu.run(&moves(&ensemble, INTEGRATED, 0.1), &rounds(&ensemble, 1, false)).err();
        let message = refused.ok_or("the readout was integrated out")?.to_string();
        assert!(message.contains("--readout sampled"), "{message}");
        gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 1, true))?;
    }
    let ensemble = BASE.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), BASE.options())?;
    let mut mixed = moves(&ensemble, INTEGRATED, 0.1);
    mixed[1].scheme = MALT;
    let message = gpu.run(&mixed, &rounds(&ensemble, 1, false)).err().ok_or("mixed moves were played")?.to_string();
    assert!(message.contains("at all temperatures or at none"), "{message}");
    Ok(())
}

/// A learning rate that some chains survive and others do not.
fn lost_chains(device: &AdapterChoice) -> Test {
    let case = Case { activation: Activation::Identity, replicas: 40, temperatures: 2, test: 3, ..BASE };
    let ensemble = case.ensemble();
    let moves = moves(&ensemble, Scheme::Ula, 0.3);
    let mut rounds = rounds(&ensemble, 4, true);
    rounds.iter_mut().for_each(|round| {
        round.steps.fill(12);
        round.exchange = Some(Parity::Even);
    });
    let (mut cpu, mut gpu) = (Cpu::<f32>::new(ensemble.clone()), Gpu::new(device, ensemble, case.options())?);
    let (a, b) = (cpu.run(&moves, &rounds)?, gpu.run(&moves, &rounds)?);
    let lost = |outcomes: &[Outcome]| -> Vec<Vec<bool>> {
        outcomes.iter().map(|o| o.measurements.iter().map(|m: &Measurement| m.lost).collect()).collect()
    };
    let count = lost(&b).last().map_or(0, |last| last.iter().filter(|&&lost| lost).count());
    assert!((1..80).contains(&count), "{count} of 80 chains are lost");
    assert_eq!(lost(&a), lost(&b));
    let diverged = |o: &[Outcome]| o.iter().flat_map(|o| o.transitions.iter().map(|t| t.diverged)).collect::<Vec<_>>();
    assert_eq!(diverged(&a), diverged(&b));
    assert!(gpu.weights()?.iter().all(|w| w.rotated.iter().chain(&w.readout).all(|x| x.is_finite())));
    let draws = |backend: &dyn Backend| -> Result<Vec<usize>, Failed> {
        let all = backend.accumulated()?;
        let tallied = all.units.iter().flatten().map(|tally| tally.draws);
        Ok(all.predictive.iter().flatten().flatten().map(|batch| batch.draws).chain(tallied).collect())
    };
    assert_eq!(draws(&cpu)?, draws(&gpu)?);
    let finite = |sums: &[f64]| sums.iter().all(|x| x.is_finite());
    assert!(gpu.accumulated()?.gram.iter().flatten().all(|g| finite(g)));
    assert!(gpu.moments()?.iter().all(|m| finite(&m.weight_square)));
    Ok(())
}

/// Where ηTλ0 = 3 the step of ULA doubles W′ while erf of it, and the loss, stay finite; at the colder temperature it does not.
fn runaway_chains(device: &AdapterChoice) -> Test {
    let case = Case { replicas: 4, temperatures: 2, ..BASE };
    let mut ensemble = case.ensemble();
    (ensemble.network.lambda0, ensemble.network.lambda1) = (100.0, 1.0);
    let moves = moves(&ensemble, Scheme::Ula, 0.015);
    let mut rounds = rounds(&ensemble, 4, true);
    rounds.iter_mut().for_each(|round| round.steps.fill(12));
    let (mut cpu, mut gpu) = (Cpu::<f32>::new(ensemble.clone()), Gpu::new(device, ensemble, case.options())?);
    let (a, b) = (cpu.run(&moves, &rounds)?, gpu.run(&moves, &rounds)?);
    let lost = |o: &Outcome| o.measurements.iter().map(|m| m.lost).collect::<Vec<_>>();
    let diverged = |o: &Outcome| o.transitions.iter().map(|t| t.diverged).collect::<Vec<_>>();
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((lost(a), diverged(a)), (lost(b), diverged(b)));
    }
    // A thousandfold in a round: the bound is passed in the second.
    assert_eq!([lost(&b[0]), lost(&b[3])].concat(), [vec![false; 8], vec![true; 4], vec![false; 4]].concat());
    let finite = |m: &Measurement| (m.loss + m.weight_second_moment + m.weight_along_u_fourth).is_finite();
    assert!(b.iter().flat_map(|o| &o.measurements).all(finite));
    Ok(())
}

/// Sums whose loops would pass 65,535 in one invocation if nothing split them: a wide layer, and many chains in a Gram sum.
fn long_loops(device: AdapterChoice, software: bool) -> Test {
    let wide = Case { units: 45_000, points: 3, dimension: 2, temperatures: 1, replicas: 1, ..BASE };
    all_pass(&checks(&device, wide, wide.options())?)?;

    let crowd = Case { units: 4_096, points: 2, dimension: 1, test: 0, temperatures: 1, replicas: 800, ..BASE };
    let ensemble = crowd.ensemble();
    let mut rounds = rounds(&ensemble, 1, true);
    rounds[0].steps.fill(0);
    let moves = moves(&ensemble, MALT, 0.1);
    let gram = |backend: &mut dyn Backend| -> Result<Vec<f64>, Failed> {
        backend.run(&moves, &rounds)?;
        Ok(backend.accumulated()?.gram.concat().concat())
    };
    let deviation = |a: &[f64], b: &[f64]| a.iter().zip(b).fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    let expected = gram(&mut Cpu::<f64>::new(ensemble.clone()))?;
    let found = gram(&mut Gpu::new(&device, ensemble.clone(), crowd.options())?)?;
    assert!(deviation(&expected, &found) < 1e-6, "{}", deviation(&expected, &found));
    if software {
        // The limit is real: left in one piece, the sum is cut short.
        let unsplit = |_: Kernel, text: &mut String| {
            *text = text.replace("const GRAM_CHAINS = ", "const GRAM_CHAINS = 1000000u + ")
        };
        let options = GpuOptions { edit: Some(unsplit), ..crowd.options() };
        let found = gram(&mut Gpu::new(&device, ensemble, options)?)?;
        assert!(deviation(&expected, &found) > 1e-3, "the loop was not cut: the limit may be gone");
    }
    Ok(())
}

/// Full float32 precision of a mean over 10⁶ matrices: the kernel alone adds the same 100 chains of a block ten thousand times.
fn gram_precision(device: &AdapterChoice) -> Test {
    let case = Case { units: 1, points: 2, dimension: 2, test: 0, temperatures: 1, replicas: 800, ..BASE };
    let ensemble = Ensemble {
        network: Network { activation: Activation::Identity, ..case.ensemble().network },
        ..case.ensemble()
    };
    let z = &ensemble.problem.z_train;
    let worst = |repeats: usize, edit| -> Result<f64, Failed> {
        let gpu = Gpu::new(device, ensemble.clone(), GpuOptions { edit, ..case.options() })?;
        let mut round = rounds(&ensemble, 1, true).remove(0);
        round.steps.fill(0);
        let mut schedule = Schedule::new(gpu.plan());
        schedule.round(0, &round);
        gpu.engine().run(&schedule.commands)?;
        let gram: Vec<_> = schedule.commands.into_iter().filter(|command| command.kernel == Kernel::Gram).collect();
        assert_eq!(gram.len(), 1);
        gpu.engine().run(&vec![gram[0]; repeats - 1])?;
        let buffer = &gpu.engine().gram[0];
        let sums = gpu.engine().device.read(buffer, buffer.size())?;

        let mut worst = 0.0f64;
        // Of each block two rows of a vector of high parts and one of low parts, the lower triangle of which is used.
        for (block, sums) in sums.chunks_exact(16).enumerate() {
            let mut exact = [0.0; 4];
            for (replica, w) in gpu.weights()?.iter().enumerate() {
                let h = |point: usize| z[(point, 0)] * w.rotated[0] + z[(point, 1)] * w.rotated[1];
                if ensemble.gram_block(replica) == block {
                    (0..4).for_each(|k| exact[k] += repeats as f64 * h(k / 2) * h(k % 2));
                }
            }
            for (i, j) in [(0, 0), (1, 0), (1, 1)] {
                let sum = f64::from(sums[8 * i + j]) + f64::from(sums[8 * i + 4 + j]);
                worst = worst.max((sum - exact[2 * i + j]).abs() / exact[3 * i].max(exact[3 * j]));
            }
        }
        Ok(worst)
    };
    let error = worst(10_000, None)?;
    assert!(error < f64::from(f32::EPSILON), "relative error {error:e}");
    let plain: fn(Kernel, &mut String) =
        |_, text| *text = text.replace("Sums(high, low - opaque_four(high - s))", "Sums(high, vec4<f32>(0.0))");
    let error = worst(1_000, Some(plain))?;
    assert!(error > 1e-6, "plain float32 sums must show, but err by {error:e}");
    Ok(())
}

fn broken_shader(device: &AdapterChoice) -> Test {
    let spoil = |kernel: Kernel, text: &mut String| {
        if kernel == Kernel::Residual {
            *text = text.replace("var loss = vec2<f32>(0.0);", "var loss = 1u;");
        }
    };
    let options = GpuOptions { edit: Some(spoil), ..BASE.options() };
    let error = Gpu::new(device, BASE.ensemble(), options).err().ok_or("a broken shader was accepted")?.to_string();
    assert!(error.starts_with("shaders/residual.wgsl:") && error.lines().count() == 1, "{error}");
    Ok(())
}

fn refusal(device: &AdapterChoice) -> Test {
    let options = GpuOptions { binding_bytes: Some(1 << 12), ..BASE.options() };
    let error =
        Gpu::new(device, BASE.ensemble(), options).err().ok_or("too large an ensemble was accepted")?.to_string();
    assert!(error.contains("MiB") && error.contains("--width"), "{error}");
    let error = Gpu::new(&AdapterChoice::Name("no such device".into()), BASE.ensemble(), BASE.options());
    let error = error.err().ok_or("a device that does not exist was opened")?.to_string();
    assert!(error.contains("there are: 0: "), "{error}");
    Ok(())
}

/// What every WebGPU device has is enough, and gives the same bits where the tiling is the same.
fn core_features(device: &AdapterChoice) -> Test {
    let core = GpuOptions { core: true, ..BASE.options() };
    all_pass(&checks(device, BASE, core)?)?;
    assert_eq!(played(device, BASE, MALT, core)?.1, played(device, BASE, MALT, BASE.options())?.1);
    let refused = Gpu::new(device, BASE.ensemble(), GpuOptions { tiling: SUBGROUP, ..core });
    let error = refused.err().ok_or("subgroups were used without the feature")?.to_string();
    assert!(error.contains("subgroups of 8 invocations"), "{error}");
    Ok(())
}

/// The integers that the generator makes on the device, through the one buffer that holds integers: features packed as halves.
fn philox_words(device: &AdapterChoice) -> Test {
    const EXPOSED: &str = "if 2u * offset + 1u < CHAIN_FEATURES {
        let words = philox(vec4<u32>(offset * 2654435761u, address(chain, 4000000000u + chain, 1234567u, FRICTION)));
        features[chain * CHAIN_FEATURES + 2u * offset] = words.xy;
        features[chain * CHAIN_FEATURES + 2u * offset + 1u] = words.zw;
    }
    let noise = normals(";
    let exposed = |kernel: Kernel, text: &mut String| {
        if kernel == Kernel::Prior {
            *text = text.replace("let noise = normals(", EXPOSED);
        }
    };
    let spoiled = |kernel: Kernel, text: &mut String| {
        if kernel == Kernel::Prior {
            // A bit of a half that matters only through a carry, once in 10⁵ products or so.
            *text = text.replace("let noise = normals(", EXPOSED).replace("(cross & 0xffffu)", "(cross & 0xfffeu)");
        }
    };
    let case = Case { half: true, units: 400, points: 30, dimension: 25, temperatures: 3, replicas: 7, ..BASE };
    // Blocks compared and blocks of them that differ.
    let differing = |edit| -> Result<(usize, usize), Failed> {
        let ensemble = case.ensemble();
        let gpu = Gpu::new(device, ensemble.clone(), GpuOptions { edit: Some(edit), ..case.options() })?;
        let mut schedule = Schedule::new(gpu.plan());
        schedule.start(true);
        let prior: Vec<_> = schedule.commands.into_iter().filter(|c| c.kernel == Kernel::Prior).collect();
        gpu.engine().run(&prior)?;
        let layout = &gpu.plan().layout;
        let blocks = layout.chain_body().min(layout.chain_features() / 2);
        let buffer = &gpu.engine().features;
        let words: Vec<u32> = gpu.engine().device.read(buffer, buffer.size())?.iter().map(|x| x.to_bits()).collect();
        let key = [ensemble.seed as u32, (ensemble.seed >> 32) as u32];
        let mut different = 0;
        for (chain, words) in words.chunks_exact(2 * layout.chain_features()).enumerate() {
            let id = Ensemble::chain_id(chain / case.replicas, chain % case.replicas);
            for (block, found) in words.chunks_exact(4).take(blocks).enumerate() {
                let purpose = (Purpose::Friction as u32) << 24 | 1_234_567;
                let counter = [(block as u32).wrapping_mul(2_654_435_761), 4_000_000_000 + chain as u32, id, purpose];
                different += usize::from(found != philox4x32(counter, key));
            }
        }
        Ok((blocks * ensemble.chains(), different))
    };
    let (compared, different) = differing(exposed)?;
    println!("{compared} blocks compared");
    assert!(compared > 50_000 && different == 0, "{different} of {compared} blocks differ");
    let (_, different) = differing(spoiled)?;
    assert!(different > 0, "a lost bit was not noticed");
    Ok(())
}

/// A buffer larger than the device's largest fails alone: the ensemble beside it goes on.
fn large_buffer(device: &AdapterChoice) -> Test {
    let ensemble = BASE.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), BASE.options())?;
    let error = gpu.engine().device.storage("everything", 1 << 50).err().ok_or("a pebibyte was reserved")?.to_string();
    assert!(error.starts_with("GPU ") && error.contains("1073741824.0 MiB for everything"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 1, true))?;
    Ok(())
}

/// wgpu panics where a driver does what it must not; the user is to see one line and no backtrace.
fn driver_panic(device: &AdapterChoice) -> Test {
    let ensemble = BASE.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), BASE.options())?;
    let error =
        gpu.engine().device.guarded("being tried", || panic!("lost\n  the device")).err().ok_or("it went on")?;
    let error = error.to_string();
    assert!(error.starts_with("GPU ") && error.ends_with("its driver crashed (lost the device)"), "{error}");
    // The panic left error scopes open, which must not swallow or misreport what comes after.
    gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 1, true))?;
    assert!(gpu.engine().device.storage("everything", 1 << 50).is_err());
    Ok(())
}

fn lost_device(device: &AdapterChoice) -> Test {
    let ensemble = BASE.ensemble();
    let mut gpu = Gpu::new(device, ensemble.clone(), BASE.options())?;
    gpu.engine().device.device.destroy();
    let run = gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 2, true)).err();
    let errors = [run.ok_or("ran")?, gpu.weights().err().ok_or("read")?, gpu.moments().err().ok_or("summed")?];
    for error in errors.map(|error| error.to_string()) {
        assert!(error.starts_with("GPU ") && error.lines().count() == 1, "{error}");
        println!("{error}");
    }
    Ok(())
}

/// A run whose device goes away among its draws ends with one line; from what it kept, another device gives the bits of a run left alone.
fn lost_in_a_run(device: &AdapterChoice) -> Test {
    let mut settings = preset("quick")?;
    (settings.data.train, settings.data.test, settings.network.width) = (Some(10), Some(4), Some(6));
    settings.temperature = TemperatureSettings { values: Some(vec![1.0]), range: None };
    let sampler = &mut settings.sampler;
    (sampler.chains, sampler.warmup, sampler.draws) = (Some(4), Some(8), Some(20));
    let experiment = Experiment::resolve(settings)?;
    let prepared = prepare(&experiment)?;
    let sample = |from: Option<Vec<u8>>, lost: bool| -> Result<Course, Failed> {
        let job = Job::new(&experiment, &prepared);
        let mut gpu = Gpu::new(device, job.ensemble().clone(), GpuOptions::default())?;
        let handle = gpu.engine().device.device.clone();
        let mut kept = Vec::new();
        let mut keep = |state: &[u8]| {
            kept.push(state.to_vec());
            Ok(())
        };
        let progress = |state: Progress, _: &Recorder| {
            if lost && state.phase == Phase::Sampling {
                handle.destroy();
            }
            ControlFlow::Continue(())
        };
        let checkpoints = Checkpoints { from, every: Duration::from_nanos(1), keep: &mut keep };
        let ended = job.sample(&mut gpu, progress, Some(checkpoints));
        Ok((kept, ended))
    };
    let (_, alone) = sample(None, false)?;
    let alone = alone?.document.temperatures;
    let (kept, ended) = sample(None, true)?;
    let error = ended.err().ok_or("the run went on without its device")?.to_string();
    assert!(error.starts_with("GPU ") && error.lines().count() == 1, "{error}");
    let (_, ended) = sample(Some(kept.last().ok_or("no checkpoint was kept")?.clone()), false)?;
    assert_eq!(serde_json::to_string(&ended?.document.temperatures)?, serde_json::to_string(&alone)?);
    Ok(())
}
