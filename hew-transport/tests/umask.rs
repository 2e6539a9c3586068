//! A process whose umask takes everything away, or nothing: the file of a Unix socket has the mode that was asked for.
//!
//! One test only in this file, because the umask holds for the whole process.

#![allow(clippy::unwrap_used)]

use futures_lite::future::block_on;
use hew_transport::{Addr, Transport, Unix};
use rustix::fs::Mode;
use rustix::process::umask;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_umask_does_not_decide_who_may_connect() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let addr = Addr::unix(&path).unwrap();
    for mask in [Mode::empty(), Mode::from_raw_mode(0o777)] {
        umask(mask);
        for (unix, mode) in
            [(Unix::new(), 0o600), (Unix::new().mode(0o660), 0o660), (Unix::new().mode(0o107_777), 0o777)]
        {
            let listener = block_on(unix.listen(&addr)).unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
                mode,
                "with umask {mask:?}"
            );
            drop(listener);
        }
    }
}
