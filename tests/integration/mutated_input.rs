//! Every parser meets mutants of whole files: it refuses or accepts them, in one line, and never
//! panics. `fuzz/` does the same for longer.

use std::fs;
use std::path::{Path, PathBuf};

use featherm::config::{Settings, Setup, preset};
use featherm::data::DataConfig;
use featherm::report::{plots, table};
use featherm::store::{Checkpoint, RunDir, parse_report};
use tempfile::TempDir;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// One to four changes: a bit, a byte, a digit, an end cut off, a stretch left out, repeated, or
/// filled with one byte.
fn mutant(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(40)).min(bytes.len());
        match dice.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'-', b'"', b'{'][dice.below(8)],
            2 | 3 => {
                let digits: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[digits[dice.below(digits.len())]] = b'0' + dice.below(10) as u8;
                }
            }
            4 if dice.below(4) == 0 => bytes.truncate(at),
            5 if at < end => drop(bytes.drain(at..end)),
            6 if at < end => {
                let stretch = bytes[at..end].to_vec();
                bytes.splice(at..at, stretch);
            }
            7 if at < end => bytes[at..end].fill(dice.below(256) as u8),
            _ => {}
        }
    }
    bytes
}

/// Feeds mutants of every seed of a fuzz target; `accepts` gives back the message of a refusal.
/// Returns how many were accepted, and refused.
fn feed(target: &str, mutants: usize, mut accepts: impl FnMut(&Path, &[u8]) -> Result<(), String>) -> (usize, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    let (mut accepted, mut refused) = (0, 0);
    for (number, path) in seeds.iter().enumerate() {
        let seed = fs::read(path).unwrap();
        let mut dice = Dice(number as u64);
        for _ in 0..mutants {
            match accepts(path, &mutant(&seed, &mut dice)) {
                Ok(()) => accepted += 1,
                Err(message) => {
                    assert!(!message.is_empty() && message.lines().count() == 1, "{}: {message}", path.display());
                    refused += 1;
                }
            }
        }
    }
    println!("{target}: {accepted} accepted, {refused} refused");
    (accepted, refused)
}

/// A source of a file that lies at `path`, as it is used from a settings file.
fn data(path: &Path, picked: Option<(&str, usize)>) -> DataConfig {
    let mut settings = preset("quick").unwrap();
    settings.data = Default::default();
    settings.data.source = Some(path.display().to_string());
    settings.data.classes = picked.map(|(classes, _)| classes.into());
    settings.data.train = picked.map(|(_, train)| train);
    settings.data.test = Some(1);
    Setup::resolve(settings).unwrap().data().clone()
}

#[test]
fn data_files() {
    let dir = TempDir::new().unwrap();
    let load = |config: &DataConfig| featherm::data::load(config, 1).map(|_| ()).map_err(|error| error.to_string());
    let problem = dir.path().join("p.npz");
    fs::write(&problem, "").unwrap();
    let config = DataConfig { test: None, ..data(&problem, None) };
    let (accepted, refused) = feed("npz", 400, |_, bytes| {
        fs::write(&problem, bytes).unwrap();
        load(&config)
    });
    assert!(accepted > 0 && refused > accepted);

    let folder = dir.path().join("idx");
    fs::create_dir(&folder).unwrap();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let names =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
    let config = data(&folder, Some(("0,1", 2)));
    let (accepted, refused) = feed("idx", 300, |path, bytes| {
        for (name, seed) in names.iter().zip(["images", "labels", "images", "labels"]) {
            fs::copy(seeds.join("idx").join(seed), folder.join(name)).unwrap();
        }
        let labels = path.file_name().unwrap().to_string_lossy().contains("labels");
        fs::write(folder.join(names[usize::from(labels)]), bytes).unwrap();
        load(&config)
    });
    assert!(accepted > 0 && refused > 0);

    let folder = dir.path().join("cifar");
    fs::create_dir(&folder).unwrap();
    let one = fs::read(seeds.join("cifar/one")).unwrap();
    let other = [vec![4], one[1..].iter().rev().copied().collect()].concat();
    for name in ["data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"] {
        fs::write(folder.join(name), &other).unwrap();
    }
    let config = data(&folder, Some(("3,4", 5)));
    let (accepted, refused) = feed("cifar", 300, |_, bytes| {
        fs::write(folder.join("data_batch_1.bin"), bytes).unwrap();
        load(&config)
    });
    assert!(accepted > 0 && refused > 0);
}

/// What is accepted is recorded as itself.
#[test]
fn settings() {
    let (accepted, refused) = feed("toml", 1000, |_, bytes| {
        let text = String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())?;
        let settings =
            Settings::from_toml(&text, "mutant").map_err(|error| error.to_string().replace(char::is_control, "?"))?;
        let setup = Setup::resolve(settings).map_err(|error| error.to_string().replace(char::is_control, "?"))?;
        assert_eq!(Setup::resolve(setup.settings().clone()).unwrap(), setup);
        Ok(())
    });
    assert!(accepted > 0 && refused > 0);
}

#[test]
fn reports() {
    let (accepted, refused) = feed("report", 400, |_, bytes| {
        let document = parse_report(bytes)?;
        table(&document, |setting| setting.name().into());
        plots(&document);
        Ok(())
    });
    assert!(accepted > 0 && refused > 0);
}

#[test]
fn checkpoints() {
    let dir = TempDir::new().unwrap();
    let run = RunDir::create(&dir.path().join("run")).unwrap();
    let mut settings = preset("quick").unwrap();
    settings.data.train = Some(6);
    let setup = Setup::resolve(settings).unwrap();
    // The checksum finds every change, and the settings are not those of the seeds.
    let (accepted, refused) = feed("checkpoint", 300, |_, bytes| {
        fs::write(run.path().join("checkpoint"), bytes).unwrap();
        Checkpoint::read(&run, &setup).map(|_| ()).map_err(|error| error.to_string())
    });
    assert!(accepted == 0 && refused > 0);
}
