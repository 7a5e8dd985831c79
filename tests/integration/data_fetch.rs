//! `featherm data` as a user meets it, with a server on this machine in place of the mirrors.
#![cfg(feature = "fetch")]

#[path = "common/http.rs"]
mod http;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use http::{Manner, nobody, serve};
use tempfile::TempDir;

fn featherm(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("featherm"));
    for proxy in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "XDG_DATA_HOME",
        "FEATHERM_DATA",
    ] {
        command.env_remove(proxy);
    }
    command.args(arguments).current_dir(dir).env("HOME", dir).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

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

/// The published files of Fashion-MNIST, byte for byte: those of Debian's package are the same deflate streams, whose gzip headers lost the name and the
/// time that the authors' had.
fn published() -> Vec<(&'static str, Vec<u8>)> {
    let of = |name: &'static str| {
        let debian = fs::read(Path::new("/usr/share/datasets/fashion-mnist").join(name)).unwrap();
        let time: u32 = if name.starts_with("train") { 1_504_176_606 } else { 1_504_176_627 };
        let mut bytes = vec![0x1f, 0x8b, 8, 8];
        bytes.extend(time.to_le_bytes());
        bytes.extend([0, 3]);
        bytes.extend(name.trim_end_matches(".gz").as_bytes());
        bytes.push(0);
        bytes.extend(&debian[10..]);
        (name, bytes)
    };
    FILES.map(of).into()
}

#[test]
#[ignore = "needs Debian's dataset-fashion-mnist"]
fn fashion_mnist_is_fetched_and_found_by_its_name() {
    let files = published();
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join(".local/share/featherm/fashion-mnist");
    // The first file goes on from its beginning.
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{}.part", FILES[0])), &files[0].1[..1_000_000]).unwrap();
    let server = serve(files.clone(), Manner::Good, 4);
    let output = featherm(dir.path(), &["data", "fetch", "fashion-mnist", "--mirror", &server.url]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("fashion-mnist is in {}\n", folder.display()));
    assert_eq!(server.requests()[0], format!("/sets/{} 1000000-", FILES[0]));
    for (name, bytes) in &files {
        assert!(fs::read(folder.join(name)).unwrap() == *bytes, "{name}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
    let list = text(&featherm(dir.path(), &["data", "list"]).stdout);
    assert!(list.contains(&format!("fashion-mnist   found in {}", folder.display())), "{list}");
    let again = featherm(dir.path(), &["data", "fetch", "fashion-mnist", "--mirror", &nobody()]);
    assert!(again.status.success(), "what is there needs no server");
}
