//! A problem without classes, as in regression: what needs classes is left out, and everything else
//! is as with them.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use featherm::backend::{BackendChoice, DeviceRequest};
use featherm::config::Experiment;
use featherm::model::{Activation, Classes, Network, Problem};
use featherm::report::page::page;
use featherm::report::{plots, table};
use featherm::results::TemperatureReport;
use featherm::session::{Run, Session};
use featherm::store::{RunDir, read_gram, read_report, read_vector, write_arrays, write_draws, write_table};
use featherm::theory::TheoryKind;
use ndarray::{Array2, Axis};
use tempfile::TempDir;

const POINTS: usize = 12;
const TEST_POINTS: usize = 4;

/// y = sin x₁ + x₂/2 at points that fill a square.
fn problem(classes: bool) -> Problem {
    let inputs = |first: usize, points: usize| {
        let coordinate = |k: usize| (((k + 1) * 13) % 29) as f64 / 14.5 - 1.0;
        Array2::from_shape_fn((points, 3), |(i, j)| coordinate(3 * (first + i) + j))
    };
    let labels = |x: &Array2<f64>| x.map_axis(Axis(1), |x| (2.0 * x[0]).sin() + 0.5 * x[1]).insert_axis(Axis(1));
    let (x, x_test) = (inputs(0, POINTS), inputs(POINTS, TEST_POINTS));
    let (y, y_test) = (labels(&x), labels(&x_test));
    let of = |y: &Array2<f64>| if classes { Classes::by_sign(y.view()) } else { Classes::none() };
    let train = Problem::from_arrays(x.view(), y.view(), of(&y)).unwrap();
    train.named("sine").with_test(x_test.view(), y_test.view(), of(&y_test)).unwrap()
}

fn sampled(problem: Problem) -> Run {
    let network = Network { width: 6, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    let experiment = Experiment::builder(network)
        .temperatures([1.0, 0.2, 0.1])
        .theories(TheoryKind::ALL)
        .chains(4)
        .warmup(60)
        .draws(40)
        .build()
        .unwrap();
    let cpu = DeviceRequest { backend: BackendChoice::Cpu, ..DeviceRequest::default() };
    let mut seen = 0;
    let run = Session::new(&experiment, problem).unwrap().run(&cpu, |event| {
        // Without distances the loss says how far the chains have come.
        seen = seen.max(event.live.as_ref().map_or(0, Vec::len));
        ControlFlow::Continue(())
    });
    assert_eq!(seen, 3);
    run.unwrap()
}

/// Writes what a run writes, and returns its page.
fn written(dir: &Path, run: &Run) -> String {
    let dir = RunDir::create(&dir.join("run")).unwrap();
    write_arrays(&dir, run).unwrap();
    write_draws(&dir, run).unwrap();
    write_table(&dir, &run.document).unwrap();
    dir.write_report(&run.document).unwrap();
    let document = read_report(dir.path()).unwrap();
    let gram = read_gram(dir.path(), 2, POINTS).map_err(|error| error.to_string());
    let vector = read_vector(dir.path(), 2, 3).map_err(|error| error.to_string());
    page(&document, gram, vector).html
}

/// Sampling, theories, comparison and files with classes by the sign of y and without them:
/// without, nothing speaks of classes, and the numbers that do not need them are the same.
#[test]
fn without_classes_there_are_no_manifolds_and_all_else_stays() {
    let place = TempDir::new().unwrap();
    let [with, without] = [true, false].map(|classes| {
        let run = sampled(problem(classes));
        let dir = place.path().join(format!("{classes}"));
        fs::create_dir(&dir).unwrap();
        (written(&dir, &run), run.document)
    });
    for ((html, document), classes) in [(&with, 2), (&without, 0)] {
        assert_eq!(document.data.classes.len(), classes);
        let of_classes = |name: &str| name.contains("centroid") || name.contains("gyration");
        for at in &document.temperatures {
            assert_eq!(at.observables.keys().any(|name| of_classes(name)), classes > 0);
            let loss = &at.observables["train_loss"];
            assert!(loss.mean.scalar().is_some() && loss.mcse.scalar().is_some());
            for kind in ["nngp", "saddle"] {
                assert!(loss.theory[kind].scalar().is_some_and(f64::is_finite), "{kind}");
            }
        }
        assert_eq!(document.signatures.is_empty(), classes == 0);
        let text = table(document, |setting| setting.name().into()) + &plots(document);
        assert!(!text.contains("NaN") && text.contains("⟨L⟩/P"), "{text}");
        assert_eq!(text.contains("D²"), classes > 0, "{text}");
        assert_eq!(text.starts_with("sine: P = 12, N0 = 3 (rank 3), N1 = 6"), classes == 0, "{text}");
        assert!(!html.contains("NaN"));
        assert_eq!(html.contains("D²"), classes > 0);
        let store = place.path().join(format!("{}/run/draws.zarr", classes > 0));
        assert_eq!(store.join("constant_data/class_train").exists(), classes > 0);
        assert!(store.join("posterior/train_loss").exists());
    }
    for (with, without) in with.1.temperatures.iter().zip(&without.1.temperatures) {
        // Warm-up and the theories of one unit make use of the distances; infinite width and the
        // saddle point do not.
        for kind in ["nngp", "saddle"] {
            let of = |at: &TemperatureReport| at.observables["readout_second_moment"].theory[kind].scalar();
            assert_eq!(of(with), of(without), "{kind}");
        }
        assert_eq!(with.theory, without.theory);
    }
}

/// A single class has a radius and no distance.
#[test]
fn one_class_has_a_radius() {
    let whole = problem(false);
    let x = Array2::from_shape_fn((POINTS, 3), |(i, j)| whole.x_train[(i, j)]);
    let y = Array2::from_shape_fn((POINTS, 1), |(i, _)| whole.y_train[i]);
    let one = Problem::from_arrays(x.view(), y.view(), Classes::from_labels(&["all"; POINTS])).unwrap();
    let run = sampled(one);
    let observables = &run.document.temperatures[0].observables;
    assert!(observables.contains_key("gyration_radius_sq") && !observables.contains_key("centroid_distance_sq"));
}
