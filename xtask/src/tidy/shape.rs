//! Rule: a file is one idea, its first line says which, and it is not too long for one.

use super::finding::Finding;
use super::source::Source;

/// Longest Rust file, in lines. Good ones have 100 to 400.
const LINES_MAX: usize = 700;

/// Files that may be longer, each with a comment that says why.
const MAY_BE_LONGER: &[&str] = &[];

/// Looks at the first line of what is below `src`, and at the length of every Rust file.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let first = source.text.lines().next().unwrap_or_default();
        let says = first.strip_prefix("//! ").is_some_and(|idea| !idea.trim().is_empty());
        if format!("/{}", source.path).contains("/src/") && !says {
            findings.push(Finding::new(
                &source.path,
                1,
                "the first line must say in `//! …` which idea this file is",
            ));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX && !MAY_BE_LONGER.contains(&source.path.as_str()) {
            let text = format!("{lines} lines are more than one idea; at most {LINES_MAX}");
            findings.push(Finding::new(&source.path, 0, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&[Source::fixture(path, text)]).len()
    }

    #[test]
    fn the_first_line_says_the_idea() {
        for (path, text, expected) in [
            ("a/src/b.rs", "//! One idea.\n", 0),
            ("a/src/b.rs", "//!\n//! One idea.\n", 1),
            ("a/src/b.rs", "//! \nmod a;", 1),
            ("a/src/b.rs", "\n//! One idea.\n", 1),
            ("a/src/b.rs", "/// One idea.\n", 1),
            ("a/src/b.rs", "", 1),
            ("a/tests/b.rs", "mod c;", 0),
            ("src.md", "text", 0),
        ] {
            assert_eq!(count(path, text), expected, "{path}: {text:?}");
        }
    }

    #[test]
    fn a_file_has_an_end() {
        let lines = |number: usize| format!("//! One idea.\n{}", "x\n".repeat(number - 1));
        assert_eq!(count("a/src/b.rs", &lines(LINES_MAX)), 0);
        assert_eq!(count("a/src/b.rs", &lines(LINES_MAX + 1)), 1);
        assert_eq!(count("a/tests/b.rs", &lines(LINES_MAX + 1)), 1);
        assert_eq!(count("a/b.md", &lines(LINES_MAX + 1)), 0);
    }
}
