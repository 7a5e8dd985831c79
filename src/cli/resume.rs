//! `featherm resume`: goes on with a run from its directory, from whatever an interruption, a kill or a loss of power left there.

use super::args::ResumeArgs;
use super::progress::Style;
use super::run::{admit, carry_out, record};
use super::{Failure, print, study};
use crate::config::{Experiment, Settings};
use crate::session::Prepared;
use crate::store::{Checkpoint, RunDir};

pub fn resume(arguments: &ResumeArgs) -> Result<(), Failure> {
    let dir = RunDir::open(&arguments.dir)?;
    let settings = Settings::from_toml(&dir.read_config()?, &dir.path().join("config.toml").display().to_string())?;
    if !settings.case.is_empty() {
        return study::resume(&dir, settings, arguments.draws.as_deref(), arguments.progress);
    }
    go_on(&dir, settings, arguments.draws.as_deref(), arguments.progress)
}

/// Goes on with one run, with another number of draws if that is wished.
pub fn go_on(dir: &RunDir, settings: Settings, wish: Option<&str>, progress: Style) -> Result<(), Failure> {
    let name = dir.path().display();
    let mut experiment = Experiment::resolve(settings)?;
    let planned = experiment.sampler.draws;
    if let Some(wish) = wish {
        experiment = with_draws(&experiment, draws(wish, planned)?)?;
    }
    let draws = experiment.sampler.draws;
    if dir.finished(draws).is_some() {
        print(&format!("{name} is finished: {draws} draws are taken; --draws +N takes more\n"));
        return Ok(());
    }
    let checkpoint = Checkpoint::read(dir, &experiment)?;
    let prepared = Prepared::new(&experiment, admit(&experiment, false)?)?;
    if draws != planned {
        dir.write_config(&record(&experiment.settings())?)?;
    }
    if checkpoint.is_none() {
        progress.say(&format!("{name} has no checkpoint: the run starts again from its config.toml"));
    }
    carry_out(&experiment, &prepared, dir, checkpoint, progress)
}

/// The number of draws that `wish` asks for, where `planned` were asked for before.
pub fn draws(wish: &str, planned: usize) -> Result<usize, Failure> {
    let total = match wish.strip_prefix('+') {
        Some(more) => more.parse().ok().and_then(|more| planned.checked_add(more)),
        None => wish.parse().ok(),
    };
    match total {
        Some(total) if total >= planned => Ok(total),
        Some(total) => Err(Failure::BadInput(format!(
            "--draws {wish}: the run was planned with {planned} draws, which is more than {total}; give +N for N more"
        ))),
        None => Err(Failure::BadInput(format!("--draws {wish}: give +N for N draws more, or how many in all"))),
    }
}

/// The same experiment with another number of draws, which must be possible too.
fn with_draws(experiment: &Experiment, draws: usize) -> Result<Experiment, Failure> {
    let mut settings = experiment.settings();
    settings.sampler.draws = Some(draws);
    Ok(Experiment::resolve(settings)?)
}
