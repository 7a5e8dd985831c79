//! Several runs as one: every case of a preset or file in a directory of its own, and the page that
//! lays them over each other.

use std::path::{Path, PathBuf};

use super::args::{RunArgs, resolve, setup};
use super::progress::Style;
use super::resume::{draws, resume_run};
use super::run::{create, execute, load_and_check, record_settings};
use super::{Failure, print};
use crate::config::{Case, Settings, Setup};
use crate::report::page::{Named, overlay};
use crate::report::summary;
use crate::results::Document;
use crate::store::{PAGE, RunDir, read_report, write_page};

/// Runs every case of `settings`, one after the other. Bad input in any of them is found before
/// anything is written.
pub fn run(mut settings: Settings, name: &str, arguments: &RunArgs) -> Result<(), Failure> {
    for case in settings.cases()? {
        let setup = resolve(case.settings)?;
        if arguments.dry_run {
            print(&format!("# {}\n", case.name));
        }
        load_and_check(&setup, arguments.dry_run)?;
    }
    if arguments.dry_run {
        return Ok(());
    }
    let dir = create(settings.output.dir.as_deref(), name)?;
    settings.output.dir = Some(dir.path().display().to_string());
    record_settings(&dir, &settings)?;
    resume_cases(&dir, settings, arguments.progress)
}

/// Goes on with the cases that are not finished; with more draws for all of them if that is wished.
pub fn resume(dir: &RunDir, mut settings: Settings, wish: Option<&str>, progress: Style) -> Result<(), Failure> {
    // The directory may have been moved since.
    settings.output.dir = Some(dir.path().display().to_string());
    if let Some(wish) = wish {
        let planned =
            settings.cases()?.into_iter().map(|case| Ok(Setup::resolve(case.settings)?.experiment().sampler().draws));
        let planned: Vec<usize> = planned.collect::<Result<_, Failure>>()?;
        for (case, planned) in settings.case.iter_mut().zip(planned) {
            case.sampler.draws = Some(draws(wish, planned)?);
        }
        for case in settings.cases()? {
            Setup::resolve(case.settings)?;
        }
        dir.write_config(&super::run::record(&settings)?)?;
    }
    resume_cases(dir, settings, progress)
}

fn resume_cases(dir: &RunDir, settings: Settings, progress: Style) -> Result<(), Failure> {
    let cases = settings.cases()?;
    let count = cases.len();
    for (k, case) in cases.into_iter().enumerate() {
        let name = case.name.clone();
        print(&format!("{}{name}, {} of {count}\n", if k == 0 { "" } else { "\n" }, k + 1));
        run_case(dir, case, progress).map_err(|failure| case_failed(dir, &name, failure))?;
    }
    print("\n");
    publish(dir.path(), &settings)
}

/// Runs a case from where it stands.
fn run_case(dir: &RunDir, case: Case, progress: Style) -> Result<(), Failure> {
    let path = dir.path().join(&case.name);
    let planned = Setup::resolve(case.settings.clone())?.experiment().sampler().draws;
    // A case that was killed before it had written its settings has not begun.
    if path.join("config.toml").is_file() {
        let begun = RunDir::open(&path)?;
        let origin = begun.path().join("config.toml").display().to_string();
        let own = Settings::from_toml(&begun.read_config()?, &origin)?;
        return resume_run(&begun, own, Some(&planned.to_string()), progress);
    }
    let setup = setup(case.settings)?;
    let problem = load_and_check(&setup, false)?;
    let begun = RunDir::create(&path)?;
    record_settings(&begun, setup.settings())?;
    execute(&setup, problem, &begun, None, progress)
}

/// What to say when a case did not end well: the others are safe, and there is one command to go on
/// with them all.
fn case_failed(dir: &RunDir, case: &str, failure: Failure) -> Failure {
    let on = format!("`featherm resume {}` goes on from case {case}", dir.path().display());
    match failure {
        Failure::Interrupted(_) => Failure::Interrupted(format!("interrupted in case {case}; {on}")),
        Failure::Failed(message) => Failure::Failed(format!("case {case}: {message}; {on}")),
        Failure::BadInput(message) => Failure::BadInput(format!("case {case}: {message}")),
    }
}

/// The cases of the settings in a directory; none if it holds a single run, or nothing that can be
/// read.
pub fn cases(dir: &Path) -> Option<Settings> {
    let text = std::fs::read_to_string(dir.join("config.toml")).ok()?;
    Settings::from_toml(&text, "config.toml").ok().filter(|settings| !settings.case.is_empty())
}

/// Prints what the finished cases found and writes the page of them all.
pub fn publish(dir: &Path, settings: &Settings) -> Result<(), Failure> {
    let begun: Vec<(String, PathBuf)> = (settings.cases()?.into_iter())
        .map(|case| (case.name.clone(), dir.join(case.name)))
        .filter(|(_, path)| path.join("report.json").is_file())
        .collect();
    if begun.is_empty() {
        let dir = dir.display();
        return Err(Failure::BadInput(format!("{dir}: no case has a report yet; `featherm resume {dir}` goes on")));
    }
    let documents: Vec<Document> = begun.iter().map(|(_, path)| read_report(path)).collect::<Result<_, _>>()?;
    let runs: Vec<Named> =
        begun.iter().zip(&documents).map(|((name, _), document)| Named { name: name.clone(), document }).collect();
    print(&summary::text(&runs));
    let page = overlay(&runs);
    page.notes.iter().for_each(|note| eprintln!("warning: {note}"));
    write_page(dir, &page).map_err(|error| Failure::Failed(error.to_string()))?;
    print(&format!("report: {}\n", dir.join(PAGE).display()));
    Ok(())
}
