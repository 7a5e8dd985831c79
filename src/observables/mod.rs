//! The table of observables: what each is called, how it is measured from a chain, and which value
//! of the theory it meets; knows nothing of devices.

mod recorder;

use crate::backend::Measurement;
use crate::model::{Problem, class_pairs};
use crate::numerics::estimate::Estimate;
use crate::theory::Prediction;

pub use recorder::{ChainSeries, Recorded, Recorder, SampledTemperature, Series};

/// A scalar measured once per draw and chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observable {
    /// ⟨L⟩/P.
    TrainLoss,
    /// (1/P*) Σ (f* − y*)².
    TestMse,
    /// ⟨v²⟩ = Q̄/λ1.
    ReadoutSecondMoment,
    /// ⟨v⟩.
    ReadoutMean,
    /// ⟨v w·û⟩.
    ReadoutWeightCorrelation,
    /// ⟨(w·û)²⟩.
    WeightSecondMomentAlongU,
    /// ⟨v⁴⟩: 3/λ1² where v is Gaussian.
    ReadoutFourthMoment,
    /// ⟨(w·û)⁴⟩: 3/λ0² where w is.
    WeightFourthMomentAlongU,
    /// D²_ab, the squared distance between the centroids of two classes, a < b.
    CentroidDistanceSq(usize, usize),
    /// R²_a, the mean squared distance of a class's points to their centroid.
    GyrationRadiusSq(usize),
    /// The same two of the test points.
    TestCentroidDistanceSq(usize, usize),
    TestGyrationRadiusSq(usize),
}

/// What can be measured at test points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestSet {
    /// Nothing: there are none.
    Empty,
    /// Errors.
    Points,
    /// Errors, and the manifolds of all classes.
    Manifolds,
}

impl TestSet {
    pub fn of(problem: &Problem) -> Self {
        match problem.test_points() {
            0 => Self::Empty,
            _ if problem.has_test_manifolds() => Self::Manifolds,
            _ => Self::Points,
        }
    }
}

impl Observable {
    /// All observables of a problem with `classes` classes.
    pub fn all(classes: usize, test: TestSet) -> Vec<Self> {
        let mut all = vec![Self::TrainLoss];
        all.extend((test != TestSet::Empty).then_some(Self::TestMse));
        all.extend([
            Self::ReadoutSecondMoment,
            Self::ReadoutMean,
            Self::ReadoutWeightCorrelation,
            Self::WeightSecondMomentAlongU,
            Self::ReadoutFourthMoment,
            Self::WeightFourthMomentAlongU,
        ]);
        all.extend(class_pairs(classes).map(|(a, b)| Self::CentroidDistanceSq(a, b)));
        all.extend((0..classes).map(Self::GyrationRadiusSq));
        if test == TestSet::Manifolds {
            all.extend(class_pairs(classes).map(|(a, b)| Self::TestCentroidDistanceSq(a, b)));
            all.extend((0..classes).map(Self::TestGyrationRadiusSq));
        }
        all
    }

    /// Machine-readable name, the same in every output, without the classes it refers to.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrainLoss => "train_loss",
            Self::TestMse => "test_mse",
            Self::ReadoutSecondMoment => "readout_second_moment",
            Self::ReadoutMean => "readout_mean",
            Self::ReadoutWeightCorrelation => "readout_weight_correlation_norm",
            Self::WeightSecondMomentAlongU => "weight_second_moment_along_u",
            Self::ReadoutFourthMoment => "readout_fourth_moment",
            Self::WeightFourthMomentAlongU => "weight_fourth_moment_along_u",
            Self::CentroidDistanceSq(..) => "centroid_distance_sq",
            Self::GyrationRadiusSq(_) => "gyration_radius_sq",
            Self::TestCentroidDistanceSq(..) => "centroid_distance_sq_test",
            Self::TestGyrationRadiusSq(_) => "gyration_radius_sq_test",
        }
    }

    /// The symbol in formulas and tables.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::TrainLoss => "⟨L⟩/P",
            Self::TestMse => "test MSE",
            Self::ReadoutSecondMoment => "⟨v²⟩",
            Self::ReadoutMean => "⟨v⟩",
            Self::ReadoutWeightCorrelation => "⟨v w·û⟩",
            Self::WeightSecondMomentAlongU => "⟨(w·û)²⟩",
            Self::ReadoutFourthMoment => "⟨v⁴⟩",
            Self::WeightFourthMomentAlongU => "⟨(w·û)⁴⟩",
            Self::CentroidDistanceSq(..) => "D²",
            Self::GyrationRadiusSq(_) => "R²",
            Self::TestCentroidDistanceSq(..) => "D² test",
            Self::TestGyrationRadiusSq(_) => "R² test",
        }
    }

    /// The classes it refers to, as indices.
    pub fn classes(self) -> Vec<usize> {
        match self {
            Self::CentroidDistanceSq(a, b) | Self::TestCentroidDistanceSq(a, b) => vec![a, b],
            Self::GyrationRadiusSq(a) | Self::TestGyrationRadiusSq(a) => vec![a],
            _ => Vec::new(),
        }
    }

    /// Whether it is measured along the direction û that a theory names.
    pub fn along_u(self) -> bool {
        matches!(self, Self::ReadoutWeightCorrelation | Self::WeightSecondMomentAlongU | Self::WeightFourthMomentAlongU)
    }

    /// Whether it refines what the others say, and is left out of tables of all of them.
    pub fn is_detail(self) -> bool {
        matches!(self, Self::ReadoutFourthMoment | Self::WeightFourthMomentAlongU)
    }

    /// Its value in one draw of a chain; NaN where it was not measured. D²_ab = c_aa + c_bb − 2c_ab
    /// and R²_a = ⟨G_μμ⟩_a − c_aa with c the Gram matrix of the class centroids.
    pub fn measure(self, m: &Measurement, points: usize) -> f64 {
        let classes = m.mean_square_norm.len();
        let distance =
            |c: &[f64], a: usize, b: usize| c[a * classes + a] + c[b * classes + b] - 2.0 * c[a * classes + b];
        let radius = |c: &[f64], squares: &[f64], a: usize| squares[a] - c[a * classes + a];
        let of_test =
            |value: &dyn Fn(&[f64], &[f64]) -> f64| m.test_manifolds.as_ref().map_or(f64::NAN, |(c, s)| value(c, s));
        match self {
            Self::TrainLoss => m.loss / points as f64,
            Self::TestMse => m.test_squared_error.unwrap_or(f64::NAN),
            Self::ReadoutSecondMoment => m.readout_second_moment,
            Self::ReadoutMean => m.readout_mean,
            Self::ReadoutWeightCorrelation => m.readout_weight_along_u,
            Self::WeightSecondMomentAlongU => m.weight_along_u_squared,
            Self::ReadoutFourthMoment => m.readout_fourth_moment,
            Self::WeightFourthMomentAlongU => m.weight_along_u_fourth,
            Self::CentroidDistanceSq(a, b) => distance(&m.centroid_gram, a, b),
            Self::GyrationRadiusSq(a) => radius(&m.centroid_gram, &m.mean_square_norm, a),
            Self::TestCentroidDistanceSq(a, b) => of_test(&|c, _| distance(c, a, b)),
            Self::TestGyrationRadiusSq(a) => of_test(&|c, squares| radius(c, squares, a)),
        }
    }

    /// What a theory predicts for it, with the theory's own Monte Carlo error; `None` where the
    /// theory is silent.
    pub fn predicted(self, p: &Prediction) -> Option<Estimate> {
        match self {
            Self::TrainLoss => p.train_loss,
            Self::TestMse => p.test_mse,
            Self::ReadoutSecondMoment => Some(p.readout_second_moment),
            Self::ReadoutMean => Some(p.readout_mean),
            Self::ReadoutWeightCorrelation => p.readout_weight_correlation,
            Self::WeightSecondMomentAlongU => p.weight_second_moment_along_u,
            Self::ReadoutFourthMoment => p.readout_fourth_moment,
            Self::WeightFourthMomentAlongU => p.weight_fourth_moment_along_u,
            Self::CentroidDistanceSq(a, b) => of_pair(&p.centroid_distance_sq, &p.gyration_radius_sq, (a, b)),
            Self::GyrationRadiusSq(a) => p.gyration_radius_sq.get(a).copied(),
            Self::TestCentroidDistanceSq(a, b) => {
                of_pair(&p.centroid_distance_sq_test, &p.gyration_radius_sq_test, (a, b))
            }
            Self::TestGyrationRadiusSq(a) => p.gyration_radius_sq_test.get(a).copied(),
        }
    }
}

/// What a list over pairs of classes holds for one of them; `classes` is a list over the classes.
fn of_pair(pairs: &[Estimate], classes: &[Estimate], pair: (usize, usize)) -> Option<Estimate> {
    pairs.get(class_pairs(classes.len()).position(|other| other == pair)?).copied()
}

/// What stands under one name in every output: a scalar, or an array over the classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub members: Vec<Observable>,
    pub array: bool,
}

/// The named entries of a problem, together [`Observable::all`] in its order. With more than two
/// classes every pair and every class has an entry of its own, marked by the original labels, as in
/// `centroid_distance_sq[0,6]`; with two there is one distance and an array of the two radii.
pub fn entries(class_names: &[String], test: TestSet) -> Vec<Entry> {
    let classes = class_names.len();
    let mut entries: Vec<Entry> = Vec::new();
    for observable in Observable::all(classes, test) {
        let of_class = matches!(observable, Observable::GyrationRadiusSq(_) | Observable::TestGyrationRadiusSq(_));
        let kin = |last: &Entry| last.array && classes <= 2 && last.members[0].name() == observable.name();
        match entries.last_mut() {
            Some(last) if of_class && kin(last) => last.members.push(observable),
            _ => {
                let name = format!("{}{}", observable.name(), suffix(class_names, &observable.classes()));
                entries.push(Entry { name, members: vec![observable], array: of_class && classes <= 2 });
            }
        }
    }
    entries
}

/// What marks a name by the classes it refers to, where there are more than two: their original
/// labels in brackets.
pub fn suffix(class_names: &[String], classes: &[usize]) -> String {
    let labels: Vec<&str> = classes.iter().map(|&class| class_names[class].as_str()).collect();
    if class_names.len() > 2 && !labels.is_empty() { format!("[{}]", labels.join(",")) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| (3 * class).to_string()).collect()
    }

    #[test]
    fn entries_hold_every_observable_once_and_in_order() {
        for classes in 1..5 {
            let entries = entries(&names(classes), TestSet::Manifolds);
            let members: Vec<Observable> = entries.iter().flat_map(|entry| entry.members.clone()).collect();
            assert_eq!(members, Observable::all(classes, TestSet::Manifolds));
        }
        let two: Vec<String> = entries(&names(2), TestSet::Manifolds).into_iter().map(|entry| entry.name).collect();
        let test = ["centroid_distance_sq_test", "gyration_radius_sq_test"];
        assert_eq!(two[8..], [&["centroid_distance_sq", "gyration_radius_sq"], &test[..]].concat());
        let one = entries(&names(1), TestSet::Manifolds);
        assert!(one.iter().rev().take(2).all(|entry| entry.array && entry.members.len() == 1));
        let three: Vec<String> = entries(&names(3), TestSet::Empty).into_iter().map(|entry| entry.name).collect();
        assert!(three.contains(&"centroid_distance_sq[0,6]".into()) && three.contains(&"gyration_radius_sq[3]".into()));
    }

    #[test]
    fn geometry_follows_from_the_centroid_gram_matrix() {
        let measurement = Measurement {
            loss: 6.0,
            readout_mean: 0.0,
            readout_second_moment: 0.0,
            readout_weight_along_u: 0.0,
            weight_along_u_squared: 0.0,
            readout_fourth_moment: 0.0,
            weight_along_u_fourth: 0.0,
            weight_second_moment: 0.0,
            centroid_gram: vec![2.0, 0.5, 0.5, 1.0],
            mean_square_norm: vec![3.0, 4.0],
            test_squared_error: None,
            test_manifolds: Some((vec![1.0, 0.25, 0.25, 2.0], vec![4.0, 5.0])),
            lost: false,
        };
        assert_eq!(Observable::TrainLoss.measure(&measurement, 4), 1.5);
        assert_eq!(Observable::CentroidDistanceSq(0, 1).measure(&measurement, 4), 2.0);
        assert_eq!(Observable::GyrationRadiusSq(1).measure(&measurement, 4), 3.0);
        assert!(Observable::TestMse.measure(&measurement, 4).is_nan());
        assert_eq!(Observable::TestCentroidDistanceSq(0, 1).measure(&measurement, 4), 2.5);
        assert_eq!(Observable::TestGyrationRadiusSq(1).measure(&measurement, 4), 3.0);
        let untested = Measurement { test_manifolds: None, ..measurement };
        assert!(Observable::TestGyrationRadiusSq(1).measure(&untested, 4).is_nan());
    }
}
