//! Downloads of made-up sets from a server in this process.

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

#[path = "../../../tests/common/http.rs"]
mod http;

use http::{Manner, nobody, serve};

const NAME: &str = "letters.bin";

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i % 251) as u8).collect()
}

fn hex(bytes: &[u8]) -> &'static str {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Box::leak(digits.into_boxed_str())
}

fn set(name: &'static str, bytes: &[u8], members: &'static [Member]) -> Set {
    let file = Remote { name, size: bytes.len() as u64, sha256: hex(bytes) };
    let files = Box::leak(Box::new([file]));
    Set { name: "letters", about: "", citation: "", mirror: "http://example.org/", files, members }
}

/// Without whatever proxy this machine has.
fn direct() -> Agent {
    Agent::config_builder().proxy(None).http_status_as_error(false).build().into()
}

fn get(set: &Set, url: &str, folder: &Path) -> Result<(), FetchError> {
    fetch(&direct(), set, url, folder, |_, _| ())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_fetched_whole_and_not_twice() {
    let (dir, bytes) = (TempDir::new().unwrap(), content());
    let folder = dir.path().join("a/letters");
    let server = serve(vec![(NAME, bytes.clone())], Manner::Good, 1);
    let mut last = 0;
    fetch(&direct(), &set(NAME, &bytes, &[]), &server.url, &folder, |_, done| last = done).unwrap();
    assert_eq!((names(&folder), last), (vec![NAME.to_string()], bytes.len() as u64));
    assert!(fs::read(folder.join(NAME)).unwrap() == bytes);
    assert_eq!(server.requests(), [format!("/sets/{NAME}")]);
    // Nobody needs to answer for what is there.
    get(&set(NAME, &bytes, &[]), &nobody(), &folder).unwrap();
    fs::write(folder.join(NAME), "mine").unwrap();
    let message = get(&set(NAME, &bytes, &[]), &nobody(), &folder).unwrap_err().to_string();
    assert!(
        message.contains(hex(b"mine")) && message.contains(hex(&bytes)) && message.contains("move it away"),
        "{message}"
    );
    assert_eq!(fs::read(folder.join(NAME)).unwrap(), b"mine");
}

#[test]
fn a_download_goes_on_from_its_part() {
    for (manner, asked) in [(Manner::Good, "70000-"), (Manner::IgnoresRange, "70000-")] {
        let (dir, bytes) = (TempDir::new().unwrap(), content());
        fs::write(dir.path().join(format!("{NAME}.part")), &bytes[..70_000]).unwrap();
        let server = serve(vec![(NAME, bytes.clone())], manner, 1);
        get(&set(NAME, &bytes, &[]), &server.url, dir.path()).unwrap();
        assert!(fs::read(dir.path().join(NAME)).unwrap() == bytes, "{manner:?}");
        assert_eq!(names(dir.path()), [NAME]);
        assert_eq!(server.requests(), [format!("/sets/{NAME} {asked}")]);
    }
}

#[test]
fn a_body_that_is_cut_short_is_kept_and_gone_on_from() {
    let (dir, bytes) = (TempDir::new().unwrap(), content());
    let server = serve(vec![(NAME, bytes.clone())], Manner::Truncates(50_000), 1);
    let message = get(&set(NAME, &bytes, &[]), &server.url, dir.path()).unwrap_err().to_string();
    assert!(message.contains("ended after 50000 of 200000 bytes") && message.contains("fetch again"), "{message}");
    assert_eq!(names(dir.path()), [format!("{NAME}.part")]);
    let server = serve(vec![(NAME, bytes.clone())], Manner::Good, 1);
    get(&set(NAME, &bytes, &[]), &server.url, dir.path()).unwrap();
    assert_eq!(server.requests(), [format!("/sets/{NAME} 50000-")]);
    assert!(fs::read(dir.path().join(NAME)).unwrap() == bytes);
}

#[test]
fn what_is_not_the_published_file_is_deleted_and_both_sums_are_named() {
    let (dir, bytes) = (TempDir::new().unwrap(), content());
    let mut other = bytes.clone();
    other[100] ^= 1;
    let server = serve(vec![(NAME, other.clone())], Manner::Good, 1);
    let message = get(&set(NAME, &bytes, &[]), &server.url, dir.path()).unwrap_err().to_string();
    assert!(message.contains(hex(&bytes)) && message.contains(hex(&other)) && message.contains("deleted"), "{message}");
    assert!(names(dir.path()).is_empty());
    // Also where the beginning came from another place, and where there is too much.
    fs::write(dir.path().join(format!("{NAME}.part")), vec![9; 70_000]).unwrap();
    let server = serve(vec![(NAME, bytes.clone())], Manner::Good, 1);
    assert!(matches!(get(&set(NAME, &bytes, &[]), &server.url, dir.path()), Err(FetchError::WrongSum { .. })));
    let server = serve(vec![(NAME, [&bytes[..], &[0; 99]].concat())], Manner::Good, 1);
    assert!(matches!(get(&set(NAME, &bytes, &[]), &server.url, dir.path()), Err(FetchError::TooLong { .. })));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn without_a_server_or_its_file_the_message_says_what_to_put_where() {
    let (dir, bytes) = (TempDir::new().unwrap(), content());
    let server = serve(vec![], Manner::NotFound, 1);
    for (url, reason) in [(server.url.as_str(), "404"), (nobody().as_str(), "refused")] {
        let message = get(&set(NAME, &bytes, &[]), url, dir.path()).unwrap_err().to_string();
        let folder = dir.path().display().to_string();
        for part in [reason, NAME, &folder, "http://example.org/", "by hand", "mirror"] {
            assert!(message.to_lowercase().contains(&part.to_lowercase()), "{message} does not say {part}");
        }
    }
    assert!(names(dir.path()).is_empty());
}

const MEMBERS: &[Member] =
    &[Member { path: "set/a.bin", name: "a.bin", size: 5 }, Member { path: "set/b.bin", name: "b.bin", size: 3 }];

/// An entry of a made-up archive; a `target` makes it a link.
fn entry(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], target: Option<&str>) {
    let mut header = tar::Header::new_gnu();
    // Written as it is: the builder itself would refuse what climbs out.
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    if let Some(target) = target {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name(target).unwrap();
    }
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

fn archive(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    fill(&mut tar);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&tar.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap()
}

fn unpacked(bytes: Vec<u8>) -> (TempDir, Result<(), FetchError>) {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("in");
    let set = set("set.tar.gz", &bytes, MEMBERS);
    let server = serve(vec![("set.tar.gz", bytes)], Manner::Good, 1);
    let result = get(&set, &server.url, &folder);
    (dir, result)
}

#[test]
fn only_the_expected_files_of_an_archive_are_unpacked() {
    let (dir, result) = unpacked(archive(|tar| {
        entry(tar, "../outside", b"x", None);
        entry(tar, "/tmp/featherm-outside", b"x", None);
        entry(tar, "set/readme.html", b"hello", None);
        entry(tar, "set/link", b"", Some("/etc/passwd"));
        entry(tar, "set/b.bin", b"bbb", None);
        entry(tar, "set/a.bin", b"aaaaa", None);
        entry(tar, "set/a.bin", b"later", None);
    }));
    result.unwrap();
    assert_eq!(
        (names(dir.path()), names(&dir.path().join("in"))),
        (vec!["in".into()], vec!["a.bin".into(), "b.bin".into()])
    );
    assert_eq!(fs::read(dir.path().join("in/a.bin")).unwrap(), b"aaaaa");
    assert!(!Path::new("/tmp/featherm-outside").exists());
}

#[test]
fn archives_that_do_not_hold_what_they_should_are_refused() {
    type Fill = fn(&mut tar::Builder<Vec<u8>>);
    let cases: [(Fill, &str); 3] = [
        (|tar| entry(tar, "set/a.bin", b"", Some("/etc/passwd")), "set/a.bin is not a file of 5 bytes"),
        (|tar| entry(tar, "set/a.bin", &[0; 4096], None), "set/a.bin is not a file of 5 bytes"),
        (|tar| entry(tar, "set/a.bin", b"aaaaa", None), "holds no set/b.bin"),
    ];
    for (fill, told) in cases {
        let message = unpacked(archive(fill)).1.unwrap_err().to_string();
        assert!(message.contains(told) && message.contains("set.tar.gz"), "{message}");
    }
}
