//! Rule: a crate imports only what lies below it.

use super::finding::Finding;
use cargo_metadata::{DependencyKind, Metadata};

const WIRE: &[&str] = &["hew-wire"];
const BELOW_NODE: &[&str] =
    &["hew-wire", "hew-transport", "hew-security", "hew-cluster", "hew-registry", "hew-actor"];
const BELOW_TOP: &[&str] =
    &["hew-wire", "hew-transport", "hew-security", "hew-cluster", "hew-registry", "hew-actor", "hew-node"];

/// Each crate with those of ours that it may import, as ARCHITECTURE.md draws them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("hew-wire", &[]),
    ("hew-transport", WIRE),
    ("hew-security", WIRE),
    ("hew-cluster", WIRE),
    ("hew-registry", WIRE),
    ("hew-actor", WIRE),
    ("hew-node", BELOW_NODE),
    ("hew-capi", BELOW_TOP),
    ("hewctl", BELOW_TOP),
    ("hew-transport-pipes", &["hew-transport"]),
    ("hew-tests", BELOW_TOP),
    ("hew-fuzz", BELOW_TOP),
    ("xtask", &[]),
];

/// Crates that end the graph: only the tests of the whole may look at them, in their dev-dependencies.
const NOBODY_IMPORTS: &[&str] = &["hew-capi", "hewctl", "hew-transport-pipes", "hew-fuzz", "xtask"];
const TESTS_OF_THE_WHOLE: &str = "hew-tests";

/// Features that give tests what a product must not have.
const FOR_TESTS: &[&str] = &["testkit", "fuzzing"];
/// Crates that are tests as a whole.
const MADE_OF_TESTS: &[&str] = &[TESTS_OF_THE_WHOLE, "hew-fuzz"];

/// One dependency between two crates of ours.
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    kind: DependencyKind,
}

/// Looks at the dependencies that the manifests declare, used or not.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let ours = |name: &str| metadata.packages.iter().any(|package| package.name.as_str() == name);
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let manifest = manifest_path(metadata, package);
        let from = package.name.as_str();
        if allowed(from).is_none() {
            let text = format!("{from} has no row in the layer table (xtask/src/tidy/layers.rs)");
            findings.push(Finding::new(&manifest, 0, text));
            continue;
        }
        for dependency in package.dependencies.iter().filter(|dependency| ours(&dependency.name)) {
            let edge = Edge { from, to: &dependency.name, kind: dependency.kind };
            let found = [judge(&edge), for_tests(&edge, &dependency.features)];
            findings.extend(found.into_iter().flatten().map(|text| Finding::new(&manifest, 0, text)));
        }
    }
    findings
}

/// The manifest of `package`, from the root of the workspace.
pub(super) fn manifest_path(metadata: &Metadata, package: &cargo_metadata::Package) -> String {
    let path = &package.manifest_path;
    path.strip_prefix(&metadata.workspace_root).unwrap_or(path).to_string()
}

fn allowed(from: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(name, _)| *name == from).map(|(_, targets)| *targets)
}

fn judge(edge: &Edge<'_>) -> Option<String> {
    let Edge { from, to, kind } = *edge;
    let may = allowed(from).unwrap_or_default();
    let fine = match kind {
        DependencyKind::Development => from == TESTS_OF_THE_WHOLE || !NOBODY_IMPORTS.contains(&to),
        _ => may.contains(&to),
    };
    if fine {
        return None;
    }
    let list = if may.is_empty() { "none of ours".to_string() } else { may.join(", ") };
    Some(format!(
        "{from} imports {to} ({kind} dependency), which its layer does not allow; it may import {list}"
    ))
}

/// Features for tests are turned on by tests only.
fn for_tests(edge: &Edge<'_>, features: &[String]) -> Option<String> {
    let Edge { from, to, kind } = *edge;
    if kind == DependencyKind::Development || MADE_OF_TESTS.contains(&from) {
        return None;
    }
    let feature = features.iter().find(|feature| FOR_TESTS.contains(&feature.as_str()))?;
    Some(format!("{from} turns on `{feature}` of {to}, which is for tests: [dev-dependencies]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DependencyKind::{Build, Development, Normal};

    fn is_refused(from: &str, to: &str, kind: DependencyKind) -> bool {
        judge(&Edge { from, to, kind }).is_some()
    }

    #[test]
    fn what_is_for_tests_stays_with_tests() {
        for (from, kind, feature, refused) in [
            ("hew-node", Normal, "testkit", true),
            ("hewctl", Build, "fuzzing", true),
            ("hew-node", Normal, "risky-raw-split", false),
            ("hew-node", Development, "testkit", false),
            ("hew-tests", Normal, "testkit", false),
            ("hew-fuzz", Normal, "fuzzing", false),
        ] {
            let edge = Edge { from, to: "hew-security", kind };
            let found = for_tests(&edge, &["std".into(), feature.into()]);
            assert_eq!(found.is_some(), refused, "{from} {kind} {feature}");
        }
    }

    #[test]
    fn the_layers_hold() {
        for (from, to, kind, refused) in [
            ("hew-cluster", "hew-wire", Normal, false),
            ("hew-cluster", "hew-registry", Normal, true),
            ("hew-cluster", "hew-registry", Build, true),
            ("hew-cluster", "hew-registry", Development, false),
            ("hew-wire", "hew-actor", Normal, true),
            ("hew-node", "hew-actor", Normal, false),
            ("hew-node", "hew-capi", Normal, true),
            ("hew-node", "hew-capi", Development, true),
            ("hew-capi", "hew-node", Normal, false),
            ("hewctl", "hew-node", Normal, false),
            ("hewctl", "hew-capi", Normal, true),
            ("hew-tests", "hew-node", Normal, false),
            ("hew-tests", "hewctl", Normal, true),
            ("hew-tests", "hewctl", Development, false),
            ("hew-transport-pipes", "hew-transport", Normal, false),
            ("hew-transport-pipes", "hew-node", Normal, true),
            ("hew-transport-pipes", "hew-node", Development, false),
            ("xtask", "hew-wire", Normal, true),
        ] {
            assert_eq!(is_refused(from, to, kind), refused, "{from} -> {to} ({kind})");
        }
    }

    #[test]
    fn the_message_names_both_crates_and_the_rule() {
        let text = judge(&Edge { from: "hew-cluster", to: "hew-registry", kind: Normal }).unwrap();
        assert!(
            text.contains("hew-cluster imports hew-registry") && text.contains("may import hew-wire"),
            "{text}"
        );
    }

    #[test]
    fn every_row_of_the_table_is_a_crate_that_exists() {
        let metadata = crate::workspace::load().unwrap();
        for (name, targets) in ALLOWED {
            for name in [*name].iter().chain(*targets) {
                assert!(metadata.packages.iter().any(|package| package.name.as_str() == *name), "{name}");
            }
        }
    }
}
