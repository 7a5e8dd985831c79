//! Where everything lies in the device's buffers, and the constants that tell the shaders.
//!
//! Numbers travel in vectors of four, so r, N1, P and k are rounded up: RV = ⌈r/4⌉ vectors and so
//! on. Padding holds zeros.

use std::fmt::Write;

use bytemuck::{Pod, Zeroable};

use super::integrator::GpuIntegrator;
use super::slots::{IntegratorSlot, MeasurementSlot, SLOTS, TransitionSlot};
use super::tiling::{MATRIX, SIDE, Tiling};
use crate::backend::histogram::cells_per_unit;
use crate::backend::{CELLS, DIVERGENCE, Ensemble, RUNAWAY};
use crate::model::Activation;
use crate::numerics::noise::Purpose;

/// Largest order of the systems of the integrated readout, min(N1, P). One workgroup finds the
/// factor of each chain, whose cost grows as the cube of the order: beyond this it would outgrow
/// the rest of a gradient, by the count of operations (not timed on hardware).
const MAX_ORDER: usize = 512;

/// `Call::step` where a gradient is prepared.
pub const PREPARE: u32 = u32::MAX;

/// Arguments of one dispatch: `Call` in shaders/bindings.wgsl.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Call {
    pub trajectory: u32,
    pub step: u32,
    pub round: u32,
    pub first_replica: u32,
    pub replicas: u32,
    pub section: u32,
    pub which: u32,
    pub zero: u32,
}

/// Invocations of a workgroup in the kernels that are not matrix products.
pub const LANES: usize = 64;
/// Vectors of a chain that one invocation of `launch` treats.
const LAUNCH: usize = 4;
/// Loop passes that one invocation may make: software devices end every loop after 65,535 in all,
/// silently.
pub const MAX_PASSES: usize = 50_000;

/// What the kernels of one ensemble are compiled for.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pub temperatures: usize,
    pub replicas: usize,
    /// Replicas of every temperature that the buffers of one shard hold.
    pub shard_replicas: usize,
    pub units: usize,
    pub points: usize,
    pub rank: usize,
    pub test_points: usize,
    /// Directions k outside the span of the training inputs.
    pub complement: usize,
    pub classes: usize,
    /// Whether the class manifolds of the test points are measured.
    pub test_manifolds: bool,
    pub batches: usize,
    pub gram_blocks: usize,
    pub activation: Activation,
    /// λ0 and λ1.
    pub lambda: [f64; 2],
    pub seed: u64,
    pub tiling: Tiling,
    /// Whether activations and slopes are stored in float16.
    pub half: bool,
    /// Whether there is room for the systems of the integrated readout.
    pub integrated: bool,
}

impl Layout {
    /// The layout of an ensemble in one shard.
    pub fn new(ensemble: &Ensemble, tiling: Tiling, half: bool) -> Self {
        let problem = &ensemble.problem;
        let mut layout = Self {
            temperatures: ensemble.temperatures,
            replicas: ensemble.replicas,
            shard_replicas: ensemble.replicas,
            units: ensemble.network.width,
            points: problem.points(),
            rank: problem.rank(),
            test_points: problem.test_points(),
            complement: problem.complement_rank(),
            classes: problem.classes(),
            test_manifolds: problem.has_test_manifolds(),
            batches: ensemble.batches,
            gram_blocks: ensemble.gram_blocks(),
            activation: ensemble.network.activation,
            lambda: [ensemble.network.lambda0, ensemble.network.lambda1],
            seed: ensemble.seed,
            tiling,
            half,
            integrated: false,
        };
        layout.integrated = layout.can_integrate();
        layout
    }

    /// Whether systems of this size can be solved, by their order and by the loops of the kernels
    /// that do.
    fn can_integrate(&self) -> bool {
        let (per_point, per_unit) = (self.unit_vectors(), self.point_vectors());
        let (points, units) = ((4 * per_unit).div_ceil(LANES), per_point.div_ceil(LANES));
        // The longest loops, those of `draw_readout`: twice every output, once every unit.
        self.order() <= MAX_ORDER && 2 * points * per_point + units * per_unit <= MAX_PASSES
    }

    /// Rows of the systems: the smaller of N1 and P.
    pub fn order(&self) -> usize {
        self.units.min(self.points)
    }

    /// Vectors of a row of the systems, OV, and of a row of their solutions, CV.
    fn system_vectors(&self) -> [usize; 2] {
        [self.order().div_ceil(4), self.units.max(self.points).div_ceil(4)]
    }

    /// Groups of four columns of the solutions, each solved for by one invocation.
    pub fn solution_vectors(&self) -> usize {
        self.system_vectors()[1]
    }

    /// Vectors of one chain among the systems: K and the factor.
    pub fn chain_system(&self) -> usize {
        let [order, columns] = self.system_vectors();
        if self.integrated { 4 * order * (columns + order) } else { 0 }
    }

    /// Chains of a full shard.
    pub fn shard_chains(&self) -> usize {
        self.temperatures * self.shard_replicas
    }

    /// RV.
    pub fn rank_vectors(&self) -> usize {
        self.rank.div_ceil(4)
    }

    /// NV.
    pub fn unit_vectors(&self) -> usize {
        self.units.div_ceil(4)
    }

    /// PV.
    pub fn point_vectors(&self) -> usize {
        self.points.div_ceil(4)
    }

    /// KV.
    pub fn complement_vectors(&self) -> usize {
        self.complement.div_ceil(4)
    }

    /// Vectors of W′ and v of one chain.
    pub fn chain_body(&self) -> usize {
        self.units * self.rank_vectors() + self.unit_vectors()
    }

    /// Vectors of one chain in one section of the state.
    pub fn chain_state(&self) -> usize {
        self.chain_body() + 1
    }

    /// Vectors of one chain among the features: Φ and σ′(H), or W⊥ and the features of the test
    /// points.
    pub fn chain_features(&self) -> usize {
        let tested = if self.test_manifolds { self.test_points * self.unit_vectors() } else { 0 };
        (2 * self.points * self.unit_vectors()).max(self.test_features() + tested)
    }

    /// First vector of the features of the test points.
    fn test_features(&self) -> usize {
        self.units * self.complement_vectors()
    }

    /// POINT_PAD, UNIT_PAD and RANK_PAD: the sides of float16 operands, in whole blocks.
    pub fn padded(&self) -> [usize; 3] {
        [self.points, self.units, self.rank].map(|side| side.next_multiple_of(MATRIX))
    }

    /// Numbers of the float16 operand that all chains share.
    pub fn shared_operand(&self) -> usize {
        let [points, _, rank] = self.padded();
        if self.tiling.halved() { points * rank } else { 0 }
    }

    /// Numbers of one chain's float16 operand, and of its products.
    pub fn chain_operand(&self) -> usize {
        let [points, units, rank] = self.padded();
        if self.tiling.halved() { units * rank.max(points) } else { 0 }
    }

    /// Bytes of a vector of features.
    pub fn feature_bytes(&self) -> usize {
        if self.half { 8 } else { 16 }
    }

    fn unit_slots(&self) -> usize {
        self.tiling.column_slots(self.units)
    }

    /// Workgroups of `launch` for each chain.
    pub fn launch_groups(&self) -> usize {
        self.chain_body().div_ceil(LANES * LAUNCH)
    }

    fn launch_slots(&self) -> usize {
        self.launch_groups() * LANES
    }

    fn weight_slots(&self) -> usize {
        self.tiling.groups(self.units, self.rank) * self.tiling.lanes()
    }

    fn work_slots(&self) -> usize {
        self.launch_slots() + self.weight_slots() + self.unit_vectors()
    }

    /// The parts of a chain's scratch in order, with their sizes in numbers.
    fn scratch_parts(&self) -> [(&'static str, usize); 8] {
        [
            // First, for cooperative matrices are stored at whole vectors.
            ("STAGE", self.chain_operand()),
            ("RESIDUAL", 4 * self.point_vectors()),
            ("SHARES", self.unit_slots() * self.points.max(self.test_points)),
            ("WORK", 2 * self.work_slots()),
            ("ENERGY", 2 * self.launch_slots()),
            ("FLAG", 1),
            ("CLASSES", 2 * 4 * self.classes * self.unit_vectors()),
            ("MEAN", if self.integrated { 4 * self.unit_vectors() } else { 0 }),
        ]
    }

    /// Numbers of one chain in the scratch buffer, where `moments` also leaves its sums.
    pub fn chain_scratch(&self) -> usize {
        let size = self.scratch_parts().iter().map(|(_, size)| size).sum::<usize>().max(self.chain_moments());
        if self.tiling.halved() { size.next_multiple_of(4) } else { size }
    }

    /// Numbers that `moments` returns for one chain: four sums and four sums of squares for each
    /// vector, and whether it is lost.
    pub fn chain_moments(&self) -> usize {
        8 * (self.rank_vectors() + 1) + 1
    }

    /// Vectors in the accumulators of a chain's predictions.
    pub fn chain_predictions(&self) -> usize {
        self.batches * self.test_points
    }

    /// Vectors of the sums of one chain: its predictions, then Σ v w′ with high and low parts in
    /// turn, then for every cell the counts of v and of w·û.
    pub fn chain_sums(&self) -> usize {
        self.counts_start() + CELLS + 2
    }

    /// First vector of the counts among a chain's sums.
    pub fn counts_start(&self) -> usize {
        self.chain_predictions() + 2 * self.rank_vectors()
    }

    /// Vectors in the accumulator of one Gram matrix.
    pub fn gram_vectors(&self) -> usize {
        2 * self.points * self.point_vectors()
    }

    /// Vectors in the accumulator of one second moment of the weights.
    pub fn weight_moment_vectors(&self) -> usize {
        2 * self.rank * self.rank_vectors()
    }

    /// Chains of one block that a dispatch of `gram` adds.
    pub fn gram_chains(&self) -> usize {
        (MAX_PASSES / (8 * self.unit_vectors())).max(1)
    }

    /// Numbers that a round returns for each chain: the transition, then the measurement.
    pub fn results(&self) -> usize {
        TransitionSlot::COUNT + self.test_norms() + if self.test_manifolds { self.manifolds() } else { 0 }
    }

    /// Numbers that describe the manifolds of all classes: their mean squared norms and the Gram
    /// matrix of their centroids.
    fn manifolds(&self) -> usize {
        self.classes + self.classes * self.classes
    }

    /// Place in a measurement of the manifolds of the test points.
    pub fn test_norms(&self) -> usize {
        MeasurementSlot::COUNT + self.manifolds()
    }

    /// Vectors of one temperature's integrator.
    fn integrator_vectors(&self) -> usize {
        INTEGRATOR_VECTORS + 5 * self.rank_vectors()
    }

    /// The parts of the data in order, with their sizes in vectors; the last two change from run to
    /// run.
    fn data_parts(&self, rounds: usize) -> [(&'static str, usize); 10] {
        [
            ("TRAIN", self.points * self.rank_vectors()),
            ("TEST", self.test_points * (self.rank_vectors() + self.complement_vectors())),
            ("LABELS", self.point_vectors()),
            ("TEST_LABELS", self.test_points.div_ceil(4)),
            ("CLASSES", (self.classes * self.points).div_ceil(4)),
            ("TEST_CLASSES", (self.classes * self.test_points).div_ceil(4)),
            ("PROJECTION_AXES", self.temperatures * self.rank_vectors()),
            ("HISTOGRAM_RANGES", self.temperatures),
            ("INTEGRATORS", self.temperatures * self.integrator_vectors()),
            ("STEPS", (rounds * self.temperatures).div_ceil(4)),
        ]
    }

    /// Vectors of the data when the steps of `rounds` rounds are held at once.
    pub fn data_vectors(&self, rounds: usize) -> usize {
        self.data_parts(rounds).iter().map(|(_, size)| size).sum()
    }

    /// First vector of the part of the data that changes.
    pub fn integrator_start(&self) -> usize {
        self.data_parts(0)[..8].iter().map(|(_, size)| size).sum()
    }

    /// The part of the data that stays.
    pub fn fixed_data(&self, ensemble: &Ensemble) -> Vec<f32> {
        let problem = &ensemble.problem;
        let mut data = Packer::default();
        for point in 0..self.points {
            data.row((0..self.rank).map(|j| problem.z_train[(point, j)]));
        }
        for point in 0..self.test_points {
            data.row((0..self.rank).map(|j| problem.z_test[(point, j)]));
            data.row((0..self.complement).map(|j| problem.z_complement[(point, j)]));
        }
        data.row(problem.y_train.iter().copied());
        data.row(problem.y_test.iter().copied());
        // What a point contributes to the mean over each class.
        for classes in [&problem.class_train, &problem.class_test] {
            let mut sizes = vec![0.0; self.classes];
            classes.iter().for_each(|&class| sizes[class] += 1.0);
            let share = |class: usize, own: usize| if own == class { 1.0 / sizes[class] } else { 0.0 };
            data.row(
                (0..self.classes)
                    .flat_map(|class| classes.iter().map(move |&own| (class, own)))
                    .map(|(c, own)| share(c, own)),
            );
        }
        ensemble.projection_axes.iter().for_each(|u| data.row(u.iter().copied()));
        ensemble.histogram_ranges.iter().for_each(|ranges| data.row(ranges.map(cells_per_unit)));
        data.values
    }

    /// The part of the data that changes: one integrator per temperature, then the steps of every
    /// round.
    pub fn moving_data(&self, integrators: &[GpuIntegrator], steps: impl Iterator<Item = u32>) -> Vec<f32> {
        let mut data = Packer::default();
        for integrator in integrators {
            data.row(integrator.head);
            data.row(integrator.weights.iter().map(|m| 1.0 / m));
            data.row(integrator.weights.iter().map(|m| m.sqrt()));
            (0..3).for_each(|k| data.row(integrator.harmonic_flow.iter().map(|turn| turn[k])));
        }
        data.row(steps.map(f64::from));
        data.values
    }

    /// The constants as WGSL: the first fragment of every shader. `test` says whether the points
    /// are the test points.
    pub fn constants(&self, test: bool) -> String {
        let mut sizes: Vec<(String, usize)> = [
            ("TEMPERATURES", self.temperatures),
            ("REPLICAS", self.replicas),
            ("CHAINS", self.shard_chains()),
            ("UNITS", self.units),
            ("POINTS", self.points),
            ("RANK", self.rank),
            ("TEST_POINTS", self.test_points),
            ("LAST_TEST_POINT", self.test_points.saturating_sub(1)),
            ("COMPLEMENT_RANK", self.complement),
            ("CLASSES", self.classes),
            ("BATCHES", self.batches),
            ("GRAM_BLOCKS", self.gram_blocks),
            ("GRAM_CHAINS", self.gram_chains()),
            ("RV", self.rank_vectors()),
            ("NV", self.unit_vectors()),
            ("PV", self.point_vectors()),
            ("KV", self.complement_vectors()),
            ("CHAIN_BODY", self.chain_body()),
            ("CHAIN_STATE", self.chain_state()),
            ("CHAIN_FEATURES", self.chain_features()),
            ("TEST_FEATURES", self.test_features()),
            ("CHAIN_SCRATCH", self.chain_scratch()),
            ("CHAIN_MOMENTS", self.chain_moments()),
            ("CHAIN_SUMS", self.chain_sums()),
            ("SUMS_CORRELATION", self.chain_predictions()),
            ("SUMS_COUNTS", self.counts_start()),
            ("CELLS", CELLS),
            ("HISTOGRAM_CELLS", CELLS + 2),
            ("CHAIN_SYSTEM", self.chain_system()),
            ("ORDER", self.order()),
            ("OV", self.system_vectors()[0]),
            ("CV", self.system_vectors()[1]),
            ("INTEGRATOR", self.integrator_vectors()),
            ("INTEGRATOR_VECTORS", INTEGRATOR_VECTORS),
            ("PREPARE", PREPARE as usize),
            ("LANES", LANES),
            ("LAUNCH", LAUNCH),
            ("LAUNCH_SLOTS", self.launch_slots()),
            ("LAUNCH_SLOT", 0),
            ("WEIGHT_SLOT", self.launch_slots()),
            ("READOUT_SLOT", self.launch_slots() + self.weight_slots()),
            ("WORK_SLOTS", self.work_slots()),
            ("UNIT_SLOTS", self.unit_slots()),
            ("ROW_GROUPS", self.tiling.block()[0] / 4),
            ("COLUMN_GROUPS", self.tiling.block()[1] / 4),
            ("PRODUCT_LANES", self.tiling.lanes()),
            ("SIDE", SIDE),
            ("POINT_PAD", self.padded()[0]),
            ("UNIT_PAD", self.padded()[1]),
            ("RANK_PAD", self.padded()[2]),
            ("SHARED_OPERAND", self.shared_operand()),
            ("CHAIN_OPERAND", self.chain_operand()),
            ("RESULTS", self.results()),
            ("RESULT_MEASUREMENT", TransitionSlot::COUNT),
            ("RESULT_NORMS", MeasurementSlot::COUNT),
            ("RESULT_TEST_NORMS", self.test_norms()),
            ("SEED_LOW", self.seed as u32 as usize),
            ("SEED_HIGH", (self.seed >> 32) as usize),
            ("ACTIVATION", self.activation as usize),
        ]
        .into_iter()
        .chain(SLOTS.iter().copied())
        .chain(PURPOSES.map(|(name, purpose)| (name, purpose as usize)))
        .chain(ACTIVATIONS.map(|(name, activation)| (name, activation as usize)))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        for (kind, parts) in [("SCRATCH", &self.scratch_parts()[..]), ("DATA", &self.data_parts(0)[..])] {
            let mut start = 0;
            for &(part, size) in parts {
                sizes.push((format!("{kind}_{part}"), start));
                start += size;
            }
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        for (name, value) in sizes {
            let _ = writeln!(text, "const {name} = {value}u;");
        }
        let [weights, readout] = self.lambda.map(|lambda| lambda as f32);
        let _ = writeln!(text, "const LAMBDA = vec2<f32>({weights:e}, {readout:e});");
        let [weights, readout] = self.lambda.map(|lambda| (1.0 / lambda.sqrt()) as f32);
        let _ = writeln!(text, "const PRIOR_DEVIATION = vec2<f32>({weights:e}, {readout:e});");
        let (units, lambda) = (self.units as f64, self.lambda[1]);
        let _ = writeln!(text, "const OUTPUT_SCALE = f32({:e});", (1.0 / units.sqrt()) as f32);
        // 1/(λ1√N1), and c/β = 1/(λ1 N1).
        let _ = writeln!(text, "const READOUT_SCALE = f32({:e});", (1.0 / (lambda * units.sqrt())) as f32);
        let _ = writeln!(text, "const COUPLING = f32({:e});", (1.0 / (lambda * units)) as f32);
        let _ = writeln!(text, "const BY_UNITS = {};", self.units <= self.points);
        let _ = writeln!(text, "const DIVERGENCE = f32({DIVERGENCE:e});");
        let _ = writeln!(text, "const RUNAWAY = f32({RUNAWAY:e});");
        let _ = writeln!(text, "const ODD = {};", self.activation.is_odd());
        let _ = writeln!(text, "const TEST = {test};");
        let _ = writeln!(text, "const TEST_MANIFOLDS = {};", self.test_manifolds);
        text
    }
}

/// Vectors of [`IntegratorSlot`].
const INTEGRATOR_VECTORS: usize = IntegratorSlot::COUNT.div_ceil(4);

/// What noise is for, by the names in the shaders: momenta are a section of the state there.
const PURPOSES: [(&str, Purpose); 8] = [
    ("PRIOR", Purpose::Prior),
    ("REFRESH", Purpose::Momentum),
    ("FRICTION", Purpose::Friction),
    ("ACCEPT", Purpose::Accept),
    ("COMPLEMENT", Purpose::Complement),
    ("EXCHANGE", Purpose::Exchange),
    ("SIGN", Purpose::Sign),
    ("READOUT", Purpose::Readout),
];

/// The activations by their names in shaders/activation.wgsl.
const ACTIVATIONS: [(&str, Activation); 5] = [
    ("ERF", Activation::Erf),
    ("RELU", Activation::Relu),
    ("TANH", Activation::Tanh),
    ("IDENTITY", Activation::Identity),
    ("GELU", Activation::Gelu),
];

/// Numbers in rows that are filled up with zeros to whole vectors.
#[derive(Default)]
struct Packer {
    values: Vec<f32>,
}

impl Packer {
    fn row(&mut self, values: impl IntoIterator<Item = f64>) {
        self.values.extend(values.into_iter().map(|x| x as f32));
        self.values.resize(self.values.len().next_multiple_of(4), 0.0);
    }
}
