//! Classes by the sign of y, for sources that have labels but no classes; and the check that no
//! class is empty.

use ndarray::ArrayView1;

use super::DataError;
use crate::remedy::Remedy;

/// The class of every point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classes {
    pub train: Vec<usize>,
    pub test: Vec<usize>,
    pub names: Vec<String>,
}

/// Which signs make a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    /// Both: a task without one of them is refused.
    Both,
    /// Those that occur.
    Occurring,
}

/// Class `+1` holds the points with y ≥ 0, class `-1` those with y < 0.
///
/// # Errors
/// [`DataError::EmptyClass`] with these `remedies` when a class has no training point.
pub(super) fn sign_classes(
    name: &str,
    y_train: ArrayView1<f64>,
    y_test: ArrayView1<f64>,
    signs: Signs,
    remedies: &[Remedy],
) -> Result<Classes, DataError> {
    let occurs = |negative: bool| y_train.iter().chain(y_test).any(|&y| (y < 0.0) == negative);
    let kept: Vec<bool> = [false, true].into_iter().filter(|&sign| signs == Signs::Both || occurs(sign)).collect();
    let names: Vec<_> = kept.iter().map(|&negative| if negative { "-1" } else { "+1" }.to_string()).collect();
    let class = |&y: &f64| usize::from(kept.len() > 1 && y < 0.0);
    let train: Vec<_> = y_train.iter().map(class).collect();
    check_filled(name, &train, &names, remedies)?;
    Ok(Classes { train, test: y_test.iter().map(class).collect(), names })
}

/// Every class needs a training point.
///
/// # Errors
/// [`DataError::EmptyClass`] with these `remedies`.
pub(super) fn check_filled(
    name: &str,
    train: &[usize],
    names: &[String],
    remedies: &[Remedy],
) -> Result<(), DataError> {
    for (index, class) in names.iter().enumerate() {
        if !train.contains(&index) {
            return Err(DataError::EmptyClass {
                name: name.into(),
                class: class.clone(),
                points: train.len(),
                remedies: remedies.to_vec(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn classes(train: &[f64], test: &[f64], signs: Signs) -> Result<Classes, DataError> {
        sign_classes("made up", ArrayView1::from(train), ArrayView1::from(test), signs, &[])
    }

    #[test]
    fn classes_are_signs_and_zero_is_positive() {
        let found = classes(array![-0.5, 0.0, 2.0].as_slice().unwrap(), &[-1.0], Signs::Occurring).unwrap();
        assert_eq!(found, Classes { train: vec![1, 0, 0], test: vec![1], names: vec!["+1".into(), "-1".into()] });
    }

    #[test]
    fn a_sign_that_never_occurs_is_no_class_unless_both_are_asked_for() {
        let found = classes(&[-2.0, -3.0], &[], Signs::Occurring).unwrap();
        assert_eq!(found, Classes { train: vec![0, 0], test: vec![], names: vec!["-1".into()] });
        let message = classes(&[-2.0, -3.0], &[], Signs::Both).unwrap_err().to_string();
        assert_eq!(message, "class +1 has no training point among the 2 of made up");
        assert!(classes(&[-2.0], &[1.0], Signs::Occurring).is_err(), "a class of test points only");
    }
}
