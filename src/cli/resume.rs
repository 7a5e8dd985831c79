//! `featherm resume`: goes on with a run from its directory, from whatever an interruption, a kill
//! or a loss of power left there.

use super::args::{ResumeArgs, setup};
use super::progress::Style;
use super::run::{execute, load_and_check, record};
use super::{Failure, cases, print};
use crate::config::Settings;
use crate::store::{Checkpoint, RunDir};

pub fn resume(arguments: &ResumeArgs) -> Result<(), Failure> {
    let dir = RunDir::open(&arguments.dir)?;
    let settings = Settings::from_toml(&dir.read_config()?, &dir.path().join("config.toml").display().to_string())?;
    if !settings.case.is_empty() {
        return cases::resume(&dir, settings, arguments.draws.as_deref(), arguments.progress);
    }
    resume_run(&dir, settings, arguments.draws.as_deref(), arguments.progress)
}

/// Goes on with one run, with another number of draws if that is wished.
pub fn resume_run(dir: &RunDir, settings: Settings, wish: Option<&str>, progress: Style) -> Result<(), Failure> {
    let name = dir.path().display();
    let mut setup = setup(settings)?;
    let planned = setup.experiment().sampler().draws;
    let draws = wish.map_or(Ok(planned), |wish| draws(wish, planned))?;
    if draws != planned {
        setup = setup.with(|settings| settings.sampler.draws = Some(draws))?;
    }
    if dir.finished(draws).is_some() {
        print(&format!("{name} is finished: {draws} draws are taken; --draws +N takes more\n"));
        return Ok(());
    }
    let checkpoint = Checkpoint::read(dir, &setup)?;
    let problem = load_and_check(&setup, false)?;
    if draws != planned {
        dir.write_config(&record(setup.settings())?)?;
    }
    if checkpoint.is_none() {
        progress.say(&format!("{name} has no checkpoint: the run starts again from its config.toml"));
    }
    execute(&setup, problem, dir, checkpoint, progress)
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
