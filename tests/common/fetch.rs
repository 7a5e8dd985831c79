//! `featherm data` as a user meets it.

use std::path::Path;
use std::process::{Command, Output};

/// The program in a directory that is its home, without proxies and data of the user.
pub fn featherm(dir: &Path, arguments: &[&str]) -> Output {
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

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The files of MNIST and Fashion-MNIST as they are published.
pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];
