//! ⟨v w⟩, the vector: how far the sampled one is from every theory's along the ladder, and for
//! images both as pictures.

use super::canvas::{Anchor, Canvas, TEXT};
use super::heat::{bar, blocks, reach};
use super::ink::Ink;
use super::ladder::horizontal;
use super::plot::{Axis, Drawn, Look, Panel, Plot, Point, Series, WIDTH, heading};
use super::scale::covering;
use super::{Figure, Numbers};
use crate::compare::{Measured, VectorAgreement};
use crate::results::{Document, TemperatureReport, VectorAt, short, with_error};
use crate::theory::TheoryKind;

/// Numbers of one pixel of a colour picture; planes follow each other.
const COLOURS: usize = 3;

pub fn figures(document: &Document, at: Option<&VectorAt>) -> Vec<Figure> {
    distances(document).into_iter().chain(at.and_then(|at| pictures(document, at))).collect()
}

fn agreement(at: &TemperatureReport, kind: TheoryKind) -> Option<VectorAgreement> {
    at.signatures.readout_weight_vector.as_ref()?.agreement.get(kind.name()).copied()
}

fn distances(document: &Document) -> Option<Figure> {
    let kinds: Vec<TheoryKind> = (TheoryKind::ALL.into_iter())
        .filter(|&kind| document.temperatures.iter().any(|at| agreement(at, kind).is_some()))
        .collect();
    let line = |ink: Ink, label: &str, look: Look, kind: TheoryKind, value: fn(VectorAgreement) -> Option<f64>| {
        let point = |at: &TemperatureReport| {
            let found = agreement(at, kind).and_then(value).filter(|y| *y > 0.0 && y.is_finite());
            let note = format!("{label}, T = {}: {:.2e}", short(at.temperature), found.unwrap_or(f64::NAN));
            Point { x: at.temperature, y: found.unwrap_or(f64::NAN), error: 0.0, note }
        };
        Series { ink, label: label.into(), look, points: document.temperatures.iter().map(point).collect() }
    };
    let first = *kinds.first()?;
    let floor = line(Ink::Sampled, "Monte Carlo error alone", Look::Curve, first, |found| found.noise_floor);
    let theories =
        kinds.iter().map(|&kind| line(Ink::Theory(kind), kind.name(), Look::Line, kind, |found| found.relative_error));
    let series: Vec<Series> = theories.chain([floor]).collect();
    let range = covering(series.iter().flat_map(|series| &series.points).map(|point| point.y), true)?;
    let y = Axis { label: "‖sampled − theory‖ / ‖theory‖".into(), log: true, range: Some(range) };
    let panel = Panel { x: horizontal(), y, series, ..Panel::default() };
    let caption = format!(
        "Distance of the sampled vector from each theory's in all directions, over the theory's length, and what the error of the samples alone makes of \
         it (beside {}). At infinite width the vector is zero.",
        first.name()
    );
    let plot = Plot::one("readout_weight_vector", "⟨v w⟩(T): the vector beside the theories", panel);
    Some(Figure::plotted(&plot, caption, numbers(document, &kinds)))
}

/// The length, and for every theory the cosine and the distance with what noise makes of it.
fn numbers(document: &Document, kinds: &[TheoryKind]) -> Numbers {
    let mut header = vec!["T".to_string(), "‖⟨v w⟩‖ sampled".into()];
    header.extend(kinds.iter().flat_map(|kind| [format!("cosine with {}", kind.name()), "distance (noise)".into()]));
    let measured = |found: Option<Measured>| {
        found.filter(|found| found.value.is_some()).map_or_else(|| "–".into(), |m| with_error(m.value, m.error))
    };
    let row = |at: &TemperatureReport| {
        let norm = at.signatures.readout_weight_vector.as_ref().map(|found| found.norm);
        let mut row = vec![short(at.temperature), measured(norm)];
        for &kind in kinds {
            let found = agreement(at, kind);
            row.push(measured(found.map(|found| found.cosine)));
            let distance = found.and_then(|found| Some((found.relative_error?, found.noise_floor?)));
            row.push(distance.map_or_else(|| "–".into(), |(off, floor)| format!("{off:.4} ({floor:.4})")));
        }
        row
    };
    Numbers { header, rows: document.temperatures.iter().map(row).collect() }
}

/// Pixels along one side and planes of the inputs, where these are square pictures.
fn shape(document: &Document) -> Option<(usize, usize)> {
    let source = document.config.data.source.as_deref()?;
    if source.starts_with("teacher:") || source.ends_with(".npz") {
        return None;
    }
    let square = |pixels: usize| Some(pixels.isqrt()).filter(|side| *side > 1 && side * side == pixels);
    let dimension = document.data.dimension;
    let colour = || if dimension.is_multiple_of(COLOURS) { square(dimension / COLOURS) } else { None };
    square(dimension).map(|side| (side, 1)).or_else(|| Some((colour()?, COLOURS)))
}

fn pictures(document: &Document, at: &VectorAt) -> Option<Figure> {
    let temperature = short(document.temperatures.get(at.index)?.temperature);
    let (side, planes) = shape(document)?;
    let order: Vec<usize> = (0..side).collect();
    let picture = |vector: &[f64]| {
        let pixel = |i: usize, j: usize| {
            let values =
                (0..planes).map(|plane| vector.get((plane * side + i) * side + j).copied().unwrap_or(f64::NAN));
            values.sum::<f64>() / planes as f64
        };
        blocks(&order, pixel)
    };
    let mut maps = vec![("sampled", picture(&at.sampled))];
    maps.extend(at.theories.iter().map(|(kind, vector)| (kind.name(), picture(vector))));
    let reach = reach(maps.iter().flat_map(|(_, cells)| &cells.values))?;
    let mut canvas = Canvas::default();
    let title = format!("⟨v w⟩ in input space at T = {temperature}");
    heading(&mut canvas, &title);
    let (gap, top, name) = (12.0, 44.0, 22.0);
    // Four pictures in a row would be too small on a phone.
    let columns = if maps.len() == 4 { 2 } else { maps.len().min(3) };
    let size = ((WIDTH - gap) / columns as f64 - gap).min(190.0);
    let first = 0.5 * (WIDTH - columns as f64 * (size + gap) + gap);
    for (k, (name_of, cells)) in maps.iter().enumerate() {
        let (row, column) = (k / columns, k % columns);
        let [left, high] = [first + (size + gap) * column as f64, top + (size + name) * row as f64];
        canvas.text(name_of, [left + 0.5 * size, high - 7.0], Anchor::Middle, TEXT, "");
        cells.draw(&mut canvas, [left, high], size, reach);
    }
    let below = top + (size + name) * maps.len().div_ceil(columns) as f64 - name;
    bar(&mut canvas, [90.0, below + 16.0], WIDTH - 180.0, reach);
    let mut caption = "The correlation of readout and weights as a picture: what the hidden units look for. Sampled beside the theories that have a \
                       solution here; the palette ends at the size below which 98 % of the pixels lie."
        .to_string();
    let errors: Vec<f64> = at.mcse.iter().copied().filter(|error| error.is_finite()).collect();
    if !errors.is_empty() {
        let typical = (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt();
        caption += &format!(" The MCSE of a sampled pixel is {typical:.1e}.");
    }
    if planes > 1 {
        caption += " Mean over the three colours.";
    }
    let drawn = Drawn { body: canvas.finish(), height: below + 48.0 };
    Some(Figure::new("readout_weight_picture", &title, caption, drawn, Numbers::default()))
}
