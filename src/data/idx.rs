//! Folders of IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.
//!
//! A folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, for test points,
//! `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`; each may end in `.gz`, and `.idx` may
//! stand for `-idx`. A file is big-endian: two zero bytes, the type (8: unsigned bytes), the rank,
//! one 32-bit size per axis, then the bytes (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of
//! handwritten digits").

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::DataError;
use super::files::{malformed, open, read_body};
use super::select::{Images, Source};

/// Whether the folder holds IDX training images.
pub(super) fn is_in(folder: &Path) -> bool {
    find(folder, "train-images", 3).is_ok()
}

/// Reads the training files and, if asked for, the test files.
///
/// # Errors
/// [`DataError`] naming the file that is missing, is not whole or does not fit its companions.
pub(super) fn load(folder: &Path, name: &str, with_test: bool) -> Result<Source, DataError> {
    let (train_file, size, train) = images(folder, "train")?;
    let test = if with_test {
        let (file, test_size, test) = images(folder, "t10k")?;
        if test_size != size {
            let ([a, b], [c, d]) = (test_size, size);
            let problem = format!("holds images of {a}×{b} pixels, but those of {} are {c}×{d}", train_file.display());
            return Err(malformed(&file, problem));
        }
        test
    } else {
        Images::default()
    };
    let dimension = size.into_iter().map(|n| n as usize).product();
    Ok(Source { name: format!("{name} ({})", folder.display()), dimension, train, test: Some(test) })
}

/// The images of `part` with their labels, the file they come from, and the size of one.
fn images(folder: &Path, part: &str) -> Result<(PathBuf, [u32; 2], Images), DataError> {
    let file = find(folder, &format!("{part}-images"), 3)?;
    let Idx { sizes: [count, rows, columns], body: pixels } = parse(open(&file)?, &file)?;
    if rows == 0 || columns == 0 {
        return Err(malformed(&file, format!("its header announces images of {rows}×{columns} pixels")));
    }
    let label_file = find(folder, &format!("{part}-labels"), 1)?;
    let Idx { sizes: [label_count], body: labels } = parse(open(&label_file)?, &label_file)?;
    if label_count != count {
        let problem = format!("holds {label_count} labels for the {count} images of {}", file.display());
        return Err(malformed(&label_file, problem));
    }
    Ok((file, [rows, columns], Images { pixels, labels }))
}

/// The file of a stem under any of its usual names.
fn find(folder: &Path, stem: &str, rank: usize) -> Result<PathBuf, DataError> {
    let names = ["-", "."].map(|dash| ["", ".gz"].map(|end| format!("{stem}{dash}idx{rank}-ubyte{end}")));
    let mut paths = names.as_flattened().iter().map(|name| folder.join(name));
    paths.find(|path| path.is_file()).ok_or_else(|| DataError::Malformed {
        file: folder.into(),
        problem: format!("the folder holds no {}", names.as_flattened().join(" or ")),
        remedy: "put the file there".into(),
    })
}

/// An array of unsigned bytes.
#[derive(Debug)]
pub(super) struct Idx<const RANK: usize> {
    pub sizes: [u32; RANK],
    pub body: Vec<u8>,
}

/// The array that the reader holds from its beginning to its end.
pub(super) fn parse<const RANK: usize>(mut reader: impl Read, file: &Path) -> Result<Idx<RANK>, DataError> {
    let mut word = || {
        let mut bytes = [0u8; 4];
        match reader.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Err(malformed(file, "ends inside its header")),
            Err(source) => Err(DataError::Unreadable { file: file.into(), source }),
        }
    };
    let magic = word()?;
    let expected = [0, 0, 8, RANK as u8];
    if magic != expected {
        let problem = format!("starts with the bytes {magic:02x?}, an IDX file of rank {RANK} with {expected:02x?}");
        return Err(malformed(file, problem));
    }
    let mut sizes = [0; RANK];
    for size in &mut sizes {
        *size = u32::from_be_bytes(word()?);
    }
    let length = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)));
    let length = length.ok_or_else(|| malformed(file, format!("its header announces an array of {sizes:?} bytes")))?;
    Ok(Idx { sizes, body: read_body(reader, length, file)? })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn encode(sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(body);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Three training images of 1×2 pixels and one test image, under four kinds of name.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
        write("train-images-idx3-ubyte", encode(&[3, 1, 2], &[1, 2, 3, 4, 5, 6]));
        write("train-labels-idx1-ubyte.gz", gzip(&encode(&[3], &[7, 8, 7])));
        write("t10k-images.idx3-ubyte.gz", gzip(&encode(&[1, 1, 2], &[9, 9])));
        write("t10k-labels.idx1-ubyte", encode(&[1], &[8]));
        folder
    }

    #[test]
    fn plain_and_gzipped_files_under_either_name_are_read() {
        let folder = folder();
        let source = load(folder.path(), "made up", true).unwrap();
        assert_eq!(source.dimension, 2);
        assert_eq!(source.train, Images { pixels: vec![1, 2, 3, 4, 5, 6], labels: vec![7, 8, 7] });
        assert_eq!(source.test, Some(Images { pixels: vec![9, 9], labels: vec![8] }));
        fs::remove_file(folder.path().join("t10k-labels.idx1-ubyte")).unwrap();
        assert!(load(folder.path(), "made up", false).is_ok(), "test files are not needed without test points");
        let message = load(folder.path(), "made up", true).unwrap_err().to_string();
        assert!(message.contains("holds no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz or"), "{message}");
    }

    #[test]
    fn damaged_files_are_refused_by_name() {
        let images = encode(&[3, 1, 2], &[1, 2, 3, 4, 5, 6]);
        let cut_gzip = {
            let whole = gzip(&images);
            whole[..whole.len() - 4].to_vec()
        };
        for (name, bytes, told) in [
            ("train-images-idx3-ubyte", images[..21].to_vec(), "ends after 5 of the 6 bytes"),
            ("train-images-idx3-ubyte", [&images[..], &[0]].concat(), "goes on after the 6 bytes"),
            ("train-images-idx3-ubyte", gzip(&[&images[..], &[0; 100_000]].concat()), "goes on after the 6 bytes"),
            ("train-images-idx3-ubyte", images[..9].to_vec(), "ends inside its header"),
            ("train-images-idx3-ubyte", vec![], "ends inside its header"),
            ("train-images-idx3-ubyte", cut_gzip, "is whole"),
            ("train-images-idx3-ubyte", encode(&[6], &[0; 6]), "starts with the bytes [00, 00, 08, 01]"),
            ("train-images-idx3-ubyte", encode(&[u32::MAX; 3], &[0; 6]), "announces an array"),
            ("train-images-idx3-ubyte", encode(&[u32::MAX, 1 << 10, 1 << 10], &[0; 6]), "ends after 6 of the"),
            ("train-images-idx3-ubyte", encode(&[3, 0, 2], &[]), "images of 0×2 pixels"),
            ("train-labels-idx1-ubyte", encode(&[2], &[7, 8]), "holds 2 labels for the 3 images"),
            ("t10k-images-idx3-ubyte", encode(&[1, 2, 1], &[9, 9]), "images of 2×1 pixels, but those of"),
        ] {
            let folder = folder();
            fs::write(folder.path().join(name), bytes).unwrap();
            let message = load(folder.path(), "made up", true).unwrap_err().to_string();
            assert!(message.contains(told), "{message:?} does not say {told:?}");
            assert!(message.contains(name) && !message.contains('\n'), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), magic in any::<bool>()) {
            let bytes = if magic { [&[0, 0, 8, 3, 0, 0, 0], &bytes[..]].concat() } else { bytes };
            if let Ok(Idx { sizes, body }) = parse::<3>(&bytes[..], Path::new("arbitrary")) {
                prop_assert_eq!(sizes.iter().map(|&n| n as usize).product::<usize>(), body.len());
                prop_assert_eq!(bytes.len(), 16 + body.len());
            }
        }

        #[test]
        fn only_the_whole_file_is_accepted(sizes in prop::array::uniform3(0u32..5), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&sizes, &vec![1; sizes.iter().product::<u32>() as usize]);
            prop_assert!(parse::<3>(&bytes[..], Path::new("whole")).is_ok());
            prop_assert!(parse::<3>(&bytes[..cut.index(bytes.len())], Path::new("cut")).is_err());
        }
    }
}
