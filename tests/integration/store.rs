//! `draws.zarr` and `table.csv` as they lie on disk: layout, metadata and values, held against the
//! report of the same run.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use featherm::backend::BackendChoice;
use featherm::config::{Setup, preset};
use featherm::results::Field;
use featherm::sampler::SamplerKind;
use featherm::session::Run;
use featherm::store::{RunDir, write_draws, write_table, write_weights};
use featherm::studies::run;
use ndarray::{Array1, Array2, Array4, Array5, s};
use ndarray_npy::NpzReader;
use serde_json::Value;
use tempfile::TempDir;
use zarrs::array::Array;
use zarrs::filesystem::FilesystemStore;

const CHAINS: usize = 7;
const DRAWS: usize = 40;
const WARMUP: usize = 30;
const TEMPERATURES: [f64; 3] = [1.0, 0.2, 0.05];

fn setup(change: impl Fn(&mut featherm::config::Settings)) -> Setup {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(20), Some(3), Some(5));
    settings.temperature.range = None;
    settings.temperature.values = Some(TEMPERATURES.to_vec());
    let sampler = &mut settings.sampler;
    (sampler.chains, sampler.warmup, sampler.draws) = (Some(CHAINS), Some(WARMUP), Some(DRAWS));
    (sampler.backend, sampler.tempering) = (Some(BackendChoice::Cpu), Some(true));
    change(&mut settings);
    Setup::resolve(settings).unwrap()
}

fn sampled(setup: &Setup) -> Run {
    run(setup, |_| ControlFlow::Continue(())).unwrap()
}

/// A store on disk and its consolidated metadata.
struct Stored {
    _place: TempDir,
    path: PathBuf,
    metadata: BTreeMap<String, Value>,
}

fn stored(run: &Run) -> Stored {
    let place = TempDir::new().unwrap();
    let dir = RunDir::create(&place.path().join("run")).unwrap();
    write_draws(&dir, run).unwrap();
    let path = dir.path().join("draws.zarr");
    let root = json(&path.join("zarr.json"));
    assert_eq!(root["attributes"]["name"], "featherm");
    let consolidated = &root["consolidated_metadata"];
    assert_eq!((&consolidated["kind"], &consolidated["must_understand"]), (&"inline".into(), &false.into()));
    let metadata = consolidated["metadata"].as_object().unwrap().clone().into_iter().collect();
    Stored { _place: place, path, metadata }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Stored {
    fn groups(&self) -> Vec<&str> {
        self.metadata.iter().filter(|(_, m)| m["node_type"] == "group").map(|(path, _)| path.as_str()).collect()
    }

    fn shape(&self, path: &str) -> Vec<usize> {
        let shape = self.metadata[path]["shape"].as_array().unwrap();
        shape.iter().map(|n| n.as_u64().unwrap() as usize).collect()
    }

    fn open(&self, path: &str) -> Array<FilesystemStore> {
        Array::open(Arc::new(FilesystemStore::new(&self.path).unwrap()), &format!("/{path}")).unwrap()
    }

    fn floats(&self, path: &str) -> Vec<f64> {
        let array = self.open(path);
        array.retrieve_array_subset_elements(&array.subset_all()).unwrap()
    }

    fn integers(&self, path: &str) -> Vec<i64> {
        let array = self.open(path);
        array.retrieve_array_subset_elements(&array.subset_all()).unwrap()
    }
}

/// Files on disk and consolidated metadata say the same, and every dimension has its coordinate.
#[test]
fn every_array_has_named_dimensions_with_coordinates() {
    let run = sampled(&setup(|settings| settings.output.save_warmup = Some(true)));
    let store = stored(&run);
    let expected = [
        "constant_data",
        "observed_data",
        "posterior",
        "sample_stats",
        "theory",
        "warmup_posterior",
        "warmup_sample_stats",
    ];
    assert_eq!(store.groups(), expected);
    let mut found = 0;
    for (path, metadata) in &store.metadata {
        assert_eq!(&json(&store.path.join(path).join("zarr.json")), metadata, "{path}");
        let Some((group, _)) = path.split_once('/') else {
            let attributes = &metadata["attributes"];
            for name in ["created_at", "creation_library", "inference_library", "inference_library_version"] {
                assert!(attributes[name].is_string(), "{path} has no {name}");
            }
            assert!(attributes["sample_dims"].is_array());
            continue;
        };
        found += 1;
        let names = metadata["dimension_names"].as_array().unwrap();
        assert_eq!(names.len(), store.shape(path).len(), "{path}");
        for (name, size) in names.iter().zip(store.shape(path)) {
            assert_eq!(store.shape(&format!("{group}/{}", name.as_str().unwrap())), [size], "{path}: {name}");
        }
    }
    assert!(found > 60, "{found} arrays");
    assert_eq!(store.shape("posterior/train_loss"), [CHAINS, DRAWS, 3]);
    assert_eq!(store.shape("posterior/gyration_radius_sq"), [CHAINS, DRAWS, 3, 2]);
    assert_eq!(store.shape("warmup_posterior/train_loss"), [CHAINS, WARMUP, 3]);
    assert!(!store.metadata.contains_key("warmup_posterior/test_mse"), "test points are not predicted in warm-up");
    assert_eq!(store.floats("posterior/temperature"), TEMPERATURES);
    // Two superchains of three, and one chain left over.
    assert_eq!(store.integers("posterior/superchain"), [0, 0, 0, 1, 1, 1, -1]);
}

/// The mean over chains and draws is that of the report, at every temperature.
#[test]
fn the_draws_are_those_of_the_report() {
    let run = sampled(&setup(|_| {}));
    let store = stored(&run);
    let mut compared = 0;
    for (t, at) in run.document.temperatures.iter().enumerate() {
        for (name, observable) in &at.observables {
            let path = format!("posterior/{name}");
            if !store.metadata.contains_key(&path) {
                continue;
            }
            let means = observable.mean.values();
            let values = store.floats(&path);
            for (k, mean) in means.iter().enumerate() {
                let column = values.iter().skip(t * means.len() + k).step_by(TEMPERATURES.len() * means.len());
                let ours = column.sum::<f64>() / (CHAINS * DRAWS) as f64;
                let mean = mean.unwrap();
                assert!((ours - mean).abs() <= 1e-11 * mean.abs().max(1e-3), "{name} at {t}: {ours} for {mean}");
                compared += 1;
            }
        }
        let of = |name: &str| store.floats(&format!("sample_stats/{name}")).into_iter().skip(t).step_by(3);
        let acceptance = of("acceptance_rate").sum::<f64>() / (CHAINS * DRAWS) as f64;
        assert!((acceptance - at.sampler.acceptance_rate).abs() < 1e-12);
        assert!(of("step_size").all(|h| h == at.sampler.step_size));
        // What the energy holds beside the log density is kinetic, or the readout that is
        // integrated out.
        assert!(of("lp").all(|x| x < 0.0) && of("energy").all(f64::is_finite));
    }
    assert_eq!(compared, 3 * 11);
}

/// The log density again from its parts, with λ0 = λ1 = 1: lp + L/T + ½(N1 r ⟨w′²⟩ + N1 ⟨v²⟩) = 0,
/// so that −2(lp + L/T) − N1⟨v²⟩ is ‖W′‖², about N1 r.
#[test]
fn the_log_density_is_that_of_the_weights() {
    let run = sampled(&setup(|_| {}));
    let store = stored(&run);
    let [lp, loss, second] = ["sample_stats/lp", "posterior/train_loss", "posterior/readout_second_moment"]
        .map(|path| store.floats(path).into_iter().step_by(3).collect::<Vec<f64>>());
    let (points, width, rank) = (20.0, 5.0, run.solved.problem.rank() as f64);
    let squares = (0..lp.len()).map(|k| -2.0 * (lp[k] + loss[k] * points / TEMPERATURES[0]) - width * second[k]);
    let mean = squares.sum::<f64>() / lp.len() as f64;
    assert!((0.85..1.3).contains(&(mean / (width * rank))), "{mean} for {}", width * rank);
}

/// Keeping the warm-up changes no other number.
#[test]
fn the_warm_up_is_only_watched() {
    let [without, with] = [None, Some(true)].map(|save| sampled(&setup(|settings| settings.output.save_warmup = save)));
    let [plain, watched] = [&without, &with].map(stored);
    assert_eq!(without.document.temperatures, with.document.temperatures);
    for path in plain.metadata.keys().filter(|path| path.contains("posterior/") || path.ends_with("stats/lp")) {
        if plain.metadata[path]["data_type"] == "float64" {
            assert_eq!(plain.floats(path), watched.floats(path), "{path}");
        }
    }
    let warm_up = watched.floats("warmup_posterior/train_loss");
    assert!(warm_up.iter().all(|x| x.is_finite()) && warm_up.len() == CHAINS * WARMUP * 3);
}

/// A chain that was lost at one temperature is set aside at all of them.
#[test]
fn lost_chains_are_set_aside() {
    let setup = setup(|settings| {
        (settings.sampler.kind, settings.sampler.step_size) = (Some(SamplerKind::Ula), Some(1e-3));
        settings.sampler.tempering = Some(false);
    });
    let mut run = sampled(&setup);
    let whole = stored(&run);
    assert!(!whole.groups().contains(&"lost_posterior") && !whole.metadata.contains_key("sample_stats/energy"));
    // The fifth chain at the second temperature.
    run.recorded.lost[CHAINS + 4] = true;
    run.recorded.draws.chains[CHAINS + 4].observables[0][DRAWS - 1] = f64::NAN;
    run.recorded.draws.chains[CHAINS + 4].diverged[DRAWS - 1] = true;
    let store = stored(&run);
    assert_eq!(store.integers("posterior/chain"), [0, 1, 2, 3, 5, 6]);
    assert_eq!(store.integers("posterior/superchain"), [0, 0, 0, 1, 1, -1]);
    assert_eq!(store.integers("lost_sample_stats/chain"), [4]);
    assert!(store.floats("posterior/train_loss").iter().all(|x| x.is_finite()));
    assert_eq!(store.floats("lost_posterior/train_loss").iter().filter(|x| x.is_nan()).count(), 1);
}

/// A store takes the place of another, and nothing is left beside it.
#[test]
fn a_store_is_replaced_as_a_whole() {
    let run = sampled(&setup(|_| {}));
    let place = TempDir::new().unwrap();
    let dir = RunDir::create(&place.path().join("run")).unwrap();
    let path = dir.path().join("draws.zarr");
    write_draws(&dir, &run).unwrap();
    fs::create_dir_all(path.join("posterior/old")).unwrap();
    fs::create_dir_all(dir.path().join(".draws.zarr.partial/posterior")).unwrap();
    write_draws(&dir, &run).unwrap();
    assert!(path.join("zarr.json").is_file() && !path.join("posterior/old").exists());
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.iter().filter(|name| name.to_string_lossy().contains("zarr")).count(), 1, "{names:?}");
}

/// Every line of the table is a number of the report.
#[test]
fn the_table_is_that_of_the_report() {
    let run = sampled(&setup(|settings| settings.data.classes = Some("0,6/1".into())));
    let place = TempDir::new().unwrap();
    let dir = RunDir::create(&place.path().join("run")).unwrap();
    write_table(&dir, &run.document).unwrap();
    let mut table = csv::Reader::from_path(dir.path().join("table.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let lines: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let mut expected = 0;
    for at in &run.document.temperatures {
        let at_temperature = |line: &&csv::StringRecord| line[0].parse::<f64>().unwrap() == at.temperature;
        for (name, observable) in at.observables.iter().filter(|(name, _)| !name.starts_with("predictive_")) {
            let line: Vec<_> = lines.iter().filter(at_temperature).filter(|line| line[1] == **name).collect();
            assert_eq!(line.len(), 1, "{name}: with three classes every number has a name");
            let read = |name: &str| line[0][column(name)].parse::<f64>().ok();
            let own = |values: &BTreeMap<String, Field>, kind: &str| values.get(kind).and_then(Field::scalar);
            assert_eq!(read("mean"), observable.mean.scalar());
            assert_eq!(read("mcse"), observable.mcse.scalar());
            assert_eq!(read("ess_tail"), observable.ess_tail.scalar());
            assert_eq!(read("nested_rhat"), observable.nested_rhat.scalar());
            assert_eq!(read("saddle"), own(&observable.theory, "saddle"));
            assert_eq!(read("single_unit_z"), own(&observable.z, "single-unit"));
            assert_eq!(read("single_unit_error"), own(&observable.theory_error, "single-unit"));
            expected += 1;
        }
        expected += usize::from(at.log_evidence.is_some());
    }
    assert_eq!(lines.len(), expected);
    assert!(lines.iter().any(|line| line[1] == *"centroid_distance_sq[0,6]"), "a name with a comma is one field");
}

/// Largest relative difference between a loss measured by the sampler and that of the saved
/// network: float32 on both sides.
const LOSS_TOLERANCE: f64 = 1e-4;

/// Saved networks have the loss of their draw on the training points, in the basis of the inputs,
/// and that of another draw not; and on test points, where they have what the sampler never moved,
/// they err as the samples do.
#[test]
fn saved_networks_are_those_of_their_draws() {
    let wanted = 8;
    let run = sampled(&setup(|settings| settings.output.save_weights = Some(wanted)));
    let place = TempDir::new().unwrap();
    let dir = RunDir::create(&place.path().join("run")).unwrap();
    write_weights(&dir, &run).unwrap();
    let mut npz = NpzReader::new(fs::File::open(dir.path().join("weights.npz")).unwrap()).unwrap();
    let v: Array4<f32> = npz.by_name("v").unwrap();
    let w: Array5<f32> = npz.by_name("w").unwrap();
    let draws: Array1<i64> = npz.by_name("draw").unwrap();
    let [x_train, x_test]: [Array2<f64>; 2] = ["x_train", "x_test"].map(|name| npz.by_name(name).unwrap());
    let [y_train, y_test]: [Array1<f64>; 2] = ["y_train", "y_test"].map(|name| npz.by_name(name).unwrap());
    assert_eq!(w.dim(), (3, CHAINS, wanted, 5, x_train.ncols()));
    assert!(run.solved.problem.rank() < x_train.ncols(), "there is something outside the span");
    let squares = |at: (usize, usize, usize), x: &Array2<f64>, y: &Array1<f64>| -> f64 {
        let (v, w) = (v.slice(s![at.0, at.1, at.2, ..]).mapv(f64::from), w.slice(s![at.0, at.1, at.2, .., ..]));
        let features = (x.dot(&w.mapv(f64::from).t()) / (x.ncols() as f64).sqrt()).mapv(libm::erf);
        let errors = features.dot(&v) / (v.len() as f64).sqrt() - y;
        errors.dot(&errors) / y.len() as f64
    };
    let (mut on_test, mut moved, mut n) = (0.0, 0.0, 0.0);
    for t in 0..3 {
        for chain in 0..CHAINS {
            let recorded = &run.recorded.draws.at(t)[chain].observables[0];
            for (k, &draw) in draws.iter().enumerate() {
                let loss = 0.5 * squares((t, chain, k), &x_train, &y_train);
                let [own, other] = [draw as usize, draw as usize - 1].map(|d| (loss / recorded[d] - 1.0).abs());
                assert!(own < LOSS_TOLERANCE, "{t}, {chain}, {draw}: {loss} for {}", recorded[draw as usize]);
                // A rejected trajectory leaves the draw before, to the bit.
                if recorded[draw as usize] != recorded[draw as usize - 1] {
                    assert!(other > LOSS_TOLERANCE, "the control: the loss of the draw before fits as well");
                    moved += 1.0;
                }
                on_test += squares((t, chain, k), &x_test, &y_test);
                n += 1.0;
            }
        }
    }
    assert!(moved > 0.5 * n, "the control sees {moved} of {n}");
    let reported = |at: &featherm::results::TemperatureReport| at.observables["test_mse"].mean.scalar().unwrap();
    let reported = run.document.temperatures.iter().map(reported).sum::<f64>() / 3.0;
    let ratio = on_test / n / reported;
    assert!((0.75..1.33).contains(&ratio), "test error {} for {reported}", on_test / n);
}
