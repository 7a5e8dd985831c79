//! Every number of `reference/theory_reference.json`, an independent float64 implementation of the
//! theory, field by field.

use featherm::model::{Activation, Network, Problem, Task};
use featherm::numerics::estimate::Estimate;
use featherm::theory::{Prediction, Theory};
use ndarray::{Array1, Array2};
use serde_json::Value;

/// Relative tolerance, and the absolute one near zero.
const RELATIVE: f64 = 1e-6;
const ABSOLUTE: f64 = 1e-9;

fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/theory_reference.json")).expect("the reference is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows = value.as_array().expect("a matrix");
    let flat = numbers(value);
    Array2::from_shape_vec((rows.len(), flat.len() / rows.len()), flat).expect("equal rows")
}

fn problem(reference: &Value) -> Problem {
    let labels = |name: &str| numbers(&reference[name]);
    let classes = |name: &str| labels(name).iter().map(|&y| usize::from(y < 0.0)).collect();
    Problem::new(&Task {
        name: "reference".into(),
        x_train: matrix(&reference["x_train"]),
        y_train: Array1::from(labels("y_train")),
        class_train: classes("y_train"),
        x_test: matrix(&reference["x_test"]),
        y_test: Array1::from(labels("y_test")),
        class_test: classes("y_test"),
        class_names: vec!["+1".into(), "-1".into()],
    })
    .expect("a valid problem")
}

fn network(case: &Value) -> Network {
    Network {
        width: case["width"].as_u64().expect("a width") as usize,
        activation: match case["activation"].as_str().expect("a name") {
            "erf" => Activation::Erf,
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            "id" => Activation::Identity,
            other => panic!("unknown activation {other}"),
        },
        lambda0: case["lambda0"].as_f64().expect("a number"),
        lambda1: case["lambda1"].as_f64().expect("a number"),
    }
}

/// The values that this crate computes for one field of a case; `None` for the fields that describe
/// the problem.
fn computed(field: &str, theory: &Theory, saddle: &Prediction, nngp: &Prediction) -> Option<Vec<f64>> {
    let kernel = &theory.kernels().train;
    let process = saddle.process.as_ref().expect("the saddle point is a process");
    let values = |estimates: &[Estimate]| estimates.iter().map(|estimate| estimate.value).collect();
    Some(match field {
        "activation" | "width" | "lambda0" | "lambda1" | "temperature" => return None,
        "q" => vec![process.solution.q],
        "q_bar" => vec![process.solution.q_bar],
        "effective_action" => vec![process.effective_action],
        "train_loss" => values(saddle.train_loss.as_slice()),
        "readout_second_moment" => values(&[saddle.readout_second_moment]),
        "readout_mean" => values(&[saddle.readout_mean]),
        "readout_weight_correlation_norm" => values(saddle.readout_weight_correlation.as_slice()),
        "weight_second_moment_along_u" => values(saddle.weight_second_moment_along_u.as_slice()),
        "centroid_distance_sq" => values(&saddle.centroid_distance_sq),
        "gyration_radius_sq" => values(&saddle.gyration_radius_sq),
        "nngp.centroid_distance_sq" => values(&nngp.centroid_distance_sq),
        "nngp.gyration_radius_sq" => values(&nngp.gyration_radius_sq),
        "nngp_kernel_00" => vec![kernel[(0, 0)]],
        "nngp_kernel_01" => vec![kernel[(0, 1)]],
        "gram_00" => vec![theory.gram(saddle)[(0, 0)]],
        "gram_01" => vec![theory.gram(saddle)[(0, 1)]],
        "predictive_mean" => values(&saddle.predictive_mean),
        "predictive_variance" => values(&saddle.predictive_variance),
        other => panic!("the reference has a field `{other}` that no test reads"),
    })
}

/// Fields of a case with dotted names for the nested ones.
fn fields(case: &Value) -> Vec<(String, &Value)> {
    let object = case.as_object().expect("a case");
    object
        .iter()
        .flat_map(|(name, value)| match value {
            Value::Object(inner) => inner.iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect(),
            value => vec![(name.clone(), value)],
        })
        .collect()
}

fn agrees(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= ABSOLUTE + RELATIVE * expected.abs()
}

/// Fields in which two sets of values disagree.
fn disagreements(case: &Value, theory: &Theory, saddle: &Prediction, nngp: &Prediction) -> Vec<String> {
    fields(case)
        .into_iter()
        .filter_map(|(name, expected)| {
            let values = computed(&name, theory, saddle, nngp)?;
            let expected = numbers(expected);
            let same = values.len() == expected.len() && values.iter().zip(&expected).all(|(&v, &e)| agrees(v, e));
            (!same).then(|| format!("{name}: {values:?} against {expected:?}"))
        })
        .collect()
}

#[test]
fn every_number_of_the_reference_is_reproduced() {
    let reference = reference();
    let problem = problem(&reference);
    let cases = reference["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 28);
    let mut failures = Vec::new();
    for case in cases {
        let network = network(case);
        let theory = Theory::new(&problem, &network).expect("a theory");
        let temperature = case["temperature"].as_f64().expect("a number");
        let saddle = theory.saddle(temperature).expect("a saddle point");
        let nngp = theory.nngp(temperature).expect("a limit");
        for failure in disagreements(case, &theory, &saddle, &nngp) {
            failures.push(format!("{network:?}, T = {temperature}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The comparison sees the formulas it guards: infinite width in the place of the saddle point,
/// another temperature, and a test field nobody reads.
#[test]
fn wrong_predictions_disagree_in_every_field_they_touch() {
    let reference = reference();
    let problem = problem(&reference);
    for case in reference["cases"].as_array().expect("cases") {
        let theory = Theory::new(&problem, &network(case)).expect("a theory");
        let temperature = case["temperature"].as_f64().expect("a number");
        let (saddle, nngp) = (theory.saddle(temperature).expect("saddle"), theory.nngp(temperature).expect("limit"));
        let wrong_kind = disagreements(case, &theory, &nngp, &nngp);
        let odd = network(case).activation.is_odd();
        // Untouched by the kind of theory: the prior kernels, the geometry of nngp, and ⟨v⟩ = 0 of
        // odd σ.
        let touched = fields(case).len() - 5 - 4 - usize::from(odd);
        assert_eq!(wrong_kind.len(), touched, "{wrong_kind:#?}");
        let hotter = theory.saddle(temperature * 1.001).expect("saddle");
        assert!(disagreements(case, &theory, &hotter, &nngp).len() > 8, "a temperature off by 0.1 % must be seen");
        assert!(disagreements(case, &theory, &saddle, &nngp).is_empty());
    }
    let theory = Theory::new(&problem, &network(&reference["cases"][0])).expect("a theory");
    let prediction = theory.nngp(1.0).expect("limit");
    let unread = std::panic::catch_unwind(|| computed("another_field", &theory, &prediction, &prediction));
    assert!(unread.is_err(), "a field that no test reads must fail");
}
