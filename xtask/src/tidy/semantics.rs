//! Rule: each promise in `docs/semantics.md` names a test that exists.

use super::finding::Finding;
use super::lexer::{Kind, Token, without_tests};
use super::source::Source;
use std::collections::BTreeSet;

/// Where the promises are.
const PATH: &str = "docs/semantics.md";

/// A list item: one promise, with the names behind its word "test".
#[derive(Debug, PartialEq, Eq)]
struct Promise {
    line: usize,
    tests: Vec<String>,
}

/// A function that a promise may name.
struct TestFunction {
    path: String,
    package: String,
    name: String,
}

/// Compares the promises with the tests of the whole workspace.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let Some(document) = sources.iter().find(|source| source.path == PATH) else {
        return vec![Finding::new(PATH, 0, "does not exist")];
    };
    let promises = promises(&document.text);
    if promises.is_empty() {
        return vec![Finding::new(
            PATH,
            0,
            "promises nothing: each promise is a list item that names its test",
        )];
    }
    let functions: Vec<TestFunction> =
        sources.iter().filter(|source| source.is_rust()).flat_map(test_functions).collect();
    let mut findings = Vec::new();
    for promise in promises {
        if promise.tests.is_empty() {
            findings.push(Finding::new(PATH, promise.line, "this promise names no test: `… — test `name``"));
        }
        for test in
            promise.tests.iter().filter(|test| !functions.iter().any(|function| function.is_called(test)))
        {
            findings.push(Finding::new(PATH, promise.line, format!("there is no test `{test}`")));
        }
    }
    findings
}

/// The names of all tests.
pub(super) fn names_of_tests(sources: &[Source]) -> BTreeSet<String> {
    let functions = sources.iter().filter(|source| source.is_rust()).flat_map(test_functions);
    functions.map(|function| function.name).collect()
}

impl TestFunction {
    /// Whether `reference` means this one: `name`, `file.rs::name` or `crate::module::name`.
    fn is_called(&self, reference: &str) -> bool {
        let Some((place, name)) = reference.rsplit_once("::") else { return self.name == reference };
        let in_place = if place.contains(".rs") {
            self.path == place || self.path.ends_with(&format!("/{place}"))
        } else {
            let package = place.split("::").next().unwrap_or_default();
            package.replace('_', "-") == self.package || package == "crate"
        };
        self.name == name && in_place
    }
}

/// The list items of `text`, each with its continuation lines.
fn promises(text: &str) -> Vec<Promise> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(item) = line.strip_prefix("- ") {
            items.push((index + 1, item.to_string()));
            open = true;
        } else if open && line.starts_with(' ') {
            let (_, item) = items.last_mut().expect("an item is open");
            item.push(' ');
            item.push_str(line.trim());
        } else {
            open = false;
        }
    }
    items.into_iter().map(|(line, item)| Promise { line, tests: named_tests(&item) }).collect()
}

/// The names in backticks behind the last word "test" or "tests" that one of them follows.
fn named_tests(item: &str) -> Vec<String> {
    let is_whole = |at: usize, length: usize| {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '`');
        let rest = item[at + length..].trim_start_matches('s');
        !item[..at].ends_with(word) && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    // A word inside backticks is a name, not the word that announces names.
    let outside = |at: usize| item[..at].matches('`').count().is_multiple_of(2);
    let announcements =
        item.rmatch_indices("test").filter(|(at, word)| is_whole(*at, word.len()) && outside(*at));
    announcements
        .map(|(at, _)| item[at..].split('`').skip(1).step_by(2).map(String::from).collect::<Vec<_>>())
        .find(|names| !names.is_empty())
        .unwrap_or_default()
}

/// The functions in `source` that are tests, or belong to a kit that makes tests of them by a macro.
fn test_functions(source: &Source) -> Vec<TestFunction> {
    let tokens = source.tokens();
    let test_lines = without_tests(&tokens).1;
    let is_kit = ["testkit", "conformance"].iter().any(|word| source.path.contains(word));
    tokens
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0].is_word("fn") && pair[1].kind == Kind::Word)
        .filter(|(at, pair)| {
            let within = test_lines.iter().any(|lines| lines.contains(&pair[1].line));
            source.is_test || is_kit || within || has_test_attribute(&tokens[..*at])
        })
        .map(|(_, pair)| TestFunction {
            path: source.path.clone(),
            package: source.package.clone(),
            name: pair[1].text.to_string(),
        })
        .collect()
}

/// Whether the attributes at the end of `before`, which a function follows, hold the word `test`.
fn has_test_attribute(before: &[Token<'_>]) -> bool {
    let words = before.iter().rev().take_while(|token| !matches!(token.text, ";" | "{" | "}"));
    words.into_iter().any(|token| token.is_word("test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Vec<String> {
        let sources = [
            Source::fixture(PATH, document),
            Source::fixture(
                "hew-node/src/link.rs",
                "fn deliver() {}\n#[cfg(test)] mod tests { #[test] fn one() {} }",
            ),
            Source::fixture("tests/tests/kill.rs", "#[test] fn two() {}"),
            Source::fixture("hew-transport/src/testkit/order.rs", "pub fn three() {}"),
            Source::fixture("hew-node/src/simulation.rs", "#[test]\nfn four() {}"),
        ];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn promises_with_tests_pass() {
        for document in [
            "# Title\ntext\n- A. — test `one`\n",
            "- A `x` is\n  kept — tests `one`,\n  `kill.rs::two`\n\ntext",
            "- B — test `hew_node::link::tests::one`; Test of the rest: none\n",
            "- C — test `hew-node::one`, `tests/tests/kill.rs::two`, `three` and `four`\n",
            "- D, see `test_x`, is so (test: `one`)\n",
        ] {
            assert_eq!(texts(document), [""; 0], "{document}");
        }
    }

    #[test]
    fn promises_without_tests_are_named() {
        for (document, expected) in [
            ("- A.\n", ":1: this promise names no test"),
            ("text\n- A `b` is latest `one`.\n", ":2: this promise names no test"),
            ("- A — test `gone`\n", "there is no test `gone`"),
            ("- A — test `deliver`\n", "there is no test `deliver`"),
            ("- A — tests `one`, `gone`\n", "there is no test `gone`"),
            ("- A — test `other.rs::one`\n", "there is no test `other.rs::one`"),
            ("- A — test `hew_wire::one`\n", "there is no test `hew_wire::one`"),
            ("# Title\n", "promises nothing"),
        ] {
            let found = texts(document);
            assert!(found.len() == 1 && found[0].contains(expected), "{document}: {found:?}");
        }
    }

    #[test]
    fn a_missing_document_is_an_error() {
        assert_eq!(check(&[]).len(), 1);
    }
}
