//! The command line: raw arguments become an `Experiment`, errors become one message and an exit
//! code.

mod args;
mod bench;
mod cache;
mod cases;
mod data;
mod descend;
mod devices;
mod doctor;
mod interrupt;
mod progress;
mod remedies;
mod report;
mod resume;
mod run;
mod scaling;
mod theory;

use std::ffi::OsString;

use clap::Parser;
use serde::Serialize;

use self::args::{Cli, Command};
use self::remedies::with_remedies;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::session::RunError;
use crate::store::StoreError;
use crate::studies::StudyError;

/// Why a command did not end well; each has its exit code.
#[derive(Debug)]
enum Failure {
    /// Exit code 2: nothing was written.
    BadInput(String),
    /// Exit code 1.
    Failed(String),
    /// Exit code 3: the message says what is on disk and whether the run can go on.
    Interrupted(String),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let message = with_remedies(&error);
        Self::BadInput(match error {
            ConfigError::SeveralCases { .. } => {
                format!("{message} with --case NAME, or let `featherm run` take them all")
            }
            _ => message,
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::BadInput(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        StudyError::Run(error).into()
    }
}

impl From<StudyError> for Failure {
    fn from(error: StudyError) -> Self {
        let message = match &error {
            StudyError::Data(DataError::NotFound { name, .. }) => format!("{error}, or `featherm data fetch {name}`"),
            _ => with_remedies(&error),
        };
        match &error {
            StudyError::Run(RunError::Interrupted) => Self::Interrupted(message),
            _ if error.is_bad_input() => Self::BadInput(message),
            _ => Self::Failed(message),
        }
    }
}

/// Runs the command line `arguments`, the first of which is the name of the program, and returns
/// its exit code: 0 done, 1 the run failed, 2 bad input, 3 interrupted.
///
/// Results go to stdout; messages and progress go to stderr. Signals are taken over while a run is
/// under way.
///
/// ```no_run
/// let code = featherm::cli::main_from(["featherm", "theory", "--json"]);
/// assert_eq!(code, 0);
/// ```
pub fn main_from<T: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = T>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // The first paragraph says what is wrong; usage and hints follow it.
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or(&text);
            let line = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            eprintln!("{} (see featherm --help)", one_line(&line));
            return 2;
        }
        Err(help) => {
            // Help and version: a closed pipe is no failure.
            let _ = help.print();
            return 0;
        }
    };
    let result = match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Theory(arguments)) => theory::theory(&arguments),
        Some(Command::Resume(arguments)) => resume::resume(&arguments),
        Some(Command::Report(arguments)) => report::report(&arguments),
        Some(Command::Scaling(arguments)) => scaling::scaling(&arguments),
        Some(Command::Descend(arguments)) => descend::descend(&arguments),
        Some(Command::Bench(command)) => bench::bench(&command),
        Some(Command::Data(command)) => data::data(&command.command),
        Some(Command::Devices) => devices::devices(),
        Some(Command::Doctor) => doctor::doctor(),
    };
    let (code, message) = match result {
        Ok(()) => return 0,
        Err(Failure::Failed(message)) => (1, message),
        Err(Failure::BadInput(message)) => (2, message),
        Err(Failure::Interrupted(message)) => (3, message),
    };
    eprintln!("error: {}", one_line(&message));
    code
}

/// The message with whatever a file or an argument brought in that is no plain text, as an escape
/// sequence of the terminal, written out.
fn one_line(message: &str) -> String {
    let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    message.chars().map(plain).collect()
}

/// Prints a result as JSON: its schema, then its fields.
fn print_json(schema: &str, result: &impl Serialize) -> Result<(), Failure> {
    print(&json(schema, result)?);
    Ok(())
}

/// A result as a JSON document that names its schema.
fn json(schema: &str, result: &impl Serialize) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: &'a str,
        #[serde(flatten)]
        result: &'a T,
    }
    let text = serde_json::to_string_pretty(&Document { schema, result })
        .map_err(|error| Failure::Failed(format!("the result cannot be written as JSON: {error}")))?;
    Ok(format!("{text}\n"))
}

/// Prints a result; a reader that closed the pipe has what it wanted.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
