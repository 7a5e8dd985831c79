//! What a run has created on disk, so that a run that comes to nothing removes exactly that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{ARRAYS, CONFIG, REPORT, partial};

/// A run directory with every directory that was created to have it.
#[derive(Debug, Clone)]
pub struct Claim {
    path: PathBuf,
    /// Outermost first. A directory that was there before is not among them.
    created: Vec<PathBuf>,
}

/// What [`Claim::abandon`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing of this run.
    Nothing,
    /// A complete report: results are not thrown away.
    Report,
}

impl Claim {
    /// Creates `path` with its missing parents.
    pub(super) fn directory(path: &Path) -> io::Result<Self> {
        let mut claim = Self { path: path.into(), created: Vec::new() };
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

    /// Moves the claim to a new directory below.
    pub(super) fn descend(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        self.created.push(path.into());
        self.path = path.into();
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what this run created and nothing else: its files, then the directories it made, as far as they are empty. Where the report is
    /// already complete everything stays but half-written files.
    pub fn abandon(&self) -> Remains {
        // What is not there need not be removed, and what cannot be removed is no worse for the attempt.
        for name in [CONFIG, REPORT, ARRAYS] {
            let _ = fs::remove_file(partial(&self.path, name));
        }
        if self.path.join(REPORT).is_file() {
            return Remains::Report;
        }
        let _ = fs::remove_file(self.path.join(CONFIG));
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
    use crate::store::RunDir;

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
    fn a_complete_report_is_not_thrown_away() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&root.path().join("run")).unwrap();
        run.write_config("x = 1").unwrap();
        fs::write(run.path().join(REPORT), "{}").unwrap();
        fs::write(partial(run.path(), ARRAYS), "half").unwrap();
        assert_eq!(run.claim().abandon(), Remains::Report);
        assert!(run.path().join(REPORT).exists() && run.path().join(CONFIG).exists());
        assert!(!partial(run.path(), ARRAYS).exists());
    }
}
