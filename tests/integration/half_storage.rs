//! Storage of activations and slopes in float16 on the CPU: what is rounded, what is not, and where
//! it can be had.

use featherm::backend::cpu::Cpu;
use featherm::backend::{
    Backend, BackendChoice, DeviceRequest, Ensemble, IntegratorParams, Mass, Observation, Precision, Round, Scheme,
    Weights, memory_plan, select,
};
use featherm::model::{Activation, Network, Problem};
use featherm::remedy::{Remedies, Remedy};
use featherm::sampler::SamplerKind;
use half::f16;

use crate::common::{Setting, ensemble, task};

const POINTS: usize = 40;

/// One unit, so that nothing is summed over units.
fn one_unit(replicas: usize) -> Ensemble {
    let entry = |i: usize, j: usize| (((i * 31 + j * 57 + i * j * 13) % 83) as f64 - 41.0) / 27.0;
    let rows = |n: std::ops::Range<usize>| n.map(|i| (0..5).map(|j| entry(i, j)).collect()).collect::<Vec<_>>();
    let y: Vec<f64> = (0..POINTS).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
    let problem = Problem::new(&task(&rows(0..POINTS), &y, &rows(50..53))).unwrap();
    let network = Network { width: 1, activation: Activation::Erf, lambda0: 0.7, lambda1: 1.6 };
    let setting = Setting { replicas, ..Setting::new(SamplerKind::Malt, &[1.0]) };
    ensemble(&problem, network, &setting, &[1.0, 0.0, 0.0, 0.0, 0.0])
}

/// One trajectory of `steps` steps of descent.
fn descend(backend: &mut dyn Backend, steps: u32, step_size: f64, observe: Option<Observation>) {
    let mass = Mass { weights: vec![1.0; 5], readout: 1.0 };
    let motion = IntegratorParams { beta: 1.0, scheme: Scheme::Descent, step_size, mass };
    backend.run(&[motion], &[Round { trajectory: 1, steps: vec![steps], exchange: None, observe }]).unwrap();
}

/// |φ| at every point: the root of the diagonal of G, whose products of two float16 numbers
/// float32 holds exactly.
fn features(mut backend: Cpu<f32>) -> Vec<f64> {
    descend(&mut backend, 0, 0.1, Some(Observation { batch: None, gram: true, weights: false }));
    let gram = backend.accumulated().unwrap().gram.remove(0).remove(0);
    (0..POINTS).map(|i| gram[i * POINTS + i].sqrt()).collect()
}

fn to_half(x: f64) -> f64 {
    f16::from_f32(x as f32).to_f64()
}

#[test]
fn features_are_those_of_float16() {
    let (single, half) = (features(Cpu::new(one_unit(1))), features(Cpu::with_half_storage(one_unit(1))));
    let expected: Vec<f64> = single.iter().map(|&phi| to_half(phi)).collect();
    assert_eq!(half, expected);
    let exact = single.iter().filter(|&&phi| to_half(phi) == phi).count();
    assert!(exact < POINTS / 10, "the control: {exact} activations in float32 need no rounding");
}

/// What is rounded to float16 before the forces are taken.
#[derive(Clone, Copy)]
enum Rounded {
    Nothing,
    FeaturesAndSlopes,
    /// And the features whose sum is the output.
    Outputs,
}

/// ∂L of a network of one unit, from the definition: by v, then by W′.
fn gradient(ensemble: &Ensemble, weights: &Weights, rounded: Rounded) -> Vec<f64> {
    let (problem, v) = (&ensemble.problem, weights.readout[0]);
    let activation = ensemble.network.activation;
    let keep = |x: f64| if matches!(rounded, Rounded::Nothing) { x } else { to_half(x) };
    let mut gradient = vec![0.0; 1 + problem.rank()];
    for mu in 0..POINTS {
        let z = |j: usize| problem.z_train[(mu, j)];
        let h = weights.rotated.iter().enumerate().map(|(j, w)| w * z(j)).sum();
        let (phi, slope) = (activation.sigma(h), activation.sigma_prime(h));
        let summed = if matches!(rounded, Rounded::Outputs) { to_half(phi) } else { phi };
        let e = v * summed - problem.y_train[mu];
        gradient[0] += e * keep(phi);
        for j in 0..problem.rank() {
            gradient[1 + j] += e * v * keep(slope) * z(j);
        }
    }
    gradient
}

/// The step is so long that where it leads is the gradient. The median over chains, because a
/// number near the middle between two of float16 may be rounded to either.
#[test]
fn forces_are_of_rounded_features_and_residuals_of_unrounded_ones() {
    const STEP: f64 = 1e3;
    let ensemble = one_unit(101);
    let mut backend = Cpu::<f32>::with_half_storage(ensemble.clone());
    let start = backend.weights().unwrap();
    descend(&mut backend, 1, STEP, None);
    let end = backend.weights().unwrap();
    let deviation = |rounded: Rounded| {
        let mut deviations: Vec<f64> = start
            .iter()
            .zip(&end)
            .map(|(start, end)| {
                let expected = gradient(&ensemble, start, rounded);
                let moved = start.readout.iter().chain(&start.rotated).zip(end.readout.iter().chain(&end.rotated));
                let worst =
                    moved.zip(&expected).map(|((start, end), g)| ((start - end) / STEP - g).abs()).fold(0.0, f64::max);
                worst / expected.iter().fold(0.0, |largest: f64, g| largest.max(g.abs()))
            })
            .collect();
        deviations.sort_by(f64::total_cmp);
        deviations[deviations.len() / 2]
    };
    let found = [Rounded::FeaturesAndSlopes, Rounded::Nothing, Rounded::Outputs].map(deviation);
    println!("{found:?}");
    assert!(found[0] < 1e-6, "{found:?}");
    assert!(found[1] > 1e-5 && found[2] > 1e-5, "the controls: {found:?}");
}

#[test]
fn the_cpu_opens_in_float16_and_refuses_float16_products() {
    let ensemble = one_unit(2);
    let on_cpu = |precision| DeviceRequest { backend: BackendChoice::Cpu, precision, ..DeviceRequest::default() };
    let selected = select(&on_cpu(Precision::F16), &ensemble).unwrap();
    assert!(selected.backend.device().name.ends_with("float32, activations in float16"));
    let selected = select(&on_cpu(Precision::F32), &ensemble).unwrap();
    assert!(selected.backend.device().name.ends_with("float32"), "the control");
    let matrices = on_cpu(Precision::F16Matrix);
    let refusals = [select(&matrices, &ensemble).err(), memory_plan(&matrices, &ensemble, 10).err()];
    for refusal in refusals {
        let refusal = refusal.expect("the CPU has no such products");
        assert!(refusal.to_string().contains("cooperative matrices"), "{refusal}");
        assert!(refusal.remedies().contains(&Remedy::set(featherm::remedy::Setting::Precision, "f16")));
    }
}
