//! Why data cannot be had. Messages say what is wrong and where, in one line; remedies say what to
//! change.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::ProblemError;
use crate::remedy::{Remedies, Remedy, Setting};

/// Why [`load`](super::load) gave no problem.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The name is none of those built in, and nothing is at that path.
    #[error(
        "unknown data source `{name}`: use digits, mnist, fashion-mnist, cifar-10, teacher:linear, teacher:network, \
         teacher:hermite, teacher:random, or the path of an existing folder (IDX or CIFAR-10 files) or .npz file"
    )]
    UnknownSource { name: String },

    /// The files of a named set are in none of the places where they are looked for.
    #[error("no files of {name} found; looked in {}; {remedy}", listed(places))]
    NotFound {
        name: String,
        /// Every folder looked into; none without a home directory.
        places: Vec<PathBuf>,
        /// How to put the files there by hand.
        remedy: String,
    },

    /// The file cannot be opened or read.
    #[error("{}: {source}; check that the file exists, is whole and may be read", file.display())]
    Unreadable { file: PathBuf, source: io::Error },

    /// The file is there, but it is not what its format says.
    #[error("{}: {problem}; {remedy}", file.display())]
    Malformed { file: PathBuf, problem: String, remedy: String },

    /// Classes were chosen of a source whose points have labels already.
    #[error("{name} brings its own labels, so no classes can be chosen")]
    ClassesNotWanted { name: String },

    /// Other than two groups of classes.
    #[error(
        "{name} needs two groups of class labels, the first trained to +1 and the second to -1, but {given} were given"
    )]
    ClassGroups { name: String, given: usize },

    /// A class stands twice in the groups.
    #[error("class {class} is named twice: name every class once")]
    DuplicateClass { class: u32 },

    /// A class that the source does not have.
    #[error("{name} has no class {class}, only {}", in_line(present))]
    AbsentClass {
        name: String,
        class: u32,
        /// The classes that it has.
        present: Vec<u8>,
    },

    /// None of the chosen training points is of a class.
    #[error("class {class} has no training point among the {points} of {name}")]
    EmptyClass {
        name: String,
        class: String,
        points: usize,
        /// What may bring one.
        remedies: Vec<Remedy>,
    },

    /// Only a file of its own says how many training points there are.
    #[error("{name} needs the number of training points")]
    TrainNotGiven { name: String },

    /// P = 0.
    #[error("zero training points were asked for")]
    ZeroTrain,

    /// More training points than there are.
    #[error("{name} has {available} points to train on but {asked} were asked for")]
    TooFewTrain { name: String, asked: usize, available: usize },

    /// More test points than there are.
    #[error("{name} has {available} points to test on but {asked} were asked for")]
    TooFewTest { name: String, asked: usize, available: usize },

    /// A number in a file is not finite.
    #[error("{name}: NaN or infinity in {array} at {position}: remove or replace such entries")]
    NotFinite {
        name: String,
        array: &'static str,
        /// Indices from 0, as `(row, column)`.
        position: String,
    },

    /// Inputs without spread cannot be scaled to a standard deviation of one.
    #[error("all training inputs of {name} are equal (standard deviation zero): choose other points")]
    Constant { name: String },

    /// The variance of the inputs is infinite in float64.
    #[error("{name}: the training inputs are too large for float64 to hold their variance: rescale them")]
    Overflow { name: String },

    /// A parameter of a teacher is outside its range.
    #[error("{teacher}: {problem}")]
    Teacher {
        teacher: String,
        problem: String,
        /// What to change in it.
        remedies: Vec<Remedy>,
    },

    /// The selected and standardised points are not a problem.
    #[error("{name}, as selected and standardised: {source}")]
    Problem { name: String, source: ProblemError },
}

impl Remedies for DataError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::ClassesNotWanted { .. } => vec![Remedy::omit(Setting::Classes)],
            Self::ClassGroups { .. } => vec![Remedy::set(Setting::Classes, "2,4")],
            Self::DuplicateClass { .. } | Self::AbsentClass { .. } => vec![Remedy::change(Setting::Classes)],
            Self::TrainNotGiven { .. } => vec![Remedy::set(Setting::Train, 100)],
            Self::ZeroTrain => vec![Remedy::raise(Setting::Train).to(1)],
            Self::TooFewTrain { available: 0, .. } => vec![Remedy::change(Setting::Data)],
            Self::TooFewTrain { available, .. } => vec![Remedy::lower(Setting::Train).to(available)],
            Self::TooFewTest { available, .. } => vec![Remedy::lower(Setting::Test).to(available)],
            Self::Constant { .. } | Self::Overflow { .. } => vec![Remedy::set(Setting::Standardize, "none")],
            Self::EmptyClass { remedies, .. } | Self::Teacher { remedies, .. } => remedies.clone(),
            // Labels of files are finite, and noise is added to those of teachers.
            Self::Problem { source: ProblemError::NotFinite { array: "y_train" | "y_test", .. }, .. } => {
                vec![Remedy::lower(Setting::TeacherNoise)]
            }
            Self::Problem { source: ProblemError::NotFinite { .. }, .. } => {
                vec![Remedy::change(Setting::Standardize)]
            }
            Self::Problem { source, .. } => source.remedies(),
            Self::UnknownSource { .. }
            | Self::NotFound { .. }
            | Self::Unreadable { .. }
            | Self::Malformed { .. }
            | Self::NotFinite { .. } => Vec::new(),
        }
    }
}

fn listed(places: &[PathBuf]) -> String {
    match places {
        [] => "no folder, for none is known".into(),
        _ => in_line(&places.iter().map(|place| place.display()).collect::<Vec<_>>()),
    }
}

fn in_line(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
