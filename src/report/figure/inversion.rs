//! D² against the training loss: along gradient descent, where it may rise and fall again, and in
//! equilibrium, from hot (large loss) to cold.

use super::ink::Ink;
use super::ladder::{Quantity, vertical};
use super::plot::{Axis, Look, Panel, Plot, Point, Series};
use super::{Figure, Numbers, distance_quantities};
use crate::report::inversion::sentences;
use crate::results::{Document, short, with_error};
use crate::studies::descent::{Descent, Spread, Track};
use crate::theory::TheoryKind;

/// Name of the observable on the vertical axis, and of the one on the horizontal axis.
const DISTANCE: &str = "centroid_distance_sq";
const LOSS: &str = "train_loss";

/// One figure for every pair of classes; `run` is a run of the same problem, whose samples are
/// shown with their errors.
pub fn figures(descent: &Descent, run: Option<&Document>) -> Vec<Figure> {
    let Some(loss) = descent.tracks.iter().find(|track| track.observable == LOSS) else { return Vec::new() };
    let distances = descent.tracks.iter().filter(|track| track.observable.split('[').next() == Some(DISTANCE));
    distances.enumerate().map(|(pair, distance)| figure(descent, (loss, distance), pair, run)).collect()
}

fn figure(descent: &Descent, (loss, distance): (&Track, &Track), pair: usize, run: Option<&Document>) -> Figure {
    let symbol = distance.observable.replace(DISTANCE, "D²");
    let sampled = run.and_then(|run| {
        let of_pair = distance_quantities(run).into_iter().find(|q| q.observable == distance.observable)?;
        Some((run, of_pair))
    });
    let curve = |kind| {
        let own = equilibrium(descent, kind, pair);
        match &sampled {
            Some((run, quantity)) if own.points.is_empty() && TheoryKind::UNITS.contains(&kind) => {
                of_unit_theory(run, quantity, kind)
            }
            _ => own,
        }
    };
    let mut series: Vec<Series> = TheoryKind::ALL.into_iter().map(curve).collect();
    series.push(path(descent, loss, distance, &symbol));
    series.extend(sampled.as_ref().map(|(run, quantity)| samples(run, quantity)));
    series.retain(|series| series.points.iter().any(|point| point.y.is_finite()));
    let y = vertical(&symbol, &series);
    let x = Axis { label: "training loss per point, L/P".into(), log: true, range: None };
    let title = format!("{symbol} against training loss: descent and equilibrium");
    let id = distance.observable.replace(DISTANCE, "descent");
    let plot = Plot::one(&id, &title, Panel { x, y, series, ..Panel::default() });
    Figure::plotted(&plot, caption(descent, distance, pair), numbers(descent, loss, distance, &symbol))
}

/// Mean over the starts against mean over the starts.
fn path(descent: &Descent, loss: &Track, distance: &Track, symbol: &str) -> Series {
    let point = |((loss, distance), step): ((&Spread, &Spread), &u32)| Point {
        x: loss.mean,
        y: distance.mean,
        // The band is two errors wide, and is to show one standard deviation over the starts.
        error: distance.sd.unwrap_or(0.0) / 2.0,
        note: format!("step {step}: L/P = {}, {symbol} = {}", spread(loss), spread(distance)),
    };
    let points = loss.values.iter().zip(&distance.values).zip(&descent.step).map(point).collect();
    Series { ink: Ink::Descent, label: "gradient descent".into(), look: Look::Line, points }
}

/// ⟨L⟩(T) and D²(T) of a theory that was asked for.
fn equilibrium(descent: &Descent, kind: TheoryKind, pair: usize) -> Series {
    let of_kind = descent.equilibrium.iter().filter(|at| at.theory == kind.name());
    let points = of_kind.filter_map(|at| {
        let (&y, &error) = (at.centroid_distance_sq.get(pair)?, at.centroid_distance_sq_error.get(pair)?);
        let (temperature, shown) = (short(at.temperature), with_error(Some(y), Some(error)));
        let note = format!("{}, T = {temperature}: ⟨L⟩/P = {:.4}, D² = {shown}", at.theory, at.train_loss);
        Some(Point { x: at.train_loss, y, error, note })
    });
    Series { ink: Ink::Theory(kind), label: kind.name().into(), look: Look::Line, points: points.collect() }
}

/// The same of a theory of one unit that the run has and descent was not asked for, where its
/// report says both.
fn of_unit_theory(run: &Document, quantity: &Quantity, kind: TheoryKind) -> Series {
    let loss = Quantity::new(LOSS, "⟨L⟩/P");
    let points = run.temperatures.iter().filter_map(|at| {
        let ((x, _), (y, error)) = (loss.theory_at(at, kind)?, quantity.theory_at(at, kind)?);
        let (temperature, shown) = (short(at.temperature), with_error(Some(y), Some(error)));
        let note = format!("{}, T = {temperature}: ⟨L⟩/P = {x:.4}, D² = {shown}", kind.name());
        Some(Point { x, y, error, note })
    });
    Series { ink: Ink::Theory(kind), label: kind.name().into(), look: Look::Line, points: points.collect() }
}

fn samples(run: &Document, quantity: &Quantity) -> Series {
    let loss = Quantity::new(LOSS, "⟨L⟩/P");
    let points = run.temperatures.iter().filter_map(|at| {
        let ((x, x_error), (y, error)) = (loss.sampled_at(at)?, quantity.sampled_at(at)?);
        let note = format!(
            "T = {}: ⟨L⟩/P = {}, {} = {}",
            short(at.temperature),
            with_error(Some(x), x_error),
            quantity.symbol,
            with_error(Some(y), error)
        );
        Some(Point { x, y, error: error.unwrap_or(0.0), note })
    });
    Series { ink: Ink::Sampled, label: "sampled in equilibrium".into(), look: Look::Dots, points: points.collect() }
}

fn caption(descent: &Descent, distance: &Track, pair: usize) -> String {
    let mut text = format!(
        "Triangles: gradient descent from {} draws of the prior, mean over the starts at equal steps, band ± 1 standard deviation over them; training \
         goes from right to left. Lines: equilibrium of the theories from hot (right) to cold. Points: sampled mean ± 1 MCSE, pale band ± 2 MCSE.",
        descent.starts
    );
    if let Some(found) = descent.inversion.iter().find(|found| found.observable == distance.observable) {
        text += &format!(" Along descent {}", sentences(found));
    }
    // D² does not move at infinite width.
    for kind in [TheoryKind::Saddle, TheoryKind::Adaptive] {
        let points = descent.equilibrium.iter().filter(|at| at.theory == kind.name());
        let heights: Vec<[f64; 2]> =
            points.filter_map(|at| Some([at.train_loss, *at.centroid_distance_sq.get(pair)?])).collect();
        let best = (0..heights.len()).max_by(|&a, &b| heights[a][1].total_cmp(&heights[b][1]));
        // At an end of the ladder there is no maximum to speak of.
        if let Some([l, d]) = best.filter(|&best| best > 0 && best + 1 < heights.len()).map(|best| heights[best]) {
            text += &format!(" In equilibrium {} has its largest, {d:.4}, at ⟨L⟩/P = {l:.3}.", kind.name());
        }
    }
    text
}

fn numbers(descent: &Descent, loss: &Track, distance: &Track, symbol: &str) -> Numbers {
    let header = ["step", "η·step", "L/P", symbol].map(String::from).to_vec();
    let row = |k: usize| {
        let time = format!("{:.3e}", descent.time[k]);
        vec![descent.step[k].to_string(), time, spread(&loss.values[k]), spread(&distance.values[k])]
    };
    let records = descent.step.len().min(loss.values.len()).min(distance.values.len());
    Numbers { header, rows: (0..records).map(row).collect() }
}

/// Mean ± standard deviation over the starts.
fn spread(value: &Spread) -> String {
    match value.sd {
        Some(sd) => format!("{:.5} ± {sd:.5}", value.mean),
        None => format!("{:.5}", value.mean),
    }
}
