//! `featherm run`: samples, compares, writes the run directory, prints the table.

use std::path::Path;

use super::args::RunArgs;
use super::progress::Display;
use super::{Failure, print};
use crate::report::table;
use crate::run::{prepare, run_prepared};
use crate::store::{RunDir, write_arrays};

pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let (mut experiment, name) = arguments.experiment()?;
    if let Some(dir) = &experiment.dir {
        RunDir::check(Path::new(dir))?;
    }
    // Data is loaded before anything is written, so that bad input leaves no trace.
    let prepared = prepare(&experiment)?;
    let dir = match &experiment.dir {
        Some(dir) => RunDir::create(Path::new(dir))?,
        None => RunDir::next(&name)?,
    };
    experiment.dir = Some(dir.path().display().to_string());
    let record = toml::to_string(&experiment.settings())
        .map_err(|error| Failure::Failed(format!("the configuration cannot be written as TOML: {error}")))?;
    dir.write_config(&record)?;

    let mut display = Display::new();
    let result = run_prepared(&experiment, &prepared, |state| display.update(state));
    display.finish();
    let run = match result {
        Ok(run) => run,
        Err(error) => {
            dir.abandon();
            return Err(error.into());
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
