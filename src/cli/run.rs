//! `featherm run`: samples, compares, writes the run directory, prints the table.

use std::path::Path;

use super::args::RunArgs;
use super::progress::Display;
use super::{Failure, print};
use crate::backend::memory_plan;
use crate::config::Experiment;
use crate::report::table;
use crate::run::{Job, Run, prepare};
use crate::store::{RunDir, write_arrays};

pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let (mut experiment, name) = arguments.experiment()?;
    if let Some(dir) = &experiment.dir {
        RunDir::check(Path::new(dir))?;
    }
    // Data is loaded before anything is written, so that bad input leaves no trace.
    let prepared = prepare(&experiment)?;
    if arguments.dry_run {
        let job = Job::new(&experiment, &prepared);
        let sampler = &experiment.sampler;
        let plan = memory_plan(sampler.backend, sampler.adapter.as_deref(), sampler.precision, job.ensemble());
        let plan = plan.map_err(|error| Failure::Failed(error.to_string()))?;
        print(&format!("{}\n{plan}", record(&experiment)?));
        return Ok(());
    }
    let dir = match &experiment.dir {
        Some(dir) => RunDir::create(Path::new(dir))?,
        None => RunDir::next(&name)?,
    };
    experiment.dir = Some(dir.path().display().to_string());
    dir.write_config(&record(&experiment)?)?;

    let run = match sample(Job::new(&experiment, &prepared)) {
        Ok(run) => run,
        Err(failure) => {
            dir.abandon();
            return Err(failure);
        }
    };
    let written = dir.write_report(&run.document).and_then(|()| write_arrays(&dir, &prepared, &run));
    print(&table(&run.document));
    written.map_err(|error| Failure::Failed(error.to_string()))?;
    print(&format!("report: {}\n", dir.path().join("report.json").display()));
    if run.document.interrupted {
        return Err(Failure::Interrupted(format!("interrupted; what was measured is in {}", dir.path().display())));
    }
    Ok(())
}

fn sample(job: Job) -> Result<Run, Failure> {
    let mut opened = job.open().map_err(|error| Failure::Failed(error.to_string()))?;
    if let Some(note) = &opened.note {
        eprintln!("{note}");
    }
    let mut display = Display::new();
    let result = job.sample(opened.backend.as_mut(), |state| display.update(state));
    display.finish();
    Ok(result?)
}

/// The resolved settings as TOML.
fn record(experiment: &Experiment) -> Result<String, Failure> {
    toml::to_string(&experiment.settings())
        .map_err(|error| Failure::Failed(format!("the configuration cannot be written as TOML: {error}")))
}
