//! S12: a key file is private, whole, and what it says it is.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use hew_security::{KEY_FILE_BYTES, KeyFileProblem, Overwrite, StaticKeypair};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[allow(clippy::disallowed_methods)] // The tests look at files from outside of the crate.
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[allow(clippy::disallowed_methods)]
fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory with one good key file in it.
struct Place {
    directory: tempfile::TempDir,
    key: PathBuf,
    pair: StaticKeypair,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("node.key");
    let pair = StaticKeypair::generate().unwrap();
    pair.save(&key, Overwrite::Refuse).unwrap();
    Place { directory, key, pair }
}

fn problem(path: &Path) -> KeyFileProblem {
    let error = StaticKeypair::load(path).expect_err("must not load");
    assert_eq!(error.path, path);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error.problem
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_saved_pair_loads_again() {
    let place = place();
    let loaded = StaticKeypair::load(&place.key).unwrap();
    assert_eq!(loaded.public(), place.pair.public());
    let bytes = read(&place.key);
    assert_eq!(bytes.len(), KEY_FILE_BYTES);
    assert_eq!(bytes[..32], *place.pair.public().as_bytes(), "the public half comes first");
    assert_eq!(fs::metadata(&place.key).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(names(place.directory.path()), ["node.key"], "nothing else is left behind");
}

#[test]
fn s12_permissions_for_others_are_refused() {
    let place = place();
    for mode in [0o640, 0o604, 0o660, 0o644, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777] {
        fs::set_permissions(&place.key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(problem(&place.key), KeyFileProblem::Mode { mode: found } if found == mode),
            "{mode:o}"
        );
    }
    for mode in [0o600, 0o400, 0o700] {
        fs::set_permissions(&place.key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(StaticKeypair::load(&place.key).is_ok(), "{mode:o}");
    }
}

#[test]
fn s12_only_a_regular_file_is_read() {
    let place = place();
    let link = place.directory.path().join("link");
    std::os::unix::fs::symlink(&place.key, &link).unwrap();
    assert!(matches!(problem(&link), KeyFileProblem::Link));

    let fifo = place.directory.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    // Does not wait for a writer either.
    assert!(matches!(problem(&fifo), KeyFileProblem::NotRegular));
    assert!(matches!(problem(place.directory.path()), KeyFileProblem::NotRegular));
    assert!(matches!(problem(Path::new("/dev/null")), KeyFileProblem::NotRegular));
    let socket = place.directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(matches!(problem(&socket), KeyFileProblem::NotRegular));
    let missing = place.directory.path().join("missing");
    let KeyFileProblem::Io { error, .. } = problem(&missing) else { panic!("not there") };
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn s12_a_file_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away; the rule itself is tested beside the code.
        return;
    }
    let place = place();
    std::os::unix::fs::chown(&place.key, Some(12345), None).unwrap();
    assert!(matches!(problem(&place.key), KeyFileProblem::Owner { owner: 12345, expected: 0 }));
}

#[test]
fn s12_the_length_is_exact_and_the_halves_match() {
    let place = place();
    let good = read(&place.key);
    for length in [0, 1, 32, 63] {
        write(&place.key, &good[..length], 0o600);
        assert!(matches!(problem(&place.key), KeyFileProblem::Length { bytes } if bytes == length as u64));
    }
    write(&place.key, &[&good[..], &[0]].concat(), 0o600);
    assert!(matches!(problem(&place.key), KeyFileProblem::Length { bytes: 65 }));
    for at in [0, 31, 40, 50] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        write(&place.key, &bytes, 0o600);
        assert!(matches!(problem(&place.key), KeyFileProblem::Mismatch), "byte {at}");
    }
    // Halves in the other order.
    write(&place.key, &[&good[32..], &good[..32]].concat(), 0o600);
    assert!(matches!(problem(&place.key), KeyFileProblem::Mismatch));
}

#[test]
fn s12_an_existing_key_survives_unless_told_otherwise() {
    let place = place();
    let other = StaticKeypair::generate().unwrap();
    let error = other.save(&place.key, Overwrite::Refuse).unwrap_err();
    assert!(matches!(error.problem, KeyFileProblem::Exists));
    assert_eq!(StaticKeypair::load(&place.key).unwrap().public(), place.pair.public());
    other.save(&place.key, Overwrite::Replace).unwrap();
    assert_eq!(StaticKeypair::load(&place.key).unwrap().public(), other.public());
    assert_eq!(names(place.directory.path()), ["node.key"]);

    // Replacing a link replaces the link, not what it points to.
    let link = place.directory.path().join("link");
    std::os::unix::fs::symlink(&place.key, &link).unwrap();
    assert!(matches!(place.pair.save(&link, Overwrite::Refuse).unwrap_err().problem, KeyFileProblem::Exists));
    place.pair.save(&link, Overwrite::Replace).unwrap();
    assert_eq!(StaticKeypair::load(&link).unwrap().public(), place.pair.public());
    assert_eq!(StaticKeypair::load(&place.key).unwrap().public(), other.public());
}

#[test]
fn s12_a_crash_before_the_rename_leaves_the_old_file_and_blocks_nothing() {
    let place = place();
    // What a crash leaves: a temporary file, half written.
    write(&place.directory.path().join(".node.key.0123456789abcdef.tmp"), &[1; 20], 0o600);
    assert_eq!(StaticKeypair::load(&place.key).unwrap().public(), place.pair.public());
    let other = StaticKeypair::generate().unwrap();
    other.save(&place.key, Overwrite::Replace).unwrap();
    assert_eq!(StaticKeypair::load(&place.key).unwrap().public(), other.public());
}

#[test]
fn s12_a_directory_that_cannot_be_written_is_named() {
    let place = place();
    let path = place.directory.path().join("no such directory").join("key");
    let error = place.pair.save(&path, Overwrite::Refuse).unwrap_err();
    assert!(error.to_string().contains("no such directory"), "{error}");
    assert!(matches!(
        place.pair.save("/", Overwrite::Refuse).unwrap_err().problem,
        KeyFileProblem::NoFileName
    ));
}
