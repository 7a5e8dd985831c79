//! `featherm data`: the data sets that are known by name, and how to get them.

use std::path::PathBuf;

use super::args::{DataCommand, FetchArgs};
use super::{Failure, print};
use crate::data::catalog::{SETS, Set};
use crate::data::{DataError, Folders, find};
use crate::host::directories;

/// The folders of data sets of the user of this process: `$FEATHERM_DATA`, and `featherm` in the
/// directory for data.
pub fn folders() -> Folders {
    let own = std::env::var_os("FEATHERM_DATA").filter(|own| !own.is_empty());
    Folders { own: own.map(PathBuf::from), shared: directories::data().map(|data| data.join("featherm")) }
}

pub fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::List => list(),
        DataCommand::Info { name } => info(set(name)?),
        DataCommand::Fetch(arguments) => fetch(set(&arguments.name)?, arguments),
    }
}

fn set(name: &str) -> Result<&'static Set, Failure> {
    Set::of(name).ok_or_else(|| {
        let known: Vec<_> = SETS.iter().map(|set| set.name).collect();
        Failure::BadInput(format!("there is no data set '{name}' to fetch: choose one of {}", known.join(", ")))
    })
}

fn list() -> Result<(), Failure> {
    print("digits          built in, 8×8 handwritten digits\n");
    for set in &SETS {
        let state = match find(set.name, &folders()) {
            Ok(folder) => format!("found in {}", folder.display()),
            Err(_) => format!("not here; `featherm data fetch {}` ({:.0} MB)", set.name, set.size() as f64 / 1e6),
        };
        print(&format!("{:15} {state}\n", set.name));
    }
    Ok(())
}

fn info(set: &Set) -> Result<(), Failure> {
    print(&format!("{}: {}\n{}\n", set.name, set.about, set.citation));
    for file in set.files {
        print(&format!("{:>11} bytes  {}{}\n            SHA-256 {}\n", file.size, set.mirror, file.name, file.sha256));
    }
    if !set.members.is_empty() {
        print(&format!("unpacked into {}\n", set.kept().join(", ")));
    }
    match find(set.name, &folders()) {
        Ok(folder) => print(&format!("found in {}\n", folder.display())),
        Err(DataError::NotFound { places, .. }) => {
            let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
            print(&format!("not found; looked in {}\n", places.join(", ")));
        }
        Err(error) => return Err(Failure::Failed(error.to_string())),
    }
    Ok(())
}

#[cfg(not(feature = "fetch"))]
fn fetch(set: &Set, _: &FetchArgs) -> Result<(), Failure> {
    let files = set.files.iter().map(|file| file.name).collect::<Vec<_>>().join(", ");
    let place = folders().destination(set.name).map_or("a folder".into(), |p| p.display().to_string());
    Err(Failure::BadInput(format!(
        "this featherm was built without downloads (feature `fetch`): put {files} from {} into {place} by hand",
        set.mirror
    )))
}

#[cfg(feature = "fetch")]
fn fetch(set: &Set, arguments: &FetchArgs) -> Result<(), Failure> {
    use indicatif::{ProgressBar, ProgressStyle};

    use crate::data::fetch::{agent, fetch};

    let mirror = arguments.mirror.as_deref().unwrap_or(set.mirror);
    if !(mirror.starts_with("http://") || mirror.starts_with("https://")) {
        return Err(Failure::BadInput(format!(
            "--mirror {mirror}: give the address of a folder, as in {}",
            set.mirror
        )));
    }
    let no_home = || Failure::BadInput("there is no place for data, for no home directory is known: give --dir".into());
    let folder = match &arguments.dir {
        Some(dir) => dir.join(set.name),
        None => folders().destination(set.name).ok_or_else(no_home)?,
    };
    // Like every bar of indicatif it draws nothing where stderr is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    let fetched = fetch(&agent(), set, mirror, &folder, |file, done| {
        bar.set_length(file.size);
        bar.set_message(file.name);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    fetched.map_err(|error| {
        use crate::data::fetch::FetchError::{CutShort, Disk, TooLong, Unreachable, WrongSum};
        // The message ends with another mirror, or with another folder.
        let flag = match &error {
            Unreachable { .. } | CutShort { .. } | WrongSum { .. } | TooLong { .. } => " with --mirror",
            Disk { .. } => " with --dir",
            _ => "",
        };
        let message = format!("{error}{flag}");
        if error.is_bad_input() { Failure::BadInput(message) } else { Failure::Failed(message) }
    })?;
    print(&format!("{} is in {}\n", set.name, folder.display()));
    let found = find(set.name, &folders());
    if found.as_ref().is_ok_and(|found| *found != folder) && arguments.dir.is_some() || found.is_err() {
        let dir = arguments.dir.as_deref().unwrap_or(&folder).display();
        print(&format!("to use it by name, set FEATHERM_DATA={dir}; or give --data {}\n", folder.display()));
    }
    Ok(())
}
