//! Rust source as far as the rules read it: tokens, and the text without comments and tests.
//!
//! This is no parser. It knows literals and comments, so that nothing in them is taken for code, and where an item ends.

/// A piece of source that is not white space or a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// `::` is one token.
    pub(super) text: &'a str,
    /// Byte offset.
    start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a keyword or a number.
    Word,
    Punctuation,
    /// Text or a character.
    Literal,
    Comment,
}

/// The tokens of source that has no comments any more.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    scan(code)
        .filter(|token| token.kind != Kind::Comment)
        .collect()
}

/// The same text with blanks for comments and for items under `#[cfg(test)]`; every line keeps its number.
pub(super) fn without_tests(text: &str) -> String {
    let mut blanked: Vec<(usize, usize)> = Vec::new();
    let mut code = Vec::new();
    for token in scan(text) {
        match token.kind {
            Kind::Comment => blanked.push((token.start, token.start + token.text.len())),
            _ => code.push(token),
        }
    }
    let mut at = 0;
    while at < code.len() {
        match test_item(&code[at..]) {
            Some(length) => {
                let last = code[at + length - 1];
                blanked.push((code[at].start, last.start + last.text.len()));
                at += length;
            }
            None => at += 1,
        }
    }
    let mut bytes = text.as_bytes().to_vec();
    for (start, end) in blanked {
        for byte in &mut bytes[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number of tokens of an item that is compiled for tests only, from its attribute on.
fn test_item(code: &[Token<'_>]) -> Option<usize> {
    let attribute = attribute(code)?;
    let words: Vec<_> = code[..attribute].iter().map(|token| token.text).collect();
    let is_test = words.get(2) == Some(&"cfg")
        && words.contains(&"test")
        && !words.contains(&"any")
        && !words.contains(&"not");
    if !is_test {
        return None;
    }
    let mut at = attribute;
    while let Some(length) = self::attribute(&code[at..]) {
        at += length;
    }
    let is_use = code[at..]
        .iter()
        .take_while(|token| token.text != ";")
        .take(6)
        .any(|token| token.text == "use");
    let mut depth = 0_usize;
    for (index, token) in code.iter().enumerate().skip(at) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" && !is_use {
                    return Some(index + 1);
                }
            }
            ";" if depth == 0 => return Some(index + 1),
            _ => {}
        }
    }
    Some(code.len())
}

/// The number of tokens of an attribute at the start.
fn attribute(code: &[Token<'_>]) -> Option<usize> {
    if code.first()?.text != "#" || code.get(1)?.text != "[" {
        return None;
    }
    closing(code, 1).map(|at| at + 1)
}

/// Where the bracket that opens at `open` is closed.
pub(super) fn closing(code: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in code.iter().enumerate().skip(open) {
        if token.kind != Kind::Punctuation {
            continue;
        }
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

impl Token<'_> {
    /// The number of the line that it begins on, from 1.
    pub(super) fn line(&self, code: &str) -> usize {
        1 + code
            .bytes()
            .take(self.start)
            .filter(|byte| *byte == b'\n')
            .count()
    }
}

fn scan(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + (rest.len() - rest.trim_start().len());
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let (kind, length) = token(rest);
        at = start + length;
        Some(Token {
            kind,
            text: rest.get(..length)?,
            start,
        })
    })
}

/// Kind and length in bytes of the token that `rest` starts with.
fn token(rest: &str) -> (Kind, usize) {
    let until = |end: &str, from: usize| {
        rest.get(from..)
            .and_then(|text| text.find(end))
            .map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, until("*/", 2));
    }
    let word = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let (prefix, literal) = rest.split_at(word);
    if matches!(prefix, "" | "b" | "c" | "r" | "br" | "cr") {
        let hashes = literal.len() - literal.trim_start_matches('#').len();
        if prefix.ends_with('r') && literal.get(hashes..).is_some_and(|s| s.starts_with('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            return (Kind::Literal, until(&end, word + hashes + 1));
        }
        if literal.starts_with('"') {
            return (Kind::Literal, word + quoted(literal, '"'));
        }
        // Not a lifetime: a quote follows one character, or a backslash does.
        let mut next = literal.chars().skip(1);
        if literal.starts_with('\'') && (next.next() == Some('\\') || next.next() == Some('\'')) {
            return (Kind::Literal, word + quoted(literal, '\''));
        }
    }
    if word > 0 {
        return (Kind::Word, word);
    }
    if rest.starts_with("::") {
        return (Kind::Punctuation, 2);
    }
    (
        Kind::Punctuation,
        rest.chars().next().map_or(0, char::len_utf8),
    )
}

/// The length of a literal between quotes, with escapes.
fn quoted(literal: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in literal.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    literal.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str) -> Vec<&str> {
        tokens(code).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn literals_and_lifetimes_are_told_apart() {
        assert_eq!(
            texts(r##"f::<'a>('{', '\'', "a\"//", r#"x"y"#, b'}')"##),
            [
                "f",
                "::",
                "<",
                "'",
                "a",
                ">",
                "(",
                "'{'",
                ",",
                "'\\''",
                ",",
                "\"a\\\"//\"",
                ",",
                "r#\"x\"y\"#",
                ",",
                "b'}'",
                ")"
            ]
        );
    }

    #[test]
    fn comments_and_tests_are_blanked_line_by_line() {
        let text = "//! A.\nuse a; // b\n#[cfg(test)]\nuse x::{c, d};\nfn e() {}\n\
            #[cfg(all(test, unix))]\n#[allow(x)]\nmod tests {\n    fn f() { '}' }\n}\n#[cfg(not(test))]\nfn g() {}\n";
        let code = without_tests(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(
            texts(&code).join(" "),
            "use a ; fn e ( ) { } # [ cfg ( not ( test ) ) ] fn g ( ) { }"
        );
        let last = *tokens(&code).last().unwrap();
        assert_eq!(last.line(&code), 12);
    }
}
