//! A page that lays several runs over each other: their curves, their differences, and what differs
//! in how they were made.

use std::collections::BTreeMap;

use super::html::{document, figures, table};
use super::{Page, files};
use crate::report::figure::canvas::escape;
use crate::report::figure::ink::Ink;
use crate::report::figure::ladder::{Quantity, horizontal, vertical};
use crate::report::figure::plot::{Look, Panel, Plot, Series};
use crate::report::figure::{Figure, Numbers, distance_quantities, radius_quantities, readout_quantity};
use crate::report::summary::{COLDEST, MANIFOLDS, summary_tables};
use crate::report::table::header;
use crate::results::{Document, short};
use crate::theory::TheoryKind;

/// By which such a page is known: only a file that has it near its beginning is overwritten by
/// another.
pub const OVERLAY_MARK: &str = "featherm overlay";

/// Temperatures closer than this, relatively, are one.
const EQUAL: f64 = 1e-9;

/// Factor in temperature by which the points of neighbouring runs are drawn apart.
const SHIFT: f64 = 1.04;

/// A run and what it is called in the page.
pub struct Named<'a> {
    pub name: String,
    pub document: &'a Document,
}

/// The page that compares runs, in the order given.
pub fn overlay(runs: &[Named]) -> Page {
    let title = format!("{} runs over each other", runs.len());
    let mut body = format!("<header>\n<h1>{title}</h1>\n</header>\n<main>\n<ul>\n");
    for run in runs {
        body += &format!(
            "<li><strong>{}</strong><br><span class=\"soft\">{}</span></li>\n",
            escape(&run.name),
            escape(&header(run.document))
        );
    }
    body += "</ul>\n<h2>Findings</h2>\n<div class=\"box\">";
    let [manifolds, coldest] = summary_tables(runs);
    body += &format!("<p>{MANIFOLDS}</p>{}<p>{COLDEST}</p>{}</div>\n", table(&manifolds), table(&coldest));
    body += "<h2>Curves</h2>\n";
    let curves = curves(runs);
    let mut notes = Vec::new();
    let files = files(&curves, &mut notes);
    body += &figures(&curves);
    body += "<h2>Differences</h2>\n<div class=\"box\">";
    let found = differences(runs);
    body += &if found.rows.is_empty() {
        "<p>These runs share no temperature, so their numbers cannot be held against each other.</p>".into()
    } else {
        table(&found)
            + "<p class=\"soft\">z = (first − second)/√(MCSE₁² + MCSE₂²) at equal temperatures. Runs with one seed share their noise, and \
               their z is smaller than that of independent runs.</p>"
    };
    body += "</div>\n<h2>What differs in the configurations</h2>\n<div class=\"box\">";
    let settings = configurations(runs);
    body +=
        &if settings.rows.is_empty() { "<p>Nothing but where they were written.</p>".into() } else { table(&settings) };
    body += "</div>\n</main>\n";
    Page { html: document(&title, OVERLAY_MARK, &body), files, notes }
}

/// Every quantity that is drawn and compared, once for all runs.
fn quantities(runs: &[Named]) -> Vec<Vec<Option<Quantity>>> {
    let mut by_symbol: Vec<(String, Vec<Option<Quantity>>)> = Vec::new();
    for (k, run) in runs.iter().enumerate() {
        let mut found = distance_quantities(run.document);
        found.extend(radius_quantities(run.document));
        found.push(readout_quantity(run.document));
        found.push(Quantity::new("weight_second_moment_along_u", "⟨(w·û)²⟩"));
        found.push(Quantity::new("train_loss", "⟨L⟩/P"));
        found.push(Quantity::new("test_mse", "test MSE"));
        for quantity in
            found.into_iter().filter(|q| run.document.temperatures.iter().any(|at| q.sampled_at(at).is_some()))
        {
            let place = by_symbol.iter().position(|(symbol, _)| *symbol == quantity.symbol).unwrap_or_else(|| {
                by_symbol.push((quantity.symbol.clone(), vec![None; runs.len()]));
                by_symbol.len() - 1
            });
            by_symbol[place].1[k] = Some(quantity);
        }
    }
    by_symbol.into_iter().map(|(_, quantities)| quantities).collect()
}

fn symbol(quantities: &[Option<Quantity>]) -> &str {
    quantities.iter().flatten().next().map_or("", |quantity| &quantity.symbol)
}

fn curves(runs: &[Named]) -> Vec<Figure> {
    let figure = |(number, quantities): (usize, &Vec<Option<Quantity>>)| {
        let mut series = Vec::new();
        for (k, (run, quantity)) in runs.iter().zip(quantities).enumerate() {
            let Some(quantity) = quantity else { continue };
            let any =
                |kind: &TheoryKind| run.document.temperatures.iter().any(|at| quantity.theory_at(at, *kind).is_some());
            // One theory for each run, the most refined that it has: all of them would hide the
            // runs.
            if let Some(kind) = TheoryKind::ALL.into_iter().rev().find(any) {
                let points = quantity.theory(run.document, kind);
                let label = format!("{}: {}", run.name, kind.name());
                series.push(Series { ink: Ink::Run(k), label, look: Look::Curve, points });
            }
            let mut points = quantity.sampled(run.document);
            for point in &mut points {
                point.note = format!("{}, {}", run.name, point.note);
                // Runs that agree would hide each other.
                point.x *= SHIFT.powf(k as f64 - 0.5 * (runs.len() - 1) as f64);
            }
            series.push(Series { ink: Ink::Run(k), label: run.name.clone(), look: Look::Dots, points });
        }
        let symbol = symbol(quantities);
        let y = vertical(symbol, &series);
        let panel = Panel { x: horizontal(), y, series, ..Panel::default() };
        let caption = "Points: sampled ± 1 MCSE, pale band ± 2 MCSE. Line in the same colour: the most refined theory of that run. Points of different runs \
                       at one temperature are drawn 4 % apart.";
        Figure::plotted(
            &Plot::one(&format!("overlay-{number}"), &format!("{symbol}(T)"), panel),
            caption.into(),
            Numbers::default(),
        )
    };
    quantities(runs).iter().enumerate().map(figure).collect()
}

/// z between every two runs at every temperature that they share.
fn differences(runs: &[Named]) -> Numbers {
    let quantities = quantities(runs);
    let mut header: Vec<String> = ["T", "runs"].map(String::from).to_vec();
    header.extend(quantities.iter().map(|q| symbol(q).to_string()));
    let mut rows = Vec::new();
    for a in 0..runs.len() {
        for b in a + 1..runs.len() {
            for hot in &runs[a].document.temperatures {
                let equal = |t: f64| (t / hot.temperature - 1.0).abs() < EQUAL;
                let Some(other) = runs[b].document.temperatures.iter().find(|at| equal(at.temperature)) else {
                    continue;
                };
                let mut row = vec![short(hot.temperature), format!("{} − {}", runs[a].name, runs[b].name)];
                row.extend(quantities.iter().map(|quantity| {
                    let z = || {
                        let (first, first_error) = quantity[a].as_ref()?.sampled_at(hot)?;
                        let (second, second_error) = quantity[b].as_ref()?.sampled_at(other)?;
                        let error = first_error?.hypot(second_error?);
                        (error > 0.0).then(|| (first - second) / error)
                    };
                    z().map_or_else(|| "–".into(), |z| format!("{z:+.1}"))
                }));
                rows.push(row);
            }
        }
    }
    Numbers { header, rows }
}

/// Settings and circumstances that are not the same in all runs.
fn configurations(runs: &[Named]) -> Numbers {
    let all: Vec<BTreeMap<String, String>> = runs.iter().map(|run| settings(run.document)).collect();
    let keys: std::collections::BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let shown = |run: &BTreeMap<String, String>, key: &String| run.get(key).cloned().unwrap_or_else(|| "–".into());
    let rows = (keys.into_iter())
        .map(|key| {
            let mut row = vec![key.clone()];
            row.extend(all.iter().map(|run| shown(run, key)));
            row
        })
        .filter(|row| row[1..].iter().any(|value| *value != row[1]));
    let mut header = vec!["setting".to_string()];
    header.extend(runs.iter().map(|run| run.name.clone()));
    Numbers { header, rows: rows.collect() }
}

fn settings(document: &Document) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Ok(toml::Value::Table(sections)) = toml::Value::try_from(&document.config) {
        for (section, values) in sections.into_iter().filter(|(section, _)| section != "output") {
            let toml::Value::Table(values) = values else { continue };
            found.extend(values.into_iter().map(|(key, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), String::from);
                (format!("{section}.{key}"), text)
            }));
        }
    }
    found.insert("device".into(), document.device.name.clone());
    found.insert("version".into(), document.version.clone());
    found.insert("draws taken".into(), document.temperatures.first().map_or(0, |at| at.sampler.draws).to_string());
    found
}
