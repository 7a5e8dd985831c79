//! The run directory: what a run leaves on disk, each file written whole or not at all.

mod arrays;
mod checkpoint;
mod claim;
#[cfg(feature = "zarr")]
mod draws;
mod lock;
#[cfg(feature = "report")]
mod page;
mod stored;
mod table;
mod weights;
#[cfg(feature = "zarr")]
mod zarr;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::host::files::{Durability, is_partial, remove_partials, write_whole};
use crate::results::{Document, SCHEMA};

pub use arrays::write_arrays;
#[cfg(fuzzing)]
pub use checkpoint::fuzz as fuzz_checkpoint;
pub use checkpoint::{Checkpoint, Origin};
pub use claim::{Claim, Remains};
#[cfg(feature = "zarr")]
pub use draws::write_draws;
#[cfg(feature = "report")]
pub use page::{write_descent, write_overlay, write_page};
pub use stored::{read_gram, read_vector};
pub use table::write_table;
pub use weights::write_weights;

use lock::Lock;

const ARRAYS: &str = "arrays.npz";
const CHECKPOINT: &str = "checkpoint";
const CONFIG: &str = "config.toml";
const DRAWS: &str = "draws.zarr";
const REPORT: &str = "report.json";
const TABLE: &str = "table.csv";
const WEIGHTS: &str = "weights.npz";
/// Directory of the figures inside a run directory.
#[cfg(feature = "report")]
const FIGURES: &str = "figures";
/// The report as a page.
pub const PAGE: &str = "report.html";

/// Why a run directory cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{path} is taken: a run needs a directory that is absent or empty; choose another --out or remove it")]
    Occupied { path: PathBuf },
    #[error("cannot write to {path}: {source}; choose a writable --out")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}; give the directory of a finished run")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is not the directory of a run: it holds no config.toml to go on from")]
    NotARun { path: PathBuf },
    #[error("{path} is in use by another featherm: wait until it ends, or interrupt it")]
    InUse { path: PathBuf },
    #[error("{path}: {reason}")]
    Refused { path: PathBuf, reason: String },
    #[error("{path} is not a report of this version of featherm: {reason}")]
    NotAReport { path: PathBuf, reason: String },
    #[error("{path} does not hold the matrices of this run: {reason}")]
    NotArrays { path: PathBuf, reason: String },
    #[error("{path} is there already and is no comparison page of featherm; choose another --out or remove it")]
    NotAnOverlay { path: PathBuf },
}

/// A directory that belongs to one run.
#[derive(Debug)]
pub struct RunDir {
    claim: Claim,
    /// Held as long as the directory is.
    _lock: Lock,
}

impl RunDir {
    /// Whether `path` can become a run directory: it is absent or an empty directory. Nothing is
    /// written. A run that was killed before it had written its configuration has left nothing that
    /// counts.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] when it holds anything or is a file.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        let is_trace = |path: &Path| path.file_name() == Some(lock::LOCK.as_ref()) || is_partial(path);
        let counts = |entry: io::Result<fs::DirEntry>| entry.map_or(true, |entry| !is_trace(&entry.path()));
        match fs::read_dir(path).map(|entries| entries.into_iter().any(counts)) {
            Ok(false) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                Err(StoreError::Unwritable { path: path.into(), source })
            }
            _ => Err(StoreError::Occupied { path: path.into() }),
        }
    }

    /// Takes `path` for a run.
    ///
    /// # Errors
    /// As [`RunDir::check`], and when it cannot be created.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Self::check(path)?;
        let claim = Claim::directory(path).map_err(|source| StoreError::Unwritable { path: path.into(), source })?;
        let dir = Self::lock(claim)?;
        // Between the look and the lock another run may have come and gone.
        if path.join(CONFIG).exists() { Err(StoreError::Occupied { path: path.into() }) } else { Ok(dir) }
    }

    /// Takes up the directory of an earlier run.
    ///
    /// # Errors
    /// When it is none, or another process works there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.join(CONFIG).is_file() {
            return Err(StoreError::NotARun { path: path.into() });
        }
        let dir = Self::lock(Claim::resumed(path))?;
        // A run that came to nothing may just have been cleared away.
        if path.join(CONFIG).is_file() { Ok(dir) } else { Err(StoreError::NotARun { path: path.into() }) }
    }

    fn lock(claim: Claim) -> Result<Self, StoreError> {
        match Lock::take(claim.path()) {
            Ok(lock) => {
                remove_partials(claim.path());
                #[cfg(feature = "report")]
                remove_partials(&claim.path().join(FIGURES));
                Ok(Self { claim, _lock: lock })
            }
            // What is in use by another process must stay; what was only created here goes.
            Err(error @ StoreError::InUse { .. }) => Err(error),
            Err(error) => {
                claim.abandon();
                Err(error)
            }
        }
    }

    /// Takes the first free `runs/<name>-<n>`.
    ///
    /// # Errors
    /// When `runs` cannot be written.
    pub fn next(name: &str) -> Result<Self, StoreError> {
        let parent = Path::new("runs");
        let unwritable = |path: &Path, source| StoreError::Unwritable { path: path.into(), source };
        let mut claim = Claim::directory(parent).map_err(|source| unwritable(parent, source))?;
        let mut n = 1u32;
        loop {
            let path = parent.join(format!("{name}-{n}"));
            // Creation itself is the claim, so two runs started together cannot share a directory.
            match claim.descend(&path) {
                Ok(()) => return Self::lock(claim),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
                Err(source) => {
                    claim.abandon();
                    return Err(unwritable(&path, source));
                }
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.claim.path()
    }

    /// What is to be undone if the run comes to nothing: it can be sent to another thread.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Writes the resolved configuration.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_config(&self, toml: &str) -> Result<(), StoreError> {
        self.write(CONFIG, |file| file.write_all(toml.as_bytes()))
    }

    /// Reads the configuration of the run.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read_config(&self) -> Result<String, StoreError> {
        let path = self.path().join(CONFIG);
        fs::read_to_string(&path).map_err(|source| StoreError::Unreadable { path, source })
    }

    /// The report, if the run in this directory is done: it was written last, of all the draws that
    /// were planned.
    pub fn finished(&self, draws: usize) -> Option<Document> {
        let report = read_report(self.path()).ok()?;
        let whole = !report.interrupted && report.config.sampler.draws == Some(draws);
        let there = self.path().join(DRAWS).is_dir() && [ARRAYS, TABLE].iter().all(|n| self.path().join(n).is_file());
        (whole && there).then_some(report)
    }

    /// Writes `report.json`. It is the mark of a finished run, so it is written last.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_report(&self, document: &Document) -> Result<(), StoreError> {
        self.write(REPORT, |file| {
            serde_json::to_writer_pretty(&mut *file, document)?;
            file.write_all(b"\n")
        })
    }

    /// Writes a result under a temporary name and renames it once it is complete and would survive
    /// a loss of power.
    pub(crate) fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut io::BufWriter<&fs::File>) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        write_whole(self.path(), name, Durability::PowerLoss, fill).map_err(unwritable(self.path(), name))
    }
}

/// The error that a file cannot be written.
fn unwritable(dir: &Path, name: &str) -> impl FnOnce(io::Error) -> StoreError {
    let path = dir.join(name);
    move |source| StoreError::Unwritable { path, source }
}

/// The name of a directory until it is complete.
#[cfg(feature = "zarr")]
fn partial(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.partial"))
}

/// The name of a directory whose place another is taking.
fn replaced(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.replaced"))
}

/// Reads the report of a run directory.
///
/// # Errors
/// [`StoreError`] when there is none, or it is not one of this version.
pub fn read_report(dir: &Path) -> Result<Document, StoreError> {
    let path = dir.join(REPORT);
    let text = fs::read(&path).map_err(|source| StoreError::Unreadable { path: path.clone(), source })?;
    parse_report(&text).map_err(|reason| StoreError::NotAReport { path, reason })
}

/// The report that a text is; the error says why it is none.
///
/// # Errors
/// When it is not JSON, or not of this version's schema.
pub fn parse_report(text: &[u8]) -> Result<Document, String> {
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if document.schema == SCHEMA { Ok(document) } else { Err(format!("its schema is {:?}", document.schema)) }
}
