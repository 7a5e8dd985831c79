//! From weighted draws of one unit to what a network of such units shows.
//!
//! ```text
//! ⟨G⟩ = ⟨φφᵀ⟩,  D²_ab = ⟨(c_a − c_b)²⟩,  R²_a = ⟨mean_a φ² − c_a²⟩,   c_a = mean of φ over class a
//! ⟨v⟩ = ⟨μ⟩,  ⟨v²⟩ = ⟨μ² + τ⟩,  ⟨v⁴⟩ = ⟨μ⁴ + 6μ²τ + 3τ²⟩,  ⟨v w·û⟩ = ⟨μ w·û⟩,      v | w ~ N(μ, τ)
//! ```
//!
//! v is averaged exactly given w. For odd σ the measure is even under w → −w, v → −v: draws then stand for both signs, so that ⟨v⟩ = 0 exactly and
//! densities are even.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::Method;
use super::draws::{Block, Draws};
use super::estimate::{Controls, Estimator, Weights};
use super::measure::{Measure, Tilt};
use super::vector;
use crate::model::class_pairs;
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::{Density, GRID};
use crate::numerics::linalg::{dot, multiply};
use crate::theory::{Prediction, Theory};

/// Parts into which sums over blocks are split: fixed, so that no result depends on the number of threads.
pub(super) const PARTS: usize = 8;

/// What the measure of one unit says.
pub(super) struct Observed {
    pub method: Method,
    pub effective_fraction: f64,
    pub readout_second_moment: Estimate,
    pub readout_mean: Estimate,
    pub readout_fourth_moment: Estimate,
    pub along: Option<Along>,
    /// ⟨v w⟩ in the rotated basis, (r).
    pub readout_weight_vector: Vec<Estimate>,
    pub centroid_distance_sq: Vec<Estimate>,
    pub gyration_radius_sq: Vec<Estimate>,
    pub centroid_distance_sq_test: Vec<Estimate>,
    pub gyration_radius_sq_test: Vec<Estimate>,
    pub gram: Mat<f64>,
    pub readout_density: Density,
}

/// What is measured along û.
pub(super) struct Along {
    pub correlation: Estimate,
    pub second_moment: Estimate,
    pub fourth_moment: Estimate,
    pub density: Density,
}

/// Numbers of one draw that averages are made of.
struct Row {
    tilt: Tilt,
    along: f64,
    log_base: f64,
    /// D² of all pairs, then R² of all classes, of the single unit.
    geometry: Vec<f64>,
    /// The same of the test points; empty without manifolds there.
    tested: Vec<f64>,
}

/// Tilts of all draws in order.
pub(super) fn tilts(draws: &Draws, measure: &Measure) -> Vec<Tilt> {
    let per_block = draws.blocks.par_iter().map(|block| measure.tilts_of(block, &mut Mat::new()));
    per_block.collect::<Vec<_>>().concat()
}

/// ln of the importance weight of every draw.
pub(super) fn log_weights(draws: &Draws, tilts: &[Tilt]) -> Vec<f64> {
    let base = draws.blocks.iter().flat_map(|block| &block.log_base);
    base.zip(tilts).map(|(base, tilt)| base + tilt.log_weight()).collect()
}

/// Σ_i p_i φ_i φ_iᵀ over all draws.
pub(super) fn weighted_gram(draws: &Draws, weights: &[f64]) -> Mat<f64> {
    let points = draws.blocks.first().map_or(0, |block| block.features.nrows());
    let starts: Vec<usize> = draws
        .blocks
        .iter()
        .scan(0, |next, block| {
            let start = *next;
            *next += block.along.len();
            Some(start)
        })
        .collect();
    let indexed: Vec<(usize, &Block)> = starts.into_iter().zip(&draws.blocks).collect();
    let parts: Vec<Mat<f64>> = indexed
        .par_chunks(indexed.len().div_ceil(PARTS).max(1))
        .map(|part| {
            let mut sum = Mat::zeros(points, points);
            for (start, block) in part {
                let mut scaled = block.features.clone();
                for (column, p) in scaled.col_iter_mut().zip(&weights[*start..]) {
                    column.iter_mut().for_each(|x| *x *= p);
                }
                matmul(
                    sum.as_mut(),
                    BlockStructure::TriangularLower,
                    Accum::Add,
                    scaled.as_ref(),
                    BlockStructure::Rectangular,
                    block.features.transpose(),
                    BlockStructure::Rectangular,
                    1.0,
                    Par::Seq,
                );
            }
            sum
        })
        .collect();
    let mut total: Mat<f64> = Mat::zeros(points, points);
    for part in parts {
        total += part;
    }
    for j in 0..points {
        for i in 0..j {
            total[(i, j)] = total[(j, i)];
        }
    }
    total
}

/// Averages over `draws` under `measure`; `prior` is the prediction at infinite width, whose geometry is the prior's. `direction` is û', and the grids
/// of the densities of v and w·û go as far as `reaches`.
pub(super) fn observe(
    theory: &Theory,
    draws: &Draws,
    measure: &Measure,
    prior: &Prediction,
    direction: &[f64],
    [readout_reach, along_reach]: [f64; 2],
) -> Observed {
    let classes = theory.problem.classes();
    let members = theory.class_members();
    let rows: Vec<Row> = (draws.blocks.par_iter().map(|block| rows(block, measure, members)).collect::<Vec<_>>())
        .into_iter()
        .flatten()
        .collect();
    let column = |value: &dyn Fn(&Row) -> f64| -> Vec<f64> { rows.iter().map(value).collect() };
    let log = column(&|row| row.log_base + row.tilt.log_weight());
    let directed = dot(direction, direction) > 0.0;
    let controls = draws.from_prior.then(|| controls(theory, measure, prior, direction, &rows)).and_then(Controls::new);
    let estimator = Estimator { weights: Weights::new(&log), groups: draws.groups, controls };
    let mean = |value: &(dyn Fn(&Row) -> f64 + Sync)| estimator.mean(&column(value));
    let [centroid_distance_sq_test, gyration_radius_sq_test] = tested(&log, draws, &rows, prior);

    let odd = theory.network.activation.is_odd();
    let lambda1 = measure.lambda1;
    let readout = move |row: &Row| row.tilt.readout(lambda1);
    let geometry = prior.centroid_distance_sq.len() + classes;
    let mut centroid_distance_sq: Vec<Estimate> =
        (0..geometry).into_par_iter().map(|k| mean(&|row| row.geometry[k])).collect();
    let gyration_radius_sq = centroid_distance_sq.split_off(prior.centroid_distance_sq.len());
    let readout_second_moment = mean(&|row| {
        let (mu, tau) = readout(row);
        mu * mu + tau
    });
    let along = directed.then(|| {
        let second_moment = mean(&|row| row.along.powi(2));
        Along {
            correlation: mean(&|row| readout(row).0 * row.along),
            fourth_moment: mean(&|row| row.along.powi(4)),
            density: histogram(&estimator, &rows, along_reach, odd),
            second_moment,
        }
    });
    Observed {
        method: if draws.from_prior { Method::Importance } else { Method::Chain },
        effective_fraction: estimator.weights.effective_fraction,
        readout_mean: if odd { Estimate::exact(0.0) } else { mean(&|row| readout(row).0) },
        readout_fourth_moment: mean(&|row| {
            let (mu, tau) = readout(row);
            mu.powi(4) + 6.0 * mu * mu * tau + 3.0 * tau * tau
        }),
        along,
        readout_weight_vector: vector::correlation(theory, draws, measure, &estimator.weights),
        gram: gram(theory, draws, &estimator.weights),
        readout_density: readout_density(&estimator, &rows, readout_reach, odd, lambda1),
        readout_second_moment,
        centroid_distance_sq,
        gyration_radius_sq,
        centroid_distance_sq_test,
        gyration_radius_sq_test,
    }
}

/// D² and R² at the test points. Their own averages under the prior are the controls, so that nothing else depends on whether there are test points.
fn tested(log: &[f64], draws: &Draws, rows: &[Row], prior: &Prediction) -> [Vec<Estimate>; 2] {
    let known: Vec<f64> =
        prior.centroid_distance_sq_test.iter().chain(&prior.gyration_radius_sq_test).copied().collect();
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
    let mean = |k: usize| estimator.mean(&rows.iter().map(|row| row.tested[k]).collect::<Vec<_>>());
    let mut distances: Vec<Estimate> = (0..known.len()).into_par_iter().map(mean).collect();
    let radii = distances.split_off(prior.centroid_distance_sq_test.len());
    [distances, radii]
}

/// By how many standard errors ⟨v²⟩ differs between the first and the second half of chains.
pub(super) fn drift(draws: &mut Draws, measure: &Measure) -> f64 {
    let per_trajectory = draws.groups / draws.blocks.first().map_or(1, |block| block.along.len());
    let trajectories = draws.blocks.len() / per_trajectory.max(1);
    let second = draws.blocks.split_off(trajectories / 2 * per_trajectory);
    let second = Draws { blocks: second, groups: draws.groups, from_prior: draws.from_prior };
    let halves = [&*draws, &second].map(|half| {
        let tilts = tilts(half, measure);
        let weights = Weights::new(&log_weights(half, &tilts));
        let moments: Vec<f64> = tilts
            .iter()
            .map(|tilt| {
                let (mu, tau) = tilt.readout(measure.lambda1);
                mu * mu + tau
            })
            .collect();
        Estimator { weights, groups: half.groups, controls: None }.mean(&moments)
    });
    draws.blocks.extend(second.blocks);
    (halves[0].value - halves[1].value).abs() / halves[0].error.hypot(halves[1].error)
}

/// ⟨G⟩, with the draws' own error in the kernel of the prior taken out where it is known.
fn gram(theory: &Theory, draws: &Draws, weights: &Weights) -> Mat<f64> {
    let gram = weighted_gram(draws, &weights.values);
    if !draws.from_prior {
        return gram;
    }
    gram + &theory.kernels.train - weighted_gram(draws, &prior_weights(draws))
}

/// Normalised weights that turn the draws into draws of the prior.
pub(super) fn prior_weights(draws: &Draws) -> Vec<f64> {
    let log: Vec<f64> = draws.blocks.iter().flat_map(|block| block.log_base.iter().copied()).collect();
    Weights::new(&log).values
}

fn rows(block: &Block, measure: &Measure, members: &[Vec<usize>]) -> Vec<Row> {
    let tilts = measure.tilts_of(block, &mut Mat::new());
    (tilts.into_iter().enumerate())
        .map(|(k, tilt)| {
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
            Row { tilt, along: block.along[k], log_base: block.log_base[k], geometry, tested }
        })
        .collect()
}

/// D² of all pairs, then R² of all classes, from the means of φ and φ² over each.
fn manifolds(centroids: &[f64], squares: &[f64]) -> Vec<f64> {
    let distances = class_pairs(centroids.len()).map(|(a, b)| (centroids[a] - centroids[b]).powi(2));
    distances.chain(squares.iter().zip(centroids).map(|(s, c)| s - c * c)).collect()
}

/// Averages under the prior that are known: 1, the geometry, q, m, m², m w·û, and two moments of w·û, each times the ratio of prior to proposal.
fn controls(theory: &Theory, measure: &Measure, prior: &Prediction, direction: &[f64], rows: &[Row]) -> Vec<Vec<f64>> {
    let kernel = &theory.kernels.train;
    let lambda0 = theory.network.lambda0;
    let column = |known: f64, value: &dyn Fn(&Row) -> f64| -> Vec<f64> {
        rows.iter().map(|row| row.log_base.exp() * (value(row) - known)).collect()
    };
    let mut columns = vec![
        rows.iter().map(|row| row.log_base.exp() - 1.0).collect(),
        column(measure.prior_q(kernel), &|row| row.tilt.q),
        column(measure.prior_m_squared(kernel), &|row| row.tilt.m.powi(2)),
    ];
    let known = prior.centroid_distance_sq.iter().chain(&prior.gyration_radius_sq);
    columns.extend(known.enumerate().map(|(k, &known)| column(known, &|row| row.geometry[k])));
    if !theory.network.activation.is_odd() {
        let known = dot(&measure.force, &theory.kernels.mean_train) / measure.scale().sqrt();
        columns.push(column(known, &|row| row.tilt.m));
    }
    if dot(direction, direction) > 0.0 {
        // E[φ_μ w·û] = d_μ Cov(h_μ, w·û), by Stein's identity.
        let along = multiply(theory.problem.z_train.as_ref(), direction);
        let pull =
            (measure.force.iter().zip(&theory.kernels.derivative_train).zip(&along)).map(|((a, d), x)| a * d * x);
        let known = pull.sum::<f64>() / (lambda0 * measure.scale().sqrt());
        columns.push(column(known, &|row| row.tilt.m * row.along));
        columns.push(column(1.0 / lambda0, &|row| row.along.powi(2)));
        columns.push(column(3.0 / (lambda0 * lambda0), &|row| row.along.powi(4)));
    }
    columns
}

/// The density of v on a grid: the average of those given w.
fn readout_density(estimator: &Estimator, rows: &[Row], reach: f64, even: bool, lambda1: f64) -> Density {
    let at = |x: f64, row: &Row| {
        let (mu, tau) = row.tilt.readout(lambda1);
        (-0.5 * (x - mu).powi(2) / tau).exp() / (std::f64::consts::TAU * tau).sqrt()
    };
    density(estimator, rows, reach, &|x, row| if even { 0.5 * (at(x, row) + at(-x, row)) } else { at(x, row) })
}

/// The density of w·û: what falls into the cell around each point of the grid.
fn histogram(estimator: &Estimator, rows: &[Row], reach: f64, even: bool) -> Density {
    let width = 2.0 * reach / (GRID - 1) as f64;
    let inside = |x: f64, row: &Row| if (row.along - x).abs() < 0.5 * width { 1.0 / width } else { 0.0 };
    let folded = |x: f64, row: &Row| if even { 0.5 * (inside(x, row) + inside(-x, row)) } else { inside(x, row) };
    density(estimator, rows, reach, &folded)
}

fn density(estimator: &Estimator, rows: &[Row], reach: f64, value: &(dyn Fn(f64, &Row) -> f64 + Sync)) -> Density {
    let grid = Density::points(reach);
    let estimates: Vec<Estimate> =
        (grid.par_iter()).map(|&x| estimator.mean(&rows.iter().map(|row| value(x, row)).collect::<Vec<_>>())).collect();
    let (value, error) = estimates.into_iter().map(|e| (e.value, e.error)).unzip();
    Density { grid, value, error }
}
