//! Gradient descent follows the gradient flow: what the flow conserves stays, and half the rate goes the same way.

use std::ops::ControlFlow;
use std::sync::Arc;

use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble, Mass, Move, Round, Scheme, Weights};
use featherm::config::{BackendChoice, Experiment, preset};
use featherm::descent::{Descent, DescentError, Plan, descend};
use featherm::model::Activation;
use featherm::run::load;

fn experiment(activation: Activation) -> Experiment {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(30), Some(10), Some(20));
    settings.network.activation = Some(activation);
    settings.sampler.chains = Some(4);
    settings.sampler.backend = Some(BackendChoice::Cpu);
    Experiment::resolve(settings).unwrap()
}

/// Largest change of v_i² − ‖w_i‖² over all units after a time of 0.2 at this rate; `scheme` moves.
fn drift(activation: Activation, scheme: Scheme, rate: f64) -> f64 {
    let experiment = experiment(activation);
    let problem = load(&experiment).unwrap();
    let rank = problem.rank();
    let ensemble = Ensemble {
        problem: Arc::clone(&problem),
        network: experiment.network,
        seed: 1,
        temperatures: 1,
        replicas: 4,
        directions: vec![vec![0.0; rank]],
        reaches: vec![[0.0; 2]],
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
    let moves = [Move { beta: 1.0, scheme, step_size: rate, mass }];
    backend.run(&moves, &[Round { trajectory: 1, steps: vec![steps], exchange: None, observe: None }]).unwrap();
    let after = invariants(&backend.weights().unwrap());
    before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// σ(cx) = cσ(x) for c > 0 gives v ∂f/∂v = w·∂f/∂w, so the flow keeps v_i² − ‖w_i‖² of every unit, and descent at rate η keeps it to order η.
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
    descend(&experiment(Activation::Erf), plan, |_| ControlFlow::Continue(()))
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

/// The same bits however often the path is recorded, and an interrupted path is the beginning of the whole.
#[test]
fn records_do_not_disturb_the_path() {
    let path = |records| {
        let plan = Plan { learning_rate: None, steps: 64, records };
        descend(&experiment(Activation::Erf), plan, |_| ControlFlow::Continue(())).unwrap()
    };
    for name in ["train_loss", "test_mse", "centroid_distance_sq"] {
        assert_eq!(means(&path(2), name).last(), means(&path(9), name).last(), "{name}");
    }
    let plan = Plan { learning_rate: None, steps: 64, records: 9 };
    let stop = |done| if done >= 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let part = descend(&experiment(Activation::Erf), plan, stop).unwrap();
    assert!(part.interrupted && part.step.last() < Some(&64));
    assert_eq!(means(&part, "train_loss"), means(&path(9), "train_loss")[..part.step.len()]);
}
