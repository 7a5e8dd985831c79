//! The measure of one hidden unit in the field of all others.
//!
//! ```text
//! p(w) ∝ p0(w) (1+q)^{−1/2} exp( m²/(2(1+q)) ),     q = φᵀBφ/(λ1N1),     m = φ·a/√(λ1N1),     φ_μ = σ(w·x^μ/√N0)
//! v | w ~ N( m/(√λ1(1+q)), 1/(λ1(1+q)) )
//! ```
//!
//! It follows from the joint weight exp(−½λ1v² + v φ·a/√N1 − ½v² φᵀBφ/N1) by integrating v out: the
//! others make the unit feel a dual field a on its contribution to the output and a resolvent B.
//! (Derived for this project; B is A⁻¹ of the saddle point, or solved for.)

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::block::Block;
use crate::host::stop::{Stop, Stopped};
use crate::numerics::linalg::{dot, multiply};
use crate::theory::Theory;
use crate::theory::process::Process;
use crate::theory::product::product;

/// a and B, in the basis of the training points.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    /// a, (P).
    pub dual_field: Vec<f64>,
    /// B, (P, P), symmetric.
    pub resolvent: Mat<f64>,
    /// Be, (P), by which the dual field changes with the others' output
    /// ([`collective`](super::collective)); empty where one dual field stands for all.
    pub field_response: Vec<f64>,
    /// λ1.
    pub lambda1: f64,
    /// N1.
    pub width: f64,
}

/// q and m of one w.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitAction {
    pub q: f64,
    pub m: f64,
}

impl UnitAction {
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
    ///
    /// # Errors
    /// [`Stopped`] on request.
    pub fn at_saddle(theory: &Theory, saddle: &Process, stop: &Stop) -> Result<Self, Stopped> {
        let eigenvectors = theory.eigenvectors.as_ref();
        let at = theory.resolvent(saddle.values.temperature, &saddle.details.solution);
        let mut scaled = eigenvectors.to_owned();
        for (column, inverse) in scaled.col_iter_mut().zip(at.inverse_diagonal()) {
            column.iter_mut().for_each(|x| *x *= inverse);
        }
        let mut resolvent = product(scaled.as_ref(), eigenvectors.transpose(), stop)?;
        let tilted = multiply(scaled.as_ref(), at.mean());
        let factor = at.rank_one_factor();
        for (column, c) in resolvent.col_iter_mut().zip(&tilted) {
            column.iter_mut().zip(&tilted).for_each(|(x, r)| *x -= factor * r * c);
        }
        let (lambda1, width) = (theory.network.lambda1, theory.spectrum.width);
        let dual_field = multiply(eigenvectors, &at.dual);
        Ok(Self { dual_field, resolvent, field_response: Vec::new(), lambda1, width })
    }

    /// λ1 N1, which divides q and m².
    pub fn scale(&self) -> f64 {
        self.lambda1 * self.width
    }

    /// B φ of every column φ of `features`, into `product`, and the tilts.
    pub fn actions(&self, features: MatRef<'_, f64>, product: &mut Mat<f64>) -> Vec<UnitAction> {
        product.resize_with(features.nrows(), features.ncols(), |_, _| 0.0);
        matmul(product.as_mut(), Accum::Replace, self.resolvent.as_ref(), features, 1.0, Par::Seq);
        let scale = self.scale();
        let action = |k: usize| {
            let (mut q, mut m) = (0.0, 0.0);
            for ((phi, image), a) in features.col(k).iter().zip(product.col(k).iter()).zip(&self.dual_field) {
                q += phi * image;
                m += phi * a;
            }
            UnitAction { q: q / scale, m: m / scale.sqrt() }
        };
        (0..features.ncols()).map(action).collect()
    }

    /// φ·Be/√(λ1N1) of every column φ of `features`; zero where one dual field stands for all.
    pub fn responses(&self, features: MatRef<'_, f64>) -> Vec<f64> {
        let root = self.scale().sqrt();
        let product =
            |phi: faer::ColRef<'_, f64>| phi.iter().zip(&self.field_response).map(|(phi, b)| phi * b).sum::<f64>();
        features.col_iter().map(|phi| product(phi) / root).collect()
    }

    /// [`Measure::actions`] of the draws of a block, each in its own field.
    pub fn actions_of(&self, block: &Block, product: &mut Mat<f64>) -> Vec<UnitAction> {
        let mut actions = self.actions(block.features.as_ref(), product);
        if !block.offsets.is_empty() {
            let responses = self.responses(block.features.as_ref());
            for ((action, offset), response) in actions.iter_mut().zip(&block.offsets).zip(&responses) {
                action.m -= offset * response;
            }
        }
        actions
    }

    /// The dual field on draw `k` of a block.
    pub fn dual_field_of(&self, block: &Block, k: usize) -> Cow<'_, [f64]> {
        match block.offsets.get(k) {
            None => Cow::Borrowed(&self.dual_field),
            Some(offset) => self.dual_field.iter().zip(&self.field_response).map(|(a, b)| a - offset * b).collect(),
        }
    }

    /// E_prior q, given the kernel of the prior.
    pub fn prior_q(&self, kernel: &Mat<f64>) -> f64 {
        let products = |(k, b): (faer::ColRef<'_, f64>, faer::ColRef<'_, f64>)| -> f64 {
            k.iter().zip(b.iter()).map(|(k, b)| k * b).sum()
        };
        kernel.col_iter().zip(self.resolvent.col_iter()).map(products).sum::<f64>() / self.scale()
    }

    /// E_prior m².
    pub fn prior_m_squared(&self, kernel: &Mat<f64>) -> f64 {
        dot(&self.dual_field, &multiply(kernel.as_ref(), &self.dual_field)) / self.scale()
    }
}
