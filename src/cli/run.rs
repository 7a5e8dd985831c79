//! `featherm run`: samples, compares, writes the run directory, prints the table.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::{RunArgs, resolve};
use super::progress::{Display, Style};
use super::remedies::flag;
use super::report::publish;
use super::{Failure, print, study, with_remedies};
use crate::config::{Experiment, Settings};
use crate::model::Problem;
use crate::observables::Recorder;
use crate::report::{plots, table};
use crate::sampler::SamplerError;
use crate::session::{Checkpoints, Job, Prepared, Run, RunError, load, memory_need};
use crate::store::{
    Checkpoint, Origin, PAGE, RunDir, StoreError, read_report, write_arrays, write_draws, write_table, write_weights,
};

pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let (settings, name) = arguments.settings()?;
    if let Some(dir) = &settings.output.dir {
        RunDir::check(Path::new(dir))?;
    }
    if !settings.case.is_empty() {
        return study::run(settings, &name, arguments);
    }
    let mut experiment = resolve(settings)?;
    // Data is loaded before anything is written, so that bad input leaves no trace.
    let problem = admit(&experiment, arguments.dry_run)?;
    if arguments.dry_run {
        return Ok(());
    }
    let prepared = Prepared::new(&experiment, problem)?;
    let dir = create(&experiment.dir, &name)?;
    experiment.dir = Some(dir.path().display().to_string());
    begin(&dir, &experiment.settings())?;
    carry_out(&experiment, &prepared, &dir, None, arguments.progress)
}

/// Loads the data of an experiment and makes sure that its run fits into memory; `show` prints the settings and the need.
pub fn admit(experiment: &Experiment, show: bool) -> Result<Arc<Problem>, Failure> {
    let problem = load(experiment)?;
    let (need, fits) = memory_need(experiment, &problem)?;
    if show {
        print(&format!("{}\n{need}", record(&experiment.settings())?));
    }
    fits.map_err(|error| Failure::BadInput(error.to_string()))?;
    Ok(problem)
}

/// Takes the directory that was named, else the next free one of `name`.
pub fn create(dir: &Option<String>, name: &str) -> Result<RunDir, Failure> {
    Ok(match dir {
        Some(dir) => RunDir::create(Path::new(dir))?,
        None => RunDir::next(name)?,
    })
}

/// Writes the settings before anything is sampled: they are what a run that is killed starts again from.
pub fn begin(dir: &RunDir, settings: &Settings) -> Result<(), Failure> {
    let begun = record(settings).and_then(|record| Ok(dir.write_config(&record)?));
    begun.inspect_err(|_| {
        dir.claim().abandon();
    })
}

/// Samples an experiment, from its beginning or from a checkpoint, and writes its results.
pub fn carry_out(
    experiment: &Experiment,
    prepared: &Prepared,
    dir: &RunDir,
    from: Option<Checkpoint>,
    style: Style,
) -> Result<(), Failure> {
    let run = sample(experiment, prepared, dir, from, style).map_err(|stopped| abandon(dir, stopped))?;
    let written = write_results(dir, prepared, &run);
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
fn write_results(dir: &RunDir, prepared: &Prepared, run: &Run) -> Result<(), StoreError> {
    write_arrays(dir, prepared, run)?;
    write_draws(dir, prepared, run)?;
    write_table(dir, &run.document)?;
    write_weights(dir, prepared, run)?;
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

/// Writes the page and the figures, from the disk as `featherm report` does, so that both give the same; the name of the file to look at.
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
    experiment: &Experiment,
    prepared: &Prepared,
    dir: &RunDir,
    from: Option<Checkpoint>,
    style: Style,
) -> Result<Run, Stopped> {
    // Before the theory, which may take its time: a Ctrl-C there is answered too.
    let mut display = Display::new(Some(dir.claim().clone()), style);
    let job = Job::new(experiment, prepared);
    let mut opened = job.open().map_err(Stopped::Failed)?;
    let origin = Origin::new(experiment, &prepared.problem, &opened.backend.device());
    let from = from.map(|checkpoint| checkpoint.into_state(&origin)).transpose().map_err(Stopped::Refused)?;
    if let Some(note) = &opened.note {
        style.say(note);
    }
    let every = Duration::from_secs_f64(experiment.checkpoint_every);
    let mut keep = |state: &[u8]| Ok(Checkpoint::write(dir, &origin, state)?);
    let checkpoints = Checkpoints { from, every, keep: &mut keep };
    let watch = |state, recorder: &Recorder| display.watch(state, recorder, &experiment.temperatures);
    let result = job.sample(opened.backend.as_mut(), watch, Some(checkpoints));
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
