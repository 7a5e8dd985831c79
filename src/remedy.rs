//! What a user can change to mend a failure, as data: each front end words it in its own terms.
//!
//! A library error says what went wrong and names settings. Its remedies say which setting to
//! change and how. The command line prints `lower --train to 80`, and Python `lower train to 80`.
//!
//! ```
//! use featherm::remedy::{Remedy, Setting, in_words};
//!
//! let remedies = [Remedy::lower(Setting::Train).to(80), Remedy::omit(Setting::Theories)];
//! assert_eq!(in_words(&remedies, |setting| setting.name().into()), "lower train to 80, or leave theories out");
//! assert_eq!(in_words(&remedies, |setting| format!("--{}", setting.name())), "lower --train to 80, or leave --theories out");
//! ```

use std::fmt;

/// Defines [`Setting`] with the name of every setting.
macro_rules! settings {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// A setting of an experiment, of its run, or of a study.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Setting {
            $($(#[$doc])* $variant,)*
        }

        impl Setting {
            /// Every setting.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The machine-readable name, in snake case: a keyword of Python.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

settings! {
    /// The source of the data.
    Data "data",
    /// The classes taken from it.
    Classes "classes",
    /// Training points P.
    Train "train",
    /// Test points P*.
    Test "test",
    /// Which points are taken.
    Order "order",
    /// How the inputs are standardised.
    Standardize "standardize",
    /// Input dimension of a teacher.
    TeacherDimension "teacher_dimension",
    /// Hidden units of a teacher.
    TeacherWidth "teacher_width",
    /// Degree of a polynomial teacher.
    TeacherDegree "teacher_degree",
    /// Standard deviation of a teacher's label noise.
    TeacherNoise "teacher_noise",
    /// Hidden units N1.
    Width "width",
    /// The activation function σ.
    Activation "activation",
    /// Prior precision of the hidden weights, λ0.
    Lambda0 "lambda0",
    /// Prior precision of the readout, λ1.
    Lambda1 "lambda1",
    /// The temperature ladder.
    Temperatures "temperatures",
    /// The temperature ladder as a range.
    TemperatureRange "temperature_range",
    /// The theories to compare with.
    Theories "theories",
    /// The kind of sampler.
    Sampler "sampler",
    /// Chains per temperature.
    Chains "chains",
    /// Warm-up trajectories.
    Warmup "warmup",
    /// Trajectories measured.
    Draws "draws",
    /// Step length.
    StepSize "step_size",
    /// Steps per trajectory.
    Steps "steps",
    /// Whether the readout is sampled or integrated out.
    Readout "readout",
    /// Whether neighbouring temperatures exchange states.
    Tempering "tempering",
    /// The seed of every random number.
    Seed "seed",
    /// The kind of device.
    Backend "backend",
    /// The graphics device.
    Adapter "adapter",
    /// The arithmetic of the chains.
    Precision "precision",
    /// The directory of the result.
    Out "out",
    /// Seconds between two checkpoints.
    CheckpointEvery "checkpoint_every",
    /// Whether the warm-up is recorded.
    SaveWarmup "save_warmup",
    /// Networks that are recorded.
    SaveWeights "save_weights",
    /// The widths of a scaling study.
    Widths "widths",
    /// What stays as it is while the width grows.
    Hold "hold",
    /// Learning rate of gradient descent.
    LearningRate "learning_rate",
}

/// What to do with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Give it this value.
    Set,
    /// Give it a larger value.
    Raise,
    /// Give it a smaller value.
    Lower,
    /// Leave it to its default.
    Omit,
}

/// One change that mends a failure, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Which setting to change.
    pub setting: Setting,
    /// How to change it.
    pub action: Action,
    /// The value to give it, where one is known.
    pub value: Option<String>,
}

impl Remedy {
    /// Set a setting to a value.
    pub fn set(setting: Setting, value: impl ToString) -> Self {
        Self { setting, action: Action::Set, value: Some(value.to_string()) }
    }

    /// Raise a setting.
    pub fn raise(setting: Setting) -> Self {
        Self { setting, action: Action::Raise, value: None }
    }

    /// Lower a setting.
    pub fn lower(setting: Setting) -> Self {
        Self { setting, action: Action::Lower, value: None }
    }

    /// Set a setting to another value.
    pub fn change(setting: Setting) -> Self {
        Self { setting, action: Action::Set, value: None }
    }

    /// Leave a setting out.
    pub fn omit(setting: Setting) -> Self {
        Self { setting, action: Action::Omit, value: None }
    }

    /// The same change with the value to give.
    #[must_use]
    pub fn to(self, value: impl ToString) -> Self {
        Self { value: Some(value.to_string()), ..self }
    }

    /// The change in words, with the setting named as a front end names it.
    pub fn in_words(&self, name: impl Fn(Setting) -> String) -> String {
        let (name, value) = (name(self.setting), self.value.as_deref());
        match (self.action, value) {
            (Action::Set, Some(value)) => format!("set {name} to {value}"),
            (Action::Set, None) => format!("change {name}"),
            (Action::Raise, Some(value)) => format!("raise {name} to {value}"),
            (Action::Raise, None) => format!("raise {name}"),
            (Action::Lower, Some(value)) => format!("lower {name} to {value}"),
            (Action::Lower, None) => format!("lower {name}"),
            (Action::Omit, _) => format!("leave {name} out"),
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(|setting| setting.name().into()))
    }
}

/// Alternative remedies in words, joined by "or"; empty if there are none.
pub fn in_words(remedies: &[Remedy], name: impl Fn(Setting) -> String) -> String {
    let words: Vec<String> = remedies.iter().map(|remedy| remedy.in_words(&name)).collect();
    words.join(", or ")
}

/// What has remedies: every error that a change of settings may mend.
pub trait Remedies {
    /// The changes that may mend it, the best first; any one of them is worth trying.
    fn remedies(&self) -> Vec<Remedy>;
}
