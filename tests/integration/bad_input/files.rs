//! Files that are broken in a way of their own, and what lies in a directory.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What is put at a path.
#[derive(Clone)]
pub enum Content {
    Text(&'static str),
    Bytes(Vec<u8>),
    Directory,
}

pub fn put(path: &Path, content: &Content) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match content {
        Content::Text(text) => fs::write(path, text).unwrap(),
        Content::Bytes(bytes) => fs::write(path, bytes).unwrap(),
        Content::Directory => fs::create_dir_all(path).unwrap(),
    }
}

/// Every path below a directory with what it holds; directories hold nothing.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            found.push((path.clone(), path.is_file().then(|| fs::read(&path).unwrap())));
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

/// An IDX file of bytes, with whatever sizes its header announces.
pub fn idx(sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(body);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A CIFAR-10 record.
pub fn record(label: u8) -> Vec<u8> {
    [vec![label], vec![100; 3072]].concat()
}

pub fn f64s(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A NumPy array file, with whatever type and shape its header announces.
pub fn npy(descriptor: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}");
    header.extend(std::iter::repeat_n(' ', 117usize.saturating_sub(header.len())));
    header.push('\n');
    [b"\x93NUMPY\x01\x00".to_vec(), (header.len() as u16).to_le_bytes().to_vec(), header.into_bytes(), body.to_vec()]
        .concat()
}

/// An archive of entries under any names.
pub fn npz(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An archive that holds a symbolic link.
pub fn npz_link(name: &str, target: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A checkpoint file that is whole around any payload.
pub fn checkpoint(payload: &[u8]) -> Vec<u8> {
    let mut head = b"featherm checkpoint\n".to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend((payload.len() as u64).to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head);
    hasher.update(payload);
    head.extend(hasher.finalize().to_le_bytes());
    [&head, payload].concat()
}

/// The report of a run of the smallest size.
pub fn report() -> String {
    use featherm::backend::BackendChoice;
    use featherm::config::{Setup, preset};
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(6), Some(2), Some(3));
    settings.temperature.range = None;
    settings.temperature.values = Some(vec![1.0]);
    let sampler = &mut settings.sampler;
    (sampler.chains, sampler.warmup, sampler.draws) = (Some(2), Some(4), Some(20));
    sampler.backend = Some(BackendChoice::Cpu);
    let setup = Setup::resolve(settings).unwrap();
    let run = featherm::studies::run(&setup, |_| std::ops::ControlFlow::Continue(())).unwrap();
    serde_json::to_string_pretty(&run.document).unwrap()
}
