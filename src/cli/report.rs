//! `featherm report`: the table, the page and the figures of a run from its directory alone; with
//! several runs, the page that compares them.

use std::path::Path;

use super::args::ReportArgs;
use super::remedies::flag;
use super::{Failure, cases, print};
use crate::report::figure::shown_temperature;
use crate::report::page::{Named, overlay, page};
use crate::report::{plots, table};
use crate::results::Document;
use crate::store::{PAGE, StoreError, read_gram, read_report, read_vector, write_overlay, write_page};

/// Where the page that compares runs goes without `--out`.
const OVERLAY: &str = "report-overlay.html";

pub fn report(arguments: &ReportArgs) -> Result<(), Failure> {
    if let [dir] = arguments.dirs.as_slice() {
        if let Some(out) = &arguments.out {
            return Err(Failure::BadInput(format!(
                "--out {} is for the page that compares runs: give at least two directories, or leave it out to write {}",
                out.display(),
                dir.join(PAGE).display()
            )));
        }
        if let Some(settings) = cases::cases(dir) {
            return cases::publish(dir, &settings);
        }
        let document = read_report(dir)?;
        print(&table(&document, flag));
        print(&plots(&document));
        let notes = publish(dir, &document).map_err(|error| Failure::Failed(error.to_string()))?;
        notes.iter().for_each(|note| print(&format!("note: {note}\n")));
        print(&format!("report: {}\n", dir.join(PAGE).display()));
        return Ok(());
    }
    let documents = arguments.dirs.iter().map(|dir| read_report(dir)).collect::<Result<Vec<_>, _>>()?;
    let runs: Vec<Named> = (arguments.dirs.iter().zip(&documents))
        .map(|(dir, document)| Named { name: name(dir, &arguments.dirs), document })
        .collect();
    let out = arguments.out.clone().unwrap_or_else(|| OVERLAY.into());
    write_overlay(&out, &overlay(&runs).html)?;
    print(&format!("report: {}\n", out.display()));
    Ok(())
}

/// Writes the page and the figures of a run from what its directory holds; returns what had to be
/// left out.
///
/// # Errors
/// When the disk refuses.
pub fn publish(dir: &Path, document: &Document) -> Result<Vec<String>, StoreError> {
    let shown = shown_temperature(document).ok_or_else(|| "there are no temperatures".to_string());
    let data = &document.data;
    let gram = shown.clone().and_then(|t| read_gram(dir, t, data.train_points).map_err(|error| error.to_string()));
    let vector = shown.and_then(|t| read_vector(dir, t, data.dimension).map_err(|error| error.to_string()));
    let page = page(document, gram, vector);
    write_page(dir, &page)?;
    Ok(page.notes)
}

/// The last part of a path where that names one run only, else the whole.
fn name(dir: &Path, all: &[std::path::PathBuf]) -> String {
    let last = |dir: &Path| dir.file_name().map(|name| name.to_string_lossy().into_owned());
    match last(dir) {
        Some(name) if all.iter().filter(|other| last(other).as_ref() == Some(&name)).count() == 1 => name,
        _ => dir.display().to_string(),
    }
}
