//! `arrays.npz`: matrices, histograms and the moments of the predictor as arrays, some of them too large for the report.

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis};

use super::{ARRAYS, RunDir, StoreError};
use crate::compare::{Densities, in_input_space};
use crate::host::numpy::NpzWriter;
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::Density;
use crate::results::{Document, Field, ObservableReport, TemperatureReport, UnitReport};
use crate::session::Run;
use crate::theory::unit::UnitDetails;
use crate::theory::{Prediction, TheoryKind};

/// Writes `temperature` (n), `gram` and `gram_mcse` (n, P, P), `gram_nngp` (P, P) and `gram_saddle` (n, P, P): the sampled ⟨G⟩ with
/// its error from independent blocks of chains, and the theories' Gram matrices on the training points; `gram_single_unit` and `gram_adaptive` (n, P, P)
/// where these theories were asked for, NaN at temperatures where they have no solution; `readout_weight_vector`, its standard error
/// `readout_weight_vector_mcse` and the theory's `readout_weight_vector_saddle` (n, N0): ⟨v w⟩ in input space, and `readout_weight_vector_single_unit` and
/// `readout_weight_vector_adaptive` with their errors `*_error` where these theories were asked for; `weight_spectrum` (n, r), the eigenvalues of
/// ⟨w wᵀ⟩ in the span of the training inputs from the largest, and `weight_leading_vector` (n, N0), the eigenvector of the largest in input space;
/// `class_train` (P), the index of every point's class.
///
/// Histograms, each (n, cells): `readout_density` and `weight_density_along_u` with their standard errors `*_error` at the middles `*_grid` of their cells,
/// and `*_single_unit`, `*_adaptive` of these theories where they were asked for. At n temperatures and P* test points, (n, P*): `predictive_mean` and
/// `predictive_variance` over draws of f, their `*_mcse`, and `*_nngp`, `*_saddle` and, where it was asked for, `*_adaptive`; `y_test` and `class_test` (P*). NaN stands for what is not known.
///
/// # Errors
/// When the disk refuses.
pub fn write_arrays(dir: &RunDir, run: &Run) -> Result<(), StoreError> {
    let points = run.solved.problem.points();
    let temperatures = run.document.temperatures.len();
    let mut gram = Array3::from_elem((temperatures, points, points), f64::NAN);
    let mut mcse = gram.clone();
    let mut saddle = gram.clone();
    let mut nngp = Array2::from_elem((points, points), f64::NAN);
    for (t, blocks) in run.accumulated.gram.iter().enumerate() {
        let (mean, error) = mean_and_error(blocks, points);
        gram.index_axis_mut(Axis(0), t).assign(&mean);
        mcse.index_axis_mut(Axis(0), t).assign(&error);
        for prediction in run.solved.predictions[t].iter().filter(|prediction| prediction.process.is_some()) {
            let matrix = run.solved.theory.gram(prediction);
            let matrix = Array2::from_shape_fn((points, points), |(i, j)| matrix[(i, j)]);
            match prediction.kind {
                TheoryKind::Nngp => nngp = matrix,
                _ => saddle.index_axis_mut(Axis(0), t).assign(&matrix),
            }
        }
    }
    let units: Vec<(TheoryKind, Array3<f64>)> = (TheoryKind::UNITS.into_iter())
        .filter(|kind| run.solved.predictions.iter().flatten().any(|prediction| prediction.kind == *kind))
        .map(|kind| {
            let mut grams = Array3::from_elem((temperatures, points, points), f64::NAN);
            for (mut at, predictions) in grams.outer_iter_mut().zip(&run.solved.predictions) {
                if let Some(unit) = of_unit(predictions, kind) {
                    at.assign(&Array2::from_shape_fn((points, points), |(i, j)| unit.gram[(i, j)]));
                }
            }
            (kind, grams)
        })
        .collect();
    let dimension = run.solved.problem.dimension();
    let mut vector = Array2::from_elem((temperatures, dimension), f64::NAN);
    let (mut vector_mcse, mut vector_saddle) = (vector.clone(), vector.clone());
    for (t, tallies) in run.accumulated.units.iter().enumerate() {
        if let Some((mean, error)) = in_input_space(tallies, &run.solved.problem) {
            vector.row_mut(t).assign(&Array1::from(mean));
            vector_mcse.row_mut(t).assign(&Array1::from(error));
        }
        let saddle = run.solved.predictions[t].iter().find(|prediction| prediction.kind == TheoryKind::Saddle);
        if let Some(saddle) = saddle.and_then(|prediction| prediction.process.as_ref()) {
            vector_saddle.row_mut(t).assign(&ArrayView1::from(&saddle.readout_weight_vector));
        }
    }
    let vector_units = unit_vectors(run);
    let mut spectrum = Array2::from_elem((temperatures, run.solved.problem.rank()), f64::NAN);
    let mut leading = Array2::from_elem((temperatures, dimension), f64::NAN);
    for (t, at) in run.document.temperatures.iter().enumerate() {
        if let Some(found) = &at.signatures.weight_spectrum {
            spectrum.row_mut(t).assign(&ArrayView1::from(&found.eigenvalues));
            leading.row_mut(t).assign(&Array1::from(run.solved.problem.in_input_space(&found.leading_direction)));
        }
    }
    let temperature: Array1<f64> = run.document.temperatures.iter().map(|t| t.temperature).collect();
    let more: Vec<(String, Array2<f64>)> =
        vector_units.into_iter().chain(histograms(&run.document)).chain(predictor(&run.document)).collect();
    let y_test = Array1::from(run.solved.problem.y_test.clone());
    let class_test: Array1<i64> = run.solved.problem.class_test.iter().map(|&class| class as i64).collect();
    let class_train: Array1<i64> = run.solved.problem.class_train.iter().map(|&class| class as i64).collect();
    dir.write(ARRAYS, |file| {
        let mut npz = NpzWriter::new(file);
        npz.array("temperature", &temperature)?;
        npz.array("class_train", &class_train)?;
        npz.array("gram", &gram)?;
        npz.array("gram_mcse", &mcse)?;
        npz.array("gram_nngp", &nngp)?;
        npz.array("gram_saddle", &saddle)?;
        npz.array("readout_weight_vector", &vector)?;
        npz.array("readout_weight_vector_mcse", &vector_mcse)?;
        npz.array("readout_weight_vector_saddle", &vector_saddle)?;
        npz.array("weight_spectrum", &spectrum)?;
        npz.array("weight_leading_vector", &leading)?;
        for (kind, grams) in &units {
            npz.array(&format!("gram_{}", kind.name().replace('-', "_")), grams)?;
        }
        if !y_test.is_empty() {
            npz.array("y_test", &y_test)?;
            npz.array("class_test", &class_test)?;
        }
        for (name, array) in &more {
            npz.array(name, array)?;
        }
        npz.finish().map(drop)
    })
}

/// One row per temperature of what is known at some of them; `None` where it is known nowhere.
fn stack(rows: Vec<Option<Vec<f64>>>) -> Option<Array2<f64>> {
    let size = rows.iter().flatten().map(Vec::len).max().filter(|&size| size > 0)?;
    let mut stacked = Array2::from_elem((rows.len(), size), f64::NAN);
    for (mut to, row) in stacked.outer_iter_mut().zip(&rows) {
        if let Some(row) = row.as_ref().filter(|row| row.len() == size) {
            to.assign(&ArrayView1::from(row));
        }
    }
    Some(stacked)
}

/// What a theory of one unit says at one temperature.
fn of_unit(predictions: &[Prediction], kind: TheoryKind) -> Option<&UnitDetails> {
    predictions.iter().find(|prediction| prediction.kind == kind)?.unit.as_ref()
}

/// ⟨v w⟩ of the theories of one unit in input space, and its errors as if those of the rotated directions were independent.
fn unit_vectors(run: &Run) -> Vec<(String, Array2<f64>)> {
    let problem = &run.solved.problem;
    let mut found = Vec::new();
    for kind in TheoryKind::UNITS {
        let rows = |value: &dyn Fn(&[Estimate]) -> Vec<f64>| {
            let at = |at: &Vec<Prediction>| Some(value(&of_unit(at, kind)?.readout_weight_vector));
            stack(run.solved.predictions.iter().map(at).collect())
        };
        let name = format!("readout_weight_vector_{}", kind.name().replace('-', "_"));
        let values = |vector: &[Estimate]| -> Vec<f64> { vector.iter().map(|x| x.value).collect() };
        let error = |vector: &[Estimate], i: usize| {
            let squares = vector.iter().enumerate().map(|(j, x)| (problem.basis[(i, j)] * x.error).powi(2));
            squares.sum::<f64>().sqrt()
        };
        found.push((name.clone(), rows(&|vector| problem.in_input_space(&values(vector)))));
        found.push((
            format!("{name}_error"),
            rows(&|vector| (0..problem.dimension()).map(|i| error(vector, i)).collect()),
        ));
    }
    found.into_iter().filter_map(|(name, values)| Some((name, values?))).collect()
}

/// The densities of v and of w·û, sampled and of the theories of one unit.
fn histograms(document: &Document) -> Vec<(String, Array2<f64>)> {
    type Sampled = fn(&Densities) -> Option<&Density>;
    type Predicted = fn(&UnitReport) -> Option<&Density>;
    let kinds: [(&str, Sampled, Predicted); 2] = [
        ("readout_density", |d| Some(&d.readout), |u| Some(&u.readout_density)),
        ("weight_density_along_u", |d| d.weight_along_u.as_ref(), |u| u.weight_density_along_u.as_ref()),
    ];
    let temperatures = &document.temperatures;
    let mut found = Vec::new();
    for (name, sampled, predicted) in kinds {
        let rows = |part: fn(&Density) -> &[f64]| {
            let at = |t: &TemperatureReport| Some(part(sampled(t.signatures.densities.as_ref()?)?).to_vec());
            stack(temperatures.iter().map(at).collect())
        };
        found.push((name.to_string(), rows(|d| &d.value)));
        found.push((format!("{name}_error"), rows(|d| &d.error)));
        found.push((format!("{name}_grid"), rows(|d| &d.grid)));
        for kind in TheoryKind::UNITS {
            let at = |t: &TemperatureReport| Some(predicted(t.units.get(kind.name())?)?.value.clone());
            let values = stack(temperatures.iter().map(at).collect());
            found.push((format!("{name}_{}", kind.name().replace('-', "_")), values));
        }
    }
    found.into_iter().filter_map(|(name, values)| Some((name, values?))).collect()
}

/// Mean and variance of f at the test points, sampled and predicted.
fn predictor(document: &Document) -> Vec<(String, Array2<f64>)> {
    let mut found = Vec::new();
    for name in ["predictive_mean", "predictive_variance"] {
        let rows = |field: &dyn Fn(&ObservableReport) -> Option<Field>| {
            let numbers = |field: Field| field.values().iter().map(|x| x.unwrap_or(f64::NAN)).collect();
            let at = |t: &TemperatureReport| Some(numbers(field(t.observables.get(name)?)?));
            stack(document.temperatures.iter().map(at).collect())
        };
        found.push((name.to_string(), rows(&|o| Some(o.mean.clone()))));
        found.push((format!("{name}_mcse"), rows(&|o| Some(o.mcse.clone()))));
        for kind in TheoryKind::ALL {
            found.push((format!("{name}_{}", kind.name()), rows(&|o| o.theory.get(kind.name()).cloned())));
        }
    }
    found.into_iter().filter_map(|(name, values)| Some((name, values?))).collect()
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
