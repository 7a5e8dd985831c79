//! The state of the device between two calls, read back for a checkpoint and written again; and the
//! merging of batches of predictions on the host.

use serde::{Deserialize, Serialize};

use super::schedule::Energy;
use super::slots::Section;
use super::tiling::Tiling;
use super::tuning::TILINGS;
use super::{Gpu, results};
use crate::backend::BackendError;

/// What lasts from one call of [`run`](crate::backend::Backend::run) to the next.
/// Features, scratch, systems and results are written before they are read.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceState {
    /// What the order of all sums follows from.
    tiling: Tiling,
    energy: Energy,
    gram_draws: Vec<usize>,
    weight_draws: Vec<usize>,
    predictive_draws: Vec<usize>,
    histogram_draws: Vec<usize>,
    /// Of every shard the sections of the state before the proposal: positions, gradients and their
    /// notes.
    state: Vec<Vec<f32>>,
    /// Of every shard the sums of its chains: predictions and histograms of units.
    sums: Vec<Vec<f32>>,
    gram: Vec<Vec<f32>>,
    weight_moments: Vec<Vec<f32>>,
}

impl Gpu {
    /// Numbers of one shard's state that are saved.
    fn carried_state(&self) -> usize {
        4 * Section::Proposal as usize * self.layout().shard_chains() * self.layout().chain_state()
    }

    /// Numbers of the sums of one Gram matrix, and of one second moment of the weights.
    fn matrices(&self) -> [usize; 2] {
        [4 * self.layout().gram_vectors(), 4 * self.layout().weight_moment_vectors()]
    }

    /// Numbers of the sums of one chain, its predictions first.
    fn chain_sums(&self) -> usize {
        4 * self.layout().chain_sums()
    }

    /// Numbers of the sums of one shard.
    fn shard_sums(&self, shard: usize) -> usize {
        self.chain_sums() * self.ensemble.temperatures * self.engine.plan.shard(shard).1
    }

    pub(super) fn device_state(&self) -> Result<DeviceState, BackendError> {
        // Every field is named: a new one must be sorted into what is saved and what is not.
        let Self {
            ensemble: _,
            options: _,
            origin: _,
            engine,
            energy,
            gram_draws,
            weight_draws,
            predictive_draws,
            histogram_draws,
        } = self;
        let read = |buffer: &wgpu::Buffer, size: usize| engine.device.read(buffer, 4 * size as u64);
        // Sums that nothing was added to are not read back.
        let sums = |buffers: &[wgpu::Buffer], draws: &[usize], matrix: usize| -> Result<Vec<Vec<f32>>, BackendError> {
            let parts = buffers.iter().zip(draws.chunks(engine.plan.gram_pairs));
            let part = |(buffer, draws): (&wgpu::Buffer, &[usize])| {
                if draws.iter().all(|&n| n == 0) { Ok(Vec::new()) } else { read(buffer, matrix * draws.len()) }
            };
            parts.map(part).collect()
        };
        let [gram, weights] = self.matrices();
        Ok(DeviceState {
            tiling: engine.plan.layout.tiling,
            energy: *energy,
            gram_draws: gram_draws.clone(),
            weight_draws: weight_draws.clone(),
            predictive_draws: predictive_draws.clone(),
            histogram_draws: histogram_draws.clone(),
            state: engine.state.iter().map(|buffer| read(buffer, self.carried_state())).collect::<Result<_, _>>()?,
            sums: (engine.predictions.iter().enumerate())
                .map(|(shard, buffer)| read(buffer, self.shard_sums(shard)))
                .collect::<Result<_, _>>()?,
            gram: sums(&engine.gram, gram_draws, gram)?,
            weight_moments: sums(&engine.weight_moments, weight_draws, weights)?,
        })
    }

    pub(super) fn restore_state(&mut self, saved: DeviceState) -> Result<bool, BackendError> {
        let tiling = saved.tiling;
        if tiling != self.layout().tiling {
            let mut other = if TILINGS.contains(&tiling) { self.with_tiling(tiling)? } else { return Ok(false) };
            let restored = other.restore_state(saved)?;
            if restored {
                *self = other;
            }
            return Ok(restored);
        }
        let DeviceState {
            tiling: _,
            energy,
            gram_draws,
            weight_draws,
            predictive_draws,
            histogram_draws,
            state,
            sums,
            gram,
            weight_moments,
        } = saved;
        let [gram_matrix, weight_matrix] = self.matrices();
        let pairs = self.engine.plan.gram_pairs;
        let fits = |sums: &[Vec<f32>], matrix: usize| {
            let expected = self.gram_draws.chunks(pairs).map(|pairs| matrix * pairs.len());
            let of_buffer = |(sums, size): (&Vec<f32>, usize)| sums.is_empty() || sums.len() == size;
            sums.len() == self.engine.gram.len() && sums.iter().zip(expected).all(of_buffer)
        };
        let same_shape = gram_draws.len() == self.gram_draws.len()
            && weight_draws.len() == self.weight_draws.len()
            && predictive_draws.len() == self.predictive_draws.len()
            && state.len() == self.engine.state.len()
            && state.iter().all(|state| state.len() == self.carried_state())
            && histogram_draws.len() == self.histogram_draws.len()
            && sums.len() == self.engine.predictions.len()
            && sums.iter().enumerate().all(|(shard, p)| p.len() == self.shard_sums(shard))
            && fits(&gram, gram_matrix)
            && fits(&weight_moments, weight_matrix);
        if !same_shape {
            return Ok(false);
        }
        let engine = &self.engine;
        let buffers = engine.state.iter().chain(&engine.predictions);
        for (buffer, values) in buffers.zip(state.iter().chain(&sums)) {
            self.write(buffer, 0, values)?;
        }
        let of_both = [(&engine.gram, gram, gram_matrix), (&engine.weight_moments, weight_moments, weight_matrix)];
        for (buffers, sums, matrix) in of_both {
            for ((buffer, sums), pairs) in buffers.iter().zip(sums).zip(gram_draws.chunks(pairs)) {
                let sums = if sums.is_empty() { vec![0.0; matrix * pairs.len()] } else { sums };
                self.write(buffer, 0, &sums)?;
            }
        }
        (self.energy, self.gram_draws, self.weight_draws) = (energy, gram_draws, weight_draws);
        (self.predictive_draws, self.histogram_draws) = (predictive_draws, histogram_draws);
        Ok(true)
    }

    /// Merges the batches of every chain's predictions two by two, by way of the host.
    pub(super) fn merge_predictions(&mut self) -> Result<(), BackendError> {
        let batch = 4 * self.layout().test_points;
        for shard in 0..self.engine.plan.shards {
            let buffer = &self.engine.predictions[shard];
            let mut sums = self.engine.device.read(buffer, 4 * self.shard_sums(shard) as u64)?;
            for chain in sums.chunks_exact_mut(self.chain_sums()).filter(|_| batch > 0) {
                results::merge_batches(&mut chain[..4 * self.layout().chain_predictions()], batch);
            }
            self.write(buffer, 0, &sums)?;
        }
        for draws in self.predictive_draws.chunks_exact_mut(self.ensemble.batches) {
            let merged: Vec<usize> = draws.chunks(2).map(|pair| pair.iter().sum()).collect();
            draws.fill(0);
            draws[..merged.len()].copy_from_slice(&merged);
        }
        Ok(())
    }
}
