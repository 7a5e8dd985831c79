//! The two matrix products of a gradient alone, in float32 by faer: what a step is measured
//! against.

use std::hint::black_box;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::numerics::noise::{Address, Purpose};

/// H = W′Zᵀ and gZ for many chains, one chain at a time on every core as in the CPU backend.
#[derive(Debug)]
pub struct Products {
    points: usize,
    rank: usize,
    width: usize,
    inputs: Vec<f32>,
    /// W′ and ∂L/∂W′ of every chain.
    chains: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Products {
    /// Gaussian matrices of these shapes.
    pub fn new(points: usize, rank: usize, width: usize, chains: usize) -> Self {
        let normals = |chain: usize, count: usize| {
            let mut values = vec![0f32; count];
            let chain = chain as u32;
            Address { seed: 2, chain, trajectory: 0, step: 0, purpose: Purpose::Data }.normals(&mut values);
            values
        };
        let chains = (1..=chains).map(|chain| (normals(chain, width * rank), vec![0.0; width * rank])).collect();
        Self { points, rank, width, inputs: normals(0, points * rank), chains }
    }

    /// The products of `steps` gradients of every chain, 4·P·r·N1 flops each.
    pub fn multiply(&mut self, steps: u32) {
        let Self { points, rank, width, .. } = *self;
        let inputs = MatRef::from_row_major_slice(&self.inputs, points, rank);
        self.chains.par_iter_mut().for_each_init(
            || vec![0f32; width * points],
            |h, (weights, gradient)| {
                for _ in 0..steps {
                    let w = MatRef::from_row_major_slice(weights, width, rank);
                    product(MatMut::from_row_major_slice_mut(h, width, points), w, inputs.transpose());
                    let h = MatRef::from_row_major_slice(h, width, points);
                    product(MatMut::from_row_major_slice_mut(gradient, width, rank), h, inputs);
                }
            },
        );
        black_box(&self.chains);
    }
}

fn product(into: MatMut<f32>, a: MatRef<f32>, b: MatRef<f32>) {
    matmul(into, Accum::Replace, a, b, 1.0, Par::Seq);
}
