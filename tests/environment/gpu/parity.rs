//! Every stage of both backends from the same states and the same noise, on shapes that are no
//! multiples of anything; and each kernel spoiled, which must show.

use std::collections::HashSet;

use featherm::backend::cpu::Cpu;
use featherm::backend::doctor::{Check, Tolerances, compare};
use featherm::backend::gpu::GpuOptions;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::tiling::SUBGROUP_LANES;
use featherm::backend::{Backend, BackendError, Round};
use featherm::model::Activation;

use super::{
    BASE, COOPERATIVE, Case, EMULATED, HALF_FORCES, HALF_FORCES_LARGE, MALT, REGISTER_8, SHARED_4, SHARED_8, SUBGROUP,
    all_pass, checks, moves, rounds,
};
use crate::common::gpu::{info, on_device};
use crate::{Group, Test};

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    let subgroups = info().is_none_or(|info| info.subgroup as usize >= SUBGROUP_LANES);
    let matrices = info().is_some_and(|info| info.cooperative);
    for case in CASES {
        group.fast(format!("parity::{}", case.name), move || parity(case));
    }
    for twin in HALF_TWINS {
        group.fast(format!("parity::{}", twin.case.name), move || half_twin(twin));
    }
    group.fast("parity::half_activations_are_those_of_the_cpu", half_activations);
    let can_run = |case: &Case| (case.tiling != SUBGROUP || subgroups) && (case.tiling != COOPERATIVE || matrices);
    for case in MORE_CASES.into_iter().filter(can_run) {
        group.slow(format!("parity::{}", case.name), move || parity(case));
    }
    for case in LONG_CASES.into_iter().filter(can_run) {
        group.long(format!("parity::{}", case.name), move || parity(case));
    }
    if subgroups {
        let case = Case { tiling: SUBGROUP, ..BASE };
        group.slow("control::rows_handed_on", move || control_is_seen(HANDED_ON, case));
    }
    // By default one of each kernel.
    let mut seen = HashSet::new();
    for (controls, prefix, case) in [(&CONTROLS[..], "", BASE), (&HALF_CONTROLS[..], "half_forces::", HALF_FORCES)] {
        for &control in controls {
            let name = format!("control::{prefix}{}", control.name);
            let test = move || control_is_seen(control, case);
            if seen.insert((control.kernel, prefix)) {
                group.fast(name, test);
            } else {
                group.slow(name, test);
            }
        }
    }
}

/// Every kernel once, and every activation.
const CASES: [Case; 6] = [
    BASE,
    Case { name: "relu", activation: Activation::Relu, ..BASE },
    Case { name: "tanh", activation: Activation::Tanh, ..BASE },
    Case { name: "identity", activation: Activation::Identity, ..BASE },
    Case { name: "gelu", activation: Activation::Gelu, ..BASE },
    HALF_FORCES,
];

/// Shapes that are no multiples of anything, the smallest ones, many chains, every tiling and
/// storage. A software device compiles most of them for half a minute, and those of subgroups for
/// two.
const MORE_CASES: [Case; 15] = [
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
    Case { name: "half", units: 41, points: 37, dimension: 50, half: true, ..BASE },
    Case { name: "half_forces_large", ..HALF_FORCES_LARGE },
    Case { name: "half_forces_more_points", units: 37, points: 67, dimension: 30, tiling: EMULATED, ..BASE },
    Case { name: "cooperative", tiling: COOPERATIVE, ..HALF_FORCES_LARGE },
    Case { name: "cooperative_more_points", units: 37, points: 67, dimension: 30, tiling: COOPERATIVE, ..BASE },
];

/// A second shape for the tiling that takes two minutes to compile.
const LONG_CASES: [Case; 1] =
    [Case { name: "subgroup_more_points", units: 37, points: 67, dimension: 30, tiling: SUBGROUP, ..BASE }];

fn parity(case: Case) -> Test {
    let checks = checks(case, case.options())?;
    for check in &checks {
        println!("{:30} {:24} {:9.2e} of {:9.2e}", case.name, check.stage, check.deviation, check.tolerance);
    }
    all_pass(&checks)
}

/// Storage in float16 against the CPU with the same roundings, and what must show that the CPU does
/// not round.
#[derive(Clone, Copy)]
struct HalfTwin {
    case: Case,
    tolerances: Tolerances,
    unlike: &'static [&'static str],
}

/// A number so near the middle between two of float16 that float32 decides is rounded differently
/// now and then, which moves a sum by its share of 2⁻¹¹: a stage may hold one of these in the first
/// case. In the second pre-activations are single products and σ is ReLU, so that both devices have
/// the same bits; later states may differ.
const HALF_TWINS: [HalfTwin; 2] = [
    HalfTwin {
        case: Case { name: "half_odd_shapes", half: true, ..BASE },
        tolerances: Tolerances { noise: 1e-6, stage: 5e-5, steps: 2e-5, trajectory: 5e-5, energy: 4e-5 },
        unlike: &["gram", "predictions", "gradient", "drawn readout"],
    },
    HalfTwin {
        case: Case { name: "half_rank_1", dimension: 1, activation: Activation::Relu, half: true, ..BASE },
        tolerances: Tolerances { noise: 1e-6, stage: 2e-6, steps: 2e-5, trajectory: 5e-5, energy: 4e-5 },
        unlike: &["observables", "gram", "gradient", "drawn readout"],
    },
];

fn half_twin(HalfTwin { case, tolerances, unlike }: HalfTwin) -> Test {
    let ensemble = case.ensemble();
    let against = |mut cpu: Cpu<f32>| -> Result<Vec<Check>, BackendError> {
        let mut gpu = on_device(ensemble.clone(), case.options())?;
        compare(&mut cpu, &mut gpu, &ensemble, &tolerances)
    };
    let (rounded, control) = (against(Cpu::with_half_storage(ensemble.clone()))?, against(Cpu::new(ensemble.clone()))?);
    for (check, control) in rounded.iter().zip(&control) {
        let (found, other) = (check.deviation, control.deviation);
        println!(
            "{:16} {:28} {found:9.2e} of {:9.2e}, unrounded {other:9.2e}",
            case.name, check.stage, check.tolerance
        );
    }
    all_pass(&rounded)?;
    for stage in unlike {
        if control.iter().filter(|check| check.stage == *stage).all(Check::passed) {
            return Err(format!("stage `{stage}` did not notice that the CPU did not round").into());
        }
    }
    Ok(())
}

/// Of one unit the diagonal of G is φ² at every point: squares of float16 numbers, which float32
/// holds exactly.
fn half_activations() -> Test {
    let case = Case { name: "one_unit", units: 1, points: 200, temperatures: 1, replicas: 1, half: true, ..BASE };
    let ensemble = case.ensemble();
    let squares = |backend: &mut dyn Backend| -> Result<Vec<f64>, BackendError> {
        let still = rounds(&ensemble, 1, true).into_iter().map(|round| Round { steps: vec![0], ..round });
        backend.run(&moves(&ensemble, MALT, 0.1), &still.collect::<Vec<_>>())?;
        let gram = backend.accumulated()?.gram.remove(0).remove(0);
        Ok(gram.into_iter().step_by(case.points + 1).collect())
    };
    let found = squares(&mut on_device(ensemble.clone(), case.options())?)?;
    let unlike = |mut cpu: Cpu<f32>| -> Result<usize, BackendError> {
        Ok(squares(&mut cpu)?.iter().zip(&found).filter(|(a, b)| a != b).count())
    };
    let (rounded, control) = (unlike(Cpu::with_half_storage(ensemble.clone()))?, unlike(Cpu::new(ensemble.clone()))?);
    println!("of {} activations {rounded} differ, and {control} where the CPU does not round", case.points);
    // Two may lie near the middle between two of float16.
    if rounded > 2 || control < case.points / 2 {
        return Err(format!("{rounded} and {control} of {} activations differ", case.points).into());
    }
    Ok(())
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
    kick: Backward, "halves * integrator.force" => "1.001 * halves * integrator.force", "hmc";
    drift: Backward, "integrator.time *" => "1.0001 * integrator.time *", "hmc";
    friction: Backward, "integrator.fresh *" => "1.0001 * integrator.fresh *", "obabo";
    middle_friction: Launch, "integrator.fresh *" => "1.0001 * integrator.fresh *", "baoab";
    langevin_noise: Launch, "integrator.amplitude *" => "1.001 * integrator.amplitude *", "ula";
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

/// The control that the kernels are to be spoiled with: edits are plain functions, and every
/// control runs in a thread of its own.
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

fn control_is_seen(control: Control, case: Case) -> Test {
    spoil::set(Some(control));
    let checks = checks(case, GpuOptions { edit: Some(spoil::edit), ..case.options() });
    spoil::set(None);
    if checks?.iter().any(|check| check.stage == control.stage && !check.passed()) {
        return Ok(());
    }
    Err(format!("stage `{}` did not notice", control.stage).into())
}
