//! Labelled points, as a source of data gives them.

use ndarray::{Array1, Array2};

/// Labelled points ready for a network.
#[derive(Debug, Clone)]
pub struct Task {
    /// Where the data came from, for reports.
    pub name: String,
    /// Training inputs, shape (P, N0).
    pub x_train: Array2<f64>,
    /// Training labels, length P.
    pub y_train: Array1<f64>,
    /// Index into `class_names` of every training point.
    pub class_train: Vec<usize>,
    /// Test inputs, shape (P*, N0); P* may be 0.
    pub x_test: Array2<f64>,
    /// Test labels, length P*.
    pub y_test: Array1<f64>,
    /// Index into `class_names` of every test point.
    pub class_test: Vec<usize>,
    /// Original label of every class, in the order the classes were named.
    pub class_names: Vec<String>,
}
