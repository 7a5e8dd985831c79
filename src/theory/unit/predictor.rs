//! Predictions of the adaptive theory on test points: the mean output of its units, and what the
//! training points leave of its spread.
//!
//! ```text
//! ⟨f*⟩ = √N1⟨vφ*⟩        Var f* = C_** − C_*ᵀB C_*        C_ab = ⟨v²φ_aφ_b⟩ − ⟨vφ_a⟩⟨vφ_b⟩
//! ```
//!
//! with C_* between training and test points. Where the others' output is no Gaussian along g
//! ([`collective`](super::collective)), C of all three is split as it is there,
//!
//! ```text
//! Var f* = C⊥_** − C⊥_*ᵀB C⊥_* + Var t (e_* − C⊥_*ᵀBe)²        e_* = C_*ᵀg/(gᵀCg)        C⊥_* = C_* − e C_*ᵀg        C⊥_** = C_** − e_*² gᵀCg
//! ```
//!
//! since given t the output is Gaussian. At a training point both are what they are there: y − Ta
//! and T − T²(−∂² ln Z)_μμ. (Derived for this project.)

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::block::{Block, test_features};
use super::draws::Draws;
use super::estimate::Weights;
use super::measure::Measure;
use super::reweight::{PARTS, actions, log_weights, prior_weights};
use crate::host::stop::{Stop, Stopped};
use crate::numerics::linalg::multiply;
use crate::theory::Theory;
use crate::theory::product::sequential_product;

/// Test points whose sums are held at a time.
const TOGETHER: usize = 1024;

/// Bytes of the sums over the draws of one set: those of every part, for two sets of weights.
pub(super) fn memory(points: usize, tests: usize) -> u64 {
    let entries = (points as u64).saturating_mul(tests.min(TOGETHER) as u64);
    entries.saturating_mul((2 * PARTS * 8) as u64)
}

/// The law of the others' output along g.
pub(super) struct Projection {
    /// g.
    pub direction: Vec<f64>,
    /// gᵀCg.
    pub spread: f64,
    /// e.
    pub axis: Vec<f64>,
    /// Var t.
    pub variance: f64,
}

/// ⟨f*⟩ and Var f* of every test point.
pub(super) struct Outputs {
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
}

/// Weighted sums over draws at the test points.
struct Sums {
    /// ⟨vφ*⟩.
    output: Vec<f64>,
    /// ⟨v²φ φ*ᵀ⟩, (P, P*).
    cross: Mat<f64>,
    /// ⟨v²φ*²⟩.
    squares: Vec<f64>,
}

impl Outputs {
    /// From draws under `measure`, and the law of the others' output along g where one field does
    /// not stand for all.
    ///
    /// # Errors
    /// [`Stopped`] on request.
    pub fn new(
        theory: &Theory,
        draws: &Draws,
        measure: &Measure,
        projection: Option<&Projection>,
        temperature: f64,
        stop: &Stop,
    ) -> Result<Self, Stopped> {
        let mut found = Self { mean: Vec::new(), variance: Vec::new() };
        let actions = actions(draws, measure, stop)?;
        let Weights { values, .. } = Weights::new(&log_weights(draws, &actions));
        let readouts: Vec<(f64, f64)> = actions.iter().map(|action| action.readout(measure.lambda1)).collect();
        let means: Vec<f64> = values.iter().zip(&readouts).map(|(p, (mu, _))| p * mu).collect();
        let squares: Vec<f64> = values.iter().zip(&readouts).map(|(p, (mu, tau))| p * (mu * mu + tau)).collect();
        let second_moment: f64 = squares.iter().sum();
        let prior = if draws.from_prior { prior_weights(draws) } else { Vec::new() };
        let mut weights = vec![[means.as_slice(), squares.as_slice()]];
        weights.extend(draws.from_prior.then_some([prior.as_slice(); 2]));
        let field = InField { theory, measure, projection, second_moment, temperature };
        let tests = theory.problem.test_points();
        for start in (0..tests).step_by(TOGETHER) {
            let rows = start..tests.min(start + TOGETHER);
            let mut sums = Sums::over(theory, draws, &weights, &rows, stop)?;
            let drawn = if draws.from_prior { sums.pop() } else { None };
            if let Some(sums) = sums.pop() {
                let Self { mean, variance } = field.outputs(sums, drawn, &rows, stop)?;
                found.mean.extend(mean);
                found.variance.extend(variance);
            }
        }
        Ok(found)
    }
}

/// What sums over draws are put into.
struct InField<'a> {
    theory: &'a Theory,
    measure: &'a Measure,
    projection: Option<&'a Projection>,
    second_moment: f64,
    temperature: f64,
}

impl InField<'_> {
    /// Of the test points `rows`, from their sums and those of the same draws as draws of the
    /// prior.
    fn outputs(&self, sums: Sums, drawn: Option<Sums>, rows: &Range<usize>, stop: &Stop) -> Result<Outputs, Stopped> {
        let Self { theory, measure, projection, second_moment, temperature } = *self;
        let Sums { output, mut cross, squares: mut own } = sums;
        let (tests, root) = (rows.len(), measure.width.sqrt());
        let mut mean: Vec<f64> = output.iter().map(|x| root * x).collect();
        if let Some(drawn) = drawn {
            // The draws' own error in the prior's kernel is taken out as in the equations that a
            // and B solve.
            let excess = theory.kernels.cross.as_ref().subcols(rows.start, tests) - &drawn.cross;
            let correction = multiply(excess.transpose(), &measure.dual_field);
            mean.iter_mut().zip(&correction).for_each(|(f, c)| *f += second_moment * c);
            cross += excess * faer::Scale(second_moment);
            let known = theory.kernels.test_diagonal[rows.clone()].iter().zip(&drawn.squares);
            own.iter_mut().zip(known).for_each(|(s, (k, drawn))| *s += second_moment * (k - drawn));
        }
        // √N1⟨vφ⟩ is y − Ta at the training points.
        let train = theory.problem.y_train.iter().zip(&measure.dual_field).map(|(y, a)| y - temperature * a);
        let train: Vec<f64> = train.collect();
        for ((column, own), f) in cross.col_iter_mut().zip(&mut own).zip(&mean) {
            column.iter_mut().zip(&train).for_each(|(c, r)| *c -= r * f / measure.width);
            *own -= f * f / measure.width;
        }
        let mut left = vec![0.0; tests];
        if let Some(Projection { direction, spread, axis, variance }) = projection {
            let along = multiply(cross.transpose(), direction);
            for (column, along) in cross.col_iter_mut().zip(&along) {
                column.iter_mut().zip(axis).for_each(|(c, e)| *c -= e * along);
            }
            let answered = multiply(cross.transpose(), &measure.field_response);
            for (((own, left), along), answered) in own.iter_mut().zip(&mut left).zip(&along).zip(&answered) {
                *own -= along * along / spread;
                *left = variance * (along / spread - answered).powi(2);
            }
        }
        let image = sequential_product(measure.resolvent.as_ref(), cross.as_ref(), stop)?;
        let explained = cross.col_iter().zip(image.col_iter());
        let explained = explained.map(|(c, image)| c.iter().zip(image.iter()).map(|(c, x)| c * x).sum::<f64>());
        // Rounding may push the variance of a point that the training set determines below zero.
        let variance =
            own.iter().zip(explained).zip(&left).map(|((own, explained), left)| (own - explained + left).max(0.0));
        Ok(Outputs { variance: variance.collect(), mean })
    }
}

/// Draws with their weights, in the same order.
struct Weighted<'a> {
    block: &'a Block,
    /// For every set of weights those of v and those of v², of the draws of this block.
    weights: Vec<[&'a [f64]; 2]>,
}

impl Sums {
    fn zero(points: usize, tests: usize) -> Self {
        Self { output: vec![0.0; tests], cross: Mat::zeros(points, tests), squares: vec![0.0; tests] }
    }

    fn add(&mut self, block: &Block, tested: &Mat<f64>, [means, squares]: [&[f64]; 2]) {
        let mut scaled = block.features.clone();
        for (column, p) in scaled.col_iter_mut().zip(squares) {
            column.iter_mut().for_each(|x| *x *= p);
        }
        matmul(self.cross.as_mut(), Accum::Add, scaled.as_ref(), tested.transpose(), 1.0, Par::Seq);
        for ((phi, mean), square) in tested.col_iter().zip(means).zip(squares) {
            for ((phi, output), sum) in phi.iter().zip(&mut self.output).zip(&mut self.squares) {
                *output += mean * phi;
                *sum += square * phi * phi;
            }
        }
    }

    /// For every set of weights its sums over all draws at the test points `rows`, whose features
    /// are made once for all.
    fn over(
        theory: &Theory,
        draws: &Draws,
        weights: &[[&[f64]; 2]],
        rows: &Range<usize>,
        stop: &Stop,
    ) -> Result<Vec<Self>, Stopped> {
        let zero = || -> Vec<Self> { weights.iter().map(|_| Self::zero(theory.points(), rows.len())).collect() };
        let weighted: Vec<Weighted<'_>> = (draws.numbered().into_iter())
            .map(|(start, block)| {
                let range = start..start + block.along.len();
                Weighted { block, weights: weights.iter().map(|both| both.map(|p| &p[range.clone()])).collect() }
            })
            .collect();
        let parts: Vec<Vec<Self>> = (weighted.par_chunks(weighted.len().div_ceil(PARTS).max(1)))
            .map(|part| {
                let mut sums = zero();
                for Weighted { block, weights } in part {
                    stop.check()?;
                    let tested = test_features(&theory.problem, &theory.network, &block.weights, &block.outside, rows);
                    sums.iter_mut().zip(weights).for_each(|(sums, both)| sums.add(block, &tested, *both));
                }
                Ok(sums)
            })
            .collect::<Result<_, _>>()?;
        let mut total = zero();
        for part in &parts {
            for (total, part) in total.iter_mut().zip(part) {
                total.cross += &part.cross;
                total.output.iter_mut().zip(&part.output).for_each(|(sum, x)| *sum += x);
                total.squares.iter_mut().zip(&part.squares).for_each(|(sum, x)| *sum += x);
            }
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;

    use super::*;
    use crate::model::{Activation, Problem};
    use crate::theory::tests::{network, task};
    use crate::theory::unit::adaptive::{self, Branch};
    use crate::theory::unit::chain::ChainParams;
    use crate::theory::unit::population::{Population, Solution};
    use crate::theory::unit::tests::saddle_of;

    const POINTS: usize = 30;

    /// A problem whose test points are its training points, over and over.
    fn theory(activation: Activation, copies: usize) -> Theory {
        let mut task = task(POINTS, 0, 6);
        let rows: Vec<usize> = (0..copies * POINTS).map(|row| row % POINTS).collect();
        (task.x_test, task.y_test) = (task.x_train.select(Axis(0), &rows), task.y_train.select(Axis(0), &rows));
        task.class_test = rows.iter().map(|&row| task.class_train[row]).collect();
        Theory::new(&Problem::new(&task).unwrap(), &network(activation)).unwrap()
    }

    /// What the field says at the training points, y − Ta and T − T²B_μμ.
    fn of_field(theory: &Theory, measure: &Measure, temperature: f64) -> Outputs {
        let mean = theory.problem.y_train.iter().zip(&measure.dual_field).map(|(y, a)| y - temperature * a).collect();
        let diagonal = measure.resolvent.diagonal().column_vector();
        let variance = diagonal.iter().map(|b| temperature - temperature * temperature * b).collect();
        Outputs { mean, variance }
    }

    fn farthest(found: &[f64], of_field: &[f64]) -> f64 {
        found.iter().zip(of_field.iter().cycle()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn training_points_have_the_output_and_the_spread_of_the_field() {
        const TEMPERATURE: f64 = 0.5;
        for activation in [Activation::Erf, Activation::Relu] {
            // More than are summed up at a time.
            let theory = theory(activation, TOGETHER / POINTS + 2);
            let stop = Stop::default();
            let mut branch = Branch::start(&theory, TEMPERATURE, 4096, &stop).unwrap();
            let field = branch.solve_at(TEMPERATURE).unwrap().clone();
            let saddle = saddle_of(&theory, TEMPERATURE);
            let draws = adaptive::sample(&theory, &saddle, 4096, 0, &stop).unwrap().draws;
            let found = Outputs::new(&theory, &draws, &field.measure, None, TEMPERATURE, &stop).unwrap();
            let expected = of_field(&theory, &field.measure, TEMPERATURE);
            assert!(found.mean.len() > TOGETHER && found.mean.len() == found.variance.len());
            assert!(farthest(&found.mean, &expected.mean) < 1e-4, "{:?}", farthest(&found.mean, &expected.mean));
            assert!(farthest(&found.variance, &expected.variance) < 1e-4, "{activation:?}");
            // Control: other draws have another output in this field.
            let draws = adaptive::sample(&theory, &saddle, 4096, 1, &stop).unwrap().draws;
            let other = Outputs::new(&theory, &draws, &field.measure, None, TEMPERATURE, &stop).unwrap();
            assert!(farthest(&other.mean, &expected.mean) > 1e-3, "{activation:?}");
        }
    }

    /// With the law of the others' output along g, Σ Var f_μ is what the field's own curvature
    /// says; without it, it is not.
    #[test]
    #[ignore = "slow: a population of 256 chains is solved from T = 2 to 0.2"]
    fn the_spread_along_the_force_is_that_of_the_others_law() {
        const TEMPERATURE: f64 = 0.2;
        let (theory, stop) = (theory(Activation::Erf, 1), Stop::default());
        let mut branch = Branch::start(&theory, 2.0, 4096, &stop).unwrap();
        let field = branch.solve_at(1.0).unwrap().clone();
        let params = ChainParams { chains: 256, warmup: 60, draws: 240 };
        let (saddle, hot) = (saddle_of(&theory, TEMPERATURE), saddle_of(&theory, 1.0));
        let mut population = Population::start(&theory, 1.0, &field, &hot, params, 0, &stop).unwrap();
        let Solution { draws, measure, projection, fit, .. } = population.predict(TEMPERATURE, &saddle).unwrap();
        let parameters = |projection: Option<&Projection>| -> f64 {
            let found = Outputs::new(&theory, &draws, &measure, projection, TEMPERATURE, &stop).unwrap();
            found.variance.iter().sum::<f64>() / TEMPERATURE
        };
        let (found, without) = (parameters(Some(&projection)), parameters(None));
        println!("{found} and {without} without the law for {}", fit.effective_parameters);
        assert!((found / fit.effective_parameters - 1.0).abs() < 0.02, "{found} for {}", fit.effective_parameters);
        assert!((without / fit.effective_parameters - 1.0).abs() > 0.05, "{without} for {}", fit.effective_parameters);
    }
}
