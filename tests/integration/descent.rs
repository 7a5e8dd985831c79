//! Gradient descent follows the gradient flow: what the flow conserves stays, and half the rate
//! goes the same way.

use std::ops::ControlFlow;
use std::sync::Arc;

use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, BackendChoice, Ensemble, IntegratorParams, Mass, Round, Scheme, Weights};
use featherm::config::{Setup, preset};
use featherm::model::Activation;
use featherm::studies::descent::{Descent, DescentError, Inversion, Plan, descend};
use featherm::studies::load;
use featherm::theory::TheoryKind;

fn setup(activation: Activation) -> Setup {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(30), Some(10), Some(20));
    settings.network.activation = Some(activation);
    settings.sampler.chains = Some(4);
    settings.sampler.backend = Some(BackendChoice::Cpu);
    Setup::resolve(settings).unwrap()
}

/// Largest change of v_i² − ‖w_i‖² over all units after a time of 0.2 at this rate; `scheme` moves.
fn drift(activation: Activation, scheme: Scheme, rate: f64) -> f64 {
    let setup = setup(activation);
    let problem = load(&setup).unwrap();
    let rank = problem.rank();
    let ensemble = Ensemble {
        problem: Arc::clone(&problem),
        network: *setup.experiment().network(),
        seed: 1,
        temperatures: 1,
        replicas: 4,
        projection_axes: vec![vec![0.0; rank]],
        histogram_ranges: vec![[0.0; 2]],
        batches: 0,
    };
    let mut backend = Cpu::<f64>::new(ensemble);
    let invariants = |weights: &[Weights]| -> Vec<f64> {
        let of = |w: &Weights| {
            let square = |x: &f64| x.powi(2);
            let rows = w.rotated.chunks_exact(rank).map(move |row| row.iter().map(square).sum::<f64>());
            w.readout.iter().zip(rows).map(|(v, norm)| square(v) - norm).collect::<Vec<_>>()
        };
        weights.iter().flat_map(of).collect()
    };
    let before = invariants(&backend.weights().unwrap());
    let mass = Mass { weights: vec![1.0; rank], readout: 1.0 };
    let steps = (0.2 / rate).round() as u32;
    let moves = [IntegratorParams { beta: 1.0, scheme, step_size: rate, mass }];
    backend.run(&moves, &[Round { trajectory: 1, steps: vec![steps], exchange: None, observe: None }]).unwrap();
    let after = invariants(&backend.weights().unwrap());
    before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// σ(cx) = cσ(x) for c > 0 gives v ∂f/∂v = w·∂f/∂w, so the flow keeps v_i² − ‖w_i‖² of every unit,
/// and descent at rate η keeps it to order η.
#[test]
fn homogeneous_units_keep_what_the_gradient_flow_conserves() {
    for activation in [Activation::Relu, Activation::Identity] {
        let [long, short] = [2e-3, 1e-3].map(|rate| drift(activation, Scheme::Descent, rate));
        assert!(long < 0.1 && (long / short - 2.0).abs() < 0.2, "{activation:?}: {long} and {short}");
    }
    let erf = drift(Activation::Erf, Scheme::Descent, 1e-3);
    assert!(erf > 0.1, "erf is not homogeneous: {erf}");
    let noisy = drift(Activation::Relu, Scheme::Ula, 1e-3);
    assert!(noisy > 0.1, "noise is not descent: {noisy}");
}

fn followed(learning_rate: Option<f64>, steps: u32) -> Result<Descent, DescentError> {
    let plan = Plan { learning_rate, steps, records: 12 };
    descend(&setup(Activation::Erf), plan, |_| ControlFlow::Continue(()))
}

fn means(found: &Descent, observable: &str) -> Vec<f64> {
    let track = found.tracks.iter().find(|track| track.observable == observable).unwrap();
    track.values.iter().map(|value| value.mean).collect()
}

#[test]
fn half_the_rate_goes_the_same_way() {
    let whole = followed(None, 400).unwrap();
    let half = followed(Some(0.5 * whole.learning_rate), 800).unwrap();
    for name in ["train_loss", "test_mse", "centroid_distance_sq", "readout_second_moment"] {
        let (a, b) = (*means(&whole, name).last().unwrap(), *means(&half, name).last().unwrap());
        assert!((a / b - 1.0).abs() < 0.02, "{name}: {a} and {b}");
    }
    let loss = means(&whole, "train_loss");
    assert!(loss.windows(2).all(|pair| pair[1] < pair[0]) && loss.last().unwrap() < &(0.2 * loss[0]), "{loss:?}");
    let sooner = followed(None, 100).unwrap();
    let (a, b) = (means(&sooner, "train_loss"), means(&whole, "train_loss"));
    assert!((a.last().unwrap() / b.last().unwrap() - 1.0).abs() > 0.02, "a quarter of the time is another place");
    assert!(matches!(followed(Some(1.0), 10), Err(DescentError::Unstable { .. })));
}

/// The same bits however often the path is recorded, and an interrupted path is the beginning of
/// the whole.
#[test]
fn records_do_not_disturb_the_path() {
    let path = |records| {
        let plan = Plan { learning_rate: None, steps: 64, records };
        descend(&setup(Activation::Erf), plan, |_| ControlFlow::Continue(())).unwrap()
    };
    for name in ["train_loss", "test_mse", "centroid_distance_sq"] {
        assert_eq!(means(&path(2), name).last(), means(&path(9), name).last(), "{name}");
    }
    let plan = Plan { learning_rate: None, steps: 64, records: 9 };
    let stop = |done| if done >= 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let part = descend(&setup(Activation::Erf), plan, stop).unwrap();
    assert!(part.interrupted && part.step.last() < Some(&64));
    assert_eq!(means(&part, "train_loss"), means(&path(9), "train_loss")[..part.step.len()]);
    agrees_with_its_tracks(&part);
}

/// Digits on which D² is known to turn, or not to: forty of them, and a network of twenty relu
/// units.
fn digits(classes: &str, starts: usize) -> Descent {
    let mut settings = preset("quick").unwrap();
    settings.data.classes = Some(classes.into());
    (settings.data.train, settings.data.test, settings.network.width) = (Some(40), Some(10), Some(20));
    settings.network.activation = Some(Activation::Relu);
    settings.sampler.seed = Some(6);
    settings.theory.kinds = Some(vec![TheoryKind::Nngp]);
    (settings.sampler.chains, settings.sampler.backend) = (Some(starts), Some(BackendChoice::Cpu));
    let plan = Plan { learning_rate: None, steps: 4000, records: 30 };
    descend(&Setup::resolve(settings).unwrap(), plan, |_| ControlFlow::Continue(())).unwrap()
}

fn inversion<'a>(found: &'a Descent, observable: &str) -> &'a Inversion {
    found.inversion.iter().find(|found| found.observable == observable).unwrap()
}

/// What is said of the mean over the starts is what the tracks show, on both sets of points.
fn agrees_with_its_tracks(found: &Descent) {
    assert_eq!(found.inversion.len(), 2);
    let losses = means(found, "train_loss");
    for of in &found.inversion {
        let heights = means(found, &of.observable);
        let top = (0..heights.len()).max_by(|&a, &b| heights[a].total_cmp(&heights[b])).unwrap();
        let mean = &of.mean;
        assert_eq!(mean.step, found.step[top]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(mean.value, heights[top]) && near(mean.train_loss, losses[top]), "{mean:?}");
        assert!(near(mean.rise.mean, heights[top] - heights[0]), "{mean:?}");
        assert!(near(mean.fall.mean, heights[top] - heights.last().unwrap()), "{mean:?}");
        assert_eq!(of.peaks.len(), found.starts);
        let highest = of.peaks.iter().map(|peak| peak.value).sum::<f64>() / found.starts as f64;
        assert!(highest >= mean.value - 1e-9, "each start's maximum is at least its height at that of the mean");
        assert!(of.peaks.iter().all(|peak| found.step.contains(&peak.step) && peak.relative_fall >= 0.0));
    }
}

/// At these points 45 of 48 starts invert, with a fall of 9.9 % at L/P = 0.038, and the mean falls
/// by 0.0148 ± 0.0022. At other choices of points (seeds 1 to 5) 36 to 42 of them do.
#[test]
fn manifolds_of_ones_and_eights_invert() {
    let found = digits("1,8", 48);
    agrees_with_its_tracks(&found);
    let of = inversion(&found, "centroid_distance_sq");
    assert_eq!(of.inverts, Some(true));
    assert!((of.interior_fraction - 45.0 / 48.0).abs() < 0.05, "{}", of.interior_fraction);
    let (loss, fall) = (of.train_loss.unwrap(), of.relative_fall.unwrap());
    assert!((loss.mean - 0.038).abs() < 0.004 && (fall.mean - 0.099).abs() < 0.01, "{loss:?} {fall:?}");
    let change = of.mean.fall;
    assert!((change.mean - 0.0148).abs() < 0.001 && (change.error.unwrap() - 0.0022).abs() < 0.0003, "{change:?}");
    // The starts scatter by more than they fall, and share the fall nevertheless.
    let track = found.tracks.iter().find(|track| track.observable == of.observable).unwrap();
    assert!(track.values.last().unwrap().error.unwrap() > 2.0 * change.error.unwrap());
}

#[test]
fn manifolds_of_zeros_and_ones_do_not() {
    let found = digits("0,1", 16);
    agrees_with_its_tracks(&found);
    let of = inversion(&found, "centroid_distance_sq");
    assert_eq!((of.inverts, of.mean.interior, of.mean.step), (Some(false), false, 4000));
    assert!(of.interior_fraction < 0.2, "{}", of.interior_fraction);
    assert_eq!(digits("1,8", 3).inversion[0].inverts, None, "three starts tell no error");
}

#[test]
fn theories_stand_beside_descent_as_they_are_asked_for() {
    let with = |kinds: &[TheoryKind], temperatures: &[f64]| {
        let mut settings = setup(Activation::Erf).settings().clone();
        settings.theory.kinds = Some(kinds.to_vec());
        (settings.temperature.values, settings.temperature.range) = (Some(temperatures.to_vec()), None);
        let plan = Plan { learning_rate: None, steps: 4, records: 2 };
        descend(&Setup::resolve(settings).unwrap(), plan, |_| ControlFlow::Continue(())).unwrap()
    };
    let named = |found: &Descent| found.equilibrium.iter().map(|at| (at.theory, at.temperature)).collect::<Vec<_>>();
    let found = with(&[TheoryKind::Nngp, TheoryKind::Adaptive], &[10.0, 1.0]);
    assert_eq!(named(&found), [("nngp", 10.0), ("nngp", 1.0), ("adaptive", 10.0), ("adaptive", 1.0)]);
    for (at, exact) in found.equilibrium.iter().zip([true, true, false, false]) {
        assert_eq!((at.train_loss_error == 0.0, at.centroid_distance_sq_error == [0.0]), (exact, exact), "{at:?}");
    }
    // Finite width moves D², and a little.
    let (still, moved) = (&found.equilibrium[1].centroid_distance_sq[0], &found.equilibrium[3].centroid_distance_sq[0]);
    assert!((0.1..1.0).contains(&(moved / still - 1.0)), "{still} {moved}");
    assert!(found.notes.is_empty() && found.warnings.is_empty(), "{:?} {:?}", found.notes, found.warnings);

    let found = with(&[TheoryKind::Saddle, TheoryKind::SingleUnit], &[1.0]);
    assert_eq!(named(&found), [("saddle", 1.0)]);
    assert!(found.notes.len() == 1 && found.notes[0].contains("single-unit"), "{:?}", found.notes);
    assert!(found.warnings.is_empty());
}
