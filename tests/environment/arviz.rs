//! The draws of a run in ArviZ: opened without a warning, its diagnostics equal to ours, and the
//! README's lines of Python as they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Need, Test, Trials};

/// What the checks import.
const PROBE: &str =
    "import arviz, matplotlib, pandas, zarr; assert tuple(map(int, arviz.__version__.split('.')[:2])) >= (1, 3)";

/// Adds the tests of the draws.
pub fn add(trials: &mut Trials) {
    let python = std::env::var_os("FEATHERM_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let there = Command::new(&python).args(["-c", PROBE]).output().is_ok_and(|output| output.status.success());
    let what = "Python with ArviZ 1.3, zarr, pandas and matplotlib (FEATHERM_PYTHON names one)";
    let mut group = trials.group("arviz", &Need { what, variable: "FEATHERM_REQUIRE_ARVIZ", there });
    type Body = fn(&Path) -> Test;
    let tests: [(&str, Body); 3] = [
        ("a_run_opens_in_arviz_with_the_diagnostics_that_it_reports", agrees),
        ("numbers_that_are_not_those_of_the_draws_are_caught", perturbed_numbers_are_caught),
        ("the_lines_in_the_readme_plot_a_run", readme),
    ];
    for (name, test) in tests {
        let python = python.clone();
        group.slow(name, move || test(&python));
    }
}

/// A directory with a small run in `runs/quick-1`, and that.
fn run(more: &[&str]) -> Result<(TempDir, PathBuf), Failed> {
    let place = TempDir::new()?;
    let arguments = "run --train 20 --width 10 --test 3 --temperatures 1,0.2,0.05 --chains 8 --warmup 60 --draws 120 \
                     --tempering true --seed 5 --backend cpu --out runs/quick-1";
    let output = Command::new(assert_cmd::cargo::cargo_bin!("featherm"))
        .args(arguments.split_whitespace())
        .args(more)
        .current_dir(place.path())
        .output()?;
    demand(&output)?;
    let dir = place.path().join("runs/quick-1");
    Ok((place, dir))
}

fn demand(output: &Output) -> Test {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", text(&output.stdout), text(&output.stderr)).into())
}

fn check(python: &Path, dir: &Path) -> Result<Output, Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/environment/arviz_check.py");
    Ok(Command::new(python).arg(script).arg(dir).output()?)
}

fn agrees(python: &Path) -> Test {
    // Two classes, whose radii are one array, with the warm-up; and three, each with names of its
    // own.
    for more in [&["--save-warmup"][..], &["--classes", "0,6/1", "--theories", "nngp,saddle"]] {
        let (_place, dir) = run(more)?;
        let output = check(python, &dir)?;
        demand(&output)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let warm_up = more.contains(&"--save-warmup");
        if said.contains("/warmup_posterior") != warm_up || said.contains("/warmup_sample_stats") != warm_up {
            return Err(said.into());
        }
    }
    Ok(())
}

/// The comparison sees a millionth.
fn perturbed_numbers_are_caught(python: &Path) -> Test {
    let (_place, dir) = run(&[])?;
    let path = dir.join("report.json");
    let report: Value = serde_json::from_slice(&fs::read(&path)?)?;
    for field in ["mean", "mcse", "ess", "ess_tail", "rhat"] {
        let mut changed = report.clone();
        let number = &mut changed["temperatures"][1]["observables"]["train_loss"][field];
        *number = (number.as_f64().ok_or("no number")? * (1.0 + 1e-6)).into();
        fs::write(&path, serde_json::to_vec(&changed)?)?;
        let output = check(python, &dir)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() || !said.contains(&format!("train_loss at T = 0.2: {field}")) {
            return Err(format!("{field} was changed, and the check said: {said}").into());
        }
    }
    Ok(())
}

/// The block of Python in the README, run where it would be.
fn readme(python: &Path) -> Test {
    let (place, _) = run(&[])?;
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))?;
    let block =
        text.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).ok_or("no block of Python")?;
    let output = Command::new(python)
        .args(["-W", "error::UserWarning", "-W", "error::RuntimeWarning", "-c", block])
        .env("MPLBACKEND", "Agg")
        .current_dir(place.path())
        .output()?;
    demand(&output)?;
    let image = fs::read(place.path().join("distance.png"))?;
    if image.starts_with(b"\x89PNG") && image.len() > 5000 { Ok(()) } else { Err("no picture".into()) }
}
