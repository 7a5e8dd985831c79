//! Files that have their name only once they are whole, and that survive a loss of power where they
//! must.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// The end of the name of what is not complete; a dot is the beginning.
const PARTIAL: &str = ".partial";

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
/// A process that is killed leaves the temporary file, whose name [`is_partial`]:
/// [`remove_partials`] clears it away.
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
    let partial = create_partial(dir, name)?;
    let mut buffered = BufWriter::new(partial.as_file());
    fill(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    if durability == Durability::PowerLoss {
        partial.as_file().sync_all()?;
    }
    partial.persist(dir.join(name)).map_err(|error| error.error)?;
    if durability == Durability::PowerLoss {
        sync_directory(dir);
    }
    Ok(())
}

/// Creates a file that is gone when it is dropped before it was persisted.
fn create_partial(dir: &Path, name: &str) -> io::Result<NamedTempFile> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(PARTIAL);
    // As for any file that is created, and not for its owner alone: the umask takes its part away.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir)
}

/// Returns whether a file has the name of one that is not complete.
pub fn is_partial(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy);
    name.is_some_and(|name| name.starts_with('.') && name.ends_with(PARTIAL))
}

/// Removes what processes that were killed have left incomplete in a directory. The caller sees to
/// it that no other process writes there.
pub fn remove_partials(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_partial(path)) {
        // What cannot be removed is no worse for the attempt.
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
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

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        for durability in [Durability::PowerLoss, Durability::ProcessEnd] {
            write_whole(root.path(), "a", durability, |file| file.write_all(b"first")).unwrap();
            write_whole(root.path(), "a", durability, |file| {
                assert_eq!(names(root.path()).iter().filter(|name| is_partial(Path::new(name))).count(), 1);
                file.write_all(b"second")
            })
            .unwrap();
            let failed = write_whole(root.path(), "a", durability, |file| {
                file.write_all(&[0; 100_000])?;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read(root.path().join("a")).unwrap(), b"second");
            assert_eq!(names(root.path()), ["a"], "nothing is left of a failure");
        }
        let nowhere = write_whole(&root.path().join("none"), "a", Durability::ProcessEnd, |_| Ok(()));
        assert_eq!(nowhere.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Others may read it whom the umask lets, as every file that a program creates.
    #[cfg(unix)]
    #[test]
    fn a_file_has_the_permissions_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        write_whole(root.path(), "a", Durability::ProcessEnd, |_| Ok(())).unwrap();
        fs::write(root.path().join("b"), "").unwrap();
        let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("a"), mode("b"));
    }

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (_, left) = create_partial(root.path(), "a").unwrap().keep().unwrap();
        assert!(is_partial(&left));
        fs::create_dir_all(root.path().join(".d.partial/deep")).unwrap();
        for kept in ["a", ".hidden", "a.partial"] {
            fs::write(root.path().join(kept), "").unwrap();
        }
        remove_partials(root.path());
        let mut names = names(root.path());
        names.sort();
        assert_eq!(names, [".hidden", "a", "a.partial"]);
    }

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
