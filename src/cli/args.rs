//! Raw command-line arguments: parsed input and nothing more.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::Failure;
use super::cache::cached;
use super::progress::Style;
use crate::backend::BackendChoice;
use crate::config::{
    ConfigError, DataSettings, NetworkSettings, OutputSettings, SamplerSettings, Settings, Setup, TemperatureSettings,
    TheorySettings, preset,
};
use crate::data::recognise;
use crate::studies::descent;
use crate::studies::scaling::FixedQuantity;

/// The feature-learning thermometer: samples the Gibbs posterior of one-hidden-layer networks at
/// temperature T and holds the samples against the statistical-mechanics theory of the proportional
/// limit.
///
/// Without a command it runs: `featherm` alone is the preset `quick`, two handwritten digits on a
/// ladder of temperatures, under a minute on two cores.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  featherm                                                    the quick preset
  featherm run --data fashion-mnist --classes 2,4 --train 100 --width 50 --temperatures 10,1,0.1
  featherm run --config experiment.toml --out results/first   settings from a file; flags override it
  featherm run --preset paper --out results/paper             six runs on Fashion-MNIST, and the page of them all
  featherm theory --temperature-range 0.001:10:30 --json      theory only, no sampling
  featherm resume runs/quick-1                                go on where a run was interrupted
  featherm report runs/quick-1                                the table, the page and the figures of a finished run
  featherm report runs/quick-1 runs/quick-2                   a page that lays runs over each other

Exit codes: 0 done, 1 the run failed, 2 bad input, 3 interrupted (featherm resume goes on).";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sample, compare with the theory, write a run directory (the default command).
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// The theory alone: order parameters, predictor, evidence, geometry, weights.
    Theory(TheoryArgs),
    /// Go on with a run that was interrupted, killed or cut off, to the same result, bit for bit;
    /// or take more draws of one that is done.
    Resume(ResumeArgs),
    /// Print the table of a run directory and write its page and figures; of several runs, the page
    /// that compares them.
    Report(ReportArgs),
    /// Run a problem at many widths and extrapolate every theory's deviation from the samples to
    /// infinite width.
    Scaling(ScalingArgs),
    /// Follow noiseless gradient descent from prior draws and record how the class manifolds move.
    Descend(DescendArgs),
    /// Measure the sampler: its speed beside that of the matrix products in it, and what draws are
    /// worth.
    Bench(Box<BenchArgs>),
    /// Known data sets: what there is, where it is looked for, and how to get it.
    #[command(arg_required_else_help = false)]
    Data(DataArgs),
    /// List the graphics devices that can run the chains.
    Devices,
    /// Hold every device against float64 on the CPU, stage by stage, on a small bundled problem.
    Doctor,
}

/// A problem and how it is sampled.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    problem: ProblemArgs,
    #[command(flatten)]
    sampler: SamplerSettings,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    output: OutputSettings,
    /// How progress is told on stderr: a bar where that is a terminal, or JSON lines for programs.
    #[arg(long, value_enum, default_value = "bar", help_heading = "Output")]
    pub progress: Style,
    /// Print the resolved settings and the memory that the run would take, and stop.
    #[arg(long, help_heading = "Output")]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ScalingArgs {
    #[command(flatten)]
    pub experiment: ExperimentArgs,
    /// Widths N1, at least three; the problem's P and N0 belong to its own --width.
    #[arg(long, value_name = "N1,N1,…", value_delimiter = ',', required = true, allow_negative_numbers = true)]
    pub widths: Vec<usize>,
    /// What stays as it is while the width grows: P, or P/N1 at the same N0, or P/N1 and N0/N1
    /// (teacher data).
    #[arg(long, value_enum, default_value = "train")]
    pub hold: FixedQuantity,
    /// Print JSON (schema featherm.scaling/1) instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DescendArgs {
    /// The chains are the starts; warm-up, draws and temperatures concern the equilibrium that is
    /// printed beside them, or nothing.
    #[command(flatten)]
    pub experiment: ExperimentArgs,
    /// η of θ ← θ − η∇L; left out, a tenth of the largest that is stable at the start.
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Steps of descent in all (--steps is the sampler's).
    #[arg(long, value_name = "N", default_value_t = 10_000, allow_negative_numbers = true)]
    descent_steps: u32,
    /// Moments recorded, at most: the start and log-spaced steps.
    #[arg(long, value_name = "N", default_value_t = 30, allow_negative_numbers = true)]
    records: usize,
    /// Also write descent.json and the figure of D² against training loss (SVG, PNG and a page)
    /// into this directory: absent or empty.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A run of the same problem, whose samples the figure shows beside descent.
    #[arg(long, value_name = "DIR", requires = "out")]
    pub run: Option<PathBuf>,
    /// Print JSON (schema featherm.descent/1) instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl DescendArgs {
    pub fn plan(&self) -> Result<descent::Plan, Failure> {
        let refuse = |what: String| Err(Failure::BadInput(what));
        match self.learning_rate {
            Some(rate) if !(rate > 0.0 && rate.is_finite()) => {
                return refuse(format!("learning-rate = {rate} is impossible: it is a positive, finite number"));
            }
            _ => {}
        }
        if self.descent_steps == 0 || self.records < 2 {
            return refuse("descent needs --descent-steps of 1 or more and --records of 2 or more".into());
        }
        Ok(descent::Plan { learning_rate: self.learning_rate, steps: self.descent_steps, records: self.records })
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    #[command(flatten)]
    pub speed: SpeedArgs,
}

/// Without a problem, --preset or --config, the cases of the preset `speed`.
#[derive(Debug, Args)]
pub struct SpeedArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Rounds in which steps and matrix products take turns; medians are reported.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub rounds: u16,
    /// Time the steps alone, without the run whose effective samples are counted.
    #[arg(long)]
    pub steps_only: bool,
    /// First time the ways to divide matrix products on the GPU, and keep the fastest for every
    /// later run of these shapes there.
    #[arg(long)]
    pub tune: bool,
    /// Print JSON (schema featherm.bench/1) instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The preset whose cases are measured.
const SPEED: &str = "speed";

impl SpeedArgs {
    /// What is to be measured, each with its name.
    pub fn cases(&self) -> Result<Vec<(String, Setup)>, Failure> {
        let ExperimentArgs { source, problem, sampler } = &self.experiment;
        let own = problem.settings() != Settings::default() || source.config.is_some() || source.preset.is_some();
        let mut settings = match (own, &source.case) {
            (true, _) => source.base()?,
            (false, None) => (preset(SPEED)?, SPEED.into()),
            (false, Some(case)) => (preset(SPEED)?.only(case)?, case.clone()),
        };
        settings.0.override_with(Settings { sampler: on_device(sampler), ..problem.settings() });
        let (settings, name) = settings;
        if settings.case.is_empty() {
            return Ok(vec![(name, resolve(settings)?)]);
        }
        settings.cases()?.into_iter().map(|case| Ok((case.name, resolve(case.settings)?))).collect()
    }
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The bias of the unadjusted samplers at h, h/2 and h/4 against malt, and its order (--sampler
    /// and --readout are its own).
    Bias(BiasArgs),
}

#[derive(Debug, Args)]
pub struct BiasArgs {
    #[command(flatten)]
    pub experiment: ExperimentArgs,
    /// Print JSON (schema featherm.bias/1) instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List the data sets and where each is found.
    List,
    /// What a data set is, its files with their SHA-256, and where they are looked for.
    Info { name: String },
    /// Download a data set to where --data NAME finds it. The only command that uses the network.
    Fetch(FetchArgs),
}

#[derive(Debug, Args)]
pub struct FetchArgs {
    pub name: String,
    /// Folder of a server to take the files from; their SHA-256 must be the published ones
    /// nevertheless.
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Folder to put NAME into, in place of $FEATHERM_DATA or the XDG data directory; set
    /// FEATHERM_DATA to it to use it by name.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TheoryArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub problem: ProblemArgs,
    /// Seed of the choice of points and of teacher data.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Print JSON (schema featherm.theory/1) instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Directory of a run.
    pub dir: PathBuf,
    /// More draws than were planned: +N of them, or N in all. The result is that of a run planned
    /// so from the start.
    #[arg(long, value_name = "+N|N", allow_hyphen_values = true)]
    pub draws: Option<String>,
    /// How progress is told on stderr: a bar where that is a terminal, or JSON lines for programs.
    #[arg(long, value_enum, default_value = "bar")]
    pub progress: Style,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Directories of runs: of one, the table is printed and report.html and the figures are
    /// written into it; several are laid over each other.
    #[arg(value_name = "DIR", required = true)]
    pub dirs: Vec<PathBuf>,
    /// Where the page that compares several runs goes, ./report-overlay.html without it; an earlier
    /// such page is replaced.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Settings from a TOML file with the sections [data] [network] [temperature] [sampler]
    /// [output].
    #[arg(long, value_name = "FILE", conflicts_with = "preset", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Ready-made settings: quick, or paper (six runs on Fashion-MNIST).
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    pub preset: Option<String>,
    /// One run of a preset or file that has several, by the name of its [[case]].
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    case: Option<String>,
}

/// The sections of the settings that make a problem and its theory.
#[derive(Debug, Args)]
pub struct ProblemArgs {
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    network: NetworkSettings,
    #[command(flatten)]
    temperature: TemperatureSettings,
    #[command(flatten)]
    theory: TheorySettings,
}

impl ProblemArgs {
    fn settings(&self) -> Settings {
        let Self { data, network, temperature, theory } = self;
        let (data, network, temperature, theory) = (data.clone(), network.clone(), temperature.clone(), theory.clone());
        Settings { data, network, temperature, theory, ..Settings::default() }
    }
}

impl SourceArgs {
    /// The settings below the flags, and the name under which runs of them are filed. A file stands
    /// alone; otherwise there is a preset.
    fn base(&self) -> Result<(Settings, String), Failure> {
        let (settings, name) = self.all()?;
        match &self.case {
            Some(case) => Ok((settings.only(case)?, format!("{name}-{case}"))),
            None => Ok((settings, name)),
        }
    }

    fn all(&self) -> Result<(Settings, String), Failure> {
        let Some(path) = &self.config else {
            let name = self.preset.as_deref().unwrap_or("quick");
            return Ok((preset(name)?, name.into()));
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::BadInput(format!("cannot read --config {}: {error}; give a TOML file", path.display()))
        })?;
        let stem = path.file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned());
        Ok((Settings::from_toml(&text, &path.display().to_string())?, stem))
    }
}

impl ExperimentArgs {
    /// The settings, and the name under which runs of them are filed.
    fn settings(&self) -> Result<(Settings, String), Failure> {
        let (mut settings, name) = self.source.base()?;
        settings.override_with(Settings { sampler: on_device(&self.sampler), ..self.problem.settings() });
        Ok((settings, name))
    }

    pub fn setup(&self) -> Result<Setup, Failure> {
        resolve(self.settings()?.0)
    }
}

/// A graphics device that is named is to be used.
fn on_device(sampler: &SamplerSettings) -> SamplerSettings {
    let backend = sampler.backend.or(sampler.adapter.as_ref().map(|_| BackendChoice::Gpu));
    SamplerSettings { backend, ..sampler.clone() }
}

impl RunArgs {
    /// The settings, and the name under which runs of them are filed.
    pub fn settings(&self) -> Result<(Settings, String), Failure> {
        let (mut settings, name) = self.experiment.settings()?;
        settings.override_with(Settings { output: self.output.clone(), ..Settings::default() });
        Ok((settings, name))
    }
}

impl TheoryArgs {
    pub fn setup(&self) -> Result<Setup, Failure> {
        let (mut settings, _) = self.source.base()?;
        let sampler = SamplerSettings { seed: self.seed, ..SamplerSettings::default() };
        settings.override_with(Settings { sampler, ..self.problem.settings() });
        resolve(settings)
    }
}

/// A source of data that does not exist is named before anything that it would need beside it.
pub fn resolve(settings: Settings) -> Result<Setup, Failure> {
    if let Some(source) = settings.data.source.as_deref().filter(|source| !source.trim().is_empty()) {
        recognise(source).map_err(|error| Failure::BadInput(error.to_string()))?;
    }
    Ok(setup(settings)?)
}

/// The setup of a run, which finds data sets and measured tilings where the user of this process
/// keeps them.
pub fn setup(settings: Settings) -> Result<Setup, ConfigError> {
    Ok(cached(Setup::resolve(settings)?.with_data_folders(super::data::folders())))
}
