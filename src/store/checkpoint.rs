//! `checkpoint`: the state of a run in one file, and what it must meet again to go on bit for bit.
//!
//! The file is a line that says what it is, the number of its format, the length of what follows
//! and the CRC-32 of the whole file but for itself, both little-endian; then the [`Origin`] and the
//! state, encoded by postcard.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CHECKPOINT, RunDir, StoreError};
use crate::backend::Device;
use crate::config::Setup;
use crate::model::Problem;

const MAGIC: &[u8; 20] = b"featherm checkpoint\n";
const FORMAT: u32 = 3;
/// Bytes of magic, format and length, and then of the checksum.
const HEAD: usize = MAGIC.len() + 4 + 8;
const START: usize = HEAD + 4;

/// What a state belongs to. Only where all of it is the same does the run go on as it would have
/// gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of featherm.
    version: String,
    /// The resolved configuration without what may change: the number of draws and where results
    /// go.
    config: String,
    /// CRC-32 of the rotated data.
    data: u32,
    /// Device and instruction set.
    device: String,
}

impl Origin {
    pub fn new(setup: &Setup, problem: &Problem, device: &Device) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            config: config(setup),
            data: fingerprint(problem),
            device: format!("{} ({}; {})", device.backend, device.name, instructions()),
        }
    }
}

/// The settings that decide what the chains do, as TOML.
fn config(setup: &Setup) -> String {
    let settings = setup.chain_settings();
    // Settings are tables of plain values, which TOML can hold; Debug tells two of them apart as
    // well.
    toml::to_string(&settings).unwrap_or_else(|_| format!("{settings:?}"))
}

/// CRC-32 of everything that the chains see of the data.
fn fingerprint(problem: &Problem) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for matrix in [&problem.z_train, &problem.z_test, &problem.z_complement] {
        for i in 0..matrix.nrows() {
            (0..matrix.ncols()).for_each(|j| hasher.update(&matrix[(i, j)].to_le_bytes()));
        }
    }
    problem.y_train.iter().chain(&problem.y_test).for_each(|y| hasher.update(&y.to_le_bytes()));
    problem.class_train.iter().for_each(|&class| hasher.update(&(class as u64).to_le_bytes()));
    hasher.finalize()
}

/// What the processor's arithmetic is compiled for at run time: another set sums in another order.
fn instructions() -> String {
    let mut text = String::from(std::env::consts::ARCH);
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ] {
        if there {
            text.extend([" ", name]);
        }
    }
    text
}

/// A checkpoint that was found whole.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    origin: Origin,
    bytes: Vec<u8>,
    /// Where in `bytes` the state begins.
    state: usize,
}

impl Checkpoint {
    /// Writes the state of a run in place of the last one.
    ///
    /// # Errors
    /// When the disk refuses; the last checkpoint is then still there.
    pub fn write(dir: &RunDir, origin: &Origin, state: &[u8]) -> Result<(), StoreError> {
        dir.write(CHECKPOINT, |file| {
            let origin = postcard::to_stdvec(origin).map_err(io::Error::other)?;
            let length = (origin.len() + state.len()) as u64;
            let mut head = MAGIC.to_vec();
            head.extend(FORMAT.to_le_bytes());
            head.extend(length.to_le_bytes());
            let mut hasher = crc32fast::Hasher::new();
            [&head, &origin, state].into_iter().for_each(|part| hasher.update(part));
            head.extend(hasher.finalize().to_le_bytes());
            [&head, &origin, state].into_iter().try_for_each(|part| file.write_all(part))
        })
    }

    /// Reads the checkpoint of a run directory, if there is one.
    ///
    /// # Errors
    /// When it is not whole, or of another version of featherm or another configuration than
    /// `setup`.
    pub fn read(dir: &RunDir, setup: &Setup) -> Result<Option<Self>, StoreError> {
        let path = dir.path().join(CHECKPOINT);
        let unreadable = |source| StoreError::Unreadable { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unreadable(source)),
        };
        let size = file.metadata().map_err(unreadable)?.len();
        let damaged = |error| match error {
            Damage::Unreadable(source) => unreadable(source),
            Damage::Found(what) => refused(&path, what),
        };
        let bytes = whole(file, size).map_err(damaged)?;
        let (origin, state) = origin(&bytes).map_err(damaged)?;
        let checkpoint = Self { path, origin, bytes, state };
        let version = env!("CARGO_PKG_VERSION");
        if checkpoint.origin.version != version {
            let theirs = &checkpoint.origin.version;
            return Err(checkpoint.refused(format!("it was written by featherm {theirs}, and this is {version}")));
        }
        let (theirs, ours) = (&checkpoint.origin.config, config(setup));
        if *theirs != ours {
            let differs = theirs.lines().zip(ours.lines()).find(|(a, b)| a != b).map_or_else(
                || "the settings are not the same".into(),
                |(a, b)| format!("its run had `{a}` where config.toml has `{b}`"),
            );
            return Err(checkpoint.refused(format!("it belongs to another configuration: {differs}")));
        }
        Ok(Some(checkpoint))
    }

    /// The state, if it can go on on this data and device.
    ///
    /// # Errors
    /// When either is not what it was.
    pub fn into_state(mut self, origin: &Origin) -> Result<Vec<u8>, StoreError> {
        if self.origin.data != origin.data {
            return Err(self.refused("the data that config.toml names is no longer what it was".into()));
        }
        if self.origin.device != origin.device {
            let (theirs, ours) = (&self.origin.device, &origin.device);
            return Err(self.refused(format!(
                "its run was on {theirs} and would go on on {ours}, where bits differ (RAYON_NUM_THREADS sets the threads)"
            )));
        }
        self.bytes.drain(..self.state);
        Ok(self.bytes)
    }

    fn refused(&self, reason: String) -> StoreError {
        refused(&self.path, &reason)
    }

    /// Why a run does not go on from the checkpoint in its directory, with what to do about it.
    pub fn refusal(dir: &RunDir, reason: &str) -> StoreError {
        refused(&dir.path().join(CHECKPOINT), reason)
    }
}

fn refused(path: &Path, reason: &str) -> StoreError {
    let reason = format!("{reason}; remove this file to let the run start again");
    StoreError::Refused { path: path.into(), reason }
}

/// Why a file is not a whole checkpoint.
enum Damage {
    Unreadable(io::Error),
    Found(&'static str),
}

/// What a whole checkpoint belongs to, and where its state begins.
fn origin(bytes: &[u8]) -> Result<(Origin, usize), Damage> {
    let payload = &bytes[START..];
    let (origin, rest) = postcard::take_from_bytes::<Origin>(payload)
        .map_err(|_| Damage::Found("this file is damaged: its beginning makes no sense"))?;
    Ok((origin, bytes.len() - rest.len()))
}

/// The bytes of a file of `size` bytes that is as it was written. No more is reserved than the file
/// has.
fn whole(mut file: impl Read, size: u64) -> Result<Vec<u8>, Damage> {
    let mut bytes = vec![0; START];
    if size < START as u64 || file.read_exact(&mut bytes).is_err() {
        return Err(Damage::Found("this file is cut short"));
    }
    let number = |at: usize, length: usize| {
        let mut le = [0; 8];
        le[..length].copy_from_slice(&bytes[at..at + length]);
        u64::from_le_bytes(le)
    };
    let (format, length, sum) = (number(MAGIC.len(), 4), number(MAGIC.len() + 4, 8), number(HEAD, 4));
    if !bytes.starts_with(MAGIC) {
        return Err(Damage::Found("this is not a checkpoint of featherm"));
    }
    if format != u64::from(FORMAT) {
        return Err(Damage::Found("this checkpoint is of a format that this version of featherm does not read"));
    }
    if length != size - START as u64 {
        return Err(Damage::Found("this file is damaged: it has not the length that it should have"));
    }
    file.take(length).read_to_end(&mut bytes).map_err(Damage::Unreadable)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..HEAD]);
    hasher.update(&bytes[START..]);
    if bytes.len() as u64 != size || u64::from(hasher.finalize()) != sum {
        return Err(Damage::Found("this file is damaged: its checksum does not fit"));
    }
    Ok(bytes)
}

/// What the fuzz target calls: a file from memory, and its beginning with the checksum left out.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    if let Ok(whole) = whole(bytes, bytes.len() as u64) {
        assert_eq!(whole, bytes);
    }
    if bytes.len() >= START
        && let Ok((_, state)) = origin(bytes)
    {
        assert!((START..=bytes.len()).contains(&state));
    }
}
