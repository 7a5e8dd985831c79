//! Archives that are read as they were written, damaged, cut and lying.

use ndarray::{Array1, Array2, Array3, array};
use proptest::prelude::*;
use zip::CompressionMethod;

use super::*;

fn written(fill: impl FnOnce(&mut NpzWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
    fill(&mut npz);
    npz.finish().unwrap().into_inner()
}

fn reader(bytes: &[u8]) -> NpzReader<Cursor<&[u8]>> {
    NpzReader::new(Cursor::new(bytes)).unwrap()
}

fn whole<T: ReadableElement>(bytes: &[u8], name: &str) -> Result<ArrayD<T>, NumpyError> {
    reader(bytes).open(name)?.expect("the array is there").read()
}

/// A stack of arrays, with other arrays around it.
fn stack(shape: (usize, usize, usize)) -> (Array3<f64>, Vec<u8>) {
    let (_, rows, columns) = shape;
    let stack = Array3::from_shape_fn(shape, |(k, i, j)| ((k * rows + i) * columns + j) as f64);
    let bytes = written(|npz| {
        npz.array("before", &array![1i64, -2]).unwrap();
        npz.array("stack", &stack).unwrap();
        npz.stream("after", &[3], [[true, false, true]]).unwrap();
    });
    (stack, bytes)
}

proptest! {
    #[test]
    fn arrays_come_back_as_they_were_written(
        (shape, cut) in (0..5usize, 1..7usize, 1..7usize, 0..6usize).prop_map(|(a, b, c, d)| ([a, b, c], d)),
        numbers in proptest::collection::vec(any::<u64>(), 4 * 6 * 6),
    ) {
        let length: usize = shape.iter().product();
        let floats: Vec<f64> = numbers[..length].iter().map(|&x| f64::from_bits(x)).collect();
        let integers: Vec<i64> = numbers[..length].iter().map(|&x| x as i64).collect();
        let singles: Vec<f32> = numbers[..length].iter().map(|&x| f32::from_bits(x as u32)).collect();
        let parts = integers.split_at(cut.min(length));
        let bytes = written(|npz| {
            npz.array("floats", &Array3::from_shape_vec(shape, floats.clone()).unwrap()).unwrap();
            npz.stream("integers", &shape, [parts.0, parts.1]).unwrap();
            npz.stream("singles", &shape, singles.chunks(5)).unwrap();
        });
        let npz = reader(&bytes);
        prop_assert_eq!(npz.names().collect::<Vec<_>>(), ["floats", "integers", "singles"]);
        let bits = |array: ArrayD<f64>| array.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let found = whole::<f64>(&bytes, "floats").unwrap();
        prop_assert_eq!(found.shape(), &shape);
        prop_assert_eq!(bits(found), floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        prop_assert_eq!(whole::<i64>(&bytes, "integers").unwrap().into_raw_vec_and_offset().0, integers);
        let found = whole::<f32>(&bytes, "singles").unwrap();
        prop_assert!(found.iter().zip(&singles).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn damaged_archives_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (_, mut bytes) = stack((3, 2, 2));
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |at| at.index(bytes.len())));
        if let Ok(mut npz) = NpzReader::new(Cursor::new(&bytes)) {
            let _ = npz.slice::<f64>("stack", Some(1), &[2, 2]);
            let _ = npz.open("stack").map(|npy| npy.map(|npy| npy.read::<f64>()));
        }
    }
}

/// As `numpy.savez` of the same arrays has them (NumPy 2.2): the names, and the first bytes of an
/// array.
#[test]
fn arrays_are_laid_out_as_numpy_does() {
    let bytes = written(|npz| npz.array("a", &array![[1.0, 2.0, 3.0]]).unwrap());
    let header = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3)";
    let at = bytes.windows(header.len()).position(|window| window == header).expect("the header is there");
    assert_eq!(bytes[at + 128..][..24], [1.0f64, 2.0, 3.0].map(f64::to_le_bytes).concat()[..]);
    assert!(bytes.windows(5).any(|window| window == b"a.npy"));
}

#[test]
fn slices_are_the_parts_of_the_whole_array_compressed_or_not() {
    let (stack, bytes) = stack((5, 3, 2));
    let mut compressed = ndarray_npy::NpzWriter::new_with_options(
        Cursor::new(Vec::new()),
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated),
    );
    compressed.add_array("stack", &stack).unwrap();
    let compressed = compressed.finish().unwrap().into_inner();
    for bytes in [&bytes, &compressed] {
        let read = whole::<f64>(bytes, "stack").unwrap();
        assert_eq!(read, stack.clone().into_dyn());
        let mut npz = reader(bytes);
        for (at, part) in stack.outer_iter().enumerate() {
            let slice = npz.slice::<f64>("stack", Some(at), &[3, 2]).unwrap().unwrap();
            assert_eq!(slice, part.iter().copied().collect::<Vec<_>>(), "slice {at}");
        }
        assert_eq!(npz.slice::<f64>("stack", None, &[5, 3, 2]).unwrap().unwrap(), stack.as_slice().unwrap());
        assert!(npz.slice::<f64>("other", Some(0), &[3, 2]).unwrap().is_none());
    }
    let mut npz = reader(&bytes);
    assert_eq!(npz.slice::<i64>("before", None, &[2]).unwrap().unwrap(), [1, -2]);
    assert_eq!(npz.slice::<bool>("after", None, &[3]).unwrap().unwrap(), [true, false, true]);
}

/// A slice of a stack is read without its neighbours: those may lie.
#[test]
fn of_an_uncompressed_array_only_the_slice_is_read() {
    struct Counted<'a>(Cursor<&'a [u8]>, std::rc::Rc<std::cell::Cell<usize>>);
    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.set(self.1.get() + read);
            Ok(read)
        }
    }
    impl Seek for Counted<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let (stack, bytes) = stack((1000, 10, 10));
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let mut npz = NpzReader::new(Counted(Cursor::new(&bytes), count.clone())).unwrap();
    count.set(0);
    let last = npz.slice::<f64>("stack", Some(999), &[10, 10]).unwrap().unwrap();
    assert_eq!(last, stack.outer_iter().next_back().unwrap().iter().copied().collect::<Vec<_>>());
    assert!((800..4096).contains(&count.get()), "{} bytes of {}", count.get(), bytes.len());
}

#[test]
fn what_is_not_there_or_does_not_fit_is_refused_by_name() {
    let (_, bytes) = stack((3, 2, 2));
    let fortran = Array2::from_shape_fn((2, 3), |(i, j)| (i + 2 * j) as f64).reversed_axes();
    let fortran = written(|npz| npz.array("turned", &fortran).unwrap());
    assert_eq!(whole::<f64>(&fortran, "turned").unwrap()[[2, 1]], 5.0);
    let slice = |bytes: &[u8], name: &str, at, shape: &[usize]| {
        reader(bytes).slice::<f64>(name, at, shape).unwrap_err().to_string()
    };
    for (message, told) in [
        (slice(&bytes, "stack", Some(3), &[2, 2]), "stack has shape [3, 2, 2], which does not go with [2, 2]"),
        (slice(&bytes, "stack", Some(0), &[4]), "does not go with [4]"),
        (slice(&bytes, "stack", None, &[2, 2]), "does not go with [2, 2]"),
        (slice(&bytes, "before", None, &[2]), "before is damaged or of another type than is wanted (\"<i8\")"),
        (slice(&fortran, "turned", None, &[3, 2]), "turned is in Fortran order"),
        (NpzReader::new(Cursor::new(b"PK")).unwrap_err().to_string(), "is no npz archive"),
    ] {
        assert!(message.contains(told), "{message:?} does not say {told:?}");
    }
    assert!(std::error::Error::source(&whole::<f32>(&bytes, "stack").unwrap_err()).is_some());
    // An npy file by itself, cut everywhere.
    let mut npy = Vec::new();
    Array1::from_iter((0..4).map(f64::from)).write_npy(&mut npy).unwrap();
    let size = npy.len() as u64;
    let read = |bytes: &[u8]| Npy::new("a", bytes, size).and_then(Npy::read::<f64>);
    assert_eq!(read(&npy).unwrap().len(), 4);
    for end in 0..npy.len() {
        let message = read(&npy[..end]).unwrap_err().to_string();
        assert!(message.starts_with("a has no NumPy header") || message == "a is cut short", "{end}: {message}");
    }
    let longer = Npy::new("a", &*npy, size + 1).and_then(Npy::read::<f64>);
    assert!(matches!(longer, Err(NumpyError::Size { bytes: 33, .. })));
}

#[test]
fn parts_that_are_not_the_shape_are_an_error_and_no_file() {
    for parts in [vec![vec![0.0; 3]], vec![vec![0.0; 3], vec![0.0; 4]], vec![]] {
        let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
        assert!(npz.stream("a", &[2, 3], parts).is_err());
    }
    let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
    npz.stream("a", &[2, 3], vec![vec![0.0; 3], vec![0.0; 3]]).unwrap();
}
