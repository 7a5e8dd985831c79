//! From [`Settings`] to the validated [`Experiment`], and back for the record.

use super::parse::{self, MAX_TEMPERATURES};
use super::{ConfigError, Settings};
use crate::backend::{BackendChoice, Precision};
use crate::data::{ClassGroup, DataConfig, Order, Standardize, Teacher, TeacherKind};
use crate::model::{Activation, Network};
use crate::sampler::{Readout, SamplerKind};
use crate::theory::TheoryKind;

/// The `[sampler]` part of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerConfig {
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
    pub seed: u64,
    pub backend: BackendChoice,
    /// Name or number of the graphics device; any when `None`.
    pub adapter: Option<String>,
    pub precision: Precision,
}

/// A run, complete and possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    pub data: DataConfig,
    pub network: Network,
    /// The ladder, from hot to cold.
    pub temperatures: Vec<f64>,
    /// The theories to compare with, in the order of [`TheoryKind::ALL`].
    pub theories: Vec<TheoryKind>,
    pub sampler: SamplerConfig,
    /// Run directory; the caller chooses when `None`.
    pub dir: Option<String>,
    /// Seconds between two checkpoints; 0 leaves only the one at the end.
    pub checkpoint_every: f64,
    /// Whether the warm-up is kept draw by draw.
    pub save_warmup: bool,
    /// Snapshots of the weights that are kept.
    pub save_weights: usize,
}

impl Settings {
    /// Reads a TOML file's text; `origin` names it in messages.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] for anything that is not TOML of the documented keys and types.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or_else(String::new, |span| {
                let before = &text[..span.start.min(text.len())];
                let number = before.matches('\n').count();
                let content = text.lines().nth(number).unwrap_or_default().trim();
                let content = match content.char_indices().nth(LONGEST_EXCERPT) {
                    Some((end, _)) => format!("{}…", &content[..end]),
                    None => content.into(),
                };
                format!(" line {} ({content})", number + 1)
            });
            // The parser's own message may run over several lines; the first says what is wrong.
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            ConfigError::Syntax { origin: format!("{origin}{line}"), message }
        })
    }
}

/// Most characters of a refused line that a message repeats.
const LONGEST_EXCERPT: usize = 80;

/// The theories that cost little beside a run; `adaptive` takes seconds for each temperature.
const DEFAULT_THEORIES: [TheoryKind; 3] = [TheoryKind::Nngp, TheoryKind::Saddle, TheoryKind::SingleUnit];

/// Seconds between two checkpoints, at most so much of a run is lost with the machine.
const CHECKPOINT_EVERY: f64 = 60.0;

/// With fewer draws per chain their autocorrelation, hence every error, could not be estimated.
const LEAST_DRAWS: usize = 20;

/// Widths, point counts and chain counts above this are typing errors rather than runs.
const MAX_COUNT: usize = 1 << 20;

/// Beyond these, energies βL leave the range of float32.
const LEAST_TEMPERATURE: f64 = 1e-12;
const MOST_TEMPERATURE: f64 = 1e12;

/// A time that no run lasts.
const MOST_SECONDS: f64 = 1e9;

fn count(setting: &'static str, value: usize, least: usize) -> Result<usize, ConfigError> {
    if (least..=MAX_COUNT).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::impossible(setting, value, format!("it lies between {least} and {MAX_COUNT}")))
}

fn positive(setting: &'static str, value: f64) -> Result<f64, ConfigError> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(ConfigError::impossible(setting, value, "it is a positive, finite number"))
}

impl Experiment {
    /// Validates settings and fills in the defaults: data is global-standardised and drawn by the seed, λ0 = λ1 = 1, erf.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or impossible.
    pub fn resolve(settings: Settings) -> Result<Self, ConfigError> {
        let Settings { data, network, temperature, theory, sampler, output, case } = settings;
        if !case.is_empty() {
            let known = case.into_iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::SeveralCases { known });
        }
        let source = data
            .source
            .filter(|source| !source.trim().is_empty())
            .ok_or(ConfigError::Missing { setting: "data", example: "--data digits, a path, or teacher:linear" })?;
        let is_npz = source.ends_with(".npz");
        let labelled = !(source.starts_with("teacher:") || is_npz);
        let classes = match (&data.classes, labelled) {
            (Some(text), true) => parse::classes(text)?,
            (None, true) => {
                return Err(ConfigError::Missing {
                    setting: "classes",
                    example: "--classes 2,4 (two original labels)",
                });
            }
            (Some(text), false) => {
                let requirement = format!("{source} brings its own labels: leave --classes out");
                return Err(ConfigError::impossible("classes", format!("\"{text}\""), requirement));
            }
            (None, false) => Vec::new(),
        };
        let train = match (data.train, is_npz) {
            (None, true) => None,
            (None, false) => return Err(ConfigError::Missing { setting: "train", example: "--train 100" }),
            (Some(train), _) => Some(count("train", train, 1)?),
        };
        let noise = data.teacher_noise.unwrap_or(0.0);
        if noise.is_nan() || noise < 0.0 || noise.is_infinite() {
            return Err(ConfigError::impossible("teacher-noise", noise, "it is a finite number, 0 or more"));
        }
        let teacher = Teacher {
            kind: TeacherKind::Linear,
            dimension: count("teacher-dimension", data.teacher_dimension.unwrap_or(100), 1)?,
            width: count("teacher-width", data.teacher_width.unwrap_or(10), 1)?,
            degree: count("teacher-degree", data.teacher_degree.unwrap_or(2), 1)?,
            noise,
        };
        let default_standardize = if is_npz { Standardize::None } else { Standardize::Global };
        let data = DataConfig {
            teacher: Teacher { kind: teacher_kind(&source)?, ..teacher },
            classes,
            train,
            test: match (data.test, is_npz) {
                (None, true) => None,
                (test, _) => Some(count("test", test.unwrap_or(0), 0)?),
            },
            order: data.order.unwrap_or(Order::Seeded),
            standardize: data.standardize.unwrap_or(default_standardize),
            source,
        };
        let network = Network {
            width: count(
                "width",
                network.width.ok_or(ConfigError::Missing { setting: "width", example: "--width 50" })?,
                1,
            )?,
            activation: network.activation.unwrap_or(Activation::Erf),
            lambda0: positive("lambda0", network.lambda0.unwrap_or(1.0))?,
            lambda1: positive("lambda1", network.lambda1.unwrap_or(1.0))?,
        };
        let temperatures = ladder(temperature.values, temperature.range)?;
        let wanted = theory.kinds.unwrap_or_else(|| DEFAULT_THEORIES.to_vec());
        let theories = TheoryKind::ALL.into_iter().filter(|kind| wanted.contains(kind)).collect();
        let kind = sampler.kind.unwrap_or(SamplerKind::Malt);
        let step_size = sampler.step_size.map(|h| positive("step-size", h)).transpose()?;
        if kind == SamplerKind::Ula && step_size.is_none() {
            return Err(ConfigError::Missing {
                setting: "step-size",
                example: "--step-size 0.01 (ula's learning rate)",
            });
        }
        if let (SamplerKind::Ula, Some(rate), Some(&hottest)) = (kind, step_size, temperatures.first()) {
            // The prior alone multiplies a weight by 1 − ηTλ.
            let most = 2.0 / (hottest * network.lambda0.max(network.lambda1));
            if rate >= most {
                let requirement = format!(
                    "ula's learning rate stays below 2/(Tλ) = {most:.3e} at T = {hottest}, or weights grow without bound"
                );
                return Err(ConfigError::impossible("step-size", rate, requirement));
            }
        }
        let steps = sampler.steps.map(|steps| count("steps", steps, 1)).transpose()?;
        let (backend, precision) = (sampler.backend.unwrap_or_default(), sampler.precision.unwrap_or_default());
        let refuse = |value: &str, requirement: &str| Err(ConfigError::impossible("precision", value, requirement));
        match (precision, backend) {
            (Precision::F64, BackendChoice::Gpu) => {
                return refuse("f64", "graphics devices compute in float32; use --backend cpu for float64");
            }
            (Precision::F16, BackendChoice::Cpu | BackendChoice::Auto) => {
                return refuse("f16", "it is a way of storing on graphics devices; add --backend gpu");
            }
            (Precision::F16Matrix, BackendChoice::Cpu | BackendChoice::Auto) => {
                return refuse("f16-matrix", "its products are those of graphics devices; add --backend gpu");
            }
            (Precision::F16Matrix, _) if !kind.adjusted() => {
                return refuse("f16-matrix", "acceptance is what keeps rounded forces exact; use malt, hmc or mala");
            }
            _ => {}
        }
        if sampler.readout == Some(Readout::Integrated) && !kind.adjusted() {
            let requirement = "the unadjusted samplers move v beside W; use malt, hmc or mala";
            return Err(ConfigError::impossible("readout", "integrated", requirement));
        }
        let sampler = SamplerConfig {
            kind,
            chains: count("chains", sampler.chains.unwrap_or(32), 1)?,
            warmup: count("warmup", sampler.warmup.unwrap_or(200), 0)?,
            draws: count("draws", sampler.draws.unwrap_or(300), LEAST_DRAWS)?,
            step_size,
            steps,
            readout: sampler.readout,
            tempering: sampler.tempering.unwrap_or(true),
            seed: sampler.seed.unwrap_or(1),
            backend,
            adapter: sampler.adapter,
            precision,
        };
        let checkpoint_every = output.checkpoint_every.unwrap_or(CHECKPOINT_EVERY);
        if !(0.0..=MOST_SECONDS).contains(&checkpoint_every) {
            let requirement = "it is a number of seconds from 0 (only at the end) to 1e9";
            return Err(ConfigError::impossible("checkpoint-every", checkpoint_every, requirement));
        }
        let save_warmup = output.save_warmup.unwrap_or(false);
        let save_weights = output.save_weights.unwrap_or(0);
        if save_weights > sampler.draws {
            let requirement = format!("snapshots are of draws, and there are {}", sampler.draws);
            return Err(ConfigError::impossible("save-weights", save_weights, requirement));
        }
        let dir = output.dir;
        Ok(Self { data, network, temperatures, theories, sampler, dir, checkpoint_every, save_warmup, save_weights })
    }

    /// The settings that resolve to this experiment, complete: the record in every run directory.
    pub fn settings(&self) -> Settings {
        use super::{
            DataSettings, NetworkSettings, OutputSettings, SamplerSettings, TemperatureSettings, TheorySettings,
        };
        let Self { data, network, temperatures, theories, sampler, dir, checkpoint_every, save_warmup, save_weights } =
            self;
        let is_teacher = data.source.starts_with("teacher:");
        Settings {
            data: DataSettings {
                source: Some(data.source.clone()),
                classes: (!data.classes.is_empty()).then(|| classes_text(&data.classes)),
                train: data.train,
                test: data.test,
                order: Some(data.order),
                standardize: Some(data.standardize),
                teacher_dimension: is_teacher.then_some(data.teacher.dimension),
                teacher_width: is_teacher.then_some(data.teacher.width),
                teacher_degree: is_teacher.then_some(data.teacher.degree),
                teacher_noise: is_teacher.then_some(data.teacher.noise),
            },
            network: NetworkSettings {
                width: Some(network.width),
                activation: Some(network.activation),
                lambda0: Some(network.lambda0),
                lambda1: Some(network.lambda1),
            },
            temperature: TemperatureSettings { values: Some(temperatures.clone()), range: None },
            theory: TheorySettings { kinds: Some(theories.clone()) },
            sampler: SamplerSettings {
                kind: Some(sampler.kind),
                chains: Some(sampler.chains),
                warmup: Some(sampler.warmup),
                draws: Some(sampler.draws),
                step_size: sampler.step_size,
                steps: sampler.steps,
                readout: sampler.readout,
                tempering: Some(sampler.tempering),
                seed: Some(sampler.seed),
                backend: Some(sampler.backend),
                adapter: sampler.adapter.clone(),
                precision: Some(sampler.precision),
            },
            output: OutputSettings {
                dir: dir.clone(),
                checkpoint_every: Some(*checkpoint_every),
                save_warmup: Some(*save_warmup),
                save_weights: Some(*save_weights),
            },
            case: Vec::new(),
        }
    }
}

fn teacher_kind(source: &str) -> Result<TeacherKind, ConfigError> {
    Ok(match source.strip_prefix("teacher:") {
        None | Some("linear") => TeacherKind::Linear,
        Some("network") => TeacherKind::Network,
        Some("hermite") => TeacherKind::Hermite,
        Some("random") => TeacherKind::Random,
        Some(other) => {
            let requirement = "the teachers are linear, network, hermite and random";
            return Err(ConfigError::impossible("data", format!("teacher:{other}"), requirement));
        }
    })
}

fn classes_text(groups: &[ClassGroup]) -> String {
    let list = |group: &ClassGroup| group.0.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    match groups {
        [ClassGroup(plus), ClassGroup(minus)] if plus.len() == 1 && minus.len() == 1 => {
            format!("{},{}", plus[0], minus[0])
        }
        _ => groups.iter().map(list).collect::<Vec<_>>().join("/"),
    }
}

/// The ladder from hot to cold, without repetitions.
fn ladder(values: Option<Vec<f64>>, range: Option<String>) -> Result<Vec<f64>, ConfigError> {
    let mut temperatures = match (values, range) {
        (Some(_), Some(range)) => {
            let requirement = "give either a list or a range of temperatures, not both";
            return Err(ConfigError::impossible("temperature range", format!("\"{range}\""), requirement));
        }
        (Some(values), None) => values,
        (None, Some(range)) => parse::temperature_range(&range)?,
        (None, None) => {
            return Err(ConfigError::Missing { setting: "temperatures", example: "--temperatures 10,1,0.1" });
        }
    };
    if temperatures.is_empty() || temperatures.len() > MAX_TEMPERATURES {
        let requirement = format!("the ladder has between 1 and {MAX_TEMPERATURES} temperatures");
        return Err(ConfigError::impossible("number of temperatures", temperatures.len(), requirement));
    }
    for &t in &temperatures {
        if !(LEAST_TEMPERATURE..=MOST_TEMPERATURE).contains(&t) {
            let requirement = format!("it lies between {LEAST_TEMPERATURE:e} and {MOST_TEMPERATURE:e}");
            return Err(ConfigError::impossible("temperature", format!("{t:?}"), requirement));
        }
    }
    temperatures.sort_by(|a, b| b.total_cmp(a));
    if let Some(twice) = temperatures.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ConfigError::impossible("temperature", twice[0], "every temperature is named once"));
    }
    Ok(temperatures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

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
            let experiment = Experiment::resolve(settings).unwrap();
            let text = toml::to_string(&experiment.settings()).unwrap();
            let again = Experiment::resolve(Settings::from_toml(&text, "record").unwrap()).unwrap();
            assert_eq!(again, experiment);
        }
    }

    #[test]
    fn later_sources_override_earlier_ones() {
        let mut settings = quick();
        let text = "[network]\nwidth = 7\n[temperature]\nvalues = [0.5, 2.0]\n";
        settings.override_with(Settings::from_toml(text, "file").unwrap());
        let experiment = Experiment::resolve(settings).unwrap();
        assert_eq!(experiment.network.width, 7);
        assert_eq!(experiment.temperatures, [2.0, 0.5], "hot to cold");
        assert_eq!(experiment.sampler.chains, 24, "untouched settings keep the preset's value");
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
            ("step-size", |s| s.sampler.step_size = Some(0.0)),
            ("train", |s| s.data.train = Some(0)),
            ("classes", |s| s.data.classes = Some("3,3".into())),
        ];
        for (name, spoil) in cases {
            let mut settings = quick();
            spoil(&mut settings);
            let message = Experiment::resolve(settings).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        let mut ula = quick();
        ula.sampler.kind = Some(SamplerKind::Ula);
        assert!(Experiment::resolve(ula.clone()).unwrap_err().to_string().contains("step-size"));
        ula.sampler.step_size = Some(0.2);
        assert!(Experiment::resolve(ula.clone()).unwrap_err().to_string().contains("2.000e-1"), "T = 10, λ = 1");
        ula.sampler.step_size = Some(0.19);
        assert!(Experiment::resolve(ula).is_ok());
        let mut baoab = quick();
        (baoab.sampler.kind, baoab.sampler.readout) = (Some(SamplerKind::Baoab), Some(Readout::Integrated));
        assert!(Experiment::resolve(baoab).unwrap_err().to_string().contains("readout"));
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
