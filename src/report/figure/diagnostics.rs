//! The numbers by which a temperature is believed, along the ladder, with their thresholds.

use super::ink::Ink;
use super::ladder::horizontal;
use super::plot::{Axis, Look, Panel, Plot, Point, Rule, Series};
use super::scale::covering;
use super::{Figure, Numbers};
use crate::results::verdict::{MAX_RHAT, MIN_BFMI, MIN_ESS};
use crate::results::{Document, RhatKind, TemperatureReport, short};

pub fn figures(document: &Document) -> Vec<Figure> {
    let kind = document.temperatures.iter().find_map(|at| at.worst_rhat()).map_or(RhatKind::Split, |(kind, ..)| kind);
    let rhat = panel(
        &format!("{} − 1", kind.symbol()),
        true,
        vec![series(document, Ink::Sampled, "", |at| {
            let (_, name, value) = at.worst_rhat()?;
            // Chains that agree better than a perfect mixture would have no place on a logarithmic
            // axis.
            Some(((value - 1.0).max(1e-5), format!("{value:.4}, of {name}")))
        })],
        Some(Rule::Level(MAX_RHAT - 1.0, format!("dashed: R\u{302} = {MAX_RHAT}, to be below"))),
    );
    let ess = panel(
        "least ESS",
        true,
        vec![
            series(document, Ink::Sampled, "bulk ESS", |at| {
                at.least_ess_bulk().map(|(name, x)| (x, format!("{x:.0}, of {name}")))
            }),
            series(document, Ink::Second, "tail ESS", |at| {
                at.least_ess_tail().map(|(name, x)| (x, format!("{x:.0}, of {name}")))
            }),
        ],
        Some(Rule::Level(MIN_ESS, format!("dashed: {MIN_ESS}, to be above"))),
    );
    let mut rates = panel(
        "acceptance",
        false,
        vec![
            series(document, Ink::Sampled, "", |at| {
                Some((at.sampler.acceptance_rate, format!("{:.3}", at.sampler.acceptance_rate)))
            }),
            series(document, Ink::Third, "exchange with the hotter T", |at| {
                at.sampler.exchange_hotter.map(|x| (x, format!("{x:.3}")))
            }),
        ],
        None,
    );
    rates.y.range = Some([0.0, 1.02]);
    let bfmi = panel(
        "E-BFMI",
        false,
        vec![series(document, Ink::Sampled, "", |at| at.sampler.e_bfmi.map(|x| (x, format!("{x:.2}"))))],
        Some(Rule::Level(MIN_BFMI, format!("dashed: {MIN_BFMI}, to be above"))),
    );
    let mut panels = vec![rhat, ess, rates, bfmi];
    panels.retain(|panel| panel.series.iter().any(|series| series.points.iter().any(|point| point.y.is_finite())));
    let Some(last) = panels.len().checked_sub(1) else { return Vec::new() };
    let range = covering(document.temperatures.iter().map(|at| at.temperature), true);
    for (k, panel) in panels.iter_mut().enumerate() {
        panel.x.range = range;
        if k < last {
            panel.x.label.clear();
        }
    }
    let plot =
        Plot { id: "diagnostics".into(), title: "Convergence along the ladder".into(), panels, panel_height: 165.0 };
    let caption = format!(
        "The worst scalar observable of every temperature. Dashed lines: thresholds. R\u{302} is the {}; a value below 1.00001 is drawn there.",
        kind.symbol()
    );
    vec![Figure::plotted(&plot, caption, numbers(document))]
}

fn panel(label: &str, log: bool, series: Vec<Series>, rule: Option<Rule>) -> Panel {
    let y = Axis { label: label.into(), log, range: None };
    Panel { x: horizontal(), y, series, rules: rule.into_iter().collect(), ..Panel::default() }
}

fn series(
    document: &Document,
    ink: Ink,
    label: &str,
    value: impl Fn(&TemperatureReport) -> Option<(f64, String)>,
) -> Series {
    let points = (document.temperatures.iter())
        .map(|at| {
            let found = value(at).filter(|(y, _)| y.is_finite());
            let (y, text) = found.unwrap_or((f64::NAN, String::new()));
            Point { x: at.temperature, y, error: 0.0, note: format!("T = {}: {text}", short(at.temperature)) }
        })
        .collect();
    Series { ink, label: label.into(), look: Look::Dots, points }
}

fn numbers(document: &Document) -> Numbers {
    let header = [
        "T",
        "worst R\u{302}",
        "bulk ESS",
        "tail ESS",
        "step",
        "steps",
        "acceptance",
        "divergences",
        "E-BFMI",
        "exchange",
    ];
    let shown = |x: Option<f64>, decimals: usize| x.map_or_else(|| "–".into(), |x| format!("{x:.decimals$}"));
    let row = |at: &TemperatureReport| {
        let s = &at.sampler;
        vec![
            short(at.temperature),
            shown(at.worst_rhat().map(|(.., x)| x), 4),
            shown(at.least_ess_bulk().map(|(_, x)| x), 0),
            shown(at.least_ess_tail().map(|(_, x)| x), 0),
            format!("{:.4}", s.step_size),
            s.steps.to_string(),
            format!("{:.2}", s.acceptance_rate),
            s.divergences.to_string(),
            shown(s.e_bfmi, 2),
            shown(s.exchange_colder, 2),
        ]
    };
    Numbers { header: header.map(String::from).to_vec(), rows: document.temperatures.iter().map(row).collect() }
}
