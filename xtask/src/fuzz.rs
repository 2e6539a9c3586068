//! `cargo xtask fuzz`: runs the fuzz targets under libFuzzer, with the address sanitizer.

use crate::{Failure, workspace};
use cargo_metadata::Metadata;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "hew-fuzz";
/// The program for all targets, and the variable that names one, as in `fuzz/src/lib.rs`.
const PROGRAM: &str = "fuzz-target";
const TARGET_VARIABLE: &str = "HEW_FUZZ_TARGET";

/// What libFuzzer needs to see which code an input reaches, and what makes more mistakes visible.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Cdebug-assertions=on \
    -Coverflow-checks=on";

/// Longest input, in bytes: longer ones are slower and reach nothing that these do not.
const INPUT_BYTES_MAX: usize = 4096;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Targets to run; all of them when none is named.
    targets: Vec<String>,
}

/// Where things are, below the folder for builds.
struct Places {
    built: PathBuf,
    /// What is run and what was learned: the seeds, and inputs that reached something new.
    corpus: PathBuf,
    /// Inputs that failed.
    artifacts: PathBuf,
    /// What was found before, in the repository.
    found: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let metadata = workspace::load()?;
    let places = Places::of(&metadata);
    let names = write_seeds(&metadata, &places.corpus)?;
    let chosen = select(&names, &options.targets).map_err(Failure::Usage)?;
    let program = build(&metadata, &places.built)?;
    std::fs::create_dir_all(&places.artifacts)
        .map_err(|cause| Failure::broken(places.artifacts.display(), cause))?;
    let mut failed = Vec::new();
    for name in chosen {
        println!("\n{name}: {} s", options.seconds);
        let mut fuzzer = fuzzer(&program, &places, name, options.seconds);
        let status = fuzzer.status().map_err(|cause| Failure::broken(program.display(), cause))?;
        if !status.success() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    println!("\nfailed: {}; the inputs are in {}", failed.join(", "), places.artifacts.display());
    Err(Failure::Reported)
}

impl Places {
    fn of(metadata: &Metadata) -> Places {
        let root = metadata.target_directory.as_std_path().join("fuzz");
        Places {
            corpus: root.join("corpus"),
            artifacts: root.join("artifacts"),
            built: root,
            found: metadata.workspace_root.as_std_path().join("fuzz/corpus"),
        }
    }
}

/// Writes them, and gives the names of all targets.
fn write_seeds(metadata: &Metadata, folder: &Path) -> Result<Vec<String>, Failure> {
    let mut cargo = workspace::cargo(metadata);
    cargo.args(["run", "--quiet", "-p", PACKAGE, "--bin", "fuzz-seeds", "--"]).arg(folder);
    let output = cargo.output().map_err(|cause| Failure::broken("cargo run does not start", cause))?;
    if !output.status.success() {
        return Err(Failure::Broken(format!("no seeds: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(String::from).collect())
}

/// The targets that were asked for, each once.
fn select<'n>(names: &'n [String], wanted: &[String]) -> Result<Vec<&'n str>, String> {
    if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted)) {
        return Err(format!("no fuzz target is called `{unknown}`; there are: {}", names.join(", ")));
    }
    let is_wanted = |name: &&String| wanted.is_empty() || wanted.contains(name);
    Ok(names.iter().filter(is_wanted).map(String::as_str).collect())
}

/// Builds the program in a folder of its own, because the flags change every crate.
fn build(metadata: &Metadata, folder: &Path) -> Result<PathBuf, Failure> {
    // Named, so that the flags are not for build scripts and macros.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = workspace::cargo(metadata);
    cargo.args(["build", "--release", "-p", PACKAGE, "--bin", PROGRAM, "--features", "libfuzzer"]);
    cargo.args(["--target", &target]).arg("--target-dir").arg(folder);
    // The sanitizers are in every compiler, but only unstable flags turn them on.
    cargo.env("RUSTFLAGS", FLAGS).env("RUSTC_BOOTSTRAP", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
    let status = cargo.status().map_err(|cause| Failure::broken("cargo build does not start", cause))?;
    if !status.success() {
        return Err(Failure::Broken("building the fuzz targets failed, nothing was run".into()));
    }
    Ok(folder.join(target).join("release").join(PROGRAM))
}

fn fuzzer(program: &Path, places: &Places, name: &str, seconds: u32) -> Command {
    let mut fuzzer = Command::new(program);
    fuzzer.env(TARGET_VARIABLE, name);
    // New inputs go to the first folder.
    fuzzer.arg(places.corpus.join(name));
    let found = places.found.join(name);
    if found.is_dir() {
        fuzzer.arg(found);
    }
    fuzzer.arg(format!("-max_total_time={seconds}"));
    fuzzer.arg(format!("-max_len={INPUT_BYTES_MAX}"));
    fuzzer.arg(format!("-artifact_prefix={}/{name}-", places.artifacts.display()));
    fuzzer.args([
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        "-print_funcs=0",
        "-verbosity=0",
    ]);
    fuzzer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn targets_are_chosen_by_name() {
        let names = words(&["frames", "hello", "control"]);
        assert_eq!(select(&names, &[]), Ok(vec!["frames", "hello", "control"]));
        assert_eq!(select(&names, &words(&["control", "frames", "frames"])), Ok(vec!["frames", "control"]));
        let error = select(&names, &words(&["nothing"])).unwrap_err();
        assert!(error.contains("`nothing`") && error.contains("frames, hello, control"), "{error}");
    }

    #[test]
    fn findings_of_before_are_run_too() {
        let places = Places::of(&workspace::load().unwrap());
        let command = fuzzer(Path::new("program"), &places, "hello", 7);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert!(arguments[0].ends_with("/fuzz/corpus/hello"), "{arguments:?}");
        assert!(arguments.iter().any(|argument| argument == "-max_total_time=7"), "{arguments:?}");
        assert!(places.found.join("README.md").is_file());
    }
}
