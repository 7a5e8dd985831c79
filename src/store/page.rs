//! The report page and its figures as files.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use super::{FIGURES, PAGE, RunDir, StoreError, unwritable};
use crate::host::files::{Durability, write_whole};
use crate::report::page::{OVERLAY_MARK, Page};

/// Writes `report.html`, and every figure as SVG and PNG into `figures`. Figures of an earlier
/// report that are not among them stay.
///
/// # Errors
/// When the disk refuses, naming the file.
pub fn write_page(dir: &Path, page: &Page) -> Result<(), StoreError> {
    write(dir, PAGE, page.html.as_bytes())?;
    let figures = dir.join(FIGURES);
    fs::create_dir_all(&figures).map_err(|source| StoreError::Unwritable { path: figures.clone(), source })?;
    for file in &page.files {
        write(&figures, &file.name, &file.bytes)?;
    }
    Ok(())
}

/// Writes what can be made again from the results: there is no wait for the disk.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    write_whole(dir, name, Durability::ProcessEnd, |file| file.write_all(bytes)).map_err(unwritable(dir, name))
}

/// The result of gradient descent and its page.
const DESCENT: &str = "descent.json";
const DESCENT_PAGE: &str = "descent.html";

/// Writes gradient descent into a directory that was taken for it: the figures, `descent.html`, and
/// last `descent.json`. What cannot be written whole is taken back, with the directory.
///
/// # Errors
/// When the disk refuses, naming the file.
pub fn write_descent(dir: &RunDir, json: &str, page: &Page) -> Result<(), StoreError> {
    let mut files: Vec<(&str, &[u8])> = page.files.iter().map(|file| (file.name.as_str(), &*file.bytes)).collect();
    files.extend([(DESCENT_PAGE, page.html.as_bytes()), (DESCENT, json.as_bytes())]);
    for (done, (name, bytes)) in files.iter().enumerate() {
        // The page and its figures are drawn from what `descent.json` holds.
        let durability = if *name == DESCENT { Durability::PowerLoss } else { Durability::ProcessEnd };
        let written = write_whole(dir.path(), name, durability, |file| file.write_all(bytes));
        if let Err(error) = written.map_err(unwritable(dir.path(), name)) {
            for (name, _) in &files[..done] {
                // What cannot be removed is no worse for the attempt.
                let _ = fs::remove_file(dir.path().join(name));
            }
            dir.claim().abandon();
            return Err(error);
        }
    }
    Ok(())
}

/// Writes a page that compares runs. An earlier one is replaced, and nothing else is.
///
/// # Errors
/// [`StoreError::NotAnOverlay`] when something else has that name; when the disk refuses.
pub fn write_overlay(path: &Path, html: &str) -> Result<(), StoreError> {
    let unwritable = |source| StoreError::Unwritable { path: path.into(), source };
    let occupied = || StoreError::NotAnOverlay { path: path.into() };
    match fs::File::open(path) {
        Ok(file) => {
            let mut begin = Vec::new();
            // A directory opens and cannot be read.
            file.take(1024).read_to_end(&mut begin).map_err(|_| occupied())?;
            if !String::from_utf8_lossy(&begin).contains(OVERLAY_MARK) {
                return Err(occupied());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(unwritable(source)),
    }
    let dir = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(occupied)?;
    fs::create_dir_all(dir).map_err(unwritable)?;
    write(dir, name, html.as_bytes())
}
