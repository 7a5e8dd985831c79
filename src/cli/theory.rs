//! `featherm theory`: the theory's predictions without sampling.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::args::TheoryArgs;
use super::{Failure, print};
use crate::observables::{Entry, entries};
use crate::run::prepare;
use crate::theory::{Kind, Prediction};

pub fn theory(arguments: &TheoryArgs) -> Result<(), Failure> {
    let experiment = arguments.experiment()?;
    let prepared = prepare(&experiment)?;
    let problem = &prepared.problem;
    let entries = entries(&problem.class_names, problem.test_points() > 0);
    let mut predictions = Vec::new();
    let mut failures = Vec::new();
    for kind in Kind::ALL {
        for prediction in prepared.theory.ladder(kind, &experiment.temperatures) {
            match prediction {
                Ok(prediction) => predictions.push(prediction),
                Err(error) => failures.push(error.to_string()),
            }
        }
    }
    predictions.sort_by(|a, b| b.temperature.total_cmp(&a.temperature));
    if arguments.json {
        let points: Vec<Value> = predictions.iter().map(|p| point(p, &entries)).collect();
        let document = json!({ "schema": "featherm.theory/1", "points": points });
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| Failure::Failed(format!("the predictions cannot be written as JSON: {error}")))?;
        print(&format!("{text}\n"));
    } else {
        print(&table(&predictions, &entries));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Failed(failures.join("; "))) }
}

/// One prediction as a JSON object with the machine-readable names.
fn point(p: &Prediction, entries: &[Entry]) -> Value {
    let mut point = Map::new();
    let mut set = |name: &str, value: Value| point.insert(name.into(), value);
    set("temperature", json!(p.temperature));
    set("theory", json!(p.kind.name()));
    set("q", json!(p.q));
    set("q_bar", json!(p.q_bar));
    set("effective_action", json!(p.effective_action));
    set("log_evidence", json!(p.log_evidence));
    for entry in entries {
        let values: Vec<Option<f64>> = entry.members.iter().map(|o| o.predicted(p)).collect();
        set(&entry.name, if entry.array { json!(values) } else { json!(values[0]) });
    }
    set("predictive_mean", json!(p.predictive_mean));
    set("predictive_variance", json!(p.predictive_variance));
    set("residual", json!(p.solution.residual));
    set("iterations", json!(p.solution.iterations));
    Value::Object(point)
}

fn table(predictions: &[Prediction], entries: &[Entry]) -> String {
    let mut text = String::new();
    // write! to a String cannot fail.
    let _ = write!(text, "{:>10} {:>7} {:>10} {:>12}", "T", "theory", "Q\u{304}", "ln p(y)");
    let columns = || entries.iter().flat_map(|entry| &entry.members);
    for observable in columns() {
        let _ = write!(text, " {:>11}", observable.symbol());
    }
    text.push('\n');
    for p in predictions {
        let _ = write!(text, "{:>10} {:>7} {:>9.5} {:>12.3}", p.temperature, p.kind.name(), p.q_bar, p.log_evidence);
        for observable in columns() {
            let value = observable.predicted(p).map_or_else(|| "-".into(), |x| format!("{x:.5}"));
            let _ = write!(text, " {value:>11}");
        }
        text.push('\n');
    }
    text
}
