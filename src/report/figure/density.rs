//! The marginal densities of a readout weight v and of the projection w·û, sampled and in theory,
//! at a few temperatures.

use super::ink::Ink;
use super::plot::{Axis, Look, Panel, Plot, Point, Series};
use super::scale::covering;
use super::{Figure, Numbers};
use crate::numerics::histogram::Density;
use crate::results::{Document, TemperatureReport, UnitReport, short};
use crate::theory::TheoryKind;

/// Temperatures that are shown, at most.
const PANELS: usize = 3;

/// Points on which the density of the prior is drawn.
const CURVE: usize = 81;

/// What is drawn of one of the two variables.
struct Variable {
    name: &'static str,
    symbol: &'static str,
    /// Precision of its prior, which infinite width keeps.
    precision: f64,
    sampled: fn(&TemperatureReport) -> Option<&Density>,
    theory: fn(&UnitReport) -> Option<&Density>,
}

pub fn figures(document: &Document) -> Vec<Figure> {
    let network = &document.config.network;
    let variables = [
        Variable {
            name: "readout_density",
            symbol: "v",
            precision: network.lambda1.unwrap_or(1.0),
            sampled: |at| at.signatures.densities.as_ref().map(|d| &d.readout),
            theory: |unit| Some(&unit.readout_density),
        },
        Variable {
            name: "weight_density_along_u",
            symbol: "w·û",
            precision: network.lambda0.unwrap_or(1.0),
            sampled: |at| at.signatures.densities.as_ref()?.weight_along_u.as_ref(),
            theory: |unit| unit.weight_density_along_u.as_ref(),
        },
    ];
    variables.iter().filter_map(|variable| variable.figure(document)).collect()
}

impl Variable {
    fn figure(&self, document: &Document) -> Option<Figure> {
        let speaks = |at: &&TemperatureReport| {
            (self.sampled)(at).is_some_and(usable) || at.units.values().any(|u| (self.theory)(u).is_some_and(usable))
        };
        let known: Vec<&TemperatureReport> = document.temperatures.iter().filter(speaks).collect();
        let mut panels: Vec<Panel> = spread(known.len()).into_iter().map(|k| self.panel(known[k])).collect();
        // One range for all, so that widths can be seen to change, and room for the temperature
        // above the curves.
        let points = || panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
        let x = covering(points().map(|point| point.x), false)?;
        let [_, top] = covering(points().map(|point| point.y), false)?;
        for panel in &mut panels {
            (panel.x.range, panel.y.range) = (Some(x), Some([-0.02 * top, 1.12 * top]));
        }
        let sampled = known.iter().any(|at| (self.sampled)(at).is_some());
        let mut caption = format!(
            "Lines: theories of one unit, bands ± 2 Monte Carlo errors. Dotted: the prior, which infinite width keeps, a Gaussian of variance {}.",
            short(1.0 / self.precision)
        );
        caption +=
            if sampled { " Steps: sampled, all units and chains." } else { " This run recorded no sampled densities." };
        let title = format!("Density of {} over units and draws", self.symbol);
        let plot = Plot { id: self.name.into(), title, panels, panel_height: 200.0 };
        Some(Figure::plotted(&plot, caption, Numbers::default()))
    }

    fn panel(&self, at: &TemperatureReport) -> Panel {
        let mut series = Vec::new();
        if let Some(density) = (self.sampled)(at).filter(|density| usable(density)) {
            series.push(Series {
                ink: Ink::Sampled,
                label: "sampled".into(),
                look: Look::Steps,
                points: points(density),
            });
        }
        for kind in TheoryKind::UNITS {
            let Some(density) = at.units.get(kind.name()).and_then(self.theory).filter(|density| usable(density))
            else {
                continue;
            };
            series.push(Series {
                ink: Ink::Theory(kind),
                label: kind.name().into(),
                look: Look::Curve,
                points: points(density),
            });
        }
        let ends = series.iter().flat_map(|s| &s.points).map(|point| point.x.abs()).fold(0.0, f64::max);
        let deviations = ends.min(8.0 / self.precision.sqrt()) * self.precision.sqrt();
        series.insert(0, self.prior(deviations));
        let y = Axis { label: format!("p({})", self.symbol), ..Axis::default() };
        let x = Axis { label: self.symbol.into(), ..Axis::default() };
        Panel { x, y, series, note: format!("T = {}", short(at.temperature)), ..Panel::default() }
    }

    fn prior(&self, deviations: f64) -> Series {
        let scale = 1.0 / self.precision.sqrt();
        let point = |k: usize| {
            let z = deviations * (2.0 * k as f64 / (CURVE - 1) as f64 - 1.0);
            let y = (-0.5 * z * z).exp() / (scale * std::f64::consts::TAU.sqrt());
            Point { x: z * scale, y, ..Point::default() }
        };
        let points = (0..CURVE).map(point).collect();
        Series { ink: Ink::Theory(TheoryKind::Nngp), label: "prior (nngp)".into(), look: Look::Curve, points }
    }
}

/// A density that can be drawn: three columns of one length, on a grid of numbers.
fn usable(density: &Density) -> bool {
    let count = density.grid.len();
    count > 1 && density.value.len() == count && density.grid.iter().all(|x| x.is_finite())
}

fn points(density: &Density) -> Vec<Point> {
    let error = |k: usize| density.error.get(k).copied().filter(|error| error.is_finite()).unwrap_or(0.0);
    let point = |(k, (&x, &y)): (usize, (&f64, &f64))| Point { x, y, error: error(k), ..Point::default() };
    density.grid.iter().zip(&density.value).enumerate().map(point).collect()
}

/// Indices of the first, the middle and the last of `count`, as far as they differ.
fn spread(count: usize) -> Vec<usize> {
    match count {
        0..=PANELS => (0..count).collect(),
        _ => vec![0, count / 2, count - 1],
    }
}
