//! Rust source as tokens: enough to tell code from comments and strings, and test code from the rest.

use std::ops::RangeInclusive;

/// What a token is, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name; a raw name without its `r#`.
    Word,
    /// One character of punctuation, or `::`.
    Mark,
    /// A string of any form, a character or a byte.
    Literal,
    /// `'a`
    Lifetime,
    /// A number, as far as it is made of letters and digits.
    Number,
}

/// A piece of code. Comments and white space are not among the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Counted from 1.
    pub(super) line: usize,
}

impl Token<'_> {
    pub(super) fn is_word(&self, text: &str) -> bool {
        self.kind == Kind::Word && self.text == text
    }

    pub(super) fn is_mark(&self, text: &str) -> bool {
        self.kind == Kind::Mark && self.text == text
    }
}

/// Cuts `text` into tokens. Text that is not Rust gives some tokens, never a panic.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    Lexer { text, at: 0, line: 1, tokens: Vec::new() }.run()
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn run(mut self) -> Vec<Token<'a>> {
        while let Some(next) = self.rest().chars().next() {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.skip(rest.find('\n').unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                self.skip(block_comment(rest));
            } else if let Some(length) = literal(rest) {
                self.emit(Kind::Literal, length);
            } else if next == '\'' {
                self.emit(Kind::Lifetime, 1 + word_length(&rest[1..]));
            } else if next.is_ascii_digit() {
                self.emit(Kind::Number, word_length(rest));
            } else if is_word_character(next) {
                if rest.starts_with("r#") && rest[2..].starts_with(is_word_character) {
                    self.skip(2);
                }
                self.emit(Kind::Word, word_length(self.rest()));
            } else if next.is_whitespace() {
                self.skip(next.len_utf8());
            } else {
                self.emit(Kind::Mark, if rest.starts_with("::") { 2 } else { next.len_utf8() });
            }
        }
        self.tokens
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, length: usize) {
        self.line += self.rest()[..length].matches('\n').count();
        self.at += length;
    }

    fn emit(&mut self, kind: Kind, length: usize) {
        self.tokens.push(Token { kind, text: &self.rest()[..length], line: self.line });
        self.skip(length);
    }
}

fn is_word_character(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word_length(text: &str) -> usize {
    text.find(|c| !is_word_character(c)).unwrap_or(text.len())
}

/// Length of the comment at the start of `text`; Rust's block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of the string, byte string, C string, character or byte at the start of `text`, if there is one.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || (prefix.ends_with('r')
                    && rest.trim_start_matches('#').starts_with('"')
                    && rest.starts_with('#'))
                || (matches!(*prefix, "b" | "") && rest.starts_with('\''))
        })
    })?;
    let body = &text[prefix.len()..];
    let length = if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", &body[..hashes]);
        let opened = hashes + 1;
        body[opened..].find(&end).map_or(body.len(), |at| opened + at + end.len())
    } else if body.starts_with('"') {
        quoted(body, b'"').unwrap_or(body.len())
    } else {
        character(body)?
    };
    Some(prefix.len() + length)
}

/// Length of the character at the start of `text`; none if it is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut characters = text[1..].chars();
    let first = characters.next()?;
    if first == '\\' {
        return quoted(text, b'\'');
    }
    characters.next().filter(|second| *second == '\'').map(|_| first.len_utf8() + 2)
}

/// Length up to and with the closing quote, passing over escapes.
fn quoted(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Takes the items under `#[cfg(test)]` out of `tokens` and says which lines they cover.
pub(super) fn without_tests<'a>(tokens: &[Token<'a>]) -> (Vec<Token<'a>>, Vec<RangeInclusive<usize>>) {
    let (mut kept, mut lines, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        if let Some(after) = test_attribute(&tokens[at..]) {
            let end = item_end(tokens, at + after);
            lines.push(tokens[at].line..=tokens[end - 1].line);
            at = end;
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    (kept, lines)
}

/// Modules declared as `#[cfg(test)] mod name;`, whose files hold nothing but tests.
pub(super) fn test_modules<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let starts = (0..tokens.len()).filter_map(|at| test_attribute(&tokens[at..]).map(|after| at + after));
    starts
        .filter_map(|at| match &tokens[at..] {
            [keyword, name, end, ..] if keyword.is_word("mod") && end.is_mark(";") => Some(name.text),
            _ => None,
        })
        .collect()
}

/// Number of tokens of `#[cfg(test)]` or `#[cfg(all(test, …))]` at the start of `tokens`.
fn test_attribute(tokens: &[Token<'_>]) -> Option<usize> {
    let spells = |words: &[&str]| {
        tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word)
    };
    (spells(&["#", "[", "cfg", "(", "test", ")", "]"])
        || spells(&["#", "[", "cfg", "(", "all", "(", "test", ","]))
    .then(|| closing(tokens, 1))
}

/// Index after the bracket that closes the one at `open`.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match (token.kind, token.text) {
            (Kind::Mark, "(" | "[" | "{") => depth += 1,
            (Kind::Mark, ")" | "]" | "}") => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Index after the item, statement or field that starts at `start`, further attributes included.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    const FIELD_MAY_START_WITH: [&str; 4] = ["pub", "crate", "super", "self"];
    let mut at = start;
    while at + 1 < tokens.len() && tokens[at].is_mark("#") {
        at = closing(tokens, at + 1);
    }
    // A field or a match arm ends at a comma; in an item a comma stands between generics.
    let head = tokens[at..].iter().find(|t| t.kind == Kind::Word && !FIELD_MAY_START_WITH.contains(&t.text));
    let is_item = head.is_some_and(|word| {
        const ITEMS: [&str; 14] = [
            "fn",
            "mod",
            "impl",
            "struct",
            "enum",
            "trait",
            "use",
            "const",
            "static",
            "type",
            "unsafe",
            "async",
            "extern",
            "macro_rules",
        ];
        ITEMS.contains(&word.text)
    });
    while at < tokens.len() {
        match (tokens[at].kind, tokens[at].text) {
            (Kind::Mark, "{") => return closing(tokens, at),
            (Kind::Mark, "(" | "[") => at = closing(tokens, at),
            (Kind::Mark, ";") => return at + 1,
            (Kind::Mark, ",") if !is_item => return at + 1,
            (Kind::Mark, ")" | "]" | "}") => return at.max(start + 1),
            _ => at += 1,
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = tokens(text).into_iter().map(|token| token.text).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn comments_are_not_code() {
        check("a // unsafe\nb", &["a", "b"]);
        check("a /* x /* unsafe */ y */ b", &["a", "b"]);
        check("a /* never closed", &["a"]);
        check("//! unsafe", &[]);
        check("a / b * c", &["a", "/", "b", "*", "c"]);
    }

    #[test]
    fn strings_are_one_token() {
        check(r#"f("unsafe // \" {", x)"#, &["f", "(", r#""unsafe // \" {""#, ",", "x", ")"]);
        check(r###"r#"a " b"# c"###, &[r###"r#"a " b"#"###, "c"]);
        check(r##"br"a\" c"##, &[r##"br"a\""##, "c"]);
        check(r##"b"\"" c"x" cr#"y"# z"##, &[r#"b"\"""#, r#"c"x""#, r##"cr#"y"#"##, "z"]);
        check("\"never closed", &["\"never closed"]);
    }

    #[test]
    fn characters_differ_from_lifetimes() {
        check("'{' b'}' '\\'' '\\u{1F600}' 'é'", &["'{'", "b'}'", "'\\''", "'\\u{1F600}'", "'é'"]);
        check("&'a str, 'static, 'x'", &["&", "'a", "str", ",", "'static", ",", "'x'"]);
    }

    #[test]
    fn names_and_numbers() {
        check("r#type::x 1_000u64 0xff..2", &["type", "::", "x", "1_000u64", "0xff", ".", ".", "2"]);
        check("branch crab r b", &["branch", "crab", "r", "b"]);
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let found = tokens("a\n/* \n */ \"x\ny\"\n// z\nb");
        assert_eq!(found.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 3, 6]);
    }

    #[test]
    fn any_bytes_give_tokens() {
        for text in ["'", "b'", "r#", "r####", "\"\\", "'\\", "/*/", "é'é", "#[cfg(test)]", "#", "}}", "b'é'"]
        {
            without_tests(&tokens(text));
        }
    }

    fn kept(text: &str) -> String {
        let all = tokens(text);
        without_tests(&all).0.iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_under_cfg_test_are_taken_out() {
        assert_eq!(
            kept("fn a() {} #[cfg(test)] mod tests { fn b() { {} } } fn c() {}"),
            "fn a ( ) { } fn c ( ) { }"
        );
        assert_eq!(kept("#[cfg(test)] use a::b; c"), "c");
        assert_eq!(kept("#[cfg(test)] #[derive(X)] struct T<A, B>(A, B); d"), "d");
        assert_eq!(kept("#[cfg(all(test, unix))] pub(crate) fn f<A, B>(a: [A; 3]) -> B { x } d"), "d");
        assert_eq!(kept("struct S { #[cfg(test)] pub n: u8, m: u8 }"), "struct S { m : u8 }");
        assert_eq!(kept("struct S { #[cfg(test)] n: u8 }"), "struct S { }");
        assert_eq!(kept("#[cfg(not(test))] a"), "# [ cfg ( not ( test ) ) ] a");
        assert_eq!(kept("f(\"#[cfg(test)]\") a"), "f ( \"#[cfg(test)]\" ) a");
    }

    #[test]
    fn the_lines_of_tests_are_known() {
        let all = tokens("a\n#[cfg(test)]\nmod tests {\n b\n}\nc");
        assert_eq!(without_tests(&all).1, [2..=5]);
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_known() {
        assert_eq!(test_modules(&tokens("mod a; #[cfg(test)] mod b; #[cfg(test)] mod c {}")), ["b"]);
    }
}
