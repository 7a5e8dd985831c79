use faer::Mat;
use ndarray::{Array1, Array2};

use super::*;
use crate::host::stop::Stop;
use crate::model::{Activation, Task};
use crate::numerics::estimate::Estimate;
use crate::numerics::noise::{Address, Purpose};

pub(super) const ALL: [Activation; 5] =
    [Activation::Erf, Activation::Relu, Activation::Tanh, Activation::Identity, Activation::Gelu];

/// Gaussian inputs whose labels lean on the first coordinate; three classes, ±1 and 0.
pub(super) fn task(train: usize, test: usize, dimension: usize) -> Task {
    let normals = |rows: usize, chain: u32| {
        let address = Address { seed: 11, chain, trajectory: 0, step: 0, purpose: Purpose::Prior };
        let mut values = vec![0f32; rows * dimension];
        address.normals(&mut values);
        Array2::from_shape_fn((rows, dimension), |(i, j)| f64::from(values[i * dimension + j]))
    };
    let (x_train, x_test) = (normals(train, 0), normals(test, 1));
    let class = |x: &Array2<f64>| -> Vec<usize> {
        x.column(0)
            .iter()
            .map(|&x| {
                if x > 0.4 {
                    0
                } else if x < -0.4 {
                    1
                } else {
                    2
                }
            })
            .collect()
    };
    let labels = |classes: &[usize]| -> Array1<f64> { classes.iter().map(|&c| [1.0, -1.0, 0.0][c]).collect() };
    let (class_train, class_test) = (class(&x_train), class(&x_test));
    Task {
        name: "Gaussian".into(),
        y_train: labels(&class_train),
        y_test: labels(&class_test),
        x_train,
        class_train,
        x_test,
        class_test,
        class_names: vec!["plus".into(), "minus".into(), "zero".into()],
    }
}

pub(crate) fn problem() -> Problem {
    Problem::new(&task(30, 7, 6)).unwrap()
}

pub(crate) fn network(activation: Activation) -> Network {
    Network { width: 12, activation, lambda0: 0.7, lambda1: 1.6 }
}

/// What only processes have.
pub(super) fn process(p: &Prediction) -> &ProcessDetails {
    p.process.as_ref().unwrap()
}

/// The number of an estimate that is there.
pub(super) fn value(estimate: Option<Estimate>) -> f64 {
    estimate.unwrap().value
}

/// Estimates as numbers.
pub(super) fn values(estimates: &[Estimate]) -> Vec<f64> {
    estimates.iter().map(|e| e.value).collect()
}

/// A process at many temperatures.
fn ladder(theory: &Theory, kind: TheoryKind, temperatures: &[f64]) -> Vec<Result<Prediction, TheoryError>> {
    let solved = super::process::solve(theory, kind, temperatures, &Stop::default()).unwrap();
    solved.into_iter().map(|result| result.map(Prediction::from)).collect()
}

fn close(x: f64, y: f64, relative: f64) -> bool {
    (x - y).abs() <= relative * x.abs().max(y.abs()).max(1e-6)
}

pub(super) fn inverse(matrix: &Mat<f64>) -> Mat<f64> {
    use faer::linalg::solvers::Solve;
    matrix.partial_piv_lu().solve(Mat::identity(matrix.nrows(), matrix.nrows()))
}

fn outer(x: &[f64], y: &[f64]) -> Mat<f64> {
    Mat::from_fn(x.len(), y.len(), |i, j| x[i] * y[j])
}

/// Which terms a dense evaluation of the formulas keeps: all of them, or a wrong formula as a
/// control.
#[derive(Clone, Copy, PartialEq)]
enum Formula {
    Right,
    WithoutMeanTerm,
    WithoutDualTerm,
}

/// ⟨G⟩ of train–train, train–test and test–test as arXiv 2508.20989 states it, with dense matrices.
fn dense_grams(theory: &Theory, prediction: &Prediction, formula: Formula) -> [Mat<f64>; 3] {
    let Kernels { train, cross, mean_train, mean_test, .. } = &theory.kernels;
    let lambda1 = theory.network.lambda1;
    let mean_gain = 1.0 / (lambda1 * (1.0 + process(prediction).solution.q));
    let m = outer(mean_train, mean_train);
    let points = train.nrows();
    let a_matrix = Mat::from_fn(points, points, |i, j| {
        let noise = if i == j { prediction.temperature } else { 0.0 };
        noise + process(prediction).solution.q_bar / lambda1 * (train[(i, j)] - m[(i, j)]) + mean_gain * m[(i, j)]
    });
    let inverse = inverse(&a_matrix);
    let dual = multiply(inverse.as_ref(), &theory.problem.y_train);
    let dual_term = if formula == Formula::WithoutDualTerm { 0.0 } else { 1.0 };
    let b = &inverse - outer(&dual, &dual) * faer::Scale(dual_term);
    let factor = mean_gain / theory.network.width as f64;
    let mean_term = if formula == Formula::WithoutMeanTerm { 0.0 } else { factor };
    let m_cross = outer(mean_train, mean_test);
    let k_test = theory.kernels.test(&theory.problem);
    let block = |k: &Mat<f64>, left: &Mat<f64>, right: &Mat<f64>, m_left: &Mat<f64>, m_right: &Mat<f64>| {
        k - (left * &b * right) * faer::Scale(factor) + (m_left * &b * m_right) * faer::Scale(mean_term)
    };
    let (cross_t, m_cross_t) = (cross.transpose().to_owned(), m_cross.transpose().to_owned());
    [
        block(train, train, train, &m, &m),
        block(cross, train, cross, &m, &m_cross),
        block(&k_test, &cross_t, cross, &m_cross_t, &m_cross),
    ]
}

fn distance(x: &Mat<f64>, y: &Mat<f64>) -> f64 {
    (x - y).norm_max()
}

#[test]
fn gram_blocks_match_dense_matrices_and_wrong_formulas_do_not() {
    for activation in ALL {
        let theory = Theory::new(&problem(), &network(activation)).unwrap();
        let prediction = theory.saddle(0.3).unwrap();
        let [cross, test] = [theory.gram_train_test(&prediction), theory.gram_test(&prediction)].map(Option::unwrap);
        let fast = [theory.gram(&prediction), cross, test];
        let errors = |formula| -> Vec<f64> {
            let dense = dense_grams(&theory, &prediction, formula);
            fast.iter().zip(&dense).map(|(x, y)| distance(x, y)).collect()
        };
        assert!(errors(Formula::Right).iter().all(|&e| e < 1e-11), "{activation:?}: {:?}", errors(Formula::Right));
        assert!(errors(Formula::WithoutDualTerm).iter().all(|&e| e > 1e-3), "{activation:?}: without a aᵀ");
        let seen = errors(Formula::WithoutMeanTerm).iter().all(|&e| e > 1e-3);
        assert_eq!(seen, !activation.is_odd(), "{activation:?}: without M");
        let limit = theory.nngp(0.3).unwrap();
        assert_eq!(distance(&theory.gram(&limit), &theory.kernels.train), 0.0);
    }
}

/// D² and R² are those of the Gram matrix, computed from it directly, at training and at test
/// points.
#[test]
fn the_geometry_is_that_of_the_gram_matrix() {
    for activation in ALL {
        let problem = Problem::new(&task(30, 40, 6)).unwrap();
        let theory = Theory::new(&problem, &network(activation)).unwrap();
        let check = |gram: &Mat<f64>, class: &[usize], distances: &[f64], radii: &[f64]| {
            let members: Vec<Vec<usize>> =
                (0..3).map(|c| (0..class.len()).filter(|&i| class[i] == c).collect()).collect();
            let mean = |a: usize, b: usize| -> f64 {
                let sum: f64 =
                    members[a].iter().flat_map(|&i| members[b].iter().map(move |&j| (i, j))).map(|ij| gram[ij]).sum();
                sum / (members[a].len() * members[b].len()) as f64
            };
            let pairs = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| mean(a, a) + mean(b, b) - 2.0 * mean(a, b));
            let of_class = |(a, points): (usize, &Vec<usize>)| {
                points.iter().map(|&i| gram[(i, i)]).sum::<f64>() / points.len() as f64 - mean(a, a)
            };
            let alike = |found: &[f64], expected: &[f64]| {
                found.len() == expected.len() && found.iter().zip(expected).all(|(x, y)| close(*x, *y, 1e-10))
            };
            alike(distances, &pairs) && alike(radii, &members.iter().enumerate().map(of_class).collect::<Vec<_>>())
        };
        for p in [theory.saddle(0.2).unwrap(), theory.nngp(0.2).unwrap()] {
            let (train, test) = (theory.gram(&p), theory.gram_test(&p).unwrap());
            assert!(
                check(&train, &problem.class_train, &values(&p.centroid_distance_sq), &values(&p.gyration_radius_sq)),
                "{activation:?}"
            );
            let (distances, radii) = (values(&p.centroid_distance_sq_test), values(&p.gyration_radius_sq_test));
            assert!(check(&test, &problem.class_test, &distances, &radii), "{activation:?}");
            let prior = theory.gram_test(&theory.nngp(0.2).unwrap()).unwrap();
            let moved = !check(&prior, &problem.class_test, &distances, &radii);
            assert_eq!(moved, p.kind == TheoryKind::Saddle, "{activation:?}: the displacement is seen");
        }
    }
}

/// One test point of a class makes no manifold, and none is spoken of.
#[test]
fn manifolds_of_test_points_need_two_points_of_every_class() {
    let geometry = |classes: [usize; 6]| {
        let mut task = task(30, 6, 6);
        task.class_test = classes.to_vec();
        let problem = Problem::new(&task).unwrap();
        Theory::new(&problem, &network(Activation::Erf)).unwrap().saddle(1.0).unwrap().gyration_radius_sq_test.len()
    };
    assert_eq!([geometry([0, 0, 1, 1, 2, 2]), geometry([0, 0, 0, 1, 1, 2])], [3, 0]);
}

/// T² d ln p(y)/dT = ⟨L⟩ − PT/2, by central differences.
#[test]
fn the_evidence_differentiates_to_the_loss() {
    for activation in ALL {
        let theory = Theory::new(&problem(), &network(activation)).unwrap();
        for kind in TheoryKind::PROCESSES {
            for t in [0.05, 1.0, 30.0] {
                let h = 1e-4 * t;
                let at = |t: f64| ladder(&theory, kind, &[t]).remove(0).unwrap();
                let evidence = |t: f64| process(&at(t)).log_evidence;
                let loss = |t: f64| value(at(t).train_loss);
                let derivative = t * t * (evidence(t + h) - evidence(t - h)) / (2.0 * h);
                let expected = 30.0 * (loss(t) - 0.5 * t);
                assert!(close(derivative, expected, 1e-5), "{activation:?} {kind:?} {t}: {derivative} {expected}");
                let without_noise = 30.0 * loss(t);
                assert!(!close(derivative, without_noise, 1e-5), "a missing PT/2 must be seen");
            }
        }
    }
}

/// ∂S/∂Q = ∂S/∂Q̄ = 0 on a solution, by central differences; not so at infinite width's values.
#[test]
fn the_solution_is_stationary() {
    for activation in ALL {
        let theory = Theory::new(&problem(), &network(activation)).unwrap();
        for temperature in [0.01, 1.0, 50.0] {
            let action = |q: f64, q_bar: f64| {
                let resolvent = Resolvent::new(&theory.spectrum, temperature, q_bar, 1.0 / (1.0 + q));
                evidence::effective_action(&theory.spectrum, &resolvent, q, q_bar)
            };
            let gradient = |q: f64, q_bar: f64| {
                let (h, h_bar) = (1e-5 * (1.0 + q), 1e-5 * q_bar);
                let along_q = (action(q + h, q_bar) - action(q - h, q_bar)) / 2e-5;
                let along_q_bar = (action(q, q_bar + h_bar) - action(q, q_bar - h_bar)) / 2e-5;
                along_q.abs().max(along_q_bar.abs())
            };
            let prediction = theory.saddle(temperature).unwrap();
            let saddle::Solution { q, q_bar, residual, .. } = process(&prediction).solution;
            assert!(gradient(q, q_bar) < 1e-7, "{activation:?} {temperature}: {:e}", gradient(q, q_bar));
            assert!(gradient(q, q_bar * 1.001) > 1e-5, "{activation:?}: Q̄ off by 0.1 % must be seen");
            assert!(residual < 1e-11, "{residual:e}");
        }
    }
}

/// The saddle point tends to infinite width as 1/N1.
#[test]
fn wide_networks_reach_infinite_width() {
    for activation in ALL {
        let distance = |width: usize| {
            let theory = Theory::new(&problem(), &Network { width, ..network(activation) }).unwrap();
            let (saddle, limit) = (theory.saddle(0.2).unwrap(), theory.nngp(0.2).unwrap());
            let numbers = |p: &Prediction| {
                let details = process(p);
                [
                    value(p.train_loss),
                    details.log_evidence,
                    p.centroid_distance_sq[0].value,
                    p.gyration_radius_sq[2].value,
                    p.predictive_mean[0].value,
                    p.predictive_variance[0].value,
                    p.readout_second_moment.value,
                    value(p.weight_second_moment_along_u),
                    details.solution.q,
                ]
            };
            numbers(&saddle).iter().zip(numbers(&limit)).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
        };
        let (wide, wider) = (distance(100_000), distance(10_000_000));
        assert!(wider < 1e-4 && close(wide / wider, 100.0, 0.02), "{activation:?}: {wide:e}, {wider:e}");
    }
}

/// Twelve decades of temperature on kernels without full rank: duplicated points with contradicting
/// labels, identity with P > N0.
#[test]
fn rank_deficient_kernels_stay_finite_at_every_temperature() {
    let mut task = task(30, 7, 6);
    for i in 20..30 {
        let row = task.x_train.row(i - 20).to_owned();
        task.x_train.row_mut(i).assign(&row);
    }
    let problem = Problem::new(&task).unwrap();
    let temperatures: Vec<f64> = (-6..=6).map(|e| 10f64.powi(e)).collect();
    for activation in ALL {
        let theory = Theory::new(&problem, &network(activation)).unwrap();
        for kind in TheoryKind::PROCESSES {
            let ladder = ladder(&theory, kind, &temperatures);
            for (prediction, &temperature) in ladder.iter().zip(&temperatures) {
                let prediction = prediction.as_ref().unwrap_or_else(|error| panic!("{activation:?}: {error}"));
                assert_eq!(prediction.temperature, temperature);
                let solution = &process(prediction).solution;
                assert!(value(prediction.train_loss) > 0.0 && solution.q > -1.0 && solution.q_bar > 0.0);
                assert!(prediction.gyration_radius_sq.iter().all(|r| r.value > 0.0), "{activation:?} {temperature}");
                assert!(theory.gram(prediction).is_all_finite());
            }
            // As T → 0 every observable converges: the last decade changes nothing that T itself
            // does not.
            let [coldest, cold] = [&ladder[0], &ladder[1]].map(|p| p.as_ref().unwrap());
            let numbers =
                |p: &Prediction| [process(p).solution.q_bar, value(p.train_loss), p.centroid_distance_sq[0].value];
            for (colder, cold) in numbers(coldest).into_iter().zip(numbers(cold)) {
                assert!(close(colder, cold, 1e-3), "{activation:?}: {colder} {cold}");
            }
        }
    }
}

/// Rotating the inputs rotates û and ⟨v w⟩ and changes nothing else.
#[test]
fn predictions_are_invariant_under_rotations_of_the_inputs() {
    let original = task(30, 7, 6);
    let (sine, cosine) = 0.6_f64.sin_cos();
    let turned = |x: &Array2<f64>, scale: f64| {
        let mut rotated = x.clone();
        for (i, row) in x.rows().into_iter().enumerate() {
            for (j, k) in [(0, 3), (1, 4), (2, 5)] {
                rotated[[i, j]] = scale * (cosine * row[j] - sine * row[k]);
                rotated[[i, k]] = scale * (sine * row[j] + cosine * row[k]);
            }
        }
        rotated
    };
    let rotated = |scale: f64| Task {
        x_train: turned(&original.x_train, scale),
        x_test: turned(&original.x_test, scale),
        ..original.clone()
    };
    for activation in ALL {
        let predict =
            |task: &Task| Theory::new(&Problem::new(task).unwrap(), &network(activation)).unwrap().saddle(0.4).unwrap();
        let scalars = |p: &Prediction| -> Vec<f64> {
            let details = process(p);
            let scalars = [details.solution.q, details.solution.q_bar, details.log_evidence, p.readout_mean.value];
            let optional =
                [p.train_loss, p.readout_weight_correlation, p.weight_second_moment_along_u, p.test_mse].map(value);
            let arrays = [&p.centroid_distance_sq, &p.gyration_radius_sq, &p.predictive_mean, &p.predictive_variance];
            scalars.into_iter().chain(optional).chain(arrays.into_iter().flat_map(|list| values(list))).collect()
        };
        let (before, after, scaled) = (predict(&original), predict(&rotated(1.0)), predict(&rotated(1.001)));
        let same = |x: &Prediction, y: &Prediction| {
            scalars(x).iter().zip(scalars(y)).all(|(&x, y)| (x - y).abs() < 1e-8 * (1.0 + x.abs()))
        };
        assert!(same(&before, &after), "{activation:?}");
        assert!(!same(&before, &scaled), "{activation:?}: inputs longer by 0.1 % must be seen");
        let turned_direction = cosine * process(&before).direction[0] - sine * process(&before).direction[3];
        assert!((process(&after).direction[0] - turned_direction).abs() < 1e-8, "{activation:?}");
    }
}

#[test]
fn results_come_in_the_order_given_and_bad_temperatures_fail_alone() {
    let theory = Theory::new(&problem(), &network(Activation::Relu)).unwrap();
    let temperatures = [0.1, f64::NAN, 10.0, -1.0, 1.0, 0.1];
    let ladder = ladder(&theory, TheoryKind::Saddle, &temperatures);
    for (result, &temperature) in ladder.iter().zip(&temperatures) {
        match result {
            Ok(prediction) => {
                let alone = theory.saddle(temperature).unwrap();
                let [found, alone] = [prediction, &alone].map(|p| process(p).solution.q_bar);
                assert!(close(found, alone, 1e-12) && prediction.temperature == temperature);
            }
            Err(error) => assert!(matches!(error, TheoryError::Temperature { .. }), "{error}"),
        }
    }
    assert_eq!(ladder.iter().filter(|result| result.is_err()).count(), 2);
}

/// A request to stop ends the preparation at any of its checks; without one it goes on.
#[test]
fn the_preparation_stops_on_request() {
    let (problem, network) = (problem(), network(Activation::Relu));
    let whole = Stop::default();
    assert!(Theory::new_until(&problem, &network, &whole).is_ok());
    let checks = whole.checks();
    assert!(checks > 3, "{checks}");
    for at in 1..=checks {
        let stop = Stop::at_check(at);
        assert_eq!(Theory::new_until(&problem, &network, &stop).err(), Some(TheoryError::Stopped), "{at}");
        assert!(stop.checks() < at + 4, "{} checks, asked to stop at {at}", stop.checks());
    }
    // Control: a request after the last check comes too late.
    assert!(Theory::new_until(&problem, &network, &Stop::at_check(checks + 1)).is_ok());
}

#[test]
fn bad_input_is_refused_by_name() {
    let refusal = |problem: &Problem, network: &Network| Theory::new(problem, network).err().map(|e| e.to_string());
    let good = network(Activation::Erf);
    for bad in [Network { width: 0, ..good }, Network { lambda0: -1.0, ..good }, Network { lambda1: f64::NAN, ..good }]
    {
        assert!(refusal(&problem(), &bad).is_some_and(|message| message.contains("must be positive")));
    }
    let mut lopsided = problem();
    lopsided.class_train.iter_mut().for_each(|class| *class = (*class).min(1));
    let message = refusal(&lopsided, &good);
    assert!(message.is_some_and(|message| message.contains("`zero`")));
    let mut broken = problem();
    broken.x_train[(3, 2)] = f64::NAN;
    assert_eq!(Theory::new(&broken, &good).err(), Some(TheoryError::Data));
    let mut unlabelled = problem();
    unlabelled.y_train[3] = f64::INFINITY;
    assert_eq!(Theory::new(&unlabelled, &good).err(), Some(TheoryError::Data));
}

/// Without test points there is no test error; without labels there is no direction, and nothing is
/// NaN.
#[test]
fn empty_tests_and_zero_labels_are_regular() {
    let mut task = task(30, 0, 6);
    task.y_train.fill(0.0);
    for activation in ALL {
        let theory = Theory::new(&Problem::new(&task).unwrap(), &network(activation)).unwrap();
        let prediction = theory.saddle(0.1).unwrap();
        assert_eq!((prediction.test_mse, prediction.predictive_mean.len()), (None, 0));
        assert!(process(&prediction).direction.iter().all(|&u| u == 0.0));
        assert_eq!(value(prediction.readout_weight_correlation), 0.0);
        assert!(close(value(prediction.weight_second_moment_along_u), 1.0 / 0.7, 1e-12));
        let [test, cross] = [theory.gram_test(&prediction), theory.gram_train_test(&prediction)].map(Option::unwrap);
        assert_eq!((test.nrows(), cross.ncols()), (0, 0));
    }
}
