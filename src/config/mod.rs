//! `Experiment`: the validated, fully resolved description of a run; knows nothing of files or devices.

mod error;
mod experiment;
mod parse;
mod presets;
mod settings;
mod study;

pub use error::ConfigError;
pub use experiment::{Experiment, SamplerConfig};
pub use presets::preset;
pub use settings::{
    CaseSettings, DataSettings, NetworkSettings, OutputSettings, SamplerSettings, Settings, TemperatureSettings,
    TheorySettings,
};
pub use study::Case;
