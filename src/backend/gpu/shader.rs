//! The kernels and their sources: fragments of WGSL strung together, each idea written once, with errors led back to file and line.

use super::layout::{LANES, Layout, Tiling};

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
const SYSTEMS: Fragment = fragment!("systems");
const BACKWARD: Fragment = fragment!("backward");

impl Kernel {
    /// Every kernel, in the order of the enumeration.
    pub const ALL: [Self; 28] = [
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
    ];

    /// Name of the entry point.
    pub fn entry(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::Launch => "launch",
            Self::Forward | Self::ForwardTest => "forward",
            Self::Residual => "residual",
            Self::Backward | Self::BackwardMarginal => "backward",
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
            _ => true,
        }
    }

    /// Invocations of a workgroup.
    pub fn lanes(self, layout: &Layout) -> usize {
        match self {
            _ if self.is_product() => layout.tiling.lanes(),
            _ => LANES,
        }
    }

    /// Whether it is a matrix product, divided by the layout's tiling.
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
        )
    }

    fn fragments(self, layout: &Layout) -> Vec<Fragment> {
        let product = match layout.tiling {
            Tiling::Register(_) => fragment!("product_register"),
            Tiling::Workgroup(_) => fragment!("product_tiled"),
            Tiling::Subgroup => fragment!("product_subgroup"),
        };
        let own: &[Fragment] = match self {
            Self::Prior => &[NOISE, fragment!("prior")],
            Self::Launch => &[NOISE, SUM, UPDATE, fragment!("launch")],
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
            Self::Correlate | Self::Count => &[SUM, fragment!("tally")],
            Self::Gram => &[SUM, product, fragment!("gram_features"), fragment!("gram")],
            Self::WeightMoment => &[SUM, product, fragment!("gram_weights"), fragment!("gram")],
            Self::Complement => &[NOISE, fragment!("complement")],
            Self::Predict => &[SUM, fragment!("predict")],
            Self::Moments => &[SUM, fragment!("moments")],
        };
        let storage = if layout.half { fragment!("features_half") } else { fragment!("features_single") };
        [BINDINGS, storage].into_iter().chain(own.iter().copied()).collect()
    }

    /// The source of the kernel for a layout.
    pub fn source(self, layout: &Layout) -> Source {
        let mut source = Source::default();
        source.push("constants", &layout.constants(matches!(self, Self::ForwardTest | Self::CentroidsTest)));
        for (path, text) in self.fragments(layout) {
            source.push(path, text);
        }
        source
    }
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
