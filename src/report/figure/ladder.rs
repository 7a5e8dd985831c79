//! An observable along the ladder of temperatures: sampled points, the line of every theory, and
//! the same as a table.

use super::ink::Ink;
use super::plot::{Axis, Callout, Look, Panel, Plot, Point, Series};
use super::scale::covering;
use super::{Figure, Numbers};
use crate::results::{Document, Field, ObservableReport, TemperatureReport, short, with_error};
use crate::theory::TheoryKind;

/// One number of a document at every temperature.
#[derive(Debug, Clone)]
pub struct Quantity {
    /// Name of the observable, and which element of it.
    pub observable: String,
    pub index: usize,
    /// What it is multiplied with before it is shown.
    pub scale: f64,
    pub symbol: String,
}

/// Element `index` of a field, if it is a number.
pub fn element(field: &Field, index: usize) -> Option<f64> {
    field.values().get(index).copied().flatten().filter(|x| x.is_finite())
}

impl Quantity {
    pub fn new(observable: &str, symbol: &str) -> Self {
        Self { observable: observable.into(), index: 0, scale: 1.0, symbol: symbol.into() }
    }

    fn at<'a>(&self, at: &'a TemperatureReport) -> Option<&'a ObservableReport> {
        at.observables.get(&self.observable)
    }

    /// Mean and MCSE at one temperature.
    pub fn sampled_at(&self, at: &TemperatureReport) -> Option<(f64, Option<f64>)> {
        let report = self.at(at)?;
        let mcse = element(&report.mcse, self.index).map(|mcse| mcse * self.scale.abs());
        Some((element(&report.mean, self.index)? * self.scale, mcse))
    }

    /// What a theory says at one temperature, with its own error.
    pub fn theory_at(&self, at: &TemperatureReport, kind: TheoryKind) -> Option<(f64, f64)> {
        let report = self.at(at)?;
        let value = element(report.theory.get(kind.name())?, self.index)? * self.scale;
        let error = report.theory_error.get(kind.name()).and_then(|field| element(field, self.index)).unwrap_or(0.0);
        Some((value, error * self.scale.abs()))
    }

    /// (sampled − theory)/√(MCSE² + theory_error²) at one temperature.
    pub fn z_at(&self, at: &TemperatureReport, kind: TheoryKind) -> Option<f64> {
        element(self.at(at)?.z.get(kind.name())?, self.index)
    }

    /// The sampled points.
    pub fn sampled(&self, document: &Document) -> Vec<Point> {
        let point = |at: &TemperatureReport| {
            let Some((mean, mcse)) = self.sampled_at(at) else { return gap(at.temperature) };
            let mut note = format!("T = {}: {} = {}", short(at.temperature), self.symbol, with_error(Some(mean), mcse));
            for kind in TheoryKind::ALL {
                if let Some(z) = self.z_at(at, kind) {
                    note += &format!("; z against {} {z:+.1}", kind.name());
                }
            }
            Point { x: at.temperature, y: mean, error: mcse.unwrap_or(0.0), note }
        };
        document.temperatures.iter().map(point).collect()
    }

    /// The points of one theory.
    pub fn theory(&self, document: &Document, kind: TheoryKind) -> Vec<Point> {
        let point = |at: &TemperatureReport| {
            let Some((value, error)) = self.theory_at(at, kind) else { return gap(at.temperature) };
            let shown = with_error(Some(value), Some(error));
            let note = format!("{}, T = {}: {} = {shown}", kind.name(), short(at.temperature), self.symbol);
            Point { x: at.temperature, y: value, error, note }
        };
        document.temperatures.iter().map(point).collect()
    }

    /// Every theory that says something, then the samples on top of them.
    pub fn series(&self, document: &Document) -> Vec<Series> {
        let theories = TheoryKind::ALL.into_iter().map(|kind| Series {
            ink: Ink::Theory(kind),
            label: kind.name().into(),
            look: Look::Line,
            points: self.theory(document, kind),
        });
        let samples =
            Series { ink: Ink::Sampled, label: "sampled".into(), look: Look::Dots, points: self.sampled(document) };
        let any = |series: &Series| series.points.iter().any(|point| point.y.is_finite());
        theories.chain([samples]).filter(any).collect()
    }

    /// The figure of this quantity; `None` where nothing was sampled and no theory speaks.
    pub fn figure(&self, document: &Document, title: &str, caption: &str, callout: Option<Callout>) -> Option<Figure> {
        let series = self.series(document);
        if series.is_empty() {
            return None;
        }
        let mut y = vertical(&self.symbol, &series);
        if let (Some(_), Some([low, high])) = (&callout, &mut y.range) {
            // Room for its text above.
            *high = if y.log { *high * (*high / *low).powf(0.1) } else { *high + 0.1 * (*high - *low) };
        }
        let clipped = y.range.is_some_and(|[low, high]| {
            series.iter().flat_map(|s| &s.points).any(|point| point.y < low || point.y > high)
        });
        let panel = Panel { x: horizontal(), y, series, callouts: callout.into_iter().collect(), ..Panel::default() };
        let id = if self.index > 0 || self.is_array(document) {
            format!("{}-{}", self.observable, self.index)
        } else {
            self.observable.clone()
        };
        let note = if clipped { " A theory leaves the frame where it is far from the samples." } else { "" };
        Some(Figure::plotted(&Plot::one(&id, title, panel), format!("{caption}{note}"), self.numbers(document)))
    }

    fn is_array(&self, document: &Document) -> bool {
        document.temperatures.iter().filter_map(|at| self.at(at)).any(|report| report.mean.values().len() > 1)
    }

    /// Sampled ± MCSE, ESS, and every theory with z.
    pub fn numbers(&self, document: &Document) -> Numbers {
        let kinds: Vec<TheoryKind> = (TheoryKind::ALL.into_iter())
            .filter(|&kind| document.temperatures.iter().any(|at| self.theory_at(at, kind).is_some()))
            .collect();
        let mut header = vec!["T".to_string(), "sampled".into(), "ESS".into()];
        header.extend(kinds.iter().flat_map(|kind| [kind.name().to_string(), "z".into()]));
        let row = |at: &TemperatureReport| {
            let report = self.at(at);
            let sampled = self.sampled_at(at);
            let ess = report.and_then(|report| element(&report.ess, self.index));
            let mut row = vec![
                short(at.temperature),
                sampled.map_or_else(|| "–".into(), |(mean, mcse)| with_error(Some(mean), mcse)),
                ess.map_or_else(|| "–".into(), |ess| format!("{ess:.0}")),
            ];
            for &kind in &kinds {
                let z = self.z_at(at, kind);
                let value = self.theory_at(at, kind);
                row.push(value.map_or_else(|| "–".into(), |(value, error)| with_error(Some(value), Some(error))));
                row.push(z.map_or_else(|| "–".into(), |z| format!("{z:+.1}")));
            }
            row
        };
        Numbers { header, rows: document.temperatures.iter().map(row).collect() }
    }
}

/// A break in a line.
fn gap(temperature: f64) -> Point {
    Point { x: temperature, y: f64::NAN, ..Point::default() }
}

/// The axis of temperatures.
pub fn horizontal() -> Axis {
    Axis { label: "temperature T".into(), log: true, range: None }
}

/// The axis of a quantity: logarithmic where the samples span a decade, and wide enough for the
/// samples and for every theory that is not far off.
pub fn vertical(label: &str, series: &[Series]) -> Axis {
    let ends = |series: &Series| {
        let of = |point: &Point| [point.y - 2.0 * point.error, point.y, point.y + 2.0 * point.error];
        series.points.iter().flat_map(of).filter(|y| y.is_finite()).collect::<Vec<_>>()
    };
    let is_sampled = |series: &&Series| series.look == Look::Dots;
    let sampled: Vec<f64> = series.iter().filter(is_sampled).flat_map(ends).collect();
    let all: Vec<f64> = series.iter().flat_map(ends).collect();
    let extent = |values: &[f64]| {
        values.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], y| [low.min(*y), high.max(*y)])
    };
    let core = if sampled.is_empty() { &all } else { &sampled };
    let [low, high] = extent(core);
    let log = all.iter().all(|y| *y > 0.0) && high > 8.0 * low;
    let near = |y: &f64| {
        if log {
            return *y > low / 10.0 && *y < high * 10.0;
        }
        let room = 1.5 * (high - low).max(0.2 * low.abs().max(high.abs()));
        *y > low - room && *y < high + room
    };
    let range = covering(all.iter().copied().filter(near), log);
    Axis { label: label.into(), log, range }
}
