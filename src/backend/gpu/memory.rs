//! What an ensemble takes of a device's memory, known before any device is touched.
//!
//! Replicas are split into shards that run one after the other: a shard keeps the state and the
//! predictions of its replicas of every temperature (so that temperatures can exchange), while
//! features and scratch are shared by all shards.

use std::fmt;

use super::layout::{Layout, MAX_PASSES};
use super::slots::Section;
use super::tiling::{MATRIX, Tiling};
use crate::backend::{BackendError, Ensemble};
use crate::remedy::{Remedy, Setting};

/// Largest number of workgroups along one axis of a dispatch.
const MAX_GROUPS: usize = 65_535;
/// Bytes of results that are held on the device before they are read back.
const RESULTS_BYTES: usize = 16 << 20;
/// Rounds between two read-backs at most.
const MAX_ROUNDS: usize = 512;
const MIB: f64 = 1048576.0;
/// What a unit of work costs with subgroups on a software device, where it costs 2 with blocks of
/// side 8 and 3 with those of side 4 (benches/RESULTS.md).
const SUBGROUP_COST: usize = 1;

/// What a device allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Bytes of one buffer that a kernel can see.
    pub binding_bytes: u64,
    pub workgroup_bytes: u32,
    pub workgroup_invocations: u32,
    /// Whether the device is a program on the processor.
    pub software: bool,
    /// Smallest number of invocations that run as one and can hand each other values; 0 where they
    /// cannot.
    pub subgroup: u32,
    /// Whether it has the cooperative matrices of [`Tiling::Cooperative`].
    pub cooperative: bool,
}

impl Default for DeviceLimits {
    /// What every GPU allows under WebGPU's default limits.
    fn default() -> Self {
        Self {
            binding_bytes: 128 << 20,
            workgroup_bytes: 16_352,
            workgroup_invocations: 256,
            software: false,
            subgroup: 0,
            cooperative: false,
        }
    }
}

/// Buffers of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBuffer {
    pub name: &'static str,
    pub count: usize,
    /// Bytes of each.
    pub bytes: u64,
}

/// How an ensemble is laid out on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryPlan {
    pub layout: Layout,
    pub shards: usize,
    /// Pairs (temperature, block of replicas) whose Gram sums share one buffer.
    pub gram_pairs: usize,
    pub gram_buffers: usize,
    /// Rounds whose results are read back together.
    pub rounds: usize,
    pub buffers: Vec<PlannedBuffer>,
}

impl MemoryPlan {
    /// Plans an ensemble for a device; a tiling not given is chosen for the device and the shapes.
    ///
    /// # Errors
    /// When a single replica of all temperatures, the data or one Gram matrix is more than a kernel
    /// can see, or a loop longer than devices allow; the message has the numbers and what to
    /// change.
    pub fn new(
        ensemble: &Ensemble,
        limits: &DeviceLimits,
        tiling: Option<Tiling>,
        half: bool,
    ) -> Result<Self, BackendError> {
        let tiling = tiling.map_or_else(|| Ok(choose(ensemble, limits)), |tiling| allowed(tiling, limits))?;
        let mut layout = Layout::new(ensemble, tiling, half);
        let too_long = [
            ("the width", layout.units),
            ("the number of training points", layout.points),
            ("the number of test points", layout.test_points),
            ("the rank of the inputs", layout.rank),
        ];
        if let Some((name, size)) = too_long.into_iter().find(|(_, size)| *size > MAX_PASSES) {
            let reason = format!("{name} is {size}, but the kernels take at most {MAX_PASSES}");
            return Err(BackendError::unsupported(reason));
        }

        let binding = usize::try_from(limits.binding_bytes).unwrap_or(usize::MAX);
        let per_replica = |layout: &Layout| {
            [
                ("state", 16 * Section::COUNT * layout.chain_state()),
                ("features", layout.feature_bytes() * layout.chain_features()),
                ("scratch", 4 * layout.chain_scratch()),
                ("predictions", 16 * layout.chain_sums()),
                ("systems", 16 * layout.chain_system()),
                ("operands", 2 * layout.chain_operand()),
            ]
            .map(|(name, bytes)| (name, bytes * layout.temperatures))
        };
        let integrates = per_replica(&layout).iter().all(|(name, bytes)| *name != "systems" || *bytes <= binding);
        // Too large a system leaves the readout to be sampled.
        layout.integrated &= integrates;
        let (name, widest) = per_replica(&layout).into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or(("state", 1));
        // The operand that all chains share lies before theirs.
        let shared = 2 * layout.shared_operand();
        let most = (binding.saturating_sub(shared) / widest).min(MAX_GROUPS / layout.temperatures);
        if most == 0 || layout.chain_state().div_ceil(super::layout::LANES) > MAX_GROUPS {
            let what = format!("the {name} of one chain of each of {} temperatures need", layout.temperatures);
            return Err(too_large(what, (widest, binding), &[Setting::Width, Setting::Train, Setting::Temperatures]));
        }
        // As even as can be.
        layout.shard_replicas = layout.replicas.div_ceil(layout.replicas.div_ceil(most));
        let shards = layout.replicas.div_ceil(layout.shard_replicas);

        let gram = 16 * layout.gram_vectors();
        let pairs = layout.temperatures * layout.gram_blocks;
        let gram_pairs = (binding / gram).min(pairs).min(MAX_GROUPS);
        if gram_pairs == 0 {
            return Err(too_large("the sums of one Gram matrix need", (gram, binding), &[Setting::Train]));
        }
        let round = 4 * layout.results() * ensemble.chains();
        let rounds = (RESULTS_BYTES.min(binding) / round).clamp(1, MAX_ROUNDS);
        let data = 16 * layout.data_vectors(rounds);
        if data.max(round) > binding {
            let settings = [Setting::Train, Setting::Test, Setting::Chains];
            return Err(too_large("data and results need", (data.max(round), binding), &settings));
        }

        let gram_buffers = pairs.div_ceil(gram_pairs);
        let [state, features, scratch, predictions, systems, operands] =
            per_replica(&layout).map(|(_, bytes)| bytes * layout.shard_replicas);
        let buffers = [
            ("data", 1, data),
            ("state", shards, state),
            ("features", 1, features),
            ("scratch", 1, scratch),
            ("predictions", shards, predictions),
            ("systems", usize::from(layout.integrated), systems),
            ("operands", usize::from(layout.tiling.halved()), shared + operands),
            ("Gram sums", gram_buffers, gram_pairs * gram),
            // r is P at most, so as many fit.
            ("weight sums", gram_buffers, gram_pairs * 16 * layout.weight_moment_vectors()),
            ("results", 1, rounds * round),
        ]
        .map(|(name, count, bytes)| PlannedBuffer { name, count, bytes: bytes as u64 })
        .into();
        Ok(Self { layout, shards, gram_pairs, gram_buffers, rounds, buffers })
    }

    /// Bytes in all.
    pub fn total_bytes(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.count as u64 * buffer.bytes).sum()
    }

    /// Bytes of the buffers of one kind.
    pub(super) fn bytes(&self, name: &str) -> u64 {
        self.buffers.iter().find(|buffer| buffer.name == name).map_or(0, |buffer| buffer.bytes)
    }

    /// First replica of a shard, and the number of its replicas.
    pub fn shard(&self, shard: usize) -> (usize, usize) {
        let first = shard * self.layout.shard_replicas;
        (first, self.layout.shard_replicas.min(self.layout.replicas - first))
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for PlannedBuffer { name, count, bytes } in &self.buffers {
            writeln!(f, "{name:12} {count:4} × {:10.2} MiB", *bytes as f64 / MIB)?;
        }
        write!(f, "{:12} {:17.2} MiB", "in all", self.total_bytes() as f64 / MIB)
    }
}

/// A buffer of `needed` bytes where a kernel sees `available`; one of the settings is to be lower.
fn too_large(what: impl Into<String>, (needed, available): (usize, usize), lower: &[Setting]) -> BackendError {
    BackendError::TooLarge {
        what: what.into(),
        needed: needed as u64,
        available: available as u64,
        remedies: lower.iter().copied().map(Remedy::lower).collect(),
    }
}

/// A tiling that was asked for, if the device can run it: drivers do not check.
pub(super) fn allowed(tiling: Tiling, limits: &DeviceLimits) -> Result<Tiling, BackendError> {
    let (bytes, lanes) = (tiling.workgroup_bytes(), tiling.lanes());
    if bytes > limits.workgroup_bytes as usize || lanes > limits.workgroup_invocations as usize {
        return Err(BackendError::unsupported(format!(
            "tiles need {bytes} bytes of workgroup memory and {lanes} invocations, but this device has {} and {}",
            limits.workgroup_bytes, limits.workgroup_invocations
        )));
    }
    if tiling == Tiling::Subgroup && (limits.subgroup as usize) < lanes {
        return Err(BackendError::unsupported(format!(
            "this tiling needs subgroups of {lanes} invocations or more, but this device has {}",
            if limits.subgroup == 0 { "none".to_owned() } else { format!("some of {}", limits.subgroup) }
        )));
    }
    if tiling == Tiling::Cooperative && !limits.cooperative {
        return Err(BackendError::unsupported(format!(
            "this device has no cooperative matrices of {MATRIX} × {MATRIX} with float16 operands and float32 sums"
        )));
    }
    Ok(tiling)
}

/// Hardware shares tiles in workgroup memory. Software devices have none that is fast, and read
/// from every buffer one invocation at a time: they do best where subgroups hand operands on. Of
/// what a device can run, the tiling that takes least time for the padded shapes, by what a unit of
/// work costs with each.
fn choose(ensemble: &Ensemble, limits: &DeviceLimits) -> Tiling {
    let (points, rank, units) = (ensemble.problem.points(), ensemble.problem.rank(), ensemble.network.width);
    let software = [(Tiling::Subgroup, SUBGROUP_COST), (Tiling::Register(8), 2), (Tiling::Register(4), 3)];
    let hardware = [(Tiling::Workgroup(8), 2), (Tiling::Workgroup(4), 3)];
    let shared = !limits.software && allowed(Tiling::Workgroup(8), limits).is_ok();
    let candidates = if shared { &hardware[..] } else { &software[..] };
    let time = |tiling: Tiling, cost: usize| {
        let padded = |rows: usize, columns: usize| {
            let tile = tiling.tile();
            rows.next_multiple_of(tile[0]) * columns.next_multiple_of(tile[1])
        };
        cost * (padded(points, units) * rank + padded(units, rank) * points)
    };
    let possible = candidates.iter().filter(|(tiling, _)| {
        // What a hardware device would make of handing rows on has not been measured.
        allowed(*tiling, limits).is_ok() && (limits.software || *tiling != Tiling::Subgroup)
    });
    possible.min_by_key(|(tiling, cost)| time(*tiling, *cost)).map_or(Tiling::Register(4), |(tiling, _)| *tiling)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::{Array1, Array2};

    use super::*;
    use crate::model::{Activation, Network, Problem, Task};
    use crate::remedy::Remedies;

    fn ensemble(points: usize, width: usize, temperatures: usize, replicas: usize) -> Ensemble {
        with_inputs(Array2::eye(points), width, temperatures, replicas)
    }

    fn with_inputs(inputs: Array2<f64>, width: usize, temperatures: usize, replicas: usize) -> Ensemble {
        let points = inputs.nrows();
        let task = Task {
            name: "some inputs".into(),
            x_test: Array2::zeros((0, inputs.ncols())),
            x_train: inputs,
            y_train: Array1::ones(points),
            class_train: vec![0; points],
            y_test: Array1::zeros(0),
            class_test: vec![],
            class_names: vec!["all".into()],
        };
        let problem = Arc::new(Problem::new(&task).unwrap());
        let projection_axes = vec![vec![1.0; problem.rank()]; temperatures];
        let network = Network { width, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
        let histogram_ranges = vec![[1.0; 2]; temperatures];
        Ensemble { problem, network, seed: 1, temperatures, replicas, projection_axes, histogram_ranges, batches: 4 }
    }

    fn plan(ensemble: &Ensemble, binding_bytes: u64) -> Result<MemoryPlan, BackendError> {
        MemoryPlan::new(ensemble, &DeviceLimits { binding_bytes, ..DeviceLimits::default() }, None, false)
    }

    #[test]
    fn buffers_fit_the_binding_and_shards_cover_every_replica_once() {
        let ensemble = ensemble(20, 30, 3, 101);
        for binding_bytes in [1 << 17, 1 << 18, 1 << 20, 128 << 20] {
            let plan = plan(&ensemble, binding_bytes).unwrap();
            assert!(plan.buffers.iter().all(|buffer| buffer.bytes <= binding_bytes), "{plan}");
            let shards: Vec<_> = (0..plan.shards).map(|shard| plan.shard(shard)).collect();
            let mut next = 0;
            for &(first, replicas) in &shards {
                assert!(first == next && replicas > 0);
                next = first + replicas;
            }
            assert_eq!(next, 101);
            assert_eq!(plan.shards == 1, binding_bytes == 128 << 20);
            assert!(plan.gram_pairs * plan.gram_buffers >= 3 * ensemble.gram_blocks());
        }
    }

    #[test]
    fn the_plan_is_the_sum_of_what_it_lists() {
        let plan = plan(&ensemble(20, 30, 3, 101), 1 << 20).unwrap();
        let state = plan.buffers.iter().find(|buffer| buffer.name == "state").unwrap();
        // Four sections of 30 rows of 5 vectors, 8 vectors of readout and one of notes.
        assert_eq!(state.bytes as usize, 16 * 4 * (30 * 5 + 8 + 1) * 3 * plan.layout.shard_replicas);
        let total: u64 = plan.buffers.iter().map(|buffer| buffer.bytes * buffer.count as u64).sum();
        assert_eq!(plan.total_bytes(), total);
        assert!(plan.to_string().lines().last().unwrap().starts_with("in all"));
    }

    #[test]
    fn systems_are_planned_where_they_can_be_solved() {
        let systems = |points, width, binding_bytes| {
            let (ensemble, limits) = (with_inputs(Array2::ones((points, 1)), width, 2, 3), DeviceLimits::default());
            let plan = MemoryPlan::new(&ensemble, &DeviceLimits { binding_bytes, ..limits }, None, true).unwrap();
            let buffer = plan.buffers.iter().find(|buffer| buffer.name == "systems").unwrap();
            assert_eq!((buffer.count > 0, buffer.bytes > 0), (plan.layout.integrated, plan.layout.integrated));
            (plan.layout.integrated, buffer.bytes as usize)
        };
        // Of six chains: rows of six vectors for K and of five for the factor, twenty of them.
        assert_eq!(systems(20, 23, 128 << 20), (true, 6 * 16 * 20 * (6 + 5)));
        assert_eq!(systems(23, 20, 128 << 20), (true, 6 * 16 * 20 * (6 + 5)));
        // Too large a factor, too long a loop, and too little room beside features in float16.
        assert!(systems(512, 700, 128 << 20).0 && !systems(513, 700, 128 << 20).0);
        assert!(!systems(512, 20_000, 128 << 20).0);
        assert!(systems(60, 61, 1 << 16).0 && !systems(60, 61, 1 << 15).0);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers_and_advice() {
        for (ensemble, advice) in [
            (ensemble(20, 60_000, 1, 1), "the width is 60000"),
            (ensemble(20, 3_000, 4, 1), "one chain of each of 4 temperatures need"),
            (ensemble(300, 1, 1, 1), "the sums of one Gram matrix need"),
        ] {
            let error = plan(&ensemble, 1 << 19).unwrap_err();
            assert!(error.to_string().contains(advice), "{error}");
            assert_eq!(error.remedies().last(), Some(&Remedy::set(Setting::Backend, "cpu")), "{error}");
        }
    }

    #[test]
    fn one_gram_matrix_limits_the_points_to_4096_where_kernels_see_128_mib() {
        let points = |points| plan(&with_inputs(Array2::ones((points, 1)), 8, 2, 2), 128 << 20);
        let fits = points(4096).unwrap();
        assert_eq!((fits.gram_pairs, fits.gram_buffers), (1, 4));
        let error = points(4097).unwrap_err();
        for part in ["the sums of one Gram matrix need 128.", "see 128.0 MiB"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(error.remedies(), [Remedy::lower(Setting::Train), Remedy::set(Setting::Backend, "cpu")]);
    }

    #[test]
    fn software_devices_hand_rows_on_where_padding_leaves_a_gain() {
        let llvmpipe = DeviceLimits { software: true, subgroup: 8, ..DeviceLimits::default() };
        let chosen = |points, width, limits: DeviceLimits| {
            MemoryPlan::new(&ensemble(points, width, 1, 1), &limits, None, false).unwrap().layout.tiling
        };
        assert_eq!(chosen(100, 100, llvmpipe), Tiling::Subgroup);
        assert_eq!(chosen(10, 10, llvmpipe), Tiling::Register(4));
        assert_eq!(chosen(100, 100, DeviceLimits { subgroup: 4, ..llvmpipe }), Tiling::Register(8));
        assert_eq!(chosen(100, 100, DeviceLimits { software: false, ..llvmpipe }), Tiling::Workgroup(8));
        let asked = MemoryPlan::new(&ensemble(9, 9, 1, 1), &DeviceLimits::default(), Some(Tiling::Subgroup), false);
        assert!(asked.unwrap_err().to_string().contains("subgroups of 8 invocations"));
    }

    #[test]
    fn cooperative_matrices_are_used_where_asked_for_and_there() {
        let with = DeviceLimits { cooperative: true, ..DeviceLimits::default() };
        let ensemble = ensemble(20, 30, 2, 40);
        let plan = |limits: &DeviceLimits, tiling| MemoryPlan::new(&ensemble, limits, tiling, false);
        let asked = Some(Tiling::Cooperative);
        assert!(plan(&DeviceLimits::default(), asked).unwrap_err().to_string().contains("cooperative matrices"));
        assert_eq!(plan(&with, None).unwrap().layout.tiling, Tiling::Workgroup(4), "never by rule");
        for binding_bytes in [1 << 17, 128 << 20] {
            let plan = plan(&DeviceLimits { binding_bytes, ..with }, asked).unwrap();
            let operands = plan.buffers.iter().find(|buffer| buffer.name == "operands").unwrap();
            // Z of 32 × 32, then g or W′ᵀ of 32 × 32 for each chain, in halves.
            assert_eq!(operands.bytes as usize, 2 * 32 * 32 * (1 + 2 * plan.layout.shard_replicas));
            assert!(plan.buffers.iter().all(|buffer| buffer.bytes <= binding_bytes), "{plan}");
            assert!(plan.layout.chain_scratch().is_multiple_of(4));
        }
    }

    #[test]
    fn tilings_that_a_device_cannot_run_are_refused_or_not_chosen() {
        let small = DeviceLimits { workgroup_bytes: 4096, ..DeviceLimits::default() };
        let ensemble = ensemble(64, 64, 1, 1);
        let shared = Tiling::Workgroup(8);
        assert!(MemoryPlan::new(&ensemble, &small, Some(shared), false).is_err());
        assert!(matches!(MemoryPlan::new(&ensemble, &small, None, false).unwrap().layout.tiling, Tiling::Register(_)));
        assert_eq!(plan(&ensemble, 128 << 20).unwrap().layout.tiling, shared);
    }
}
