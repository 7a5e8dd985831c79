//! `featherm descend`: gradient descent from prior draws.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::args::DescendArgs;
use super::progress::{Display, Style};
use super::remedies::with_remedies;
use super::{Failure, json, print};
use crate::config::{Settings, Setup};
use crate::report::inversion::sentences;
use crate::report::page::descent_page;
use crate::results::{Document, with_error};
use crate::store::{RunDir, read_report, write_descent};
use crate::studies::descent::{Descent, DescentError, Spread, Track, descend as follow};

const SCHEMA: &str = "featherm.descent/1";

pub fn descend(arguments: &DescendArgs) -> Result<(), Failure> {
    let setup = arguments.experiment.setup()?;
    let plan = arguments.plan()?;
    let run = arguments.run.as_deref().map(|dir| run_of(&setup, dir)).transpose()?;
    let dir = arguments.out.as_deref().map(RunDir::create).transpose()?;
    let mut display = Display::new(dir.as_ref().map(|dir| dir.claim().clone()), Style::Bar);
    let found = follow(&setup, plan, |done| display.show("descent", "steps", done as usize, plan.steps as usize));
    display.finish();
    let found = found.map_err(|error| {
        if let Some(dir) = &dir {
            dir.claim().abandon();
        }
        match error {
            DescentError::Study(error) => Failure::from(error),
            unstable => Failure::Failed(with_remedies(&unstable)),
        }
    })?;
    found.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let document = json(SCHEMA, &found)?;
    if arguments.json {
        print(&document);
    } else {
        print(&table(&found));
    }
    if let Some(dir) = &dir {
        let name = arguments.run.as_deref().map(|dir| dir.display().to_string()).unwrap_or_default();
        let page = descent_page(setup.experiment(), &found, run.as_ref().map(|run| (name.as_str(), run)));
        page.notes.iter().for_each(|note| eprintln!("warning: {note}"));
        write_descent(dir, &document, &page).map_err(|error| Failure::Failed(error.to_string()))?;
        if !arguments.json {
            print(&format!("page: {}\n", dir.path().join("descent.html").display()));
        }
    }
    if found.interrupted {
        return Err(Failure::Interrupted("interrupted; the table ends where descent was stopped".into()));
    }
    Ok(())
}

/// The report of a run, if it is of the problem of this experiment: the same data, chosen with the
/// same seed, and the same network.
fn run_of(setup: &Setup, dir: &Path) -> Result<Document, Failure> {
    let run = read_report(dir)?;
    let (here, there) = (problem(setup.settings())?, problem(&run.config)?);
    let shown = |of: &BTreeMap<String, String>, key: &String| of.get(key).cloned().unwrap_or_else(|| "not set".into());
    match here.keys().chain(there.keys()).find(|key| here.get(*key) != there.get(*key)) {
        None => Ok(run),
        Some(key) => Err(Failure::BadInput(format!(
            "the run in {} is of another problem: {key} is {} there and {} here; make them the same, for instance with --config {}",
            dir.display(),
            shown(&there, key),
            shown(&here, key),
            dir.join("config.toml").display()
        ))),
    }
}

/// What makes a problem, by the names of a configuration file.
fn problem(settings: &Settings) -> Result<BTreeMap<String, String>, Failure> {
    let unreadable = |error: toml::ser::Error| Failure::Failed(format!("settings cannot be compared: {error}"));
    let mut found = BTreeMap::new();
    let sections =
        [("data", toml::Table::try_from(&settings.data)), ("network", toml::Table::try_from(&settings.network))];
    for (section, values) in sections {
        let values = values.map_err(unreadable)?;
        found.extend(values.into_iter().map(|(key, value)| (format!("{section}.{key}"), value.to_string())));
    }
    found.extend(settings.sampler.seed.map(|seed| ("sampler.seed".to_string(), seed.to_string())));
    Ok(found)
}

/// Tracks in columns, records in lines; then whether D² inverts, and the equilibrium of the
/// theories.
fn table(found: &Descent) -> String {
    let mut text = format!(
        "gradient descent from {} draws of the prior, learning rate η = {:.3e}; mean ± standard deviation over the starts\n",
        found.starts, found.learning_rate
    );
    let heading = |track: &Track| {
        let element = track.element.map_or_else(String::new, |k| format!(" {k}"));
        format!("{}{element}", track.observable)
    };
    let columns: String = found.tracks.iter().map(|track| format!(" {:>24}", heading(track))).collect();
    // write! to a String cannot fail.
    let _ = writeln!(text, "{:>9} {:>11}{columns}", "step", "time η·step");
    for (k, (step, time)) in found.step.iter().zip(&found.time).enumerate() {
        let values: String = found.tracks.iter().map(|track| format!(" {:>24}", spread(&track.values[k]))).collect();
        let _ = writeln!(text, "{step:>9} {time:>11.4e}{values}");
    }
    text.push('\n');
    for inversion in &found.inversion {
        let _ = writeln!(text, "{}", sentences(inversion));
    }
    let _ = writeln!(text, "\nin equilibrium\n{:>9} {:>11} {:>20} {:>20}", "T", "", "⟨L⟩/P", "D²");
    for point in &found.equilibrium {
        let cell = |value: f64, error: f64| {
            let shown = if error > 0.0 { with_error(Some(value), Some(error)) } else { format!("{value:.6}") };
            format!(" {shown:>20}")
        };
        let pairs = point.centroid_distance_sq.iter().zip(&point.centroid_distance_sq_error);
        let distances: String = pairs.map(|(&value, &error)| cell(value, error)).collect();
        let (t, theory, loss) = (point.temperature, point.theory, cell(point.train_loss, point.train_loss_error));
        let _ = writeln!(text, "{t:>9.4} {theory:>11}{loss}{distances}");
    }
    for note in &found.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn spread(value: &Spread) -> String {
    match value.sd {
        Some(sd) => format!("{:.5} ± {:.5}", value.mean, sd),
        None => format!("{:.5}", value.mean),
    }
}
