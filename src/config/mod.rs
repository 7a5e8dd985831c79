//! Settings by name, and what they resolve to: an [`Experiment`], and a [`Setup`] that adds the
//! source of the data, the device and the output. Reads no file and opens no device.
//!
//! | from | to | by |
//! |---|---|---|
//! | a preset, a settings file, flags | [`Settings`], all optional | [`preset`], [`Settings::from_toml`] |
//! | [`Settings`] of several cases | [`Settings`] of one | [`Settings::cases`], [`Settings::only`] |
//! | network, temperatures, theories, sampler | [`Experiment`] | [`Experiment::resolve`], [`Experiment::builder`] |
//! | everything | [`Setup`] | [`Setup::resolve`] |

mod cases;
mod data;
mod error;
mod experiment;
mod parse;
#[cfg(feature = "cli")]
mod presets;
mod settings;
mod setup;

pub use cases::Case;
pub use error::ConfigError;
pub use experiment::{Builder, Experiment, SamplerConfig};
#[cfg(feature = "cli")]
pub use presets::preset;
pub use settings::{
    CaseSettings, DataSettings, NetworkSettings, OutputSettings, SamplerSettings, Settings, TemperatureSettings,
    TheorySettings,
};
pub use setup::Setup;
