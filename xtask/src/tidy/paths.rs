//! The paths that code mentions (`a::b::c`), written out in full as far as the imports of the file say what they mean.

use super::lexer::{Kind, Token};
use std::collections::BTreeMap;

/// A path and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention<'a> {
    pub(super) segments: Vec<&'a str>,
    pub(super) line: usize,
}

impl Mention<'_> {
    /// Whether the segments of `path` follow each other somewhere in this one.
    pub(super) fn contains(&self, path: &str) -> bool {
        let wanted: Vec<_> = path.split("::").collect();
        self.segments.windows(wanted.len()).any(|window| window == wanted)
    }
}

/// Every path in `tokens`. Imports are known in the whole file, whatever block they stand in: more may be found than is
/// true, never less.
pub(super) fn mentions<'a>(tokens: &[Token<'a>]) -> Vec<Mention<'a>> {
    let (mut imports, mut found, mut at) = (BTreeMap::new(), Vec::new(), 0);
    while at < tokens.len() {
        let token = &tokens[at];
        let is_import = token.is_word("use") && tokens.get(at + 1).is_some_and(|next| !next.is_mark("<"));
        if is_import {
            at = import(tokens, at + 1, &[], &mut imports, &mut found);
        } else if token.kind == Kind::Word {
            let (segments, after) = path(tokens, at);
            found.push(Mention { segments, line: token.line });
            at = after;
        } else {
            at += 1;
        }
    }
    for mention in &mut found {
        // A path of one segment, if imported, was reported where it was imported.
        let meaning: Option<&Vec<&str>> = mention
            .segments
            .first()
            .filter(|_| mention.segments.len() > 1)
            .and_then(|first| imports.get(first));
        if let Some(meaning) = meaning {
            mention.segments.splice(0..1, meaning.iter().copied());
        }
    }
    found
}

/// The segments that start at `start`, and the index after them.
fn path<'a>(tokens: &[Token<'a>], start: usize) -> (Vec<&'a str>, usize) {
    let (mut segments, mut at) = (vec![tokens[start].text], start + 1);
    while let [mark, word, ..] = &tokens[at.min(tokens.len())..] {
        if !mark.is_mark("::") || word.kind != Kind::Word {
            break;
        }
        segments.push(word.text);
        at += 2;
    }
    (segments, at)
}

/// Reads one branch of a `use` tree below `prefix`: what it mentions and what it names. Gives the index after it.
fn import<'a>(
    tokens: &[Token<'a>],
    start: usize,
    prefix: &[&'a str],
    imports: &mut BTreeMap<&'a str, Vec<&'a str>>,
    found: &mut Vec<Mention<'a>>,
) -> usize {
    let (mut at, mut segments) = (start, prefix.to_vec());
    let line = tokens.get(start).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match (token.kind, token.text) {
            (Kind::Mark, "::") => at += 1,
            (Kind::Mark, "{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| !token.is_mark("}")) {
                    // A branch that ends where it starts is a comma or not Rust.
                    at = import(tokens, at, &segments, imports, found).max(at + 1);
                }
                return at + 1;
            }
            (Kind::Word, "as") => {
                let name = tokens.get(at + 1).map_or("_", |token| token.text);
                imports.insert(name, segments.clone());
                found.push(Mention { segments, line });
                return at + 2;
            }
            (Kind::Word, "self") if !prefix.is_empty() && segments.len() == prefix.len() => at += 1,
            (Kind::Word, word) => {
                segments.push(word);
                at += 1;
            }
            (Kind::Mark, "*") => at += 1,
            _ => break,
        }
    }
    if let Some(name) = segments.last().copied().filter(|_| at > start) {
        imports.insert(name, segments.clone());
        found.push(Mention { segments, line });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let tokens = super::super::lexer::tokens(text);
        let found: Vec<_> = mentions(&tokens).iter().map(|mention| mention.segments.join("::")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn paths_are_read_where_they_stand() {
        check("a::b::c(x.y, d::<e>::f)", &["a::b::c", "x", "y", "d", "e", "f"]);
        check("::std::fs::read()", &["std::fs::read"]);
    }

    #[test]
    fn imports_are_taken_apart() {
        check(
            "use std::{fs, io::{self, Read}, time::Instant as Clock}; x",
            &["std::fs", "std::io", "std::io::Read", "std::time::Instant", "x"],
        );
        check("use std::net::*; use a;", &["std::net", "a"]);
        check("impl X + use<'a, T>", &["impl", "X", "use", "T"]);
    }

    #[test]
    fn paths_are_written_out_through_imports() {
        check("use std::thread; thread::spawn()", &["std::thread", "std::thread::spawn"]);
        check(
            "use std::time::Instant as Clock; Clock::now()",
            &["std::time::Instant", "std::time::Instant::now"],
        );
        check("use std::time::{self as t}; t::Instant::now()", &["std::time", "std::time::Instant::now"]);
    }

    #[test]
    fn a_mention_contains_what_follows_each_other() {
        let mention = Mention { segments: vec!["std", "time", "Instant", "now"], line: 1 };
        for (path, expected) in
            [("Instant::now", true), ("std", true), ("std::Instant", false), ("nowhere", false)]
        {
            assert_eq!(mention.contains(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_rust_ends() {
        for text in ["use", "use a::{", "use a::{,,,", "use {;", "use a as", "use a::{;;};"] {
            mentions(&super::super::lexer::tokens(text));
        }
    }
}
