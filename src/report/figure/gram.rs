//! How feature learning displaces the Gram matrix of the features, ⟨G⟩ − K: sampled beside theory
//! as heat maps, and pair by pair.

use super::canvas::{Anchor, Canvas, TEXT};
use super::heat::{Cells, bar, blocks, reach};
use super::ink::Ink;
use super::plot::{Axis, Drawn, Look, Panel, Plot, Point, Rule, Series, WIDTH, heading};
use super::scale::covering;
use super::{Figure, Numbers};
use crate::results::{Document, GramAt, short};

/// Pairs of points in the scatter, at most.
const MOST_PAIRS: usize = 1500;

pub fn figures(document: &Document, at: &GramAt) -> Vec<Figure> {
    let Some(temperature) = document.temperatures.get(at.index).map(|at| short(at.temperature)) else {
        return Vec::new();
    };
    let order = by_class(at);
    let maps = heat_maps(document, at, &order, &temperature);
    maps.into_iter().chain(pairs(at, &temperature)).collect()
}

/// Points of one class beside each other; as they are stored where their classes are not known.
fn by_class(at: &GramAt) -> Vec<usize> {
    let mut order: Vec<usize> = (0..at.points).collect();
    if let Some(classes) = &at.classes {
        order.sort_by_key(|&point| classes[point]);
    }
    order
}

fn heat_maps(document: &Document, at: &GramAt, order: &[usize], temperature: &str) -> Option<Figure> {
    let moved = |matrix: &[f64]| blocks(order, |i, j| matrix[i * at.points + j] - at.nngp[i * at.points + j]);
    let mut maps = vec![("sampled".to_string(), moved(&at.sampled))];
    maps.extend(at.theory.as_ref().map(|(kind, matrix)| (kind.name().to_string(), moved(matrix))));
    let reach = reach(maps.iter().flat_map(|(_, cells)| &cells.values))?;
    let mut canvas = Canvas::default();
    let title = format!("⟨G⟩ − K at T = {temperature}");
    heading(&mut canvas, &title);
    let (gap, top) = (14.0, 44.0);
    let size = 0.5 * (WIDTH - 3.0 * gap);
    for (k, (name, cells)) in maps.iter().enumerate() {
        let left = gap + (size + gap) * k as f64;
        canvas.text(name, [left + 0.5 * size, top - 7.0], Anchor::Middle, TEXT, "");
        cells.draw(&mut canvas, [left, top], size, reach);
        boundaries(&mut canvas, at, order, [left, top], size / (cells.side * cells.block) as f64);
    }
    bar(&mut canvas, [90.0, top + size + 16.0], WIDTH - 180.0, reach);
    let side = maps.first().map_or(0, |(_, cells): &(String, Cells)| cells.side);
    let mut caption = format!(
        "Mean feature Gram matrix on the {} training points less its infinite-width value; the palette ends at the size below which 98 % of the cells lie.",
        at.points
    );
    if side < at.points {
        caption += &format!(" Averaged over blocks to {side}×{side} cells.");
    }
    caption += &match &at.classes {
        Some(_) => format!(" Points are ordered by class ({}).", document.data.classes.join(", ")),
        None if document.data.classes.is_empty() => " Points are in the order of the data.".into(),
        None => " Points are in the order of the data: this run did not record their classes.".into(),
    };
    let drawn = Drawn { body: canvas.finish(), height: top + size + 48.0 };
    Some(Figure::new("gram_displacement", &title, caption, drawn, Numbers::default()))
}

/// Lines between the classes; a point takes `step` units.
fn boundaries(canvas: &mut Canvas, at: &GramAt, order: &[usize], [x, y]: [f64; 2], step: f64) {
    let Some(classes) = &at.classes else { return };
    let changes = (1..order.len()).filter(|&k| classes[order[k]] != classes[order[k - 1]]);
    let size = step * order.len() as f64;
    for at in changes.map(|k| step * k as f64) {
        let look = "stroke=\"#222\" stroke-width=\"0.7\" stroke-dasharray=\"3 2\"";
        canvas.line([x + at, y], [x + at, y + size], look);
        canvas.line([x, y + at], [x + size, y + at], look);
    }
}

/// Every pair of points, or evenly chosen ones.
fn pairs(at: &GramAt, temperature: &str) -> Option<Figure> {
    let (kind, theory) = at.theory.as_ref()?;
    let pairs = at.points * (at.points + 1) / 2;
    let stride = pairs.div_ceil(MOST_PAIRS).max(1);
    // Coprime to what rows repeat, so that no diagonal is chosen over and over.
    let stride = if stride > 1 { stride | 1 } else { 1 };
    let (mut same, mut other, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let mut errors = Vec::new();
    let upper = (0..at.points).flat_map(|i| (i..at.points).map(move |j| (i, j)));
    for (i, j) in upper.step_by(stride) {
        let k = i * at.points + j;
        let (x, y) = (theory[k] - at.nngp[k], at.sampled[k] - at.nngp[k]);
        if !(x.is_finite() && y.is_finite()) {
            continue;
        }
        errors.extend(Some(at.mcse[k]).filter(|error| error.is_finite()));
        let point = Point { x, y, ..Point::default() };
        let alike = at.classes.as_ref().is_some_and(|classes| classes[i] == classes[j]);
        if i == j {
            own.push(point)
        } else if alike {
            same.push(point)
        } else {
            other.push(point)
        }
    }
    let all = || same.iter().chain(&other).chain(&own);
    let range = covering(all().flat_map(|point| [point.x, point.y]), false)?;
    let known = at.classes.is_some();
    let names = if known { ["two classes", "one class", "a point itself"] } else { ["pairs", "", "a point itself"] };
    let series = [
        (Ink::Third, names[0], &other),
        (Ink::Second, names[1], &same),
        (Ink::Theory(crate::theory::TheoryKind::Adaptive), names[2], &own),
    ]
    .map(|(ink, label, points)| Series { ink, label: label.into(), look: Look::Hollow, points: points.clone() });
    let axis = |label: String| Axis { label, range: Some(range), log: false };
    errors.sort_by(f64::total_cmp);
    let typical =
        errors.get(errors.len() / 2).map(|error| format!(" The typical MCSE is {error:.1e}.")).unwrap_or_default();
    let chosen = if stride > 1 { format!(" One pair in {stride} is drawn.") } else { String::new() };
    let title = format!("⟨G⟩ − K at T = {temperature}, pair by pair");
    let panel = Panel {
        x: axis(kind.name().to_string()),
        y: axis("sampled".into()),
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        rules: vec![Rule::Diagonal],
        ..Panel::default()
    };
    let caption =
        format!("Every element of the matrix is a pair of training points. Dashed: where they agree.{typical}{chosen}");
    Some(Figure::plotted(&Plot::one("gram_pairs", &title, panel), caption, Numbers::default()))
}
