//! `table.csv`: what was measured beside what the theories say, one number per line.

use std::collections::BTreeMap;
use std::io;

use super::{RunDir, StoreError, TABLE};
use crate::results::{Document, Field, ObservableReport};
use crate::theory::TheoryKind;

/// Columns before those of the theories.
const COLUMNS: [&str; 9] =
    ["temperature", "observable", "element", "mean", "mcse", "ess_bulk", "ess_tail", "rhat", "nested_rhat"];

/// Writes one line per temperature and observable, and per element of those that are arrays
/// (`element`: the label of a class). For every theory there is its value, its own Monte Carlo
/// error where it can have one, and z = (mean − theory)/√(mcse² + error²). The columns are the same
/// in every run, so that tables can be put one below the other; what is not known is empty.
/// Predictions of single test points are in `arrays.npz`.
///
/// # Errors
/// When the disk refuses.
pub fn write_table(dir: &RunDir, document: &Document) -> Result<(), StoreError> {
    // A name such as `centroid_distance_sq[0,6]` and a label may hold what CSV must quote, and the
    // library knows what that is.
    dir.write(TABLE, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(header())?;
        for at in &document.temperatures {
            for (name, report) in at.observables.iter().filter(|(name, _)| !name.starts_with("predictive_")) {
                for index in 0..report.mean.values().len() {
                    let element = match &report.mean {
                        Field::Scalar(_) => "",
                        Field::Array(_) => document.data.classes.get(index).map_or("", String::as_str),
                    };
                    let mut record = vec![at.temperature.to_string(), name.clone(), element.to_string()];
                    record.extend(numbers(report, index).into_iter().map(text));
                    table.write_record(record)?;
                }
            }
            if let Some(evidence) = &at.log_evidence {
                let mut record = vec![at.temperature.to_string(), "log_evidence".into(), String::new()];
                let mut numbers = vec![evidence.mean, evidence.mcse, None, None, None, None];
                for kind in TheoryKind::ALL {
                    let of = |values: &BTreeMap<String, f64>| values.get(kind.name()).copied();
                    numbers.push(of(&evidence.theory));
                    numbers.extend(has_error(kind).then_some(None));
                    numbers.push(of(&evidence.z));
                }
                record.extend(numbers.into_iter().map(text));
                table.write_record(record)?;
            }
        }
        table.flush().map_err(io::Error::other)
    })
}

fn header() -> Vec<String> {
    let mut header = COLUMNS.map(String::from).to_vec();
    for kind in TheoryKind::ALL {
        let name = column(kind);
        header.push(name.clone());
        header.extend(has_error(kind).then(|| format!("{name}_error")));
        header.push(format!("{name}_z"));
    }
    header
}

/// A theory's name as a name in Python.
fn column(kind: TheoryKind) -> String {
    kind.name().replace('-', "_")
}

/// Whether a theory is an average that has a Monte Carlo error.
fn has_error(kind: TheoryKind) -> bool {
    TheoryKind::UNITS.contains(&kind)
}

fn numbers(report: &ObservableReport, index: usize) -> Vec<Option<f64>> {
    let at = |field: &Field| field.values().get(index).copied().flatten();
    let mut numbers = vec![
        at(&report.mean),
        at(&report.mcse),
        at(&report.ess),
        at(&report.ess_tail),
        at(&report.rhat),
        at(&report.nested_rhat),
    ];
    for kind in TheoryKind::ALL {
        let of = |values: &BTreeMap<String, Field>| values.get(kind.name()).and_then(at);
        numbers.push(of(&report.theory));
        numbers.extend(has_error(kind).then(|| of(&report.theory_error)));
        numbers.push(of(&report.z));
    }
    numbers
}

/// The shortest text that reads back as the same number.
fn text(number: Option<f64>) -> String {
    number.filter(|x| x.is_finite()).map_or_else(String::new, |x| format!("{x:?}"))
}
