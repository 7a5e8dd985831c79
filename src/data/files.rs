//! Opens files, gzipped or not, and reads what their headers announce without trusting the
//! announcement.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// A reader of the file's content, inflated where the content, whatever the name, is gzip.
pub(super) fn open(file: &Path) -> Result<Box<dyn Read>, DataError> {
    let opened = File::open(file).map_err(|source| DataError::Unreadable { file: file.into(), source })?;
    inflated(BufReader::new(opened), file)
}

/// What the reader holds, inflated where it is gzip.
pub(super) fn inflated<'a>(mut reader: impl BufRead + 'a, file: &Path) -> Result<Box<dyn Read + 'a>, DataError> {
    let start = reader.fill_buf().map_err(|source| DataError::Unreadable { file: file.into(), source })?;
    Ok(if start.starts_with(GZIP_MAGIC) { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

/// A file that is not what its format says.
pub(super) fn malformed(file: &Path, problem: impl Into<String>) -> DataError {
    DataError::Malformed { file: file.into(), problem: problem.into(), remedy: "fetch the file again".into() }
}

/// The rest of the reader, which must be `expected` bytes.
///
/// At most one byte more is read, and memory grows with what is read: a header may announce
/// anything, a gzip may inflate to anything.
pub(super) fn read_body(reader: impl Read, expected: u64, file: &Path) -> Result<Vec<u8>, DataError> {
    let mut body = Vec::new();
    reader
        .take(expected.saturating_add(1))
        .read_to_end(&mut body)
        .map_err(|source| DataError::Unreadable { file: file.into(), source })?;
    match (body.len() as u64).cmp(&expected) {
        Ordering::Equal => Ok(body),
        Ordering::Less => {
            Err(malformed(file, format!("ends after {} of the {expected} bytes its header announces", body.len())))
        }
        Ordering::Greater => Err(malformed(file, format!("goes on after the {expected} bytes its header announces"))),
    }
}
