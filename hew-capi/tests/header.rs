//! The header is what this crate says, and it compiles alone, twice, as C and as C++.

#![allow(clippy::unwrap_used, reason = "a step that fails ends the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to rewrite the committed files instead of comparing them.
const BLESS: &str = "BLESS";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    config.header = Some(fs::read_to_string(root().join("src/conventions.h")).unwrap());
    let mut header = Vec::new();
    let bindings = cbindgen::Builder::new()
        .with_crate(root())
        .with_config(config)
        .generate()
        .expect("cbindgen reads the crate");
    bindings.write(&mut header);
    String::from_utf8(header).unwrap()
}

fn compare(path: &str, made: &str) {
    let path = root().join(path);
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{} is not what the crate says; `{BLESS}=1 cargo test -p hew-capi --test header` writes it anew",
        path.display()
    );
}

/// The functions that a header declares.
fn declared(header: &str) -> Vec<String> {
    let mut names = Vec::new();
    // Comments out, so that a function that is only mentioned does not count.
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").unwrap().1;
    }
    code.push_str(rest);
    let bytes = code.as_bytes();
    for (at, _) in code.match_indices("hew_") {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let end = at + code[at..].bytes().take_while(|byte| word(*byte)).count();
        if (at == 0 || !word(bytes[at - 1])) && bytes.get(end) == Some(&b'(') {
            names.push(code[at..end].to_owned());
        }
    }
    names.sort();
    names
}

#[test]
fn header_is_current() {
    compare("include/hew.h", &generated());
}

#[test]
fn symbols_are_the_declared_functions() {
    let names = declared(&generated());
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique, "a function is declared twice");
    compare("symbols.txt", &(names.join("\n") + "\n"));
}

#[test]
fn header_compiles_alone_and_twice() {
    let directory = tempfile::tempdir().unwrap();
    let include = root().join("include");
    for (extension, compiler, standard) in [("c", "cc", "-std=c11"), ("cpp", "c++", "-std=c++17")] {
        for (name, includes) in [("once", 1), ("twice", 2)] {
            let source = directory.path().join(format!("{name}.{extension}"));
            fs::write(&source, "#include <hew.h>\n".repeat(includes)).unwrap();
            compile(compiler, standard, &include, &source);
        }
    }
}

fn compile(compiler: &str, standard: &str, include: &Path, source: &Path) {
    let output = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(include)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} does not start: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} {standard} {}: {errors}", source.display());
}

#[test]
fn mentions_in_comments_are_not_declarations() {
    assert_eq!(
        declared("/* hew_a(x) */ int hew_b(void); /* hew_c(\n) */ void\nhew_d(int a); xhew_e(1)"),
        ["hew_b", "hew_d"]
    );
}
