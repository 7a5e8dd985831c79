//! The page of one run.

use super::html::{block, document, figures, list, table};
use super::signatures::tables;
use super::{Page, files};
use crate::report::figure::canvas::escape;
use crate::report::figure::ladder::Quantity;
use crate::report::figure::{Numbers, distance_quantities, readout_quantity, sections};
use crate::report::table::{header, maxima};
use crate::results::{Document, GramAt, TemperatureReport, VectorAt, short, with_error};
use crate::theory::TheoryKind;

/// What a page of a run says of itself in its `generator` element.
const MARK: &str = "featherm report";

/// The page of a run with its figures. `gram` are the matrices and `vector` is ⟨v w⟩ at
/// [`crate::report::figure::shown_temperature`], or why there are none.
///
/// A figure that cannot be rasterised is in the page and in its notes, and has no PNG.
pub fn page(run: &Document, gram: Result<GramAt, String>, vector: Result<VectorAt, String>) -> Page {
    let mut notes = Vec::new();
    let mut left_out = |what: &str, reason: String| notes.push(format!("the figures of {what} are left out: {reason}"));
    let gram = gram.map_err(|reason| left_out("the Gram matrix", reason)).ok();
    let vector = vector.map_err(|reason| left_out("⟨v w⟩ in input space", reason)).ok();
    let sections = sections(run, gram.as_ref(), vector.as_ref());
    let files = files(sections.iter().flat_map(|section| &section.figures), &mut notes);

    let mut body = format!(
        "<header>\n<h1>{}</h1>\n<p class=\"soft\">{}</p>\n</header>\n<main>\n",
        escape(&title(run)),
        escape(&header(run))
    );
    body += &verdict(run);
    body += "<h2>Results</h2>\n<div class=\"box\">";
    body += &table(&results(run));
    body += "<p class=\"soft\">Mean ± MCSE; below it z = (sampled − theory)/√(MCSE² + the theory's own error²).</p></div>\n";
    for section in &sections {
        body += &format!("<h2>{}</h2>\n{}", section.heading, figures(&section.figures));
    }
    let signatures = tables(run);
    if !signatures.is_empty() {
        body += &format!("<h2>Signatures in numbers</h2>\n{signatures}");
    }
    if !notes.is_empty() {
        body += &format!("<h2>What is missing</h2>\n{}", list(notes.iter().cloned()));
    }
    body += "<h2>Configuration</h2>\n";
    body += &block(&configuration(run));
    body += &format!("<p class=\"soft\">{}</p>\n</main>\n", escape(&provenance(run)));
    Page { html: document(&title(run), MARK, &body), files, notes }
}

fn title(run: &Document) -> String {
    let (data, network) = (&run.data, &run.config.network);
    let width = network.width.map_or_else(String::new, |n| format!(", N1 = {n}"));
    format!("{}: P = {}{width}", data.described(), data.train_points)
}

/// Whether to believe the run, where D²(T) is largest, and every warning.
fn verdict(run: &Document) -> String {
    let count = run.temperatures.len();
    let converged = run.temperatures.iter().filter(|at| at.converged).count();
    let (class, sign) = if converged == count && !run.interrupted { ("good", "✓") } else { ("bad", "⚠") };
    let mut text = format!(
        "<div class=\"box {class}\"><strong>{sign} Converged at {converged} of {count} temperatures</strong>\n"
    );
    if run.interrupted {
        let draws = run.temperatures.first().map_or(0, |at| at.sampler.draws);
        text += &format!("<p>The run was interrupted after {draws} draws of every chain.</p>\n");
    }
    let open = run.temperatures.iter().filter(|at| !at.converged);
    text += &list(open.map(|at| format!("T = {}: {}", short(at.temperature), at.advice.join("; "))));
    text += "</div>\n";
    for line in maxima(run, |setting| setting.name().into()).lines().filter(|line| !line.is_empty()) {
        text += &format!("<p>{}</p>\n", escape(line));
    }
    if !run.warnings.is_empty() {
        text += &format!(
            "<div class=\"box bad\"><strong>⚠ Warnings</strong>\n{}</div>\n",
            list(run.warnings.iter().cloned())
        );
    }
    text
}

/// One row for every temperature, one column for every quantity, with z against the theories below
/// each number.
fn results(run: &Document) -> Numbers {
    let mut quantities = distance_quantities(run);
    quantities.push(readout_quantity(run));
    for (name, symbol) in
        [("weight_second_moment_along_u", "⟨(w·û)²⟩"), ("train_loss", "⟨L⟩/P"), ("test_mse", "test MSE")]
    {
        quantities.push(Quantity::new(name, symbol));
    }
    quantities.retain(|quantity| run.temperatures.iter().any(|at| quantity.sampled_at(at).is_some()));
    let mut header: Vec<String> = ["T", "converged"].map(String::from).to_vec();
    header.extend(quantities.iter().map(|quantity| quantity.symbol.clone()));
    let with_evidence = run.temperatures.iter().any(|at| at.log_evidence.is_some());
    header.extend(with_evidence.then(|| "ln p(y)".to_string()));
    let row = |at: &TemperatureReport| {
        let mut row = vec![short(at.temperature), if at.converged { "✓ yes".into() } else { "⚠ no".into() }];
        for quantity in &quantities {
            let Some((mean, mcse)) = quantity.sampled_at(at) else {
                row.push("–".into());
                continue;
            };
            let mut cell = with_error(Some(mean), mcse);
            for kind in TheoryKind::ALL.into_iter().filter(|&kind| kind != TheoryKind::Nngp) {
                if let Some(z) = quantity.z_at(at, kind) {
                    cell += &format!("\n{} {z:+.1}", kind.name());
                }
            }
            row.push(cell);
        }
        if with_evidence {
            row.push(at.log_evidence.as_ref().map_or_else(
                || "–".into(),
                |found| {
                    let z = found.z.get("saddle").map_or_else(String::new, |z| format!("\nsaddle {z:+.1}"));
                    with_error(found.mean, found.mcse) + &z
                },
            ));
        }
        row
    };
    Numbers { header, rows: run.temperatures.iter().map(row).collect() }
}

fn configuration(run: &Document) -> String {
    toml::to_string(&run.config).unwrap_or_else(|error| format!("# cannot be written as TOML: {error}"))
}

fn provenance(run: &Document) -> String {
    let (timing, data) = (&run.timing, &run.data);
    format!(
        "featherm {} on {} ({}); theory {:.1} s, warm-up {:.1} s, sampling {:.1} s, {} gradients. Training inputs have rank {} in {} dimensions; {} test points.",
        run.version,
        run.device.name,
        run.device.backend,
        timing.theory_s,
        timing.warmup_s,
        timing.sampling_s,
        timing.gradients,
        data.rank,
        data.dimension,
        data.test_points
    )
}
