//! What runs found, in one table: where the distance between class manifolds is largest, how far
//! the weights have moved, and whether the predictor is that of a Gaussian process with a rescaled
//! prior.

use super::figure::ladder::{Quantity, element};
use super::figure::{Numbers, distance_quantities};
use super::page::Named;
use super::table::aligned;
use crate::compare::End;
use crate::results::{Document, Field, TemperatureReport, short, with_error};
use crate::theory::TheoryKind;

/// The theories that finite width is held against.
const KINDS: [TheoryKind; 4] = [TheoryKind::Nngp, TheoryKind::Saddle, TheoryKind::SingleUnit, TheoryKind::Adaptive];

/// The two tables: of the class manifolds, a row for every D²(T); of weights and predictor, a row
/// for every run at its coldest temperature.
pub fn summary_tables(runs: &[Named]) -> [Numbers; 2] {
    [manifolds(runs), coldest(runs)]
}

/// Both tables for a terminal.
pub fn text(runs: &[Named]) -> String {
    let [manifolds, coldest] = summary_tables(runs);
    format!("{MANIFOLDS}\n{}\n{COLDEST}\n{}", aligned(&manifolds), aligned(&coldest))
}

/// What the tables show.
pub const MANIFOLDS: &str = "Where D²(T) is largest, and whether inside the ladder";
pub const COLDEST: &str = "Weights and predictor at the coldest temperature";

fn manifolds(runs: &[Named]) -> Numbers {
    let header =
        ["run", "", "T*", "D²(T*)", "infinite width", "confidence", "D² coldest", "T* saddle", "T* single-unit"];
    let mut rows = Vec::new();
    for run in runs {
        for quantity in distance_quantities(run.document) {
            let name = quantity.observable.replace("centroid_distance_sq", "centroid_distance_maximum");
            let Some(found) = run.document.signatures.get(&name) else { continue };
            let theory = |kind: &str| match found.theories.get(kind) {
                Some(at) => match at.end {
                    _ if at.interior => short(at.temperature),
                    Some(End::Ladder) => format!("{} (end)", short(at.temperature)),
                    Some(End::Solutions) => format!("{} (its solutions end)", short(at.temperature)),
                    None => "at an end".into(),
                },
                None => "–".into(),
            };
            let cold = run.document.temperatures.last().and_then(|at| quantity.sampled_at(at));
            rows.push(vec![
                run.name.clone(),
                quantity.symbol.clone(),
                if found.interior { short(found.temperature) } else { format!("{} (end)", short(found.temperature)) },
                with_error(Some(found.value), found.mcse),
                format!("{:.5}", found.infinite_width_value),
                found.confidence.map_or_else(|| "–".into(), |c| format!("{:.1} %", 100.0 * c)),
                cold.map_or_else(|| "–".into(), |(mean, mcse)| with_error(Some(mean), mcse)),
                theory(TheoryKind::Saddle.name()),
                theory(TheoryKind::SingleUnit.name()),
            ]);
        }
    }
    Numbers { header: header.map(String::from).to_vec(), rows }
}

fn coldest(runs: &[Named]) -> Numbers {
    let kinds: Vec<TheoryKind> =
        KINDS.into_iter().filter(|&kind| runs.iter().any(|run| has(run.document, kind))).collect();
    let mut header: Vec<String> =
        ["run", "T", "Q\u{304} sampled", "⟨v w·û⟩ sampled", "saddle", "λ0⟨(w·û)²⟩ sampled", "saddle"]
            .map(String::from)
            .to_vec();
    header.extend(kinds.iter().map(|kind| format!("f* off {}", kind.name())));
    header.push("noise of f*".into());
    header.extend(kinds.iter().map(|kind| format!("Var/{}", kind.name())));
    let mut rows = Vec::new();
    for run in runs {
        let Some(at) = run.document.temperatures.last() else { continue };
        let network = &run.document.config.network;
        let (lambda0, lambda1) = (network.lambda0.unwrap_or(1.0), network.lambda1.unwrap_or(1.0));
        let scaled = |name: &str, scale: f64| Quantity { scale, ..Quantity::new(name, "") };
        let sampled = |quantity: &Quantity| {
            quantity.sampled_at(at).map_or_else(|| "–".into(), |(mean, mcse)| with_error(Some(mean), mcse))
        };
        let saddle = |quantity: &Quantity| {
            quantity.theory_at(at, TheoryKind::Saddle).map_or_else(|| "–".into(), |(value, _)| format!("{value:.4}"))
        };
        let correlation = Quantity::new("readout_weight_correlation_norm", "");
        let displacement = scaled("weight_second_moment_along_u", lambda0);
        let mut row = vec![run.name.clone(), short(at.temperature)];
        row.push(sampled(&scaled("readout_second_moment", lambda1)));
        for quantity in [&correlation, &displacement] {
            row.extend([sampled(quantity), saddle(quantity)]);
        }
        let percent = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| format!("{:.1} %", 100.0 * x));
        row.extend(kinds.iter().map(|&kind| percent(mean_deviation(at, kind))));
        row.push(percent(mean_noise(at)));
        row.extend(
            kinds.iter().map(|&kind| variance_ratio(at, kind).map_or_else(|| "–".into(), |x| format!("{x:.3}"))),
        );
        rows.push(row);
    }
    Numbers { header, rows }
}

fn has(document: &Document, kind: TheoryKind) -> bool {
    let says = |at: &TemperatureReport| {
        at.observables.get("predictive_mean").is_some_and(|report| report.theory.contains_key(kind.name()))
    };
    document.temperatures.last().is_some_and(says)
}

/// ‖f* − f*_theory‖/‖f*_theory‖ over the test points.
fn mean_deviation(at: &TemperatureReport, kind: TheoryKind) -> Option<f64> {
    let report = at.observables.get("predictive_mean")?;
    let theory = report.theory.get(kind.name())?;
    let pairs = (0..report.mean.values().len()).map(|k| Some((element(&report.mean, k)?, element(theory, k)?)));
    let pairs: Vec<(f64, f64)> = pairs.collect::<Option<_>>()?;
    let square = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(|pair| of(pair).powi(2)).sum::<f64>();
    let size = Some(square(&|pair| pair.1)).filter(|size| *size > 0.0)?;
    Some((square(&|pair| pair.0 - pair.1) / size).sqrt())
}

/// What the sampling error alone would make of that deviation: ‖MCSE‖/‖f*‖.
fn mean_noise(at: &TemperatureReport) -> Option<f64> {
    let report = at.observables.get("predictive_mean")?;
    let square =
        |field: &Field| (0..field.values().len()).map(|k| element(field, k).map(|x| x * x)).sum::<Option<f64>>();
    let size = square(&report.mean).filter(|size| *size > 0.0)?;
    Some((square(&report.mcse)? / size).sqrt())
}

/// Σ Var f*/Σ Var f*_theory over the test points.
fn variance_ratio(at: &TemperatureReport, kind: TheoryKind) -> Option<f64> {
    let report = at.observables.get("predictive_variance")?;
    let theory = report.theory.get(kind.name())?;
    let sum = |field: &Field| (0..field.values().len()).map(|k| element(field, k)).sum::<Option<f64>>();
    let total = sum(theory).filter(|total| *total > 0.0)?;
    Some(sum(&report.mean)? / total)
}
