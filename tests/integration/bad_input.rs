//! Bad input of every kind: exit code 2, one line on stderr that names it, nothing on stdout and
//! nothing changed on disk.
//!
//! Every row is run by the program itself in a directory of its own.
//! `cargo test --release --test integration bad_input -- --nocapture` prints every message beside
//! its arguments.

mod files;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use files::{Content, idx, npy, npz, put, snapshot};
use tempfile::TempDir;

/// Arguments, what lies in the working directory, and what the message must say (in small letters).
struct Row {
    arguments: &'static [&'static str],
    files: Vec<(&'static str, Content)>,
    words: &'static [&'static str],
}

fn row(arguments: &'static [&'static str], words: &'static [&'static str]) -> Row {
    with(arguments, Vec::new(), words)
}

fn with(
    arguments: &'static [&'static str],
    files: Vec<(&'static str, Content)>,
    words: &'static [&'static str],
) -> Row {
    Row { arguments, files, words }
}

/// Nothing refused takes longer: a header that lies or a gzip that inflates without end would.
const PATIENCE: Duration = Duration::from_secs(20);

fn check(rows: Vec<Row>) {
    let mut failures = Vec::new();
    for Row { arguments, files, words } in rows {
        let dir = TempDir::new().unwrap();
        for (path, content) in &files {
            put(&dir.path().join(path), content);
        }
        let before = snapshot(dir.path());
        let begun = Instant::now();
        let output = Command::new(assert_cmd::cargo::cargo_bin!("featherm"))
            .args(arguments)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .env("HOME", dir.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("FEATHERM_DATA")
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{arguments:?}\n    {}", message.trim_end());
        let mut fault = |what: String| failures.push(format!("{arguments:?}: {what}\n    {}", message.trim_end()));
        if output.status.code() != Some(2) {
            fault(format!("ended with {:?}", output.status));
        }
        if message.trim_end().lines().count() != 1
            || message.len() > 600
            || message.contains(|c: char| c.is_control() && c != '\n')
        {
            fault("the message is not one line of at most 600 bytes".into());
        }
        let small = message.to_lowercase();
        words.iter().filter(|word| !small.contains(*word)).for_each(|word| fault(format!("does not say {word:?}")));
        if !output.stdout.is_empty() {
            fault("something was printed".into());
        }
        if snapshot(dir.path()) != before {
            fault("files were changed".into());
        }
        if begun.elapsed() > PATIENCE {
            fault(format!("took {:?}", begun.elapsed()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn flags() {
    check(vec![
        row(&["--no-such-flag"], &["--no-such-flag"]),
        row(&["frobnicate"], &["frobnicate"]),
        row(&["--temperatures", "0"], &["temperatures = 0", "between"]),
        row(&["--temperatures", "-1"], &["temperatures = -1"]),
        row(&["--temperatures", "NaN"], &["temperatures = nan"]),
        row(&["--temperatures", "1,inf"], &["temperatures = inf"]),
        row(&["--temperatures", "1,1e-300"], &["temperatures = 1e-300"]),
        row(&["--temperatures", "1,x"], &["temperatures", "'x'"]),
        row(&["--temperatures", "1,1"], &["temperatures = 1", "named once"]),
        row(&["--temperatures", ""], &["--temperatures"]),
        row(&["--temperatures"], &["--temperatures"]),
        row(&["--temperatures", "1", "--temperature-range", "1:2:3"], &["--temperature-range", "cannot be used with"]),
        row(&["--temperature-range", "1:2"], &["lo:hi:count"]),
        row(&["--temperature-range", "0:1:3"], &["\"0:1:3\"", "positive"]),
        row(&["--temperature-range", "1:inf:3"], &["\"1:inf:3\"", "positive"]),
        row(&["--temperature-range", "1:1:3"], &["temperature", "named once"]),
        row(&["--temperature-range", "1:2:1000000000000"], &["count lies between"]),
        row(&["--temperature-range", "1:2:-3"], &["count is a whole number"]),
        row(&["--width", "0"], &["width = 0"]),
        row(&["--width", "-3"], &["--width", "-3"]),
        row(&["--width", "many"], &["--width", "many"]),
        row(&["--width", "99999999999999999999"], &["--width"]),
        row(&["--chains", "0"], &["chains = 0"]),
        row(&["--draws", "1"], &["draws = 1"]),
        row(&["--warmup", "1000000000"], &["warmup = 1000000000"]),
        row(&["--steps", "0"], &["steps = 0"]),
        row(&["--lambda0", "0"], &["lambda0 = 0", "positive"]),
        row(&["--lambda1", "inf"], &["lambda1 = inf", "finite"]),
        row(&["--step-size", "-1"], &["step_size = -1"]),
        row(&["--sampler", "ula"], &["step-size", "missing"]),
        row(&["--sampler", "ula", "--step-size", "9"], &["step_size = 9", "2/(tλ)"]),
        row(&["--sampler", "gibbs"], &["--sampler", "gibbs", "malt"]),
        row(&["--sampler", "baoab", "--readout", "integrated"], &["readout = integrated", "malt"]),
        row(&["--activation", "sine"], &["--activation", "sine", "erf"]),
        row(&["--theories", "nngp,oracle"], &["--theories", "oracle", "saddle"]),
        row(&["--seed", "-1"], &["--seed", "-1"]),
        row(&["--seed", "1.5"], &["--seed", "1.5"]),
        row(&["--tempering", "perhaps"], &["--tempering", "perhaps"]),
        row(&["--precision", "f16-matrix", "--backend", "cpu"], &["precision = f16-matrix", "--backend gpu"]),
        row(&["--precision", "f16-matrix"], &["precision = f16-matrix", "--backend gpu"]),
        row(
            &["--precision", "f16-matrix", "--backend", "gpu", "--sampler", "ula", "--step-size", "0.01"],
            &["precision = f16-matrix", "malt"],
        ),
        row(&["--precision", "f64", "--backend", "gpu"], &["precision = f64", "--backend cpu"]),
        row(&["--checkpoint-every", "-1"], &["checkpoint_every = -1", "seconds"]),
        row(&["--checkpoint-every", "NaN"], &["checkpoint_every = nan", "seconds"]),
        row(&["--preset", "slow"], &["'slow'", "quick"]),
        row(&["--preset", "quick", "--config", "c.toml"], &["--config", "--preset"]),
        row(&["--backend", "cpu", "--chains", "100000", "--width", "100000"], &["mib"]),
    ]);
}

#[test]
fn other_commands() {
    const SMALL: &str = "20";
    check(vec![
        row(&["theory", "--temperatures", "0"], &["temperatures = 0"]),
        row(&["theory", "--chains", "5"], &["--chains"]),
        row(&["theory", "--json", "--data", "no-such-set"], &["no-such-set"]),
        row(&["theory", "--theories", "mean-field"], &["mean-field", "saddle"]),
        row(&["scaling"], &["--widths"]),
        row(&["scaling", "--train", SMALL, "--widths", "5,10"], &["three different widths"]),
        row(&["scaling", "--train", SMALL, "--widths", "5,5,5"], &["three different widths"]),
        row(&["scaling", "--train", SMALL, "--widths", "5,10,x"], &["'x'", "--widths"]),
        row(&["scaling", "--train", SMALL, "--widths", "0,5,10"], &["widths = 0,5,10", "none of them zero"]),
        row(&["scaling", "--train", SMALL, "--widths", "5,10,-20"], &["--widths", "-20"]),
        row(&["scaling", "--train", SMALL, "--widths", "5,10,20", "--hold", "load-and-dimension"], &["teacher"]),
        row(
            &["scaling", "--train", SMALL, "--widths", "5,10,2000", "--hold", "load", "--width", "5"],
            &["lower --train"],
        ),
        row(&["scaling", "--train", SMALL, "--widths", "5,10,20", "--hold", "breath"], &["breath", "load"]),
        row(&["descend", "--train", SMALL, "--learning-rate", "-1"], &["learning-rate = -1"]),
        row(&["descend", "--train", SMALL, "--learning-rate", "NaN"], &["learning-rate = nan"]),
        row(&["descend", "--train", SMALL, "--descent-steps", "0"], &["--descent-steps"]),
        row(&["descend", "--train", SMALL, "--records", "1"], &["--records"]),
        row(&["descend", "--train", SMALL, "--records", "-1"], &["--records", "-1"]),
        row(&["bench", "--case", "gigantic"], &["gigantic", "images"]),
        row(&["bench", "--rounds", "0"], &["rounds", "0"]),
        row(&["bench", "--train", SMALL, "--width", "0"], &["width = 0"]),
        row(&["bench", "--tune", "--train", SMALL, "--backend", "cpu"], &["--tune", "--backend gpu"]),
        row(&["bench", "speed"], &["speed"]),
        row(&["bench", "bias", "--chains", "0"], &["chains = 0"]),
        row(&["data"], &["subcommand", "fetch"]),
        row(&["data", "info"], &["<name>"]),
        row(&["data", "info", "imagenet"], &["imagenet", "cifar-10"]),
        row(&["data", "fetch", "digits"], &["digits", "fashion-mnist"]),
        row(&["run", "--progress", "loud"], &["--progress", "loud", "json"]),
        row(&["devices", "all"], &["all"]),
        row(&["doctor", "--fast"], &["--fast"]),
        row(&["report"], &["<dir>"]),
        row(&["resume"], &["<dir>"]),
    ]);
}

/// A settings file and what its refusal says; the file is `c.toml` and the message names it where
/// the parser refuses.
#[test]
fn settings_files() {
    let file = |content: Content, words| with(&["run", "--config", "c.toml"], vec![("c.toml", content)], words);
    let text = |text: &'static str, words| file(Content::Text(text), words);
    check(vec![
        row(&["--config", "absent.toml"], &["absent.toml", "give a toml file"]),
        text("[network]\nwidht = 3\n", &["c.toml line 2", "widht", "width"]),
        text("[sampler]\nchains = 3\n[smpler]\n", &["c.toml line 3", "smpler"]),
        text("[network]\nwidth = -3\n", &["c.toml line 2", "width", "-3"]),
        text("[network]\nwidth = \"wide\"\n", &["c.toml line 2", "width", "wide"]),
        text("[network]\nwidth = 3.5\n", &["c.toml line 2", "width", "3.5"]),
        text("[network]\nwidth = 99999999999999999999\n", &["c.toml line 2", "width"]),
        text("[network]\nwidth = 3\nwidth = 4\n", &["c.toml line 3", "width", "duplicate"]),
        text("[network]\nlambda0 = 1\n[network]\nlambda1 = 1\n", &["c.toml line 3", "network", "duplicate"]),
        text("[network\n", &["c.toml line 1"]),
        text("temperatures = 3\n", &["c.toml line 1", "temperature"]),
        text(
            "[temperature]\nvalues = []\n[data]\nsource = \"teacher:linear\"\ntrain = 9\n[network]\nwidth = 3\n",
            &["temperatures = 0 of them"],
        ),
        text(
            "[temperature]\nvalues = [1.0, nan]\n[data]\nsource = \"teacher:linear\"\ntrain = 9\n[network]\nwidth = 3\n",
            &["temperatures = nan"],
        ),
        text(
            "[temperature]\nvalues = [1.0]\nrange = \"1:2:3\"\n[data]\nsource = \"teacher:linear\"\ntrain = 9\n[network]\nwidth = 3\n",
            &["not both"],
        ),
        text("[theory]\nkinds = [\"oracle\"]\n", &["c.toml line 2", "oracle", "saddle"]),
        text("[data]\nsource = \"digits\"\n", &["classes", "--classes 2,4"]),
        text("[data]\nsource = \"\"\n", &["data", "--data"]),
        text("[data]\nsource = \"digits\\u0007\\nx\"\nclasses = \"1,2\"\n", &["unknown data source"]),
        text("", &["data is missing", "--data"]),
        text("\u{feff}[network]\nwidht = 3\n", &["c.toml line 2", "widht"]),
        text("[network]\n\u{1b}[31mwidth = 3\n", &["c.toml line 2"]),
        file(Content::Bytes(b"[network]\nwidth = 3 # \xff\xfe\n".to_vec()), &["c.toml", "utf-8"]),
        file(Content::Bytes(b"\xff\xfe[\0n\0]\0".to_vec()), &["c.toml", "utf-8"]),
        file(
            Content::Bytes([b"[network]\nwidth = ".to_vec(), vec![b'9'; 100_000], b"\n".to_vec()].concat()),
            &["c.toml line 2"],
        ),
        file(Content::Bytes([b"x = ".to_vec(), vec![b'['; 100_000]].concat()), &["c.toml"]),
        file(Content::Directory, &["c.toml", "give a toml file"]),
    ]);
}

#[test]
fn sources() {
    const PICK: [&str; 4] = ["--classes", "1,2", "--train", "3"];
    macro_rules! from {
        ($source:literal) => {
            &[
                "--data",
                $source,
                PICK[0],
                PICK[1],
                PICK[2],
                PICK[3],
                "--test",
                "1",
                "--width",
                "3",
                "--temperatures",
                "1",
            ]
        };
    }
    let images = || idx(&[4, 1, 2], &[1, 2, 3, 4, 5, 6, 7, 8]);
    let labels = || idx(&[4], &[1, 2, 1, 3]);
    // A whole folder, of which one file is spoilt.
    let folder = |spoilt: &'static str, bytes: Vec<u8>, words| {
        let mut files = vec![
            ("d/train-images-idx3-ubyte", Content::Bytes(images())),
            ("d/train-labels-idx1-ubyte", Content::Bytes(labels())),
            ("d/t10k-images-idx3-ubyte", Content::Bytes(images())),
            ("d/t10k-labels-idx1-ubyte", Content::Bytes(labels())),
        ];
        files
            .iter_mut()
            .filter(|(name, _)| *name == spoilt)
            .for_each(|(_, content)| *content = Content::Bytes(bytes.clone()));
        with(from!("d"), files, words)
    };
    let cifar = |first: Vec<u8>, words| {
        let mut files = vec![("d/data_batch_1.bin", Content::Bytes(first))];
        for name in
            ["d/data_batch_2.bin", "d/data_batch_3.bin", "d/data_batch_4.bin", "d/data_batch_5.bin", "d/test_batch.bin"]
        {
            files.push((name, Content::Bytes(files::record(1))));
        }
        with(from!("d"), files, words)
    };
    check(vec![
        row(&["--data", "no-such-set"], &["unknown data source `no-such-set`", "fashion-mnist"]),
        row(&["--data", "no-such-set", "--classes", "1,2", "--train", "5"], &["no-such-set"]),
        row(&["--data", "mnist", "--train", "5"], &["classes", "missing"]),
        row(from!("mnist"), &["no files of mnist", "featherm/mnist", "train-images-idx3-ubyte.gz"]),
        row(from!("cifar-10"), &["no files of cifar-10", "featherm/cifar-10", "cifar-10-binary.tar.gz"]),
        row(&["--train", "100000"], &["100000 were asked for", "lower --train to "]),
        row(&["--test", "100000"], &["100000 were asked for", "lower --test to "]),
        row(&["--train", "0"], &["train = 0"]),
        row(&["--classes", "3,3"], &["classes = \"3,3\"", "twice"]),
        row(&["--classes", "3,11"], &["no class 11", "--classes"]),
        row(&["--classes", "3"], &["classes = \"3\"", "two labels"]),
        row(&["--classes", "a,b"], &["classes = \"a,b\"", "whole numbers"]),
        row(&["--classes", "1/2/3"], &["classes = \"1/2/3\"", "two groups"]),
        row(&["--classes", "1,99999999999"], &["classes = ", "whole numbers"]),
        row(&["--data", "teacher:oracle", "--train", "5"], &["teacher:oracle", "hermite"]),
        row(&["--data", "teacher:linear", "--train", "5", "--teacher-dimension", "0"], &["teacher_dimension = 0"]),
        row(&["--data", "teacher:linear", "--train", "5", "--teacher-noise", "NaN"], &["teacher_noise = nan"]),
        row(&["--data", "teacher:hermite", "--train", "5", "--teacher-degree", "500"], &["teacher:hermite", "degree"]),
        with(from!("d"), vec![("d", Content::Directory)], &["d: ", "neither", "name the folder"]),
        with(
            from!("notes.csv"),
            vec![("notes.csv", Content::Text("1,2\n"))],
            &["unknown data source `notes.csv`", ".npz"],
        ),
        folder(
            "d/train-images-idx3-ubyte",
            images()[..20].to_vec(),
            &["d/train-images", "ends after 4 of the 8 bytes"],
        ),
        folder("d/train-images-idx3-ubyte", vec![], &["d/train-images", "ends inside its header"]),
        folder("d/train-images-idx3-ubyte", labels(), &["d/train-images", "starts with the bytes"]),
        folder("d/train-images-idx3-ubyte", idx(&[u32::MAX; 3], &[1, 2]), &["d/train-images", "announces an array"]),
        folder(
            "d/train-images-idx3-ubyte",
            idx(&[u32::MAX, 1, 1], &[1, 2]),
            &["d/train-images", "ends after 2 of the 4294967295"],
        ),
        folder(
            "d/train-images-idx3-ubyte",
            files::gzip(&[images(), vec![0; 1 << 24]].concat()),
            &["d/train-images", "goes on after"],
        ),
        folder(
            "d/train-images-idx3-ubyte",
            files::gzip(&images())[..20].to_vec(),
            &["d/train-images", "ends inside its header"],
        ),
        folder("d/train-images-idx3-ubyte", vec![0x1f, 0x8b], &["d/train-images", "ends inside its header"]),
        folder("d/train-labels-idx1-ubyte", idx(&[3], &[1, 2, 1]), &["d/train-labels", "3 labels for the 4 images"]),
        folder("d/train-labels-idx1-ubyte", idx(&[4], &[1, 1, 3, 255]), &["no class 2", "1, 3, 255"]),
        folder("d/t10k-images-idx3-ubyte", idx(&[4, 2, 1], &[0; 8]), &["d/t10k-images", "2×1 pixels"]),
        folder("d/t10k-labels-idx1-ubyte", vec![0; 4], &["d/t10k-labels", "starts with the bytes"]),
        cifar(vec![7; 3072], &["d/data_batch_1.bin", "not a whole number of 3073-byte records"]),
        cifar(files::record(10), &["d/data_batch_1.bin", "label 10"]),
        with(
            from!("d"),
            vec![("d/data_batch_1.bin", Content::Bytes(files::record(1)))],
            &["data_batch_2.bin", "check that the file exists"],
        ),
    ]);
}

#[test]
fn archives() {
    const RUN: &[&str] = &["--data", "p.npz", "--width", "3", "--temperatures", "1"];
    let file = |content: Vec<u8>, words| with(RUN, vec![("p.npz", Content::Bytes(content))], words);
    let x = || npy("<f8", "(2, 2)", &files::f64s(&[1.0, 2.0, 3.0, 4.0]));
    let y = || npy("<f8", "(2,)", &files::f64s(&[1.0, -1.0]));
    let put = |arrays: &[(&str, Vec<u8>)]| npz(&[&[("x_train.npy", x()), ("y_train.npy", y())], arrays].concat());
    let instead = |name: &str, array: Vec<u8>| {
        let arrays = [("x_train.npy", x()), ("y_train.npy", y())];
        npz(&arrays.map(|(n, bytes)| (n, if n == name { array.clone() } else { bytes })))
    };
    let whole = put(&[]);
    check(vec![
        row(RUN, &["p.npz", "check that the file exists"]),
        with(RUN, vec![("p.npz", Content::Directory)], &["p.npz"]),
        with(RUN, vec![("p.npz", Content::Text("x,y\n1,2\n"))], &["p.npz", "no npz archive", "numpy.savez"]),
        file(vec![], &["p.npz", "no npz archive"]),
        file(whole[..whole.len() / 2].to_vec(), &["p.npz", "no npz archive"]),
        file(npz(&[("x_train.npy", x())]), &["p.npz", "no y_train", "x_train"]),
        file(npz(&[("../x_train.npy", x()), ("/y_train.npy", y())]), &["p.npz", "no x_train"]),
        file(files::npz_link("x_train.npy", "/etc/passwd"), &["p.npz", "x_train has no numpy header"]),
        file(instead("x_train.npy", b"\x93NUMPY\x01".to_vec()), &["p.npz", "x_train has no numpy header"]),
        file(
            instead("x_train.npy", npy("<f8", "(2,)", &files::f64s(&[1.0, 2.0]))),
            &["x_train has shape [2]", "(p, n0)"],
        ),
        file(instead("x_train.npy", npy("<f8", "(0, 2)", &[])), &["x_train is empty"]),
        file(
            instead("x_train.npy", npy("<f8", "(99999999999, 99999999999)", &[])),
            &["x_train has shape", "along an axis"],
        ),
        file(
            instead("x_train.npy", npy("<f8", "(3, 2)", &files::f64s(&[1.0; 4]))),
            &["x_train has shape [3, 2]", "32 bytes"],
        ),
        file(instead("x_train.npy", npy("|O", "(2, 2)", &[0; 32])), &["x_train has type", "|o", "float64"]),
        file(instead("x_train.npy", npy("<c16", "(2, 2)", &[0; 64])), &["x_train has type", "<c16"]),
        file(instead("x_train.npy", npy("<U1", "(2, 2)", &[0; 16])), &["x_train has type", "<u1"]),
        file(
            instead("x_train.npy", npy("<f8", "(2, 2)", &files::f64s(&[1.0, f64::NAN, 3.0, 4.0]))),
            &["nan or infinity in x_train", "(0, 1)"],
        ),
        file(
            instead("y_train.npy", npy("<f8", "(2,)", &files::f64s(&[1.0, f64::INFINITY]))),
            &["nan or infinity in y_train"],
        ),
        file(
            instead("y_train.npy", npy("<f8", "(2, 1)", &files::f64s(&[1.0, 2.0]))),
            &["y_train has shape [2, 1]", "(p)"],
        ),
        file(
            instead("y_train.npy", npy("<f8", "(3,)", &files::f64s(&[1.0, 2.0, 3.0]))),
            &["y_train has 3 entries, x_train has 2 rows"],
        ),
        file(put(&[("x_test.npy", x())]), &["one of x_test and y_test"]),
        file(
            put(&[("x_test.npy", npy("<f8", "(2, 1)", &files::f64s(&[1.0, 2.0]))), ("y_test.npy", y())]),
            &["x_test has 1 columns"],
        ),
        file(put(&[("class_train.npy", npy("<i8", "(3,)", &[0; 24]))]), &["class_train has 3 entries"]),
        file(put(&[("class_train.npy", npy("<f8", "(2,)", &files::f64s(&[0.5, 1.0])))]), &["class_train holds 0.5"]),
        file(put(&[("class_test.npy", npy("<i8", "(0,)", &[]))]), &["class_test without class_train"]),
        with(
            &["--data", "p.npz", "--width", "3", "--temperatures", "1", "--train", "3"],
            vec![("p.npz", Content::Bytes(whole.clone()))],
            &["p.npz has 2 points", "lower --train"],
        ),
        with(
            &["--data", "p.npz", "--width", "3", "--temperatures", "1", "--classes", "1,2"],
            vec![("p.npz", Content::Bytes(whole.clone()))],
            &["classes = \"1,2\"", "p.npz brings its own labels"],
        ),
        with(
            &["--data", "p.npz", "--width", "3", "--temperatures", "1", "--standardize", "global"],
            vec![("p.npz", Content::Bytes(instead("x_train.npy", npy("<f8", "(2, 2)", &files::f64s(&[1.0; 4])))))],
            &["p.npz are equal", "--standardize none"],
        ),
    ]);
}

#[test]
fn output_directories() {
    const OUT: &[&str] = &["--train", "9", "--out", "used"];
    let mut rows = vec![
        with(OUT, vec![("used/thesis.tex", Content::Text("precious"))], &["used is taken", "--out"]),
        with(OUT, vec![("used", Content::Text("precious"))], &["used is taken", "--out"]),
        with(
            &["--train", "9", "--out", "used/below"],
            vec![("used", Content::Text("precious"))],
            &["used/below", "--out"],
        ),
        with(&["--dry-run", "--out", "used"], vec![("used/a", Content::Text("precious"))], &["used is taken", "--out"]),
        with(&["--train", "9"], vec![("runs", Content::Text("precious"))], &["runs", "writable"]),
        row(&["--train", "9", "--out", ""], &["--out"]),
    ];
    // Nobody, not even root, can create directories there.
    if Path::new("/proc/self").exists() {
        rows.push(row(&["--train", "9", "--out", "/proc/featherm"], &["/proc/featherm", "writable --out"]));
        rows.push(row(&["report", "/proc/self"], &["/proc/self/report.json"]));
    }
    check(rows);
}

#[test]
fn reports() {
    const REPORT: &[&str] = &["report", "r"];
    let file = |content: Content, words| with(REPORT, vec![("r/report.json", content)], words);
    let good = files::report();
    let edited = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        Content::Bytes(good.replacen(from, to, 1).into_bytes())
    };
    check(vec![
        row(&["report", "absent"], &["absent/report.json", "directory of a finished run"]),
        with(REPORT, vec![("r", Content::Directory)], &["r/report.json", "directory of a finished run"]),
        with(REPORT, vec![("r", Content::Text("{}"))], &["r/report.json", "directory of a finished run"]),
        file(Content::Directory, &["r/report.json"]),
        file(Content::Text(""), &["r/report.json", "not a report"]),
        file(Content::Text("{"), &["r/report.json", "not a report", "line 1"]),
        file(Content::Text("[1, 2]"), &["r/report.json", "not a report"]),
        file(Content::Text("{\"schema\":\"x\"}"), &["r/report.json", "not a report"]),
        file(Content::Bytes(b"\xff\xfe\0{".to_vec()), &["r/report.json", "not a report"]),
        file(Content::Bytes(vec![b'['; 100_000]), &["r/report.json", "not a report"]),
        file(Content::Bytes(good.as_bytes()[..good.len() / 2].to_vec()), &["r/report.json", "not a report"]),
        file(edited("featherm.report/1", "featherm.report/999"), &["r/report.json", "featherm.report/999"]),
        file(edited("\"temperatures\": [", "\"temperatures\": [7, "), &["r/report.json", "not a report"]),
        with(
            &["report", "r", "--out", "page.html"],
            vec![("r/report.json", edited("a", "a"))],
            &["--out page.html", "two directories"],
        ),
        with(&["report", "r", "s"], vec![("r/report.json", edited("a", "a"))], &["s/report.json"]),
        with(
            &["report", "r", "r", "--out", "page.html"],
            vec![("r/report.json", edited("a", "a")), ("page.html", Content::Text("precious"))],
            &["page.html", "no comparison page"],
        ),
        with(
            &["report", "r", "r", "--out", "r/report.json/page.html"],
            vec![("r/report.json", edited("a", "a"))],
            &["r/report.json/page.html", "--out"],
        ),
    ]);
}

#[test]
fn resumed_runs() {
    const RESUME: &[&str] = &["resume", "r"];
    const CONFIG: &str = "[data]\nsource = \"teacher:linear\"\ntrain = 9\n[network]\nwidth = 3\n[temperature]\nvalues = [1.0]\n\
                          [sampler]\nchains = 2\nwarmup = 4\ndraws = 20\nbackend = \"cpu\"\n";
    let config = |text: &'static str, words| {
        with(RESUME, vec![("r/config.toml", Content::Text(text)), ("r/.lock", Content::Text(""))], words)
    };
    let checkpoint = |content: Content, words| {
        let files =
            vec![("r/config.toml", Content::Text(CONFIG)), ("r/.lock", Content::Text("")), ("r/checkpoint", content)];
        with(RESUME, files, words)
    };
    let sealed = |payload: &[u8]| Content::Bytes(files::checkpoint(payload));
    check(vec![
        row(&["resume", "absent"], &["absent is not the directory of a run", "config.toml"]),
        with(RESUME, vec![("r", Content::Directory)], &["r is not the directory of a run"]),
        with(RESUME, vec![("r", Content::Text("x"))], &["r is not the directory of a run"]),
        config("[network\n", &["r/config.toml line 1"]),
        config("[network]\nwidth = 0\n", &["data is missing"]),
        with(
            RESUME,
            vec![("r/config.toml", Content::Bytes(vec![0xff])), ("r/.lock", Content::Text(""))],
            &["r/config.toml", "utf-8"],
        ),
        with(
            &["resume", "r", "--draws", "many"],
            vec![("r/config.toml", Content::Text(CONFIG)), ("r/.lock", Content::Text(""))],
            &["--draws many", "+n"],
        ),
        with(
            &["resume", "r", "--draws", "-5"],
            vec![("r/config.toml", Content::Text(CONFIG)), ("r/.lock", Content::Text(""))],
            &["--draws -5", "+n"],
        ),
        with(
            &["resume", "r", "--draws", "5"],
            vec![("r/config.toml", Content::Text(CONFIG)), ("r/.lock", Content::Text(""))],
            &["--draws 5", "20 draws"],
        ),
        with(
            &["resume", "r", "--draws", "+99999999999999999999"],
            vec![("r/config.toml", Content::Text(CONFIG)), ("r/.lock", Content::Text(""))],
            &["--draws +9", "+n"],
        ),
        with(
            &["resume", "r", "--draws", "+99999999"],
            vec![("r/config.toml", Content::Text(CONFIG)), ("r/.lock", Content::Text(""))],
            &["draws = 100000019"],
        ),
        checkpoint(Content::Text(""), &["r/checkpoint", "cut short", "remove this file"]),
        checkpoint(Content::Bytes(vec![7; 100]), &["r/checkpoint", "not a checkpoint", "remove this file"]),
        checkpoint(Content::Directory, &["r/checkpoint"]),
        checkpoint(sealed(&[]), &["r/checkpoint", "beginning makes no sense"]),
        checkpoint(sealed(&[0xff; 40]), &["r/checkpoint", "beginning makes no sense"]),
        checkpoint(sealed(b"\x050.0.0\0\0\0"), &["r/checkpoint", "featherm 0.0.0"]),
        checkpoint(
            Content::Bytes({
                let mut whole = files::checkpoint(&[1, 2, 3]);
                whole[37] ^= 1;
                whole
            }),
            &["r/checkpoint", "checksum"],
        ),
        checkpoint(
            Content::Bytes({
                let mut whole = files::checkpoint(&[1, 2, 3]);
                whole.pop();
                whole
            }),
            &["r/checkpoint", "length"],
        ),
    ]);
}

/// The check itself can fail: of a run that is fine, of a word that is not said, and of a file that
/// appears.
#[test]
fn a_row_that_does_not_hold_is_found() {
    let fails = |row: Row| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(vec![row]))).is_err();
    assert!(fails(row(&["--version"], &[])));
    assert!(fails(row(&["--width", "0"], &["never said"])));
    let dir = TempDir::new().unwrap();
    let before = snapshot(dir.path());
    fs::write(dir.path().join("new"), "").unwrap();
    assert_ne!(snapshot(dir.path()), before);
}

#[cfg(feature = "fetch")]
#[test]
fn mirrors() {
    check(vec![
        row(&["data", "fetch", "mnist", "--mirror", "ftp://example.org"], &["--mirror ftp://example.org", "https://"]),
        row(&["data", "fetch", "mnist", "--mirror", ""], &["--mirror", "https://"]),
        with(
            &["data", "fetch", "mnist", "--dir", "sets", "--mirror", "http://127.0.0.1:9"],
            vec![("sets", Content::Text("precious"))],
            &["sets/mnist", "writable folder", "--dir"],
        ),
        with(
            &["data", "fetch", "mnist", "--dir", "sets", "--mirror", "http://127.0.0.1:9"],
            vec![("sets/mnist/train-images-idx3-ubyte.gz", Content::Text("precious"))],
            &["is there", "440fcabf", "move it away"],
        ),
    ]);
}
