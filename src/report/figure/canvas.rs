//! SVG as text: elements, numbers and escaped words; knows nothing of axes.

use std::fmt::Write;

/// Height of figure text in user units.
pub const TEXT: f64 = 12.0;

/// Coordinates beyond this are far outside any figure and would only make renderers lose precision.
const FAR: f64 = 1e5;

/// Text for XML and HTML alike: markup escaped, and the control characters that no XML may hold
/// left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// A coordinate to a hundredth of a unit. What is not finite has no place in a figure and is
/// filtered before; here it only cannot do harm.
pub fn coordinate(x: f64) -> String {
    debug_assert!(x.is_finite(), "a coordinate is not finite");
    let x = if x.is_finite() { x.clamp(-FAR, FAR) } else { 0.0 };
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Width that a text takes, about, and rather too much: renderers differ in their fonts. Combining
/// marks take none.
pub fn text_width(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        '\u{300}'..='\u{36f}' => 0.0,
        'i' | 'j' | 'l' | '.' | ',' | '\'' | '|' | ' ' | ':' => 0.34,
        '⁰'..='⁹' | '²' | '³' | '¹' | '⁻' | '(' | ')' | '[' | ']' | 'f' | 't' | 'r' => 0.42,
        'm' | 'w' | 'M' | 'W' | '−' | '±' | '=' => 0.88,
        _ => 0.64,
    };
    size * text.chars().map(width).sum::<f64>()
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// The body of an SVG in the making.
///
/// Colours are presentation attributes, which the style sheet of a page overrides by class: the
/// same text is right in a plain viewer, in the rasteriser and in a dark page.
#[derive(Debug, Default)]
pub struct Canvas {
    body: String,
}

impl Canvas {
    pub fn finish(self) -> String {
        self.body
    }

    /// Adds markup as it stands.
    pub fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    /// Opens a group; attributes are markup.
    pub fn open(&mut self, attributes: &str) {
        // write! to a String cannot fail.
        let _ = write!(self.body, "<g {attributes}>");
    }

    pub fn close(&mut self) {
        self.body.push_str("</g>\n");
    }

    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], attributes: &str) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(coordinate);
        let _ = write!(self.body, "<path d=\"M{x1} {y1}L{x2} {y2}\" {attributes}/>");
    }

    /// A polyline; nothing with fewer than two points.
    pub fn polyline(&mut self, points: &[[f64; 2]], attributes: &str) {
        if points.len() > 1 {
            let _ = write!(self.body, "<path d=\"{}\" {attributes}/>", path(points));
        }
    }

    /// A closed, filled outline.
    pub fn polygon(&mut self, points: &[[f64; 2]], attributes: &str) {
        let _ = write!(self.body, "<path d=\"{}Z\" {attributes}/>", path(points));
    }

    pub fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], attributes: &str) {
        let [x, y, width, height] = [x, y, width, height].map(coordinate);
        let _ = write!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {attributes}/>");
    }

    /// A line of text in the colour of the class `ink`, unless the attributes have another class.
    pub fn text(&mut self, text: &str, [x, y]: [f64; 2], anchor: Anchor, size: f64, attributes: &str) {
        let ([x, y, size], anchor) = ([x, y, size].map(coordinate), anchor.name());
        let class = if attributes.contains("class=") { "" } else { "class=\"ink\"" };
        let _ = write!(
            self.body,
            "<text {class} x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#222\" {attributes}>{}</text>",
            escape(text)
        );
    }

    /// A text turned to read upwards, about its middle.
    pub fn upward_text(&mut self, text: &str, [x, y]: [f64; 2], size: f64) {
        let turn = format!("transform=\"rotate(-90 {} {})\"", coordinate(x), coordinate(y));
        self.text(text, [x, y], Anchor::Middle, size, &turn);
    }

    /// What a pointer that rests on the group reads.
    pub fn title(&mut self, text: &str) {
        let _ = write!(self.body, "<title>{}</title>", escape(text));
    }
}

fn path(points: &[[f64; 2]]) -> String {
    let mut text = String::new();
    for (k, point) in points.iter().enumerate() {
        let [x, y] = point.map(coordinate);
        let _ = write!(text, "{}{x} {y}", if k == 0 { "M" } else { "L" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_cannot_be_smuggled_in() {
        assert_eq!(escape("<a href='x'>&\"\u{0}\u{1b}é"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;é");
    }

    #[test]
    fn coordinates_are_short_and_bounded() {
        for (x, text) in [(1.0, "1"), (-0.001, "0"), (2.5, "2.5"), (10.0, "10"), (1e300, "100000")] {
            assert_eq!(coordinate(x), text);
        }
    }
}
