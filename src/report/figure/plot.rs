//! A pair of axes with everything that is drawn in them; knows nothing of runs.

use super::canvas::{Anchor, Canvas, TEXT, coordinate, text_width};
use super::ink::Ink;
use super::scale::{Scale, Tick, covering};

/// Width of a figure in user units: at the width of a phone its text is still read.
pub const WIDTH: f64 = 400.0;

/// Height of a figure with one pair of axes.
pub const HEIGHT: f64 = 310.0;

/// Room above the axes of a panel for nothing but air, and below them for ticks and a label.
const ABOVE: f64 = 8.0;
const BELOW: f64 = 40.0;
const RIGHT: f64 = 14.0;

const TITLE: f64 = 22.0;
const LEGEND_ROW: f64 = 17.0;

/// A rim of paper around text that stands among lines.
const HALO: &str =
    "class=\"ink halo\" stroke=\"#fff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"";

/// A point with its error; a `y` that is not finite breaks a line and is not drawn.
#[derive(Debug, Clone, Default)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// One standard error in y, zero if there is none.
    pub error: f64,
    /// What a pointer that rests on it reads.
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Joined points, in a band of two errors where there are any; small markers at the points.
    Line,
    /// The same without markers, for curves on a fine grid.
    Curve,
    /// Markers with bars of one error, in a pale band of two.
    Dots,
    /// Markers with bars of one error alone.
    Scatter,
    /// Markers without filling.
    Hollow,
    /// The outline of a histogram with these points as the middles of its bins.
    Steps,
}

#[derive(Debug, Clone)]
pub struct Series {
    pub ink: Ink,
    pub label: String,
    pub look: Look,
    pub points: Vec<Point>,
}

/// A straight line through the whole panel.
#[derive(Debug, Clone)]
pub enum Rule {
    /// A threshold at a height, with its name, which is written above the panel.
    Level(f64, String),
    /// Where both axes agree.
    Diagonal,
}

/// A point that is pointed out.
#[derive(Debug, Clone)]
pub struct Callout {
    pub x: f64,
    pub y: f64,
    pub text: String,
}

#[derive(Debug, Clone, Default)]
pub struct Axis {
    pub label: String,
    pub log: bool,
    /// What is shown; everything when left out.
    pub range: Option<[f64; 2]>,
}

/// One pair of axes.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    pub rules: Vec<Rule>,
    pub callouts: Vec<Callout>,
    /// A line of text inside, at the top left.
    pub note: String,
}

/// Panels above each other under one title and one legend.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Name of the figure.
    pub id: String,
    pub title: String,
    pub panels: Vec<Panel>,
    /// Height of each panel, ticks and labels included.
    pub panel_height: f64,
}

/// A drawn figure: its body and its height.
pub struct Drawn {
    pub body: String,
    pub height: f64,
}

impl Plot {
    pub fn one(id: &str, title: &str, panel: Panel) -> Self {
        Self { id: id.into(), title: title.into(), panels: vec![panel], panel_height: HEIGHT - TITLE - LEGEND_ROW }
    }

    pub fn draw(&self) -> Drawn {
        let mut canvas = Canvas::default();
        heading(&mut canvas, &self.title);
        let legend = legend(&mut canvas, &self.panels, TITLE);
        let scales: Vec<Option<Scales>> = self.panels.iter().map(Panel::scales).collect();
        // One left margin for all panels keeps their axes in line.
        let left = scales.iter().flatten().map(Scales::label_width).fold(20.0, f64::max) + 34.0;
        for (k, (panel, scales)) in self.panels.iter().zip(&scales).enumerate() {
            let top = TITLE + legend + self.panel_height * k as f64;
            // The name of a threshold stands above its panel, where no point can be.
            let above =
                if panel.rules.iter().any(|rule| matches!(rule, Rule::Level(..))) { 2.0 * ABOVE } else { ABOVE };
            let frame = Frame { left, top: top + above, right: WIDTH - RIGHT, bottom: top + self.panel_height - BELOW };
            match scales {
                Some(scales) => panel.draw(&mut canvas, &frame, scales),
                None => canvas.text(
                    "nothing to show here",
                    [WIDTH / 2.0, 0.5 * (frame.top + frame.bottom)],
                    Anchor::Middle,
                    TEXT,
                    "",
                ),
            }
        }
        Drawn { body: canvas.finish(), height: TITLE + legend + self.panel_height * self.panels.len() as f64 }
    }
}

/// The title of a figure, smaller where it would not fit: it may hold the labels of classes.
pub fn heading(canvas: &mut Canvas, title: &str) {
    // Bold letters are wider by about a tenth.
    let fitting = (WIDTH - 20.0) / (1.1 * text_width(title, 1.0)).max(1.0);
    canvas.text(title, [10.0, 17.0], Anchor::Start, fitting.min(TEXT + 1.0), "font-weight=\"bold\"");
}

/// The legend of all panels in rows that flow; returns the height it took.
fn legend(canvas: &mut Canvas, panels: &[Panel], top: f64) -> f64 {
    let mut entries: Vec<&Series> = Vec::new();
    for series in panels.iter().flat_map(|panel| &panel.series) {
        let shown = !series.label.is_empty() && series.points.iter().any(|point| point.y.is_finite());
        if shown && !entries.iter().any(|known| known.label == series.label && known.ink == series.ink) {
            entries.push(series);
        }
    }
    // What was measured comes first.
    entries.sort_by_key(|series| !matches!(series.look, Look::Dots | Look::Steps));
    let (mut x, mut row) = (10.0, 0);
    for series in &entries {
        let label = shortened(&series.label);
        let width = 26.0 + text_width(&label, TEXT - 1.0) + 14.0;
        if x > 10.0 && x + width > WIDTH {
            (x, row) = (10.0, row + 1);
        }
        let y = top + LEGEND_ROW * (f64::from(row) + 0.5);
        canvas.open(&series.ink.attributes());
        series.key(canvas, x, y);
        canvas.close();
        canvas.text(&label, [x + 26.0, y + 4.0], Anchor::Start, TEXT - 1.0, "");
        x += width;
    }
    if entries.is_empty() { 0.0 } else { LEGEND_ROW * f64::from(row + 1) + 2.0 }
}

/// A label that fits into a row: names of runs may be long.
fn shortened(label: &str) -> String {
    let room = WIDTH - 60.0;
    if text_width(label, TEXT - 1.0) <= room {
        return label.into();
    }
    let mut text: String = label.into();
    while text_width(&text, TEXT - 1.0) > room {
        text.pop();
    }
    text + "…"
}

struct Scales {
    x: [f64; 2],
    y: [f64; 2],
    y_log: bool,
}

impl Scales {
    fn label_width(&self) -> f64 {
        let ticks = Scale::new(self.y_log, self.y, [0.0, 1.0]).ticks(6);
        ticks.iter().filter_map(|tick| tick.label.as_deref()).map(|l| text_width(l, TEXT - 1.0)).fold(0.0, f64::max)
    }
}

struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Panel {
    fn scales(&self) -> Option<Scales> {
        let points = || self.series.iter().flat_map(|series| &series.points).filter(|point| point.y.is_finite());
        let level = |rule: &Rule| if let Rule::Level(y, _) = rule { Some(*y) } else { None };
        let x = self.x.range.or_else(|| covering(points().map(|point| point.x), self.x.log))?;
        let ends = points().flat_map(|point| {
            let error = if point.error.is_finite() { point.error } else { 0.0 };
            // On a log axis the lower end of a bar may have no place.
            [point.y - error, point.y, point.y + error]
        });
        let y = self.y.range.or_else(|| {
            points().next()?;
            covering(ends.chain(self.rules.iter().filter_map(level)), self.y.log)
        })?;
        Some(Scales { x, y, y_log: self.y.log })
    }

    fn draw(&self, canvas: &mut Canvas, frame: &Frame, scales: &Scales) {
        let x = Scale::new(self.x.log, scales.x, [frame.left, frame.right]);
        let y = Scale::new(self.y.log, scales.y, [frame.bottom, frame.top]);
        self.axes(canvas, frame, &x, &y);

        let [left, top, width, height] =
            [frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top].map(coordinate);
        // An inner viewport clips without a name, which would have to be unique in a page.
        let place = format!("x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"");
        canvas.raw(&format!("<svg {place} viewBox=\"{left} {top} {width} {height}\">"));
        self.rules.iter().for_each(|rule| rule.draw(canvas, frame, scales, (&x, &y)));
        for series in &self.series {
            canvas.open(&series.ink.attributes());
            series.draw_lines(canvas, &x, &y);
            canvas.close();
        }
        canvas.raw("</svg>\n");
        // Markers at the edge are drawn whole; those beyond it are not drawn.
        for series in &self.series {
            canvas.open(&series.ink.attributes());
            series.draw_markers(canvas, &x, &y);
            canvas.close();
        }
        for callout in &self.callouts {
            callout.draw(canvas, frame, &x, &y);
        }
        for rule in &self.rules {
            if let Rule::Level(_, name) = rule {
                canvas.text(name, [frame.right, frame.top - 4.0], Anchor::End, TEXT - 2.0, "");
            }
        }
        if !self.note.is_empty() {
            canvas.text(&self.note, [frame.left + 7.0, frame.top + 15.0], Anchor::Start, TEXT - 1.0, "");
        }
    }

    fn axes(&self, canvas: &mut Canvas, frame: &Frame, x: &Scale, y: &Scale) {
        let (axis, grid) = ("class=\"axis\" stroke=\"#666\"", "class=\"grid\" stroke=\"#e4e4e4\"");
        let major = |tick: &&Tick| tick.label.is_some();
        let (x_ticks, y_ticks) = (x.ticks(6), y.ticks(6));
        for at in x_ticks.iter().filter(major).filter_map(|tick| x.at(tick.value)) {
            canvas.line([at, frame.top], [at, frame.bottom], grid);
        }
        for at in y_ticks.iter().filter(major).filter_map(|tick| y.at(tick.value)) {
            canvas.line([frame.left, at], [frame.right, at], grid);
        }
        canvas.polyline(
            &[[frame.left, frame.top], [frame.left, frame.bottom], [frame.right, frame.bottom]],
            &format!("{axis} fill=\"none\""),
        );
        let size = TEXT - 1.0;
        for tick in &x_ticks {
            let Some(at) = x.at(tick.value) else { continue };
            let length = if tick.label.is_some() { 5.0 } else { 3.0 };
            canvas.line([at, frame.bottom], [at, frame.bottom + length], axis);
            if let Some(label) = &tick.label {
                canvas.text(label, [at, frame.bottom + 17.0], Anchor::Middle, size, "");
            }
        }
        for tick in &y_ticks {
            let Some(at) = y.at(tick.value) else { continue };
            let length = if tick.label.is_some() { 5.0 } else { 3.0 };
            canvas.line([frame.left - length, at], [frame.left, at], axis);
            if let Some(label) = &tick.label {
                canvas.text(label, [frame.left - 7.0, at + 4.0], Anchor::End, size, "");
            }
        }
        let middle = [0.5 * (frame.left + frame.right), 0.5 * (frame.top + frame.bottom)];
        canvas.text(&self.x.label, [middle[0], frame.bottom + 33.0], Anchor::Middle, TEXT, "");
        let fitting = (frame.bottom - frame.top + BELOW) / text_width(&self.y.label, 1.0).max(1.0);
        canvas.upward_text(&self.y.label, [14.0, middle[1]], fitting.min(TEXT));
    }
}

impl Rule {
    fn draw(&self, canvas: &mut Canvas, frame: &Frame, scales: &Scales, (x, y): (&Scale, &Scale)) {
        let look = "class=\"rule\" stroke=\"#999\" stroke-dasharray=\"5 3\"";
        match self {
            Self::Level(value, _) => {
                let Some(at) = y.at(*value).filter(|_| y.contains(*value)) else { return };
                canvas.line([frame.left, at], [frame.right, at], look);
            }
            Self::Diagonal => {
                let (low, high) = (scales.x[0].max(scales.y[0]), scales.x[1].min(scales.y[1]));
                let place = |v: f64| Some([x.at(v)?, y.at(v)?]);
                if let (Some(from), Some(to)) = (place(low), place(high)) {
                    canvas.line(from, to, look);
                }
            }
        }
    }
}

impl Callout {
    fn draw(&self, canvas: &mut Canvas, frame: &Frame, x: &Scale, y: &Scale) {
        let (Some(px), Some(py)) = (x.at(self.x), y.at(self.y)) else { return };
        canvas.open(&Ink::Sampled.attributes());
        canvas.raw(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"8\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.2\"/>",
            coordinate(px),
            coordinate(py)
        ));
        canvas.close();
        let half = 0.5 * text_width(&self.text, TEXT - 1.0);
        let (low, high) = (frame.left + half + 4.0, frame.right - half - 4.0);
        let at = if low < high { px.clamp(low, high) } else { px };
        let baseline = if py - frame.top > 26.0 { py - 13.0 } else { py + 22.0 };
        canvas.text(&self.text, [at, baseline], Anchor::Middle, TEXT - 1.0, HALO);
    }
}

impl Series {
    /// Its specimen in the legend, 22 units wide about the height `y`.
    fn key(&self, canvas: &mut Canvas, x: f64, y: f64) {
        let middle = [x + 11.0, y];
        let stroke = format!("fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\" {}", self.ink.dash());
        match self.look {
            Look::Line | Look::Curve => {
                canvas.line([x, y], [x + 22.0, y], &stroke);
                if self.look == Look::Line {
                    self.ink.marker().draw(canvas, middle, 2.2, true);
                }
            }
            Look::Dots | Look::Scatter => {
                canvas.line([x + 11.0, y - 6.0], [x + 11.0, y + 6.0], "stroke=\"currentColor\"");
                self.ink.marker().draw(canvas, middle, 3.5, true);
            }
            Look::Hollow => self.ink.marker().draw(canvas, middle, 3.2, false),
            Look::Steps => {
                canvas.rectangle(
                    [x + 3.0, y - 5.0],
                    [16.0, 10.0],
                    "fill=\"currentColor\" fill-opacity=\"0.18\" stroke=\"currentColor\"",
                );
            }
        }
    }

    fn draw_lines(&self, canvas: &mut Canvas, x: &Scale, y: &Scale) {
        for run in self.points.split(|point| !point.y.is_finite()) {
            let placed: Vec<(f64, &Point)> = run.iter().filter_map(|point| Some((x.at(point.x)?, point))).collect();
            match self.look {
                Look::Line | Look::Curve | Look::Dots => {
                    if placed.len() > 1 && placed.iter().any(|(_, point)| point.error > 0.0) {
                        let edge = |sign: f64| {
                            placed.iter().filter_map(move |(at, point)| {
                                Some([*at, y.clamped(point.y + sign * 2.0 * sane(point.error))?])
                            })
                        };
                        let mut outline: Vec<[f64; 2]> = edge(1.0).collect();
                        outline.extend(edge(-1.0).collect::<Vec<_>>().into_iter().rev());
                        canvas.polygon(&outline, "fill=\"currentColor\" fill-opacity=\"0.13\" stroke=\"none\"");
                    }
                    if self.look != Look::Dots {
                        let line: Vec<[f64; 2]> =
                            placed.iter().filter_map(|(at, point)| Some([*at, y.at(point.y)?])).collect();
                        let look = format!(
                            "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\" stroke-linejoin=\"round\" {}",
                            self.ink.dash()
                        );
                        canvas.polyline(&line, &look);
                    }
                }
                Look::Scatter | Look::Hollow => {}
                Look::Steps => draw_steps(canvas, &placed, y),
            }
        }
    }

    fn draw_markers(&self, canvas: &mut Canvas, x: &Scale, y: &Scale) {
        if matches!(self.look, Look::Curve | Look::Steps) {
            return;
        }
        for point in self.points.iter().filter(|point| y.contains(point.y) && x.contains(point.x)) {
            let (Some(px), Some(py)) = (x.at(point.x), y.at(point.y)) else { continue };
            if self.look == Look::Hollow && point.note.is_empty() {
                self.ink.marker().draw(canvas, [px, py], 2.6, false);
                continue;
            }
            let measured = matches!(self.look, Look::Dots | Look::Scatter);
            // Measured points can be reached by the keyboard; the lines of a theory are on the way
            // otherwise.
            canvas.open(if self.look == Look::Dots { "class=\"pt\" tabindex=\"0\"" } else { "class=\"pt\"" });
            if !point.note.is_empty() {
                canvas.title(&point.note);
            }
            if measured && point.error > 0.0 && point.error.is_finite() {
                let ends = [y.clamped(point.y - point.error), y.clamped(point.y + point.error)];
                if let [Some(low), Some(high)] = ends {
                    canvas.line([px, low], [px, high], "stroke=\"currentColor\" stroke-width=\"1.2\"");
                    for end in [low, high].into_iter().filter(|_| self.look == Look::Dots) {
                        canvas.line([px - 3.5, end], [px + 3.5, end], "stroke=\"currentColor\" stroke-width=\"1.2\"");
                    }
                }
            }
            let (radius, filled) = match self.look {
                Look::Dots => (3.5, true),
                Look::Scatter => (2.4, true),
                Look::Hollow => (2.6, false),
                _ => (2.2, true),
            };
            self.ink.marker().draw(canvas, [px, py], radius, filled);
            if self.look != Look::Hollow && self.look != Look::Scatter {
                // A finger and a pointer need more room than a marker takes.
                canvas.raw(&format!(
                    "<circle cx=\"{}\" cy=\"{}\" r=\"9\" fill=\"none\" pointer-events=\"all\"/>",
                    coordinate(px),
                    coordinate(py)
                ));
            }
            canvas.close();
        }
    }
}

fn sane(error: f64) -> f64 {
    if error.is_finite() { error } else { 0.0 }
}

/// The outline of a histogram, closed on the foot of the scale.
fn draw_steps(canvas: &mut Canvas, placed: &[(f64, &Point)], y: &Scale) {
    let [Some((first, _)), Some((second, _))] = [placed.first(), placed.get(1)] else { return };
    let Some(foot) = y.clamped(0.0) else { return };
    let half = 0.5 * (second - first);
    let mut outline = vec![[first - half, foot]];
    for (at, point) in placed {
        let Some(height) = y.clamped(point.y) else { continue };
        outline.extend([[at - half, height], [at + half, height]]);
    }
    if let Some(&[x, _]) = outline.last() {
        outline.push([x, foot]);
    }
    canvas.polygon(&outline, "fill=\"currentColor\" fill-opacity=\"0.15\" stroke=\"currentColor\" stroke-width=\"1\"");
}
