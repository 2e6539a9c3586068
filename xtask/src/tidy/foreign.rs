//! Rule: what speaks to C stays at the C boundary.

use super::MAY_BE_UNSAFE;
use super::finding::Finding;
use super::ledger::Ledger;
use super::lexer::{Kind, Token, closing};
use super::source::Source;

/// Owns the C boundary.
const BOUNDARY: &str = "hew-capi";

/// Looks at every Rust file outside the boundary. A file of the ledger may use raw pointers as well, where its crate may
/// be unsafe or it is compiled into tests only.
pub(super) fn check(sources: &[Source], ledger: &Ledger) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && source.package != BOUNDARY) {
        let may = MAY_BE_UNSAFE.contains(&source.package.as_str()) || source.is_test;
        if may && ledger.lists(&source.path) {
            continue;
        }
        for (line, what) in foreign(&source.tokens()) {
            findings.push(Finding::new(&source.path, line, format!("{what} belongs to {BOUNDARY}")));
        }
    }
    findings
}

/// Line and description of each piece of C in `tokens`.
fn foreign(tokens: &[Token<'_>]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1);
        let what = match (token.kind, token.text) {
            (Kind::Word, "repr") if next.is_some_and(|t| t.is_mark("(")) => {
                let arguments = &tokens[index..closing(tokens, index + 1)];
                arguments.iter().any(|t| t.is_word("C")).then_some("repr(C)")
            }
            // Without `extern crate`, which has nothing to do with C.
            (Kind::Word, "extern") => {
                next.is_some_and(|t| !t.is_word("crate")).then_some("an extern function or block")
            }
            (Kind::Mark, "*") => {
                next.is_some_and(|t| t.is_word("const") || t.is_word("mut")).then_some("a raw pointer")
            }
            (Kind::Word, "CStr" | "CString") => Some("a C string"),
            _ => None,
        };
        found.extend(what.map(|what| (token.line, what)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        let ledger = Ledger::parse("| `hew-actor/src/mailbox.rs` | 1 | 0 | 0 | 0 | 0 | queue |\n| `hew-wire/src/id.rs` | 1 | 0 | 0 | 0 | 0 | x |\n| `hew-wire/tests/count.rs` | 1 | 0 | 0 | 0 | 0 | x |").unwrap();
        check(&[Source::fixture(path, text)], &ledger).len()
    }

    #[test]
    fn each_piece_of_c_is_seen() {
        for (text, count) in [
            ("#[repr(C)] struct A;", 1),
            ("#[repr(align(8), C)] struct A;", 1),
            ("#[repr(u8)] enum A { C }", 0),
            ("fn repr<C>(a: C) {}", 0),
            ("#[cfg_attr(unix, repr(C))] struct A;", 1),
            ("extern \"C\" fn f() {}", 1),
            ("unsafe extern \"C\" { }", 1),
            ("extern crate alloc;", 0),
            ("fn f(a: *const u8, b: *mut u8) {}", 2),
            ("fn f() -> u8 { a * b; *c }", 0),
            ("use std::ffi::{CStr, CString};", 2),
            ("// *const u8, CStr\nconst A: &str = \"repr(C) *mut \";", 0),
        ] {
            assert_eq!(findings("hew-node/src/lib.rs", text), count, "{text}");
        }
    }

    #[test]
    fn the_boundary_and_the_ledger_may() {
        let text = "fn f(a: *const u8) {}";
        for (path, count) in [
            ("hew-capi/src/send.rs", 0),
            ("hew-actor/src/mailbox.rs", 0),
            ("hew-actor/src/system.rs", 1),
            ("hew-wire/src/id.rs", 1),
            ("hew-wire/tests/count.rs", 0),
            ("hew-wire/tests/other.rs", 1),
        ] {
            assert_eq!(findings(path, text), count, "{path}");
        }
    }
}
