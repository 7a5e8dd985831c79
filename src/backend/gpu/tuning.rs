//! Which tiling of the matrix products a device is fastest with: timed on trajectories and kept in
//! a cache directory.
//!
//! Tilings sum in different orders, so the same seed gives other bits with each
//! (`tests/environment/gpu/tuning.rs` shows it). Nothing is timed unasked, then, as cuDNN's
//! benchmark mode would: like FFTW's wisdom a choice is made once, when asked for
//! (`featherm bench --tune`), and every later run of the shape takes it. How many chains there are
//! is no part of the shape, for a chain's bits must not depend on how many others run beside it.
//! Checkpoints hold the tiling, so that a run goes on with the one that it began with, whatever was
//! measured meanwhile.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::adapter::{AdapterChoice, AdapterInfo};
use super::device::Device;
use super::memory::{MemoryPlan, allowed};
use super::tiling::Tiling;
use super::{Gpu, GpuOptions};
use crate::backend::{Backend, BackendError, Ensemble, IntegratorParams, Mass, Observation, Round, Scheme};

/// What products can be divided by.
pub const TILINGS: [Tiling; 5] =
    [Tiling::Register(4), Tiling::Register(8), Tiling::Workgroup(4), Tiling::Workgroup(8), Tiling::Subgroup];

const SCHEMA: &str = "featherm.tilings/1";
/// Steps of a timed trajectory, with one measurement of all matrices: about what a draw takes.
const STEPS: u32 = 10;
/// Short enough that nothing diverges.
const STEP_SIZE: f64 = 1e-3;
/// Time for all tilings together, once they are compiled.
const PATIENCE: Duration = Duration::from_millis(600);
const MOST_SWEEPS: u32 = 20;
/// Chains that fill any device, and operations of a step that keep a trajectory short on hardware.
const MOST_CHAINS: usize = 1024;
const MOST_WORK: usize = 10_000_000_000;
/// The same where chains run on a few cores, which two of them fill.
const SOFTWARE_CHAINS: usize = 2;
/// What the time must fall to before another tiling than that of the rule is taken: else chance
/// would decide on a run's bits.
const GAIN: f64 = 0.95;

/// What a choice holds for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    pub device: String,
    pub driver: String,
    pub api: String,
    /// Version of featherm, whose kernels were timed.
    pub version: String,
    pub points: usize,
    pub rank: usize,
    pub width: usize,
    /// Whether features are stored in float16.
    pub half: bool,
}

impl Shape {
    /// The shape of an ensemble on a device.
    pub fn new(info: &AdapterInfo, ensemble: &Ensemble, half: bool) -> Self {
        Self {
            device: info.name.clone(),
            driver: info.driver.clone(),
            api: info.api.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            points: ensemble.problem.points(),
            rank: ensemble.problem.rank(),
            width: ensemble.network.width,
            half,
        }
    }

    /// Whether it is of this device with its present driver and of this featherm.
    pub fn is_of(&self, info: &AdapterInfo) -> bool {
        let Self { device, driver, api, version, .. } = self;
        [device, driver, api] == [&info.name, &info.driver, &info.api] && version == env!("CARGO_PKG_VERSION")
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let half = if self.half { ", f16" } else { "" };
        write!(f, "P = {}, r = {}, N1 = {}{half}", self.points, self.rank, self.width)
    }
}

/// A measured choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    #[serde(flatten)]
    pub shape: Shape,
    pub tiling: Tiling,
}

/// The file of measured choices.
#[derive(Debug, Clone)]
pub struct Tilings {
    path: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    tilings: Vec<Choice>,
}

impl Tilings {
    /// The file `gpu-tilings.json` in a cache directory; without a directory there are no choices,
    /// and none can be kept.
    pub fn in_cache(directory: Option<&Path>) -> Self {
        Self { path: directory.map(|directory| directory.join("gpu-tilings.json")) }
    }

    /// A file of one's own.
    pub fn at(path: &Path) -> Self {
        Self { path: Some(path.into()) }
    }

    /// Every choice there is; none where the file is missing, damaged or of another kind, which is
    /// as good as never measured.
    pub fn choices(&self) -> Vec<Choice> {
        let document = self.path.as_ref().and_then(|path| fs::read(path).ok());
        match document.and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok()) {
            Some(Document { schema, tilings }) if schema == SCHEMA => tilings,
            _ => Vec::new(),
        }
    }

    /// The choice for an ensemble on a device, if there is one that the device can run.
    pub fn known(&self, info: &AdapterInfo, ensemble: &Ensemble, half: bool) -> Option<Tiling> {
        let shape = Shape::new(info, ensemble, half);
        let found = self.choices().into_iter().find(|choice| choice.shape == shape)?.tiling;
        (TILINGS.contains(&found) && allowed(found, &info.limits()).is_ok()).then_some(found)
    }

    /// Puts a choice in the place of an earlier one of its shape.
    ///
    /// # Errors
    /// When there is no cache directory or the disk refuses; what was there is still there.
    pub fn keep(&self, choice: Choice) -> io::Result<&Path> {
        let path = self.path.as_deref().ok_or_else(|| io::Error::other("there is no cache directory"))?;
        let mut tilings = self.choices();
        tilings.retain(|kept| kept.shape != choice.shape);
        tilings.push(choice);
        let text = serde_json::to_string_pretty(&Document { schema: SCHEMA.into(), tilings })?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Another process may be writing too: the last one to be done wins, and readers see one
        // whole file.
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let written = fs::write(&partial, text + "\n").and_then(|()| fs::rename(&partial, path));
        if written.is_err() {
            // It is of no use, and a failure to remove it is no news.
            let _ = fs::remove_file(&partial);
        }
        written.map(|()| path)
    }
}

/// What was found about a shape.
#[derive(Debug)]
pub struct Tuned {
    pub choice: Choice,
    /// Seconds of a trajectory with every tiling that the device can run.
    pub times: Vec<(Tiling, f64)>,
    /// Where the choice was kept, or why it was not.
    pub kept: Result<PathBuf, String>,
}

impl fmt::Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Choice { shape, tiling } = &self.choice;
        let times: Vec<_> = self.times.iter().map(|(tiling, s)| format!("{tiling} {:.3} ms", 1e3 * s)).collect();
        write!(f, "tiles for {shape} on {}: {}; taken: {tiling}, ", shape.device, times.join(", "))?;
        match &self.kept {
            Ok(path) => write!(f, "kept in {}", path.display()),
            Err(reason) => write!(f, "but not kept: {reason}"),
        }
    }
}

/// Times trajectories of a part of the ensemble with every tiling that the device can run, in turn,
/// and keeps the choice in `tilings`. Beside the compilation of the kernels that takes little more
/// than six tenths of a second, or one sweep where that is longer, as on software devices.
///
/// The least time of each counts. By wall clock, which is what a run is about, and which every
/// device has.
///
/// # Errors
/// When there is no such device, or it fails with every tiling.
pub fn tune(
    adapter: &AdapterChoice,
    ensemble: &Ensemble,
    half: bool,
    tilings: &Tilings,
) -> Result<Tuned, BackendError> {
    let device = Device::open(adapter, false, false)?;
    let limits = device.info.limits();
    let shape = Shape::new(&device.info, ensemble, half);
    let rule = MemoryPlan::new(ensemble, &limits, None, half)?.layout.tiling;
    let part = part(ensemble, limits.software);
    let mut failure = None;
    let mut contenders = Vec::new();
    for tiling in TILINGS.into_iter().filter(|tiling| allowed(*tiling, &limits).is_ok()) {
        let options = GpuOptions { tiling: Some(tiling), half, ..GpuOptions::default() };
        // The first trajectory compiles the rest of the kernels.
        let opened = Gpu::on(device.clone(), part.clone(), options, "on trial");
        match opened.and_then(|mut gpu| play(&mut gpu, 1).map(|_| gpu)) {
            Ok(gpu) => contenders.push((tiling, gpu, f64::INFINITY)),
            // A driver may fail with one tiling only.
            Err(error) => failure = Some(error),
        }
    }
    let start = Instant::now();
    for sweep in 0..MOST_SWEEPS {
        for (_, gpu, least) in &mut contenders {
            *least = least.min(play(gpu, 2 + sweep)?);
        }
        if start.elapsed() >= PATIENCE {
            break;
        }
    }
    let times: Vec<_> = contenders.iter().map(|&(tiling, _, seconds)| (tiling, seconds)).collect();
    let Some(tiling) = best(&times, rule) else {
        return Err(failure.unwrap_or_else(|| device.failed("can run no tiling of the matrix products")));
    };
    let choice = Choice { shape, tiling };
    let kept = tilings.keep(choice.clone()).map(Path::to_path_buf).map_err(|error| error.to_string());
    Ok(Tuned { choice, times, kept })
}

/// The fastest, where it is clearly faster than the tiling of the rule.
fn best(times: &[(Tiling, f64)], rule: Tiling) -> Option<Tiling> {
    let &(fastest, least) = times.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let close = times.iter().any(|&(tiling, seconds)| tiling == rule && least > GAIN * seconds);
    Some(if close { rule } else { fastest })
}

/// As many chains of the ensemble as fill a device without taking it long.
fn part(ensemble: &Ensemble, software: bool) -> Ensemble {
    let (points, rank, width) = (ensemble.problem.points(), ensemble.problem.rank(), ensemble.network.width);
    // Few directions make light work of large features, which take memory all the same.
    let work = 4 * points * width * rank.max(64);
    let most = if software { SOFTWARE_CHAINS } else { (MOST_WORK / work).clamp(1, MOST_CHAINS) };
    Ensemble {
        temperatures: 1,
        replicas: ensemble.chains().clamp(1, most),
        projection_axes: vec![vec![0.0; rank]],
        histogram_ranges: vec![[1.0; 2]],
        batches: 1,
        ..ensemble.clone()
    }
}

/// Seconds of a trajectory as the adjusted samplers play it, with its measurement.
fn play(gpu: &mut Gpu, trajectory: u32) -> Result<f64, BackendError> {
    let network = gpu.ensemble.network;
    let scheme = if gpu.integrates_readout() {
        Scheme::Marginal { friction: 1.0 }
    } else {
        Scheme::Obabo { friction: 1.0, metropolis: true }
    };
    let mass = Mass { weights: vec![network.lambda0; gpu.ensemble.problem.rank()], readout: network.lambda1 };
    let moves = [IntegratorParams { beta: 1.0, scheme, step_size: STEP_SIZE, mass }];
    let observe = Some(Observation { batch: None, gram: true, weights: true });
    let round = Round { trajectory, steps: vec![STEPS], exchange: None, observe };
    let start = Instant::now();
    gpu.run(&moves, &[round])?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn choice(points: usize, tiling: Tiling) -> Choice {
        let [device, driver, api, version] = ["some GPU", "1.2", "Vulkan", "0"].map(String::from);
        Choice { shape: Shape { device, driver, api, version, points, rank: 3, width: 4, half: false }, tiling }
    }

    #[test]
    fn choices_are_kept_one_for_each_shape() {
        let dir = TempDir::new().unwrap();
        let tilings = Tilings::at(&dir.path().join("new/folder/tilings.json"));
        assert_eq!(tilings.choices(), []);
        for tiling in TILINGS {
            tilings.keep(choice(5, tiling)).unwrap();
            tilings.keep(choice(6, Tiling::Subgroup)).unwrap();
            assert_eq!(tilings.choices(), [choice(5, tiling), choice(6, Tiling::Subgroup)]);
        }
        let files = fs::read_dir(dir.path().join("new/folder")).unwrap();
        assert_eq!(files.count(), 1, "nothing is left lying about");
    }

    #[test]
    fn a_damaged_or_foreign_file_is_as_good_as_none_and_written_anew() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("tilings.json");
        let tilings = Tilings::at(&path);
        tilings.keep(choice(5, Tiling::Register(8))).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let spoiled = [
            &whole[..whole.len() / 2],
            "",
            "[]",
            "\u{0}",
            &whole.replace("tilings/1", "tilings/2"),
            &whole.replace("register", "coop"),
        ];
        for text in spoiled {
            fs::write(&path, text).unwrap();
            assert_eq!(tilings.choices(), [], "{text}");
            tilings.keep(choice(7, Tiling::Subgroup)).unwrap();
            assert_eq!(tilings.choices(), [choice(7, Tiling::Subgroup)]);
        }
    }

    #[test]
    fn what_cannot_be_kept_leaves_what_was_there() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "mine").unwrap();
        // A folder cannot be made where a file is.
        assert!(Tilings::at(&file.join("tilings.json")).keep(choice(5, Tiling::Subgroup)).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        let folder = dir.path().join("folder.json");
        fs::create_dir(&folder).unwrap();
        assert!(Tilings::at(&folder).keep(choice(5, Tiling::Subgroup)).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left lying about");
        assert!(Tilings { path: None }.keep(choice(5, Tiling::Subgroup)).is_err());
    }

    #[test]
    fn chance_does_not_decide_on_a_tiling() {
        let (rule, other) = (Tiling::Workgroup(8), Tiling::Workgroup(4));
        assert_eq!(best(&[(other, 0.97), (rule, 1.0)], rule), Some(rule));
        assert_eq!(best(&[(other, 0.9), (rule, 1.0)], rule), Some(other));
        // A rule whose tiling failed has no say.
        assert_eq!(best(&[(other, 0.97)], rule), Some(other));
        assert_eq!(best(&[], rule), None);
    }
}
