//! `featherm run`: samples, compares, writes the run directory, prints the table.

use std::path::Path;
use std::sync::Arc;

use super::args::{RunArgs, resolve};
use super::progress::{Display, Style};
use super::remedies::{flag, with_remedies};
use super::report::publish;
use super::{Failure, cases, print};
use crate::config::{Settings, Setup};
use crate::model::Problem;
use crate::report::{plots, table};
use crate::sampler::SamplerError;
use crate::session::{Checkpoints, Run, RunError, Session, memory_need};
use crate::store::{
    Checkpoint, Origin, PAGE, RunDir, StoreError, read_report, write_arrays, write_table, write_weights,
};
use crate::studies::load;

pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let (settings, name) = arguments.settings()?;
    if let Some(dir) = &settings.output.dir {
        RunDir::check(Path::new(dir))?;
    }
    if !settings.case.is_empty() {
        return cases::run(settings, &name, arguments);
    }
    let setup = resolve(settings)?;
    // Data is loaded before anything is written, so that bad input leaves no trace.
    let problem = load_and_check(&setup, arguments.dry_run)?;
    if arguments.dry_run {
        return Ok(());
    }
    let dir = create(setup.dir(), &name)?;
    let setup = setup.with(|settings| settings.output.dir = Some(dir.path().display().to_string()))?;
    record_settings(&dir, setup.settings())?;
    execute(&setup, problem, &dir, None, arguments.progress)
}

/// Loads the data of an experiment and makes sure that its run fits into memory; `show` prints the
/// settings and the need.
pub fn load_and_check(setup: &Setup, show: bool) -> Result<Arc<Problem>, Failure> {
    let problem = load(setup)?;
    Session::new(setup.experiment(), Arc::clone(&problem))?;
    let (need, fits) = memory_need(setup.experiment(), &problem, setup.device())?;
    if show {
        print(&format!("{}\n{need}", record(setup.settings())?));
    }
    fits.map_err(|error| Failure::BadInput(error.to_string()))?;
    Ok(problem)
}

/// Takes the directory that was named, else the next free one of `name`.
pub fn create(dir: Option<&str>, name: &str) -> Result<RunDir, Failure> {
    Ok(match dir {
        Some(dir) => RunDir::create(Path::new(dir))?,
        None => RunDir::next(name)?,
    })
}

/// Writes the settings before anything is sampled: they are what a run that is killed starts again
/// from.
pub fn record_settings(dir: &RunDir, settings: &Settings) -> Result<(), Failure> {
    let begun = record(settings).and_then(|record| Ok(dir.write_config(&record)?));
    begun.inspect_err(|_| {
        dir.claim().abandon();
    })
}

/// Samples an experiment, from its beginning or from a checkpoint, and writes its results.
pub fn execute(
    setup: &Setup,
    problem: Arc<Problem>,
    dir: &RunDir,
    from: Option<Checkpoint>,
    style: Style,
) -> Result<(), Failure> {
    let run = sample(setup, problem, dir, from, style).map_err(|stopped| abandon(dir, stopped))?;
    let written = write_results(dir, &run);
    print(&table(&run.document, flag));
    print(&plots(&run.document));
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    written.map_err(|error| failed(&error))?;
    run.kept.map_err(|error| failed(&error))?;
    print(&format!("report: {}\n", dir.path().join(written_page(dir.path(), style)).display()));
    if run.document.interrupted {
        let dir = dir.path().display();
        let message = format!("interrupted; what was measured is in {dir}, and `featherm resume {dir}` goes on");
        return Err(Failure::Interrupted(message));
    }
    Ok(())
}

/// Writes what a run measured; the report, which marks the end, comes last.
fn write_results(dir: &RunDir, run: &Run) -> Result<(), StoreError> {
    write_arrays(dir, run)?;
    #[cfg(feature = "zarr")]
    crate::store::write_draws(dir, run)?;
    write_table(dir, &run.document)?;
    write_weights(dir, run)?;
    dir.write_report(&run.document)
}

/// Why a run did not come to its end.
enum Stopped {
    /// Its checkpoint is not of this run.
    Refused(StoreError),
    Failed(RunError),
}

/// Clears away what came to nothing, and says where there is something to go on from.
fn abandon(dir: &RunDir, stopped: Stopped) -> Failure {
    let error = match stopped {
        Stopped::Failed(error) => error,
        Stopped::Refused(error) => {
            dir.claim().abandon();
            return error.into();
        }
    };
    if matches!(error, RunError::Sampler(SamplerError::Diverged { .. })) {
        // It would come to the same end again.
        dir.claim().forget_checkpoint();
    }
    dir.claim().abandon();
    if error.is_bad_input() || !dir.claim().has_checkpoint() {
        return error.into();
    }
    let on = format!("`featherm resume {}` goes on from the last checkpoint", dir.path().display());
    match error {
        RunError::Interrupted => Failure::Interrupted(format!("{error}; {on}")),
        _ => Failure::Failed(format!("{}; {on}", with_remedies(&error))),
    }
}

/// Writes the page and the figures, from the disk as `featherm report` does, so that both give the
/// same; the name of the file to look at.
///
/// The numbers are safe in `report.json`: what goes wrong here is said, and does not fail the run.
fn written_page(dir: &Path, style: Style) -> &'static str {
    match read_report(dir).and_then(|document| publish(dir, &document)) {
        Ok(notes) => {
            notes.iter().for_each(|note| style.say(&format!("warning: {note}")));
            PAGE
        }
        Err(error) => {
            style.say(&format!("warning: the page and the figures are not complete: {error}"));
            "report.json"
        }
    }
}

fn sample(
    setup: &Setup,
    problem: Arc<Problem>,
    dir: &RunDir,
    from: Option<Checkpoint>,
    style: Style,
) -> Result<Run, Stopped> {
    let mut display = Display::new(Some(dir.claim().clone()), style);
    let solved = Session::new(setup.experiment(), Arc::clone(&problem));
    let solved = solved.and_then(|session| session.solve(|event| display.update(event)));
    let job = solved.map_err(Stopped::Failed)?;
    let mut opened = job.open(setup.device()).map_err(Stopped::Failed)?;
    let origin = Origin::new(setup, &problem, &opened.backend.device());
    let from = from.map(|checkpoint| checkpoint.into_state(&origin)).transpose().map_err(Stopped::Refused)?;
    if let Some(note) = &opened.note {
        style.say(note);
    }
    let every = setup.checkpoint_every();
    let mut keep = |state: &[u8]| Ok(Checkpoint::write(dir, &origin, state)?);
    let checkpoints = Checkpoints { from, every, keep: &mut keep };
    let result = job.sample(opened.backend.as_mut(), |event| display.update(event), Some(checkpoints));
    display.finish();
    result.map_err(|error| match error {
        RunError::Saved(reason) => Stopped::Refused(Checkpoint::refusal(dir, &reason)),
        error => Stopped::Failed(error),
    })
}

/// The resolved settings as TOML.
pub fn record(settings: &Settings) -> Result<String, Failure> {
    toml::to_string(settings)
        .map_err(|error| Failure::Failed(format!("the configuration cannot be written as TOML: {error}")))
}
