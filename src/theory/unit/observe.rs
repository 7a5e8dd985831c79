//! From weighted draws of one unit to what a network of such units shows.
//!
//! ```text
//! ⟨G⟩ = ⟨φφᵀ⟩,  D²_ab = ⟨(c_a − c_b)²⟩,  R²_a = ⟨mean_a φ² − c_a²⟩,   c_a = mean of φ over class a
//! ⟨v⟩ = ⟨μ⟩,  ⟨v²⟩ = ⟨μ² + τ⟩,  ⟨v⁴⟩ = ⟨μ⁴ + 6μ²τ + 3τ²⟩,  ⟨v w·û⟩ = ⟨μ w·û⟩,      v | w ~ N(μ, τ)
//! ```
//!
//! v is averaged exactly given w. For odd σ the measure is even under w → −w, v → −v: draws then
//! stand for both signs, so that ⟨v⟩ = 0 exactly and densities are even.

use faer::Mat;
use rayon::prelude::*;

use super::block::Block;
use super::details::{Method, UnitDetails, UnitSolution};
use super::draws::Draws;
use super::error::UnitError;
use super::estimate::{Controls, Estimator, Weights};
use super::measure::{Measure, UnitAction};
use super::reweight::{actions, log_weights, prior_weights, weighted_gram};
use super::vector;
use crate::host::stop::{Stop, Stopped};
use crate::model::class_pairs;
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::{Density, GRID};
use crate::numerics::linalg::{dot, multiply};
use crate::theory::process::Process;
use crate::theory::{Prediction, Theory, TheoryError, TheoryKind};

/// Relative error of ⟨v²⟩ beyond which a prediction is none.
const MOST_ERROR: f64 = 0.05;

/// Numbers of one draw that averages are made of.
struct Row {
    action: UnitAction,
    along: f64,
    log_base: f64,
    /// D² of all pairs, then R² of all classes, of the single unit.
    geometry: Vec<f64>,
    /// The same of the test points; empty without manifolds there.
    tested: Vec<f64>,
}

/// What draws are averaged for at one temperature.
pub(super) struct Observer<'a> {
    theory: &'a Theory,
    stop: &'a Stop,
    /// Infinite width, whose geometry is the prior's.
    prior: Prediction,
    /// û'.
    direction: Vec<f64>,
    /// Reaches of the grids of the densities of v and w·û.
    reaches: [f64; 2],
}

impl<'a> Observer<'a> {
    /// At the temperature of `saddle`, along its û and on its grids.
    ///
    /// # Errors
    /// [`TheoryError`] if there is no prediction at infinite width, or on request to stop.
    pub fn new(theory: &'a Theory, saddle: &Process, stop: &'a Stop) -> Result<Self, TheoryError> {
        let prior = Process::at(theory, TheoryKind::Nngp, saddle.values.temperature, stop)?.values;
        let (direction, reaches) = (saddle.reduced_direction(theory), saddle.details.density_reaches);
        Ok(Self { theory, stop, prior, direction, reaches })
    }

    /// Averages over `draws` under `measure`, some of which may not be finite.
    ///
    /// # Errors
    /// [`Stopped`] on request.
    pub fn observe(&self, kind: TheoryKind, draws: &Draws, measure: &Measure) -> Result<Prediction, Stopped> {
        let Self { theory, stop, prior, direction, reaches: [readout_reach, along_reach] } = self;
        let classes = theory.problem.classes();
        let members = theory.class_members();
        let of_block = |block| {
            stop.check()?;
            Ok(rows(block, measure, members))
        };
        let rows: Vec<Vec<Row>> = draws.blocks.par_iter().map(of_block).collect::<Result<_, _>>()?;
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        let column = |value: &dyn Fn(&Row) -> f64| -> Vec<f64> { rows.iter().map(value).collect() };
        let log = column(&|row| row.log_base + row.action.log_weight());
        let directed = dot(direction, direction) > 0.0;
        let controls =
            draws.from_prior.then(|| controls(theory, measure, prior, direction, &rows)).and_then(Controls::new);
        let estimator = Estimator { weights: Weights::new(&log), groups: draws.groups, controls };
        let mean = |value: &(dyn Fn(&Row) -> f64 + Sync)| {
            stop.check()?;
            Ok(estimator.mean(&column(value)))
        };
        let [centroid_distance_sq_test, gyration_radius_sq_test] = tested(&log, draws, &rows, prior, stop)?;

        let odd = theory.network.activation.is_odd();
        let lambda1 = measure.lambda1;
        let readout = move |row: &Row| row.action.readout(lambda1);
        let geometry = prior.centroid_distance_sq.len() + classes;
        let mut centroid_distance_sq: Vec<Estimate> =
            (0..geometry).into_par_iter().map(|k| mean(&|row| row.geometry[k])).collect::<Result<_, _>>()?;
        let gyration_radius_sq = centroid_distance_sq.split_off(prior.centroid_distance_sq.len());
        let along = |value: &(dyn Fn(&Row) -> f64 + Sync)| directed.then(|| mean(value)).transpose();
        let square = |row: &Row| {
            let (mu, tau) = readout(row);
            mu * mu + tau
        };
        let fourth = |row: &Row| {
            let (mu, tau) = readout(row);
            mu.powi(4) + 6.0 * mu * mu * tau + 3.0 * tau * tau
        };
        let histogram = || histogram(&estimator, &rows, *along_reach, odd, stop);
        let unit = UnitDetails {
            method: if draws.from_prior { Method::Importance } else { Method::Chain },
            effective_fraction: estimator.weights.effective_fraction,
            effective_parameters: None,
            readout_weight_vector: vector::correlation(theory, draws, measure, &estimator.weights, stop)?,
            gram: gram(theory, draws, &estimator.weights, stop)?,
            readout_density: readout_density(&estimator, &rows, *readout_reach, odd, lambda1, stop)?,
            weight_density_along_u: directed.then(histogram).transpose()?,
            solution: UnitSolution::default(),
        };
        Ok(Prediction {
            kind,
            temperature: prior.temperature,
            train_loss: None,
            test_bias_squared: None,
            test_variance: None,
            test_mse: None,
            predictive_mean: Vec::new(),
            predictive_variance: Vec::new(),
            readout_second_moment: mean(&square)?,
            readout_mean: if odd { Estimate::exact(0.0) } else { mean(&|row| readout(row).0)? },
            readout_fourth_moment: Some(mean(&fourth)?),
            readout_weight_correlation: along(&|row| readout(row).0 * row.along)?,
            weight_second_moment_along_u: along(&|row| row.along.powi(2))?,
            weight_fourth_moment_along_u: along(&|row| row.along.powi(4))?,
            centroid_distance_sq,
            gyration_radius_sq,
            centroid_distance_sq_test,
            gyration_radius_sq_test,
            process: None,
            unit: Some(unit),
        })
    }
}

/// Lets a prediction pass where ⟨v²⟩ is known well enough.
///
/// # Errors
/// [`UnitError::Undersampled`] where it is not.
pub(super) fn sampled_well(prediction: Prediction) -> Result<Prediction, TheoryError> {
    let Estimate { value, error } = prediction.readout_second_moment;
    if error > MOST_ERROR * value {
        let Prediction { kind, temperature, .. } = prediction;
        return Err(UnitError::Undersampled { kind, temperature, relative: error / value }.into());
    }
    Ok(prediction)
}

/// D² and R² at the test points. Their own averages under the prior are the controls, so that
/// nothing else depends on whether there are test points.
fn tested(
    log: &[f64],
    draws: &Draws,
    rows: &[Row],
    prior: &Prediction,
    stop: &Stop,
) -> Result<[Vec<Estimate>; 2], Stopped> {
    let known: Vec<f64> = (prior.centroid_distance_sq_test.iter().chain(&prior.gyration_radius_sq_test))
        .map(|estimate| estimate.value)
        .collect();
    let ratio = |row: &Row| row.log_base.exp();
    let controls = draws.from_prior.then(|| {
        let one = rows.iter().map(|row| ratio(row) - 1.0).collect();
        let column =
            |(k, known): (usize, &f64)| rows.iter().map(|row| ratio(row) * (row.tested[k] - known)).collect::<Vec<_>>();
        std::iter::once(one).chain(known.iter().enumerate().map(column)).collect()
    });
    let estimator = Estimator {
        weights: Weights::new(log),
        groups: draws.groups,
        controls: controls.filter(|_| !known.is_empty()).and_then(Controls::new),
    };
    let mean = |k: usize| {
        stop.check()?;
        Ok(estimator.mean(&rows.iter().map(|row| row.tested[k]).collect::<Vec<_>>()))
    };
    let mut distances: Vec<Estimate> = (0..known.len()).into_par_iter().map(mean).collect::<Result<_, _>>()?;
    let radii = distances.split_off(prior.centroid_distance_sq_test.len());
    Ok([distances, radii])
}

/// By how many standard errors ⟨v²⟩ differs between the first and the second half of chains.
///
/// # Errors
/// [`Stopped`] on request.
pub(super) fn drift(draws: &mut Draws, measure: &Measure, stop: &Stop) -> Result<f64, Stopped> {
    let per_trajectory = draws.groups / draws.blocks.first().map_or(1, |block| block.along.len());
    let trajectories = draws.blocks.len() / per_trajectory.max(1);
    let second = draws.blocks.split_off(trajectories / 2 * per_trajectory);
    let second = Draws { blocks: second, groups: draws.groups, from_prior: draws.from_prior };
    let estimate = |half: &Draws| -> Result<Estimate, Stopped> {
        let actions = actions(half, measure, stop)?;
        let weights = Weights::new(&log_weights(half, &actions));
        let moments: Vec<f64> = actions
            .iter()
            .map(|action| {
                let (mu, tau) = action.readout(measure.lambda1);
                mu * mu + tau
            })
            .collect();
        Ok(Estimator { weights, groups: half.groups, controls: None }.mean(&moments))
    };
    let halves = [estimate(draws)?, estimate(&second)?];
    draws.blocks.extend(second.blocks);
    Ok((halves[0].value - halves[1].value).abs() / halves[0].error.hypot(halves[1].error))
}

/// ⟨G⟩, with the draws' own error in the kernel of the prior taken out where it is known.
fn gram(theory: &Theory, draws: &Draws, weights: &Weights, stop: &Stop) -> Result<Mat<f64>, Stopped> {
    let gram = weighted_gram(draws, &weights.values, stop)?;
    if !draws.from_prior {
        return Ok(gram);
    }
    Ok(gram + &theory.kernels.train - weighted_gram(draws, &prior_weights(draws), stop)?)
}

fn rows(block: &Block, measure: &Measure, members: &[Vec<usize>]) -> Vec<Row> {
    let actions = measure.actions_of(block, &mut Mat::new());
    (actions.into_iter().enumerate())
        .map(|(k, action)| {
            let phi = block.features.col(k);
            let (centroids, squares): (Vec<f64>, Vec<f64>) = members
                .iter()
                .map(|members| {
                    let (mut sum, mut squares) = (0.0, 0.0);
                    for &point in members {
                        sum += phi[point];
                        squares += phi[point] * phi[point];
                    }
                    (sum / members.len() as f64, squares / members.len() as f64)
                })
                .unzip();
            let geometry = manifolds(&centroids, &squares);
            let tested: Vec<f64> = (0..block.tested.nrows()).map(|row| block.tested[(row, k)]).collect();
            let (centroids, squares) = tested.split_at(tested.len() / 2);
            let tested = manifolds(centroids, squares);
            Row { action, along: block.along[k], log_base: block.log_base[k], geometry, tested }
        })
        .collect()
}

/// D² of all pairs, then R² of all classes, from the means of φ and φ² over each.
fn manifolds(centroids: &[f64], squares: &[f64]) -> Vec<f64> {
    let distances = class_pairs(centroids.len()).map(|(a, b)| (centroids[a] - centroids[b]).powi(2));
    distances.chain(squares.iter().zip(centroids).map(|(s, c)| s - c * c)).collect()
}

/// Averages under the prior that are known: 1, the geometry, q, m, m², m w·û, and two moments of
/// w·û, each times the ratio of prior to proposal.
fn controls(theory: &Theory, measure: &Measure, prior: &Prediction, direction: &[f64], rows: &[Row]) -> Vec<Vec<f64>> {
    let kernel = &theory.kernels.train;
    let lambda0 = theory.network.lambda0;
    let column = |known: f64, value: &dyn Fn(&Row) -> f64| -> Vec<f64> {
        rows.iter().map(|row| row.log_base.exp() * (value(row) - known)).collect()
    };
    let mut columns = vec![
        rows.iter().map(|row| row.log_base.exp() - 1.0).collect(),
        column(measure.prior_q(kernel), &|row| row.action.q),
        column(measure.prior_m_squared(kernel), &|row| row.action.m.powi(2)),
    ];
    let known = prior.centroid_distance_sq.iter().chain(&prior.gyration_radius_sq);
    columns.extend(known.enumerate().map(|(k, known)| column(known.value, &|row| row.geometry[k])));
    if !theory.network.activation.is_odd() {
        let known = dot(&measure.dual_field, &theory.kernels.mean_train) / measure.scale().sqrt();
        columns.push(column(known, &|row| row.action.m));
    }
    if dot(direction, direction) > 0.0 {
        // E[φ_μ w·û] = d_μ Cov(h_μ, w·û), by Stein's identity.
        let along = multiply(theory.problem.z_train.as_ref(), direction);
        let terms =
            (measure.dual_field.iter().zip(&theory.kernels.derivative_train).zip(&along)).map(|((a, d), x)| a * d * x);
        let known = terms.sum::<f64>() / (lambda0 * measure.scale().sqrt());
        columns.push(column(known, &|row| row.action.m * row.along));
        columns.push(column(1.0 / lambda0, &|row| row.along.powi(2)));
        columns.push(column(3.0 / (lambda0 * lambda0), &|row| row.along.powi(4)));
    }
    columns
}

/// The density of v on a grid: the average of those given w.
fn readout_density(
    estimator: &Estimator,
    rows: &[Row],
    reach: f64,
    even: bool,
    lambda1: f64,
    stop: &Stop,
) -> Result<Density, Stopped> {
    let at = |x: f64, row: &Row| {
        let (mu, tau) = row.action.readout(lambda1);
        (-0.5 * (x - mu).powi(2) / tau).exp() / (std::f64::consts::TAU * tau).sqrt()
    };
    let folded = |x: f64, row: &Row| if even { 0.5 * (at(x, row) + at(-x, row)) } else { at(x, row) };
    density(estimator, rows, reach, &folded, stop)
}

/// The density of w·û: what falls into the cell around each point of the grid.
fn histogram(estimator: &Estimator, rows: &[Row], reach: f64, even: bool, stop: &Stop) -> Result<Density, Stopped> {
    let width = 2.0 * reach / (GRID - 1) as f64;
    let inside = |x: f64, row: &Row| if (row.along - x).abs() < 0.5 * width { 1.0 / width } else { 0.0 };
    let folded = |x: f64, row: &Row| if even { 0.5 * (inside(x, row) + inside(-x, row)) } else { inside(x, row) };
    density(estimator, rows, reach, &folded, stop)
}

fn density(
    estimator: &Estimator,
    rows: &[Row],
    reach: f64,
    value: &(dyn Fn(f64, &Row) -> f64 + Sync),
    stop: &Stop,
) -> Result<Density, Stopped> {
    let grid = Density::points(reach);
    let at = |&x: &f64| {
        stop.check()?;
        Ok(estimator.mean(&rows.iter().map(|row| value(x, row)).collect::<Vec<_>>()))
    };
    let estimates: Vec<Estimate> = grid.par_iter().map(at).collect::<Result<_, _>>()?;
    let (value, error) = estimates.into_iter().map(|e| (e.value, e.error)).unzip();
    Ok(Density { grid, value, error })
}
