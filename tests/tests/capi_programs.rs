//! C programs in one process: what they check themselves, and what valgrind finds.

#![allow(clippy::unwrap_used, reason = "a step that fails ends the test")]

mod capi;

use capi::{BOTH, Library, compile, succeed};
use std::net::TcpListener;
use std::process::{Command, Stdio};

#[test]
fn actors_in_c() {
    for library in BOTH {
        assert_eq!(compile("actors", library).run::<&str>(&[]), "done\n");
    }
}

#[test]
fn actors_in_c_on_one_worker() {
    let program = compile("actors", Library::Static);
    assert_eq!(succeed(program.command().env("HEW_WORKERS", "1")), "done\n");
}

#[test]
fn supervision_trees_in_c() {
    for library in BOTH {
        assert_eq!(compile("supervisors", library).run::<&str>(&[]), "done\n");
    }
}

#[test]
fn transports_in_c() {
    for library in BOTH {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(compile("transports", library).run(&[directory.path()]), "done\n");
    }
}

#[test]
fn rights_in_c() {
    for library in BOTH {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(compile("rights", library).run(&[directory.path()]), "done\n");
    }
}

#[test]
fn settings_in_c() {
    for library in BOTH {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(compile("settings", library).run(&[directory.path()]), "done\n");
    }
}

#[test]
fn misuse_is_reported_and_never_crashes() {
    for library in BOTH {
        assert_eq!(compile("misuse", library).run::<&str>(&[]), "done\n");
    }
}

#[test]
fn bad_input_has_a_code_and_a_text() {
    let program = compile("bad_input", Library::Static);
    let directory = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    assert_eq!(program.run(&[directory.path().to_str().unwrap(), &address]), "done\n");
}

#[test]
fn layouts_in_c() {
    assert_eq!(compile("layout", Library::Static).run::<&str>(&[]), "done\n");
}

/// Reads and writes of memory that is not the program's, and memory that is lost.
#[test]
fn valgrind_finds_nothing() {
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("valgrind is not installed, nothing was checked");
        return;
    }
    for name in ["actors", "misuse", "supervisors"] {
        let program = compile(name, Library::Static);
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"])
            // One thread runs at a time; without this, one that spins can keep the others from running.
            .args(["--fair-sched=yes", "--max-threads=1000", "--quiet"])
            .env("HEW_WORKERS", "2")
            .arg(program.path());
        assert_eq!(succeed(&mut valgrind), "done\n");
    }
}
