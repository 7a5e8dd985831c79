//! `featherm theory`: the theory's predictions without sampling.

use serde_json::{Map, Value, json};

use super::args::TheoryArgs;
use super::{Failure, print, print_json};
use crate::numerics::estimate::Estimate;
use crate::observables::{Entry, Observable, TestSet, entries, suffix};
use crate::report::aligned;
use crate::report::figure::Numbers;
use crate::results::{UnitReport, short, with_error};
use crate::studies::prepare;
use crate::theory::unit::{Params, UnitPrediction, doubt};
use crate::theory::{Kind, Prediction, failure_messages};

pub fn theory(arguments: &TheoryArgs) -> Result<(), Failure> {
    let setup = arguments.setup()?;
    let (prepared, experiment) = (prepare(&setup)?, setup.experiment());
    let problem = &prepared.problem;
    let entries = entries(&problem.class_names, TestSet::of(problem));
    let mut forecasts = Vec::new();
    let (mut failures, mut warnings) = (Vec::new(), Vec::new());
    for &kind in experiment.theories() {
        if Kind::PROCESSES.contains(&kind) {
            for prediction in prepared.theory.ladder(kind, experiment.temperatures()) {
                match prediction {
                    Ok(prediction) => forecasts.push(Forecast::Process(Box::new(prediction))),
                    Err(error) => failures.push(error),
                }
            }
        } else {
            for prediction in prepared.theory.unit_ladder(kind, experiment.temperatures(), &Params::default()) {
                match prediction {
                    Ok(prediction) => forecasts.push(Forecast::Unit(Box::new(prediction))),
                    // These theories end at a temperature of their own; that is a result.
                    Err(error) => warnings.push(error),
                }
            }
        }
    }
    forecasts.sort_by(|a, b| b.temperature().total_cmp(&a.temperature()));
    let units = forecasts.iter().filter_map(|forecast| match forecast {
        Forecast::Unit(prediction) => Some(prediction.as_ref()),
        Forecast::Process(_) => None,
    });
    for warning in failure_messages(&warnings).into_iter().chain(doubt(experiment.network().width, units)) {
        eprintln!("warning: {warning}");
    }
    if arguments.json {
        let points: Vec<Value> = forecasts.iter().map(|p| p.point(&entries)).collect();
        print_json("featherm.theory/1", &json!({ "points": points }))?;
    } else {
        print(&table(&forecasts, &entries, &problem.class_names));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Failed(failure_messages(&failures).join("; "))) }
}

/// A prediction of either family.
enum Forecast {
    Process(Box<Prediction>),
    Unit(Box<UnitPrediction>),
}

impl Forecast {
    fn kind(&self) -> Kind {
        match self {
            Self::Process(p) => p.kind,
            Self::Unit(p) => p.kind,
        }
    }

    fn temperature(&self) -> f64 {
        match self {
            Self::Process(p) => p.temperature,
            Self::Unit(p) => p.temperature,
        }
    }

    fn predicted(&self, observable: Observable) -> Option<Estimate> {
        match self {
            Self::Process(p) => observable.predicted(p).map(Estimate::exact),
            Self::Unit(p) => observable.predicted_by_unit(p),
        }
    }

    /// As a JSON object with the machine-readable names. What a theory does not predict is left out.
    fn point(&self, entries: &[Entry]) -> Value {
        let mut point = Map::new();
        let mut set = |name: &str, value: Value| point.insert(name.into(), value);
        set("temperature", json!(self.temperature()));
        set("theory", json!(self.kind().name()));
        let mut errors = Map::new();
        for entry in entries {
            let values: Vec<Option<Estimate>> = entry.members.iter().map(|o| self.predicted(*o)).collect();
            let field = |of: &dyn Fn(&Estimate) -> f64| {
                let values: Vec<Option<f64>> = values.iter().map(|e| e.as_ref().map(of)).collect();
                if entry.array { json!(values) } else { json!(values[0]) }
            };
            if matches!(self, Self::Process(_)) || values.iter().any(Option::is_some) {
                set(&entry.name, field(&|e| e.value));
                errors.insert(entry.name.clone(), field(&|e| e.error));
            }
        }
        match self {
            Self::Process(p) => {
                set("q", json!(p.q));
                set("q_bar", json!(p.q_bar));
                set("effective_action", json!(p.effective_action));
                set("log_evidence", json!(p.log_evidence));
                set("predictive_mean", json!(p.predictive_mean));
                set("predictive_variance", json!(p.predictive_variance));
                set("residual", json!(p.solution.residual));
                set("iterations", json!(p.solution.iterations));
                set("other_roots", json!(p.solution.other_roots));
            }
            Self::Unit(p) => {
                if !p.predictive_mean.is_empty() {
                    for (name, values) in
                        [("predictive_mean", &p.predictive_mean), ("predictive_variance", &p.predictive_variance)]
                    {
                        let field = |of: fn(&Estimate) -> f64| json!(values.iter().map(of).collect::<Vec<_>>());
                        set(name, field(|e| e.value));
                        errors.insert(name.into(), field(|e| e.error));
                    }
                }
                set("errors", Value::Object(errors));
                if let Ok(Value::Object(report)) = serde_json::to_value(UnitReport::from(p.as_ref())) {
                    point.extend(report);
                }
            }
        }
        Value::Object(point)
    }
}

fn table(forecasts: &[Forecast], entries: &[Entry], classes: &[String]) -> String {
    let columns: Vec<Observable> =
        entries.iter().flat_map(|entry| &entry.members).copied().filter(|observable| !observable.is_detail()).collect();
    let mut header = ["T", "theory", "Q\u{304}", "ln p(y)"].map(String::from).to_vec();
    header.extend(columns.iter().map(|&observable| title(observable, classes)));
    let row = |forecast: &Forecast| {
        let order = match forecast {
            Forecast::Process(p) => [format!("{:.5}", p.q_bar), format!("{:.3}", p.log_evidence)],
            Forecast::Unit(_) => ["-".into(), "-".into()],
        };
        let mut row = vec![short(forecast.temperature()), forecast.kind().name().into()];
        row.extend(order);
        row.extend(columns.iter().map(|&observable| {
            let found = forecast.predicted(observable);
            with_error(found.map(|e| e.value), found.map(|e| e.error))
        }));
        row
    };
    aligned(&Numbers { header, rows: forecasts.iter().map(row).collect() })
}

/// The symbol of an observable with the classes it refers to: of D² where there are more than two, as in the table of a run; of R² always, as in the figures.
fn title(observable: Observable, classes: &[String]) -> String {
    let own = observable.classes();
    let label = match own[..] {
        [class] => format!("[{}]", classes[class]),
        _ => suffix(classes, &own),
    };
    format!("{}{label}", observable.symbol())
}
