//! What the fuzz targets call: the parsers of data files, fed from memory.

use std::io::Cursor;
use std::path::Path;

use ndarray::{Ix1, Ix2};

use super::select::Images;
use super::{cifar, files, idx, npz};
use crate::host::numpy::Npy;

/// Images and labels, gzipped or not.
pub fn idx(bytes: &[u8]) {
    let file = Path::new("fuzzed");
    let inflated = || files::inflated(bytes, file);
    if let Ok(found) = inflated().and_then(|reader| idx::parse::<3>(reader, file)) {
        assert_eq!(found.sizes.iter().map(|&n| n as usize).product::<usize>(), found.body.len());
    }
    if let Ok(found) = inflated().and_then(|reader| idx::parse::<1>(reader, file)) {
        assert_eq!(found.sizes[0] as usize, found.body.len());
    }
}

pub fn cifar(bytes: &[u8]) {
    let mut images = Images::default();
    if cifar::append(&mut images, bytes, Path::new("fuzzed")).is_ok() {
        assert_eq!(images.labels.len() + images.pixels.len(), bytes.len());
    }
}

/// A whole archive.
pub fn npz(bytes: &[u8]) {
    if let Ok(task) = npz::read(Cursor::new(bytes), Path::new("fuzzed")) {
        assert!(task.x_train.nrows() == task.y_train.len() && task.class_train.len() == task.y_train.len());
        assert!(task.class_train.iter().chain(&task.class_test).all(|&class| class < task.class_names.len()));
    }
}

/// One array of an archive.
pub fn npy(bytes: &[u8]) {
    let open = || Npy::new("fuzzed", bytes, bytes.len() as u64);
    let _ = open().map(|npy| npz::decode::<Ix1>("fuzzed", npy));
    if let Ok(Ok(array)) = open().map(|npy| npz::decode::<Ix2>("fuzzed", npy)) {
        assert!(array.len() <= bytes.len());
    }
}
