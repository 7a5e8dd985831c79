//! Archives made up, damaged and lying.

use std::io::{Cursor, Write};

use ndarray::array;
use ndarray_npy::{NpzWriter, WritableElement};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::data::tests::{classes, config};

type Writer = NpzWriter<Cursor<Vec<u8>>>;

fn archive(compression: CompressionMethod, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(compression);
    let mut npz = NpzWriter::new_with_options(Cursor::new(Vec::new()), options);
    fill(&mut npz);
    npz.finish().unwrap().into_inner()
}

fn add<T: WritableElement, D: Dimension>(npz: &mut Writer, name: &str, array: Array<T, D>) {
    npz.add_array(name, &array).unwrap();
}

/// Four training points and two test points of three classes.
fn problem(npz: &mut Writer) {
    add(npz, "x_train", array![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]);
    add(npz, "y_train", array![0.5, -1.0, 2.0, 0.5]);
    add(npz, "x_test", array![[8.0, 9.0], [10.0, 11.0]]);
    add(npz, "y_test", array![1.9, -3.0]);
}

fn parse(bytes: &[u8]) -> Result<Task, DataError> {
    read(Cursor::new(bytes), Path::new("made-up.npz"))
}

#[test]
fn stored_and_compressed_problems_are_read_as_they_stand() {
    for compression in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let task = parse(&archive(compression, problem)).unwrap();
        assert_eq!(task.x_train, array![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]);
        assert_eq!(task.y_train, array![0.5, -1.0, 2.0, 0.5]);
        assert_eq!(task.x_test, array![[8.0, 9.0], [10.0, 11.0]]);
        assert_eq!(task.y_test, array![1.9, -3.0]);
        assert_eq!(task.class_names, ["+1", "-1"]);
        assert_eq!((task.class_train, task.class_test), (vec![0, 1, 0, 0], vec![0, 1]));
    }
}

#[test]
fn other_types_and_column_order_are_the_same_numbers() {
    let task = parse(&archive(CompressionMethod::Stored, |npz| {
        add(npz, "x_train", array![[0i32, 2], [1, 3]].reversed_axes());
        add(npz, "y_train", array![1i8, -1]);
        add(npz, "x_test", array![[0.25f32, 9.0]]);
        add(npz, "y_test", array![3u16]);
    }))
    .unwrap();
    assert_eq!(task.x_train, array![[0.0, 1.0], [2.0, 3.0]]);
    assert_eq!(task.y_train, array![1.0, -1.0]);
    assert_eq!((task.x_test, task.y_test), (array![[0.25, 9.0]], array![3.0]));
}

#[test]
fn numbered_classes_are_ordered_and_test_points_without_one_go_to_the_nearest_label() {
    let numbered = |npz: &mut Writer| {
        problem(npz);
        add(npz, "class_train", array![7i64, -2, 30, 7]);
    };
    let task = parse(&archive(CompressionMethod::Stored, numbered)).unwrap();
    assert_eq!(task.class_names, ["-2", "7", "30"]);
    assert_eq!((task.class_train, task.class_test), (vec![1, 0, 2, 1], vec![2, 0]));
    let task = parse(&archive(CompressionMethod::Stored, |npz| {
        numbered(npz);
        add(npz, "class_test", array![7u8, 30]);
    }))
    .unwrap();
    assert_eq!(task.class_test, [1, 2], "given classes win over near labels");
}

#[test]
fn subsets_follow_the_order_and_keep_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("problem.npz");
    std::fs::write(&file, archive(CompressionMethod::Stored, problem)).unwrap();
    let with = |train, test, order| load(&file, &DataConfig { train, test, order, ..config("") }, 3);
    let all = with(None, None, Order::Seeded).unwrap();
    assert_eq!((all.y_train, all.y_test), (array![0.5, -1.0, 2.0, 0.5], array![1.9, -3.0]));
    let two = with(Some(2), Some(0), Order::File).unwrap();
    assert_eq!((two.y_train, two.y_test.len()), (array![0.5, -1.0], 0));
    let seeded = with(Some(4), Some(1), Order::Seeded).unwrap();
    assert_eq!((seeded.y_train.len(), seeded.y_test.len()), (4, 1));
    for (train, test, told) in [
        (Some(5), None, "lower --train to at most 4"),
        (None, Some(3), "lower --test to at most 2"),
        (Some(0), None, "at least 1"),
        (Some(1), None, "class -1 has no training point"),
    ] {
        let message = with(train, test, Order::File).unwrap_err().to_string();
        assert!(message.contains(told), "{message:?} does not say {told:?}");
    }
    let message =
        load(&file, &DataConfig { classes: classes(&[&[1], &[2]]), ..config("") }, 3).unwrap_err().to_string();
    assert!(message.contains("leave --classes out"), "{message}");
}

#[test]
fn what_does_not_fit_is_refused_by_array() {
    let x = || array![[0.0, 1.0], [2.0, 3.0]];
    let refuse = |fill: &dyn Fn(&mut Writer)| {
        parse(&archive(CompressionMethod::Stored, |npz| fill(npz))).unwrap_err().to_string()
    };
    let trained = |npz: &mut Writer| {
        add(npz, "x_train", x());
        add(npz, "y_train", array![1.0, -1.0]);
    };
    let given = |x: Array2<f64>, y: Array1<f64>| {
        refuse(&move |npz| {
            add(npz, "x_train", x.clone());
            add(npz, "y_train", y.clone());
        })
    };
    let beside = |name: &'static str, array: ndarray::ArrayD<f64>| {
        refuse(&move |npz| {
            trained(npz);
            add(npz, name, array.clone());
        })
    };
    for (message, told) in [
        (refuse(&|npz| add(npz, "X", x())), "holds no x_train (but [\"X\"])"),
        (refuse(&|npz| add(npz, "x_train", x())), "holds no y_train"),
        (given(x(), array![1.0, -1.0, 1.0]), "y_train has 3 entries, x_train has 2 rows"),
        (given(Array2::zeros((2, 0)), array![1.0, -1.0]), "x_train is empty: 2 rows of 0 columns"),
        (given(Array2::zeros((0, 2)), Array1::zeros(0)), "x_train is empty: 0 rows of 2 columns"),
        (given(array![[0.0, 1.0], [f64::NAN, 3.0]], array![1.0, -1.0]), "NaN or infinity in x_train at (1, 0)"),
        (given(x(), array![1.0, f64::INFINITY]), "NaN or infinity in y_train at 1"),
        (beside("x_test", x().into_dyn()), "one of x_test and y_test without the other"),
        (beside("class_test", Array1::zeros(0).into_dyn()), "class_test without class_train"),
        (beside("class_train", array![0.0].into_dyn()), "class_train has 1 entries, x_train has 2 rows"),
        (beside("class_train", array![0.0, 0.5].into_dyn()), "class_train holds 0.5, which is no class number"),
        (beside("class_train", x().into_dyn()), "class_train has shape [2, 2], not (P)"),
        (refuse(&|npz| add(npz, "x_train", array![true, false])), "x_train has shape [2], not (P, N0)"),
        (refuse(&|npz| add(npz, "x_train", array![[true, false]])), "x_train has type \"|b1\": only float64"),
        (
            refuse(&|npz| {
                trained(npz);
                add(npz, "x_test", array![[1.0]]);
                add(npz, "y_test", array![1.0]);
            }),
            "x_test has 1 columns, x_train 2",
        ),
    ] {
        assert!(message.contains(told) && !message.contains('\n'), "{message:?} does not say {told:?}");
    }
}

/// An archive whose `x_train` has this header text and body.
fn with_header(text: &str, body: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("x_train.npy", SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
    let length = (text.len() as u32 + 1).to_le_bytes();
    zip.write_all(&[b"\x93NUMPY\x02\x00", &length[..], text.as_bytes(), b"\n", body].concat()).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn lying_headers_are_refused_before_anything_is_allocated() {
    let described = |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}");
    let honest = parse(&with_header(&described("(1, 2)"), &[0; 16])).unwrap_err().to_string();
    assert!(honest.contains("holds no y_train"), "{honest}");
    for (text, body) in [
        (described("(1, 2)"), 15),
        (described("(1, 2)"), 17),
        (described("(1152921504606846975, 1)"), 16),
        (described("(4611686018427387904, 4)"), 16),
        (described("(0, 9223372036854775807)"), 0),
        (described("(99999999999999999999999999, 1)"), 16),
        (described("(-1, 2)"), 16),
        (described(&"(".repeat(900)), 16),
        (described(&"(".repeat(500_000)), 16),
        ("{'descr': '<é', 'fortran_order': False, 'shape': (1, 2)}".into(), 16),
        ("{'descr': '<f0', 'fortran_order': False, 'shape': (1, 2)}".into(), 0),
        (String::new(), 0),
    ] {
        let message = parse(&with_header(&text, &vec![0; body])).unwrap_err().to_string();
        let told = message.starts_with("made-up.npz: x_train has ");
        assert!(told && !message.contains('\n'), "{message}");
    }
}

proptest! {
    #[test]
    fn damaged_archives_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = archive(CompressionMethod::Stored, problem);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(parse(&bytes).is_err());
        } else if let Ok(task) = parse(&bytes) {
            prop_assert!(task.x_train.iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn arbitrary_arrays_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [b"\x93NUMPY\x01\x00", &bytes[..]].concat();
        let npy = Npy::new("a", &*bytes, bytes.len() as u64);
        prop_assert!(npy.map_or(true, |npy| decode::<ndarray::Ix2>("a", npy).is_err()));
    }
}
