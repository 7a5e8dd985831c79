//! What a run has created on disk, so that a run that comes to nothing removes exactly that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::Lock;
use super::{ARRAYS, CHECKPOINT, CONFIG, DRAWS, REPORT, TABLE, WEIGHTS, replaced};
use crate::host::files::remove_partials;

/// A run directory with every directory that was created to have it.
#[derive(Debug, Clone)]
pub struct Claim {
    path: PathBuf,
    /// Outermost first. A directory that was there before is not among them.
    created: Vec<PathBuf>,
    /// The run was begun by an earlier process.
    resumed: bool,
}

/// What [`Claim::abandon`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing of this run.
    Nothing,
    /// A run that can be taken up again.
    Run,
}

impl Claim {
    /// Creates `path` with its missing parents.
    pub(super) fn directory(path: &Path) -> io::Result<Self> {
        let mut claim = Self { path: path.into(), created: Vec::new(), resumed: false };
        let missing: Vec<&Path> =
            path.ancestors().filter(|p| !p.as_os_str().is_empty()).take_while(|p| !p.exists()).collect();
        for directory in missing.into_iter().rev() {
            match fs::create_dir(directory) {
                Ok(()) => claim.created.push(directory.into()),
                // Another run was faster: it is theirs.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
                Err(error) => {
                    claim.abandon();
                    return Err(error);
                }
            }
        }
        if path.is_dir() { Ok(claim) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The directory of an earlier run, where nothing is ours to remove.
    pub(super) fn resumed(path: &Path) -> Self {
        Self { path: path.into(), created: Vec::new(), resumed: true }
    }

    /// Moves the claim to a new directory below.
    pub(super) fn descend(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        self.created.push(path.into());
        self.path = path.into();
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a checkpoint to go on from.
    pub fn has_checkpoint(&self) -> bool {
        self.path.join(CHECKPOINT).is_file()
    }

    /// Removes the checkpoint of a run that would fail again if it went on. What an earlier process
    /// left stays.
    pub fn forget_checkpoint(&self) {
        if !self.resumed {
            let _ = fs::remove_file(self.path.join(CHECKPOINT));
        }
    }

    /// Removes what this run created and nothing else: its files, then the directories it made, as
    /// far as they are empty. Where a checkpoint or a report is, or an earlier process began the
    /// run, everything stays but half-written files.
    pub fn abandon(&self) -> Remains {
        // What is not there need not be removed, and what cannot be removed is no worse for the
        // attempt.
        remove_partials(&self.path);
        let _ = fs::remove_dir_all(replaced(&self.path, DRAWS));
        if self.resumed || self.has_checkpoint() || self.path.join(REPORT).is_file() {
            return Remains::Run;
        }
        for name in [CONFIG, ARRAYS, TABLE, WEIGHTS] {
            let _ = fs::remove_file(self.path.join(name));
        }
        let _ = fs::remove_dir_all(self.path.join(DRAWS));
        Lock::remove(&self.path);
        for directory in self.created.iter().rev() {
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
        Remains::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RunDir, partial};

    #[test]
    fn an_abandoned_run_removes_exactly_what_it_created() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let deep = RunDir::create(&at("a/b/c")).unwrap();
        deep.write_config("x = 1").unwrap();
        assert_eq!(deep.claim().abandon(), Remains::Nothing);
        assert!(!at("a").exists(), "parents that were created go too");

        fs::create_dir_all(at("kept/empty")).unwrap();
        let empty = RunDir::create(&at("kept/empty")).unwrap();
        empty.write_config("x = 1").unwrap();
        empty.claim().abandon();
        drop(empty);
        assert_eq!(
            fs::read_dir(at("kept/empty")).unwrap().count(),
            0,
            "an empty directory that was there stays, empty"
        );

        let shared = RunDir::create(&at("shared/run")).unwrap();
        fs::write(at("shared/other"), "not ours").unwrap();
        shared.claim().abandon();
        assert!(at("shared/other").exists() && !at("shared/run").exists());
    }

    #[test]
    fn what_can_go_on_is_not_thrown_away() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&root.path().join("killed")).unwrap();
        run.write_config("x = 1").unwrap();
        fs::write(run.path().join(CHECKPOINT), "state").unwrap();
        fs::write(partial(run.path(), CHECKPOINT), "half").unwrap();
        assert_eq!(run.claim().abandon(), Remains::Run);
        assert!(run.path().join(CHECKPOINT).exists() && run.path().join(CONFIG).exists());
        assert!(!partial(run.path(), CHECKPOINT).exists());
        run.claim().forget_checkpoint();
        assert_eq!(run.claim().abandon(), Remains::Nothing, "it would fail again");
        assert!(!run.path().exists());

        let trace = root.path().join("trace");
        drop(RunDir::create(&trace).unwrap());
        fs::write(partial(&trace, CONFIG), "half").unwrap();
        RunDir::create(&trace).expect("a run that was killed before it began is none").claim().abandon();

        let begun = RunDir::create(&root.path().join("begun")).unwrap();
        begun.write_config("x = 1").unwrap();
        let path = begun.path().to_owned();
        drop(begun);
        let resumed = RunDir::open(&path).unwrap();
        resumed.claim().forget_checkpoint();
        assert_eq!(resumed.claim().abandon(), Remains::Run);
        assert!(path.join(CONFIG).exists(), "what an earlier process began stays");
    }

    #[test]
    fn a_complete_report_is_not_thrown_away() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&root.path().join("run")).unwrap();
        run.write_config("x = 1").unwrap();
        fs::write(run.path().join(REPORT), "{}").unwrap();
        fs::write(partial(run.path(), ARRAYS), "half").unwrap();
        assert_eq!(run.claim().abandon(), Remains::Run);
        assert!(run.path().join(REPORT).exists() && run.path().join(CONFIG).exists());
        assert!(!partial(run.path(), ARRAYS).exists());
    }
}
