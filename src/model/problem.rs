//! The posterior's data: inputs, labels and classes in the rotated, rank-reduced basis where both
//! theory and sampler start.

use faer::Mat;
use ndarray::{Array1, ArrayView2, Axis};
use thiserror::Error;

use super::{Activation, Classes, Task};
use crate::numerics::linalg::{Svd, singular_values};
use crate::remedy::{Remedies, Remedy, Setting};

/// The one-hidden-layer network f(x) = (1/√N1) Σ_i v_i σ(w_i·x/√N0) with Gaussian priors w ~ N(0,
/// 1/λ0), v ~ N(0, 1/λ1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// Hidden units N1.
    pub width: usize,
    pub activation: Activation,
    /// Prior precision of the first-layer weights, λ0.
    pub lambda0: f64,
    /// Prior precision of the readout, λ1.
    pub lambda1: f64,
}

/// Why arrays are not a [`Problem`].
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// There are no training points: P = 0.
    #[error("x_train has no rows: give at least one training point")]
    NoPoints,
    /// The inputs have no components: N0 = 0.
    #[error("x_train has no columns: inputs need at least one component")]
    NoInputs,
    /// Two arrays do not fit together.
    #[error("{array} has {found} {axis}, but {other} has {expected}: give both the same number")]
    Shape {
        /// The array at fault, as `y_train`.
        array: &'static str,
        /// What of it is counted: `rows`, `columns` or `entries`.
        axis: &'static str,
        /// How many of them it has.
        found: usize,
        /// The array that it is held against.
        other: &'static str,
        /// How many of them it should have.
        expected: usize,
    },
    /// The samplers support networks of one output, D = 1.
    #[error(
        "{array} has {outputs} columns, one per output of the network: networks of one output are supported, so give one column"
    )]
    Outputs {
        /// `y_train` or `y_test`.
        array: &'static str,
        /// Its columns, D.
        outputs: usize,
    },
    /// An entry is NaN or infinite.
    #[error("{array} has the entry {value} in row {row}, column {column}: remove or replace such entries")]
    NotFinite {
        /// The array, as `x_train`.
        array: &'static str,
        /// Its row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// A point has a class without a name.
    #[error("{array} has class {class} in row {row}, but there are {classes} classes, numbered from 0")]
    ClassIndex {
        /// `class_train` or `class_test`.
        array: &'static str,
        /// The point, from 0.
        row: usize,
        /// Its class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A class has no training point, so that its manifold has no centroid.
    #[error("class {class} has no training point: add one, or leave the class out")]
    EmptyClass {
        /// Name of the class.
        class: String,
    },
    /// Every training input is zero.
    #[error("the training inputs are all zero: the outputs would not depend on the weights")]
    ZeroInputs,
    /// The singular value decomposition of the inputs failed.
    #[error(
        "the singular value decomposition of the {points}×{dimension} {array} failed: \
         rescale them to numbers of order one"
    )]
    Svd {
        /// `x_train` or `x_test`.
        array: &'static str,
        /// Its rows.
        points: usize,
        /// Its columns.
        dimension: usize,
    },
}

impl Remedies for ProblemError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::EmptyClass { .. } => {
                vec![Remedy::raise(Setting::Train), Remedy::set(Setting::Order, "file"), Remedy::change(Setting::Seed)]
            }
            Self::ZeroInputs => vec![Remedy::raise(Setting::Train)],
            _ => Vec::new(),
        }
    }
}

/// Data in both bases: the original inputs for the theory, and the rotated, rank-reduced ones for
/// the sampler.
///
/// With the thin SVD X = U S Vᵀ of rank r ≤ min(P, N0), the likelihood sees the weights only
/// through W' = W V (N1×r), whose prior is the same isotropic Gaussian; h = Z W'ᵀ with Z = X V/√N0
/// = U S/√N0. A test point has h* = W' z* + W⊥ z*⊥ with z* = Vᵀx*/√N0: the part W⊥ (N1×k) of the
/// weights outside the data's span keeps its prior N(0, 1/λ0), so that over units the second term
/// has covariance X*⊥X*⊥ᵀ/(λ0 N0) (exact at any width and temperature).
#[derive(Debug, Clone)]
pub struct Problem {
    /// Training inputs X, (P, N0).
    pub x_train: Mat<f64>,
    pub y_train: Vec<f64>,
    /// Class index of every training point, into `class_names`; empty if there are no classes.
    pub class_train: Vec<usize>,
    /// Test inputs, (P*, N0).
    pub x_test: Mat<f64>,
    pub y_test: Vec<f64>,
    pub class_test: Vec<usize>,
    pub class_names: Vec<String>,
    /// Where the data came from.
    pub name: String,
    /// Z = U S/√N0, (P, r).
    pub z_train: Mat<f64>,
    /// X* V/√N0, (P*, r).
    pub z_test: Mat<f64>,
    /// V, (N0, r): column j is the j-th principal direction of the inputs.
    pub basis: Mat<f64>,
    /// Singular values s_1 ≥ … ≥ s_r of X.
    pub singular_values: Vec<f64>,
    /// (P*, k): the test inputs outside the span of the training inputs, in an orthonormal basis of
    /// what they span there and divided by √N0.
    pub z_complement: Mat<f64>,
}

impl Problem {
    /// Rotates and rank-reduces labelled points.
    ///
    /// # Errors
    /// As [`Problem::from_arrays`] and [`Problem::with_test`].
    pub fn new(task: &Task) -> Result<Self, ProblemError> {
        let column = |y: &Array1<f64>| y.clone().insert_axis(Axis(1));
        let classes = |of_point: &[usize]| Classes::new(task.class_names.clone(), of_point.to_vec());
        Self::from_arrays(task.x_train.view(), column(&task.y_train).view(), classes(&task.class_train))?
            .named(&task.name)
            .with_test(task.x_test.view(), column(&task.y_test).view(), classes(&task.class_test))
    }

    /// Returns the problem of training inputs x (P, N0) with labels y (P, D), D = 1, without test
    /// points.
    ///
    /// Inputs are taken as they are: neither centred nor scaled. Singular values of x below max(P,
    /// N0)·ε·s_1 count as zero, so points may be repeated. Without classes there are no centroid
    /// distances and gyration radii.
    ///
    /// ```
    /// use featherm::model::{Classes, Problem};
    /// use ndarray::array;
    ///
    /// let (x, y) = (array![[0.5, 1.0], [-1.0, 0.3], [0.2, -0.7]], array![[1.0], [-0.4], [0.1]]);
    /// let problem = Problem::from_arrays(x.view(), y.view(), Classes::none())?;
    /// assert_eq!((problem.points(), problem.rank(), problem.classes()), (3, 2, 0));
    /// # Ok::<(), featherm::model::ProblemError>(())
    /// ```
    ///
    /// # Errors
    /// [`ProblemError`] if an array is empty, has an entry that is not finite or does not fit the
    /// others, if D is not 1, if a class has no point, if the inputs are all zero, or if their
    /// decomposition fails.
    pub fn from_arrays(x: ArrayView2<f64>, y: ArrayView2<f64>, classes: Classes) -> Result<Self, ProblemError> {
        let (points, dimension) = x.dim();
        if points == 0 {
            return Err(ProblemError::NoPoints);
        }
        if dimension == 0 {
            return Err(ProblemError::NoInputs);
        }
        check_points(&Arrays::TRAIN, x, y, &classes)?;
        if let Some(empty) = (0..classes.names().len()).find(|class| !classes.of_point().contains(class)) {
            return Err(ProblemError::EmptyClass { class: classes.names()[empty].clone() });
        }
        let x_train = Mat::from_fn(points, dimension, |i, j| x[[i, j]]);
        let Svd { u, s: all, v } = decompose(Arrays::TRAIN.x, &x_train)?;
        let largest = all.first().copied().unwrap_or(0.0);
        if largest <= 0.0 {
            return Err(ProblemError::ZeroInputs);
        }
        let threshold = points.max(dimension) as f64 * f64::EPSILON * largest;
        let rank = all.iter().take_while(|&&s| s > threshold).count();
        let scale = 1.0 / (dimension as f64).sqrt();
        Ok(Self {
            x_train,
            y_train: y.iter().copied().collect(),
            class_train: classes.of_point().to_vec(),
            x_test: Mat::zeros(0, dimension),
            y_test: Vec::new(),
            class_test: Vec::new(),
            class_names: classes.names().to_vec(),
            name: "arrays".into(),
            z_train: Mat::from_fn(points, rank, |i, j| u[(i, j)] * all[j] * scale),
            z_test: Mat::zeros(0, rank),
            basis: v.subcols(0, rank).to_owned(),
            singular_values: all[..rank].to_vec(),
            z_complement: Mat::zeros(0, 0),
        })
    }

    /// Returns the same problem with test inputs x (P*, N0), labels y (P*, D) and classes named as
    /// those of the training points.
    ///
    /// # Errors
    /// [`ProblemError`] as [`Problem::from_arrays`]; a class that no training point has is
    /// [`ProblemError::EmptyClass`].
    pub fn with_test(self, x: ArrayView2<f64>, y: ArrayView2<f64>, classes: Classes) -> Result<Self, ProblemError> {
        check_points(&Arrays::TEST, x, y, &classes)?;
        let (columns, expected) = (x.ncols(), self.dimension());
        if columns != expected {
            let (array, other) = (Arrays::TEST.x, Arrays::TRAIN.x);
            return Err(ProblemError::Shape { array, axis: "columns", found: columns, other, expected });
        }
        // The classes of the test points by their place among those of the training points.
        let place = |name: &String| {
            let found = self.class_names.iter().position(|own| own == name);
            found.ok_or_else(|| ProblemError::EmptyClass { class: name.clone() })
        };
        let places = classes.names().iter().map(place).collect::<Result<Vec<_>, _>>()?;
        if classes.names().is_empty() && !self.class_names.is_empty() && x.nrows() > 0 {
            let (array, expected) = (Arrays::TEST.class, x.nrows());
            return Err(ProblemError::Shape { array, axis: "entries", found: 0, other: Arrays::TEST.x, expected });
        }
        let scale = 1.0 / (expected as f64).sqrt();
        let x_test = Mat::from_fn(x.nrows(), expected, |i, j| x[[i, j]]);
        let projection = &x_test * &self.basis;
        let outside = &x_test - &(&projection * self.basis.transpose());
        Ok(Self {
            z_complement: complement(outside, &x_test, scale)?,
            z_test: projection * faer::Scale(scale),
            x_test,
            y_test: y.iter().copied().collect(),
            class_test: classes.of_point().iter().map(|&class| places[class]).collect(),
            ..self
        })
    }

    /// Returns the same problem under a name for reports: where the data came from.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Directions k outside the span of the training inputs that the test points need.
    pub fn complement_rank(&self) -> usize {
        self.z_complement.ncols()
    }

    /// Training points P.
    pub fn points(&self) -> usize {
        self.y_train.len()
    }

    /// Test points P*.
    pub fn test_points(&self) -> usize {
        self.y_test.len()
    }

    /// Whether the classes have manifolds at the test points too: there are classes, and two points
    /// or more of each.
    pub fn has_test_manifolds(&self) -> bool {
        let count = |class: usize| self.class_test.iter().filter(|&&own| own == class).count();
        self.classes() > 0 && (0..self.classes()).all(|class| count(class) >= 2)
    }

    /// Input dimension N0.
    pub fn dimension(&self) -> usize {
        self.x_train.ncols()
    }

    /// Rank r of the training inputs.
    pub fn rank(&self) -> usize {
        self.singular_values.len()
    }

    /// Vᵀ x of a vector in input space, (N0) to (r): what the training inputs see of it.
    pub fn rotated(&self, x: &[f64]) -> Vec<f64> {
        (0..self.rank()).map(|j| (0..self.dimension()).map(|i| self.basis[(i, j)] * x[i]).sum()).collect()
    }

    /// V w of a vector in the rotated basis, (r) to (N0).
    pub fn in_input_space(&self, w: &[f64]) -> Vec<f64> {
        (0..self.dimension()).map(|i| (0..self.rank()).map(|j| self.basis[(i, j)] * w[j]).sum()).collect()
    }

    /// Number of classes; zero if the points have none.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }
}

/// Names of the arrays of one side of the split.
struct Arrays {
    x: &'static str,
    y: &'static str,
    class: &'static str,
}

impl Arrays {
    const TRAIN: Self = Self { x: "x_train", y: "y_train", class: "class_train" };
    const TEST: Self = Self { x: "x_test", y: "y_test", class: "class_test" };
}

/// Checks that inputs, labels and classes are of the same points, of one output, and finite.
fn check_points(
    arrays: &Arrays,
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    classes: &Classes,
) -> Result<(), ProblemError> {
    let (points, count) = (x.nrows(), classes.names().len());
    let shape = |array, axis, found| ProblemError::Shape { array, axis, found, other: arrays.x, expected: points };
    if y.nrows() != points {
        return Err(shape(arrays.y, "rows", y.nrows()));
    }
    if y.ncols() != 1 {
        return Err(ProblemError::Outputs { array: arrays.y, outputs: y.ncols() });
    }
    if classes.of_point().len() != if count > 0 { points } else { 0 } {
        return Err(shape(arrays.class, "entries", classes.of_point().len()));
    }
    if let Some((row, &class)) = classes.of_point().iter().enumerate().find(|(_, class)| **class >= count) {
        return Err(ProblemError::ClassIndex { array: arrays.class, row, class, classes: count });
    }
    for (array, values) in [(arrays.x, x), (arrays.y, y)] {
        if let Some(((row, column), &value)) = values.indexed_iter().find(|(_, value)| !value.is_finite()) {
            return Err(ProblemError::NotFinite { array, row, column, value });
        }
    }
    Ok(())
}

/// The singular value decomposition of a matrix made from `array`.
fn decompose(array: &'static str, matrix: &Mat<f64>) -> Result<Svd, ProblemError> {
    let finite = |svd: &Svd| svd.s.iter().all(|s| s.is_finite());
    let (points, dimension) = (matrix.nrows(), matrix.ncols());
    singular_values(matrix.as_ref()).filter(finite).ok_or(ProblemError::Svd { array, points, dimension })
}

/// Coordinates of the rows of `outside` in an orthonormal basis of their span, times `scale`.
/// Singular values of the size of the rounding in `x_test` are dropped: points that lie in the
/// training span have no complement.
fn complement(outside: Mat<f64>, x_test: &Mat<f64>, scale: f64) -> Result<Mat<f64>, ProblemError> {
    let (points, dimension) = (outside.nrows(), outside.ncols());
    if points == 0 {
        return Ok(Mat::zeros(0, 0));
    }
    let Svd { u, s, .. } = decompose(Arrays::TEST.x, &outside)?;
    let threshold = 10.0 * points.max(dimension) as f64 * f64::EPSILON * x_test.norm_l2();
    let rank = s.iter().take_while(|&&s| s > threshold).count();
    Ok(Mat::from_fn(points, rank, |i, j| u[(i, j)] * s[j] * scale))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;

    fn task(train: usize, test: usize, dimension: usize) -> Task {
        let entry = |i: usize, j: usize| ((i * 7 + j * 13 + i * j * 5 + 3) % 17) as f64 / 4.0 - 2.0;
        Task {
            name: "fixed".into(),
            x_train: Array2::from_shape_fn((train, dimension), |(i, j)| entry(i, j)),
            y_train: Array1::from_shape_fn(train, |i| if i % 2 == 0 { 1.0 } else { -1.0 }),
            class_train: (0..train).map(|i| i % 2).collect(),
            x_test: Array2::from_shape_fn((test, dimension), |(i, j)| entry(i + train, 3 * j)),
            y_test: Array1::ones(test),
            class_test: vec![0; test],
            class_names: vec!["a".into(), "b".into()],
        }
    }

    /// The rotated basis must reproduce every inner product that pre-activations depend on.
    #[test]
    fn rotated_inputs_have_the_inner_products_of_the_original_ones() {
        for (train, test, dimension) in [(5, 4, 12), (12, 3, 5), (6, 20, 9)] {
            let mut task = task(train, test, dimension);
            let twin = task.x_train.row(0).to_owned();
            task.x_train.row_mut(1).assign(&twin);
            let problem = Problem::new(&task).unwrap();
            assert!(problem.rank() <= train.min(dimension));
            let n0 = dimension as f64;
            let close = |a: &Mat<f64>, b: &Mat<f64>| (a - b).norm_max() < 1e-12;
            let (x, xt) = (&problem.x_train, &problem.x_test);
            let (z, zt, zc) = (&problem.z_train, &problem.z_test, &problem.z_complement);
            assert!(close(&(x * x.transpose() * faer::Scale(1.0 / n0)), &(z * z.transpose())));
            assert!(close(&(xt * x.transpose() * faer::Scale(1.0 / n0)), &(zt * z.transpose())));
            let whole = xt * xt.transpose() * faer::Scale(1.0 / n0);
            assert!(close(&whole, &(zt * zt.transpose() + zc * zc.transpose())));
            if train >= dimension {
                assert_eq!(problem.complement_rank(), 0, "the training inputs span everything");
            } else {
                assert!(!close(&whole, &(zt * zt.transpose())), "without the complement the test block is wrong");
            }
        }
    }

    /// What is wrong is named with its place; the arrays unspoilt are a problem.
    #[test]
    fn arrays_that_are_no_problem_are_refused_by_name() {
        type Spoil = fn(&mut [Array2<f64>; 4], &mut [Classes; 2]);
        let classes = |of: &[usize]| Classes::new(vec!["a".into(), "b".into()], of.to_vec());
        let problem = |spoil: Spoil| {
            let Task { x_train, y_train, x_test, y_test, .. } = task(4, 2, 3);
            let mut arrays = [x_train, y_train.insert_axis(Axis(1)), x_test, y_test.insert_axis(Axis(1))];
            let mut of = [classes(&[0, 1, 0, 1]), classes(&[1, 0])];
            spoil(&mut arrays, &mut of);
            let ([x, y, x_test, y_test], [train, test]) = (&arrays, of);
            Problem::from_arrays(x.view(), y.view(), train)?.with_test(x_test.view(), y_test.view(), test)
        };
        let good = problem(|_, _| {}).unwrap();
        assert_eq!((good.points(), good.test_points(), good.classes()), (4, 2, 2));
        let cases: [(Spoil, &str); 17] = [
            (|a, _| a[0] = Array2::zeros((0, 3)), "x_train has no rows"),
            (|a, _| a[0] = Array2::zeros((4, 0)), "x_train has no columns"),
            (|a, _| a[0].fill(0.0), "all zero"),
            (|a, _| a[0][[2, 1]] = f64::NAN, "x_train has the entry NaN in row 2, column 1"),
            (|a, _| a[1][[3, 0]] = f64::INFINITY, "y_train has the entry inf in row 3, column 0"),
            (|a, _| a[2][[1, 2]] = f64::NEG_INFINITY, "x_test has the entry -inf in row 1, column 2"),
            (|a, _| a[3][[0, 0]] = f64::NAN, "y_test has the entry NaN in row 0, column 0"),
            (|a, _| a[1] = Array2::ones((3, 1)), "y_train has 3 rows, but x_train has 4"),
            (|a, _| a[3] = Array2::ones((1, 1)), "y_test has 1 rows, but x_test has 2"),
            (|a, _| a[2] = Array2::ones((2, 2)), "x_test has 2 columns, but x_train has 3"),
            (|a, _| a[1] = Array2::ones((4, 3)), "y_train has 3 columns"),
            (|a, _| a[1] = Array2::ones((4, 0)), "y_train has 0 columns"),
            (|_, c| c[0] = Classes::from_labels(&["a", "b", "a"]), "class_train has 3 entries, but x_train has 4"),
            (|_, c| c[1] = Classes::none(), "class_test has 0 entries, but x_test has 2"),
            (|_, c| c[0] = Classes::new(vec!["a".into()], vec![0, 0, 7, 0]), "class_train has class 7 in row 2"),
            (|_, c| c[0] = Classes::new(vec!["a".into(), "b".into()], vec![0; 4]), "class b has no training point"),
            (|_, c| c[1] = Classes::from_labels(&["a", "c"]), "class c has no training point"),
        ];
        for (spoil, told) in cases {
            let message = problem(spoil).unwrap_err().to_string();
            assert!(message.contains(told), "{message:?} does not say {told:?}");
        }
        let huge = problem(|a, _| a[0].fill(f64::MAX)).map(|_| ()).unwrap_err().to_string();
        assert!(huge.contains("4×3 x_train failed"), "{huge}");
    }

    /// The order in which test classes are named is that of the training classes.
    #[test]
    fn classes_of_test_points_are_found_by_name() {
        let Task { x_train, y_train, x_test, y_test, .. } = task(4, 2, 3);
        let (y, y_test) = (y_train.insert_axis(Axis(1)), y_test.insert_axis(Axis(1)));
        let train = Classes::new(vec!["b".into(), "a".into()], vec![0, 1, 1, 0]);
        let problem = Problem::from_arrays(x_train.view(), y.view(), train).unwrap();
        let with = |labels: &[&str]| {
            let test = Classes::from_labels(labels);
            problem.clone().with_test(x_test.view(), y_test.view(), test).unwrap().class_test
        };
        assert_eq!((with(&["a", "b"]), with(&["a", "a"])), (vec![1, 0], vec![1, 1]));
    }

    #[test]
    fn one_point_and_repeated_points_are_problems() {
        let (row, label) = (Array2::ones((1, 3)), Array2::ones((1, 1)));
        let one = Problem::from_arrays(row.view(), label.view(), Classes::by_sign(label.view())).unwrap();
        assert_eq!((one.points(), one.rank(), one.classes()), (1, 1, 1));
        let (rows, labels) = (Array2::ones((5, 3)), Array2::ones((5, 1)));
        let repeated = Problem::from_arrays(rows.view(), labels.view(), Classes::none()).unwrap();
        assert_eq!((repeated.rank(), repeated.classes(), repeated.has_test_manifolds()), (1, 0, false));
    }
}
