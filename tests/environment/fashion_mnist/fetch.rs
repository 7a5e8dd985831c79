//! The published files fetched from a server on this machine.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::common::fetch::{FILES, featherm, text};
use crate::common::http::{Manner, nobody, serve};

/// The published files of Fashion-MNIST, byte for byte: those of Debian's package are the same
/// deflate streams, whose gzip headers lost the name and the time that the authors' had.
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

pub fn fashion_mnist_is_fetched_and_found_by_its_name() {
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
