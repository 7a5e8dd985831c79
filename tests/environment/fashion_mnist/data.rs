//! Fashion-MNIST as it is selected, ordered and standardised.

use featherm::data::{ClassGroup, DataConfig, Folders, Order, Standardize, Teacher, TeacherKind, points};
use featherm::model::Task;
use featherm::remedy::{Remedies, Remedy, Setting};

/// Classes 2 and 4 in the order of the file, standardised globally.
fn images(train: usize, test: usize) -> DataConfig {
    DataConfig {
        source: "fashion-mnist".into(),
        classes: vec![ClassGroup(vec![2]), ClassGroup(vec![4])],
        train: Some(train),
        test: Some(test),
        order: Order::File,
        standardize: Standardize::Global,
        teacher: Teacher { kind: TeacherKind::Linear, dimension: 10, width: 10, degree: 2, noise: 0.0 },
        folders: Folders::default(),
    }
}

/// D² = uᵀKu with the erf kernel K_μν = (2/π) asin(2C_μν/√((1+2C_μμ)(1+2C_νν))), C = XXᵀ/N0: the
/// infinite-width squared distance of the class centroids at λ0 = 1.
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

/// D² of the first 100 points of classes 2 and 4 at infinite width is 0.0316; standardising per
/// feature, or other points, miss it.
pub fn fashion_mnist_gives_the_known_centroid_distance() {
    let fashion = images(100, 50);
    let distance = |config: &DataConfig| infinite_width_centroid_distance_squared(&points(config, 1).unwrap());
    let known = |d: f64| (d - 0.0316).abs() < 5e-5;
    let d = distance(&fashion);
    assert!(known(d), "D² = {d}");
    let per_feature = distance(&DataConfig { standardize: Standardize::PerFeature, ..fashion.clone() });
    let other_points = distance(&DataConfig { order: Order::Seeded, ..fashion.clone() });
    assert!(!known(per_feature) && !known(other_points), "{per_feature}, {other_points}");

    let task = points(&fashion, 1).unwrap();
    assert_eq!((task.x_train.dim(), task.x_test.dim()), ((100, 784), (50, 784)));
    assert_eq!(task.class_names, ["2", "4"]);
    let whole = points(&images(12_000, 2_000), 1).unwrap();
    assert_eq!(whole.y_train.sum() + whole.y_test.sum(), 0.0, "6000 + 1000 images of each class");
    let error = points(&images(12_001, 0), 1).unwrap_err();
    assert_eq!(error.remedies(), [Remedy::lower(Setting::Train).to(12_000)], "{error}");
}
