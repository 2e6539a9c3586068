//! Rule: what stands in the repository makes sense to whoever has only the repository.

use super::finding::Finding;
use super::source::Source;

/// Folders of somebody's machine. Written in two parts, or this file would break its own rule.
const FOLDERS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Where everybody may write, and where a product therefore must not by itself. Examples in documents may.
const TEMPORARY: &str = concat!("/t", "mp/");

/// Unfinished business belongs in the tracker.
const MARKERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Hosts that belong in somebody's configuration of Cargo.
const HOSTS: [&str; 2] = [concat!("crates", ".io"), concat!("proxy.gol", "ang")];

/// Who wrote a text, with which tool, is not part of it.
const AUTHORSHIP: [&str; 7] = [
    concat!("cla", "ude"),
    concat!("anth", "ropic"),
    concat!("chat", "gpt"),
    concat!("open", "ai"),
    concat!("sub", "agent"),
    concat!("sub-", "agent"),
    concat!("language ", "model"),
];

/// Looks at every text file; folders only where the product or a document names them.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (line, text) in source.lines() {
            if let Some(word) = banned(text) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("`{word}` does not belong in the repository"),
                ));
            }
        }
        for (line, text) in source.production_lines() {
            let temporary = [TEMPORARY].into_iter().filter(|_| source.is_rust());
            if let Some(folder) =
                FOLDERS.into_iter().chain(temporary).find(|folder| mentions_folder(text, folder))
            {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("`{folder}` exists on some machines only"),
                ));
            }
        }
    }
    findings
}

/// The first word in `line` that does not belong.
fn banned(line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    let marker = MARKERS.into_iter().find(|marker| words(line).any(|word| word == *marker));
    let host = || HOSTS.into_iter().find(|host| lower.contains(host));
    let author = || AUTHORSHIP.into_iter().find(|name| words_contain(&lower, name));
    marker.or_else(host).or_else(author).map(String::from).or_else(|| numbered_issue(&lower))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Whether `name` stands in `line` and is not the middle of a longer word.
fn words_contain(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| !line[..at].ends_with(char::is_alphanumeric))
}

/// The word and a number, with or without a `#`: the reader may not have that tracker.
fn numbered_issue(lower: &str) -> Option<String> {
    lower.match_indices("issue").find_map(|(at, word)| {
        let rest = lower[at + word.len()..].trim_start_matches('s');
        let number = rest.strip_prefix([' ', '-'])?;
        let number = number.strip_prefix('#').unwrap_or(number);
        number
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| format!("{word} {number:.3}").trim().to_string())
    })
}

/// `example.org/work/` is no folder of a machine.
fn mentions_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '>'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&[Source::fixture(path, text)]).len()
    }

    #[test]
    fn words_that_do_not_belong_are_seen_everywhere() {
        let banned = [MARKERS[0], MARKERS[2], HOSTS[0], AUTHORSHIP[0]].map(|word| format!("a ({word}) b"));
        let issues = ["see issue #", "Issue ", "issues ", "issue-"].map(|before| format!("{before}{}", 12));
        for line in banned.iter().chain(&issues) {
            for path in ["a/src/b.rs", "a/tests/b.rs", "docs/a.md", ".ci/run", "a/Cargo.toml"] {
                assert_eq!(count(path, line), 1, "{path}: {line}");
            }
        }
    }

    #[test]
    fn words_that_only_look_alike_are_not() {
        for line in ["Noise XX", "_XXXX", "an issue of 12", "reissue", "todo", "hacked", "the issue is 7"] {
            assert_eq!(count("docs/a.md", line), 0, "{line}");
        }
        for name in AUTHORSHIP {
            assert_eq!(count("docs/a.md", &format!("x{name}")), 0, "{name}");
        }
    }

    #[test]
    fn folders_of_a_machine_are_seen_in_products_and_documents() {
        for folder in FOLDERS {
            let line = format!("// run {folder}x");
            assert_eq!(count("a/src/b.rs", &line), 1, "{line}");
            assert_eq!(count("docs/b.md", &line), 1, "{line}");
            assert_eq!(count("a/tests/b.rs", &line), 0, "{line}");
            assert_eq!(count("a/src/b.rs", &format!("#[cfg(test)]\nmod tests {{ {line}\n}}")), 0, "{line}");
            assert_eq!(count("docs/b.md", &format!("https://example.org{folder}x")), 0);
        }
        let line = format!("let a = \"{TEMPORARY}x\";");
        assert_eq!(count("a/src/b.rs", &line), 1);
        assert_eq!(count("a/benches/b.rs", &line), 0);
        assert_eq!(count("docs/b.md", &line), 0);
    }
}
