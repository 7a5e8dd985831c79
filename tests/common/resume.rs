//! Runs of the program that are killed and taken up again, held against one that was left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use featherm::numerics::noise::{Address, Purpose};
use rand::RngExt;
use rand::distr::Uniform;
use serde_json::Value;

/// A run small enough for a test that writes its checkpoint at every opportunity.
pub const RUN: [&str; 30] = [
    "run",
    "--train",
    "20",
    "--width",
    "10",
    "--test",
    "3",
    "--temperatures",
    "1,0.2,0.05",
    "--chains",
    "8",
    "--warmup",
    "200",
    "--draws",
    "700",
    "--tempering",
    "true",
    "--theories",
    "nngp,saddle",
    "--seed",
    "3",
    "--out",
    "run",
    "--checkpoint-every",
    "0.01",
    "--backend",
    "cpu",
    "--save-weights",
    "3",
    "--save-warmup",
];

/// The program in a working directory of its own: the path of the run directory is part of its
/// report.
pub fn featherm(cwd: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("featherm"));
    command.args(arguments).current_dir(cwd).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The store says when it was written, and this is how all of its bytes are held against
    // another's.
    command.env("SOURCE_DATE_EPOCH", "1764000000");
    command
}

pub fn output(cwd: &Path, arguments: &[&str]) -> Output {
    featherm(cwd, arguments).output().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `RUN` with some settings in place of its own.
pub fn with<'a>(settings: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut arguments: Vec<&str> = RUN.to_vec();
    for &(name, value) in settings {
        match arguments.iter().position(|a| *a == name) {
            Some(at) => arguments[at + 1] = value,
            None => arguments.extend([name, value]),
        }
    }
    arguments
}

/// A directory in which `arguments` ran to their end.
pub fn completed(arguments: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::TempDir::new().unwrap();
    let output = output(dir.path(), arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    dir
}

/// The report of the run in `cwd` without its timing, and the bytes of its arrays, its weights, its
/// table and every file of its store.
pub fn result(cwd: &Path) -> (Value, Vec<u8>) {
    let mut report: Value = serde_json::from_slice(&fs::read(cwd.join("run/report.json")).unwrap()).unwrap();
    let timing = report.as_object_mut().unwrap().remove("timing").unwrap();
    // Counts, unlike seconds, must agree too.
    report["gradients"] = timing["gradients"].clone();
    let mut bytes = Vec::new();
    append(&cwd.join("run/arrays.npz"), &mut bytes);
    append(&cwd.join("run/weights.npz"), &mut bytes);
    append(&cwd.join("run/table.csv"), &mut bytes);
    append(&cwd.join("run/draws.zarr"), &mut bytes);
    for entry in fs::read_dir(cwd.join("run")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".partial") && !name.ends_with(".replaced"), "{name} is left");
    }
    (report, bytes)
}

/// A file's bytes, or those of all that is below a directory, with the names.
fn append(path: &Path, bytes: &mut Vec<u8>) {
    bytes.extend(path.file_name().unwrap().as_encoded_bytes());
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| append(entry, bytes));
    } else {
        bytes.extend(fs::read(path).unwrap());
    }
}

pub fn checkpoint(cwd: &Path) -> PathBuf {
    cwd.join("run/checkpoint")
}

/// Sends a signal to a process that this test started.
pub fn signal(child: &Child, name: &str) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Waits until `path` exists; fails after a minute.
pub fn await_file(path: &Path) {
    for _ in 0..6000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} does not appear", path.display());
}

/// Waits until `path` has been replaced so many times; fails after a minute.
#[cfg(unix)]
pub fn await_replacements(path: &Path, times: usize) {
    use std::os::unix::fs::MetadataExt;

    let identity = || fs::metadata(path).ok().map(|file| (file.ino(), file.mtime(), file.mtime_nsec()));
    let (begun, mut last, mut seen) = (Instant::now(), identity(), 0);
    while seen < times {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} is not replaced", path.display());
        std::thread::sleep(Duration::from_millis(1));
        let now = identity();
        seen += usize::from(now.is_some() && now != last);
        last = now.or(last);
    }
}

/// Runs `arguments` in directories of their own and interrupts them later and later, until one has
/// been interrupted among its draws. What it left is in `run` of the returned directory.
pub fn interrupted_among_its_draws(arguments: &[&str], name: &str) -> (tempfile::TempDir, Output) {
    for delay_ms in (0..12).map(|doubling| 50 << doubling) {
        let dir = tempfile::TempDir::new().unwrap();
        let child = featherm(dir.path(), arguments).spawn().unwrap();
        await_file(&dir.path().join("run/config.toml"));
        std::thread::sleep(Duration::from_millis(delay_ms));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}: {}", stderr(&output));
        if dir.path().join("run/report.json").exists() {
            return (dir, output);
        }
    }
    panic!("{arguments:?} never came to its draws");
}

/// Runs `arguments`, kills the process after a random while, resumes it, kills it again and so on
/// up to `kills` times; then lets it end. The report and the arrays must be those of `reference`.
/// Returns the number of processes that were killed before their end.
pub fn survive(arguments: &[&str], kills: usize, longest_ms: usize, case: u32, reference: &(Value, Vec<u8>)) -> usize {
    let dir = tempfile::TempDir::new().unwrap();
    let rng = Address { seed: 11, chain: case, trajectory: 0, step: 0, purpose: Purpose::Data }.rng();
    let delays: Vec<usize> = rng.sample_iter(Uniform::new(0, longest_ms).unwrap()).take(kills).collect();
    let mut killed = 0;
    for &delay in &delays {
        // Before it has written its configuration there is nothing to resume: it is simply started
        // again.
        let begun = dir.path().join("run/config.toml").exists();
        let mut child = featherm(dir.path(), if begun { &["resume", "run"] } else { arguments })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay as u64));
        signal(&child, "-KILL");
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
    }
    let begun = dir.path().join("run/config.toml").exists();
    let last = output(dir.path(), if begun { &["resume", "run"] } else { arguments });
    assert!(last.status.success(), "case {case}, delays {delays:?} ms: {}", stderr(&last));
    let (report, arrays) = result(dir.path());
    assert!(report == reference.0, "case {case}, delays {delays:?} ms: the report differs");
    assert!(arrays == reference.1, "case {case}, delays {delays:?} ms: the arrays differ");
    killed
}
