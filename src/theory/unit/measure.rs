//! The measure of one hidden unit in the field of all others.
//!
//! ```text
//! p(w) ∝ p0(w) (1+q)^{−1/2} exp( m²/(2(1+q)) ),     q = φᵀBφ/(λ1N1),     m = φ·a/√(λ1N1),     φ_μ = σ(w·x^μ/√N0)
//! v | w ~ N( m/(√λ1(1+q)), 1/(λ1(1+q)) )
//! ```
//!
//! It follows from the joint weight exp(−½λ1v² + v φ·a/√N1 − ½v² φᵀBφ/N1) by integrating v out: the others make the unit feel a force a on its
//! contribution to the output and a stiffness B. (Derived for this project; B is A⁻¹ of the saddle point, or solved for.)

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::draws::Block;
use crate::numerics::linalg::{dot, multiply};
use crate::theory::spectrum::Resolvent;

/// a and B, in the basis of the training points.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    /// a, (P).
    pub force: Vec<f64>,
    /// B, (P, P), symmetric.
    pub stiffness: Mat<f64>,
    /// Be, (P), by which the force changes with the others' output ([`collective`](super::collective)); empty where one force stands for all.
    pub pull: Vec<f64>,
    /// λ1.
    pub lambda1: f64,
    /// N1.
    pub width: f64,
}

/// q and m of one w.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tilt {
    pub q: f64,
    pub m: f64,
}

impl Tilt {
    /// ln p(w)/p0(w) up to a constant.
    pub fn log_weight(self) -> f64 {
        // Rounding may leave a q of a vanishing feature just below zero.
        let q = self.q.max(0.0);
        0.5 * (self.m * self.m / (1.0 + q) - q.ln_1p())
    }

    /// Mean and variance of v given w.
    pub fn readout(self, lambda1: f64) -> (f64, f64) {
        let stiff = 1.0 + self.q.max(0.0);
        (self.m / (lambda1.sqrt() * stiff), 1.0 / (lambda1 * stiff))
    }
}

impl Measure {
    /// a and A⁻¹ of a saddle point.
    pub fn at_saddle(eigenvectors: MatRef<'_, f64>, resolvent: &Resolvent, lambda1: f64, width: f64) -> Self {
        let mut scaled = eigenvectors.to_owned();
        for (column, inverse) in scaled.col_iter_mut().zip(resolvent.inverse_diagonal()) {
            column.iter_mut().for_each(|x| *x *= inverse);
        }
        let mut stiffness = &scaled * eigenvectors.transpose();
        let tilted = multiply(scaled.as_ref(), resolvent.mean());
        let factor = resolvent.rank_one_factor();
        for (column, c) in stiffness.col_iter_mut().zip(&tilted) {
            column.iter_mut().zip(&tilted).for_each(|(x, r)| *x -= factor * r * c);
        }
        Self { force: multiply(eigenvectors, &resolvent.dual), stiffness, pull: Vec::new(), lambda1, width }
    }

    /// λ1 N1, which divides q and m².
    pub fn scale(&self) -> f64 {
        self.lambda1 * self.width
    }

    /// B φ of every column φ of `features`, into `product`, and the tilts.
    pub fn tilts(&self, features: MatRef<'_, f64>, product: &mut Mat<f64>) -> Vec<Tilt> {
        product.resize_with(features.nrows(), features.ncols(), |_, _| 0.0);
        matmul(product.as_mut(), Accum::Replace, self.stiffness.as_ref(), features, 1.0, Par::Seq);
        let scale = self.scale();
        let tilt = |k: usize| {
            let (mut q, mut m) = (0.0, 0.0);
            for ((phi, image), a) in features.col(k).iter().zip(product.col(k).iter()).zip(&self.force) {
                q += phi * image;
                m += phi * a;
            }
            Tilt { q: q / scale, m: m / scale.sqrt() }
        };
        (0..features.ncols()).map(tilt).collect()
    }

    /// φ·Be/√(λ1N1) of every column φ of `features`; zero where one force stands for all.
    pub fn pulls(&self, features: MatRef<'_, f64>) -> Vec<f64> {
        let root = self.scale().sqrt();
        let product =
            |phi: faer::ColRef<'_, f64>| phi.iter().zip(&self.pull).map(|(phi, pull)| phi * pull).sum::<f64>();
        features.col_iter().map(|phi| product(phi) / root).collect()
    }

    /// [`Measure::tilts`] of the draws of a block, each in its own field.
    pub fn tilts_of(&self, block: &Block, product: &mut Mat<f64>) -> Vec<Tilt> {
        let mut tilts = self.tilts(block.features.as_ref(), product);
        if !block.offsets.is_empty() {
            let pulls = self.pulls(block.features.as_ref());
            for ((tilt, offset), pull) in tilts.iter_mut().zip(&block.offsets).zip(&pulls) {
                tilt.m -= offset * pull;
            }
        }
        tilts
    }

    /// The force on draw `k` of a block.
    pub fn force_of(&self, block: &Block, k: usize) -> Cow<'_, [f64]> {
        match block.offsets.get(k) {
            None => Cow::Borrowed(&self.force),
            Some(offset) => self.force.iter().zip(&self.pull).map(|(a, pull)| a - offset * pull).collect(),
        }
    }

    /// E_prior q, given the kernel of the prior.
    pub fn prior_q(&self, kernel: &Mat<f64>) -> f64 {
        let products = |(k, b): (faer::ColRef<'_, f64>, faer::ColRef<'_, f64>)| -> f64 {
            k.iter().zip(b.iter()).map(|(k, b)| k * b).sum()
        };
        kernel.col_iter().zip(self.stiffness.col_iter()).map(products).sum::<f64>() / self.scale()
    }

    /// E_prior m².
    pub fn prior_m_squared(&self, kernel: &Mat<f64>) -> f64 {
        dot(&self.force, &multiply(kernel.as_ref(), &self.force)) / self.scale()
    }
}
