//! `Experiment`: what is sampled and compared, validated and complete; it knows neither where the
//! data come from nor which device runs the chains.

use super::parse::{self, MAX_TEMPERATURES};
use super::{ConfigError, Settings};
use crate::model::{Activation, Network};
use crate::remedy::{Remedy, Setting};
use crate::sampler::{Readout, SamplerKind};
use crate::theory::TheoryKind;

/// How the chains are sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerConfig {
    /// The sampler.
    pub kind: SamplerKind,
    /// Chains per temperature.
    pub chains: usize,
    /// Warm-up trajectories.
    pub warmup: usize,
    /// Trajectories measured.
    pub draws: usize,
    /// Fixed step length; adapted when `None`.
    pub step_size: Option<f64>,
    /// Fixed steps per trajectory; adapted when `None`.
    pub steps: Option<usize>,
    /// What becomes of the readout; left to the sampler and the device when `None`.
    pub readout: Option<Readout>,
    /// Whether neighbouring temperatures exchange states.
    pub tempering: bool,
    /// Seed of everything random.
    pub seed: u64,
}

/// A network, a ladder of temperatures, the theories to compare with, and a sampler: complete and
/// possible. Made by [`Experiment::builder`] or [`Experiment::resolve`].
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    network: Network,
    temperatures: Vec<f64>,
    theories: Vec<TheoryKind>,
    sampler: SamplerConfig,
    save_warmup: bool,
    save_weights: usize,
    settings: Settings,
}

/// The theories that cost little beside a run; `adaptive` takes seconds for each temperature.
const DEFAULT_THEORIES: [TheoryKind; 3] = [TheoryKind::Nngp, TheoryKind::Saddle, TheoryKind::SingleUnit];

/// With fewer draws per chain their autocorrelation, hence every error, could not be estimated.
const LEAST_DRAWS: usize = 20;

/// Widths, point counts and chain counts above this are typing errors rather than runs.
const MAX_COUNT: usize = 1 << 20;

/// Beyond these, energies βL leave the range of float32.
const LEAST_TEMPERATURE: f64 = 1e-12;
const MOST_TEMPERATURE: f64 = 1e12;

pub(super) fn count(setting: Setting, value: usize, least: usize) -> Result<usize, ConfigError> {
    if (least..=MAX_COUNT).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::impossible(setting, value, format!("it lies between {least} and {MAX_COUNT}")))
}

fn positive(setting: Setting, value: f64) -> Result<f64, ConfigError> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(ConfigError::impossible(setting, value, "it is a positive, finite number"))
}

impl Experiment {
    /// Begins an experiment on a network.
    ///
    /// ```
    /// use featherm::config::Experiment;
    /// use featherm::model::{Activation, Network};
    ///
    /// let network = Network { width: 50, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    /// let experiment = Experiment::builder(network).temperatures([1.0, 0.1]).draws(300).build()?;
    /// assert_eq!(experiment.temperatures(), [1.0, 0.1]);
    /// # Ok::<(), featherm::config::ConfigError>(())
    /// ```
    pub fn builder(network: Network) -> Builder {
        let mut settings = Settings::default();
        let Network { width, activation, lambda0, lambda1 } = network;
        let n = &mut settings.network;
        (n.width, n.activation, n.lambda0, n.lambda1) = (Some(width), Some(activation), Some(lambda0), Some(lambda1));
        Builder { settings }
    }

    /// Validates settings and fills the defaults in: λ0 = λ1 = 1, erf, malt, 32 chains, 200
    /// trajectories of warm-up, 300 draws. The sections on data, device and output are only kept
    /// for the record.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or impossible.
    pub fn resolve(mut settings: Settings) -> Result<Self, ConfigError> {
        let n = &mut settings.network;
        let meaning = "the number of hidden units";
        let width = n.width.ok_or(ConfigError::Missing { setting: Setting::Width, meaning, example: "50" })?;
        let network = Network {
            width: count(Setting::Width, width, 1)?,
            activation: *n.activation.get_or_insert(Activation::Erf),
            lambda0: positive(Setting::Lambda0, *n.lambda0.get_or_insert(1.0))?,
            lambda1: positive(Setting::Lambda1, *n.lambda1.get_or_insert(1.0))?,
        };
        let ladder_settings = &mut settings.temperature;
        let temperatures = ladder(ladder_settings.values.take(), ladder_settings.range.take().as_deref())?;
        ladder_settings.values = Some(temperatures.clone());
        let wanted = settings.theory.kinds.take().unwrap_or_else(|| DEFAULT_THEORIES.to_vec());
        let theories: Vec<TheoryKind> = TheoryKind::ALL.into_iter().filter(|kind| wanted.contains(kind)).collect();
        settings.theory.kinds = Some(theories.clone());
        let s = &mut settings.sampler;
        let kind = *s.kind.get_or_insert(SamplerKind::Malt);
        let step_size = s.step_size.map(|h| positive(Setting::StepSize, h)).transpose()?;
        match (kind, step_size, temperatures.first()) {
            (SamplerKind::Ula, None, _) => {
                let meaning = "the learning rate of ula";
                return Err(ConfigError::Missing { setting: Setting::StepSize, meaning, example: "0.01" });
            }
            (SamplerKind::Ula, Some(rate), Some(&hottest)) => {
                // The prior alone multiplies a weight by 1 − ηTλ.
                let most = 2.0 / (hottest * network.lambda0.max(network.lambda1));
                if rate >= most {
                    let requirement = format!(
                        "ula's learning rate stays below 2/(Tλ) = {most:.3e} at T = {hottest}, or weights grow without bound"
                    );
                    return Err(ConfigError::impossible(Setting::StepSize, rate, requirement));
                }
            }
            _ => {}
        }
        if s.readout == Some(Readout::Integrated) && !kind.adjusted() {
            let requirement = "the unadjusted samplers move v beside W";
            let refusal = ConfigError::impossible(Setting::Readout, "integrated", requirement);
            return Err(refusal.or(Remedy::set(Setting::Sampler, "malt")).or(Remedy::omit(Setting::Readout)));
        }
        let sampler = SamplerConfig {
            kind,
            chains: count(Setting::Chains, *s.chains.get_or_insert(32), 1)?,
            warmup: count(Setting::Warmup, *s.warmup.get_or_insert(200), 0)?,
            draws: count(Setting::Draws, *s.draws.get_or_insert(300), LEAST_DRAWS)?,
            step_size,
            steps: s.steps.map(|steps| count(Setting::Steps, steps, 1)).transpose()?,
            readout: s.readout,
            tempering: *s.tempering.get_or_insert(true),
            seed: *s.seed.get_or_insert(1),
        };
        let save_warmup = *settings.output.save_warmup.get_or_insert(false);
        let save_weights = *settings.output.save_weights.get_or_insert(0);
        if save_weights > sampler.draws {
            let requirement = format!("snapshots are of draws, and there are {}", sampler.draws);
            return Err(ConfigError::impossible(Setting::SaveWeights, save_weights, requirement));
        }
        Ok(Self { network, temperatures, theories, sampler, save_warmup, save_weights, settings })
    }

    /// The same experiment with some settings changed.
    ///
    /// # Errors
    /// [`ConfigError`] as [`Experiment::resolve`].
    pub fn with(&self, change: impl FnOnce(&mut Settings)) -> Result<Self, ConfigError> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Self::resolve(settings)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The ladder of temperatures, from hot to cold.
    pub fn temperatures(&self) -> &[f64] {
        &self.temperatures
    }

    /// The theories to compare with, in the order of [`TheoryKind::ALL`].
    pub fn theories(&self) -> &[TheoryKind] {
        &self.theories
    }

    /// The sampler.
    pub fn sampler(&self) -> &SamplerConfig {
        &self.sampler
    }

    /// Whether the warm-up is kept draw by draw.
    pub fn save_warmup(&self) -> bool {
        self.save_warmup
    }

    /// Snapshots of the weights that are kept.
    pub fn save_weights(&self) -> usize {
        self.save_weights
    }

    /// The complete settings, which resolve to this experiment.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Defines the setters of [`Builder`], each for one key of [`Settings`].
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $section:ident.$key:ident,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.settings.$section.$key = Some($name.into());
                self
            }
        )*
    };
}

/// An experiment in the making; what is not said has its default.
#[derive(Debug, Clone)]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    setters! {
        /// The temperatures T, in any order.
        temperatures: impl Into<Vec<f64>> => temperature.values,
        /// The theories to compare with: nngp, saddle and single-unit if not said.
        theories: impl Into<Vec<TheoryKind>> => theory.kinds,
        /// The sampler: malt if not said.
        sampler: SamplerKind => sampler.kind,
        /// Chains per temperature: 32 if not said.
        chains: usize => sampler.chains,
        /// Warm-up trajectories: 200 if not said.
        warmup: usize => sampler.warmup,
        /// Trajectories measured: 300 if not said.
        draws: usize => sampler.draws,
        /// A fixed step length h (the learning rate of ula) in place of an adapted one.
        step_size: f64 => sampler.step_size,
        /// A fixed number of steps per trajectory in place of an adapted one.
        steps: usize => sampler.steps,
        /// What becomes of the readout: integrated out where sampler and device can, if not said.
        readout: Readout => sampler.readout,
        /// Whether neighbouring temperatures exchange states: they do if not said.
        tempering: bool => sampler.tempering,
        /// The seed of everything random: 1 if not said.
        seed: u64 => sampler.seed,
        /// Whether the warm-up is kept draw by draw.
        save_warmup: bool => output.save_warmup,
        /// Snapshots of the weights that are kept.
        save_weights: usize => output.save_weights,
    }

    /// The experiment.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or impossible.
    pub fn build(self) -> Result<Experiment, ConfigError> {
        Experiment::resolve(self.settings)
    }
}

/// The ladder from hot to cold, without repetitions.
fn ladder(values: Option<Vec<f64>>, range: Option<&str>) -> Result<Vec<f64>, ConfigError> {
    let mut temperatures = match (values, range) {
        (Some(_), Some(range)) => {
            let requirement = "give either a list or a range of temperatures, not both";
            let refusal = ConfigError::impossible(Setting::TemperatureRange, format!("\"{range}\""), requirement);
            return Err(refusal.or(Remedy::omit(Setting::TemperatureRange)));
        }
        (Some(values), None) => values,
        (None, Some(range)) => parse::temperature_range(range)?,
        (None, None) => {
            let (setting, meaning) = (Setting::Temperatures, "the ladder of temperatures");
            return Err(ConfigError::Missing { setting, meaning, example: "10,1,0.1" });
        }
    };
    if temperatures.is_empty() || temperatures.len() > MAX_TEMPERATURES {
        let requirement = format!("the ladder has between 1 and {MAX_TEMPERATURES} temperatures");
        let value = format!("{} of them", temperatures.len());
        return Err(ConfigError::impossible(Setting::Temperatures, value, requirement));
    }
    for &t in &temperatures {
        if !(LEAST_TEMPERATURE..=MOST_TEMPERATURE).contains(&t) {
            let requirement = format!("it lies between {LEAST_TEMPERATURE:e} and {MOST_TEMPERATURE:e}");
            return Err(ConfigError::impossible(Setting::Temperatures, format!("{t:?}"), requirement));
        }
    }
    temperatures.sort_by(|a, b| b.total_cmp(a));
    if let Some(twice) = temperatures.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ConfigError::impossible(Setting::Temperatures, twice[0], "every temperature is named once"));
    }
    Ok(temperatures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Setup, preset};

    fn quick() -> Settings {
        preset("quick").unwrap()
    }

    #[test]
    fn the_record_of_a_run_resolves_to_the_same_run() {
        let mut teacher = quick();
        teacher.data.source = Some("teacher:hermite".into());
        teacher.data.classes = None;
        let mut groups = quick();
        groups.data.classes = Some("1,2/3".into());
        for settings in [quick(), teacher, groups] {
            let experiment = Setup::resolve(settings).unwrap();
            let text = toml::to_string(experiment.settings()).unwrap();
            let again = Setup::resolve(Settings::from_toml(&text, "record").unwrap()).unwrap();
            assert_eq!(again, experiment);
        }
    }

    #[test]
    fn later_sources_override_earlier_ones() {
        let mut settings = quick();
        let text = "[network]\nwidth = 7\n[temperature]\nvalues = [0.5, 2.0]\n";
        settings.override_with(Settings::from_toml(text, "file").unwrap());
        let experiment = Setup::resolve(settings).unwrap();
        let experiment = experiment.experiment();
        assert_eq!(experiment.network().width, 7);
        assert_eq!(experiment.temperatures(), [2.0, 0.5], "hot to cold");
        assert_eq!(experiment.sampler().chains, 24, "untouched settings keep the preset's value");
    }

    #[test]
    fn impossible_values_name_the_setting() {
        type Case = (&'static str, fn(&mut Settings));
        let cases: [Case; 14] = [
            ("temperature", |s| s.temperature = values(vec![0.0])),
            ("temperature", |s| s.temperature = values(vec![1.0, 1e-310])),
            ("temperature", |s| s.temperature = values(vec![f64::INFINITY])),
            ("temperature", |s| s.temperature = values(vec![1.0, f64::NAN])),
            ("temperature", |s| s.temperature = values(vec![1.0, 1.0])),
            ("temperatures", |s| s.temperature = values(vec![])),
            ("width", |s| s.network.width = Some(0)),
            ("lambda0", |s| s.network.lambda0 = Some(-1.0)),
            ("lambda1", |s| s.network.lambda1 = Some(f64::INFINITY)),
            ("chains", |s| s.sampler.chains = Some(0)),
            ("draws", |s| s.sampler.draws = Some(19)),
            ("step_size", |s| s.sampler.step_size = Some(0.0)),
            ("train", |s| s.data.train = Some(0)),
            ("classes", |s| s.data.classes = Some("3,3".into())),
        ];
        for (name, spoil) in cases {
            let mut settings = quick();
            spoil(&mut settings);
            let message = Setup::resolve(settings).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        let mut ula = quick();
        ula.sampler.kind = Some(SamplerKind::Ula);
        assert!(Setup::resolve(ula.clone()).unwrap_err().to_string().contains("step_size"));
        ula.sampler.step_size = Some(0.2);
        assert!(Setup::resolve(ula.clone()).unwrap_err().to_string().contains("2.000e-1"), "T = 10, λ = 1");
        ula.sampler.step_size = Some(0.19);
        assert!(Setup::resolve(ula).is_ok());
        let mut baoab = quick();
        (baoab.sampler.kind, baoab.sampler.readout) = (Some(SamplerKind::Baoab), Some(Readout::Integrated));
        assert!(Setup::resolve(baoab).unwrap_err().to_string().contains("readout"));
    }

    fn values(values: Vec<f64>) -> crate::config::TemperatureSettings {
        crate::config::TemperatureSettings { values: Some(values), range: None }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let message = Settings::from_toml("[network]\nwidht = 3\n", "run.toml").unwrap_err().to_string();
        assert!(message.contains("run.toml line 2") && message.contains("widht"), "{message}");
        assert!(Settings::from_toml("[network]\nwidth = -3\n", "f").is_err());
        assert!(Settings::from_toml("[network\n", "f").is_err());
    }
}
