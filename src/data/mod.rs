//! Data sources, class selection, standardisation and split; knows nothing of networks.
//!
//! | source | file | test points |
//! |---|---|---|
//! | `digits` | `digits`: embedded 8×8 digits | from those not trained on |
//! | `mnist`, `fashion-mnist`, a folder | `idx`, found by `locate` | the `t10k` files |
//! | `cifar-10`, a folder | `cifar`, found by `locate` | `test_batch.bin` |
//! | a path ending in `.npz` | `npz`: a problem as it stands | `x_test`, `y_test` |
//! | `teacher:KIND` | `teacher`: Gaussian inputs, synthetic labels | further draws |
//!
//! Names win over paths: `./digits` is a folder, `digits` is not. Images stay bytes until `select`
//! has picked the points; `standardize` then centres and scales. Every random choice is a function
//! of the seed through `draw`.

pub mod catalog;
mod cifar;
mod config;
mod digits;
mod draw;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
mod files;
#[cfg(fuzzing)]
pub mod fuzz;
mod idx;
mod labels;
mod locate;
mod npz;
mod select;
mod standardize;
mod teacher;

use std::path::{Path, PathBuf};

use ndarray::{Array, Dimension};

pub use config::{ClassGroup, DataConfig, Order, Standardize, Teacher, TeacherKind};
pub use error::DataError;
pub use locate::Folders;

use crate::model::{Problem, Task};
use locate::Named;

/// Loads the problem of a run: its [`points`] in the rotated basis.
///
/// # Errors
/// [`DataError`] as [`points`], and when the points are not a problem: numbers too large for
/// float64, or only zeros.
pub fn load(config: &DataConfig, seed: u64) -> Result<Problem, DataError> {
    let task = points(config, seed)?;
    Problem::new(&task).map_err(|source| DataError::Problem { name: task.name, source })
}

/// Loads, selects, splits and standardises labelled points. The same configuration, seed and files
/// give the same points.
///
/// Every class has at least one training point.
///
/// # Errors
/// [`DataError`] when the source is unknown, not found, damaged, or does not hold what is asked
/// for.
pub fn points(config: &DataConfig, seed: u64) -> Result<Task, DataError> {
    let mut task = read(config, seed)?;
    standardize::apply(&mut task, config.standardize)?;
    Ok(task)
}

/// Whether `name` names a source: one of those built in, a teacher, or something at a path. What is
/// there is read by [`load`].
///
/// # Errors
/// [`DataError::UnknownSource`] with what there is.
pub fn recognise(name: &str) -> Result<(), DataError> {
    let known = name == "digits" || Named::from_name(name).is_some() || name.starts_with("teacher:");
    // The name of a missing npz file says what was meant, and reading it says that it is missing.
    if known || name.ends_with(".npz") || Path::new(name).exists() {
        return Ok(());
    }
    Err(DataError::UnknownSource { name: name.into() })
}

/// The folder in which the files of a named set are found.
///
/// # Errors
/// [`DataError::NotFound`] with the places looked at; [`DataError::UnknownSource`] when there is no
/// such set.
pub fn find(name: &str, folders: &Folders) -> Result<PathBuf, DataError> {
    let named = Named::from_name(name).ok_or_else(|| DataError::UnknownSource { name: name.into() })?;
    locate::find(named, folders)
}

/// The points before standardisation.
fn read(config: &DataConfig, seed: u64) -> Result<Task, DataError> {
    let name = config.source.as_str();
    let path = Path::new(name);
    let with_test = config.test.unwrap_or(0) > 0;
    if let Some(kind) = name.strip_prefix("teacher:").and_then(teacher::kind_from_name) {
        return teacher::load(kind, config, seed);
    }
    let source = if name == "digits" {
        digits::load()?
    } else if let Some(named) = Named::from_name(name) {
        let folder = locate::find(named, &config.folders)?;
        match named {
            Named::Mnist | Named::FashionMnist => idx::load(&folder, name, with_test)?,
            Named::Cifar10 => cifar::load(&folder, name, with_test)?,
        }
    } else if cifar::is_in(path) {
        cifar::load(path, "CIFAR-10", with_test)?
    } else if idx::is_in(path) {
        idx::load(path, "IDX", with_test)?
    } else if path.is_dir() {
        return Err(DataError::Malformed {
            file: path.into(),
            problem: "the folder holds neither train-images-idx3-ubyte[.gz] nor data_batch_1.bin".into(),
            remedy: "name the folder that holds the IDX or CIFAR-10 files themselves".into(),
        });
    } else if path.extension().is_some_and(|extension| extension == "npz") {
        return npz::load(path, config, seed);
    } else {
        return Err(DataError::UnknownSource { name: name.into() });
    };
    select::split(&source, config, seed)
}

/// Refuses a NaN or an infinity, saying where it is.
fn check_finite<D: Dimension>(name: &str, array: &'static str, values: &Array<f64, D>) -> Result<(), DataError> {
    match values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((position, _)) => {
            Err(DataError::NotFinite { name: name.into(), array, position: format!("{position:?}") })
        }
    }
}

#[cfg(test)]
mod tests;
