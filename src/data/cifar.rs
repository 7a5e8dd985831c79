//! Folders of CIFAR-10 binary batches (A. Krizhevsky, "Learning Multiple Layers of Features from
//! Tiny Images", 2009).
//!
//! `data_batch_1.bin` to `data_batch_5.bin` train, `test_batch.bin` tests. A record is one label
//! from 0 to 9, then 3072 pixels: the 32×32 red ones row by row, the green ones, the blue ones.

use std::fs;
use std::path::{Path, PathBuf};

use super::DataError;
use super::files::malformed;
use super::select::{Images, Source};

const DIMENSION: usize = 3 * 32 * 32;
const LABELS: u8 = 10;

fn training_files(folder: &Path) -> [PathBuf; 5] {
    [1, 2, 3, 4, 5].map(|i| folder.join(format!("data_batch_{i}.bin")))
}

/// Whether the folder holds CIFAR-10 training images.
pub(super) fn is_in(folder: &Path) -> bool {
    training_files(folder)[0].is_file()
}

/// Reads the five training batches and, if asked for, the test batch.
///
/// # Errors
/// [`DataError`] naming the batch that is missing or not whole.
pub(super) fn load(folder: &Path, name: &str, with_test: bool) -> Result<Source, DataError> {
    let mut train = Images::default();
    for file in training_files(folder) {
        append(&mut train, &read(&file)?, &file)?;
    }
    let mut test = Images::default();
    if with_test {
        let file = folder.join("test_batch.bin");
        append(&mut test, &read(&file)?, &file)?;
    }
    Ok(Source { name: format!("{name} ({})", folder.display()), dimension: DIMENSION, train, test: Some(test) })
}

fn read(file: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(file).map_err(|source| DataError::Unreadable { file: file.into(), source })
}

/// Appends the records of one batch.
pub(super) fn append(images: &mut Images, bytes: &[u8], file: &Path) -> Result<(), DataError> {
    let (records, rest) = bytes.as_chunks::<{ 1 + DIMENSION }>();
    if records.is_empty() || !rest.is_empty() {
        let problem = format!("is {} bytes long, not a whole number of {}-byte records", bytes.len(), 1 + DIMENSION);
        return Err(malformed(file, problem));
    }
    for (i, [label, pixels @ ..]) in records.iter().enumerate() {
        if *label >= LABELS {
            return Err(malformed(file, format!("record {i} has label {label}, beyond the ten classes")));
        }
        images.labels.push(*label);
        images.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(label: u8) -> Vec<u8> {
        [vec![label], vec![label + 100; DIMENSION]].concat()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (i, file) in training_files(folder.path()).iter().enumerate() {
            fs::write(file, record(i as u8)).unwrap();
        }
        fs::write(folder.path().join("test_batch.bin"), [record(8), record(9)].concat()).unwrap();
        folder
    }

    #[test]
    fn batches_are_read_in_order() {
        let source = load(folder().path(), "made up", true).unwrap();
        assert_eq!(source.dimension, 3072);
        assert_eq!(source.train.labels, [0, 1, 2, 3, 4]);
        assert_eq!(source.train.pixels.len(), 5 * 3072);
        assert!(source.train.pixels.chunks(3072).zip(100..).all(|(image, pixel)| image.iter().all(|&p| p == pixel)));
        assert_eq!(source.test.unwrap().labels, [8, 9]);
    }

    #[test]
    fn damaged_batches_are_refused_by_name() {
        for (name, bytes, told) in [
            (
                "data_batch_3.bin",
                record(1)[..3072].to_vec(),
                "is 3072 bytes long, not a whole number of 3073-byte records",
            ),
            ("data_batch_2.bin", [record(1), vec![0]].concat(), "is 3074 bytes long"),
            ("data_batch_1.bin", vec![], "is 0 bytes long"),
            ("test_batch.bin", [record(1), record(10)].concat(), "record 1 has label 10"),
        ] {
            let folder = folder();
            fs::write(folder.path().join(name), bytes).unwrap();
            let message = load(folder.path(), "made up", true).unwrap_err().to_string();
            assert!(message.contains(told), "{message:?} does not say {told:?}");
            assert!(message.contains(name) && !message.contains('\n'), "{message:?}");
        }
        let folder = folder();
        fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
        let message = load(folder.path(), "made up", false).unwrap_err().to_string();
        assert!(message.contains("data_batch_4.bin") && message.contains("check that the file exists"), "{message}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(length in 0usize..3 * (DIMENSION + 1) + 2, fill in any::<u8>(), first in any::<u8>()) {
            let mut bytes = vec![fill; length];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            let mut images = Images::default();
            let whole = length > 0 && length % (DIMENSION + 1) == 0;
            let labelled = first < LABELS && (length == DIMENSION + 1 || fill < LABELS);
            let accepted = append(&mut images, &bytes, Path::new("arbitrary")).is_ok();
            prop_assert_eq!(accepted, whole && labelled);
        }
    }
}
