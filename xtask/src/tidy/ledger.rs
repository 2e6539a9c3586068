//! Rule: every file that contains `unsafe` stands in `docs/unsafe.md` with how often.
//!
//! A number that changes makes the ledger change with it, so that a review sees each unsafe block come and go.

use super::MAY_BE_UNSAFE;
use super::finding::Finding;
use super::lexer::{Kind, Token};
use super::source::Source;
use std::collections::BTreeMap;
use std::fmt;

/// Where the ledger is.
pub(super) const PATH: &str = "docs/unsafe.md";

const HEADING: &str = "| file | blocks | functions | impls | attributes | extern blocks | why |\n|---|--:|--:|--:|--:|--:|---|\n";
const BEGIN: &str =
    "<!-- ledger: written by `cargo xtask tidy --bless-unsafe`; the last column is yours -->\n";
const END: &str = "<!-- end of ledger -->\n";

/// How often `unsafe` occurs, by what it stands before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    blocks: usize,
    functions: usize,
    /// Of traits, and traits themselves.
    impls: usize,
    /// `#[unsafe(no_mangle)]` and its kind.
    attributes: usize,
    /// `unsafe extern "C" { … }`
    externs: usize,
}

/// The files that may contain `unsafe`.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rows: BTreeMap<String, (Count, String)>,
}

impl Count {
    fn of(tokens: &[Token<'_>]) -> Count {
        let mut count = Count::default();
        for (index, token) in tokens.iter().enumerate() {
            if !token.is_word("unsafe") {
                continue;
            }
            let mut rest = tokens[index + 1..].iter().peekable();
            let is_extern = rest.next_if(|t| t.is_word("extern")).is_some();
            if is_extern {
                rest.next_if(|t| t.kind == Kind::Literal);
            }
            match rest.next().map(|t| t.text) {
                Some("{") if is_extern => count.externs += 1,
                Some("{") => count.blocks += 1,
                // Naming the type of a function obliges nobody: `unsafe fn(u8)`.
                Some("fn") => {
                    count.functions += usize::from(rest.next().is_some_and(|t| t.kind == Kind::Word))
                }
                Some("impl" | "trait" | "auto") => count.impls += 1,
                Some("(") => count.attributes += 1,
                _ => count.blocks += 1,
            }
        }
        count
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { blocks, functions, impls, attributes, externs } = self;
        write!(
            f,
            "{blocks} blocks, {functions} functions, {impls} impls, {attributes} attributes, {externs} extern blocks"
        )
    }
}

impl Ledger {
    /// Reads the rows whose first cell is a path in backticks; other text is for people.
    ///
    /// # Errors
    /// Quotes the row that cannot be read.
    pub(super) fn parse(text: &str) -> Result<Ledger, String> {
        let mut ledger = Ledger::default();
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let wrong = || format!("this row is not file, five numbers, reason: {line}");
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            let [path, numbers @ .., why] = cells.as_slice() else { return Err(wrong()) };
            let numbers: Vec<usize> =
                numbers.iter().map(|cell| cell.parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
            let [blocks, functions, impls, attributes, externs] = numbers[..] else { return Err(wrong()) };
            let count = Count { blocks, functions, impls, attributes, externs };
            ledger.rows.insert(path.trim_matches('`').to_string(), (count, why.to_string()));
        }
        Ok(ledger)
    }

    pub(super) fn lists(&self, path: &str) -> bool {
        self.rows.contains_key(path)
    }
}

/// Compares the ledger with the files.
pub(super) fn check(sources: &[Source], ledger: &Ledger) -> Vec<Finding> {
    let mut findings = Vec::new();
    let counts: BTreeMap<_, _> = counted(sources).collect();
    for (path, (source, found)) in &counts {
        if !MAY_BE_UNSAFE.contains(&source.package.as_str()) && !source.is_test {
            let text = format!("contains unsafe code ({found}); only {} may", MAY_BE_UNSAFE.join(" and "));
            findings.push(Finding::new(path, 0, text));
        } else {
            match ledger.rows.get(*path) {
                None => {
                    findings.push(Finding::new(
                        path,
                        0,
                        format!("contains {found} and is not listed in {PATH}"),
                    ));
                }
                Some((listed, _)) if listed != found => {
                    findings.push(Finding::new(
                        path,
                        0,
                        format!("contains {found}, but {PATH} says {listed}"),
                    ));
                }
                Some((_, why)) if why.is_empty() => {
                    findings.push(Finding::new(PATH, 0, format!("`{path}` gives no reason")));
                }
                Some(_) => {}
            }
        }
    }
    for path in ledger.rows.keys().filter(|path| !counts.contains_key(path.as_str())) {
        findings.push(Finding::new(PATH, 0, format!("lists `{path}`, which contains no unsafe code")));
    }
    findings
}

/// The text of the ledger with its table made anew. Reasons are kept; a new row takes the first line of its file.
pub(super) fn bless(text: &str, sources: &[Source], ledger: &Ledger) -> String {
    let mut table = format!("{BEGIN}{HEADING}");
    for (path, (source, count)) in counted(sources) {
        let Count { blocks, functions, impls, attributes, externs } = count;
        let why = match ledger.rows.get(path) {
            Some((_, why)) if !why.is_empty() => why.clone(),
            _ => source
                .text
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("//!")
                .trim()
                .replace('|', "/"),
        };
        table.push_str(&format!(
            "| `{path}` | {blocks} | {functions} | {impls} | {attributes} | {externs} | {why} |\n"
        ));
    }
    table.push_str(END);
    match (text.split_once(BEGIN), text.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{table}{after}"),
        _ => format!("{text}{}{table}", if text.is_empty() { "" } else { "\n" }),
    }
}

/// Each Rust file with unsafe code, and how much.
fn counted(sources: &[Source]) -> impl Iterator<Item = (&str, (&Source, Count))> {
    sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source.path.as_str(), (source, Count::of(&source.tokens()))))
        .filter(|(_, (_, count))| *count != Count::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAILBOX: &str = "//! A queue.\nunsafe impl Send for A {}\nfn f() { unsafe { g() } }";

    fn texts(sources: &[Source], ledger: &str) -> Vec<String> {
        check(sources, &Ledger::parse(ledger).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_form_is_counted_and_text_is_not() {
        let text = r#"
            // unsafe { }
            const A: &str = "unsafe {}";
            unsafe fn a() { unsafe { b() } }
            unsafe extern "C" fn c() {}
            unsafe extern "C" { fn d(); }
            unsafe extern { }
            unsafe impl Send for E {}
            unsafe trait F {}
            #[unsafe(no_mangle)] pub extern "C" fn g(h: unsafe extern "C" fn(u8), i: unsafe fn()) {}
            #[forbid(unsafe_code)] fn j() {}
        "#;
        let found = Count::of(&super::super::lexer::tokens(text));
        assert_eq!(found, Count { blocks: 1, functions: 2, impls: 2, attributes: 1, externs: 2 });
    }

    #[test]
    fn a_true_ledger_passes() {
        let sources = [Source::fixture("hew-actor/src/mailbox.rs", MAILBOX)];
        assert_eq!(texts(&sources, "| `hew-actor/src/mailbox.rs` | 1 | 0 | 1 | 0 | 0 | queue |"), [""; 0]);
    }

    #[test]
    fn every_difference_is_named() {
        let mailbox = || Source::fixture("hew-actor/src/mailbox.rs", MAILBOX);
        for (source, ledger, expected) in [
            (mailbox(), "", "hew-actor/src/mailbox.rs: contains 1 blocks, 0 functions, 1 impls"),
            (
                mailbox(),
                "| `hew-actor/src/mailbox.rs` | 2 | 0 | 1 | 0 | 0 | q |",
                "but docs/unsafe.md says 2 blocks",
            ),
            (mailbox(), "| `hew-actor/src/mailbox.rs` | 1 | 0 | 1 | 0 | 0 | |", "gives no reason"),
            (Source::fixture("hew-node/src/a.rs", MAILBOX), "", "only hew-capi and hew-actor may"),
            (Source::fixture("hew-node/tests/a.rs", MAILBOX), "", "not listed"),
            (
                Source::fixture("a/src/b.rs", ""),
                "| `a/src/b.rs` | 1 | 0 | 0 | 0 | 0 | x |",
                "contains no unsafe",
            ),
        ] {
            let found = texts(&[source], ledger);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_listed_crate_that_must_be_safe_is_refused_all_the_same() {
        let sources = [Source::fixture("hew-wire/src/id.rs", "unsafe fn a() {}")];
        assert_eq!(texts(&sources, "| `hew-wire/src/id.rs` | 0 | 1 | 0 | 0 | 0 | fast |").len(), 1);
    }

    #[test]
    fn rows_that_cannot_be_read_are_errors() {
        for row in
            ["| `a.rs` | 1 |", "| `a.rs` | x | 0 | 0 | 0 | 0 | why |", "| `a.rs` | 1 | 0 | 0 | 0 | why |"]
        {
            assert!(Ledger::parse(row).unwrap_err().contains(row), "{row}");
        }
    }

    #[test]
    fn blessing_keeps_text_and_reasons_and_is_stable() {
        let sources = [
            Source::fixture("hew-actor/src/mailbox.rs", MAILBOX),
            Source::fixture("hew-capi/src/send.rs", "//! Sending a|b.\nunsafe fn a() {}"),
        ];
        let old = format!(
            "# Title\n{BEGIN}{HEADING}| `hew-actor/src/mailbox.rs` | 9 | 9 | 9 | 9 | 9 | because |\n{END}tail\n"
        );
        let once = bless(&old, &sources, &Ledger::parse(&old).unwrap());
        assert!(once.starts_with("# Title\n") && once.ends_with("tail\n"), "{once}");
        assert!(once.contains("| `hew-actor/src/mailbox.rs` | 1 | 0 | 1 | 0 | 0 | because |"), "{once}");
        assert!(once.contains("| `hew-capi/src/send.rs` | 0 | 1 | 0 | 0 | 0 | Sending a/b. |"), "{once}");
        let ledger = Ledger::parse(&once).unwrap();
        assert_eq!(check(&sources, &ledger), []);
        assert_eq!(bless(&once, &sources, &ledger), once);
    }
}
