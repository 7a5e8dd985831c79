//! `featherm run`: samples, compares, writes the run directory, prints the table.

use std::path::Path;

use super::args::RunArgs;
use super::progress::Display;
use super::report::publish;
use super::{Failure, print};
use crate::config::Experiment;
use crate::report::{plots, table};
use crate::run::{Job, Prepared, Run, load, memory_need};
use crate::store::{Claim, PAGE, RunDir, read_report, write_arrays};

pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let (mut experiment, name) = arguments.experiment()?;
    if let Some(dir) = &experiment.dir {
        RunDir::check(Path::new(dir))?;
    }
    // Data is loaded before anything is written, so that bad input leaves no trace.
    let problem = load(&experiment)?;
    let (need, fits) = memory_need(&experiment, &problem).map_err(|error| Failure::Failed(error.to_string()))?;
    if arguments.dry_run {
        print(&format!("{}\n{need}", record(&experiment)?));
    }
    fits.map_err(|error| Failure::BadInput(error.to_string()))?;
    if arguments.dry_run {
        return Ok(());
    }
    let prepared = Prepared::new(&experiment, problem)?;
    let dir = match &experiment.dir {
        Some(dir) => RunDir::create(Path::new(dir))?,
        None => RunDir::next(&name)?,
    };
    experiment.dir = Some(dir.path().display().to_string());
    let begun = record(&experiment).and_then(|record| Ok(dir.write_config(&record)?));
    let run = match begun.and_then(|()| sample(&experiment, &prepared, dir.claim().clone())) {
        Ok(run) => run,
        Err(failure) => {
            dir.claim().abandon();
            return Err(failure);
        }
    };
    let written = dir.write_report(&run.document).and_then(|()| write_arrays(&dir, &prepared, &run));
    print(&table(&run.document));
    print(&plots(&run.document));
    written.map_err(|error| Failure::Failed(error.to_string()))?;
    print(&format!("report: {}\n", dir.path().join(written_page(dir.path())).display()));
    if run.document.interrupted {
        return Err(Failure::Interrupted(format!("interrupted; what was measured is in {}", dir.path().display())));
    }
    Ok(())
}

/// Writes the page and the figures, from the disk as `featherm report` does, so that both give the same; the name of the file to look at.
///
/// The numbers are safe in `report.json`: what goes wrong here is said, and does not fail the run.
fn written_page(dir: &Path) -> &'static str {
    match read_report(dir).and_then(|document| publish(dir, &document)) {
        Ok(notes) => {
            notes.iter().for_each(|note| eprintln!("warning: {note}"));
            PAGE
        }
        Err(error) => {
            eprintln!("warning: the page and the figures are not complete: {error}");
            "report.json"
        }
    }
}

fn sample(experiment: &Experiment, prepared: &Prepared, claim: Claim) -> Result<Run, Failure> {
    // Before the theory, which may take its time: a Ctrl-C there is answered too.
    let mut display = Display::new(Some(claim));
    let job = Job::new(experiment, prepared);
    let mut opened = job.open().map_err(|error| Failure::Failed(error.to_string()))?;
    if let Some(note) = &opened.note {
        eprintln!("{note}");
    }
    let result = job.sample(opened.backend.as_mut(), |state| display.update(state));
    display.finish();
    Ok(result?)
}

/// The resolved settings as TOML.
fn record(experiment: &Experiment) -> Result<String, Failure> {
    toml::to_string(&experiment.settings())
        .map_err(|error| Failure::Failed(format!("the configuration cannot be written as TOML: {error}")))
}
