//! S11: a list follows its file as a whole or not at all, and keys are exchanged through it.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod common;

use common::*;
use hew_security::{
    ALLOWLIST_FILE_BYTES_MAX, AllowlistFile, AllowlistFileError, AllowlistFileProblem, Denied, NoiseXx,
    Reload,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory with an allowlist file in it.
struct Place {
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn with(text: &str) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        let place = Place { directory, path };
        place.put(text);
        place
    }

    /// Writes another file and renames it, as one should.
    fn put(&self, bytes: impl AsRef<[u8]>) {
        let fresh = self.directory.path().join("fresh");
        write(&fresh, bytes.as_ref(), 0o644);
        fs::rename(&fresh, &self.path).unwrap();
    }
}

#[allow(clippy::disallowed_methods)] // The tests write files from outside of the crate.
fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn line(id: u16, key: u16) -> String {
    format!("{id} {} a comment\n", keypair(key).public().to_hex())
}

fn problem(path: &Path) -> AllowlistFileProblem {
    let error = AllowlistFile::load(path).expect_err("must not load");
    assert_eq!(error.path, path);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error.problem
}

/// Looks at the file and expects a complaint.
fn complaint(file: &mut AllowlistFile) -> AllowlistFileError {
    file.reload_if_changed().expect_err("must be refused")
}

#[test]
fn s11_the_list_has_what_the_file_says() {
    let place = Place::with(&format!("# peers\n{}{}", line(1, 1), line(2, 2)));
    let mut file = AllowlistFile::load(&place.path).unwrap();
    let list = file.allowlist().clone();
    assert!(!list.is_open());
    assert_eq!(list.entries().len(), 2);
    let generation = list.generation();
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Unchanged);
    assert_eq!(list.generation(), generation, "live sessions are not asked about for nothing");

    place.put(line(2, 2));
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
    assert!(list.generation() > generation);
    assert_eq!(list.check(node(1), &keypair(1).public()), Err(Denied::UnknownKey));
    assert_eq!(list.check(node(2), &keypair(2).public()), Ok(()));
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Unchanged);
    file.reload().unwrap();

    place.put("# nobody\n");
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
    assert!(list.entries().is_empty());
}

#[test]
fn s11_a_file_that_is_wrong_changes_nothing() {
    let place = Place::with(&line(1, 1));
    let mut file = AllowlistFile::load(&place.path).unwrap();
    let list = file.allowlist().clone();
    let (entries, generation) = (list.entries(), list.generation());
    let mut check = |change: &dyn Fn(), expected: &str| {
        change();
        let error = complaint(&mut file).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains(&place.path.display().to_string()), "{error}");
        // Once is enough, until something changes; whoever asks for it is told again.
        assert_eq!(file.reload_if_changed().unwrap(), Reload::Unchanged, "{expected}");
        assert!(file.reload().unwrap_err().to_string().contains(expected));
        assert_eq!((list.entries(), list.generation()), (entries.clone(), generation), "{expected}");
    };
    // The first line is good each time, and would be a list of its own.
    let good = line(2, 2);
    check(&|| place.put(format!("{good}1 abc\n")), "line 2: \"abc\" is not a public key");
    check(&|| place.put(format!("{good}\n0 {}\n", keypair(1).public().to_hex())), "line 3: ");
    check(&|| place.put([good.as_bytes(), b"# \xff\n"].concat()), "line 2: is not text in UTF-8");
    check(&|| place.put(""), "is empty");
    check(&|| place.put(vec![b'\n'; ALLOWLIST_FILE_BYTES_MAX + 1]), "more than 33554432 bytes");
    check(&|| write(&place.path, good.as_bytes(), 0o664), "can be written by others: mode 0664");
    check(&|| fs::remove_file(&place.path).unwrap(), "cannot open it: No such file");
    check(&|| fs::create_dir(&place.path).unwrap(), "is not a regular file");

    fs::remove_dir(&place.path).unwrap();
    place.put(good);
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced, "and all is well again");
    assert_eq!(list.check(node(2), &keypair(2).public()), Ok(()));
}

#[test]
fn s11_who_may_write_the_file_decides_who_gets_in() {
    let place = Place::with(&line(1, 1));
    for mode in [0o620, 0o602, 0o664, 0o646, 0o666, 0o777] {
        fs::set_permissions(&place.path, Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(problem(&place.path), AllowlistFileProblem::Writable { mode: found } if found == mode),
            "{mode:o}"
        );
    }
    for mode in [0o600, 0o644, 0o444, 0o755, 0o400] {
        fs::set_permissions(&place.path, Permissions::from_mode(mode)).unwrap();
        assert!(AllowlistFile::load(&place.path).is_ok(), "{mode:o}");
    }
    if rustix::process::geteuid().is_root() {
        // Only root can give a file away; the rule itself is tested beside the code.
        std::os::unix::fs::chown(&place.path, Some(12345), None).unwrap();
        assert!(matches!(problem(&place.path), AllowlistFileProblem::Owner { owner: 12345, expected: 0 }));
    }
}

#[test]
fn s11_links_are_followed_and_what_they_lead_to_is_judged() {
    // As configuration is mounted: the name leads through a link that is exchanged.
    let place = Place::with(&line(1, 1));
    let (one, two) = (place.directory.path().join("one"), place.directory.path().join("two"));
    write(&one, line(1, 1).as_bytes(), 0o644);
    write(&two, line(1, 2).as_bytes(), 0o644);
    let link = place.directory.path().join("link");
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let mut file = AllowlistFile::load(&link).unwrap();
    assert_eq!(file.allowlist().check(node(1), &keypair(1).public()), Ok(()));
    let fresh = place.directory.path().join("fresh-link");
    std::os::unix::fs::symlink(&two, &fresh).unwrap();
    fs::rename(&fresh, &link).unwrap();
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
    assert_eq!(file.allowlist().check(node(1), &keypair(2).public()), Ok(()));
    fs::set_permissions(&two, Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(complaint(&mut file).problem, AllowlistFileProblem::Writable { .. }));

    let fifo = place.directory.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // Does not wait for a writer either.
    assert!(matches!(problem(&fifo), AllowlistFileProblem::NotRegular));
    assert!(matches!(problem(Path::new("/dev/null")), AllowlistFileProblem::NotRegular));
}

#[test]
fn s11_a_write_in_place_is_noticed_by_its_length_or_time() {
    let place = Place::with(&line(1, 1));
    let mut file = AllowlistFile::load(&place.path).unwrap();
    write(&place.path, (line(1, 1) + &line(2, 2)).as_bytes(), 0o644);
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
    assert_eq!(file.allowlist().entries().len(), 2);

    // The same length, and a time of modification that was set back; the time of change cannot be.
    let before = fs::metadata(&place.path).unwrap().modified().unwrap();
    let same_length = line(1, 3) + &line(2, 2);
    assert_eq!(same_length.len() as u64, fs::metadata(&place.path).unwrap().len());
    let changed =
        |path: &Path| rustix::fs::stat(path).map(|stat| (stat.st_ctime, stat.st_ctime_nsec)).unwrap();
    let last = changed(&place.path);
    // Until the clock of the file system has moved on.
    while changed(&place.path) == last {
        write(&place.path, same_length.as_bytes(), 0o644);
        fs::File::options().write(true).open(&place.path).unwrap().set_modified(before).unwrap();
    }
    assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
    assert_eq!(file.allowlist().check(node(1), &keypair(3).public()), Ok(()));
}

#[test]
fn s11_nobody_sees_a_list_between_two_states() {
    // Node 1 is listed always, in the last line; everything before it comes and goes.
    let others: String = (100..400).map(|id| format!("{id} {:064x}\n", u32::from(id as u16))).collect();
    let place = Place::with(&line(1, 1));
    let mut file = AllowlistFile::load(&place.path).unwrap();
    let (list, key) = (file.allowlist().clone(), keypair(1).public());
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for round in 0..200 {
                place.put(if round % 2 == 0 { others.clone() + &line(1, 1) } else { line(1, 1) });
                assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
            }
        });
        let mut looks = 0;
        while !writing.is_finished() {
            assert_eq!(list.check(node(1), &key), Ok(()), "after {looks} looks");
            looks += 1;
        }
        writing.join().unwrap();
    });
}

/// Whether node 1 with such a key gets to node 2, which has the list of the file, and a link that is up may stay.
fn gets_in(file: &AllowlistFile, key: u16) -> bool {
    let one = NoiseXx::new(keypair(key), allowlist());
    let two = NoiseXx::new(keypair(2), file.allowlist().clone());
    let link = Link::new(End::dialer(&one, remote(1)), End::listener(&two, remote(2))).run();
    let is_up = link.is_up();
    assert_eq!(is_up, file.allowlist().check(node(1), &keypair(key).public()).is_ok());
    is_up
}

#[test]
fn s11_a_key_is_exchanged_with_an_overlap_through_the_file() {
    let place = Place::with(&line(1, 1));
    let mut file = AllowlistFile::load(&place.path).unwrap();
    let mut step = |text: String, old, new| {
        place.put(text);
        assert_eq!(file.reload_if_changed().unwrap(), Reload::Replaced);
        assert_eq!((gets_in(&file, 1), gets_in(&file, 11)), (old, new));
    };
    step(line(1, 1), true, false);
    step(line(1, 1) + &line(1, 11), true, true);
    step(line(1, 11), false, true);
    // The same with keys that no line pins: the first that proves itself keeps the node id, so the overlap needs pins.
    let unpinned = |key: u16| format!("* {}\n", keypair(key).public().to_hex());
    step(unpinned(1) + &unpinned(11), true, false);
    step(unpinned(11), false, true);
}

#[test]
fn s11_a_list_that_is_there_takes_the_lines_of_a_file_and_keeps_what_was_revoked() {
    let place = Place::with(&(line(1, 1) + &line(3, 3)));
    let list = allowlist();
    let (one, three) = (keypair(1).public(), keypair(3).public());
    assert!(list.revoke(&one));
    let file = AllowlistFile::load_into(&place.path, list.clone()).unwrap();
    assert_eq!(list.check(node(3), &three), Ok(()));
    assert_eq!(list.check(node(1), &one), Err(Denied::Revoked));
    assert_eq!(file.allowlist().generation(), list.generation());
    assert_eq!(list.entries().len(), 2, "what the list had before is gone");

    place.put("nonsense\n");
    AllowlistFile::load_into(&place.path, list.clone()).expect_err("must not load");
    assert_eq!(list.entries().len(), 2);
}
