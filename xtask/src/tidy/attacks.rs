//! Rule: what `docs/security.md` says to show that an attack fails is there.
//!
//! A row of its table ends with a cell in which names in backticks are tests or fuzz targets, and names in brackets rows of
//! the evil peer. What nothing shows yet is named there too, behind "Missing".

use super::finding::Finding;
use super::semantics::names_of_tests;
use super::source::Source;
use std::collections::BTreeSet;

const PATH: &str = "docs/security.md";
/// Where fuzz targets are rows of a table.
const TARGETS: &str = "fuzz/src/lib.rs";
/// Where what the evil peer does has names.
const EVIL_PEER: &str = "tests/tests/evil_peer/";
/// Each needs a row: the last number behind each letter.
const REQUIREMENTS: [(char, u32); 2] = [('S', 16), ('W', 8)];

/// Compares the table with the tests of the whole workspace.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let Some(document) = sources.iter().find(|source| source.path == PATH) else {
        return vec![Finding::new(PATH, 0, "does not exist")];
    };
    let tests = names_of_tests(sources);
    let (mut findings, mut seen) = (Vec::new(), BTreeSet::new());
    for (line, text) in document.lines() {
        let Some((requirement, shown_by)) = row(text) else { continue };
        seen.insert(requirement.to_string());
        let mut complain = |text: String| findings.push(Finding::new(PATH, line, text));
        let (names, rows) = (quoted(shown_by, '`', '`'), quoted(shown_by, '[', ']'));
        if names.is_empty() && rows.is_empty() && !shown_by.contains("**Missing**") {
            complain(format!("{requirement}: neither a test, nor that one is missing"));
        }
        for name in names.iter().filter(|name| !tests.contains(**name) && !is_target(sources, name)) {
            complain(format!("{requirement}: there is no test or fuzz target `{name}`"));
        }
        for name in rows.iter().filter(|name| !is_row(sources, name)) {
            complain(format!("{requirement}: the evil peer has no row [{name}]"));
        }
    }
    let all = REQUIREMENTS.iter().flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}")));
    let without = all.filter(|requirement| !seen.contains(requirement));
    findings.extend(without.map(|requirement| Finding::new(PATH, 0, format!("{requirement} has no row"))));
    findings
}

/// The number and the last cell of a row of the table.
fn row(line: &str) -> Option<(&str, &str)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [number, _, shown_by] = cells[..] else { return None };
    let digits = number.strip_prefix(|c| REQUIREMENTS.iter().any(|(letter, _)| *letter == c))?;
    digits.parse::<u32>().ok().map(|_| (number, shown_by))
}

/// What stands between `open` and `close`; in brackets only if no link follows.
fn quoted(text: &str, open: char, close: char) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(open) {
        let Some((name, behind)) = after.split_once(close) else { break };
        if !behind.starts_with('(') {
            found.push(name);
        }
        rest = behind;
    }
    found
}

fn is_target(sources: &[Source], name: &str) -> bool {
    let row = format!("Target {{ name: \"{name}\"");
    sources.iter().any(|source| source.path == TARGETS && source.text.contains(&row))
}

fn is_row(sources: &[Source], name: &str) -> bool {
    let row = format!("\"{name}\"");
    sources.iter().any(|source| source.path.starts_with(EVIL_PEER) && source.text.contains(&row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(row: &str) -> Vec<String> {
        let rest = (2..=16).map(|n| format!("| S{n} | x | **Missing** |\n"));
        let rest = rest.chain((1..=8).map(|n| format!("| W{n} | x | **Missing** |\n")));
        let sources = [
            Source::fixture(PATH, &format!("{row}\n{}", rest.collect::<String>())),
            Source::fixture("a/tests/b.rs", "#[test] fn holds() {}"),
            Source::fixture("a/src/b.rs", "fn no_test() {}"),
            Source::fixture(TARGETS, "Target { name: \"records\", run: r }"),
            Source::fixture("tests/tests/evil_peer/records.rs", "row(\"a record twice\", f)"),
        ];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_there_passes() {
        for shown_by in [
            "`holds`",
            "fuzz target `records`",
            "[a record twice], `holds`. **Missing**: more",
            "**Missing**: all of it",
            "`holds`; [fuzzing.md](fuzzing.md)",
        ] {
            assert_eq!(texts(&format!("| S1 | x | {shown_by} |")), [""; 0], "{shown_by}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (row, expected) in [
            ("| S1 | x | `breaks` |", "docs/security.md:1: S1: there is no test or fuzz target `breaks`"),
            ("| S1 | x | `no_test` |", "no test or fuzz target `no_test`"),
            ("| S1 | x | [a record thrice] |", "no row [a record thrice]"),
            ("| S1 | x | by hand |", "neither a test"),
            ("| S | x | `holds` |", "S1 has no row"),
            ("", "S1 has no row"),
        ] {
            let found = texts(row);
            assert!(found.len() == 1 && found[0].contains(expected), "{row}: {found:?}");
        }
        assert_eq!(check(&[])[0].text, "does not exist");
    }
}
