//! `draws.zarr`: every chain draw by draw with what is known beside it, for `arviz.from_zarr`.
//!
//! A chain is a place on the ladder and keeps its temperature, whatever states pass through by
//! exchange; so the dimensions are `chain`, `draw` and `temperature`, and the superchain in which a
//! chain started stands on `chain`. A chain that was lost at some temperature, which only
//! unadjusted samplers do, is left out of `posterior` at all of them, or its frozen state would
//! enter every mean and R̂: it is in `lost_posterior`.
//!
//! There is no `posterior_predictive`: predictions are summed over batches of draws on the device,
//! and stand in `arrays.npz`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::zarr::{Attributes, Values, Variable, Writer};
use super::{DRAWS, RunDir, StoreError, partial, replaced};
use crate::config::{OutputSettings, Settings};
use crate::host::files::{sync_directory, sync_tree};
use crate::model::Problem;
use crate::observables::{self, Entry, Series};
use crate::results::dims::{CHAIN, CLASS, DIRECTION, DRAW, TEMPERATURE, TEST_POINT, THEORY, TRAIN_POINT};
use crate::results::{Document, Field, NamedArray, Numbers};
use crate::sampler::superchains;
use crate::session::{ChainDraws, Run};
use crate::theory::TheoryKind;

/// Writes the store beside its place and moves it there when it is whole.
///
/// # Errors
/// When the disk refuses.
pub fn write_draws(dir: &RunDir, run: &Run) -> Result<(), StoreError> {
    let target = dir.path().join(DRAWS);
    let (partial, replaced) = (partial(dir.path(), DRAWS), replaced(dir.path(), DRAWS));
    let written = (|| {
        // What a process that was killed left behind.
        for left in [&partial, &replaced] {
            remove(left)?;
        }
        Store::new(&partial, run)?.write()?;
        sync_tree(&partial)?;
        // A directory cannot take the place of one that holds something.
        if target.exists() {
            fs::rename(&target, &replaced)?;
        }
        fs::rename(&partial, &target)?;
        sync_directory(dir.path());
        remove(&replaced)
    })();
    written.map_err(|source| {
        // The partial store is of no use, and a failure to remove it is no news.
        let _ = remove(&partial);
        StoreError::Unwritable { path: target, source }
    })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

struct Store<'a> {
    writer: Writer,
    problem: &'a Problem,
    run: &'a Run,
    document: &'a Document,
    entries: Vec<Entry>,
    /// Replicas that were lost at no temperature, and the others.
    kept: Vec<usize>,
    lost: Vec<usize>,
    replicas: usize,
    created_at: String,
}

impl<'a> Store<'a> {
    fn new(path: &Path, run: &'a Run) -> io::Result<Self> {
        let (problem, document) = (&*run.solved.problem, &run.document);
        let replicas = run.recorded.lost.len() / document.temperatures.len().max(1);
        let is_lost =
            |&replica: &usize| run.recorded.lost.iter().skip(replica).step_by(replicas.max(1)).any(|&lost| lost);
        let (lost, kept) = (0..replicas).partition(is_lost);
        Ok(Self {
            writer: Writer::create(path)?,
            problem,
            run,
            document,
            entries: observables::entries(&problem.class_names, observables::TestSet::of(problem)),
            kept,
            lost,
            replicas,
            created_at: created_at(),
        })
    }

    fn write(mut self) -> io::Result<()> {
        let (kept, lost) = (self.kept.clone(), self.lost.clone());
        let recorded = &self.run.recorded;
        self.chains("", &recorded.draws, &kept)?;
        self.chains("warmup_", &recorded.warm_up, &kept)?;
        self.chains("lost_", &recorded.draws, &lost)?;
        self.observed_data()?;
        self.constant_data()?;
        self.theory()?;
        // Where a run is kept is no part of what was sampled.
        let config = Settings { output: OutputSettings::default(), ..self.document.config.clone() };
        let config = toml::to_string(&config).map_err(io::Error::other)?;
        let attributes = json!({"name": "featherm", "config": config, "device": self.document.device});
        self.writer.finish(object(attributes))
    }

    /// `posterior` and `sample_stats` of some chains; nothing where there are no draws.
    fn chains(&mut self, prefix: &str, series: &'a Series, replicas: &[usize]) -> io::Result<()> {
        if series.draws() == 0 || replicas.is_empty() {
            return Ok(());
        }
        let draws = ChainDraws::new(self.run, self.problem, series, replicas);
        let posterior = format!("{prefix}posterior");
        self.sample_group(&posterior, draws)?;
        if self.entries.iter().any(|entry| entry.array) {
            self.classes(&posterior)?;
        }
        draws.posterior().try_for_each(|array| self.named(&posterior, array))?;
        let sample_stats = format!("{prefix}sample_stats");
        self.sample_group(&sample_stats, draws)?;
        draws.sample_stats().try_for_each(|array| self.named(&sample_stats, array))
    }

    /// Adds an array with its symbol, where it has one.
    fn named(&mut self, group: &str, array: NamedArray) -> io::Result<()> {
        let dimensions = array.dimensions();
        let attributes = array.long_name.map_or_else(Attributes::new, |symbol| object(json!({"long_name": symbol})));
        // Row-major, as they are made.
        let values = match array.data {
            Numbers::Float(values) => Values::Float(values.into_iter().collect()),
            Numbers::Integer(values) => Values::Integer(values.into_iter().collect()),
            Numbers::Boolean(values) => Values::Flag(values.into_iter().collect()),
        };
        self.writer.array(group, Variable { name: &array.name, dimensions: &dimensions, values, attributes })
    }

    fn observed_data(&mut self) -> io::Result<()> {
        let group = "observed_data";
        self.writer.group(group, self.about(&[]))?;
        self.count(group, TRAIN_POINT, self.problem.points())?;
        self.plain(
            group,
            "y_train",
            &[(TRAIN_POINT, self.problem.points())],
            Values::Float(self.problem.y_train.clone()),
        )
    }

    fn constant_data(&mut self) -> io::Result<()> {
        let (group, problem) = ("constant_data", self.problem);
        let (points, test_points, rank) = (problem.points(), problem.test_points(), problem.rank());
        self.writer.group(group, self.about(&[]))?;
        self.temperatures(group)?;
        self.count(group, TRAIN_POINT, points)?;
        let labels =
            |classes: &[usize]| Values::Text(classes.iter().map(|&c| problem.class_names[c].clone()).collect());
        let classified = problem.classes() > 0;
        if classified {
            self.plain(group, "class_train", &[(TRAIN_POINT, points)], labels(&problem.class_train))?;
        }
        if test_points > 0 {
            self.count(group, TEST_POINT, test_points)?;
            if classified {
                self.plain(group, "class_test", &[(TEST_POINT, test_points)], labels(&problem.class_test))?;
            }
            self.plain(group, "y_test", &[(TEST_POINT, test_points)], Values::Float(problem.y_test.clone()))?;
        }
        self.count(group, DIRECTION, rank)?;
        let singular_values = Values::Float(problem.singular_values.clone());
        self.plain(group, "singular_values", &[(DIRECTION, rank)], singular_values)?;
        let betas: Vec<f64> = self.document.temperatures.iter().map(|at| 1.0 / at.temperature).collect();
        self.plain(group, "beta", &[(TEMPERATURE, betas.len())], Values::Float(betas))?;
        let network = &self.document.config.network;
        let numbers =
            [("width", network.width.map(|n| n as f64)), ("lambda0", network.lambda0), ("lambda1", network.lambda1)];
        for (name, number) in numbers {
            self.plain(group, name, &[], Values::Float(vec![number.unwrap_or(f64::NAN)]))?;
        }
        Ok(())
    }

    /// Every theory's value of every observable, NaN where it is silent; `*_error` is its own Monte
    /// Carlo error.
    fn theory(&mut self) -> io::Result<()> {
        let group = THEORY;
        let temperatures = &self.document.temperatures;
        let mut variables: BTreeMap<String, Predicted> = BTreeMap::new();
        for (t, at) in temperatures.iter().enumerate() {
            let mut add = |name: &str, suffix: &str, values: &BTreeMap<String, Field>| {
                for (kind, field) in values {
                    let predicted = variables.entry(format!("{name}{suffix}")).or_default();
                    predicted.array |= matches!(field, Field::Array(_));
                    let values = field.values().iter().map(|x| x.unwrap_or(f64::NAN)).collect();
                    predicted.values.insert((kind.clone(), t), values);
                }
            };
            for (name, observable) in &at.observables {
                add(name, "", &observable.theory);
                add(name, "_error", &observable.theory_error);
            }
            for (kind, order) in &at.theory {
                let parts = [
                    ("q", order.q),
                    ("q_bar", order.q_bar),
                    ("effective_action", order.effective_action),
                    ("log_evidence", order.log_evidence),
                ];
                for (name, value) in parts {
                    add(name, "", &BTreeMap::from([(kind.clone(), Field::Scalar(Some(value)))]));
                }
            }
        }
        let known =
            |kind: &TheoryKind| variables.values().any(|v| v.values.keys().any(|(name, _)| name == kind.name()));
        let kinds: Vec<String> =
            TheoryKind::ALL.into_iter().filter(known).map(|kind| kind.name().to_string()).collect();
        if kinds.is_empty() {
            return Ok(());
        }
        self.writer.group(group, self.about(&[]))?;
        self.temperatures(group)?;
        self.plain(group, THEORY, &[(THEORY, kinds.len())], Values::Text(kinds.clone()))?;
        let of_classes = |name: &str| !name.starts_with("predictive_");
        if variables.iter().any(|(name, v)| v.array && of_classes(name)) {
            self.classes(group)?;
        }
        if variables.iter().any(|(name, v)| v.array && !of_classes(name)) {
            self.count(group, TEST_POINT, self.problem.test_points())?;
        }
        for (name, predicted) in &variables {
            let size = predicted.values.values().map(Vec::len).max().unwrap_or(0);
            let mut values = Vec::new();
            for cell in kinds.iter().flat_map(|kind| (0..temperatures.len()).map(move |t| (kind.clone(), t))) {
                let known = predicted.values.get(&cell).filter(|values| values.len() == size);
                values.extend(known.cloned().unwrap_or_else(|| vec![f64::NAN; size]));
            }
            let mut dimensions = vec![(THEORY, kinds.len()), (TEMPERATURE, temperatures.len())];
            if predicted.array {
                dimensions.push((if of_classes(name) { CLASS } else { TEST_POINT }, size));
            }
            self.plain(group, name, &dimensions, Values::Float(values))?;
        }
        Ok(())
    }

    /// A group of draws with its coordinates.
    fn sample_group(&mut self, group: &str, draws: ChainDraws) -> io::Result<()> {
        let mut attributes = self.about(&[CHAIN, DRAW]);
        // Names the coordinate that is no dimension.
        attributes.insert("coordinates".into(), json!("superchain"));
        self.writer.group(group, attributes)?;
        let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let chains = draws.replicas().len();
        let chain = Values::Integer(draws.replicas().iter().map(|&replica| whole(replica)).collect());
        self.plain(group, CHAIN, &[(CHAIN, chains)], chain)?;
        let (superchains, replicas) = (superchains(self.replicas), self.replicas);
        let members = replicas / superchains;
        // Replicas that are left over when they are shared out belong to none.
        let superchain = |replica: usize| Some(replica / members).filter(|&s| s < superchains).map_or(-1, whole);
        let superchain = Values::Integer(draws.replicas().iter().map(|&replica| superchain(replica)).collect());
        self.plain(group, "superchain", &[(CHAIN, chains)], superchain)?;
        self.count(group, DRAW, draws.draws())?;
        self.temperatures(group)
    }

    fn temperatures(&mut self, group: &str) -> io::Result<()> {
        let values: Vec<f64> = self.document.temperatures.iter().map(|at| at.temperature).collect();
        self.plain(group, TEMPERATURE, &[(TEMPERATURE, values.len())], Values::Float(values))
    }

    fn classes(&mut self, group: &str) -> io::Result<()> {
        let names = self.problem.class_names.clone();
        self.plain(group, CLASS, &[(CLASS, names.len())], Values::Text(names))
    }

    /// The coordinate of a dimension that is only counted.
    fn count(&mut self, group: &str, name: &str, size: usize) -> io::Result<()> {
        let numbers = (0i64..).take(size).collect();
        self.plain(group, name, &[(name, size)], Values::Integer(numbers))
    }

    fn plain(&mut self, group: &str, name: &str, dimensions: &[(&str, usize)], values: Values) -> io::Result<()> {
        self.writer.array(group, Variable { name, dimensions, values, attributes: Attributes::new() })
    }

    /// The attributes that ArviZ keeps with a group.
    fn about(&self, sample_dims: &[&str]) -> Attributes {
        let version = env!("CARGO_PKG_VERSION");
        object(json!({
            "created_at": self.created_at,
            "creation_library": "featherm",
            "creation_library_version": version,
            "creation_library_language": "Rust",
            "inference_library": "featherm",
            "inference_library_version": version,
            "sample_dims": sample_dims,
        }))
    }
}

/// What the theories say of one name, by theory and temperature.
#[derive(Default)]
struct Predicted {
    array: bool,
    values: BTreeMap<(String, usize), Vec<f64>>,
}

fn object(value: serde_json::Value) -> Attributes {
    match value {
        serde_json::Value::Object(map) => map,
        _ => Attributes::new(),
    }
}

/// The time of writing, in ISO 8601. It is the one thing in a store, as `timing` is in
/// `report.json`, that a second run of the same experiment does not repeat; `SOURCE_DATE_EPOCH`
/// (seconds, <https://reproducible-builds.org/specs/source-date-epoch>) fixes it where every byte
/// must be the same.
fn created_at() -> String {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    iso(fixed.unwrap_or_else(now))
}

/// Seconds since 1970 as date and time in UTC.
fn iso(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in 400-year cycles of 146 097 days and years that begin in
    // March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}+00:00", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date -u -d @N --iso-8601=seconds` writes them.
    #[test]
    fn dates_follow_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00+00:00"),
            (951_782_399, "2000-02-28T23:59:59+00:00"),
            (951_782_400, "2000-02-29T00:00:00+00:00"),
            (951_868_800, "2000-03-01T00:00:00+00:00"),
            (1_735_689_599, "2024-12-31T23:59:59+00:00"),
            (4_107_542_400, "2100-03-01T00:00:00+00:00"),
        ];
        for (seconds, text) in cases {
            assert_eq!(iso(seconds), text);
        }
    }
}
