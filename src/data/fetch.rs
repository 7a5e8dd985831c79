//! Downloads a data set: resumable, checked, and there only once it is whole.
//!
//! A file is written as `NAME.part`, which a later call goes on from, and gets its name when its
//! SHA-256 is the published one. Of an archive only the expected regular files are unpacked, to
//! names of their own and to no more bytes than they have.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use thiserror::Error;
use ureq::http::header;
use ureq::{Agent, Body};

use super::catalog::{Member, Remote, Set};
use crate::host::files::{Durability, remove_partials, write_whole};

/// A server that lets one wait longer than this is taken for absent.
const CONNECT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);
/// The largest file at 50 kB/s; what was got until then is kept.
const WHOLE: Duration = Duration::from_secs(3600);

/// Why a data set could not be fetched; the message says what is on disk now, and how to go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server did not answer with the file.
    #[error("{url} cannot be fetched: {reason}; {remedy}")]
    Unreachable { url: String, reason: String, remedy: String },
    #[error(
        "{url} ended after {got} of {size} bytes ({reason}), which are kept: fetch again to go on from there; {remedy}"
    )]
    CutShort { url: String, got: u64, size: u64, reason: String, remedy: String },
    #[error(
        "{url} is not the published file: its SHA-256 is {seen}, not {expected}; what was fetched is deleted; {remedy}"
    )]
    WrongSum { url: String, seen: String, expected: &'static str, remedy: String },
    #[error("{url} is not the published file: it is longer than {size} bytes; what was fetched is deleted; {remedy}")]
    TooLong { url: String, size: u64, remedy: String },
    #[error("{} is there, but its SHA-256 is {seen}, not the published {expected}: move it away, then fetch again", path.display())]
    Occupied { path: PathBuf, seen: String, expected: &'static str },
    #[error("{}: {reason}; fetch it again", archive.display())]
    Archive { archive: PathBuf, reason: String },
    #[error("{} is being fetched by another featherm: wait until it ends", path.display())]
    InUse { path: PathBuf },
    #[error("{}: {source}; choose a writable folder", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl FetchError {
    /// Whether what is on this machine is at fault, rather than the network or the server.
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::Occupied { .. } | Self::InUse { .. } | Self::Disk { .. })
    }
}

/// What downloads, with the time limits of this program.
pub fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_recv_body(Some(WHOLE))
        .http_status_as_error(false)
        .user_agent(concat!("featherm/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// Brings the files of a set from the folder of a server into `folder`; those that are there
/// already, and are what they should be, stay.
///
/// `progress` is told the file, the bytes that are there and the bytes in all.
///
/// # Errors
/// [`FetchError`]; nothing has its final name that is not whole.
pub fn fetch(
    agent: &Agent,
    set: &Set,
    mirror: &str,
    folder: &Path,
    mut progress: impl FnMut(&Remote, u64),
) -> Result<(), FetchError> {
    let there =
        |member: &Member| fs::metadata(folder.join(member.name)).is_ok_and(|m| m.is_file() && m.len() == member.size);
    if !set.members.is_empty() && set.members.iter().all(there) {
        return Ok(());
    }
    let created: Vec<&Path> = folder.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    fs::create_dir_all(folder).map_err(|source| FetchError::Disk { path: folder.into(), source })?;
    fetch_into(agent, set, mirror, folder, &mut progress).inspect_err(|_| {
        // From the innermost; what keeps a file stays, for a folder that is not empty is not
        // removed.
        let _ = created.into_iter().try_for_each(fs::remove_dir);
    })
}

fn fetch_into(
    agent: &Agent,
    set: &Set,
    mirror: &str,
    folder: &Path,
    progress: &mut impl FnMut(&Remote, u64),
) -> Result<(), FetchError> {
    for file in set.files {
        let path = folder.join(file.name);
        let url = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        Download { agent, set, file, url, folder }.run(progress)?;
        if !set.members.is_empty() {
            unpack(&path, set.members, folder)?;
            fs::remove_file(&path).map_err(|source| FetchError::Disk { path, source })?;
        }
    }
    Ok(())
}

/// What a user does without this program.
fn by_hand(set: &Set, folder: &Path) -> String {
    let names = set.files.iter().map(|file| file.name).collect::<Vec<_>>().join(", ");
    let place = folder.display();
    let put = if set.members.is_empty() { "put" } else { "unpack the files of" };
    format!("without a network, {put} {names} (from {}) into {place} by hand, or use another mirror", set.mirror)
}

/// One file on its way.
struct Download<'a> {
    agent: &'a Agent,
    set: &'a Set,
    file: &'a Remote,
    url: String,
    folder: &'a Path,
}

impl Download<'_> {
    fn run(&self, progress: &mut impl FnMut(&Remote, u64)) -> Result<(), FetchError> {
        let Self { file, .. } = *self;
        let path = self.folder.join(file.name);
        let disk = |path: &Path, source| FetchError::Disk { path: path.into(), source };
        if path.exists() {
            let seen = File::open(&path).and_then(|mut file| sum(&mut file)).map_err(|source| disk(&path, source))?;
            if seen == file.sha256 {
                progress(file, file.size);
                return Ok(());
            }
            return Err(FetchError::Occupied { path, seen, expected: file.sha256 });
        }
        let partial = self.folder.join(format!("{}.part", file.name));
        let on_disk = |source| disk(&partial, source);
        let opened = File::options().create(true).truncate(false).read(true).write(true).open(&partial);
        let mut part = opened.map_err(on_disk)?;
        match part.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(FetchError::InUse { path: partial }),
            // Some network file systems know no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut got = part.metadata().map_err(on_disk)?.len();
        if got < file.size {
            got = self.transfer(&mut part, got, progress).inspect_err(|_| {
                // An empty file is nothing to go on from.
                if part.metadata().is_ok_and(|m| m.len() == 0) {
                    let _ = fs::remove_file(&partial);
                }
            })?;
        }
        let remedy = || by_hand(self.set, self.folder);
        let delete = || fs::remove_file(&partial).map_err(on_disk);
        if got > file.size {
            delete()?;
            return Err(FetchError::TooLong { url: self.url.clone(), size: file.size, remedy: remedy() });
        }
        part.rewind().map_err(on_disk)?;
        let seen = sum(&mut part).map_err(on_disk)?;
        if seen != file.sha256 {
            delete()?;
            return Err(FetchError::WrongSum { url: self.url.clone(), seen, expected: file.sha256, remedy: remedy() });
        }
        part.sync_all().and_then(|()| fs::rename(&partial, &path)).map_err(on_disk)
    }

    /// Gets what is missing after the first `got` bytes; returns how many there are then, one more
    /// than the size at most.
    fn transfer(&self, part: &mut File, got: u64, progress: &mut impl FnMut(&Remote, u64)) -> Result<u64, FetchError> {
        let Self { file, url, .. } = self;
        let remedy = || by_hand(self.set, self.folder);
        let unreachable = |reason: String| FetchError::Unreachable { url: url.clone(), reason, remedy: remedy() };
        let mut request = self.agent.get(url);
        if got > 0 {
            request = request.header(header::RANGE, format!("bytes={got}-"));
        }
        let response = request.call().map_err(|error| unreachable(error.to_string()))?;
        let from = match response.status().as_u16() {
            200 => 0,
            206 if continues(&response, got) => got,
            status => return Err(unreachable(format!("the server answers {status}"))),
        };
        let disk = |source| FetchError::Disk { path: self.folder.join(file.name), source };
        // A server that does not know ranges begins again.
        part.set_len(from).and_then(|()| part.seek(SeekFrom::Start(from))).map_err(disk)?;
        let mut body = response.into_body().into_reader().take(file.size + 1 - from);
        let mut got = from;
        let mut buffer = vec![0; 1 << 16];
        loop {
            progress(file, got);
            let cut = |reason: String| FetchError::CutShort {
                url: url.clone(),
                got,
                size: file.size,
                reason,
                remedy: remedy(),
            };
            match body.read(&mut buffer) {
                Ok(0) if got < file.size => return Err(cut("the server said no more".into())),
                Ok(0) => return Ok(got),
                Ok(length) => {
                    part.write_all(&buffer[..length]).map_err(disk)?;
                    got += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut(error.to_string())),
            }
        }
    }
}

/// Whether a partial answer begins at byte `from`.
fn continues(response: &ureq::http::Response<Body>, from: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let begin = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    begin == Some(from)
}

/// SHA-256 of the rest of a file, in hexadecimal digits.
fn sum(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Takes the expected members out of a `.tar.gz`, each under its own name, and nothing else: other
/// entries, links among them, are passed over.
fn unpack(archive: &Path, members: &[Member], folder: &Path) -> Result<(), FetchError> {
    let bad = |reason: String| FetchError::Archive { archive: archive.into(), reason };
    let disk = |path: &Path, source| FetchError::Disk { path: path.into(), source };
    let file = File::open(archive).map_err(|source| disk(archive, source))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(FetchError::InUse { path: archive.into() });
    }
    remove_partials(folder);
    // A gzip may inflate to anything: what is read has a bound too. Headers and a few texts come
    // beside the members.
    let most = members.iter().map(|member| member.size).sum::<u64>() + (1 << 24);
    let mut tar = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)).take(most));
    let mut left: Vec<&Member> = members.iter().collect();
    for entry in tar.entries().map_err(|error| bad(error.to_string()))? {
        if left.is_empty() {
            break;
        }
        let mut entry = entry.map_err(|error| bad(error.to_string()))?;
        let path = entry.path_bytes().into_owned();
        let Some(at) = left.iter().position(|member| member.path.as_bytes() == path) else { continue };
        let member = left.swap_remove(at);
        if !entry.header().entry_type().is_file() || entry.size() != member.size {
            return Err(bad(format!("{} is not a file of {} bytes in it", member.path, member.size)));
        }
        let mut damage = None;
        let written = write_whole(folder, member.name, Durability::PowerLoss, |out| {
            let copied = io::copy(&mut entry, out);
            damage = match &copied {
                Err(error) => Some(format!("{}: {error}", member.path)),
                Ok(copied) if *copied != member.size => Some(format!("{} is cut short", member.path)),
                Ok(_) => None,
            };
            if damage.is_none() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        });
        written.map_err(|source| match damage {
            Some(reason) => bad(reason),
            None => disk(&folder.join(member.name), source),
        })?;
    }
    match left.first() {
        None => Ok(()),
        Some(member) => Err(bad(format!("holds no {}", member.path))),
    }
}

#[cfg(test)]
mod tests;
