//! `cargo xtask test`: everything that can be tested, one summary line.

use crate::{Failure, checked, workspace};
use cargo_metadata::Metadata;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Where tests find `hewctl` and `libhew`; without it they look beside their own executable.
const BINARIES_VARIABLE: &str = "HEW_BIN_DIR";

/// Packages whose products (a command, C libraries) other tests start or link.
const PREBUILT: [&str; 2] = ["hewctl", "hew-capi"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passed to `cargo test` as they are, for example `-- -p hew-wire name` or `-- -- --nocapture`.
    #[arg(last = true)]
    extra: Vec<OsString>,
}

/// Tests counted from the lines `test result: …` of any number of test executables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let metadata = workspace::load()?;
    let release = options.extra.iter().take_while(|word| *word != "--").any(|word| word == "--release");
    if let Err(cause) = build_binaries(&metadata, release) {
        // Whoever reads only the last line must not take silence for success.
        println!("\n{}", Count::default().after_exit(false));
        return Err(cause);
    }

    let mut cargo = workspace::cargo(&metadata);
    let profile = if release { "release" } else { "debug" };
    cargo.env(BINARIES_VARIABLE, metadata.target_directory.join(profile));
    cargo.args(test_arguments(&options.extra));
    let (count, succeeded) = stream(cargo, &mut std::io::stdout())?;
    let mut count = count.after_exit(succeeded);
    if options.extra.is_empty() {
        for build in checked::BUILDS {
            count = count.plus(build.run(&metadata)?);
        }
    }
    if count.ignored > 0 {
        println!("\n{} ignored", count.ignored);
    }
    println!("\n{count}");
    if count.failed == 0 { Ok(()) } else { Err(Failure::Reported) }
}

/// Integration tests start real processes and C programs, which `cargo test` alone would not build.
fn build_binaries(metadata: &Metadata, release: bool) -> Result<(), Failure> {
    let mut cargo = workspace::cargo(metadata);
    cargo.arg("build");
    for package in PREBUILT {
        cargo.args(["-p", package]);
    }
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(|cause| Failure::broken("cargo build does not start", cause))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Broken(format!("building {} failed, no test was run", PREBUILT.join(" and "))))
    }
}

/// `cargo test` without a target selection means unit, integration and documentation tests, and builds the examples.
/// Benchmarks are left out: their executables would run in full.
fn test_arguments(extra: &[OsString]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["test".into(), "--no-fail-fast".into()];
    let selects = |word: &OsString| {
        let word = word.to_string_lossy();
        word == "-p" || word.starts_with("--package") || word == "--workspace"
    };
    if !extra.iter().take_while(|word| *word != "--").any(selects) {
        arguments.push("--workspace".into());
    }
    arguments.extend_from_slice(extra);
    arguments
}

/// Runs `command`, shows its output on `screen` while it comes, and counts. Says too whether the command succeeded.
pub(crate) fn stream(mut command: Command, screen: &mut impl Write) -> Result<(Count, bool), Failure> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| Failure::broken("cargo test does not start", cause))?;
    let output = child.stdout.take().expect("stdout was piped above");
    let mut count = Count::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    // Bytes, not text: a test may print what is not UTF-8, and its result still counts.
    while reader
        .read_until(b'\n', &mut line)
        .map_err(|cause| Failure::broken("reading from cargo test", cause))?
        > 0
    {
        screen.write_all(&line).map_err(|cause| Failure::broken("writing the output", cause))?;
        count.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().map_err(|cause| Failure::broken("waiting for cargo test", cause))?;
    Ok((count, status.success()))
}

impl Count {
    fn plus(self, other: Count) -> Count {
        Count {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }

    /// Adds `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; …`; any other line changes nothing.
    fn add_line(&mut self, line: &str) {
        // A test that leaves its line open pushes the result away from the start of the line.
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let Some((_, numbers)) = result.split_once(". ") else { return };
        for part in numbers.split(';') {
            let mut words = part.split_whitespace();
            let (Some(number), Some(kind)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match kind {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// A test executable that does not compile or is killed prints no result: cargo's own failure counts as one.
    pub(crate) fn after_exit(mut self, succeeded: bool) -> Count {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

/// The summary line. Scripts read it: it stays as it is.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    #[test]
    fn results_are_summed_and_other_lines_ignored() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "noise without a newline test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 9 filtered out",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "test result: nonsense",
            "7 passed",
        ] {
            count.add_line(line);
        }
        assert_eq!(count, Count { passed: 14, failed: 4, ignored: 1 });
        assert_eq!(count.to_string(), "14 passed, 4 failed");
        let more = Count { passed: 1, failed: 2, ignored: 3 };
        assert_eq!(count.plus(more), Count { passed: 15, failed: 6, ignored: 4 });
    }

    #[test]
    fn a_run_that_dies_without_a_result_is_a_failure() {
        let good = Count { passed: 5, failed: 0, ignored: 0 };
        assert_eq!(good.after_exit(true), good);
        assert_eq!(good.after_exit(false).failed, 1);
        assert_eq!(Count { failed: 2, ..good }.after_exit(false).failed, 2);
    }

    #[test]
    fn two_runs_add_up() {
        let (first, second) =
            (Count { passed: 5, failed: 1, ignored: 2 }, Count { passed: 40, failed: 0, ignored: 7 });
        assert_eq!(first.plus(second), Count { passed: 45, failed: 1, ignored: 9 });
    }

    #[test]
    fn the_output_of_a_command_is_counted() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "printf 'x\\377test result: ok. 4 passed; 1 failed; 0 ignored\\n'; exit 3"]);
        let mut screen = Vec::new();
        let (count, succeeded) = stream(shell, &mut screen).unwrap();
        assert_eq!(screen, b"x\xfftest result: ok. 4 passed; 1 failed; 0 ignored\n");
        assert_eq!((count.passed, count.failed, succeeded), (4, 1, false));
    }

    #[test]
    fn a_selection_of_packages_replaces_the_workspace() {
        assert_eq!(test_arguments(&[]), words(&["test", "--no-fail-fast", "--workspace"]));
        assert_eq!(
            test_arguments(&words(&["-p", "hew-wire"])),
            words(&["test", "--no-fail-fast", "-p", "hew-wire"])
        );
        assert_eq!(
            test_arguments(&words(&["--", "-p"])),
            words(&["test", "--no-fail-fast", "--workspace", "--", "-p"])
        );
    }
}
