//! The mean prediction f* at every test point, sampled against theory.

use super::ink::Ink;
use super::ladder::element;
use super::plot::{Axis, Look, Panel, Plot, Point, Rule, Series};
use super::{Figure, Numbers, shown_temperature};
use crate::results::{Document, short, with_error};
use crate::theory::TheoryKind;

/// Test points that are drawn, at most.
const MOST: usize = 300;

pub fn figures(document: &Document) -> Vec<Figure> {
    figure(document).into_iter().collect()
}

fn figure(document: &Document) -> Option<Figure> {
    let at = document.temperatures.get(shown_temperature(document)?)?;
    let report = at.observables.get("predictive_mean")?;
    let points = report.mean.values().len();
    let stride = points.div_ceil(MOST).max(1);
    let mut series = Vec::new();
    // The more refined theory is drawn over the cruder one.
    for kind in TheoryKind::ALL {
        let Some(theory) = report.theory.get(kind.name()) else { continue };
        let point = |k: usize| {
            let (x, y, error) = (element(theory, k)?, element(&report.mean, k)?, element(&report.mcse, k));
            let note = format!("test point {k}: sampled {}, {} {x:.4}", with_error(Some(y), error), kind.name());
            Some(Point { x, y, error: error.unwrap_or(0.0), note })
        };
        let look = if kind == TheoryKind::Nngp { Look::Hollow } else { Look::Scatter };
        let points = (0..points).step_by(stride).filter_map(point).collect();
        series.push(Series { ink: Ink::Theory(kind), label: format!("against {}", kind.name()), look, points });
    }
    series.retain(|series| !series.points.is_empty());
    if series.is_empty() {
        return None;
    }
    let axis = |label: &str| Axis { label: label.into(), ..Axis::default() };
    let panel = Panel {
        x: axis("f* in theory"),
        y: axis("⟨f*⟩ sampled"),
        series,
        rules: vec![Rule::Diagonal],
        ..Panel::default()
    };
    let title = format!("Mean prediction at the test points, T = {}", short(at.temperature));
    let chosen = if stride > 1 { format!(" One test point in {stride} is drawn.") } else { String::new() };
    let caption = format!("Bars ± 1 MCSE. Dashed: where they agree.{chosen}");
    Some(Figure::plotted(&Plot::one("predictor", &title, panel), caption, Numbers::default()))
}
