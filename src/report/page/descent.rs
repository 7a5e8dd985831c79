//! The page of gradient descent beside equilibrium.

use super::html::{block, document, figures, list};
use super::{FigureFile, Page};
use crate::config::Experiment;
use crate::report::figure::canvas::escape;
use crate::report::figure::{inversion_figures, png};
use crate::results::Document;
use crate::studies::descent::Descent;

/// What such a page says of itself in its `generator` element.
const MARK: &str = "featherm descent";

/// The page with its figures; `run` is a run of the same problem and what it is called.
pub fn descent_page(experiment: &Experiment, descent: &Descent, run: Option<(&str, &Document)>) -> Page {
    let drawn = inversion_figures(descent, run.map(|(_, document)| document));
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for figure in &drawn {
        files.push(FigureFile { name: format!("{}.svg", figure.name), bytes: figure.file().into_bytes() });
        match png(figure) {
            Ok(bytes) => files.push(FigureFile { name: format!("{}.png", figure.name), bytes }),
            Err(error) => notes.push(error.to_string()),
        }
    }
    let title = "Gradient descent beside equilibrium";
    let mut body = format!(
        "<header>\n<h1>{title}</h1>\n<p class=\"soft\">{} starts, learning rate η = {:.3e}, {} steps</p>\n</header>\n<main>\n",
        descent.starts,
        descent.learning_rate,
        descent.step.last().unwrap_or(&0)
    );
    if descent.interrupted {
        body += "<div class=\"box bad\"><strong>⚠ Descent was interrupted</strong></div>\n";
    }
    body += &figures(&drawn);
    if let Some((name, run)) = run {
        let device = &run.device.name;
        body += &format!("<p>Samples: the run {}, featherm {} on {}.</p>\n", escape(name), run.version, escape(device));
    }
    body += &list(descent.notes.iter().chain(&descent.warnings).chain(&notes).cloned());
    body += "<h2>Configuration</h2>\n";
    body += &block(&toml::to_string(experiment.settings()).unwrap_or_else(|error| format!("# {error}")));
    body += &format!("<p class=\"soft\">featherm {}</p>\n</main>\n", env!("CARGO_PKG_VERSION"));
    Page { html: document(title, MARK, &body), files, notes }
}
