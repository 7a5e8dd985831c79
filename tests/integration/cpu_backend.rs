//! Exact properties of the CPU backend: the field's update, gradients, reproducibility.

use crate::common::{Setting, ensemble, restore, task};
use featherm::backend::cpu::Cpu;
use featherm::backend::{
    Backend, Ensemble, IntegratorParams, Mass, Observation, Parity, PredictiveBatch, Round, Scheme, Weights,
};
use featherm::compare::{densities, readout_weight_vector};
use featherm::model::{Activation, Network, Problem};
use featherm::numerics::histogram::Density;
use featherm::numerics::noise::{Address, Purpose};
use featherm::sampler::SamplerKind;

const ACTIVATIONS: [Activation; 5] =
    [Activation::Erf, Activation::Relu, Activation::Tanh, Activation::Identity, Activation::Gelu];

fn problem() -> Problem {
    let entry = |i: usize, j: usize| (((i * 31 + j * 57 + i * j * 13) % 23) as f64 - 11.0) / 7.0;
    let rows = |n: std::ops::Range<usize>| n.map(|i| (0..5).map(|j| entry(i, j)).collect()).collect::<Vec<_>>();
    let y: Vec<f64> = (0..7).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
    Problem::new(&task(&rows(0..7), &y, &rows(10..13))).unwrap()
}

fn network(activation: Activation) -> Network {
    Network { width: 4, activation, lambda0: 0.7, lambda1: 1.6 }
}

fn one_chain(problem: &Problem, activation: Activation, replicas: usize, temperatures: &[f64]) -> Ensemble {
    let setting = Setting { replicas, ..Setting::new(SamplerKind::Malt, temperatures) };
    ensemble(problem, network(activation), &setting, &[1.0, 0.0, 0.0, 0.0, 0.0])
}

/// L of given weights, from the definition.
fn loss(problem: &Problem, activation: Activation, weights: &Weights) -> f64 {
    let (units, rank) = (weights.readout.len(), problem.rank());
    (0..problem.points())
        .map(|mu| {
            let f: f64 = (0..units)
                .map(|i| {
                    let h = (0..rank).map(|j| weights.rotated[i * rank + j] * problem.z_train[(mu, j)]).sum();
                    weights.readout[i] * activation.sigma(h)
                })
                .sum();
            0.5 * (problem.y_train[mu] - f / (units as f64).sqrt()).powi(2)
        })
        .sum()
}

/// ∂L by central differences.
fn gradient(problem: &Problem, activation: Activation, weights: &Weights) -> Weights {
    let differences = |block: fn(&mut Weights) -> &mut Vec<f64>| {
        let mut shifted = weights.clone();
        (0..block(&mut shifted).len())
            .map(|k| {
                let step = 1e-5;
                let mut at = |shift: f64| {
                    block(&mut shifted)[k] += shift;
                    let loss = loss(problem, activation, &shifted);
                    block(&mut shifted)[k] -= shift;
                    loss
                };
                (at(step) - at(-step)) / (2.0 * step)
            })
            .collect()
    };
    Weights { readout: differences(|w| &mut w.readout), rotated: differences(|w| &mut w.rotated) }
}

/// `ula` is θ ← (1 − ηTλ)θ − η∇L + √(2ηT) ξ, step by step, for the noise that its address names.
#[test]
fn ula_is_the_update_of_the_field() {
    let problem = problem();
    let (eta, temperature, steps) = (0.02, 0.4, 3);
    for activation in ACTIVATIONS {
        let ensemble = one_chain(&problem, activation, 1, &[temperature]);
        let network = ensemble.network;
        let mut backend = Cpu::<f64>::new(ensemble.clone());
        let mut expected = backend.weights().unwrap().remove(0);
        for step in 0..steps {
            let noise = |slot: u32, count: usize| {
                let mut normals = vec![0f64; count];
                Address { seed: ensemble.seed, chain: 0, trajectory: 9, step: slot, purpose: Purpose::Friction }
                    .normals(&mut normals);
                normals
            };
            let slope = gradient(&problem, activation, &expected);
            let update = |x: &mut [f64], g: &[f64], xi: &[f64], lambda: f64| {
                for ((x, g), xi) in x.iter_mut().zip(g).zip(xi) {
                    *x = (1.0 - eta * temperature * lambda) * *x - eta * g + (2.0 * eta * temperature).sqrt() * xi;
                }
            };
            let (units, weights) = (expected.readout.len(), expected.rotated.len());
            update(&mut expected.readout, &slope.readout, &noise(2 * step, units), network.lambda1);
            update(&mut expected.rotated, &slope.rotated, &noise(2 * step + 1, weights), network.lambda0);
        }
        let mass = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
        let motion = IntegratorParams { beta: 1.0 / temperature, scheme: Scheme::Ula, step_size: eta, mass };
        let round = Round { trajectory: 9, steps: vec![steps], exchange: None, observe: None };
        backend.run(&[motion], &[round]).unwrap();
        let found = backend.weights().unwrap().remove(0);
        let distance = |a: &Weights, b: &Weights| {
            let pairs = a.readout.iter().zip(&b.readout).chain(a.rotated.iter().zip(&b.rotated));
            pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
        };
        assert!(distance(&found, &expected) < 1e-8, "{activation:?}: {}", distance(&found, &expected));
        let mut other = expected.clone();
        other.rotated[0] += 1e-6;
        assert!(distance(&found, &other) > 1e-7, "a wrong weight must be seen");
    }
}

/// Both treatments of the readout, with friction.
const SCHEMES: [Scheme; 2] = [Scheme::Obabo { friction: 0.8, metropolis: true }, Scheme::Marginal { friction: 0.8 }];

/// Six observed rounds, for the bitwise tests.
fn play(ensemble: Ensemble, scheme: Scheme, temperatures: &[f64]) -> (Vec<Weights>, Vec<f64>) {
    let mass = Mass { weights: vec![1.0; ensemble.problem.rank()], readout: 1.0 };
    let moves: Vec<IntegratorParams> = temperatures
        .iter()
        .map(|t| IntegratorParams { beta: 1.0 / t, scheme, step_size: 0.2, mass: mass.clone() })
        .collect();
    let observe = Some(Observation { batch: Some(0), gram: true, weights: true });
    let rounds: Vec<Round> = (0..6)
        .map(|trajectory| Round { trajectory, steps: vec![5; temperatures.len()], exchange: None, observe })
        .collect();
    let mut backend = Cpu::<f32>::new(ensemble);
    let outcomes = backend.run(&moves, &rounds).unwrap();
    let losses = outcomes.iter().flat_map(|o| o.measurements.iter().map(|m| m.loss)).collect();
    (backend.weights().unwrap(), losses)
}

#[test]
fn a_chain_does_not_depend_on_the_others() {
    let problem = problem();
    for scheme in SCHEMES {
        let play = |replicas: usize, temperatures: &[f64]| {
            play(one_chain(&problem, Activation::Erf, replicas, temperatures), scheme, temperatures).0
        };
        let many = play(37, &[1.0, 0.3]);
        assert_eq!(play(1, &[1.0])[0], many[0]);
        let few = play(3, &[1.0, 0.3]);
        assert_eq!(few[..3], many[..3]);
        assert_eq!(few[3..], many[37..40]);
        assert_ne!(few[0], few[1], "chains differ from each other");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let problem = problem();
    for scheme in SCHEMES {
        let sampled = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| play(one_chain(&problem, Activation::Gelu, 11, &[1.0, 0.3]), scheme, &[1.0, 0.3]))
        };
        assert_eq!(sampled(1), sampled(5));
        let mut other = one_chain(&problem, Activation::Gelu, 11, &[1.0, 0.3]);
        other.seed += 1;
        assert_ne!(sampled(1), play(other, scheme, &[1.0, 0.3]), "another seed gives other draws");
    }
}

/// What a chain keeps of its last gradient never shows: put where it stands, it goes on as it would
/// have.
#[test]
fn a_chain_with_a_past_moves_like_one_without() {
    let problem = problem();
    for scheme in SCHEMES {
        let ensemble = one_chain(&problem, Activation::Erf, 4, &[1.0, 0.3]);
        let mass = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
        let moves = [1.0, 0.3].map(|t| IntegratorParams { beta: 1.0 / t, scheme, step_size: 0.2, mass: mass.clone() });
        let round = |trajectory, exchange| Round { trajectory, steps: vec![5; 2], exchange, observe: None };
        let mut kept = Cpu::<f32>::new(ensemble.clone());
        let exchanges = kept.run(&moves, &[round(0, Some(Parity::Even)), round(1, Some(Parity::Even))]).unwrap();
        assert!(exchanges.iter().any(|o| o.exchanged.contains(&true)), "an exchange is what could go wrong");
        let mut fresh = Cpu::<f32>::new(ensemble);
        fresh.set_weights(&kept.weights().unwrap()).unwrap();
        kept.run(&moves, &[round(2, None)]).unwrap();
        fresh.run(&moves, &[round(2, None)]).unwrap();
        assert_eq!(kept.weights().unwrap(), fresh.weights().unwrap(), "{scheme:?}");
    }
}

#[test]
fn weights_of_another_shape_are_refused() {
    let problem = problem();
    let mut backend = Cpu::<f32>::new(one_chain(&problem, Activation::Erf, 2, &[1.0]));
    let mut weights = backend.weights().unwrap();
    assert!(backend.set_weights(&weights[..1]).is_err());
    weights[1].rotated.pop();
    assert!(backend.set_weights(&weights).unwrap_err().to_string().contains("2 chains"));
}

/// A trajectory whose energy overflows must be rejected and leave no trace in the next one.
#[test]
fn a_diverged_trajectory_is_rejected_and_forgotten() {
    let problem = problem();
    let mut backend = Cpu::<f32>::new(one_chain(&problem, Activation::Identity, 2, &[1e-3]));
    let start = backend.weights().unwrap();
    let mass = Mass { weights: vec![1e-12; problem.rank()], readout: 1e-12 };
    let motion = |step_size: f64, mass: &Mass| IntegratorParams {
        beta: 1e3,
        scheme: Scheme::Obabo { friction: 1.0, metropolis: true },
        step_size,
        mass: mass.clone(),
    };
    let round = |trajectory| Round { trajectory, steps: vec![20], exchange: None, observe: None };
    let wild = backend.run(&[motion(1e6, &mass)], &[round(0)]).unwrap();
    assert!(wild[0].transitions.iter().all(|t| t.diverged && t.acceptance == 0.0));
    assert_eq!(backend.weights().unwrap(), start);
    let unit = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
    let tame = backend.run(&[motion(1e-4, &unit)], &[round(1)]).unwrap();
    assert!(tame[0].transitions.iter().all(|t| t.acceptance > 0.9 && !t.diverged), "{:?}", tame[0].transitions);
}

/// An unadjusted chain that leaves the finite numbers is lost, keeps its last finite state and says
/// so.
#[test]
fn an_unadjusted_chain_that_blows_up_is_lost() {
    let problem = problem();
    let mut backend = Cpu::<f32>::new(one_chain(&problem, Activation::Identity, 2, &[1.0]));
    let mass = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
    let motion = IntegratorParams { beta: 1.0, scheme: Scheme::Ula, step_size: 1e6, mass };
    let observe = Some(Observation { batch: None, gram: false, weights: false });
    let outcome =
        backend.run(&[motion], &[Round { trajectory: 0, steps: vec![60], exchange: None, observe }]).unwrap().remove(0);
    assert!(outcome.transitions.iter().all(|t| t.diverged));
    assert!(outcome.measurements.iter().all(|m| m.lost));
    assert!(backend.weights().unwrap().iter().all(|w| w.rotated.iter().all(|x| x.is_finite())));
}

/// Chains whose step magnifies W′ but not v run away while erf of them stays finite, and so does
/// the loss: they are lost, before a sum of their squares or fourth powers overflows. The control
/// stays.
#[test]
fn an_unadjusted_chain_that_runs_away_with_a_finite_loss_is_lost() {
    let problem = problem();
    let mass = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
    let observe = Some(Observation { batch: None, gram: false, weights: false });
    let round = Round { trajectory: 0, steps: vec![20], exchange: None, observe };
    let baoab = Scheme::Baoab { friction: 0.1 };
    // ηTλ0 = 4 and ηTλ1 = 0.04; h√λ0 = 4 and h√λ1 = 0.4.
    for (scheme, step_size, tame) in [(Scheme::Ula, 0.04, 0.004), (baoab, 0.4, 0.04)] {
        let start = || {
            let mut ensemble = one_chain(&problem, Activation::Erf, 1, &[1.0]);
            (ensemble.network.lambda0, ensemble.network.lambda1) = (100.0, 1.0);
            (Cpu::<f32>::new(ensemble.clone()), Cpu::<f64>::new(ensemble))
        };
        let motion = |step_size| IntegratorParams { beta: 1.0, scheme, step_size, mass: mass.clone() };
        let outcome = |backend: &mut dyn Backend, step_size: f64| {
            let outcome = backend.run(&[motion(step_size)], std::slice::from_ref(&round)).unwrap().remove(0);
            (outcome.transitions[0].diverged, outcome.measurements[0].clone(), backend.weights().unwrap())
        };
        let (mut single, mut double) = start();
        let before = [single.weights().unwrap(), double.weights().unwrap()];
        let found = [outcome(&mut single, step_size), outcome(&mut double, step_size)];
        for ((diverged, measured, after), before) in found.into_iter().zip(before) {
            assert!(diverged && measured.lost, "{scheme:?}: {measured:?}");
            assert_eq!(after, before, "{scheme:?}: a lost chain stays where it was");
        }
        let (mut single, _) = start();
        let (diverged, measured, _) = outcome(&mut single, tame);
        assert!(!diverged && !measured.lost, "{scheme:?}: {measured:?}");
    }
}

/// Rounds that exchange states and observe into every batch.
fn observed(ensemble: &Ensemble, count: u32) -> Vec<Round> {
    let round = |trajectory: u32| Round {
        trajectory,
        steps: vec![3; ensemble.temperatures],
        exchange: Some(if trajectory.is_multiple_of(2) { Parity::Even } else { Parity::Odd }),
        observe: Some(Observation { batch: Some(trajectory as usize % ensemble.batches), gram: true, weights: true }),
    };
    (1..=count).map(round).collect()
}

#[test]
fn a_restored_ensemble_goes_on_to_the_same_bits() {
    let problem = problem();
    let ensemble = one_chain(&problem, Activation::Erf, 3, &[1.0, 0.8, 0.6]);
    let other = one_chain(&problem, Activation::Erf, 2, &[1.0, 0.8, 0.6]);
    let mass = Mass { weights: vec![2.0; problem.rank()], readout: 3.0 };
    for scheme in [Scheme::Marginal { friction: 0.5 }, Scheme::Obabo { friction: 0.5, metropolis: true }, Scheme::Ula] {
        let step_size = if scheme == Scheme::Ula { 0.1 } else { 0.5 };
        let move_at = |beta| IntegratorParams { beta, scheme, step_size, mass: mass.clone() };
        let moves: Vec<IntegratorParams> = [1.0, 1.25, 1.67].map(move_at).into();
        let rounds = observed(&ensemble, 6);
        restore::assert_goes_on(
            &|| Box::new(Cpu::<f32>::new(ensemble.clone())),
            &|| Box::new(Cpu::<f32>::new(other.clone())),
            &moves,
            &rounds,
        );
        let mut cpu = Cpu::<f64>::new(ensemble.clone());
        cpu.run(&moves, &rounds).unwrap();
        restore::assert_merges(&mut cpu);
    }
}

#[test]
fn batches_are_merged_two_by_two() {
    let batch =
        |draws: usize| PredictiveBatch { draws, sum: vec![draws as f64], sum_of_squares: vec![10.0 * draws as f64] };
    for (before, after) in [(&[1, 2, 3, 4, 5][..], &[3, 7, 5, 0, 0][..]), (&[4, 4], &[8, 0]), (&[6], &[6])] {
        let mut batches: Vec<_> = before.iter().copied().map(batch).collect();
        PredictiveBatch::merge_pairs(&mut batches);
        assert_eq!(batches, after.iter().copied().map(batch).collect::<Vec<_>>());
    }
}

/// Under the prior (β = 0) weights are Gaussian and uncorrelated: densities, fourth moments and ⟨v
/// w⟩ have nothing to show, and a prior of another width does.
#[test]
fn tallies_of_the_prior_are_gaussian() {
    let problem = problem();
    let direction = [1.0, 0.0, 0.0, 0.0, 0.0];
    let setting = Setting { warmup: 20, draws: 100, ..Setting::new(SamplerKind::Malt, &[f64::INFINITY]) };
    let ensemble = ensemble(&problem, network(Activation::Erf), &setting, &direction);
    let Network { lambda0, lambda1, .. } = ensemble.network;
    let mut backend = Cpu::<f32>::new(ensemble.clone());
    let (draws, _) = crate::common::run(&mut backend, &ensemble, &setting);
    let fourth = crate::common::summary(&draws, &setting, 0, |m| m.readout_fourth_moment);
    assert!(((fourth.mean - 3.0 / lambda1.powi(2)) / fourth.mcse).abs() < crate::common::MAX_Z, "{fourth:?}");
    assert!(((fourth.mean - 3.0) / fourth.mcse).abs() > crate::common::MAX_Z, "another prior must be seen");

    let tallies = &backend.accumulated().unwrap().units[0];
    let gaussian = |wide: f64| {
        let [readout, along] = [lambda1, lambda0].map(|lambda| Some(Density::gaussian(4.5, wide / lambda)));
        vec![("prior".to_string(), readout, along)]
    };
    let chi = |wide: f64| {
        let found = densities(tallies, [4.5; 2], ensemble.network.width, true, &gaussian(wide)).unwrap();
        [found.distance.readout, found.distance.weight_along_u].map(|d| d["prior"].chi_squared_per_cell.unwrap())
    };
    assert!(chi(1.0).iter().all(|chi| *chi < 2.2), "{:?}", chi(1.0));
    assert!(chi(1.15).iter().all(|chi| *chi > 2.2), "{:?}", chi(1.15));

    let vector = readout_weight_vector(tallies, &ensemble.projection_axes[0], &[]).unwrap();
    let error = (1.0 / (lambda0 * lambda1 * (64 * 100 * ensemble.network.width) as f64)).sqrt();
    let rank = problem.rank() as f64;
    // Without noise nothing is left of the length, up to the fluctuations of a sum of squares; its
    // raw value would be √r errors.
    assert!(vector.norm.value.unwrap_or(0.0) < 2.0 * (2.0 * rank).powf(0.25) * error * 2.0, "{vector:?}");
}
