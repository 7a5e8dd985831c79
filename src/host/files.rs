//! Files that have their name only once they are whole, and that survive a loss of power where they
//! must.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a file survives from the moment it has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power. It costs one wait for the disk.
    PowerLoss,
    /// The end of the process. For files that can be made again from others.
    ProcessEnd,
}

/// Writes a file of a directory under a temporary name and renames it once it is complete.
///
/// # Errors
/// The error of `fill` or of the disk. An earlier file of that name is then unchanged, and nothing
/// else is left.
pub fn write_whole(
    dir: &Path,
    name: &str,
    durability: Durability,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let partial = partial(dir, name);
    let written = (|| {
        let file = File::create(&partial)?;
        let mut buffered = BufWriter::new(&file);
        fill(&mut buffered)?;
        buffered.flush()?;
        if durability == Durability::PowerLoss {
            file.sync_all()?;
        }
        fs::rename(&partial, dir.join(name))?;
        if durability == Durability::PowerLoss {
            sync_directory(dir);
        }
        Ok(())
    })();
    written.inspect_err(|_| {
        // The partial file is of no use, and a failure to remove it is no news.
        let _ = fs::remove_file(&partial);
    })
}

/// Returns the name under which a file is written until it is complete.
pub fn partial(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.partial"))
}

/// Makes renamings in a directory survive a loss of power, where the system can be asked for that.
pub fn sync_directory(path: &Path) {
    if let Ok(directory) = File::open(path) {
        let _ = directory.sync_all();
    }
}

/// Makes a directory and everything below it survive a loss of power.
///
/// On Linux this is one call for the whole file system, where the kernel reports its errors; it
/// waits for what other processes have written there too. Elsewhere it is one call per file and
/// directory.
///
/// # Errors
/// When the disk refuses.
pub fn sync_tree(path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let directory = File::open(path)?;
        if linux::syncs_whole(&directory) {
            return Ok(rustix::fs::syncfs(&directory)?);
        }
    }
    sync_each(path)
}

/// [`sync_tree`], file by file.
fn sync_each(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { sync_each(&entry.path())? } else { File::open(entry.path())?.sync_all()? }
    }
    sync_directory(path);
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;

    use rustix::fs::{FsWord, fstatfs};
    use rustix::system::uname;

    /// Type of a file system in user space: the kernel does not pass syncfs on to it.
    const FUSE: FsWord = 0x6573_5546;
    /// The first kernel whose syncfs reports what could not be written (syncfs(2), "Notes").
    const REPORTING: (u32, u32) = (5, 8);

    /// Returns whether syncfs is as good as one fsync per file on the file system of `directory`.
    pub fn syncs_whole(directory: &File) -> bool {
        let kernel = uname();
        let release = kernel.release().to_str().ok().and_then(version);
        release.is_some_and(|release| release >= REPORTING) && fstatfs(directory).is_ok_and(|fs| fs.f_type != FUSE)
    }

    /// The first two numbers of a release such as `6.1.0-13-amd64`.
    fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    #[test]
    fn releases_are_numbers_in_order() {
        assert_eq!(version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(version("4.18.0-553.el8_10.x86_64"), Some((4, 18)));
        assert_eq!(version("5.15-rc1+"), Some((5, 15)));
        assert_eq!(version("next"), None);
        assert!(version("4.18.0") < Some(REPORTING) && version("5.10.0") > Some(REPORTING));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_synced_by_either_way_and_one_that_is_not_there_by_none() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/c"), "x").unwrap();
        for sync in [sync_tree, sync_each] {
            sync(root.path()).unwrap();
            assert_eq!(sync(&root.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
