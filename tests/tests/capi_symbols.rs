//! What the libraries export is what the header declares, and the test of misuse knows all of it.

#![allow(clippy::unwrap_used, reason = "a step that fails ends the test")]

mod capi;

use capi::{libraries, root};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What `hew-capi/tests/header.rs` found in the header.
fn declared() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("hew-capi/symbols.txt")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn exported(library: &Path, dynamic: bool) -> BTreeSet<String> {
    let mut nm = Command::new("nm");
    nm.args(["--extern-only", "--defined-only", "--format=posix"]);
    if dynamic {
        nm.arg("--dynamic");
    }
    let output = nm.arg(library).output().unwrap_or_else(|error| panic!("nm does not start: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with("hew_")).map(str::to_owned).collect()
}

#[test]
fn libraries_export_what_the_header_declares() {
    let directory = libraries();
    assert_eq!(exported(&directory.join("libhew.so"), true), declared());
    assert_eq!(exported(&directory.join("libhew.a"), false), declared());
}

#[test]
fn every_function_with_a_pointer_is_called_with_null() {
    let header = std::fs::read_to_string(root().join("hew-capi/include/hew.h")).unwrap();
    let misuse = std::fs::read_to_string(root().join("tests/c/misuse.c")).unwrap();
    let missing: Vec<String> = declared()
        .into_iter()
        .filter(|name| {
            let at = header.rfind(&format!("{name}(")).unwrap();
            let arguments = header[at..].split_once(')').unwrap().0;
            arguments.contains('*') && !misuse.contains(&format!("{name}("))
        })
        .collect();
    assert_eq!(missing, [""; 0]);
}
