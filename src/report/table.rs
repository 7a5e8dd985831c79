//! The table printed at the end of a run.

use std::fmt::Write;

use super::figure::Numbers;
use crate::compare::End;
use crate::remedy::{Remedy, Setting};
use crate::results::verdict::{MAX_DIVERGENCE_RATE, MAX_RHAT, MIN_BFMI, MIN_ESS};
use crate::results::{Document, ObservableReport, RhatKind, TemperatureReport, short, with_error};
use crate::theory::TheoryKind;

/// How a front end names a setting: the command line by its flag.
pub type Naming = fn(Setting) -> String;

/// The result of a run as text, with settings named by `name`: for Q̄ and every D² a block of
/// columns, then the loss, the class manifolds at the test points, the evidence, the sampler, the
/// verdict on every temperature, and where D²(T) has its maximum.
pub fn table(document: &Document, name: Naming) -> String {
    let mut text = header(document);
    let mut blocks = vec![("Q\u{304} = λ1⟨v²⟩".to_string(), "readout_second_moment".to_string())];
    let names =
        document.temperatures.first().map(|t| t.observables.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    for observable in &names {
        // Of the training points; those of the test points have a block of their own.
        let pair =
            observable.strip_prefix("centroid_distance_sq").filter(|rest| rest.is_empty() || rest.starts_with('['));
        blocks.extend(pair.map(|pair| (format!("D²{pair}"), observable.clone())));
    }
    blocks.push(("⟨L⟩/P".into(), "train_loss".into()));
    if names.iter().any(|name| name == "test_mse") {
        blocks.push(("test MSE".into(), "test_mse".into()));
    }
    let lambda1 = document.config.network.lambda1.unwrap_or(1.0);
    for (title, observable) in &blocks {
        let scale = if observable == "readout_second_moment" { lambda1 } else { 1.0 };
        // write! to a String cannot fail.
        let _ = writeln!(text, "\n{title}");
        let reports: Vec<_> = (document.temperatures.iter())
            .filter_map(|at| Some((at.temperature, at.observables.get(observable)?)))
            .collect();
        // Infinite width comes last and without z: it is where nothing is learnt, no prediction of
        // these networks.
        let kinds: Vec<&str> =
            (TheoryKind::ALL.into_iter().filter(|&kind| kind != TheoryKind::Nngp).map(TheoryKind::name))
                .filter(|kind| reports.iter().any(|(_, report)| report.theory.contains_key(*kind)))
                .collect();
        let _ = write!(text, "{:>10}  {:>20}", "T", "sampled");
        for kind in &kinds {
            let _ = write!(text, " {kind:>11} {:>7}", "z");
        }
        let _ = writeln!(text, " {:>10} {:>7}", "nngp", "ESS");
        for (temperature, report) in reports {
            let _ = writeln!(text, "{}", row(temperature, report, scale, &kinds));
        }
    }
    for pair in names.iter().filter_map(|observable| observable.strip_prefix(TESTED)) {
        text.push_str(&test_manifolds(document, pair));
    }
    text.push_str(&evidence(document));
    text.push_str(&sampler_block(document));
    text.push_str(&convergence(document, name));
    text.push_str(&maxima(document, name));
    for warning in &document.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    if document.interrupted {
        let draws = document.temperatures.first().map_or(0, |t| t.sampler.draws);
        let _ = writeln!(text, "interrupted after {draws} draws of every chain");
    }
    text
}

pub fn header(document: &Document) -> String {
    let (data, network) = (&document.data, &document.config.network);
    let activation = network.activation.map_or_else(String::new, |a| format!("{a:?}").to_lowercase());
    format!(
        "{}: P = {}, N0 = {} (rank {}), N1 = {}, {activation}; {} on {}\n",
        data.described(),
        data.train_points,
        data.dimension,
        data.rank,
        network.width.unwrap_or_default(),
        document.config.sampler.kind.map_or_else(String::new, |k| format!("{k:?}").to_lowercase()),
        document.device.name,
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |x| format!("{x:.5}"))
}

fn row(temperature: f64, report: &ObservableReport, scale: f64, kinds: &[&str]) -> String {
    let scaled = |value: Option<f64>| value.map(|x| scale * x);
    let theory = |kind: &str| scaled(report.theory.get(kind).and_then(|field| field.scalar()));
    let mut text = format!(
        "{:>10}  {:>20}",
        short(temperature),
        with_error(scaled(report.mean.scalar()), scaled(report.mcse.scalar()))
    );
    for kind in kinds {
        let z = report.z.get(*kind).and_then(|field| field.scalar()).map_or_else(|| "-".into(), |z| format!("{z:+.1}"));
        let _ = write!(text, " {:>11} {z:>7}", number(theory(kind)));
    }
    let ess = report.ess.scalar().map_or_else(|| "-".into(), |ess| format!("{ess:.0}"));
    let _ = write!(text, " {:>10} {ess:>7}", number(theory(TheoryKind::Nngp.name())));
    text
}

/// What D² of the test points is called, before the names of the classes where there are more than
/// two.
const TESTED: &str = "centroid_distance_sq_test";

/// D² of a pair of classes at the test points with z against every theory, and the distance in
/// units of the radii at training and test points: whether what was learnt holds for new inputs.
/// Radii themselves are in report.json and in the figures.
fn test_manifolds(document: &Document, pair: &str) -> String {
    let name = format!("{TESTED}{pair}");
    let scalar = |at: &TemperatureReport, name: &str| {
        let report = at.observables.get(name);
        report.map_or((None, None), |report| (report.mean.scalar(), report.mcse.scalar()))
    };
    let kinds: Vec<&str> = (TheoryKind::ALL.into_iter().filter(|&kind| kind != TheoryKind::Nngp).map(TheoryKind::name))
        .filter(|kind| document.temperatures.iter().any(|at| z_of(at, &name, kind).is_some()))
        .collect();
    let mut text = format!("\nD²{pair} at the test points; D/√(R²_a + R²_b){pair} at training and test points\n");
    // write! to a String cannot fail.
    let _ = write!(text, "{:>10}  {:>18}", "T", "D² test");
    for kind in &kinds {
        let _ = write!(text, " {:>13}", format!("z {kind}"));
    }
    let _ = writeln!(text, " {:>15} {:>15}", "training", "test");
    for at in &document.temperatures {
        let shown = |name: &str| {
            let (mean, mcse) = scalar(at, name);
            with_error(mean, mcse)
        };
        let _ = write!(text, "{:>10}  {:>18}", short(at.temperature), shown(&name));
        for kind in &kinds {
            let _ = write!(text, " {:>13}", z_of(at, &name, kind).map_or_else(|| "-".into(), |z| format!("{z:+.1}")));
        }
        let [training, test] = ["", "_test"].map(|set| shown(&format!("normalised_centroid_distance{set}{pair}")));
        let _ = writeln!(text, " {training:>15} {test:>15}");
    }
    text
}

fn z_of(at: &TemperatureReport, name: &str, kind: &str) -> Option<f64> {
    at.observables.get(name)?.z.get(kind)?.scalar()
}

/// ln p(y) of every temperature; "quadrature" is the error of integrating between temperatures.
fn evidence(document: &Document) -> String {
    if document.temperatures.iter().all(|at| at.log_evidence.is_none()) {
        return String::new();
    }
    let mut text = format!(
        "\nln p(y), integrated from the prior down\n{:>10}  {:>20} {:>10} {:>10} {:>7} {:>10}\n",
        "T", "sampled", "quadrature", "saddle", "z", "nngp"
    );
    for at in &document.temperatures {
        let Some(found) = &at.log_evidence else { continue };
        let theory = |kind: &str| shown(found.theory.get(kind).copied(), 3);
        let _ = writeln!(
            text,
            "{:>10}  {:>20} {:>10} {:>10} {:>7} {:>10}",
            short(at.temperature),
            with_error(found.mean, found.mcse),
            found.quadrature_error.map_or_else(|| "-".into(), |error| format!("{error:.1e}")),
            theory("saddle"),
            found.z.get("saddle").map_or_else(|| "-".into(), |z| format!("{z:+.1}")),
            theory("nngp"),
        );
    }
    text
}

fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |x| format!("{x:.decimals$}"))
}

/// Tuning and acceptance of every temperature; `exchange` is the acceptance rate of exchanges with
/// the next colder one.
fn sampler_block(document: &Document) -> String {
    let mut text = format!(
        "\nsampler\n{:>10} {:>10} {:>6} {:>11} {:>11} {:>11} {:>9} {:>7}\n",
        "T", "step", "steps", "acceptance", "energy err", "divergences", "exchange", "E-BFMI"
    );
    for at in &document.temperatures {
        let s = &at.sampler;
        let _ = writeln!(
            text,
            "{:>10} {:>10.4} {:>6} {:>11.2} {:>11.2} {:>11} {:>9} {:>7}",
            short(at.temperature),
            s.step_size,
            s.steps,
            s.acceptance_rate,
            s.energy_error,
            s.divergences,
            shown(s.exchange_colder, 2),
            shown(s.e_bfmi, 2),
        );
    }
    if let Some(exchange) = &document.exchange {
        let _ = writeln!(text, "{} journeys from the hot end to the cold one and back", exchange.round_trips);
    }
    text
}

/// The verdict on every temperature beside the worst of what it rests on, with the thresholds in
/// the title.
fn convergence(document: &Document, name: Naming) -> String {
    let kind = document.temperatures.iter().find_map(|at| at.worst_rhat()).map_or(RhatKind::Split, |(kind, ..)| kind);
    let symbol = kind.symbol();
    let mut text = format!(
        "\nconvergence: {symbol} < {MAX_RHAT}, bulk and tail ESS \u{2265} {MIN_ESS}, divergences \u{2264} {} %, E-BFMI \u{2265} {MIN_BFMI}\n",
        100.0 * MAX_DIVERGENCE_RATE
    );
    // The combining circumflex takes no column.
    let width = 1 + "nested R".len();
    let titled = width + 1;
    let _ = writeln!(text, "{:>10} {symbol:>titled$} {:>9} {:>9}  verdict", "T", "bulk ESS", "tail ESS");
    for (index, at) in document.temperatures.iter().enumerate() {
        let complaints = document.complaints(index);
        let verdict = if at.converged {
            "converged".into()
        } else if complaints.is_empty() {
            // By the thresholds of another version.
            format!("NOT converged: {}", at.advice.join("; "))
        } else {
            let lines: Vec<String> = complaints.iter().map(|complaint| complaint.in_words(name)).collect();
            format!("NOT converged: {}", lines.join("; "))
        };
        let _ = writeln!(
            text,
            "{:>10} {:>width$} {:>9} {:>9}  {verdict}",
            short(at.temperature),
            shown(at.worst_rhat().map(|(.., rhat)| rhat), 4),
            shown(at.least_ess_bulk().map(|(_, ess)| ess), 0),
            shown(at.least_ess_tail().map(|(_, ess)| ess), 0),
        );
    }
    text
}

/// Where D²(T) has its maximum, a line for every pair of classes.
pub fn maxima(document: &Document, name: Naming) -> String {
    let mut text = String::from("\n");
    let temperatures = document.temperatures.len();
    for (signature, found) in &document.signatures {
        let symbol = signature.replace("centroid_distance_maximum", "D²");
        let value = with_error(Some(found.value), found.mcse);
        let _ = match temperatures {
            1 => write!(text, "{symbol} at T = {} is {value}", short(found.temperature)),
            _ => write!(text, "{symbol}(T) is largest at T = {}: {value}", short(found.temperature)),
        };
        if let Some(mcse) = found.mcse.filter(|&m| m > 0.0) {
            let excess = (found.value - found.infinite_width_value) / mcse;
            let (size, side) = if excess < 0.0 { (-excess, "below") } else { (excess, "above") };
            let _ = write!(text, ", {size:.0} MCSE {side} its infinite-width value {:.5}", found.infinite_width_value);
        }
        let _ = write!(text, "; ");
        let _ = match (temperatures, found.interior, found.confidence) {
            (1, ..) => {
                let ladder = Remedy::set(Setting::TemperatureRange, "0.01:10:7").in_words(name);
                write!(text, "one temperature cannot show a maximum: {ladder} for a ladder")
            }
            (2, ..) => write!(text, "two temperatures cannot show a maximum between them: give at least three"),
            (_, true, Some(c)) => {
                write!(text, "inside the ladder with confidence {:.1} % (bootstrap over chains)", 100.0 * c)
            }
            (_, true, None) => write!(text, "inside the ladder (fewer than four chains: no confidence)"),
            (_, false, _) => {
                let end = if Some(found.temperature) == document.temperatures.first().map(|at| at.temperature) {
                    "hot"
                } else {
                    "cold"
                };
                write!(text, "at the {end} end of the ladder: widen it there to see a maximum")
            }
        };
        if let (Some(t), Some(value)) = (found.theory_temperature, found.theory_value) {
            let end = found.theories.get(TheoryKind::Saddle.name()).and_then(|maximum| maximum.end);
            let where_it_is = match (found.theory_interior, end) {
                (Some(false), Some(End::Solutions)) => ", where its solutions end",
                (Some(false), _) => ", an end of the ladder",
                _ => "",
            };
            let _ = write!(text, "; saddle: {value:.5} at T = {}{where_it_is}", short(t));
        }
        let _ = writeln!(text, ".");
    }
    text
}

/// A table in columns, each as wide as its widest cell.
pub fn aligned(numbers: &Numbers) -> String {
    let mut text = String::new();
    let width = |column: usize| {
        let cells = numbers.rows.iter().chain([&numbers.header]).filter_map(|row| row.get(column));
        // Combining marks take no room.
        cells.map(|cell| cell.chars().filter(|c| *c != '\u{304}').count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..numbers.header.len()).map(width).collect();
    for row in [&numbers.header].into_iter().chain(&numbers.rows) {
        let mut line = String::new();
        for (k, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().filter(|c| *c != '\u{304}').count());
            // Names to the left, numbers to the right.
            // write! to a String cannot fail.
            let _ = if k == 0 { write!(line, "{cell}{pad}") } else { write!(line, "  {pad}{cell}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
