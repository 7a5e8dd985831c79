//! `arrays.npz`: what a run knows in arrays, some of them too large for the report.

use super::{ARRAYS, RunDir, StoreError};
use crate::host::numpy::NpzWriter;
use crate::results::Numbers;
use crate::session::Run;

/// Writes every one of [`Run::arrays`] under its name.
///
/// # Errors
/// When the disk refuses.
pub fn write_arrays(dir: &RunDir, run: &Run) -> Result<(), StoreError> {
    let arrays = run.arrays();
    dir.write(ARRAYS, |file| {
        let mut npz = NpzWriter::new(file);
        for array in &arrays {
            match &array.data {
                Numbers::Float(values) => npz.array(&array.name, values)?,
                Numbers::Integer(values) => npz.array(&array.name, values)?,
                Numbers::Boolean(values) => npz.array(&array.name, values)?,
            }
        }
        npz.finish().map(drop)
    })
}
