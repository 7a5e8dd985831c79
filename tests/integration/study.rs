//! Several runs from one file: each in a directory of its own, bit for bit the run that it would be
//! alone, and resumable as one.

use std::fs;
use std::path::Path;

use crate::common::resume::{await_file, featherm, output, signal, stderr};
use serde_json::Value;

const STUDY: &str = r#"
[data]
source = "digits"
classes = "3,8"
train = 20
test = 4

[network]
width = 10

[temperature]
values = [1.0, 0.3, 0.1]

[theory]
kinds = ["nngp", "saddle"]

[sampler]
chains = 8
warmup = 60
draws = 80
tempering = false
seed = 3
backend = "cpu"

[[case]]
name = "erf"

[[case]]
name = "relu-wide"
network.activation = "relu"
network.width = 14
"#;

fn prepared() -> tempfile::TempDir {
    let dir = tempfile::TempDir::new().unwrap();
    fs::write(dir.path().join("study.toml"), STUDY).unwrap();
    dir
}

/// The report without what a clock or a path leaves in it, and the arrays.
fn result(run: &Path) -> (Value, Vec<u8>) {
    let mut report: Value = serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();
    report.as_object_mut().unwrap().remove("timing").unwrap();
    report["config"].as_object_mut().unwrap().remove("output").unwrap();
    (report, fs::read(run.join("arrays.npz")).unwrap())
}

#[test]
fn every_case_is_the_run_that_it_would_be_alone() {
    let dir = prepared();
    let study = output(dir.path(), &["run", "--config", "study.toml", "--out", "all"]);
    assert!(study.status.success(), "{}", stderr(&study));
    let text = String::from_utf8(study.stdout).unwrap();
    assert!(text.contains("Where D²(T) is largest") && text.contains("report: all/report.html"), "{text}");
    let page = fs::read_to_string(dir.path().join("all/report.html")).unwrap();
    assert!(page.contains("relu-wide") && page.contains("Findings"));

    let alone = output(dir.path(), &["run", "--config", "study.toml", "--case", "relu-wide", "--out", "one"]);
    assert!(alone.status.success(), "{}", stderr(&alone));
    let one = result(&dir.path().join("one"));
    assert!(one == result(&dir.path().join("all/relu-wide")), "the same bits alone and among others");
    assert!(one != result(&dir.path().join("all/erf")), "another case is told apart");

    // From the disk again, with the same findings.
    fs::remove_file(dir.path().join("all/report.html")).unwrap();
    let again = output(dir.path(), &["report", "all"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(text.ends_with(&String::from_utf8(again.stdout).unwrap()));
    assert_eq!(fs::read_to_string(dir.path().join("all/report.html")).unwrap(), page);
}

#[test]
fn an_interrupted_study_goes_on_where_it_was() {
    let dir = prepared();
    let arguments = ["run", "--config", "study.toml", "--out", "all", "--draws", "1200"];
    let mut child = featherm(dir.path(), &arguments).spawn().unwrap();
    await_file(&dir.path().join("all/relu-wide/config.toml"));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(3), "the second case is interrupted too");
    let first = result(&dir.path().join("all/erf"));

    let resumed = output(dir.path(), &["resume", "all"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(first == result(&dir.path().join("all/erf")), "a finished case is left alone");

    let reference = output(dir.path(), &["run", "--config", "study.toml", "--out", "whole", "--draws", "1200"]);
    assert!(reference.status.success(), "{}", stderr(&reference));
    for case in ["erf", "relu-wide"] {
        assert!(result(&dir.path().join("all").join(case)) == result(&dir.path().join("whole").join(case)), "{case}");
    }
    let more = output(dir.path(), &["resume", "all", "--draws", "+10"]);
    assert!(more.status.success(), "{}", stderr(&more));
    let (report, _) = result(&dir.path().join("all/relu-wide"));
    assert_eq!(report["config"]["sampler"]["draws"], 1210);
}

#[test]
fn what_is_wrong_with_a_case_is_said_before_anything_is_written() {
    let dir = prepared();
    let refused = |text: &str, arguments: &[&str], words: &str| {
        fs::write(dir.path().join("bad.toml"), text).unwrap();
        let output = output(dir.path(), arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(words) && message.lines().count() == 1, "{message}");
        assert!(!dir.path().join("out").exists());
    };
    let run = ["run", "--config", "bad.toml", "--out", "out"];
    refused(&STUDY.replace("network.width = 14", "network.width = 0"), &run, "width");
    refused(&STUDY.replace("relu-wide", "../out"), &run, "case.name");
    refused(STUDY, &["run", "--config", "bad.toml", "--case", "tanh", "--out", "out"], "erf, relu-wide");
    refused(STUDY, &["theory", "--config", "bad.toml"], "--case");
}
