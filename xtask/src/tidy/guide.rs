//! Rule: the guide to transports shows its example as it is, all of it, and the example stays short.

use super::finding::Finding;
use super::source::Source;
use std::collections::BTreeMap;

const GUIDE: &str = "docs/transport-guide.md";
/// What the guide says of it.
const EXAMPLE: &str = "examples/transport-pipes/src/lib.rs";
const EXAMPLE_LINES_MAX: usize = 149;

/// A fenced piece of code.
struct Block<'a> {
    line: usize,
    language: &'a str,
    /// The file that it shows a part of.
    path: Option<&'a str>,
    text: String,
}

/// Puts the pieces of each file together and compares.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let find = |path: &str| sources.iter().find(|source| source.path == path);
    let (Some(guide), Some(example)) = (find(GUIDE), find(EXAMPLE)) else {
        return vec![Finding::new(GUIDE, 0, format!("it, or its example {EXAMPLE}, does not exist"))];
    };
    let mut findings = Vec::new();
    let lines = example.text.lines().count();
    if lines > EXAMPLE_LINES_MAX {
        let text = format!("{lines} lines; a transport in the guide has at most {EXAMPLE_LINES_MAX}");
        findings.push(Finding::new(EXAMPLE, 0, text));
    }
    let mut shown: BTreeMap<&str, Vec<Block<'_>>> = BTreeMap::new();
    for block in blocks(&guide.text) {
        match block.path {
            Some(path) => shown.entry(path).or_default().push(block),
            None if block.language == "rust" => {
                let text = "this code is of no file, so that nothing compiles it: ```rust path/of/file.rs";
                findings.push(Finding::new(GUIDE, block.line, text));
            }
            None => {}
        }
    }
    if !shown.contains_key(EXAMPLE) {
        findings.push(Finding::new(GUIDE, 0, format!("does not show {EXAMPLE}")));
    }
    for (path, blocks) in shown {
        match find(path) {
            Some(source) => findings.extend(compare(source, &blocks)),
            None => findings.push(Finding::new(GUIDE, blocks[0].line, format!("there is no {path}"))),
        }
    }
    findings
}

/// The blocks of a file, with an empty line between each two, are the file.
fn compare(source: &Source, blocks: &[Block<'_>]) -> Option<Finding> {
    let mut rest = source.text.as_str();
    for (index, block) in blocks.iter().enumerate() {
        let after = if index == 0 { Some(rest) } else { rest.strip_prefix('\n') };
        match after.and_then(|rest| rest.strip_prefix(block.text.as_str())) {
            Some(after) => rest = after,
            None => {
                let text = format!("this is not how {} goes on", source.path);
                return Some(Finding::new(GUIDE, block.line, text));
            }
        }
    }
    let line = blocks.last().map_or(0, |block| block.line);
    (!rest.is_empty()).then(|| Finding::new(GUIDE, line, format!("{} does not end here", source.path)))
}

/// The fenced blocks of a document. Behind the language of a fence may stand a path.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), is_open) {
            (Some(_), true) => is_open = false,
            (Some(info), false) => {
                let mut words = info.split_whitespace();
                let language = words.next().unwrap_or_default();
                blocks.push(Block { line: index + 1, language, path: words.next(), text: String::new() });
                is_open = true;
            }
            (None, true) => {
                let block = blocks.last_mut().expect("a block is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "//! One.\n\nfn a() {}\n\nfn b() {}\n";

    fn texts(guide: &str, code: &str) -> Vec<String> {
        let sources = [Source::fixture(GUIDE, guide), Source::fixture(EXAMPLE, code)];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    fn fenced(parts: &[&str]) -> String {
        parts.iter().map(|part| format!("text\n```rust {EXAMPLE}\n{part}```\n")).collect()
    }

    #[test]
    fn a_guide_that_shows_everything_passes() {
        assert_eq!(texts(&fenced(&[CODE]), CODE), [""; 0]);
        assert_eq!(texts(&fenced(&["//! One.\n", "fn a() {}\n\nfn b() {}\n"]), CODE), [""; 0]);
        let with_shell = format!("{}```sh\ncargo test\n```\n", fenced(&[CODE]));
        assert_eq!(texts(&with_shell, CODE), [""; 0]);
    }

    #[test]
    fn drift_is_seen_where_it_begins() {
        for (parts, expected) in [
            (&["//! One.\n", "fn c() {}\n"][..], "-guide.md:6: this is not how"),
            (&["//! One.\n", "fn b() {}\n"], ":6: this is not how"),
            (&["//! One.\nfn a() {}\n\nfn b() {}\n"], ":2: this is not how"),
            (&["//! One.\n", "fn a() {}\n"], ":6: examples/transport-pipes/src/lib.rs does not end here"),
            (&[], "does not show"),
        ] {
            let found = texts(&fenced(parts), CODE);
            assert!(found.len() == 1 && found[0].contains(expected), "{parts:?}: {found:?}");
        }
    }

    #[test]
    fn code_of_no_file_is_refused() {
        let loose = format!("{}```rust\nfn c() {{}}\n```\n", fenced(&[CODE]));
        assert!(texts(&loose, CODE)[0].contains("of no file"));
        let gone = format!("{}```rust gone.rs\nfn c() {{}}\n```\n", fenced(&[CODE]));
        assert!(texts(&gone, CODE)[0].contains("there is no gone.rs"));
        assert_eq!(check(&[]).len(), 1);
    }

    #[test]
    fn a_long_example_is_refused() {
        let long = "//! One.\n".repeat(EXAMPLE_LINES_MAX + 1);
        assert!(texts(&fenced(&[&long]), &long)[0].contains("150 lines"));
    }
}
