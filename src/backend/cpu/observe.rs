//! Stage observe: the primitive statistics of one chain and its predictions on the test points.

use faer::Accum;

use super::forward::{Inputs, combine, preactivations};
use super::gram::GramSum;
use super::scalar::{Scalar, rounded};
use super::trajectory::{Chain, Target};
use super::update::sum_of_squares;
use crate::backend::histogram::{cell, cells_per_unit};
use crate::backend::{Ensemble, Measurement, PredictiveBatch, UnitHistogram};
use crate::numerics::noise::{Address, Purpose};

/// What is needed to measure any chain.
#[derive(Debug)]
pub struct Observer<S> {
    classes: Classes,
    /// Of the test points, if every class has a manifold there.
    test_classes: Option<Classes>,
    test: Inputs<S>,
    /// The test inputs outside the span of the training inputs, (P*, k).
    complement: Inputs<S>,
    labels: Vec<f64>,
    /// û of every temperature.
    projection_axes: Vec<Vec<S>>,
    /// Cells per unit of v and of w·û at every temperature.
    cells_per_unit: Vec<[f64; 2]>,
}

/// Which points belong together.
#[derive(Debug)]
struct Classes {
    class: Vec<usize>,
    sizes: Vec<f64>,
}

/// Buffers of one thread.
#[derive(Debug)]
pub struct ObserverScratch<S> {
    h: Vec<S>,
    features: Vec<S>,
    test_h: Vec<S>,
    test_features: Vec<S>,
    test_output: Vec<S>,
    noise: Vec<S>,
    signs: Vec<S>,
}

/// A chain to be measured.
#[derive(Debug)]
pub struct Subject<'a, S> {
    pub chain: &'a Chain<S>,
    /// Index of its temperature.
    pub temperature: usize,
    /// Seed, chain and trajectory that name its noise.
    pub name: (u64, u32, u32),
}

/// What the draws of one chain are added to.
#[derive(Debug)]
pub struct ChainSums<'a> {
    pub batch: &'a mut PredictiveBatch,
    pub histogram: &'a mut UnitHistogram,
}

impl<S: Scalar> Observer<S> {
    pub fn new(ensemble: &Ensemble) -> Self {
        let problem = &ensemble.problem;
        let classes = |class| Classes::new(class, problem.classes());
        Self {
            classes: classes(&problem.class_train),
            test_classes: problem.has_test_manifolds().then(|| classes(&problem.class_test)),
            test: Inputs::new(&problem.z_test),
            complement: Inputs::new(&problem.z_complement),
            labels: problem.y_test.clone(),
            projection_axes: ensemble.projection_axes.iter().map(|u| rounded(u.iter().copied())).collect(),
            cells_per_unit: ensemble.histogram_ranges.iter().map(|ranges| ranges.map(cells_per_unit)).collect(),
        }
    }

    pub fn scratch(&self, target: &Target<S>) -> ObserverScratch<S> {
        let units = target.network.width;
        let zeros = |n: usize| vec![S::default(); units * n];
        ObserverScratch {
            h: zeros(target.inputs.count),
            features: zeros(target.inputs.count),
            test_h: zeros(self.test.count),
            test_features: zeros(self.test.count),
            test_output: vec![S::default(); self.test.count],
            noise: zeros(self.complement.rank),
            signs: zeros(1),
        }
    }

    /// Measures a chain; adds its features to `gram`, and its predictions and units to `sums`,
    /// where these are given.
    pub fn observe(
        &self,
        target: &Target<S>,
        Subject { chain, temperature, name: (seed, id, trajectory) }: Subject<S>,
        gram: Option<&mut GramSum<S>>,
        sums: Option<ChainSums>,
        scratch: &mut ObserverScratch<S>,
    ) -> Measurement {
        let (readout, weights) = (&chain.position.readout, &chain.position.weights);
        preactivations(weights, &target.inputs, &mut scratch.h, Accum::Replace);
        S::activate(target.network.activation, &mut scratch.h, &mut scratch.features);
        target.storage.keep(&mut scratch.features);
        if let (Some(gram), false) = (gram, chain.lost) {
            gram.add(&scratch.features);
        }
        let (batch, mut histogram) = sums.filter(|_| !chain.lost).map(|sums| (sums.batch, sums.histogram)).unzip();
        let test_squared_error = batch.filter(|_| !self.labels.is_empty()).map(|batch| {
            let noise = Address { seed, chain: id, trajectory, step: 0, purpose: Purpose::Complement };
            self.predict(target, chain, &noise, batch, scratch)
        });

        let units = readout.len() as f64;
        let mut readout_mean: f64 = readout.iter().map(|&v| v.into()).sum();
        if target.network.activation.is_odd() {
            Address { seed, chain: id, trajectory, step: 0, purpose: Purpose::Sign }.normals(&mut scratch.signs);
            let signed = |(&v, &s): (&S, &S)| if s < S::default() { -Into::<f64>::into(v) } else { v.into() };
            readout_mean = readout.iter().zip(&scratch.signs).map(signed).sum();
        }
        let readout_mean = readout_mean / units;
        let (mut along, mut along_squared, mut along_fourth, mut readout_fourth) = (0.0, 0.0, 0.0, 0.0);
        let [per_readout, per_along] = self.cells_per_unit[temperature];
        for (&v, w) in readout.iter().zip(weights.chunks_exact(target.inputs.rank)) {
            let w_u: f64 =
                w.iter().zip(&self.projection_axes[temperature]).map(|(&w, &u)| Into::<f64>::into(w) * u.into()).sum();
            let v: f64 = v.into();
            along += v * w_u;
            along_squared += w_u * w_u;
            along_fourth += w_u.powi(4);
            readout_fourth += v.powi(4);
            if let Some(histogram) = &mut histogram {
                histogram.readout[cell(v, per_readout)] += 1.0;
                histogram.along_u[cell(w_u, per_along)] += 1.0;
                let share = v / units;
                histogram.correlation.iter_mut().zip(w).for_each(|(sum, &w)| *sum += share * w.into());
            }
        }
        if let Some(histogram) = histogram {
            histogram.draws += 1;
        }
        let (centroid_gram, mean_square_norm) = self.classes.geometry(&scratch.features);
        let test_classes = self.test_classes.as_ref().filter(|_| test_squared_error.is_some());
        let test_manifolds = test_classes.map(|classes| classes.geometry(&scratch.test_features));
        Measurement {
            loss: chain.loss,
            readout_mean,
            readout_second_moment: sum_of_squares(readout) / units,
            readout_weight_along_u: along / units,
            weight_along_u_squared: along_squared / units,
            readout_fourth_moment: readout_fourth / units,
            weight_along_u_fourth: along_fourth / units,
            weight_second_moment: sum_of_squares(weights) / weights.len() as f64,
            centroid_gram,
            mean_square_norm,
            test_squared_error,
            test_manifolds,
            lost: chain.lost,
        }
    }

    /// Predictions f* with H* = W′z* + W⊥z*⊥, W⊥ drawn afresh from its prior; returns (1/P*) Σ (f*
    /// − y*)².
    fn predict(
        &self,
        target: &Target<S>,
        chain: &Chain<S>,
        noise: &Address,
        batch: &mut PredictiveBatch,
        scratch: &mut ObserverScratch<S>,
    ) -> f64 {
        let ObserverScratch { test_h: h, test_features: features, test_output: output, noise: outside, .. } = scratch;
        preactivations(&chain.position.weights, &self.test, h, Accum::Replace);
        if self.complement.rank > 0 {
            noise.normals(outside);
            let deviation = S::round(1.0 / target.network.lambda0.sqrt());
            outside.iter_mut().for_each(|x| *x *= deviation);
            target.storage.keep(outside);
            preactivations(outside, &self.complement, h, Accum::Add);
        }
        S::activate(target.network.activation, h, features);
        combine(&chain.position.readout, features, output);
        target.storage.keep(features);
        let mut squared_error = 0.0;
        let sums = batch.sum.iter_mut().zip(&mut batch.sum_of_squares);
        for ((&f, &y), (sum, sum_of_squares)) in output.iter().zip(&self.labels).zip(sums) {
            let f: f64 = f.into();
            *sum += f;
            *sum_of_squares += f * f;
            squared_error += (f - y) * (f - y);
        }
        batch.draws += 1;
        squared_error / self.labels.len() as f64
    }
}

impl Classes {
    fn new(class: &[usize], classes: usize) -> Self {
        let mut sizes = vec![0.0; classes];
        class.iter().for_each(|&class| sizes[class] += 1.0);
        Self { class: class.to_vec(), sizes }
    }

    /// Gram matrix of the class centroids and the mean squared norm of every class, from features
    /// of shape (N1, points); empty without classes.
    fn geometry<S: Scalar>(&self, features: &[S]) -> (Vec<f64>, Vec<f64>) {
        let classes = self.sizes.len();
        if classes == 0 {
            return (Vec::new(), Vec::new());
        }
        let units = (features.len() / self.class.len()) as f64;
        let mut centroid_gram = vec![0.0; classes * classes];
        let mut mean_square_norm = vec![0.0; classes];
        let mut centroid = vec![0.0; classes];
        for row in features.chunks_exact(self.class.len()) {
            centroid.fill(0.0);
            for (&phi, &class) in row.iter().zip(&self.class) {
                let phi: f64 = phi.into();
                centroid[class] += phi;
                mean_square_norm[class] += phi * phi;
            }
            centroid.iter_mut().zip(&self.sizes).for_each(|(c, size)| *c /= size);
            for (k, sum) in centroid_gram.iter_mut().enumerate() {
                *sum += centroid[k / classes] * centroid[k % classes];
            }
        }
        centroid_gram.iter_mut().for_each(|g| *g /= units);
        mean_square_norm.iter_mut().zip(&self.sizes).for_each(|(m, size)| *m /= units * size);
        (centroid_gram, mean_square_norm)
    }
}
