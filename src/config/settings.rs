//! What a user may say, from any side: a preset, a TOML file and the command line all fill the same optional [`Settings`].

use serde::{Deserialize, Serialize};

use crate::backend::{BackendChoice, Precision};
use crate::data::{Order, Standardize};
use crate::model::Activation;
use crate::sampler::{Readout, SamplerKind};
use crate::theory::TheoryKind;

/// One source of settings, in the shape of the TOML file. What is `None` is left to the source below.
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

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
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
    DataSettings {
        /// A name, `teacher:KIND`, or a path.
        source: String,
        /// `a,b` or, for groups, `a,b/c,d`.
        classes: String,
        train: usize,
        test: usize,
        order: Order,
        standardize: Standardize,
        teacher_dimension: usize,
        teacher_width: usize,
        teacher_degree: usize,
        teacher_noise: f64,
    }
}

section! {
    /// `[network]`.
    NetworkSettings {
        width: usize,
        activation: Activation,
        lambda0: f64,
        lambda1: f64,
    }
}

/// `[temperature]`: one of the two forms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemperatureSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<f64>>,
    /// `LO:HI:COUNT`, log-spaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
}

section! {
    /// `[theory]`.
    TheorySettings {
        /// The theories to hold the samples against, `nngp`, `saddle`, `single-unit` and `adaptive`.
        kinds: Vec<TheoryKind>,
    }
}

section! {
    /// `[sampler]`.
    SamplerSettings {
        kind: SamplerKind,
        /// Chains per temperature.
        chains: usize,
        /// Warm-up trajectories.
        warmup: usize,
        /// Trajectories measured.
        draws: usize,
        /// Fixed step length h (the learning rate η of `ula`); adapted in warm-up when left out.
        step_size: f64,
        /// Fixed number of steps of a trajectory; adapted in warm-up when left out.
        steps: usize,
        /// Whether the readout is integrated out or sampled; the better way that the device knows when left out.
        readout: Readout,
        /// Whether neighbouring temperatures exchange states.
        tempering: bool,
        seed: u64,
        backend: BackendChoice,
        /// Name or number of a graphics device, as `featherm devices` lists them.
        adapter: String,
        precision: Precision,
    }
}

section! {
    /// `[output]`.
    OutputSettings {
        /// Run directory.
        dir: String,
        /// Seconds between two checkpoints; 0 writes one only at the end.
        checkpoint_every: f64,
        /// Whether `draws.zarr` holds the warm-up too.
        save_warmup: bool,
        /// Snapshots of the weights in `weights.npz`; 0 writes none.
        save_weights: usize,
    }
}

impl Settings {
    /// Takes from `other` everything that it sets, over what the cases say too. Naming another source of data forgets what was said of the
    /// first, its classes above all; setting the temperatures in one form forgets the other form.
    pub fn override_with(&mut self, other: Self) {
        for case in &mut self.case {
            case.override_with(&other, self.data.source.as_ref());
        }
        if other.data.source.is_some() && other.data.source != self.data.source {
            self.data = DataSettings::default();
        }
        self.data.override_with(other.data);
        self.network.override_with(other.network);
        if other.temperature.values.is_some() || other.temperature.range.is_some() {
            self.temperature = other.temperature;
        }
        self.theory.override_with(other.theory);
        self.sampler.override_with(other.sampler);
        self.output.override_with(other.output);
    }
}
