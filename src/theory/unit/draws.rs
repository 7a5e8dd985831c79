//! Draws of one hidden unit, with what is needed to reweight them.
//!
//! Prior draws keep their components orthogonal to û' and take w·û from a mixture in equal parts, a
//! third of the draws each, of Gaussians of [`WIDENINGS`] times the prior's variance: the tilt acts
//! along û above all, and the part that is the prior keeps every ratio of densities below 3.

use faer::Mat;
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::block::{BLOCK, Block, WIDENINGS, address, features, log_prior_over_widened, tested};
use super::measure::Measure;
use crate::host::stop::{Stop, Stopped};
use crate::numerics::linalg::dot;
use crate::theory::Theory;

/// Draws in blocks of equal length; draw k of the whole belongs to group k mod `groups`, and groups
/// are independent.
pub(super) struct Draws {
    pub blocks: Vec<Block>,
    pub groups: usize,
    /// Whether `log_base` is the logarithm of the exact ratio, so that averages under the prior,
    /// which are known, can be held against the draws.
    pub from_prior: bool,
}

impl Draws {
    /// `count` independent draws, rounded up to whole blocks, for the importance weights of any
    /// measure. `direction` is û' (zero where there is none).
    ///
    /// # Errors
    /// [`Stopped`] on request.
    pub fn from_prior(
        theory: &Theory,
        direction: &[f64],
        count: usize,
        set: u32,
        stop: &Stop,
    ) -> Result<Self, Stopped> {
        let (problem, network) = (&theory.problem, &theory.network);
        let deviation = 1.0 / network.lambda0.sqrt();
        let directed = dot(direction, direction) > 0.0;
        let blocks = (0..count.div_ceil(BLOCK) as u32)
            .into_par_iter()
            .map(|index| {
                stop.check()?;
                let rank = problem.rank();
                let normals = address(set, index, 0).rng().sample_iter(StandardNormal);
                let noise: Vec<f64> = normals.take(BLOCK * rank).collect();
                let mut weights = Mat::from_fn(rank, BLOCK, |j, i| deviation * noise[i * rank + j]);
                let mut along = vec![0.0; BLOCK];
                let mut log_base = vec![0.0; BLOCK];
                if directed {
                    for (i, mut column) in weights.col_iter_mut().enumerate() {
                        let original: f64 = column.as_ref().iter().zip(direction).map(|(w, u)| w * u).sum();
                        along[i] = WIDENINGS[i % WIDENINGS.len()].sqrt() * original;
                        column.as_mut().iter_mut().zip(direction).for_each(|(w, u)| *w += (along[i] - original) * u);
                        log_base[i] = log_prior_over_widened(network.lambda0.sqrt() * along[i]);
                    }
                }
                let outside = address(set, index, 8);
                let tested = tested(problem, network, &weights, &outside);
                let features = features(problem, network.activation, &weights);
                Ok(Block { weights, features, tested, outside, along, log_base, offsets: Vec::new() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let groups = blocks.len() * BLOCK;
        Ok(Self { blocks, groups, from_prior: true })
    }

    /// What `groups` chains on `measure` recorded, each w ⟨v²⟩ times as often as it has it.
    ///
    /// # Errors
    /// [`Stopped`] on request.
    pub fn from_chains(mut blocks: Vec<Block>, groups: usize, measure: &Measure, stop: &Stop) -> Result<Self, Stopped> {
        let mut product = Mat::new();
        for block in &mut blocks {
            stop.check()?;
            let actions = measure.actions_of(block, &mut product);
            block.log_base.iter_mut().zip(&actions).for_each(|(log, action)| *log -= action.log_weight());
        }
        Ok(Self { blocks, groups, from_prior: false })
    }

    /// Every block with the number of its first draw.
    pub fn numbered(&self) -> Vec<(usize, &Block)> {
        let starts = self.blocks.iter().scan(0, |next, block| {
            let start = *next;
            *next += block.along.len();
            Some(start)
        });
        starts.zip(&self.blocks).collect()
    }
}
