//! Tests of the room as a whole, and what its other tests share.

use ndarray::array;
use ndarray_npy::NpzWriter;

use super::*;
use crate::data::{ClassGroup, Order, Standardize, Teacher, TeacherKind};
use crate::remedy::{Remedies, in_words};

/// A configuration without classes, points or standardisation.
pub(super) fn config(source: &str) -> DataConfig {
    DataConfig {
        source: source.into(),
        classes: vec![],
        train: None,
        test: None,
        order: Order::File,
        standardize: Standardize::None,
        teacher: Teacher { kind: TeacherKind::Linear, dimension: 10, width: 10, degree: 2, noise: 0.0 },
        folders: Folders::default(),
    }
}

pub(super) fn classes(groups: &[&[u32]]) -> Vec<ClassGroup> {
    groups.iter().map(|labels| ClassGroup(labels.to_vec())).collect()
}

/// The message of an error with its remedies, settings named as in a library.
pub(super) fn worded(error: &DataError) -> String {
    format!("{error}: {}", in_words(&error.remedies(), |setting| setting.name().into()))
}

fn images(source: &str, labels: [u32; 2], train: usize, test: usize) -> DataConfig {
    DataConfig {
        classes: classes(&[&[labels[0]], &[labels[1]]]),
        train: Some(train),
        test: Some(test),
        standardize: Standardize::Global,
        ..config(source)
    }
}

#[test]
fn digits_are_split_and_standardised() {
    for order in [Order::File, Order::Seeded] {
        let task = points(&DataConfig { order, ..images("digits", [3, 8], 200, 157) }, 5).unwrap();
        assert_eq!((task.x_train.dim(), task.x_test.dim()), ((200, 64), (157, 64)));
        assert_eq!(task.class_names, ["3", "8"]);
        let n = task.x_train.len() as f64;
        assert!((task.x_train.sum() / n).abs() < 1e-12);
        assert!(((&task.x_train * &task.x_train).sum() / n - 1.0).abs() < 1e-12);
        // All 183 + 174 images are used, each once.
        let positive = task.y_train.iter().chain(&task.y_test).filter(|&&y| y == 1.0).count();
        assert_eq!(positive, 183);
        for (y, class) in task.y_train.iter().zip(&task.class_train).chain(task.y_test.iter().zip(&task.class_test)) {
            assert_eq!(*y, if *class == 0 { 1.0 } else { -1.0 });
        }
    }
}

/// Pixels are raw: the first three digits of classes 0 and 1 in the file are its lines 1, 2 and 11.
#[test]
fn digits_without_standardisation_are_raw_pixels() {
    let task = points(&DataConfig { standardize: Standardize::None, ..images("digits", [0, 1], 3, 0) }, 5).unwrap();
    assert_eq!(task.x_train.slice(ndarray::s![0, 2..6]), array![5.0, 13.0, 9.0, 1.0]);
    assert_eq!(task.x_train.slice(ndarray::s![1, 3..6]), array![12.0, 13.0, 5.0]);
    assert_eq!(task.class_train, [0, 1, 0]);
}

#[test]
fn folders_are_recognised_by_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let message = load(&images(path, [0, 1], 2, 0), 1).unwrap_err().to_string();
    assert!(message.contains("holds neither train-images-idx3-ubyte[.gz] nor data_batch_1.bin"), "{message}");
    for i in 1..=5u8 {
        let record = [vec![i % 2], vec![10 * i; 3072]].concat();
        std::fs::write(folder.path().join(format!("data_batch_{i}.bin")), record).unwrap();
    }
    let task = points(&images(path, [0, 1], 2, 0), 1).unwrap();
    assert_eq!(task.x_train.dim(), (2, 3072));
    assert_eq!(task.y_train, array![-1.0, 1.0]);
}

#[test]
fn unknown_sources_are_told_what_there_is() {
    for source in ["", "digit", "teacher:", "teacher:cubic", "/nonexistent/folder"] {
        let message = load(&config(source), 1).unwrap_err().to_string();
        assert!(message.starts_with(&format!("unknown data source `{source}`: use digits, mnist")), "{message}");
    }
    let message = load(&config("/nonexistent/problem.npz"), 1).unwrap_err().to_string();
    assert!(message.starts_with("/nonexistent/problem.npz: ") && message.contains("check that the file exists"));
}

#[test]
fn test_inputs_that_overflow_on_the_way_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("huge.npz");
    let mut npz = NpzWriter::new(std::fs::File::create(&file).unwrap());
    npz.add_array("x_train", &array![[1e-10], [2e-10]]).unwrap();
    npz.add_array("y_train", &array![1.0, -1.0]).unwrap();
    npz.add_array("x_test", &array![[1e300]]).unwrap();
    npz.add_array("y_test", &array![1.0]).unwrap();
    npz.finish().unwrap();
    let config = config(file.to_str().unwrap());
    assert!(load(&config, 1).is_ok());
    let message = worded(&load(&DataConfig { standardize: Standardize::Global, ..config }, 1).unwrap_err());
    let told = "huge.npz, as selected and standardised: x_test has the entry inf in row 0, column 0";
    assert!(message.contains(told) && message.ends_with("change standardize"), "{message}");
}

#[test]
fn label_noise_that_overflows_is_refused() {
    let teacher = Teacher { noise: f64::MAX, ..config("").teacher };
    let config = DataConfig { train: Some(50), teacher, ..config("teacher:linear") };
    let message = worded(&load(&config, 1).unwrap_err());
    assert!(message.contains("y_train has the entry") && message.ends_with("lower teacher_noise"), "{message}");
}
