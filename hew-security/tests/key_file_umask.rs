//! S12: the umask neither opens a key file nor closes it too far. Alone in its process, which has one umask.

use hew_security::{Overwrite, StaticKeypair};
use rustix::fs::Mode;
use std::os::unix::fs::MetadataExt;

#[test]
fn s12_any_umask_gives_0600() {
    let directory = tempfile::tempdir().unwrap();
    let pair = StaticKeypair::generate().unwrap();
    let before = rustix::process::umask(Mode::empty());
    for umask in [0o000, 0o022, 0o077, 0o777] {
        rustix::process::umask(Mode::from_raw_mode(umask));
        let path = directory.path().join(format!("{umask:o}"));
        pair.save(&path, Overwrite::Refuse).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600, "umask {umask:03o}");
        assert!(StaticKeypair::load(&path).is_ok());
    }
    rustix::process::umask(before);
}
