//! The figures of a run, each as SVG text that can be themed, carries what a pointer reads, and is
//! rasterised without fonts of the system.
//!
//! A small layer draws ([`canvas`], [`scale`], [`ink`], [`plot`], [`heat`]); every figure has a
//! file of its own and knows only the document.

pub mod canvas;
mod density;
mod diagnostics;
mod distance;
mod evidence;
mod gram;
pub mod heat;
pub mod ink;
mod inversion;
pub mod ladder;
mod learning;
pub mod plot;
mod predictor;
mod radius;
mod raster;
mod readout;
pub mod scale;
mod spectrum;
mod vector;
mod weights;

use crate::compare::CentroidDistanceMaximum;
use crate::results::{Document, GramAt, VectorAt};
use canvas::{coordinate, escape};
use plot::{Drawn, Plot, WIDTH};

pub use distance::quantities as distance_quantities;
pub use inversion::figures as inversion_figures;
pub use radius::quantities as radius_quantities;
pub use raster::{RasterError, png};
pub use readout::quantity as readout_quantity;

/// A figure and the numbers in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its file name without extension, and its name in a page.
    pub name: String,
    pub title: String,
    pub caption: String,
    /// What is inside the SVG element, and its height at the width [`WIDTH`].
    body: String,
    height: f64,
    /// The same as a table; empty where that would be of no use.
    pub numbers: Numbers,
}

/// A table of text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Figures under one heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub heading: &'static str,
    pub figures: Vec<Figure>,
}

/// All figures for which the run has data. `gram` are the matrices and `vector` is ⟨v w⟩ at
/// [`shown_temperature`].
pub fn sections(document: &Document, gram: Option<&GramAt>, vector: Option<&VectorAt>) -> Vec<Section> {
    let section = |heading, figures| Section { heading, figures };
    let mut weights = readout::figures(document);
    weights.extend(weights::figures(document));
    weights.extend(vector::figures(document, vector));
    weights.extend(spectrum::figures(document));
    weights.extend(density::figures(document));
    let mut function = learning::figures(document);
    function.extend(predictor::figures(document));
    function.extend(evidence::figures(document));
    let mut sections = vec![
        section("Class manifolds in feature space", [distance::figures(document), radius::figures(document)].concat()),
        section("Weights and readout", weights),
        section(
            "Displacement of the feature Gram matrix",
            gram.map_or_else(Vec::new, |at| gram::figures(document, at)),
        ),
        section("What the network computes", function),
        section("Whether to believe it", diagnostics::figures(document)),
    ];
    sections.retain(|section| !section.figures.is_empty());
    unique_names(&mut sections);
    sections
}

/// Index of the temperature at which a figure that shows one temperature alone shows the run: where
/// the D² that has moved most from infinite width is largest, else the coldest. `None` without
/// temperatures.
pub fn shown_temperature(document: &Document) -> Option<usize> {
    let last = document.temperatures.len().checked_sub(1)?;
    let moved = |found: &CentroidDistanceMaximum| (found.value / found.infinite_width_value - 1.0).abs();
    let most = document.signatures.values().max_by(|a, b| moved(a).total_cmp(&moved(b)));
    let shown = most.and_then(|found| document.temperatures.iter().position(|at| at.temperature == found.temperature));
    Some(shown.unwrap_or(last))
}

impl Figure {
    fn new(name: &str, title: &str, caption: String, drawn: Drawn, numbers: Numbers) -> Self {
        Self { name: file_stem(name), title: title.into(), caption, body: drawn.body, height: drawn.height, numbers }
    }

    pub(super) fn plotted(plot: &Plot, caption: String, numbers: Numbers) -> Self {
        Self::new(&plot.id, &plot.title, caption, plot.draw(), numbers)
    }

    /// The SVG element for a page, whose style sheet has the rules of [`style`].
    pub fn inline(&self) -> String {
        self.element("")
    }

    /// The SVG as a file: dark where the viewer asks for it.
    pub fn file(&self) -> String {
        let sheet = format!("<style>{}@media (prefers-color-scheme:dark){{{}}}</style>\n", style(false), style(true));
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.element(&sheet))
    }

    fn element(&self, sheet: &str) -> String {
        let (width, height) = (coordinate(WIDTH), coordinate(self.height.ceil()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif\" role=\"group\" aria-label=\"{}\">\n{sheet}\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>",
            escape(&self.title),
            self.body
        )
    }
}

/// Rules for the classes that figures use, on light or on dark paper.
pub fn style(dark: bool) -> String {
    let [paper, ink, axis, grid, rule] = if dark {
        ["#16181c", "#dddddd", "#9a9a9a", "#30343b", "#8a8a8a"]
    } else {
        ["#ffffff", "#222222", "#666666", "#e4e4e4", "#999999"]
    };
    format!(
        ".paper,.hollow{{fill:{paper}}}.halo{{stroke:{paper}}}.ink{{fill:{ink}}}.axis{{stroke:{axis}}}.grid{{stroke:{grid}}}.rule{{stroke:{rule}}}{}",
        ink::style(dark)
    )
}

/// A name for a file on any system: labels of classes may hold anything.
fn file_stem(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+') { c } else { '-' };
    let stem: String = name.chars().map(safe).take(80).collect();
    stem.trim_matches('-').into()
}

/// Labels that differ only in what a file name cannot hold are told apart by a number.
fn unique_names(sections: &mut [Section]) {
    let mut known = std::collections::BTreeSet::new();
    for figure in sections.iter_mut().flat_map(|section| &mut section.figures) {
        let stem = figure.name.clone();
        let mut copy = 1;
        while !known.insert(figure.name.to_lowercase()) {
            copy += 1;
            figure.name = format!("{stem}-{copy}");
        }
    }
}
