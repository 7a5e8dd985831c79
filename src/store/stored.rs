//! One temperature of what `arrays.npz` holds, read without loading the others: the Gram matrices,
//! and ⟨v w⟩ in input space.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{ARRAYS, StoreError};
use crate::host::numpy::{NpzReader, NumpyError};
use crate::results::{GramAt, VectorAt};
use crate::theory::TheoryKind;

/// Reads the vectors at temperature `index` of a run whose inputs have `dimension` components.
///
/// # Errors
/// As [`read_gram`].
pub fn read_vector(dir: &Path, index: usize, dimension: usize) -> Result<VectorAt, StoreError> {
    let (path, mut npz) = archive(dir, dimension as u64)?;
    let wrong = |reason: String| StoreError::NotArrays { path: path.clone(), reason };
    let damaged = |error: NumpyError| wrong(error.to_string());
    let mut row = |name: &str| npz.slice::<f64>(name, Some(index), &[dimension]).map_err(damaged);
    let required = |name: &str, found: Option<Vec<f64>>| found.ok_or_else(|| wrong(format!("it has no {name}")));
    let sampled = required("readout_weight_vector", row("readout_weight_vector")?)?;
    let mcse = required("readout_weight_vector_mcse", row("readout_weight_vector_mcse")?)?;
    let mut theories = Vec::new();
    for kind in [TheoryKind::Saddle, TheoryKind::SingleUnit, TheoryKind::Adaptive] {
        let found = row(&format!("readout_weight_vector_{}", kind.name().replace('-', "_")))?;
        // NaN marks temperatures where a theory has no solution.
        theories.extend(found.filter(|values| values.iter().all(|x| x.is_finite())).map(|values| (kind, values)));
    }
    Ok(VectorAt { index, sampled, mcse, theories })
}

/// Reads the matrices at temperature `index` of a run with `points` training points.
///
/// # Errors
/// [`StoreError::Unreadable`] when there is no such file, [`StoreError::NotArrays`] when it does
/// not hold the matrices of such a run.
pub fn read_gram(dir: &Path, index: usize, points: usize) -> Result<GramAt, StoreError> {
    let (path, mut npz) = archive(dir, (points as u64).saturating_mul(points as u64))?;
    let wrong = |reason: String| StoreError::NotArrays { path: path.clone(), reason };
    let damaged = |error: NumpyError| wrong(error.to_string());
    let mut matrix = |name: &str, at: Option<usize>| npz.slice::<f64>(name, at, &[points, points]).map_err(damaged);
    let required = |name: &str, found: Option<Vec<f64>>| found.ok_or_else(|| wrong(format!("it has no {name}")));
    let sampled = required("gram", matrix("gram", Some(index))?)?;
    let mcse = required("gram_mcse", matrix("gram_mcse", Some(index))?)?;
    let nngp = required("gram_nngp", matrix("gram_nngp", None)?)?;
    let mut theory = None;
    for kind in [TheoryKind::Adaptive, TheoryKind::SingleUnit, TheoryKind::Saddle] {
        if theory.is_none() {
            let found = matrix(&format!("gram_{}", kind.name().replace('-', "_")), Some(index))?;
            // NaN marks temperatures where a theory has no solution.
            theory = found.filter(|values| values.iter().all(|x| x.is_finite())).map(|values| (kind, values));
        }
    }
    let numbers = npz.slice::<i64>("class_train", None, &[points]).map_err(damaged)?;
    let classes = numbers.map(|numbers| numbers.into_iter().map(usize::try_from).collect()).transpose();
    let classes = classes.map_err(|_| wrong("class_train has a negative class".into()))?;
    Ok(GramAt { index, points, sampled, mcse, nngp, theory, classes })
}

/// The file, which is large enough for an array of `numbers` numbers: those are a claim of the
/// report, and held against the file before anything is allocated by them.
fn archive(dir: &Path, numbers: u64) -> Result<(PathBuf, NpzReader<BufReader<File>>), StoreError> {
    let path = dir.join(ARRAYS);
    let unreadable = |source| StoreError::Unreadable { path: path.clone(), source };
    let file = File::open(&path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let wrong = |reason: String| StoreError::NotArrays { path: path.clone(), reason };
    if numbers == 0 || numbers.saturating_mul(8) > size.saturating_mul(1200) {
        return Err(wrong(format!("it is too small for arrays of {numbers} numbers")));
    }
    let npz = NpzReader::new(BufReader::new(file)).map_err(|error| wrong(format!("it {error}")))?;
    Ok((path, npz))
}
