//! Gaussian inputs labelled by a synthetic rule.
//!
//! x ~ N(0, 1) independently per coordinate; the label is the teacher's value, see [`TeacherKind`],
//! plus Gaussian noise; the class is the label's sign. Training and test points are disjoint draws
//! of one teacher, and point i does not depend on how many there are. [`super::draw`] says which
//! random numbers these are.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rand::RngExt;

use super::DataError;
use super::draw::{Part, RandomNumbers, Stream};
use super::labels::{Signs, sign_classes};
use crate::data::{DataConfig, Teacher, TeacherKind};
use crate::model::Task;
use crate::remedy::{Remedy, Setting};

/// The most numbers one array of a teacher may hold (16 GiB).
const LARGEST: usize = 1 << 31;

/// The largest Hermite degree.
const HIGHEST_DEGREE: usize = 100;

/// `linear`, `network`, `hermite` or `random`.
pub(super) fn kind_from_name(name: &str) -> Option<TeacherKind> {
    [TeacherKind::Linear, TeacherKind::Network, TeacherKind::Hermite, TeacherKind::Random]
        .into_iter()
        .find(|&kind| kind_name(kind) == name)
}

fn kind_name(kind: TeacherKind) -> &'static str {
    match kind {
        TeacherKind::Linear => "linear",
        TeacherKind::Network => "network",
        TeacherKind::Hermite => "hermite",
        TeacherKind::Random => "random",
    }
}

/// RandomNumbers a task of `kind` with the other parameters of `config.teacher`.
///
/// # Errors
/// [`DataError`] on parameters outside their range, on more numbers than fit, and when a sign of y
/// has no training point.
pub(super) fn load(kind: TeacherKind, config: &DataConfig, seed: u64) -> Result<Task, DataError> {
    let teacher = &config.teacher;
    let name = format!("teacher:{}", kind_name(kind));
    if !config.classes.is_empty() {
        return Err(DataError::ClassesNotWanted { name });
    }
    let points = config.train.ok_or_else(|| DataError::TrainNotGiven { name: name.clone() })?;
    if points == 0 {
        return Err(DataError::ZeroTrain);
    }
    let test_points = config.test.unwrap_or(0);
    check(kind, teacher, points, test_points).map_err(|(problem, remedies)| DataError::Teacher {
        teacher: name.clone(),
        problem,
        remedies,
    })?;

    let rule = Rule::draw(kind, teacher, seed);
    let part = |part, points| {
        let draws = |stream| RandomNumbers { seed, stream, part };
        let x = rows(draws(Stream::Inputs), points, teacher.dimension);
        let y = match &rule {
            Some(rule) => {
                let noise = (0..points).map(|i| draws(Stream::Labels).normals(i, 1)[0]).collect::<Array1<f64>>();
                rule.labels(x.view()) + noise * teacher.noise
            }
            None => (0..points).map(|i| if draws(Stream::Labels).rng(i).random() { 1.0 } else { -1.0 }).collect(),
        };
        (x, y)
    };
    let (x_train, y_train) = part(Part::Train, points);
    let (x_test, y_test) = part(Part::Test, test_points);
    // Another teacher may have values of both signs.
    let remedies = [Remedy::raise(Setting::Train), Remedy::change(Setting::Seed), Remedy::change(Setting::Data)];
    let classes = sign_classes(&name, y_train.view(), y_test.view(), Signs::Both, &remedies)?;
    Ok(Task {
        name,
        x_train,
        y_train,
        class_train: classes.train,
        x_test,
        y_test,
        class_test: classes.test,
        class_names: classes.names,
    })
}

/// The parameters of a teacher are in their range, or what is wrong and how to mend it.
fn check(kind: TeacherKind, teacher: &Teacher, points: usize, test_points: usize) -> Result<(), (String, Vec<Remedy>)> {
    let &Teacher { dimension, width, degree, noise, .. } = teacher;
    if dimension == 0 {
        let remedy = Remedy::raise(Setting::TeacherDimension).to(1);
        return Err(("the input dimension must be at least 1".into(), vec![remedy]));
    }
    if kind == TeacherKind::Network && width == 0 {
        let remedy = Remedy::raise(Setting::TeacherWidth).to(1);
        return Err(("the teacher's hidden units (width) must be at least 1".into(), vec![remedy]));
    }
    if kind == TeacherKind::Hermite && !(1..=HIGHEST_DEGREE).contains(&degree) {
        let remedy = Remedy::set(Setting::TeacherDegree, degree.clamp(1, HIGHEST_DEGREE));
        return Err((format!("the degree must be from 1 to {HIGHEST_DEGREE}, not {degree}"), vec![remedy]));
    }
    if !(noise.is_finite() && noise >= 0.0) {
        let problem = format!("the noise is a standard deviation and must be finite and not negative, not {noise}");
        return Err((problem, vec![Remedy::set(Setting::TeacherNoise, 0)]));
    }
    let hidden = if kind == TeacherKind::Network { width } else { 1 };
    for rows in [points, test_points, hidden] {
        if rows.checked_mul(dimension).is_none_or(|n| n > LARGEST) {
            let problem = format!(
                "{rows} rows of dimension {dimension} are more than the {LARGEST} numbers that one array may hold"
            );
            let larger = match rows {
                _ if rows == points => Setting::Train,
                _ if rows == test_points => Setting::Test,
                _ => Setting::TeacherWidth,
            };
            return Err((problem, vec![Remedy::lower(larger), Remedy::lower(Setting::TeacherDimension)]));
        }
    }
    Ok(())
}

/// A drawn teacher.
enum Rule {
    Linear { beta: Array1<f64> },
    Network { weights: Array2<f64>, readout: Array1<f64> },
    Hermite { direction: Array1<f64>, degree: usize },
}

impl Rule {
    /// `None` for `random`, whose labels are drawn and not computed.
    fn draw(kind: TeacherKind, teacher: &Teacher, seed: u64) -> Option<Self> {
        let draws = |stream| RandomNumbers { seed, stream, part: Part::Train };
        let weights = |count| rows(draws(Stream::TeacherWeights), count, teacher.dimension);
        let beta = || weights(1).row(0).to_owned();
        Some(match kind {
            TeacherKind::Linear => Self::Linear { beta: beta() },
            TeacherKind::Network => Self::Network {
                weights: weights(teacher.width),
                readout: draws(Stream::TeacherReadout).normals(0, teacher.width),
            },
            TeacherKind::Hermite => {
                let beta = beta();
                let norm = beta.dot(&beta).sqrt();
                Self::Hermite { direction: beta / norm, degree: teacher.degree }
            }
            TeacherKind::Random => return None,
        })
    }

    /// The teacher's value, without noise, on every row of x.
    fn labels(&self, x: ArrayView2<f64>) -> Array1<f64> {
        let root = (x.ncols() as f64).sqrt();
        match self {
            Self::Linear { beta } => x.dot(beta) / root,
            Self::Network { weights, readout } => {
                let scale = (readout.len() as f64).sqrt();
                x.axis_iter(Axis(0))
                    .map(|x: ArrayView1<f64>| weights.dot(&x).mapv(|h| libm::erf(h / root)).dot(readout) / scale)
                    .collect()
            }
            Self::Hermite { direction, degree } => x.dot(direction).mapv(|z| hermite(*degree, z)),
        }
    }
}

/// He_k(z)/√k!, by √(k+1) h_{k+1} = z h_k − √k h_{k−1}.
fn hermite(degree: usize, z: f64) -> f64 {
    let (mut previous, mut current) = (0.0, 1.0);
    for k in 0..degree {
        let next = (z * current - (k as f64).sqrt() * previous) / ((k + 1) as f64).sqrt();
        (previous, current) = (current, next);
    }
    current
}

fn rows(draws: RandomNumbers, count: usize, dimension: usize) -> Array2<f64> {
    let mut out = Array2::zeros((count, dimension));
    for (i, mut row) in out.outer_iter_mut().enumerate() {
        row.assign(&draws.normals(i, dimension));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{config, worded};

    fn teacher(kind: TeacherKind) -> Teacher {
        Teacher { kind, dimension: 40, width: 30, degree: 3, noise: 0.0 }
    }

    fn draw(kind: TeacherKind, train: usize, test: usize, seed: u64) -> Task {
        let config = DataConfig { train: Some(train), test: Some(test), teacher: teacher(kind), ..config("teacher") };
        load(kind, &config, seed).unwrap()
    }

    const KINDS: [TeacherKind; 4] =
        [TeacherKind::Linear, TeacherKind::Network, TeacherKind::Hermite, TeacherKind::Random];

    #[test]
    fn one_seed_gives_one_task_whose_points_do_not_depend_on_their_number() {
        for kind in KINDS {
            let (a, b) = (draw(kind, 30, 20, 1), draw(kind, 30, 20, 1));
            assert_eq!((&a.x_train, &a.y_train, &a.x_test, &a.y_test), (&b.x_train, &b.y_train, &b.x_test, &b.y_test));
            let longer = draw(kind, 60, 10, 1);
            assert_eq!(longer.x_train.slice(ndarray::s![..30, ..]), a.x_train);
            assert_eq!(longer.x_test, a.x_test.slice(ndarray::s![..10, ..]));
            assert_eq!(longer.y_train.slice(ndarray::s![..30]), a.y_train);
            let other = draw(kind, 30, 20, 2);
            assert!(other.x_train != a.x_train && other.y_train != a.y_train, "{kind:?} ignores the seed");
        }
    }

    #[test]
    fn train_and_test_are_different_points_of_standard_normal_inputs() {
        let task = draw(TeacherKind::Linear, 500, 500, 3);
        assert!(task.x_train.iter().zip(&task.x_test).all(|(a, b)| a != b));
        let n = task.x_train.len() as f64;
        assert!((task.x_train.sum() / n).abs() < 4.5 / n.sqrt());
        assert!(((&task.x_train * &task.x_train).sum() / n - 1.0).abs() < 4.5 * (2.0 / n).sqrt());
        assert!(((&task.x_train * &task.x_test).sum() / n).abs() < 4.5 / n.sqrt());
    }

    /// y = β·x/√N0 has one β for training and test: regressing it from the training points predicts
    /// the test labels.
    #[test]
    fn train_and_test_share_the_teacher() {
        let task = draw(TeacherKind::Linear, 4000, 100, 4);
        // For x ~ N(0, 1), E[y x] = β/√N0.
        let estimate = task.x_train.t().dot(&task.y_train) / 4000.0;
        let error = task.x_test.dot(&estimate) - &task.y_test;
        let relative = error.dot(&error) / task.y_test.dot(&task.y_test);
        assert!(relative < 0.03, "{relative}");
        let other = draw(TeacherKind::Linear, 20, 100, 5);
        let error = other.x_test.dot(&estimate) - &other.y_test;
        assert!(error.dot(&error) / other.y_test.dot(&other.y_test) > 0.5, "another seed has another teacher");
    }

    #[test]
    fn hermite_polynomials_are_the_normalised_probabilists_ones() {
        for z in [-1.7, 0.0, 0.4, 2.3] {
            assert_eq!(hermite(0, z), 1.0);
            assert_eq!(hermite(1, z), z);
            assert!((hermite(2, z) - (z * z - 1.0) / 2f64.sqrt()).abs() < 1e-14);
            assert!((hermite(3, z) - (z.powi(3) - 3.0 * z) / 6f64.sqrt()).abs() < 1e-14);
            assert!((hermite(4, z) - (z.powi(4) - 6.0 * z * z + 3.0) / 24f64.sqrt()).abs() < 1e-13);
        }
    }

    #[test]
    fn the_network_teacher_is_its_formula() {
        let x = ndarray::array![[1.0, -2.0], [0.5, 3.0]];
        let weights = ndarray::array![[0.3, 0.1], [-1.0, 0.7], [2.0, 0.2]];
        let readout = ndarray::array![1.5, -0.4, 0.9];
        let expected: Vec<f64> = (0..2)
            .map(|p| {
                let unit = |i: usize| (weights[[i, 0]] * x[[p, 0]] + weights[[i, 1]] * x[[p, 1]]) / 2f64.sqrt();
                (0..3).map(|i| readout[i] * libm::erf(unit(i))).sum::<f64>() / 3f64.sqrt()
            })
            .collect();
        let labels = Rule::Network { weights, readout }.labels(x.view());
        assert!(labels.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14));
    }

    #[test]
    fn noise_has_the_asked_deviation_and_random_ignores_it() {
        let with = |kind, noise| {
            let teacher = Teacher { noise, ..teacher(kind) };
            load(kind, &DataConfig { train: Some(4000), teacher, ..config("teacher") }, 6).unwrap()
        };
        let noise = with(TeacherKind::Linear, 0.5).y_train - with(TeacherKind::Linear, 0.0).y_train;
        let variance = noise.dot(&noise) / 4000.0;
        assert!((variance - 0.25).abs() < 4.5 * 0.25 * (2.0f64 / 4000.0).sqrt(), "{variance}");
        let random = with(TeacherKind::Random, 0.5);
        assert!(random.y_train.iter().all(|y| y.abs() == 1.0));
        assert!(random.y_train.sum().abs() < 4.5 * 4000f64.sqrt());
    }

    #[test]
    fn classes_are_the_signs_of_the_labels() {
        let task = draw(TeacherKind::Network, 50, 50, 7);
        assert_eq!(task.class_names, ["+1", "-1"]);
        for (y, class) in task.y_train.iter().zip(&task.class_train).chain(task.y_test.iter().zip(&task.class_test)) {
            assert_eq!(*y < 0.0, *class == 1);
        }
    }

    #[test]
    fn bad_parameters_say_what_and_how_to_mend() {
        let refuse = |kind, change: &dyn Fn(&mut DataConfig)| {
            let mut config = DataConfig { train: Some(50), teacher: teacher(kind), ..config("teacher") };
            change(&mut config);
            worded(&load(kind, &config, 8).unwrap_err())
        };
        use TeacherKind::{Hermite, Linear, Network};
        for (message, told) in [
            (refuse(Linear, &|c| c.teacher.dimension = 0), "dimension must be at least 1"),
            (refuse(Linear, &|c| c.teacher.dimension = usize::MAX), "lower train, or lower teacher_dimension"),
            (refuse(Linear, &|c| c.test = Some(usize::MAX)), "lower test, or lower teacher_dimension"),
            (refuse(Network, &|c| c.teacher.width = 0), "width"),
            (refuse(Network, &|c| c.teacher.width = usize::MAX), "lower teacher_width, or lower teacher_dimension"),
            (refuse(Hermite, &|c| c.teacher.degree = 0), "degree must be from 1 to 100, not 0"),
            (refuse(Hermite, &|c| c.teacher.degree = 101), "not 101"),
            (refuse(Linear, &|c| c.teacher.noise = -0.1), "not -0.1"),
            (refuse(Linear, &|c| c.teacher.noise = f64::NAN), "not NaN"),
            (refuse(Linear, &|c| c.train = None), "set train to 100"),
            (refuse(Linear, &|c| c.train = Some(0)), "raise train to 1"),
            (refuse(Linear, &|c| c.train = Some(1)), "has no training point among the 1"),
            (refuse(Linear, &|c| c.classes = vec![crate::data::ClassGroup(vec![1])]), "leave classes out"),
        ] {
            assert!(message.contains(told) && !message.contains('\n'), "{message:?} does not say {told:?}");
        }
    }
}
