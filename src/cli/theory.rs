//! `featherm theory`: the theory's predictions without sampling.

use serde_json::{Map, Value, json};

use super::args::TheoryArgs;
use super::progress::Display;
use super::{Failure, print, print_json};
use crate::numerics::estimate::Estimate;
use crate::observables::{Entry, Observable, TestSet, entries, suffix};
use crate::report::aligned;
use crate::report::figure::Numbers;
use crate::results::{UnitReport, short, with_error};
use crate::session::{Solved, solve};
use crate::studies::load;
use crate::theory::Prediction;

pub fn theory(arguments: &TheoryArgs) -> Result<(), Failure> {
    let setup = arguments.setup()?;
    let (problem, experiment) = (load(&setup)?, setup.experiment());
    let entries = entries(&problem.class_names, TestSet::of(&problem));
    let mut display = Display::bar();
    let (kinds, temperatures) = (experiment.theories(), experiment.temperatures());
    let solved = solve(&problem, experiment.network(), kinds, temperatures, |event| display.update(event));
    display.finish();
    let Solved { predictions, warnings, .. } = solved?;
    let mut predictions: Vec<Prediction> = predictions.into_iter().flatten().collect();
    predictions.sort_by(|a, b| b.temperature.total_cmp(&a.temperature));
    if predictions.is_empty() && !warnings.is_empty() {
        return Err(Failure::Failed(warnings.join("; ")));
    }
    // Theories end at a temperature of their own; that is a result.
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    if arguments.json {
        let points: Vec<Value> = predictions.iter().map(|p| point(p, &entries)).collect();
        print_json("featherm.theory/1", &json!({ "points": points }))?;
    } else {
        print(&table(&predictions, &entries, &problem.class_names));
    }
    Ok(())
}

/// A prediction as a JSON object with the machine-readable names. What a theory of one unit does
/// not predict is left out.
fn point(prediction: &Prediction, entries: &[Entry]) -> Value {
    let mut point = Map::new();
    let mut set = |name: &str, value: Value| point.insert(name.into(), value);
    set("temperature", json!(prediction.temperature));
    set("theory", json!(prediction.kind.name()));
    let mut errors = Map::new();
    for entry in entries {
        let values: Vec<Option<Estimate>> = entry.members.iter().map(|o| o.predicted(prediction)).collect();
        let field = |of: &dyn Fn(&Estimate) -> f64| {
            let values: Vec<Option<f64>> = values.iter().map(|e| e.as_ref().map(of)).collect();
            if entry.array { json!(values) } else { json!(values[0]) }
        };
        if prediction.process.is_some() || values.iter().any(Option::is_some) {
            set(&entry.name, field(&|e| e.value));
            errors.insert(entry.name.clone(), field(&|e| e.error));
        }
    }
    if let Some(process) = &prediction.process {
        set("q", json!(process.solution.q));
        set("q_bar", json!(process.solution.q_bar));
        set("effective_action", json!(process.effective_action));
        set("log_evidence", json!(process.log_evidence));
    }
    for (name, values) in
        [("predictive_mean", &prediction.predictive_mean), ("predictive_variance", &prediction.predictive_variance)]
    {
        let field = |of: fn(&Estimate) -> f64| json!(values.iter().map(of).collect::<Vec<_>>());
        if prediction.process.is_some() || !values.is_empty() {
            set(name, field(|e| e.value));
            errors.insert(name.into(), field(|e| e.error));
        }
    }
    if let Some(process) = &prediction.process {
        set("residual", json!(process.solution.residual));
        set("iterations", json!(process.solution.iterations));
        set("other_roots", json!(process.solution.other_roots));
    }
    if let Some(unit) = UnitReport::of(prediction) {
        // A process is exact.
        set("errors", Value::Object(errors));
        if let Ok(Value::Object(report)) = serde_json::to_value(unit) {
            point.extend(report);
        }
    }
    Value::Object(point)
}

fn table(predictions: &[Prediction], entries: &[Entry], classes: &[String]) -> String {
    let columns: Vec<Observable> =
        entries.iter().flat_map(|entry| &entry.members).copied().filter(|observable| !observable.is_detail()).collect();
    let mut header = ["T", "theory", "Q\u{304}", "ln p(y)"].map(String::from).to_vec();
    header.extend(columns.iter().map(|&observable| title(observable, classes)));
    let row = |prediction: &Prediction| {
        let order = match &prediction.process {
            Some(process) => [format!("{:.5}", process.solution.q_bar), format!("{:.3}", process.log_evidence)],
            None => ["-".into(), "-".into()],
        };
        let mut row = vec![short(prediction.temperature), prediction.kind.name().into()];
        row.extend(order);
        row.extend(columns.iter().map(|&observable| {
            let found = observable.predicted(prediction);
            with_error(found.map(|e| e.value), found.map(|e| e.error))
        }));
        row
    };
    aligned(&Numbers { header, rows: predictions.iter().map(row).collect() })
}

/// The symbol of an observable with the classes it refers to: of D² where there are more than two,
/// as in the table of a run; of R² always, as in the figures.
fn title(observable: Observable, classes: &[String]) -> String {
    let own = observable.classes();
    let label = match own[..] {
        [class] => format!("[{}]", classes[class]),
        _ => suffix(classes, &own),
    };
    format!("{}{label}", observable.symbol())
}
