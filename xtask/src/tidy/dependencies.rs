//! Rule: each dependency was chosen, and the choice is written down.

use super::finding::Finding;
use super::layers::manifest_path;
use super::source::Source;
use cargo_metadata::Metadata;
use std::collections::BTreeSet;

/// Where the choices are.
const RECORD: &str = "docs/decisions/dependencies.md";
const MANIFEST: &str = "Cargo.toml";

/// Compares the record with the table of the workspace, and the table with what the crates use.
pub(super) fn check(metadata: &Metadata, sources: &[Source]) -> Vec<Finding> {
    let text =
        |path: &str| sources.iter().find(|source| source.path == path).map(|source| source.text.as_str());
    let declared = match declared(text(MANIFEST).unwrap_or_default()) {
        Ok(declared) => declared,
        Err(cause) => return vec![Finding::new(MANIFEST, 0, cause)],
    };
    let Some(record) = text(RECORD) else { return vec![Finding::new(RECORD, 0, "does not exist")] };
    let mut findings = compare(&declared, record);
    for package in &metadata.packages {
        let foreign = package.dependencies.iter().filter(|dependency| dependency.path.is_none());
        for dependency in foreign.filter(|dependency| !declared.contains(&dependency.name)) {
            let text = format!("`{}` is not in [workspace.dependencies]", dependency.name);
            findings.push(Finding::new(&manifest_path(metadata, package), 0, text));
        }
    }
    findings
}

/// The names in `[workspace.dependencies]` that are not crates of ours.
fn declared(manifest: &str) -> Result<BTreeSet<String>, String> {
    let manifest: toml::Table = manifest.parse().map_err(|cause| format!("cannot be read: {cause}"))?;
    let table = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table)
        .ok_or("has no [workspace.dependencies]")?;
    Ok(table.iter().filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name.clone()).collect())
}

/// Rows of the record are `` | `name` | what for | why this one | ``.
fn compare(declared: &BTreeSet<String>, record: &str) -> Vec<Finding> {
    let (mut findings, mut recorded) = (Vec::new(), BTreeSet::new());
    for (index, line) in record.lines().enumerate() {
        let Some((name, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) else {
            continue;
        };
        let mut complain = |text: String| findings.push(Finding::new(RECORD, index + 1, text));
        if !declared.contains(name) {
            complain(format!("`{name}` is not in [workspace.dependencies]"));
        }
        if !recorded.insert(name) {
            complain(format!("`{name}` has two rows"));
        }
        let cells: Vec<&str> = rest.trim().trim_matches('|').split('|').map(str::trim).collect();
        if cells.len() != 2 || cells.iter().any(|cell| cell.is_empty()) {
            complain(format!("the row of `{name}` must say what for and why this one"));
        }
    }
    for name in declared.iter().filter(|name| !recorded.contains(name.as_str())) {
        findings.push(Finding::new(
            RECORD,
            0,
            format!("`{name}` has no row: what is it for, and why this one?"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST_TEXT: &str = "[workspace.dependencies]\nhew-wire = { path = \"w\" }\nsnow = \"0.10\"\n\
        serde = { version = \"1\" }";

    fn texts(record: &str) -> Vec<String> {
        compare(&declared(MANIFEST_TEXT).unwrap(), record).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn our_own_crates_need_no_reason() {
        let names: Vec<_> = declared(MANIFEST_TEXT).unwrap().into_iter().collect();
        assert_eq!(names, ["serde", "snow"]);
        assert!(declared("[package]").is_err());
        assert!(declared("= nonsense").is_err());
    }

    #[test]
    fn a_complete_record_passes() {
        let record =
            "# Title\n| crate | for | why |\n|---|---|---|\n| `serde` | a | b |\n| `snow` | c `d` | e |\n";
        assert_eq!(texts(record), [""; 0]);
    }

    #[test]
    fn every_difference_is_named() {
        for (record, expected) in [
            ("| `serde` | a | b |", "`snow` has no row"),
            ("| `serde` | a | b |\n| `snow` | a | b |\n| `rand` | a | b |", ":3: `rand` is not in"),
            ("| `serde` | a | b |\n| `snow` | a | |", ":2: the row of `snow` must say"),
            ("| `serde` | a | b |\n| `snow` | a |", ":2: the row of `snow` must say"),
            ("| `serde` | a | b |\n| `snow` | a | b |\n| `snow` | a | b |", ":3: `snow` has two rows"),
        ] {
            let found = texts(record);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_crate_that_goes_around_the_table_is_refused() {
        let metadata = crate::workspace::load().unwrap();
        let manifest = Source::fixture(MANIFEST, "[workspace.dependencies]\n");
        let findings = check(&metadata, &[manifest, Source::fixture(RECORD, "")]);
        assert!(
            findings.iter().any(|f| f.path == "xtask/Cargo.toml" && f.text.contains("`clap`")),
            "{findings:?}"
        );
    }
}
