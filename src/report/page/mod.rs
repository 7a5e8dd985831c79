//! The report as one page that needs nothing else: no network, no script, no font; light and dark; from a phone's width up.

mod descent;
mod html;
mod overlay;
mod run;

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
