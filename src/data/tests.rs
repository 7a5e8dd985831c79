//! Tests of the room as a whole, and what its other tests share.

use ndarray::array;
use ndarray_npy::NpzWriter;

use super::*;
use crate::config::{ClassGroup, Order, Standardize, Teacher, TeacherKind};

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
    }
}

pub(super) fn classes(groups: &[&[u32]]) -> Vec<ClassGroup> {
    groups.iter().map(|labels| ClassGroup(labels.to_vec())).collect()
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

/// D² = uᵀKu with the erf kernel K_μν = (2/π) asin(2C_μν/√((1+2C_μμ)(1+2C_νν))), C = XXᵀ/N0: the infinite-width squared distance
/// of the class centroids at λ0 = 1.
fn infinite_width_centroid_distance_squared(task: &Task) -> f64 {
    let c = task.x_train.dot(&task.x_train.t()) / task.x_train.ncols() as f64;
    let size = |class| task.class_train.iter().filter(|&&c| c == class).count() as f64;
    let u: Vec<f64> =
        task.class_train.iter().map(|&class| if class == 0 { 1.0 / size(0) } else { -1.0 / size(1) }).collect();
    c.indexed_iter()
        .map(|((i, j), &c_ij)| {
            let k = 2.0 * c_ij / ((1.0 + 2.0 * c[[i, i]]) * (1.0 + 2.0 * c[[j, j]])).sqrt();
            u[i] * u[j] * k.asin() * std::f64::consts::FRAC_2_PI
        })
        .sum()
}

/// D² of the first 100 points of classes 2 and 4 at infinite width is 0.0316; standardising per feature, or other points, miss it.
#[test]
#[ignore = "needs the Debian package dataset-fashion-mnist"]
fn fashion_mnist_gives_the_known_centroid_distance() {
    let fashion = images("fashion-mnist", [2, 4], 100, 50);
    let distance = |config: &DataConfig| infinite_width_centroid_distance_squared(&load(config, 1).unwrap());
    let known = |d: f64| (d - 0.0316).abs() < 5e-5;
    let d = distance(&fashion);
    assert!(known(d), "D² = {d}");
    let per_feature = distance(&DataConfig { standardize: Standardize::PerFeature, ..fashion.clone() });
    let other_points = distance(&DataConfig { order: Order::Seeded, ..fashion.clone() });
    assert!(!known(per_feature) && !known(other_points), "{per_feature}, {other_points}");

    let task = load(&fashion, 1).unwrap();
    assert_eq!((task.x_train.dim(), task.x_test.dim()), ((100, 784), (50, 784)));
    assert_eq!(task.class_names, ["2", "4"]);
    let whole = load(&images("fashion-mnist", [2, 4], 12_000, 2_000), 1).unwrap();
    assert_eq!(whole.y_train.sum() + whole.y_test.sum(), 0.0, "6000 + 1000 images of each class");
    let message = load(&images("fashion-mnist", [2, 4], 12_001, 0), 1).unwrap_err().to_string();
    assert!(message.contains("lower --train to at most 12000"), "{message}");
}

#[test]
fn digits_are_split_and_standardised() {
    for order in [Order::File, Order::Seeded] {
        let task = load(&DataConfig { order, ..images("digits", [3, 8], 200, 157) }, 5).unwrap();
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
    let task = load(&DataConfig { standardize: Standardize::None, ..images("digits", [0, 1], 3, 0) }, 5).unwrap();
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
    let task = load(&images(path, [0, 1], 2, 0), 1).unwrap();
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
    let message = load(&DataConfig { standardize: Standardize::Global, ..config }, 1).unwrap_err().to_string();
    assert!(message.contains("NaN or infinity in the standardised test inputs at (0, 0)"), "{message}");
}

#[test]
fn label_noise_that_overflows_is_refused() {
    let teacher = Teacher { noise: f64::MAX, ..config("").teacher };
    let config = DataConfig { train: Some(50), teacher, ..config("teacher:linear") };
    let message = load(&config, 1).unwrap_err().to_string();
    assert!(message.contains("NaN or infinity in the training labels at"), "{message}");
}
