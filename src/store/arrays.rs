//! `arrays.npz`: what a run knows in arrays, some of them too large for the report.

use std::io;

use ndarray_npy::{NpzWriter, WriteNpzError};

use super::{ARRAYS, RunDir, StoreError};
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
        let mut add = || -> Result<(), WriteNpzError> {
            for array in &arrays {
                match &array.data {
                    Numbers::Float(values) => npz.add_array(&array.name, values)?,
                    Numbers::Integer(values) => npz.add_array(&array.name, values)?,
                    Numbers::Boolean(values) => npz.add_array(&array.name, values)?,
                }
            }
            Ok(())
        };
        add().map_err(io::Error::other)?;
        npz.finish().map(drop).map_err(io::Error::other)
    })
}
