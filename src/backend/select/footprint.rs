//! The memory that an ensemble takes on the CPU, and whether this machine has it.
//!
//! P×P matrices dominate: one running sum of G per temperature and block of chains, the means of
//! these when the run ends, and the matrices that the theory and `arrays.npz` need. (Measured at P
//! = 1500, six temperatures of 16 chains: 2651 MiB at the peak, 2662 MiB by this account.) All of
//! it is known before it is allocated. A checkpoint on its way to the disk is a copy of state, sums
//! and draws, each of which is counted twice already for another moment.

use std::fmt;

use crate::backend::{CELLS, Ensemble, Precision};
use crate::host::memory::{NotEnough, available, require};
use crate::remedy::{Remedy, Setting};
use crate::theory;

const MIB: f64 = 1048576.0;

/// Bytes by what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuMemory {
    parts: Vec<(&'static str, u64)>,
    /// Lowering one of these settings lowers the largest part.
    remedies: Vec<Remedy>,
}

/// P×P float64 matrices per temperature that the end of a run makes beside the blocks of G: the
/// mean, its error and the theory's in `arrays.npz`.
const RESULT_MATRICES: f64 = 3.0;

/// P×P float64 matrices that the theory makes at the end on its way to those, and lets go.
const PASSING_MATRICES: f64 = 10.0;

/// Numbers kept of every draw, about: scalars of two classes, the sampler's statistics, the copy in
/// which chains are brought together, and one variable on its way into the store.
const NUMBERS_PER_DRAW: f64 = 34.0;

impl CpuMemory {
    /// What a run that keeps `draws` draws takes on the CPU.
    pub fn new(precision: Precision, ensemble: &Ensemble, draws: usize) -> Self {
        // In floating point, where counts that are typing errors do not overflow.
        let scalar = match precision {
            Precision::F64 => 8.0,
            Precision::F32 | Precision::F16 | Precision::F16Matrix => 4.0,
        };
        let (problem, network) = (&ensemble.problem, &ensemble.network);
        let [chains, temperatures, width, points, test, rank, blocks, batches, draws, threads] = [
            ensemble.chains(),
            ensemble.temperatures,
            network.width,
            problem.points(),
            problem.test_points(),
            problem.rank(),
            ensemble.gram_blocks(),
            ensemble.batches,
            draws,
            rayon::current_num_threads() + 1,
        ]
        .map(|n| n as f64);
        let weights = width * (rank + 1.0);
        let blocks = temperatures * blocks;
        let matrix = points * points;
        let parts = [
            // Position and gradient, and at the start the same again with the weights in float64 on
            // their way to their superchains.
            ("chains", chains * weights * (4.0 * scalar + 8.0)),
            ("work space", threads * scalar * (4.0 * weights + 4.0 * width * points + 2.0 * width * test)),
            ("Gram sums", blocks * (8.0 + scalar) * (matrix + rank * rank)),
            (
                "results",
                8.0 * ((blocks + RESULT_MATRICES * temperatures + PASSING_MATRICES) * matrix
                    + (blocks + 3.0) * rank * rank),
            ),
            ("predictions", 2.0 * 16.0 * test * batches * chains),
            // Twice, like the predictions: when the run ends they are copied.
            ("units", 2.0 * 8.0 * (rank + 2.0 * (CELLS + 2) as f64) * chains),
            ("draws", 8.0 * NUMBERS_PER_DRAW * draws * chains),
            ("theory", theory::memory(problem.points()) as f64),
        ]
        .map(|(name, bytes)| (name, bytes as u64))
        .to_vec();
        let largest = parts.iter().max_by_key(|(_, bytes)| *bytes).map_or("", |(name, _)| name);
        let lower: &[Setting] = match largest {
            "chains" => &[Setting::Chains, Setting::Width],
            "work space" => &[Setting::Width, Setting::Train],
            "Gram sums" | "results" => &[Setting::Train, Setting::Temperatures],
            "predictions" => &[Setting::Test, Setting::Chains],
            "units" => &[Setting::Chains],
            "draws" => &[Setting::Draws, Setting::Chains],
            _ => &[Setting::Train],
        };
        Self { parts, remedies: lower.iter().copied().map(Remedy::lower).collect() }
    }

    /// Bytes in all, at most.
    pub fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// Whether the machine has them.
    ///
    /// # Errors
    /// With the numbers and what to lower.
    pub fn check(&self) -> Result<(), NotEnough> {
        require("this run", self.total(), &self.remedies)
    }
}

impl fmt::Display for CpuMemory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "memory on the CPU, at most")?;
        for (name, bytes) in &self.parts {
            writeln!(f, "{name:12} {:10.2} MiB", *bytes as f64 / MIB)?;
        }
        writeln!(f, "{:12} {:10.2} MiB", "in all", self.total() as f64 / MIB)?;
        match available() {
            Some(bytes) => writeln!(f, "{:12} {:10.2} MiB", "available", bytes as f64 / MIB),
            None => Ok(()),
        }
    }
}
