//! The kernels and their sources: fragments of WGSL strung together, each idea written once, with
//! errors led back to file and line.

use std::collections::HashSet;

use super::layout::{LANES, Layout};
use super::tiling::Tiling;

/// A kernel: one entry point, compiled for one layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    Prior,
    Launch,
    Forward,
    Residual,
    Backward,
    BackwardReadout,
    Assemble,
    Factorize,
    Solve,
    Evaluate,
    BackwardMarginal,
    DrawReadout,
    Accept,
    Settle,
    Exchange,
    Swap,
    Centroids,
    Measure,
    Correlate,
    Count,
    Gram,
    WeightMoment,
    Complement,
    ForwardTest,
    Predict,
    CentroidsTest,
    MeasureTest,
    Moments,
    PackInputs,
    PackWeights,
    ProductForward,
    ForwardStaged,
    PackForce,
    PackForceMarginal,
    ProductBackward,
    BackwardStaged,
    BackwardMarginalStaged,
}

/// A fragment of a shader: its path in the repository and its text.
type Fragment = (&'static str, &'static str);

macro_rules! fragment {
    ($name:literal) => {
        (concat!("shaders/", $name, ".wgsl"), include_str!(concat!("../../../shaders/", $name, ".wgsl")))
    };
}

const BINDINGS: Fragment = fragment!("bindings");
const NOISE: Fragment = fragment!("noise");
const SUM: Fragment = fragment!("sum");
const UPDATE: Fragment = fragment!("update");
const SYSTEMS: Fragment = fragment!("linear_system");
const BACKWARD: Fragment = fragment!("backward");
const HALVES: Fragment = fragment!("halves");
const H: Fragment = fragment!("operands_forward");
const GRADIENT: Fragment = fragment!("operands_backward");
const STAGED: Fragment = fragment!("product_staged");

impl Kernel {
    /// Every kernel, in the order of the enumeration.
    pub const ALL: [Self; 37] = [
        Self::Prior,
        Self::Launch,
        Self::Forward,
        Self::Residual,
        Self::Backward,
        Self::BackwardReadout,
        Self::Assemble,
        Self::Factorize,
        Self::Solve,
        Self::Evaluate,
        Self::BackwardMarginal,
        Self::DrawReadout,
        Self::Accept,
        Self::Settle,
        Self::Exchange,
        Self::Swap,
        Self::Centroids,
        Self::Measure,
        Self::Correlate,
        Self::Count,
        Self::Gram,
        Self::WeightMoment,
        Self::Complement,
        Self::ForwardTest,
        Self::Predict,
        Self::CentroidsTest,
        Self::MeasureTest,
        Self::Moments,
        Self::PackInputs,
        Self::PackWeights,
        Self::ProductForward,
        Self::ForwardStaged,
        Self::PackForce,
        Self::PackForceMarginal,
        Self::ProductBackward,
        Self::BackwardStaged,
        Self::BackwardMarginalStaged,
    ];

    /// Name of the entry point.
    pub fn entry(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::Launch => "launch",
            Self::Forward | Self::ForwardTest | Self::ForwardStaged => "forward",
            Self::Residual => "residual",
            Self::Backward | Self::BackwardMarginal | Self::BackwardStaged | Self::BackwardMarginalStaged => "backward",
            Self::BackwardReadout => "backward_readout",
            Self::Assemble => "assemble",
            Self::Factorize => "factorize",
            Self::Solve => "solve",
            Self::Evaluate => "evaluate",
            Self::DrawReadout => "draw_readout",
            Self::Accept => "accept",
            Self::Settle => "settle",
            Self::Exchange => "exchange",
            Self::Swap => "swap",
            Self::Centroids | Self::CentroidsTest => "centroids",
            Self::Measure => "measure",
            Self::Correlate => "correlate",
            Self::Count => "count",
            Self::Gram | Self::WeightMoment => "gram",
            Self::Complement => "complement",
            Self::Predict => "predict",
            Self::MeasureTest => "measure_test",
            Self::Moments => "moments",
            Self::PackInputs => "pack_inputs",
            Self::PackWeights => "pack_weights",
            Self::PackForce | Self::PackForceMarginal => "pack_force",
            Self::ProductForward | Self::ProductBackward => "product",
        }
    }

    /// Whether an ensemble of this layout has any use for the kernel.
    pub fn needed(self, layout: &Layout) -> bool {
        match self {
            Self::Complement => layout.complement > 0,
            Self::ForwardTest | Self::Predict => layout.test_points > 0,
            Self::CentroidsTest | Self::MeasureTest => layout.test_manifolds,
            Self::Assemble
            | Self::Factorize
            | Self::Solve
            | Self::Evaluate
            | Self::BackwardMarginal
            | Self::DrawReadout => layout.integrated,
            Self::PackForceMarginal | Self::BackwardMarginalStaged => layout.integrated && layout.tiling.halved(),
            Self::PackInputs => layout.tiling.halved(),
            _ if self.is_inner() => layout.tiling.halved(),
            _ => true,
        }
    }

    /// Whether it has a part in the products of float16 operands, which make the forces within a
    /// trajectory.
    pub fn is_inner(self) -> bool {
        matches!(
            self,
            Self::PackWeights
                | Self::ProductForward
                | Self::ForwardStaged
                | Self::PackForce
                | Self::PackForceMarginal
                | Self::ProductBackward
                | Self::BackwardStaged
                | Self::BackwardMarginalStaged
        )
    }

    /// Whether the kernel treats the gradients within a trajectory, and whether the last of one.
    fn steps(self, layout: &Layout) -> [bool; 2] {
        let single = matches!(self, Self::Forward | Self::Backward | Self::BackwardMarginal);
        [!(single && layout.tiling.halved()), !self.is_inner()]
    }

    /// Invocations of a workgroup.
    pub fn lanes(self, layout: &Layout) -> usize {
        match self {
            _ if self.is_product() => layout.tiling.lanes(),
            _ => LANES,
        }
    }

    /// Whether it is a matrix product, or what follows one, divided by the layout's tiling.
    pub fn is_product(self) -> bool {
        matches!(
            self,
            Self::Forward
                | Self::ForwardTest
                | Self::Backward
                | Self::BackwardMarginal
                | Self::Assemble
                | Self::Gram
                | Self::WeightMoment
                | Self::ForwardStaged
                | Self::BackwardStaged
                | Self::BackwardMarginalStaged
        )
    }

    fn fragments(self, layout: &Layout) -> Vec<Fragment> {
        let product = match layout.tiling {
            Tiling::Register(_) => fragment!("product_register"),
            Tiling::Workgroup(_) | Tiling::Cooperative | Tiling::Emulated => fragment!("product_tiled"),
            Tiling::Subgroup => fragment!("product_subgroup"),
        };
        let halves: &[Fragment] = match layout.tiling {
            Tiling::Cooperative => &[fragment!("product_cooperative")],
            _ => &[product, fragment!("product_emulated")],
        };
        let own: &[Fragment] = match self {
            Self::Prior => &[NOISE, fragment!("prior")],
            Self::Launch => &[NOISE, SUM, UPDATE, fragment!("begin_trajectory")],
            Self::Forward | Self::ForwardTest => &[fragment!("activation"), product, fragment!("forward")],
            Self::Residual => &[SUM, fragment!("residual")],
            Self::Backward => &[NOISE, SUM, UPDATE, product, fragment!("force_loss"), BACKWARD],
            Self::BackwardMarginal => &[NOISE, SUM, UPDATE, SYSTEMS, product, fragment!("force_marginal"), BACKWARD],
            Self::BackwardReadout => &[NOISE, SUM, UPDATE, fragment!("backward_readout")],
            Self::Assemble => &[SYSTEMS, product, fragment!("assemble")],
            Self::Factorize | Self::Solve | Self::Evaluate | Self::DrawReadout => {
                &[NOISE, SUM, SYSTEMS, fragment!("readout")]
            }
            Self::Accept | Self::Settle => &[NOISE, SUM, UPDATE, fragment!("accept")],
            Self::Exchange | Self::Swap => &[NOISE, SUM, UPDATE, fragment!("exchange")],
            Self::Centroids | Self::Measure | Self::CentroidsTest | Self::MeasureTest => {
                &[NOISE, SUM, fragment!("observe")]
            }
            Self::Correlate | Self::Count => &[SUM, fragment!("histogram")],
            Self::Gram => &[SUM, product, fragment!("gram_features"), fragment!("gram")],
            Self::WeightMoment => &[SUM, product, fragment!("gram_weights"), fragment!("gram")],
            Self::Complement => &[NOISE, fragment!("test_complement")],
            Self::Predict => &[SUM, fragment!("predict")],
            Self::Moments => &[SUM, fragment!("moments")],
            Self::PackInputs => &[HALVES, fragment!("pack_inputs")],
            Self::PackWeights => &[HALVES, fragment!("pack_weights")],
            Self::PackForce => &[HALVES, fragment!("force_loss"), fragment!("pack_force")],
            Self::PackForceMarginal => &[HALVES, SYSTEMS, fragment!("force_marginal"), fragment!("pack_force")],
            Self::ProductForward => &[&[H][..], halves].concat(),
            Self::ProductBackward => &[&[GRADIENT][..], halves].concat(),
            Self::ForwardStaged => &[fragment!("activation"), H, STAGED, fragment!("forward")],
            Self::BackwardStaged => &[NOISE, SUM, UPDATE, GRADIENT, STAGED, fragment!("force_loss"), BACKWARD],
            Self::BackwardMarginalStaged => {
                &[NOISE, SUM, UPDATE, SYSTEMS, GRADIENT, STAGED, fragment!("force_marginal"), BACKWARD]
            }
        };
        let storage = if layout.half { fragment!("features_half") } else { fragment!("features_single") };
        [BINDINGS, storage].into_iter().chain(own.iter().copied()).collect()
    }

    /// The source of the kernel for a layout.
    pub fn source(self, layout: &Layout) -> Source {
        let mut source = Source::default();
        if layout.tiling == Tiling::Cooperative && matches!(self, Self::ProductForward | Self::ProductBackward) {
            source.push("extensions", "enable f16;\nenable wgpu_cooperative_matrix;\n");
        }
        let [inner, last] = self.steps(layout);
        let mut constants = layout.constants(matches!(self, Self::ForwardTest | Self::CentroidsTest));
        constants.push_str(&format!("const INNER = {inner};\nconst LAST = {last};\n"));
        let fragments = self.fragments(layout);
        source.push("constants", &used(&constants, &fragments));
        for (path, text) in fragments {
            source.push(path, text);
        }
        source
    }
}

/// Returns the constants that the fragments name; no constant depends on another. Two kernels whose
/// shapes differ only in constants that neither names have the same source.
fn used(constants: &str, fragments: &[Fragment]) -> String {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: HashSet<&str> = fragments.iter().flat_map(|(_, text)| text.split(|c| !letter(c))).collect();
    let named = |line: &&str| line.split([' ', '=']).nth(1).is_none_or(|name| words.contains(name));
    constants.split_inclusive('\n').filter(named).collect()
}

/// A composed shader, with the line at which each fragment starts.
#[derive(Debug, Clone, Default)]
pub struct Source {
    pub text: String,
    starts: Vec<(usize, &'static str)>,
}

impl Source {
    /// Appends a fragment.
    pub fn push(&mut self, path: &'static str, text: &str) {
        self.starts.push((self.text.lines().count(), path));
        self.text.push_str(text);
        if !text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// File and line of a line of the composed text, counted from 1.
    pub fn origin(&self, line: usize) -> String {
        let found = self.starts.iter().rev().find(|(start, _)| *start < line);
        found.map_or_else(|| format!("line {line}"), |(start, path)| format!("{path}:{}", line - start))
    }
}
