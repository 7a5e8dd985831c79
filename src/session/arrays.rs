//! A run as named arrays: matrices, histograms, the moments of the predictor, and the chains draw
//! by draw.

use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView1, ArrayView2, Axis};

use super::{Run, Solved};
use crate::compare::{Densities, in_input_space};
use crate::model::Problem;
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::Density;
use crate::observables::{ChainSeries, Series, TestSet, entries};
use crate::results::dims::{
    CELL, CHAIN, CLASS, DIRECTION, DRAW, INPUT, OTHER_TRAIN_POINT, TEMPERATURE, TEST_POINT, TRAIN_POINT,
};
use crate::results::{Document, Field, NamedArray, ObservableReport, TemperatureReport, UnitReport};
use crate::sampler::SamplerKind;
use crate::theory::unit::UnitDetails;
use crate::theory::{Prediction, TheoryKind};

impl Run {
    /// Returns what a run knows in arrays, beside its draws; n temperatures, P points, P* test
    /// points. NaN stands for what is not known.
    ///
    /// | name | shape | |
    /// |---|---|---|
    /// | `temperature` | (n) | from hot to cold |
    /// | `class_train`, `class_test` | (P), (P*) | index of the class of every point; not without classes |
    /// | `y_test` | (P*) | labels; not without test points |
    /// | `gram`, `gram_mcse` | (n, P, P) | ⟨G⟩ on the training points, its error from independent blocks of chains |
    /// | `gram_nngp`, `gram_saddle` | (P, P), (n, P, P) | by these theories |
    /// | `readout_weight_vector`, `_mcse`, `_saddle` | (n, N0) | ⟨v w⟩ in input space, its error, and by the saddle point |
    /// | `weight_spectrum` | (n, r) | eigenvalues of ⟨w wᵀ⟩ in the span of the training inputs, from the largest |
    /// | `weight_leading_vector` | (n, N0) | eigenvector of the largest in input space |
    /// | `readout_density`, `_error`, `_grid` | (n, cells) | density of v, its error, and the middles of its cells |
    /// | `weight_density_along_u`, `_error`, `_grid` | (n, cells) | of w·û |
    /// | `predictive_mean`, `predictive_variance`, `_mcse` | (n, P*) | of f over draws |
    ///
    /// Theories that were asked for and have a solution stand beside the samples with their name
    /// behind, as in `gram_single_unit`, `readout_weight_vector_adaptive` with its `_error`,
    /// `readout_density_adaptive` and `predictive_mean_saddle`.
    pub fn arrays(&self) -> Vec<NamedArray> {
        let mut arrays = self.sampled_arrays(&self.solved.problem);
        arrays.extend(self.theory_arrays());
        arrays.extend(histograms(&self.document));
        arrays.extend(predictor(&self.document));
        arrays
    }

    /// Points and labels, and what the samples give.
    fn sampled_arrays(&self, problem: &Problem) -> Vec<NamedArray> {
        let (points, dimension) = (problem.points(), problem.dimension());
        let temperatures = self.document.temperatures.len();
        let mut gram = Array3::from_elem((temperatures, points, points), f64::NAN);
        let mut gram_mcse = gram.clone();
        for (t, blocks) in self.accumulated.gram.iter().enumerate() {
            let (mean, error) = mean_and_error(blocks, points);
            gram.index_axis_mut(Axis(0), t).assign(&mean);
            gram_mcse.index_axis_mut(Axis(0), t).assign(&error);
        }
        let mut vector = Array2::from_elem((temperatures, dimension), f64::NAN);
        let mut vector_mcse = vector.clone();
        for (t, tallies) in self.accumulated.units.iter().enumerate() {
            if let Some((mean, error)) = in_input_space(tallies, problem) {
                vector.row_mut(t).assign(&Array1::from(mean));
                vector_mcse.row_mut(t).assign(&Array1::from(error));
            }
        }
        let mut spectrum = Array2::from_elem((temperatures, problem.rank()), f64::NAN);
        let mut leading = Array2::from_elem((temperatures, dimension), f64::NAN);
        for (t, at) in self.document.temperatures.iter().enumerate() {
            if let Some(found) = &at.signatures.weight_spectrum {
                spectrum.row_mut(t).assign(&ArrayView1::from(&found.eigenvalues));
                leading.row_mut(t).assign(&Array1::from(problem.in_input_space(&found.leading_direction)));
            }
        }
        let classes = |of_point: &[usize]| of_point.iter().map(|&class| class as i64).collect::<Array1<i64>>();
        let temperature: Array1<f64> = self.document.temperatures.iter().map(|t| t.temperature).collect();
        let mut arrays = vec![NamedArray::new("temperature", &[TEMPERATURE], temperature)];
        if problem.classes() > 0 {
            arrays.push(NamedArray::new("class_train", &[TRAIN_POINT], classes(&problem.class_train)));
        }
        if problem.test_points() > 0 {
            arrays.push(NamedArray::new("y_test", &[TEST_POINT], Array1::from(problem.y_test.clone())));
            if problem.classes() > 0 {
                arrays.push(NamedArray::new("class_test", &[TEST_POINT], classes(&problem.class_test)));
            }
        }
        let pairs = [TEMPERATURE, TRAIN_POINT, OTHER_TRAIN_POINT];
        arrays.extend([
            NamedArray::new("gram", &pairs, gram),
            NamedArray::new("gram_mcse", &pairs, gram_mcse),
            NamedArray::new("readout_weight_vector", &[TEMPERATURE, INPUT], vector),
            NamedArray::new("readout_weight_vector_mcse", &[TEMPERATURE, INPUT], vector_mcse),
            NamedArray::new("weight_spectrum", &[TEMPERATURE, DIRECTION], spectrum),
            NamedArray::new("weight_leading_vector", &[TEMPERATURE, INPUT], leading),
        ]);
        arrays
    }

    /// What follows from the predictions themselves: Gram matrices and ⟨v w⟩.
    fn theory_arrays(&self) -> Vec<NamedArray> {
        let Solved { problem, theory, predictions, .. } = &self.solved;
        let (points, temperatures) = (problem.points(), self.document.temperatures.len());
        let mut nngp = Array2::from_elem((points, points), f64::NAN);
        let mut saddle = Array3::from_elem((temperatures, points, points), f64::NAN);
        let mut vector = Array2::from_elem((temperatures, problem.dimension()), f64::NAN);
        for (t, at) in predictions.iter().enumerate() {
            for (prediction, process) in at.iter().filter_map(|p| Some((p, p.process.as_ref()?))) {
                let gram = theory.gram(prediction);
                let gram = Array2::from_shape_fn((points, points), |(i, j)| gram[(i, j)]);
                match prediction.kind {
                    TheoryKind::Nngp => nngp = gram,
                    _ => {
                        saddle.index_axis_mut(Axis(0), t).assign(&gram);
                        vector.row_mut(t).assign(&ArrayView1::from(&process.readout_weight_vector));
                    }
                }
            }
        }
        let pairs = [TEMPERATURE, TRAIN_POINT, OTHER_TRAIN_POINT];
        let mut arrays = vec![
            NamedArray::new("gram_nngp", &pairs[1..], nngp),
            NamedArray::new("gram_saddle", &pairs, saddle),
            NamedArray::new("readout_weight_vector_saddle", &[TEMPERATURE, INPUT], vector),
        ];
        for kind in TheoryKind::UNITS {
            if !predictions.iter().any(|at| of_unit(at, kind).is_some()) {
                continue;
            }
            let mut grams = Array3::from_elem((temperatures, points, points), f64::NAN);
            for (mut to, at) in grams.outer_iter_mut().zip(predictions) {
                if let Some(unit) = of_unit(at, kind) {
                    to.assign(&Array2::from_shape_fn((points, points), |(i, j)| unit.gram[(i, j)]));
                }
            }
            arrays.push(NamedArray::new(format!("gram_{}", suffix(kind)), &pairs, grams));
        }
        arrays.extend(self.unit_vectors(problem));
        arrays
    }

    /// ⟨v w⟩ of the theories of one unit in input space, and its errors as if those of the rotated
    /// directions were independent.
    fn unit_vectors(&self, problem: &Problem) -> Vec<NamedArray> {
        let mut found = Vec::new();
        for kind in TheoryKind::UNITS {
            let rows = |value: &dyn Fn(&[Estimate]) -> Vec<f64>| {
                let of = |at: &Vec<Prediction>| Some(value(&of_unit(at, kind)?.readout_weight_vector));
                stack(self.solved.predictions.iter().map(of).collect())
            };
            let name = format!("readout_weight_vector_{}", suffix(kind));
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
        known(found, INPUT)
    }
}

/// The name of a theory at the end of an array's name.
fn suffix(kind: TheoryKind) -> String {
    kind.name().replace('-', "_")
}

/// What a theory of one unit says at one temperature.
fn of_unit(predictions: &[Prediction], kind: TheoryKind) -> Option<&UnitDetails> {
    predictions.iter().find(|prediction| prediction.kind == kind)?.unit.as_ref()
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

/// Those that are known somewhere, over temperatures and another dimension.
fn known(found: Vec<(String, Option<Array2<f64>>)>, dimension: &'static str) -> Vec<NamedArray> {
    let array =
        |(name, values): (String, Option<Array2<f64>>)| Some(NamedArray::new(name, &[TEMPERATURE, dimension], values?));
    found.into_iter().filter_map(array).collect()
}

/// The densities of v and of w·û, sampled and of the theories of one unit.
fn histograms(document: &Document) -> Vec<NamedArray> {
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
            found.push((format!("{name}_{}", suffix(kind)), stack(temperatures.iter().map(at).collect())));
        }
    }
    known(found, CELL)
}

/// Mean and variance of f at the test points, sampled and predicted.
fn predictor(document: &Document) -> Vec<NamedArray> {
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
    known(found, TEST_POINT)
}

/// Mean over blocks, and the standard error of that mean from their spread; NaN with fewer than two
/// blocks.
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

/// Some chains of a run, draw by draw.
///
/// Arrays have the dimensions `chain`, `draw` and `temperature`; those of class quantities have
/// `class`, too. They are made one after the other, so that a writer need not hold them all.
#[derive(Clone, Copy)]
pub struct ChainDraws<'a> {
    run: &'a Run,
    problem: &'a Problem,
    series: &'a Series,
    replicas: &'a [usize],
}

impl<'a> ChainDraws<'a> {
    /// The draws of `series`, one of [`Run::recorded`], of the chains `replicas` at every
    /// temperature.
    pub fn new(run: &'a Run, problem: &'a Problem, series: &'a Series, replicas: &'a [usize]) -> Self {
        Self { run, problem, series, replicas }
    }

    /// Draws of every chain.
    pub fn draws(&self) -> usize {
        self.series.draws()
    }

    /// The chains, by their place at a temperature.
    pub fn replicas(&self) -> &'a [usize] {
        self.replicas
    }

    /// Returns the observables, named as in every output; what was not measured in any draw is left
    /// out.
    pub fn posterior(self) -> impl Iterator<Item = NamedArray> + 'a {
        let mut first = 0;
        let entries = entries(&self.problem.class_names, TestSet::of(self.problem));
        entries.into_iter().filter_map(move |entry| {
            let (columns, symbol) = (first..first + entry.members.len(), entry.members[0]);
            first = columns.end;
            let directed = &self.run.directed;
            let values = self.values(entry.array.then_some(columns.len()), |chain, t, draw, k| {
                // Along a û of length zero nothing is measured.
                if symbol.along_u() && !directed[t] { f64::NAN } else { chain.observables[columns.start + k][draw] }
            });
            // Test points are not predicted in warm-up.
            if values.iter().all(|x| x.is_nan()) {
                return None;
            }
            let dims = [CHAIN, DRAW, TEMPERATURE, CLASS];
            let array = NamedArray::new(entry.name, &dims[..values.ndim()], values);
            Some(NamedArray { long_name: Some(symbol.symbol()), ..array })
        })
    }

    /// Returns the sampler's own series: log density, energy, acceptance, step length.
    pub fn sample_stats(self) -> impl Iterator<Item = NamedArray> + 'a {
        type Get = fn(&ChainSeries) -> &[f64];
        const DIMS: [&str; 3] = [CHAIN, DRAW, TEMPERATURE];
        let mut floats: Vec<(&str, Get)> = vec![("lp", |c| &c.log_density), ("acceptance_rate", |c| &c.acceptance)];
        // Without a momentum there is no energy.
        if self.run.document.config.sampler.kind != Some(SamplerKind::Ula) {
            floats.extend([("energy", (|c| &c.energy) as Get), ("energy_error", |c| &c.energy_error)]);
        }
        let floats = floats.into_iter().map(move |(name, get)| {
            NamedArray::new(name, &DIMS, self.values(None, |chain, _, draw, _| get(chain)[draw]))
        });
        let others = (0..3).map(move |k| {
            let Series { steps, step_sizes, .. } = self.series;
            match k {
                0 => NamedArray::new("diverging", &DIMS, self.values(None, |chain, _, draw, _| chain.diverged[draw])),
                1 => NamedArray::new("step_size", &DIMS, self.values(None, |_, t, draw, _| step_sizes[t][draw])),
                _ => {
                    let steps = self.values(None, |_, t, draw, _| i64::from(steps[t][draw]));
                    NamedArray::new("n_steps", &DIMS, steps)
                }
            }
        });
        floats.chain(others)
    }

    /// A value for every chain, draw and temperature, or `classes` of them.
    fn values<T: Clone>(
        &self,
        classes: Option<usize>,
        value: impl Fn(&ChainSeries, usize, usize, usize) -> T,
    ) -> ArrayD<T> {
        let temperatures = self.run.document.temperatures.len();
        let shape = [&[self.replicas.len(), self.draws(), temperatures][..], classes.as_slice()].concat();
        ArrayD::from_shape_fn(shape, |at| {
            let (t, draw) = (at[2], at[1]);
            value(&self.series.at(t)[self.replicas[at[0]]], t, draw, classes.map_or(0, |_| at[3]))
        })
    }
}
