//! ln p(y) along the ladder.

use super::ink::Ink;
use super::ladder::{horizontal, vertical};
use super::plot::{Look, Panel, Plot, Point, Series};
use super::{Figure, Numbers};
use crate::results::{Document, LogEvidenceReport, short, with_error};
use crate::theory::TheoryKind;

pub fn figures(document: &Document) -> Vec<Figure> {
    let found: Vec<(f64, &LogEvidenceReport)> =
        document.temperatures.iter().filter_map(|at| Some((at.temperature, at.log_evidence.as_ref()?))).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
    let sampled = |&(x, report): &(f64, &LogEvidenceReport)| {
        let error = finite(report.mcse).unwrap_or(0.0).hypot(finite(report.quadrature_error).unwrap_or(0.0));
        let y = finite(report.mean).unwrap_or(f64::NAN);
        Point { x, y, error, note: format!("T = {}: ln p(y) = {}", short(x), with_error(report.mean, Some(error))) }
    };
    let theory = |kind: TheoryKind| {
        let point = |&(x, report): &(f64, &LogEvidenceReport)| {
            let y = finite(report.theory.get(kind.name()).copied()).unwrap_or(f64::NAN);
            Point { x, y, error: 0.0, note: format!("{}, T = {}: ln p(y) = {y:.3}", kind.name(), short(x)) }
        };
        let points = found.iter().map(point).collect();
        Series { ink: Ink::Theory(kind), label: kind.name().into(), look: Look::Line, points }
    };
    let samples = Series {
        ink: Ink::Sampled,
        label: "sampled".into(),
        look: Look::Dots,
        points: found.iter().map(sampled).collect(),
    };
    let any = |series: &Series| series.points.iter().any(|point| point.y.is_finite());
    let series: Vec<Series> = TheoryKind::PROCESSES.into_iter().map(theory).chain([samples]).filter(any).collect();
    if series.is_empty() {
        return Vec::new();
    }
    let y = vertical("ln p(y)", &series);
    let plot = Plot::one(
        "log_evidence",
        "ln p(y): log evidence of the labels",
        Panel { x: horizontal(), y, series, ..Panel::default() },
    );
    let caption = "Points: integrated over the ladder from the prior down; bars and band have the Monte Carlo and the quadrature error, added in \
                   squares. Lines: theories.";
    vec![Figure::plotted(&plot, caption.into(), numbers(&found))]
}

fn numbers(found: &[(f64, &LogEvidenceReport)]) -> Numbers {
    let header = ["T", "sampled", "quadrature", "nngp", "z", "saddle", "z"].map(String::from).to_vec();
    let shown = |x: Option<f64>, text: &dyn Fn(f64) -> String| x.map_or_else(|| "–".into(), text);
    let row = |&(temperature, report): &(f64, &LogEvidenceReport)| {
        let mut row = vec![
            short(temperature),
            with_error(report.mean, report.mcse),
            shown(report.quadrature_error, &|x| format!("{x:.1e}")),
        ];
        for kind in TheoryKind::PROCESSES {
            row.push(shown(report.theory.get(kind.name()).copied(), &|x| format!("{x:.3}")));
            row.push(shown(report.z.get(kind.name()).copied(), &|z| format!("{z:+.1}")));
        }
        row
    };
    Numbers { header, rows: found.iter().map(row).collect() }
}
