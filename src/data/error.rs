//! Why data cannot be had: every message says what, where and how to mend, in one line.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why [`load`](super::load) gave no task.
#[derive(Debug, Error)]
pub enum DataError {
    #[error(
        "unknown data source `{name}`: use digits, mnist, fashion-mnist, cifar-10, teacher:linear, teacher:network, \
         teacher:hermite, teacher:random, or the path of an existing folder (IDX or CIFAR-10 files) or .npz file"
    )]
    UnknownSource { name: String },

    #[error("no files of {name} found; looked in {places}; {mend}")]
    NotFound { name: String, places: String, mend: String },

    #[error("{}: {cause}; check that the file exists, is whole and may be read", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },

    /// The file is there, but it is not what its format says.
    #[error("{}: {problem}; {mend}", file.display())]
    Malformed { file: PathBuf, problem: String, mend: String },

    #[error("{name} brings its own labels: leave --classes out")]
    ClassesNotWanted { name: String },

    #[error(
        "{name} needs two groups of class labels, the first trained to +1 and the second to -1, but {given} were given: \
         say for instance --classes 2,4"
    )]
    ClassGroups { name: String, given: usize },

    #[error("class {class} is named twice: name every class once in --classes")]
    DuplicateClass { class: u32 },

    #[error("{name} has no class {class}: choose --classes among {present}")]
    AbsentClass { name: String, class: u32, present: String },

    #[error("class {class} has no training point among the {points} of {name}: {mend}")]
    EmptyClass { name: String, class: String, points: usize, mend: String },

    #[error("{name} needs the number of training points: say for instance --train 100")]
    TrainNotGiven { name: String },

    #[error("zero training points were asked for: --train must be at least 1")]
    ZeroTrain,

    #[error(
        "{name} has {available} points to train on but {asked} were asked for: lower --train to at most {available}"
    )]
    TooFewTrain { name: String, asked: usize, available: usize },

    #[error("{name} has {available} points to test on but {asked} were asked for: lower --test to at most {available}")]
    TooFewTest { name: String, asked: usize, available: usize },

    #[error("{name}: NaN or infinity in {array} at {position}: remove or replace such entries")]
    NotFinite { name: String, array: &'static str, position: String },

    #[error(
        "all training inputs of {name} are equal (standard deviation zero): choose other points, or --standardize none"
    )]
    Constant { name: String },

    #[error(
        "{name}: the training inputs are too large for float64 to hold their variance: rescale them, or --standardize none"
    )]
    Overflow { name: String },

    #[error("{teacher}: {problem}")]
    Teacher { teacher: String, problem: String },
}
