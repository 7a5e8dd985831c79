//! PNG from the SVG of a figure, with the embedded font alone.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use thiserror::Error;

use super::Figure;

const FONT: &[u8] = include_bytes!("../../../data/dejavu-sans-subset.ttf");

/// Pixels per user unit.
const SCALE: f32 = 2.0;

/// The font is parsed once for all figures.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    for family in [fontdb::Database::set_sans_serif_family::<&str>, fontdb::Database::set_serif_family::<&str>] {
        family(&mut fonts, "DejaVu Sans");
    }
    Arc::new(fonts)
});

/// Why a figure has no PNG.
#[derive(Debug, Error)]
#[error("figure {name} cannot be rasterised: {reason}")]
pub struct RasterError {
    name: String,
    reason: String,
}

/// The figure as a PNG file on light paper, two pixels per user unit.
///
/// # Errors
/// [`RasterError`] when the rasteriser refuses the SVG or its size.
pub fn png(figure: &Figure) -> Result<Vec<u8>, RasterError> {
    let refuse = |reason: String| RasterError { name: figure.name.clone(), reason };
    let options = Options { fontdb: FONTS.clone(), font_family: "DejaVu Sans".into(), ..Options::default() };
    let tree = Tree::from_str(&figure.inline(), &options).map_err(|error| refuse(error.to_string()))?;
    let size = tree.size();
    let pixels = |length: f32| (SCALE * length).ceil() as u32;
    let mut pixmap = Pixmap::new(pixels(size.width()), pixels(size.height()))
        .ok_or_else(|| refuse("its size is impossible".into()))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| refuse(error.to_string()))
}
