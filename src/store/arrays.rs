//! `arrays.npz`: the matrices that are too large for the report.

use std::io;

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis};
use ndarray_npy::{NpzWriter, WriteNpzError};

use super::{ARRAYS, RunDir, StoreError};
use crate::compare::in_input_space;
use crate::run::{Prepared, Run};
use crate::theory::Kind;

/// Writes `temperature` (n), `gram` and `gram_mcse` (n, P, P), `gram_nngp` (P, P) and `gram_saddle` (n, P, P): the sampled ⟨G⟩ with
/// its error from independent blocks of chains, and the theories' Gram matrices on the training points; `gram_single_unit` and `gram_adaptive` (n, P, P)
/// where these theories were asked for, NaN at temperatures where they have no solution; `readout_weight_vector`, its standard error
/// `readout_weight_vector_mcse` and the theory's `readout_weight_vector_saddle` (n, N0): ⟨v w⟩ in input space; `weight_spectrum` (n, r), the eigenvalues of
/// ⟨w wᵀ⟩ in the span of the training inputs from the largest, and `weight_leading_vector` (n, N0), the eigenvector of the largest in input space;
/// `class_train` (P), the index of every point's class.
///
/// # Errors
/// When the disk refuses.
pub fn write_arrays(dir: &RunDir, prepared: &Prepared, run: &Run) -> Result<(), StoreError> {
    let points = prepared.problem.points();
    let temperatures = run.document.temperatures.len();
    let mut gram = Array3::from_elem((temperatures, points, points), f64::NAN);
    let mut mcse = gram.clone();
    let mut saddle = gram.clone();
    let mut nngp = Array2::from_elem((points, points), f64::NAN);
    for (t, blocks) in run.accumulated.gram.iter().enumerate() {
        let (mean, error) = mean_and_error(blocks, points);
        gram.index_axis_mut(Axis(0), t).assign(&mean);
        mcse.index_axis_mut(Axis(0), t).assign(&error);
        for prediction in &run.predictions[t] {
            let matrix = prepared.theory.gram(prediction);
            let matrix = Array2::from_shape_fn((points, points), |(i, j)| matrix[(i, j)]);
            match prediction.kind {
                Kind::Nngp => nngp = matrix,
                Kind::Saddle => saddle.index_axis_mut(Axis(0), t).assign(&matrix),
                // Theories of one unit have predictions of their own, below.
                Kind::SingleUnit | Kind::Adaptive => {}
            }
        }
    }
    let units: Vec<(Kind, Array3<f64>)> = (Kind::UNITS.into_iter())
        .filter(|kind| run.units.iter().flatten().any(|prediction| prediction.kind == *kind))
        .map(|kind| {
            let mut grams = Array3::from_elem((temperatures, points, points), f64::NAN);
            for (mut at, predictions) in grams.outer_iter_mut().zip(&run.units) {
                if let Some(prediction) = predictions.iter().find(|prediction| prediction.kind == kind) {
                    at.assign(&Array2::from_shape_fn((points, points), |(i, j)| prediction.gram[(i, j)]));
                }
            }
            (kind, grams)
        })
        .collect();
    let dimension = prepared.problem.dimension();
    let mut vector = Array2::from_elem((temperatures, dimension), f64::NAN);
    let (mut vector_mcse, mut vector_saddle) = (vector.clone(), vector.clone());
    for (t, tallies) in run.accumulated.units.iter().enumerate() {
        if let Some((mean, error)) = in_input_space(tallies, &prepared.problem) {
            vector.row_mut(t).assign(&Array1::from(mean));
            vector_mcse.row_mut(t).assign(&Array1::from(error));
        }
        if let Some(prediction) = run.predictions[t].iter().find(|prediction| prediction.kind == Kind::Saddle) {
            vector_saddle.row_mut(t).assign(&ArrayView1::from(&prediction.readout_weight_correlation));
        }
    }
    let mut spectrum = Array2::from_elem((temperatures, prepared.problem.rank()), f64::NAN);
    let mut leading = Array2::from_elem((temperatures, dimension), f64::NAN);
    for (t, at) in run.document.temperatures.iter().enumerate() {
        if let Some(found) = &at.signatures.weight_spectrum {
            spectrum.row_mut(t).assign(&ArrayView1::from(&found.eigenvalues));
            let vector = &found.leading_direction;
            let component =
                |i: usize| (0..vector.len()).map(|j| prepared.problem.basis[(i, j)] * vector[j]).sum::<f64>();
            leading.row_mut(t).assign(&Array1::from_shape_fn(dimension, component));
        }
    }
    let temperature: Array1<f64> = run.document.temperatures.iter().map(|t| t.temperature).collect();
    let class_train: Array1<i64> = prepared.problem.class_train.iter().map(|&class| class as i64).collect();
    dir.write(ARRAYS, |file| {
        let mut npz = NpzWriter::new(file);
        let mut add = || -> Result<(), WriteNpzError> {
            npz.add_array("temperature", &temperature)?;
            npz.add_array("class_train", &class_train)?;
            npz.add_array("gram", &gram)?;
            npz.add_array("gram_mcse", &mcse)?;
            npz.add_array("gram_nngp", &nngp)?;
            npz.add_array("gram_saddle", &saddle)?;
            npz.add_array("readout_weight_vector", &vector)?;
            npz.add_array("readout_weight_vector_mcse", &vector_mcse)?;
            npz.add_array("readout_weight_vector_saddle", &vector_saddle)?;
            npz.add_array("weight_spectrum", &spectrum)?;
            npz.add_array("weight_leading_vector", &leading)?;
            for (kind, grams) in &units {
                npz.add_array(format!("gram_{}", kind.name().replace('-', "_")), grams)?;
            }
            Ok(())
        };
        add().map_err(io::Error::other)?;
        npz.finish().map(drop).map_err(io::Error::other)
    })
}

/// Mean over blocks, and the standard error of that mean from their spread; NaN with fewer than two blocks.
fn mean_and_error(blocks: &[Vec<f64>], points: usize) -> (Array2<f64>, Array2<f64>) {
    let n = blocks.len() as f64;
    let views: Vec<ArrayView2<f64>> =
        blocks.iter().filter_map(|block| ArrayView2::from_shape((points, points), block).ok()).collect();
    let mut mean = Array2::zeros((points, points));
    views.iter().for_each(|view| mean += view);
    mean /= n;
    let mut error = Array2::zeros((points, points));
    views.iter().for_each(|view| error += &(view - &mean).mapv(|x| x * x));
    error.mapv_inplace(|sum: f64| (sum / (n - 1.0) / n).sqrt());
    (mean, error)
}
