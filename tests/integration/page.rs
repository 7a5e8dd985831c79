//! The report page and its figures: well-formed and free of NaN whatever is missing, rebuilt from
//! disk as they were written, never in the way of what else is there.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use featherm::config::{Setup, preset};
use featherm::numerics::histogram::Density;
use featherm::report::figure::{Figure, png, sections};
use featherm::report::page::page;
use featherm::report::{plots, table};
use featherm::results::{Document, Field, GramAt, VectorAt};
use featherm::studies::run;
use featherm::theory::TheoryKind;
use tempfile::TempDir;

/// A small run on five temperatures, to be spoilt in many ways.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(20), Some(12), Some(10));
    (settings.sampler.chains, settings.sampler.warmup, settings.sampler.draws) = (Some(4), Some(20), Some(20));
    (settings.temperature.values, settings.temperature.range) = (Some(vec![10.0, 1.0, 0.3, 0.1, 0.02]), None);
    let setup = Setup::resolve(settings).unwrap();
    run(&setup, |_| ControlFlow::Continue(())).unwrap().document
});

fn gram(classes: bool, theory: bool) -> GramAt {
    let points = 20;
    let matrix = |scale: f64| (0..points * points).map(|k| scale * (k as f64).sin()).collect::<Vec<_>>();
    GramAt {
        index: 1,
        points,
        sampled: matrix(1.1),
        mcse: matrix(0.01),
        nngp: matrix(1.0),
        theory: theory.then(|| (TheoryKind::Saddle, matrix(1.05))),
        classes: classes.then(|| (0..points).map(|k| k % 2).collect()),
    }
}

/// ⟨v w⟩ on the 8×8 pixels of the digits.
fn vector(theories: &[TheoryKind]) -> VectorAt {
    let picture = |scale: f64| (0..64).map(|k| scale * (k as f64 / 5.0).sin()).collect::<Vec<_>>();
    VectorAt {
        index: 1,
        sampled: picture(0.11),
        mcse: picture(0.01),
        theories: theories.iter().map(|&kind| (kind, picture(0.1))).collect(),
    }
}

fn figures(document: &Document, gram: Option<&GramAt>) -> Vec<Figure> {
    sections(document, gram, gram.map(|_| vector(&[TheoryKind::Saddle, TheoryKind::SingleUnit])).as_ref())
        .into_iter()
        .flat_map(|section| section.figures)
        .collect()
}

/// Every figure is XML without NaN, and can be rasterised.
fn check(figures: &[Figure]) {
    for figure in figures {
        if let Err(complaint) = well_formed(&figure.file()) {
            panic!("{}: {complaint}", figure.name);
        }
        let png = png(figure).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 2000, "{}", figure.name);
    }
}

/// An SVG that any viewer can read: XML whose attributes, but for names in words, hold no number
/// that is none.
fn well_formed(svg: &str) -> Result<(), String> {
    let parsed = roxmltree::Document::parse(svg).map_err(|error| error.to_string())?;
    for attribute in parsed.descendants().flat_map(|node| node.attributes()).filter(|a| a.name() != "aria-label") {
        let value = attribute.value();
        if value.contains("NaN") || value.contains("inf") {
            return Err(format!("{} = {value}", attribute.name()));
        }
    }
    Ok(())
}

fn names(figures: &[Figure]) -> Vec<&str> {
    figures.iter().map(|figure| figure.name.as_str()).collect()
}

#[test]
fn every_figure_is_drawn() {
    let gram = gram(true, true);
    let drawn = figures(&DOCUMENT, Some(&gram));
    check(&drawn);
    let expected = [
        "centroid_distance_sq",
        "centroid_distance_sq_test",
        "gyration_radius_sq-0",
        "gyration_radius_sq-1",
        "gyration_radius_sq_test-0",
        "gyration_radius_sq_test-1",
        "readout_second_moment",
        "weight_second_moment_along_u",
        "readout_weight_correlation_norm",
        "readout_weight_vector",
        "readout_weight_picture",
        "weight_spectrum",
        "readout_density",
        "weight_density_along_u",
        "gram_displacement",
        "gram_pairs",
        "train_loss",
        "test_mse",
        "predictor",
        "log_evidence",
        "diagnostics",
    ];
    assert_eq!(names(&drawn), expected);
    // A sampled density is drawn as steps beside the theory's lines.
    assert!(drawn[12].file().contains(">sampled</text>"));
}

/// Class manifolds at the test points have a block of their own, which is there with them and no
/// wider than the others.
#[test]
fn the_table_has_test_manifolds_where_there_are_any() {
    let block = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| !line.starts_with("D² at the test points"));
        lines.take_while(|line| !line.is_empty()).map(String::from).collect()
    };
    let with = table(&DOCUMENT, |setting| setting.name().into());
    let found = block(&with);
    assert_eq!(found.len(), 2 + DOCUMENT.temperatures.len(), "{with}");
    assert!(found[1].contains("z saddle") && found[1].contains("training"), "{found:?}");
    let width = |lines: &[String]| lines.iter().map(|line| line.chars().count()).max();
    let training: Vec<String> =
        with.lines().skip_while(|line| *line != "D²").skip(1).take(6).map(String::from).collect();
    assert!(width(&found) <= width(&training), "{with}");
    let mean = DOCUMENT.temperatures[0].observables["centroid_distance_sq_test"].mean.scalar().unwrap();
    assert!(found[2].contains(&format!("{mean:.3}")[..4]), "{mean} in {found:?}");
    let mut without = DOCUMENT.clone();
    for at in &mut without.temperatures {
        at.observables.retain(|name, _| !name.contains("_test"));
    }
    assert!(block(&table(&without, |setting| setting.name().into())).is_empty());
}

/// Pictures are of images: one beside every theory, whatever their number, and none of a teacher's
/// inputs.
#[test]
fn the_vector_is_a_picture_of_images_only() {
    let of = |document: &Document, vector: &VectorAt| -> Vec<Figure> {
        let all = sections(document, None, Some(vector)).into_iter().flat_map(|section| section.figures);
        all.filter(|figure| figure.name == "readout_weight_picture").collect()
    };
    for count in 0..=3 {
        let drawn =
            of(&DOCUMENT, &vector(&[TheoryKind::Saddle, TheoryKind::SingleUnit, TheoryKind::Adaptive][..count]));
        check(&drawn);
        assert_eq!(drawn[0].file().matches("<g transform=\"translate").count(), 1 + count);
    }
    let with = |spoil: &dyn Fn(&mut Document)| {
        let mut document = DOCUMENT.clone();
        spoil(&mut document);
        of(&document, &vector(&[TheoryKind::Saddle])).len()
    };
    assert_eq!(with(&|d| d.data.dimension = 3 * 16), 1, "three colours of 4×4 pixels");
    assert_eq!(with(&|d| d.data.dimension = 60), 0, "no square");
    assert_eq!(with(&|d| d.config.data.source = Some("teacher:linear".into())), 0);
    assert_eq!(with(&|d| d.temperatures.truncate(1)), 0, "no such temperature");
}

/// Nothing that may be missing or absurd makes a figure that is none.
#[test]
fn what_is_missing_or_absurd_is_left_out() {
    type Spoil = fn(&mut Document);
    let spoilt: [(&str, Spoil); 10] = [
        ("one temperature", |d| d.temperatures.truncate(1)),
        ("no temperature", |d| d.temperatures.clear()),
        ("no test points", |d| {
            for at in &mut d.temperatures {
                at.observables.retain(|name, _| name != "test_mse" && !name.starts_with("predictive"));
            }
        }),
        ("no errors", |d| each(d, |field| *field = Field::Scalar(None), |o| &mut o.mcse)),
        ("no means", |d| each(d, |field| *field = Field::Scalar(None), |o| &mut o.mean)),
        ("infinite errors", |d| each(d, |field| *field = Field::Scalar(Some(f64::INFINITY)), |o| &mut o.mcse)),
        ("enormous means", |d| each(d, |field| *field = Field::Scalar(Some(1e300)), |o| &mut o.mean)),
        ("negative means", |d| each(d, |field| *field = Field::Scalar(Some(-1.0)), |o| &mut o.mean)),
        ("no theory", |d| {
            for at in &mut d.temperatures {
                at.observables.values_mut().for_each(|o| (o.theory.clear(), o.z.clear(), o.theory_error.clear()).0);
                at.units.clear();
                at.log_evidence = None;
            }
            d.signatures.clear();
        }),
        ("NaN in densities", |d| {
            let density = Density { grid: vec![f64::NAN, 0.0], value: vec![f64::NAN], error: vec![] };
            for at in &mut d.temperatures {
                let densities = at.signatures.densities.as_mut().unwrap();
                (densities.readout, densities.weight_along_u) = (density.clone(), None);
            }
        }),
    ];
    for (what, spoil) in spoilt {
        let mut document = DOCUMENT.clone();
        spoil(&mut document);
        let mut matrices = gram(false, false);
        matrices.sampled[3] = f64::NAN;
        println!("{what}");
        let drawn = figures(&document, Some(&matrices));
        check(&drawn);
        for line in plots(&document).lines() {
            assert!(line.chars().count() <= 80 && !line.contains("NaN"), "{what}: {line}");
        }
        assert!(
            page(&document, Err("there are none".into()), Ok(vector(&[]))).html.contains("there are none"),
            "{what}"
        );
    }
}

fn each(
    document: &mut Document,
    spoil: impl Fn(&mut Field),
    field: impl Fn(&mut featherm::results::ObservableReport) -> &mut Field,
) {
    document.temperatures.iter_mut().flat_map(|at| at.observables.values_mut()).for_each(|o| spoil(field(o)));
}

/// The control of the check that all others rest on.
#[test]
fn broken_figures_are_caught() {
    let good = figures(&DOCUMENT, None)[0].file();
    assert_eq!(well_formed(&good), Ok(()));
    for (from, to) in [("x=\"", "x=\"NaN"), ("temperature T", "T < 1"), ("</svg>", "")] {
        assert!(well_formed(&good.replacen(from, to, 1)).is_err(), "{to}");
    }
}

/// Names from data and settings reach the page as text, and files under names that any system
/// allows.
#[test]
fn what_users_name_is_only_text() {
    let evil = "<script>alert('1')</script>&\"../../x\u{1b}";
    let mut document = DOCUMENT.clone();
    document.data.name = evil.into();
    document.data.classes = vec![evil.into(), "b".into()];
    document.config.data.source = Some(evil.into());
    document.warnings.push(evil.into());
    document.temperatures[0].advice.push(evil.into());
    for at in &mut document.temperatures {
        for label in ["[a/b,c]", "[a:b,c]", evil] {
            let copy = at.observables["centroid_distance_sq"].clone();
            at.observables.insert(format!("centroid_distance_sq{label}"), copy);
        }
    }
    check(&figures(&document, None));
    let page = page(&document, Err(evil.into()), Err(evil.into()));
    assert!(page.html.contains("&lt;script&gt;") && !page.html.contains("<script"));
    let mut names: Vec<_> = page.files.iter().map(|file| file.name.as_str()).collect();
    assert!(names.iter().all(|name| !name.contains(['/', '\\', ':', '<'])), "{names:?}");
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two figures share a file");
    // Nothing is fetched, and nothing runs.
    for part in ["src=", "href=", "@import", "url(http", "javascript:"] {
        assert!(!page.html.contains(part), "{part}");
    }
    for part in ["name=\"viewport\"", "prefers-color-scheme:dark", "default-src 'none'"] {
        assert!(page.html.contains(part), "{part}");
    }
}

/// Numbers that no figure shows stand in tables, and what a run lacks leaves none.
#[test]
fn signatures_stand_in_tables() {
    let html = |document: &Document| page(document, Err("none".into()), Err("none".into())).html;
    let cold = DOCUMENT.temperatures.last().unwrap();
    let (gram, predictor) = (cold.signatures.gram.as_ref().unwrap(), cold.signatures.predictor.as_ref().unwrap());
    let (moved, outputs) = (&gram.theory["saddle"], &predictor.theory["saddle"]);
    let kurtosis = |mean: &dyn Fn(&str) -> f64| mean("readout_fourth_moment") / mean("readout_second_moment").powi(2);
    let expected = [
        format!(
            "saddle {:.3} ({:.3}), {:.4}",
            moved.relative_error.unwrap(),
            moved.noise_floor.unwrap(),
            moved.correlation.unwrap()
        ),
        format!("saddle {:.4} ({:.1})", outputs.rms_difference.unwrap(), outputs.rms_z.unwrap()),
        format!("{:.3}", kurtosis(&|name| cold.observables[name].mean.scalar().unwrap())),
    ];
    let whole = html(&DOCUMENT);
    let titles = ["The Gram matrix</h3>", "The predictor at the test points</h3>", "The weights</h3>"];
    for text in expected.iter().map(String::as_str).chain(titles) {
        assert!(whole.contains(text), "{text}");
    }
    let mut bare = DOCUMENT.clone();
    for at in &mut bare.temperatures {
        at.signatures = Default::default();
        at.observables.remove("readout_fourth_moment");
    }
    let bare = html(&bare);
    for text in expected.iter().map(String::as_str).chain(titles) {
        assert!(!bare.contains(text), "{text}");
    }
}

fn featherm(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin!("featherm")).args(arguments).current_dir(dir).output().unwrap()
}

fn run_in(dir: &Path, name: &str, seed: &str) {
    let small = ["--train", "20", "--width", "5", "--test", "3", "--chains", "4", "--warmup", "20", "--draws", "20"];
    let ladder = ["--temperatures", "10,1,0.1", "--seed", seed, "--out", name];
    let output = featherm(dir, &[&["run"], &small[..], &ladder].concat());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !log.contains("warning: "), "{log}");
    let last = String::from_utf8(output.stdout).unwrap().lines().last().map(String::from);
    assert_eq!(last, Some(format!("report: {name}/report.html")));
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = [dir.to_path_buf(), dir.join("figures")]
        .iter()
        .flat_map(|dir| fs::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_report_is_rebuilt_from_disk_as_it_was_written() {
    let dir = TempDir::new().unwrap();
    run_in(dir.path(), "run", "1");
    let run = dir.path().join("run");
    let written = contents(&run);
    assert!(written.iter().any(|(name, _)| name.ends_with("figures/gram_displacement.png")));
    fs::remove_dir_all(run.join("figures")).unwrap();
    fs::remove_file(run.join("report.html")).unwrap();
    assert!(featherm(dir.path(), &["report", "run"]).status.success());
    assert!(contents(&run) == written, "the rebuilt report differs");

    // Runs that came before the page, and directories that lost their matrices, or hold damaged
    // ones.
    for damage in [None, Some(&b"no zip"[..])] {
        fs::remove_file(run.join("arrays.npz")).ok();
        if let Some(bytes) = damage {
            fs::write(run.join("arrays.npz"), bytes).unwrap();
        }
        let output = featherm(dir.path(), &["report", "run"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("note: the figures of the Gram matrix are left out"),
            "{text}"
        );
        assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("What is missing"));
    }
}

/// What cannot be drawn or written does not take the numbers with it.
#[test]
fn a_page_that_cannot_be_written_fails_alone() {
    let dir = TempDir::new().unwrap();
    run_in(dir.path(), "run", "1");
    let run = dir.path().join("run");
    fs::remove_dir_all(run.join("figures")).unwrap();
    fs::write(run.join("figures"), "in the way").unwrap();
    let output = featherm(dir.path(), &["report", "run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Q\u{304} = λ1⟨v²⟩"), "the table comes first");
    assert!(String::from_utf8_lossy(&output.stderr).contains("figures"));
}

/// Descent and its figure: with a run of the same problem its samples are in it, another problem is
/// refused, and nothing is left half-written.
#[test]
fn descent_is_drawn_beside_equilibrium() {
    let dir = TempDir::new().unwrap();
    run_in(dir.path(), "run", "1");
    let here =
        ["--train", "20", "--test", "3", "--chains", "4", "--temperatures", "10,1,0.1", "--descent-steps", "300"];
    let descend = |more: &[&str]| featherm(dir.path(), &[&["descend"], &here[..], more].concat());
    let files = |name: &str| {
        let mut names: Vec<_> = fs::read_dir(dir.path().join(name))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    };

    let output = descend(&["--width", "5", "--out", "alone"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("page: alone/descent.html\n"));
    assert_eq!(files("alone"), ["descent.html", "descent.json", "descent.png", "descent.svg"]);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("alone/descent.json")).unwrap()).unwrap();
    assert_eq!(json["schema"], "featherm.descent/1");
    let svg = |name: &str| fs::read_to_string(dir.path().join(name).join("descent.svg")).unwrap();
    well_formed(&svg("alone")).unwrap();
    // What is read in the legend: the style sheet names every theory in any case.
    let labels = |name: &str| -> Vec<String> {
        let svg = svg(name);
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        parsed
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|n| n.text().map(String::from))
            .collect()
    };
    let shows = |name: &str, label: &str| labels(name).iter().any(|shown| shown == label);
    assert!(svg("alone").contains("adaptive"), "the style sheet does not tell");
    for (label, shown) in [
        ("gradient descent", true),
        ("nngp", true),
        ("saddle", true),
        ("single-unit", false),
        ("adaptive", false),
        ("sampled in equilibrium", false),
    ] {
        assert_eq!(shows("alone", label), shown, "{label}");
    }

    let output = descend(&["--width", "5", "--out", "both", "--run", "run", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(dir.path().join("both/descent.json")).unwrap() == output.stdout, "the same document");
    for label in ["gradient descent", "sampled in equilibrium", "nngp", "saddle"] {
        assert!(shows("both", label), "{label}");
    }
    assert!(!shows("both", "adaptive"));
    well_formed(&svg("both")).unwrap();
    // One marker and its note for every temperature of the run.
    assert_eq!(svg("both").matches("<title>T = ").count(), 3);

    // The theories asked for and no other.
    let asked = ["--width", "5", "--temperatures", "10,1", "--theories", "nngp,adaptive", "--out", "asked"];
    let small = ["--train", "20", "--test", "3", "--chains", "4", "--descent-steps", "300"];
    let output = featherm(dir.path(), &[&["descend"], &small[..], &asked].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (label, shown) in [("gradient descent", true), ("nngp", true), ("saddle", false), ("adaptive", true)] {
        assert_eq!(shows("asked", label), shown, "{label}");
    }
    well_formed(&svg("asked")).unwrap();
    assert_eq!(svg("asked").matches("<title>adaptive, T = ").count(), 2);
    let page = fs::read_to_string(dir.path().join("asked/descent.html")).unwrap();
    assert!(page.contains("D² is largest inside the path in "), "the caption says whether it inverts");

    let refused = |more: &[&str], message: &str, code: i32| {
        let output = descend(more);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && text.contains(message), "{more:?}: {text}");
        assert!(!dir.path().join("none").exists(), "{more:?} leaves something");
    };
    refused(&["--width", "6", "--out", "none", "--run", "run"], "network.width is 5 there and 6 here", 2);
    let seed = ["--width", "5", "--seed", "2", "--out", "none", "--run", "run"];
    refused(&seed, "sampler.seed is 1 there and 2 here", 2);
    refused(&["--width", "5", "--out", "none", "--run", "absent"], "absent", 2);
    refused(&["--width", "5", "--out", "both"], "is taken", 2);
    refused(&["--width", "5", "--run", "run"], "--out", 2);
    refused(&["--width", "5", "--out", "none", "--learning-rate", "1"], "descent is unstable", 1);
}

#[test]
fn runs_are_laid_over_each_other() {
    let dir = TempDir::new().unwrap();
    run_in(dir.path(), "one", "1");
    run_in(dir.path(), "two", "2");
    let output = featherm(dir.path(), &["report", "one", "two"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "report: report-overlay.html\n");
    let page = fs::read_to_string(dir.path().join("report-overlay.html")).unwrap();
    for part in
        ["one: single-unit", "two: single-unit", "<th>sampler.seed</th><td>1</td><td>2</td>", "one − two", "z = "]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN") && !page.contains("output.dir"));
    assert!(featherm(dir.path(), &["report", "one", "two"]).status.success(), "an earlier comparison is replaced");

    let report = dir.path().join("one/report.html");
    let before = fs::read(&report).unwrap();
    for taken in ["one/report.html", "one"] {
        let output = featherm(dir.path(), &["report", "one", "two", "--out", taken]);
        assert_eq!(output.status.code(), Some(2), "{taken}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no comparison page"));
    }
    assert!(fs::read(&report).unwrap() == before, "nothing else is overwritten");
    assert_eq!(featherm(dir.path(), &["report", "one", "--out", "x.html"]).status.code(), Some(2));
    assert_eq!(featherm(dir.path(), &["report", "one", "absent"]).status.code(), Some(2));
}
