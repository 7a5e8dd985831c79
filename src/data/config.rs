//! What data a run uses: source, classes, split and standardisation.

use serde::{Deserialize, Serialize};

use super::Folders;

/// Which points of the selected classes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A random subset drawn from the run's seed, kept in the order of the file.
    Seeded,
    /// The first points in the order of the file.
    File,
}

/// How inputs are centred and scaled before they reach the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Standardize {
    /// One scalar mean and one scalar standard deviation over all pixels of the selected training
    /// inputs.
    Global,
    /// Mean and standard deviation of each input coordinate over the selected training inputs.
    PerFeature,
    /// Inputs as they stand.
    None,
}

/// The original labels that share one training label ±1.
///
/// Two groups make a problem: the first is trained to +1, the second to −1. Every label keeps its
/// own class manifold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassGroup(pub Vec<u32>);

/// A synthetic labelling rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeacherKind {
    /// y = β·x/√N0, β ~ N(0, 1).
    Linear,
    /// y = (1/√M) Σ b_i erf(a_i·x/√N0), a, b ~ N(0, 1), M hidden units.
    Network,
    /// y = He_k(β·x/‖β‖)/√k!, the normalised probabilists' Hermite polynomial of degree k.
    Hermite,
    /// y = ±1, independent of x.
    Random,
}

/// Gaussian inputs x ~ N(0, 1) labelled by a teacher.
#[derive(Debug, Clone, PartialEq)]
pub struct Teacher {
    /// The KIND of `source`, which decides.
    pub kind: TeacherKind,
    /// Input dimension N0.
    pub dimension: usize,
    /// Hidden units M of the `Network` teacher.
    pub width: usize,
    /// Degree k of the `Hermite` teacher.
    pub degree: usize,
    /// Standard deviation of the Gaussian noise added to y (ignored by `Random`).
    pub noise: f64,
}

/// The `[data]` part of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// A built-in name (`digits`, `mnist`, `fashion-mnist`, `cifar-10`), `teacher:KIND`, or a path
    /// to a folder of IDX or CIFAR-10 files or to an `.npz` problem.
    pub source: String,
    /// The two groups of labels; empty for sources that bring their own ±1 labels (teachers, npz).
    pub classes: Vec<ClassGroup>,
    /// Training points P. `None` means all that an npz problem holds; every other source needs the
    /// number.
    pub train: Option<usize>,
    /// Test points P*. `None` means all that an npz problem holds, and none from every other
    /// source.
    pub test: Option<usize>,
    pub order: Order,
    pub standardize: Standardize,
    /// Parameters of `teacher:KIND` sources; ignored otherwise.
    pub teacher: Teacher,
    /// Where sources with a name are looked for.
    pub folders: Folders,
}
