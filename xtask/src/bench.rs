//! `cargo xtask bench`: runs benchmark suites and checks what they print.
//!
//! A suite is a bench target `benches/<suite>.rs` without the standard harness, in the crate it measures. Called with
//! `--json` it prints one object per line, as [`Measurement`] describes.

mod measurement;

use crate::{Failure, workspace};
use cargo_metadata::Metadata;
use measurement::{Measurement, table};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// A suite and the crate that holds it.
struct Suite {
    name: &'static str,
    package: &'static str,
}

/// Every suite, in the order in which they run when none is named.
const SUITES: [Suite; 4] = [
    Suite { name: "local", package: "hew-actor" },
    Suite { name: "savina", package: "hew-actor" },
    Suite { name: "security", package: "hew-security" },
    Suite { name: "remote", package: "hew-node" },
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print one JSON object per measurement and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// Suites to run; all of them when none is named.
    suites: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let suites = select(&options.suites).map_err(Failure::Usage)?;
    let metadata = workspace::load()?;
    let mut seen = BTreeSet::new();
    for suite in suites {
        require_target(&metadata, suite)?;
        let mut cargo = workspace::cargo(&metadata);
        cargo.args(["bench", "-p", suite.package, "--bench", suite.name, "--", "--json"]);
        let measurements = run_suite(suite.name, cargo, &mut seen, |line| {
            if options.json {
                println!("{line}");
            }
        })?;
        if !options.json {
            println!("{}", table(&measurements));
        }
    }
    Ok(())
}

/// The suites that were asked for, each once.
fn select(names: &[String]) -> Result<Vec<&'static Suite>, String> {
    if names.is_empty() {
        return Ok(SUITES.iter().collect());
    }
    let mut chosen: Vec<&'static Suite> = Vec::new();
    for name in names {
        let suite = SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| {
            let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
            format!("no benchmark suite is called `{name}`; there are: {}", known.join(", "))
        })?;
        if !chosen.iter().any(|other| other.name == suite.name) {
            chosen.push(suite);
        }
    }
    Ok(chosen)
}

/// Cargo's own message for a missing bench target would not say what to write where.
fn require_target(metadata: &Metadata, suite: &Suite) -> Result<(), Failure> {
    let exists = metadata
        .packages
        .iter()
        .filter(|package| package.name.as_str() == suite.package)
        .flat_map(|package| &package.targets)
        .any(|target| target.is_bench() && target.name == suite.name);
    if exists {
        return Ok(());
    }
    let Suite { name, package } = suite;
    Err(Failure::Broken(format!(
        "suite `{name}` needs a bench target `{name}` (benches/{name}.rs) in {package}"
    )))
}

/// Runs `command` and reads what it prints; `show` gets each good line as it comes.
fn run_suite(
    name: &str,
    mut command: Command,
    seen: &mut BTreeSet<String>,
    mut show: impl FnMut(&str),
) -> Result<Vec<Measurement>, Failure> {
    let label = format!("suite `{name}`");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|cause| Failure::broken(&label, cause))?;
    let output = child.stdout.take().expect("stdout was piped above");
    let mut measurements = Vec::new();
    let mut wrong = None;
    // Read to the end even after a wrong line: a suite must not die of a closed pipe.
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|cause| Failure::broken(&label, cause))?;
        if line.trim().is_empty() || wrong.is_some() {
            continue;
        }
        match accept(&line, seen) {
            Ok(measurement) => {
                show(&line);
                measurements.push(measurement);
            }
            Err(cause) => wrong = Some(format!("{label} printed a wrong line: {cause}: {line}")),
        }
    }
    let status = child.wait().map_err(|cause| Failure::broken(&label, cause))?;
    if let Some(text) = wrong {
        return Err(Failure::Broken(text));
    }
    if !status.success() {
        return Err(Failure::Broken(format!("{label} failed: {status}")));
    }
    if measurements.is_empty() {
        return Err(Failure::Broken(format!("{label} measured nothing")));
    }
    Ok(measurements)
}

/// Reads one line; a name may appear once in a run, because whoever compares two runs goes by it.
fn accept(line: &str, seen: &mut BTreeSet<String>) -> Result<Measurement, String> {
    let measurement = Measurement::parse(line)?;
    if !seen.insert(measurement.name.clone()) {
        return Err(format!("`{}` was measured before", measurement.name));
    }
    Ok(measurement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Result<Vec<&'static str>, String> {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        Ok(select(&list)?.iter().map(|suite| suite.name).collect())
    }

    #[test]
    fn suites_are_selected_by_name() {
        assert_eq!(names(&[]).unwrap(), ["local", "savina", "security", "remote"]);
        assert_eq!(names(&["remote"]).unwrap(), ["remote"]);
        assert_eq!(names(&["remote", "local", "remote"]).unwrap(), ["remote", "local"]);
    }

    #[test]
    fn an_unknown_suite_is_answered_with_the_known_ones() {
        let text = names(&["lokal"]).unwrap_err();
        assert!(text.contains("`lokal`") && text.contains("local, savina, security, remote"), "{text}");
    }

    #[test]
    fn a_name_is_measured_once() {
        let mut seen = BTreeSet::new();
        let line = r#"{"name":"local/ask","value":1,"unit":"ns"}"#;
        assert!(accept(line, &mut seen).is_ok());
        assert!(accept(line, &mut seen).unwrap_err().contains("`local/ask`"));
    }

    fn suite(script: &str) -> Result<(usize, Vec<String>), String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        let mut shown = Vec::new();
        match run_suite("local", shell, &mut BTreeSet::new(), |line| shown.push(line.to_string())) {
            Ok(measurements) => Ok((measurements.len(), shown)),
            Err(Failure::Broken(text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    const GOOD: &str = r#"echo '{"name":"local/ask","value":1,"unit":"ns"}'"#;

    #[test]
    fn good_lines_are_shown_as_they_are() {
        let (count, shown) = suite(&format!("{GOOD}; echo")).unwrap();
        assert_eq!((count, shown), (1, vec![r#"{"name":"local/ask","value":1,"unit":"ns"}"#.to_string()]));
    }

    #[test]
    fn a_suite_that_goes_wrong_fails() {
        for (script, cause) in [
            (format!("{GOOD}; echo warming up"), "wrong line"),
            (format!("{GOOD}; {GOOD}"), "measured before"),
            (format!("{GOOD}; exit 3"), "failed"),
            ("exit 0".to_string(), "measured nothing"),
        ] {
            let text = suite(&script).unwrap_err();
            assert!(text.contains("suite `local`") && text.contains(cause), "{script}: {text}");
        }
    }
}
