//! The report as one page that needs nothing else: no network, no script, no font; light and dark;
//! from a phone's width up.

mod descent;
mod html;
mod overlay;
mod run;
mod signatures;

use super::figure::{Figure, png};

pub use descent::descent_page;
pub use overlay::{Named, OVERLAY_MARK, overlay};
pub use run::page;

/// A page and the files of its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub html: String,
    pub files: Vec<FigureFile>,
    /// What is missing from it, for the terminal.
    pub notes: Vec<String>,
}

/// A figure as a file, with the extension of its format.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Figures as SVG and PNG; one that cannot be rasterised is noted and has no PNG.
fn files<'a>(figures: impl IntoIterator<Item = &'a Figure>, notes: &mut Vec<String>) -> Vec<FigureFile> {
    let mut files = Vec::new();
    for figure in figures {
        files.push(FigureFile { name: format!("{}.svg", figure.name), bytes: figure.file().into_bytes() });
        // What is drawn is seen in the SVG; to rasterise it takes a fuzzer seconds a page.
        if cfg!(fuzzing) {
            continue;
        }
        match png(figure) {
            Ok(bytes) => files.push(FigureFile { name: format!("{}.png", figure.name), bytes }),
            Err(error) => notes.push(error.to_string()),
        }
    }
    files
}
