//! Runs that are killed, interrupted, cut off by a full disk or damaged on disk, and taken up
//! again: to the same bits, or refused with one message.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::common::long;
use crate::common::resume::{
    RUN, await_file, await_replacements, checkpoint, completed, featherm, interrupted_among_its_draws, output, result,
    signal, stderr, survive, with,
};
use featherm::numerics::noise::{Address, Purpose};
use rand::RngExt;
use rand::distr::Uniform;
use serde_json::Value;
use tempfile::TempDir;

/// Samplers and shapes that carry different things along.
fn cases() -> [Vec<&'static str>; 4] {
    [
        RUN.to_vec(),
        with(&[("--sampler", "hmc"), ("--readout", "sampled"), ("--precision", "f64")]),
        with(&[("--sampler", "ula"), ("--step-size", "0.01"), ("--tempering", "false")]),
        with(&[("--sampler", "baoab"), ("--activation", "relu"), ("--data", "teacher:linear")]),
    ]
}

/// What a run of [`RUN`] that was left alone gives.
static REFERENCE: LazyLock<(Value, Vec<u8>)> = LazyLock::new(|| result(completed(&RUN).path()));

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let killed = survive(&RUN, 4, 350, 0, &REFERENCE);
    assert!(killed > 0, "it was never killed");
}

/// The same with every sampler, at many moments.
#[test]
#[ignore = "slow: some two hundred processes"]
fn a_run_killed_at_any_moment_goes_on_to_the_same_bits() {
    let rounds = if long() { 8 } else { 3 };
    let mut killed = 0;
    for (case, arguments) in (0..).zip(cases()) {
        let reference = result(completed(&arguments).path());
        for round in 1..=rounds {
            killed += survive(&arguments, 6, 500, 100 * round + case, &reference);
        }
    }
    assert!(killed > 7 * rounds as usize, "{killed} kills");
}

/// When checkpoints are written leaves no trace in the result.
#[test]
fn checkpoints_change_no_bit() {
    let often = &*REFERENCE;
    let (mut never, arrays) = result(completed(&with(&[("--checkpoint-every", "0")])).path());
    never["config"]["output"]["checkpoint_every"] = often.0["config"]["output"]["checkpoint_every"].clone();
    assert!(*often == (never, arrays));
    let other = result(completed(&with(&[("--seed", "4")])).path());
    assert!(often.1 != other.1, "another seed is seen in the arrays");
}

/// A run directory as a kill after at least one checkpoint leaves it.
fn killed() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut child = featherm(dir.path(), &with(&[("--draws", "100000")])).spawn().unwrap();
    await_replacements(&checkpoint(dir.path()), 10);
    signal(&child, "-KILL");
    child.wait().unwrap();
    // What a kill in the middle of writing leaves beside it.
    fs::write(dir.path().join("run/.checkpoint.partial"), "half").unwrap();
    for half in [".draws.zarr.partial", ".draws.zarr.replaced"] {
        fs::create_dir_all(dir.path().join("run").join(half).join("posterior")).unwrap();
    }
    shorten(dir.path());
    dir
}

/// Plans fewer draws, so that resuming takes no time, but more than were taken.
fn shorten(cwd: &Path) {
    let path = cwd.join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("draws = 100000", "draws = 1500")).unwrap();
}

/// Exit code 2, one line that names the file, and not a byte changed.
fn assert_refused(cwd: &Path, named: &str) {
    let before = (fs::read(checkpoint(cwd)).unwrap(), fs::read_dir(cwd.join("run")).unwrap().count());
    let refused = output(cwd, &["resume", "run"]);
    let message = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{named}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(message.contains("run/checkpoint") && message.contains(named), "{named}: {message}");
    assert!(refused.stdout.is_empty());
    let after = fs::read_dir(cwd.join("run"))
        .unwrap()
        .filter(|e| !e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".partial"));
    assert!(after.count() <= before.1 && fs::read(checkpoint(cwd)).unwrap() == before.0);
}

/// The checkpoint with one edit of its text, and a checksum that fits again.
fn forge(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    let mut forged = bytes.to_vec();
    forged[at..at + to.len()].copy_from_slice(to.as_bytes());
    seal(forged)
}

/// Head: 20 bytes of magic, 4 of format, 8 of length, then the checksum of all else.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..32]);
    hasher.update(&bytes[36..]);
    bytes[32..36].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let dir = killed();
    let path = checkpoint(dir.path());
    let good = fs::read(&path).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut wrong_format = good.clone();
    wrong_format[20] ^= 2;
    let mut endless = good.clone();
    endless[24..32].fill(0xff);
    let threads = format!("{} thread", rayon::current_num_threads());
    let others = format!("{} thread", (rayon::current_num_threads() + 1) % 10);
    let mut shorter = good[..good.len() - 100].to_vec();
    let length = (shorter.len() - 36) as u64;
    shorter[24..32].copy_from_slice(&length.to_le_bytes());
    let cases: [(Vec<u8>, &str); 9] = [
        (forge(&good, version, &"9".repeat(version.len())), "written by featherm 999"),
        (forge(&good, "width = 10", "width = 11"), "another configuration: its run had `width = 11`"),
        (forge(&good, &threads, &others), "would go on on cpu"),
        (seal(wrong_format), "format"),
        (seal(endless), "length"),
        (Vec::new(), "cut short"),
        (b"[network]\nwidth = 3\nand so on and so forth".to_vec(), "not a checkpoint"),
        (good[..good.len() - 1].to_vec(), "length"),
        // Whole by its checksum and yet not a state.
        (seal(shorter), "not the state of this run"),
    ];
    for (bytes, named) in cases {
        fs::write(&path, bytes).unwrap();
        assert_refused(dir.path(), named);
    }
    fs::write(&path, &good).unwrap();
    let resumed = output(dir.path(), &["resume", "run"]);
    assert!(resumed.status.success(), "the control, an unspoilt one: {}", stderr(&resumed));
}

/// Data that changed under a run is noticed.
#[test]
fn other_data_is_refused() {
    let dir = TempDir::new().unwrap();
    let write = |shift: f64| {
        let mut npz = ndarray_npy::NpzWriter::new(fs::File::create(dir.path().join("data.npz")).unwrap());
        let x = ndarray::Array2::from_shape_fn((20, 5), |(i, j)| ((i * 7 + j * 13) % 11) as f64 + shift * i as f64);
        npz.add_array("x_train", &x).unwrap();
        npz.add_array("y_train", &ndarray::Array1::from_shape_fn(20, |i| if i % 2 == 0 { 1.0 } else { -1.0 })).unwrap();
        npz.finish().unwrap();
    };
    write(0.0);
    let mut arguments = with(&[("--data", "data.npz"), ("--test", "0"), ("--draws", "100000")]);
    arguments.retain(|a| !a.is_empty());
    let mut child = featherm(dir.path(), &arguments).spawn().unwrap();
    await_file(&checkpoint(dir.path()));
    signal(&child, "-KILL");
    child.wait().unwrap();
    shorten(dir.path());
    write(1e-9);
    assert_refused(dir.path(), "data");
    write(0.0);
    assert!(output(dir.path(), &["resume", "run"]).status.success());
}

/// Flipped bits and cuts at random places are all noticed; the reading is done by a process that
/// would show what it had loaded.
#[test]
fn damage_is_refused_wherever_it_is() {
    let dir = killed();
    let path = checkpoint(dir.path());
    let good = fs::read(&path).unwrap();
    let rng = Address { seed: 5, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Data }.rng();
    let places: Vec<usize> = rng.sample_iter(Uniform::new(0, good.len()).unwrap()).take(60).collect();
    // The head, where every byte has a meaning of its own, and anywhere.
    for at in (0..40).step_by(3).chain(places.iter().copied().take(25)) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, bad).unwrap();
        assert_refused(dir.path(), "remove this file");
    }
    for &end in &places[25..] {
        fs::write(&path, &good[..end]).unwrap();
        assert_refused(dir.path(), "remove this file");
    }
    // With nothing to go on from the run starts again.
    fs::remove_file(&path).unwrap();
    let again = output(dir.path(), &["resume", "run"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(stderr(&again).contains("starts again"));
    assert!(!dir.path().join("run/.checkpoint.partial").exists());
}

#[test]
fn one_directory_has_one_process() {
    let dir = TempDir::new().unwrap();
    let mut child = featherm(dir.path(), &with(&[("--draws", "100000")])).spawn().unwrap();
    await_file(&checkpoint(dir.path()));
    let second = output(dir.path(), &["resume", "run"]);
    assert_eq!(second.status.code(), Some(2), "{}", stderr(&second));
    assert!(stderr(&second).contains("in use"), "{}", stderr(&second));
    assert_eq!(output(dir.path(), &RUN).status.code(), Some(2), "nor is it an empty one");
    signal(&child, "-KILL");
    child.wait().unwrap();
    shorten(dir.path());
    let third = output(dir.path(), &["resume", "run"]);
    assert!(third.status.success(), "the lock went with its process: {}", stderr(&third));
}

#[test]
fn a_finished_run_says_so_and_can_be_extended() {
    let dir = completed(&with(&[("--draws", "100")]));
    let before = result(dir.path());
    let again = output(dir.path(), &["resume", "run"]);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stdout).contains("finished"));
    assert!(result(dir.path()) == before);
    for wish in ["60", "+x", "-3", "x"] {
        let refused = output(dir.path(), &["resume", "run", "--draws", wish]);
        assert_eq!(refused.status.code(), Some(2), "{wish}");
        assert!(stderr(&refused).contains("--draws"), "{}", stderr(&refused));
    }
    // The batches of predictions of 100, 133 and 700 draws hold 4, 4 and 32.
    for wish in ["+33", "700"] {
        let extended = output(dir.path(), &["resume", "run", "--draws", wish]);
        assert!(extended.status.success(), "{}", stderr(&extended));
    }
    assert!(result(dir.path()) == *REFERENCE, "an extended run is one that was planned so");
    assert!(before != *REFERENCE);
}

/// Ctrl-C and SIGTERM end with exit code 3 and a report, and the run goes on to what it would have
/// been.
#[test]
fn an_interrupted_run_goes_on() {
    let reference = result(completed(&with(&[("--draws", "1200")])).path());
    for name in ["-INT", "-TERM"] {
        // No checkpoint but the one that the interruption leaves.
        let arguments = with(&[("--draws", "1200"), ("--checkpoint-every", "0")]);
        let (dir, interrupted) = interrupted_among_its_draws(&arguments, name);
        assert!(stderr(&interrupted).contains("featherm resume run"), "{}", stderr(&interrupted));
        let (partial, _) = result(dir.path());
        assert_eq!(partial["interrupted"], true);
        let resumed = output(dir.path(), &["resume", "run"]);
        assert!(resumed.status.success(), "{}", stderr(&resumed));
        let (mut report, arrays) = result(dir.path());
        report["config"]["output"]["checkpoint_every"] = reference.0["config"]["output"]["checkpoint_every"].clone();
        assert!((report, arrays) == reference, "{name}");
    }
}

/// Interrupted in its warm-up a run has nothing to report, and goes on nevertheless.
#[test]
fn an_interrupted_warm_up_goes_on() {
    let arguments = with(&[("--warmup", "1500"), ("--draws", "20")]);
    let reference = result(completed(&arguments).path());
    let dir = TempDir::new().unwrap();
    let child = featherm(dir.path(), &arguments).spawn().unwrap();
    await_file(&checkpoint(dir.path()));
    signal(&child, "-INT");
    let interrupted = child.wait_with_output().unwrap();
    assert_eq!(interrupted.status.code(), Some(3), "{}", stderr(&interrupted));
    assert!(!dir.path().join("run/report.json").exists());
    assert!(stderr(&interrupted).contains("featherm resume run"), "{}", stderr(&interrupted));
    assert!(output(dir.path(), &["resume", "run"]).status.success());
    assert!(result(dir.path()) == reference);
}

/// A disk that is full ends the run with one message, and what was kept before is good. A limit on
/// the size of files stands for the disk: what exceeds it fails in the same call.
#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let arguments = with(&[("--draws", "1500")]);
    let reference = result(completed(&arguments).path());
    let dir = TempDir::new().unwrap();
    // 2000 KiB hold the warm-up and the first draws, and not the last.
    let script = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"";
    let full = std::process::Command::new("sh")
        .args(["-c", script, assert_cmd::cargo::cargo_bin!("featherm").to_str().unwrap()])
        .args(&arguments)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", stderr(&full));
    let message = stderr(&full);
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(message.contains("checkpoint") && message.contains("featherm resume run"), "{message}");
    assert!(checkpoint(dir.path()).exists() && !dir.path().join("run/.checkpoint.partial").exists());
    let resumed = output(dir.path(), &["resume", "run"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(result(dir.path()) == reference);
}

#[test]
fn what_is_no_run_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    for name in ["empty", "absent"] {
        let refused = output(dir.path(), &["resume", name]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(name) && stderr(&refused).contains("config.toml"));
    }
    assert_eq!(fs::read_dir(dir.path().join("empty")).unwrap().count(), 0);
    let refused = output(dir.path(), &with(&[("--checkpoint-every", "-1")]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("checkpoint_every = -1"), "{}", stderr(&refused));
}
