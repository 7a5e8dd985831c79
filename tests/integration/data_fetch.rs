//! `featherm data` as a user meets it, with a server on this machine in place of the mirrors.
use std::fs;

use tempfile::TempDir;

use crate::common::fetch::{FILES, featherm, text};
use crate::common::http::{Manner, nobody, serve};

#[test]
fn sets_are_listed_and_described_without_a_network() {
    let dir = TempDir::new().unwrap();
    let list = text(&featherm(dir.path(), &["data", "list"]).stdout);
    assert!(list.contains("digits") && list.contains("featherm data fetch mnist"), "{list}");
    let info = featherm(dir.path(), &["data", "info", "cifar-10"]);
    let told = text(&info.stdout);
    for part in ["cifar-10-binary.tar.gz", "c4a38c50", "test_batch.bin", "looked in", "Krizhevsky"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(info.status.success() && info.stderr.is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What goes wrong on the way is exit code 1, one line, and at most a `.part` on disk.
#[test]
fn failures_say_what_to_do() {
    let impostor = || vec![(FILES[0], vec![7; 9_912_422])];
    let cut = serve(impostor(), Manner::Truncates(1000), 1);
    let wrong = serve(impostor(), Manner::Good, 1);
    let missing = serve(vec![], Manner::NotFound, 1);
    let cases = [
        (cut.url.clone(), &["1000 of 9912422 bytes", "fetch again"][..], &["train-images-idx3-ubyte.gz.part"][..]),
        (wrong.url.clone(), &["440fcabf", "sha-256", "deleted"], &[]),
        (missing.url.clone(), &["404", "by hand", "sets/mnist"], &[]),
        (nobody(), &["refused", "by hand", "sets/mnist", "t10k-labels-idx1-ubyte.gz"], &[]),
    ];
    for (url, told, left) in cases {
        let dir = TempDir::new().unwrap();
        let output = featherm(dir.path(), &["data", "fetch", "mnist", "--dir", "sets", "--mirror", &url]);
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(1), 1), "{message}");
        assert!(output.stdout.is_empty());
        told.iter().for_each(|part| assert!(message.to_lowercase().contains(part), "{message} does not say {part}"));
        if left.is_empty() {
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{message}");
            continue;
        }
        let found: Vec<_> =
            fs::read_dir(dir.path().join("sets/mnist")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(found, left, "{message}");
    }
}
