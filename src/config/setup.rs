//! One run with everything around it: where its data come from, its device, and its output.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, Experiment, OutputSettings, Settings};
use crate::backend::{BackendChoice, DeviceRequest, Precision};
use crate::data::{DataConfig, Folders};
use crate::remedy::{Remedy, Setting};

/// Seconds between two checkpoints: so much of a run, at most, is lost with the machine.
const CHECKPOINT_EVERY: f64 = 60.0;

/// A time that no run lasts.
const MOST_SECONDS: f64 = 1e9;

/// A run that is complete and possible, as far as its settings can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    data: DataConfig,
    experiment: Experiment,
    device: DeviceRequest,
    checkpoint_every: Duration,
}

impl Setup {
    /// Validates settings and fills the defaults in.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or impossible.
    pub fn resolve(mut settings: Settings) -> Result<Self, ConfigError> {
        if !settings.case.is_empty() {
            let known = settings.case.into_iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::SeveralCases { known });
        }
        let data = settings.data.complete()?;
        let sampler = &mut settings.sampler;
        let device = DeviceRequest {
            backend: *sampler.backend.get_or_insert_default(),
            adapter: sampler.adapter.clone(),
            precision: *sampler.precision.get_or_insert_default(),
            cache: None,
        };
        let every = *settings.output.checkpoint_every.get_or_insert(CHECKPOINT_EVERY);
        if !(0.0..=MOST_SECONDS).contains(&every) {
            let requirement = "it is a number of seconds from 0 (only at the end) to 1e9";
            return Err(ConfigError::impossible(Setting::CheckpointEvery, every, requirement));
        }
        let experiment = Experiment::resolve(settings)?;
        check(&device, &experiment)?;
        Ok(Self { data, experiment, device, checkpoint_every: Duration::from_secs_f64(every) })
    }

    /// The same run with some settings changed.
    ///
    /// # Errors
    /// [`ConfigError`] as [`Setup::resolve`].
    pub fn with(&self, change: impl FnOnce(&mut Settings)) -> Result<Self, ConfigError> {
        let mut settings = self.settings().clone();
        change(&mut settings);
        Ok(Self::resolve(settings)?.with_cache(self.device.cache.clone()).with_data_folders(self.data.folders.clone()))
    }

    /// The same run with a directory of [measured tilings](DeviceRequest::cache); `None` by
    /// default.
    #[must_use]
    pub fn with_cache(mut self, directory: Option<PathBuf>) -> Self {
        self.device.cache = directory;
        self
    }

    /// Looks for data sets with a name in these folders. [`Setup::resolve`] knows of none.
    #[must_use]
    pub fn with_data_folders(mut self, folders: Folders) -> Self {
        self.data.folders = folders;
        self
    }

    /// The complete settings, which resolve to this run: the record in every run directory.
    pub fn settings(&self) -> &Settings {
        self.experiment.settings()
    }

    /// Where the data come from.
    pub fn data(&self) -> &DataConfig {
        &self.data
    }

    /// What is sampled and compared.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The device that runs the chains.
    pub fn device(&self) -> &DeviceRequest {
        &self.device
    }

    /// The run directory that was named.
    pub fn dir(&self) -> Option<&str> {
        self.settings().output.dir.as_deref()
    }

    /// Time between two checkpoints; zero leaves only the one at the end.
    pub fn checkpoint_every(&self) -> Duration {
        self.checkpoint_every
    }

    /// The settings that decide what the chains do: without the number of draws and what may differ
    /// between two processes that work on one run.
    pub fn chain_settings(&self) -> Settings {
        let mut settings = self.settings().clone();
        settings.sampler.draws = None;
        // What is kept of the chains is part of what they do.
        let OutputSettings { save_warmup, save_weights, .. } = settings.output;
        settings.output = OutputSettings { save_warmup, save_weights, ..OutputSettings::default() };
        settings
    }
}

/// Whether an experiment can run in the precision that is asked for.
fn check(device: &DeviceRequest, experiment: &Experiment) -> Result<(), ConfigError> {
    let refuse = |value: &str, requirement: &str| ConfigError::impossible(Setting::Precision, value, requirement);
    let on = |backend| Remedy::set(Setting::Backend, backend);
    match (device.precision, device.backend) {
        (Precision::F64, BackendChoice::Gpu) => Err(refuse("f64", "graphics devices compute in float32").or(on("cpu"))),
        (Precision::F16Matrix, BackendChoice::Cpu | BackendChoice::Auto) => {
            Err(refuse("f16-matrix", "its products are those of graphics devices").or(on("gpu")))
        }
        (Precision::F16Matrix, _) if !experiment.sampler().kind.adjusted() => {
            let refusal = refuse("f16-matrix", "only acceptance keeps samples from rounded forces exact");
            Err(refusal.or(Remedy::set(Setting::Sampler, "malt")))
        }
        _ => Ok(()),
    }
}
