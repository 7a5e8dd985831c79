//! Every setting, written once: its key in a settings file, its flag, its type and its help.
//!
//! A preset, a settings file, the command line and [`Experiment::builder`] all fill the same
//! optional [`Settings`]. Defaults and limits are in [`Experiment::resolve`] and
//! [`Setup::resolve`].
//!
//! [`Experiment::builder`]: super::Experiment::builder
//! [`Experiment::resolve`]: super::Experiment::resolve
//! [`Setup::resolve`]: super::Setup::resolve

use serde::{Deserialize, Serialize};

use crate::backend::{BackendChoice, Precision};
use crate::data::{Order, Standardize};
use crate::model::Activation;
use crate::sampler::{Readout, SamplerKind};
use crate::theory::TheoryKind;

/// One source of settings, in the shape of the TOML file. What is `None` is left to the source
/// below.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub data: DataSettings,
    pub network: NetworkSettings,
    pub temperature: TemperatureSettings,
    pub theory: TheorySettings,
    pub sampler: SamplerSettings,
    pub output: OutputSettings,
    /// `[[case]]`: several runs that share what the sections above say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub case: Vec<CaseSettings>,
}

/// One `[[case]]`: its name, and what it says differently.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseSettings {
    pub name: String,
    pub data: DataSettings,
    pub network: NetworkSettings,
    pub temperature: TemperatureSettings,
    pub theory: TheorySettings,
    pub sampler: SamplerSettings,
}

/// Defines a section: each field is a key of the file, its comment the help of its flag, and what
/// stands in brackets describes the flag.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident under $heading:literal {
        $($(#[$help:meta])* $field:ident: $type:ty [$($flag:tt)*],)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "cli", derive(clap::Args))]
        #[cfg_attr(feature = "cli", command(next_help_heading = $heading))]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$help])*
                #[cfg_attr(feature = "cli", arg($($flag)*, allow_negative_numbers = true))]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl $name {
            /// Takes from `other` what it sets.
            fn override_with(&mut self, other: Self) {
                $(if other.$field.is_some() { self.$field = other.$field; })*
            }
        }
    };
}

section! {
    /// `[data]`.
    DataSettings under "Problem" {
        /// digits, mnist, fashion-mnist, cifar-10, teacher:linear|network|hermite|random, a folder
        /// of IDX or CIFAR-10 files, or an .npz problem.
        source: String [long = "data", value_name = "NAME|PATH"],
        /// Original labels: a,b are trained to +1 and -1; groups of labels as a,b/c,d.
        classes: String [long, value_name = "A,B"],
        /// Training points P.
        train: usize [long, value_name = "P"],
        /// Test points.
        test: usize [long, value_name = "P"],
        /// Which points are taken: a random choice by the seed, or the first in the file.
        order: Order [long],
        /// Centring and scaling of the inputs.
        standardize: Standardize [long],
        /// Input dimension N0 of a teacher.
        teacher_dimension: usize [long, value_name = "N0"],
        /// Hidden units of teacher:network.
        teacher_width: usize [long, value_name = "M"],
        /// Degree of teacher:hermite.
        teacher_degree: usize [long, value_name = "K"],
        /// Standard deviation of a teacher's label noise.
        teacher_noise: f64 [long, value_name = "X"],
    }
}

section! {
    /// `[network]`.
    NetworkSettings under "Problem" {
        /// Hidden units N1.
        width: usize [long, value_name = "N1"],
        /// Activation of the hidden layer.
        activation: Activation [long],
        /// Prior precision of the first-layer weights.
        lambda0: f64 [long, value_name = "X"],
        /// Prior precision of the readout.
        lambda1: f64 [long, value_name = "X"],
    }
}

section! {
    /// `[temperature]`: one of the two forms.
    TemperatureSettings under "Problem" {
        /// The ladder of temperatures, as 10,1,0.1.
        values: Vec<f64> [long = "temperatures", value_name = "T,T,…", value_delimiter = ','],
        /// A log-spaced ladder.
        range: String [long = "temperature-range", value_name = "LO:HI:COUNT", conflicts_with = "values"],
    }
}

section! {
    /// `[theory]`.
    TheorySettings under "Problem" {
        /// The theories, of nngp, saddle, single-unit and adaptive; all but adaptive, which takes
        /// seconds for each temperature, when left out.
        kinds: Vec<TheoryKind> [long = "theories", value_name = "NAME,NAME,…", value_delimiter = ','],
    }
}

section! {
    /// `[sampler]`.
    SamplerSettings under "Sampler" {
        /// malt, hmc and mala are exact; baoab and ula are biased by their step length and kept for
        /// comparison.
        kind: SamplerKind [long = "sampler"],
        /// Chains per temperature.
        chains: usize [long, value_name = "N"],
        /// Warm-up trajectories.
        warmup: usize [long, value_name = "N"],
        /// Measured trajectories.
        draws: usize [long, value_name = "N"],
        /// Fixed step length (ula: the learning rate) instead of an adapted one.
        step_size: f64 [long, value_name = "H"],
        /// Fixed number of steps per trajectory instead of an adapted one.
        steps: usize [long, value_name = "L"],
        /// Whether W moves alone with the readout integrated out, or both move; integrated where
        /// sampler and device can.
        readout: Readout [long],
        /// Whether neighbouring temperatures exchange states.
        tempering: bool [long, value_name = "true|false"],
        /// Seed of everything random.
        seed: u64 [long, value_name = "N"],
        /// Device that runs the chains; auto is a hardware GPU if there is one, else the CPU.
        backend: BackendChoice [long],
        /// Graphics device, by its name or number in `featherm devices`; implies --backend gpu.
        adapter: String [long, value_name = "NAME|INDEX"],
        /// Precision of the chains.
        precision: Precision [long],
    }
}

section! {
    /// `[output]`.
    OutputSettings under "Output" {
        /// Run directory: absent or empty. Without it, the next free runs/PRESET-N.
        dir: String [long = "out", value_name = "DIR"],
        /// Seconds between two checkpoints, from which featherm resume goes on; 0 writes one only
        /// at the end or when interrupted (default 60).
        checkpoint_every: f64 [long, value_name = "SECONDS"],
        /// Keep every trajectory of the warm-up too, in the groups warmup_posterior and
        /// warmup_sample_stats of draws.zarr.
        save_warmup: bool [long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true],
        /// Keep the networks of N evenly spaced draws of every chain, in weights.npz.
        save_weights: usize [long, value_name = "N"],
    }
}

impl Settings {
    /// Takes from `other` everything that it sets, over what the cases say too. Naming another
    /// source of data forgets what was said of the first, its classes above all; setting the
    /// temperatures in one form forgets the other form.
    pub fn override_with(&mut self, other: Self) {
        for case in &mut self.case {
            case.override_with(&other, self.data.source.as_ref());
        }
        if other.data.source.is_some() && other.data.source != self.data.source {
            self.data = DataSettings::default();
        }
        self.data.override_with(other.data);
        self.network.override_with(other.network);
        if other.temperature != TemperatureSettings::default() {
            self.temperature = TemperatureSettings::default();
        }
        self.temperature.override_with(other.temperature);
        self.theory.override_with(other.theory);
        self.sampler.override_with(other.sampler);
        self.output.override_with(other.output);
    }
}
