//! Centres and scales inputs; the test inputs are treated with the training statistics.

use ndarray::{ArrayView, Axis, Dimension};

use super::DataError;
use crate::data::Standardize;
use crate::model::Task;

/// x ← (x − mean)/sd with the population standard deviation, as [`Standardize`] says.
///
/// # Errors
/// [`DataError::Constant`] when no training input differs from the others, [`DataError::Overflow`]
/// when their squares overflow.
pub(super) fn apply(task: &mut Task, how: Standardize) -> Result<(), DataError> {
    let name = task.name.clone();
    let constant = || DataError::Constant { name: name.clone() };
    // An infinite deviation would quietly send every input to zero.
    let finite = |sd: f64| sd.is_finite().then_some(()).ok_or_else(|| DataError::Overflow { name: name.clone() });
    match how {
        Standardize::None => {}
        Standardize::Global => {
            let (mean, sd) = moments(task.x_train.view()).ok_or_else(constant)?;
            finite(sd)?;
            for x in [&mut task.x_train, &mut task.x_test] {
                x.mapv_inplace(|x| (x - mean) / sd);
            }
        }
        Standardize::PerFeature => {
            let features: Vec<_> = task.x_train.columns().into_iter().map(moments).collect();
            if features.iter().all(Option::is_none) {
                return Err(constant());
            }
            features.iter().flatten().try_for_each(|&(_, sd)| finite(sd))?;
            for x in [&mut task.x_train, &mut task.x_test] {
                for (mut column, feature) in x.axis_iter_mut(Axis(1)).zip(&features) {
                    match feature {
                        Some((mean, sd)) => column.mapv_inplace(|x| (x - mean) / sd),
                        None => column.fill(0.0),
                    }
                }
            }
        }
    }
    Ok(())
}

/// Mean and standard deviation; `None` when all numbers are equal, to rounding.
fn moments<D: Dimension>(x: ArrayView<f64, D>) -> Option<(f64, f64)> {
    let first = *x.first()?;
    // Rounding of the mean would give equal numbers a tiny spread, so equality is asked first.
    if x.iter().all(|&x| x == first) {
        return None;
    }
    let n = x.len() as f64;
    let mean = x.sum() / n;
    let sd = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    (sd != 0.0).then_some((mean, sd))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    fn task(x_train: Array2<f64>, x_test: Array2<f64>) -> Task {
        let (p, q) = (x_train.nrows(), x_test.nrows());
        Task {
            name: "made up".into(),
            x_train,
            y_train: Array1::ones(p),
            class_train: vec![0; p],
            x_test,
            y_test: Array1::ones(q),
            class_test: vec![0; q],
            class_names: vec!["+1".into()],
        }
    }

    /// Training inputs 0, 2, 4, 10 have mean 4 and variance (16 + 4 + 0 + 36)/4 = 14.
    #[test]
    fn global_uses_one_mean_and_one_deviation_of_the_training_inputs() {
        let mut t = task(array![[0.0, 2.0], [4.0, 10.0]], array![[4.0, 18.0]]);
        apply(&mut t, Standardize::Global).unwrap();
        let sd = 14f64.sqrt();
        let expected = array![[-4.0 / sd, -2.0 / sd], [0.0, 6.0 / sd]];
        assert!((&t.x_train - &expected).iter().all(|d| d.abs() < 1e-15));
        assert!((&t.x_test - &array![[0.0, 14.0 / sd]]).iter().all(|d| d.abs() < 1e-15));
    }

    #[test]
    fn per_feature_treats_columns_apart_and_constant_ones_become_zero() {
        let mut t = task(array![[0.0, 0.1, 2.0], [4.0, 0.1, 8.0]], array![[2.0, 9.0, 11.0]]);
        apply(&mut t, Standardize::PerFeature).unwrap();
        assert_eq!(t.x_train, array![[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]]);
        assert_eq!(t.x_test, array![[0.0, 0.0, 2.0]]);
    }

    #[test]
    fn none_changes_nothing_even_when_all_is_constant() {
        let mut t = task(array![[3.0, 3.0]], array![[5.0, 7.0]]);
        apply(&mut t, Standardize::None).unwrap();
        assert_eq!(t.x_train, array![[3.0, 3.0]]);
        assert_eq!(t.x_test, array![[5.0, 7.0]]);
    }

    #[test]
    fn overflowing_variances_are_refused() {
        for how in [Standardize::Global, Standardize::PerFeature] {
            let error = apply(&mut task(array![[1e300], [-1e300]], Array2::zeros((0, 1))), how).unwrap_err();
            assert!(matches!(error, DataError::Overflow { .. }), "{error}");
        }
    }

    #[test]
    fn constant_inputs_are_refused_whatever_their_rounding() {
        // The mean of seven 0.1 is not 0.1.
        for how in [Standardize::Global, Standardize::PerFeature] {
            let error = apply(&mut task(Array2::from_elem((7, 1), 0.1), Array2::zeros((0, 1))), how).unwrap_err();
            assert!(matches!(error, DataError::Constant { .. }), "{error}");
            let error = apply(&mut task(array![[1e-200], [2e-200]], Array2::zeros((0, 1))), how).unwrap_err();
            assert!(matches!(error, DataError::Constant { .. }), "{error}");
        }
    }
}
