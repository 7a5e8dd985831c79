//! Rounds as a flat list of dispatches, so that submissions can be cut anywhere.

use super::layout::{Call, LANES, PREPARE};
use super::memory::MemoryPlan;
use super::shader::Kernel;
use super::slots::Section;
use super::tiling::MATRIX_TILE;
use crate::backend::{Observation, Parity, Round};

/// One dispatch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Command {
    pub kernel: Kernel,
    pub shard: usize,
    /// Which buffer of sums, for [`Kernel::Gram`] and [`Kernel::WeightMoment`].
    pub gram_buffer: usize,
    pub groups: [u32; 3],
    pub call: Call,
    /// Floating-point operations, roughly: submissions are cut by it.
    pub cost: f64,
}

/// By what energy chains move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Energy {
    /// L, both blocks of weights.
    #[default]
    Loss,
    /// V, W′ alone: [`crate::backend::Scheme::Marginal`].
    Marginal,
}

/// Which gradients of a trajectory are taken in one step: of temperatures that go on, and of those
/// that end there.
#[derive(Debug, Clone, Copy)]
struct Part {
    inner: bool,
    last: bool,
}

impl Part {
    const LAST: Self = Self { inner: false, last: true };
}

/// Appends commands of one plan.
#[derive(Debug)]
pub struct Schedule<'a> {
    plan: &'a MemoryPlan,
    energy: Energy,
    /// Whether some chain may stand with the gradient of another energy than that of its next move.
    stale: bool,
    pub commands: Vec<Command>,
}

impl<'a> Schedule<'a> {
    /// Of moves by the loss, from gradients of the loss.
    pub fn new(plan: &'a MemoryPlan) -> Self {
        Self { plan, energy: Energy::Loss, stale: false, commands: Vec::new() }
    }

    /// Of moves by `energy`, from gradients of `last`.
    pub fn of(plan: &'a MemoryPlan, energy: Energy, last: Energy) -> Self {
        // V is another one at every temperature, and the last move may have had others.
        let stale = energy == Energy::Marginal || last == Energy::Marginal;
        Self { energy, stale, ..Self::new(plan) }
    }

    /// The energy of which the gradients are when all commands have run, where any is not of the
    /// loss.
    pub fn left(&self) -> Energy {
        if self.stale { Energy::Marginal } else { self.energy }
    }

    /// A round that is number `slot` of those read back together.
    pub fn round(&mut self, slot: usize, round: &Round) {
        for shard in 0..self.plan.shards {
            let call = Call { trajectory: round.trajectory, round: slot as u32, ..self.call(shard) };
            let steps = round.steps.iter().copied().max().unwrap_or(0);
            if self.stale && steps > 0 {
                self.gradient(shard, Call { section: Section::Current as u32, step: PREPARE, ..call }, Part::LAST);
            }
            self.trajectory(shard, call, &round.steps);
            if let Some(parity) = round.exchange {
                self.exchange(shard, call, parity);
            }
            if let Some(observation) = round.observe {
                self.observe(shard, call, observation);
            }
        }
        // A temperature that did not move has not prepared its gradient either.
        let moved = !round.steps.contains(&0);
        self.stale = (self.stale && !moved) || (self.energy == Energy::Marginal && round.exchange.is_some());
    }

    /// Loss and gradient where the chains stand, drawn from the prior first if asked for: one step
    /// of [`GpuIntegrator::frozen`](super::integrator::GpuIntegrator::frozen).
    pub fn start(&mut self, prior: bool) {
        if self.plan.layout.tiling.halved() {
            self.push(Kernel::PackInputs, 0, self.call(0));
        }
        for shard in 0..self.plan.shards {
            let call = self.call(shard);
            if prior {
                self.push(Kernel::Prior, shard, call);
            }
            self.trajectory(shard, call, &[1]);
        }
    }

    /// The sums of the weights of one shard.
    pub fn moments(&mut self, shard: usize) {
        self.push(Kernel::Moments, shard, self.call(shard));
    }

    fn call(&self, shard: usize) -> Call {
        let (first, replicas) = self.plan.shard(shard);
        Call { first_replica: first as u32, replicas: replicas as u32, ..Call::default() }
    }

    /// The steps of the temperatures may differ.
    fn trajectory(&mut self, shard: usize, call: Call, of_each: &[u32]) {
        let call = Call { section: Section::Proposal as u32, ..call };
        let steps = of_each.iter().copied().max().unwrap_or(0);
        if steps > 0 {
            self.push(Kernel::Launch, shard, call);
        }
        for step in 0..steps {
            let part = Part { inner: step + 1 < steps, last: of_each.contains(&(step + 1)) };
            self.gradient(shard, Call { step, ..call }, part);
        }
        if steps > 0 && self.energy == Energy::Marginal {
            // Before the verdict: (W′, v) is proposed as a whole, and p(v | W′) cancels from its
            // acceptance.
            self.push(Kernel::DrawReadout, shard, call);
        }
        self.push(Kernel::Accept, shard, call);
        if steps > 0 {
            self.push(Kernel::Settle, shard, call);
        }
    }

    /// One gradient, and what the integrator makes of it.
    fn gradient(&mut self, shard: usize, call: Call, part: Part) {
        use Kernel::{
            Assemble, Backward, BackwardMarginal, BackwardMarginalStaged, BackwardReadout, BackwardStaged, Evaluate,
            Factorize, Forward, ForwardStaged, PackForce, PackForceMarginal, PackWeights, ProductBackward,
            ProductForward, Residual, Solve,
        };
        let halved = self.plan.layout.tiling.halved();
        let either = |halves: &[Kernel], single: Kernel| {
            let mut kernels = if halved && part.inner { halves.to_vec() } else { Vec::new() };
            kernels.extend((!halved || part.last).then_some(single));
            kernels
        };
        let forward = either(&[PackWeights, ProductForward, ForwardStaged], Forward);
        let rest = match self.energy {
            Energy::Loss => {
                let backward = either(&[PackForce, ProductBackward, BackwardStaged], Backward);
                [vec![Residual], backward, vec![BackwardReadout]].concat()
            }
            Energy::Marginal => {
                let backward = either(&[PackForceMarginal, ProductBackward, BackwardMarginalStaged], BackwardMarginal);
                [vec![Assemble, Factorize, Solve, Evaluate], backward].concat()
            }
        };
        forward.into_iter().chain(rest).for_each(|kernel| self.push(kernel, shard, call));
    }

    fn exchange(&mut self, shard: usize, call: Call, parity: Parity) {
        if let Some(first) = parity.pairs(self.plan.layout.temperatures).next() {
            let call = Call { which: first as u32, ..call };
            self.push(Kernel::Exchange, shard, call);
            self.push(Kernel::Swap, shard, call);
        }
    }

    fn observe(&mut self, shard: usize, call: Call, observation: Observation) {
        let call = Call { section: Section::Current as u32, ..call };
        self.push(Kernel::Forward, shard, call);
        self.push(Kernel::Centroids, shard, call);
        self.push(Kernel::Measure, shard, call);
        if observation.gram {
            self.gram(Kernel::Gram, shard, call);
        }
        if observation.weights {
            self.gram(Kernel::WeightMoment, shard, call);
        }
        if let Some(batch) = observation.batch {
            self.push(Kernel::Correlate, shard, call);
            self.push(Kernel::Count, shard, call);
            let test = [Kernel::ForwardTest, Kernel::Predict, Kernel::CentroidsTest, Kernel::MeasureTest];
            for kernel in std::iter::once(Kernel::Complement).chain(test) {
                if kernel.needed(&self.plan.layout) {
                    self.push(kernel, shard, Call { which: batch as u32, ..call });
                }
            }
        }
    }

    /// Sums over blocks of replicas: of the features, P×P, or of the weights, r×r.
    fn gram(&mut self, kernel: Kernel, shard: usize, call: Call) {
        let layout = &self.plan.layout;
        let size = if kernel == Kernel::Gram { layout.points } else { layout.rank };
        let pairs = layout.temperatures * layout.gram_blocks;
        let largest_block = layout.replicas.div_ceil(layout.gram_blocks).min(call.replicas as usize);
        for gram_buffer in 0..self.plan.gram_buffers {
            let first = gram_buffer * self.plan.gram_pairs;
            let count = self.plan.gram_pairs.min(pairs - first);
            for part in 0..largest_block.div_ceil(layout.gram_chains()) {
                let call = Call { which: first as u32, step: part as u32, ..call };
                let tiles = layout.tiling.groups(size, size);
                let chains = count * layout.gram_chains().min(largest_block);
                let cost = (chains * size * size * layout.units) as f64;
                let groups = [tiles as u32, count as u32, 1];
                self.commands.push(Command { kernel, shard, gram_buffer, groups, call, cost });
            }
        }
    }

    /// A kernel over the chains of one shard.
    fn push(&mut self, kernel: Kernel, shard: usize, call: Call) {
        let layout = &self.plan.layout;
        let chains = layout.temperatures * call.replicas as usize;
        let pairs = (layout.temperatures - call.which as usize) / 2 * call.replicas as usize;
        let flat = |items: usize| items.div_ceil(LANES);
        let product = |rows, columns| layout.tiling.groups(rows, columns);
        let [point_pad, unit_pad, rank_pad] = layout.padded();
        let tiles = |rows: usize, columns: usize| rows.div_ceil(MATRIX_TILE) * columns.div_ceil(MATRIX_TILE);
        let (x, y, z) = match kernel {
            Kernel::Launch => (layout.launch_groups(), chains, 1),
            Kernel::Forward | Kernel::ForwardStaged => (product(layout.points, layout.units), chains, 1),
            Kernel::ForwardTest => (product(layout.test_points, layout.units), chains, 1),
            Kernel::Backward | Kernel::BackwardMarginal | Kernel::BackwardStaged | Kernel::BackwardMarginalStaged => {
                (product(layout.units, layout.rank), chains, 1)
            }
            Kernel::PackInputs => (flat(layout.shared_operand() / 4), 1, 1),
            Kernel::PackWeights => (flat(unit_pad * rank_pad / 16), chains, 1),
            Kernel::PackForce | Kernel::PackForceMarginal => (flat(unit_pad * point_pad / 16), chains, 1),
            Kernel::ProductForward => (tiles(point_pad, unit_pad), chains, 1),
            Kernel::ProductBackward => (tiles(unit_pad, rank_pad), chains, 1),
            Kernel::Assemble => (product(layout.order(), layout.order()), chains, 1),
            Kernel::Solve => (flat(layout.solution_vectors()), chains, 1),
            Kernel::Residual
            | Kernel::Factorize
            | Kernel::Evaluate
            | Kernel::DrawReadout
            | Kernel::Accept
            | Kernel::Measure
            | Kernel::Count
            | Kernel::Predict
            | Kernel::MeasureTest => (1, chains, 1),
            Kernel::BackwardReadout => (flat(layout.unit_vectors()), chains, 1),
            Kernel::Prior => (flat(layout.chain_body()), chains, 1),
            Kernel::Settle => (flat(layout.chain_state()), chains, 1),
            Kernel::Exchange => (flat(pairs), 1, 1),
            Kernel::Swap => (flat(layout.chain_state()), pairs, 1),
            Kernel::Centroids | Kernel::CentroidsTest => (flat(layout.unit_vectors()), chains, layout.classes),
            Kernel::Complement => (flat(layout.units * layout.complement_vectors()), chains, 1),
            Kernel::Moments => (flat(layout.rank_vectors() + 1), chains, 1),
            Kernel::Correlate => (flat(layout.rank_vectors()), chains, 1),
            Kernel::Gram | Kernel::WeightMoment => return,
        };
        let order = layout.order();
        let inner = match kernel {
            Kernel::Assemble => order * layout.points / 2,
            // One workgroup, which waits for itself.
            Kernel::Factorize => 8 * order * order * order / layout.units / 6,
            Kernel::Solve => order * layout.points,
            Kernel::Evaluate | Kernel::DrawReadout => 8 * layout.points,
            Kernel::BackwardMarginal => 2 * layout.points * layout.rank,
            Kernel::Forward | Kernel::ProductForward | Kernel::ProductBackward => layout.points * layout.rank,
            Kernel::ForwardTest => layout.test_points * (layout.rank + layout.complement),
            Kernel::Backward => layout.points * layout.rank,
            _ => 16 * (layout.rank + layout.points),
        };
        let cost = (2 * chains * layout.units * inner) as f64;
        let groups = [x as u32, y as u32, z as u32];
        self.commands.push(Command { kernel, shard, gram_buffer: 0, groups, call, cost });
    }
}
