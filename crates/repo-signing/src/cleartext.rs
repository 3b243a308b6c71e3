//! The cleartext signature framework
//! ([RFC 9580, section 7](https://www.rfc-editor.org/rfc/rfc9580.html#name-cleartext-signature-framewo)):
//!
//! ```text
//! -----BEGIN PGP SIGNED MESSAGE-----
//! Hash: SHA512
//!
//! Origin: Example
//! - -a line that began with a dash is escaped
//! -----BEGIN PGP SIGNATURE-----
//!
//! wnUEARYKAB0WIQ…
//! -----END PGP SIGNATURE-----
//! ```
//!
//! What is signed are the lines without escapes and without white space at their ends, joined by
//! CR LF, without a newline behind the last. So the framework itself cannot tell a line with a blank
//! at its end from one without: [`check`] refuses to sign such a line, and [`parse`] gives the text
//! without what the signature does not cover.
//!
//! [`parse`] is stricter than the specification. Nothing may precede or follow the framework, `Hash`
//! is the only header, and a line with CR is an error: all of these are ways to show one reader another
//! text than the next.

use thiserror::Error;

const BEGIN_MESSAGE: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &[u8] = b"-----END PGP SIGNATURE-----";

/// The longest line that is signed, in bytes. `gpg` and `gpgv` cut lines at 20,000.
const MAX_LINE: usize = 19_000;

/// Why a text cannot be signed so that each client reads the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextProblem {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// The text does not end with a newline.
    #[error("does not end with a newline")]
    NoFinalNewline,
    /// The text ends with more than one newline.
    #[error("is an empty line at the end")]
    EmptyLastLine,
    /// A line ends with a blank or a tab.
    #[error("ends with white space")]
    TrailingWhiteSpace,
    /// A line has a control character other than a tab.
    #[error("has a control character")]
    ControlCharacter,
    /// A line is longer than `gpgv` reads.
    #[error("has more than 19,000 bytes")]
    LongLine,
}

/// Whether `text` may be signed; otherwise the first line (from 1) that has a problem.
pub(crate) fn check(text: &[u8]) -> Result<(), (usize, TextProblem)> {
    let Some(body) = text.strip_suffix(b"\n") else {
        let problem = if text.is_empty() {
            TextProblem::Empty
        } else {
            TextProblem::NoFinalNewline
        };
        return Err((text.split(|&byte| byte == b'\n').count(), problem));
    };
    let mut last = (0, true);
    for (index, line) in body.split(|&byte| byte == b'\n').enumerate() {
        let problem = if line
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            TextProblem::ControlCharacter
        } else if line.ends_with(b" ") || line.ends_with(b"\t") {
            TextProblem::TrailingWhiteSpace
        } else if line.len() > MAX_LINE {
            TextProblem::LongLine
        } else {
            last = (index + 1, line.is_empty());
            continue;
        };
        return Err((index + 1, problem));
    }
    match last {
        (line, true) => Err((
            line,
            if body.is_empty() {
                TextProblem::Empty
            } else {
                TextProblem::EmptyLastLine
            },
        )),
        (_, false) => Ok(()),
    }
}

/// The bytes that are signed for `text`, which [`check`] has accepted.
pub(crate) fn canonical(text: &[u8]) -> Vec<u8> {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 32);
    for (index, line) in body.split(|&byte| byte == b'\n').enumerate() {
        if index > 0 {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(line);
    }
    bytes
}

/// The framework around `text` and its armored signatures. `hashes`: the digests' names, separated by
/// commas, as `gpg` writes them.
pub(crate) fn frame(text: &[u8], hashes: &str, armored_signature: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + armored_signature.len() + 128);
    bytes.extend_from_slice(BEGIN_MESSAGE);
    bytes.extend_from_slice(b"\nHash: ");
    bytes.extend_from_slice(hashes.as_bytes());
    bytes.extend_from_slice(b"\n\n");
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b"-") {
            bytes.extend_from_slice(b"- ");
        }
        bytes.extend_from_slice(line);
    }
    bytes.extend_from_slice(armored_signature);
    bytes
}

/// A message that was taken apart. Nothing of it is verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// The text without escapes and white space at the ends of lines, with a final newline.
    pub(crate) text: Vec<u8>,
    /// The digests that the `Hash` headers name; empty where there is none.
    pub(crate) hashes: Vec<&'a str>,
    /// The armored signatures, with their begin and end lines.
    pub(crate) armored_signature: &'a [u8],
}

/// Why a file is not a message in the framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameProblem {
    /// The framework's first line is missing.
    NotClearsigned,
    /// There is something before the framework or behind it; the line, from 1.
    Outside(usize),
    /// A line, from 1, that the framework does not allow there.
    Line(usize, &'static str),
}

/// Takes a file in the framework apart.
pub(crate) fn parse(file: &[u8]) -> Result<Message<'_>, FrameProblem> {
    let mut lines = Lines {
        file,
        offset: 0,
        number: 0,
    };
    if lines.next() != Some(BEGIN_MESSAGE) {
        let begins = |line: &[u8]| line.starts_with(BEGIN_MESSAGE);
        return Err(match file.split(|&byte| byte == b'\n').position(begins) {
            Some(0) => FrameProblem::Line(
                1,
                "it has more than “-----BEGIN PGP SIGNED MESSAGE-----” on it",
            ),
            Some(_) => FrameProblem::Outside(1),
            None => FrameProblem::NotClearsigned,
        });
    }
    let hashes = headers(&mut lines)?;
    let text = text(&mut lines)?;
    let begin = lines.offset - BEGIN_SIGNATURE.len() - 1;
    loop {
        match lines.next() {
            Some(END_SIGNATURE) => break,
            Some(line) if line.starts_with(b"-----") => {
                return Err(lines.problem("it does not belong in a signature"));
            }
            Some(line)
                if !line
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() || *byte == b' ') =>
            {
                return Err(lines.problem("it does not belong in a signature"));
            }
            Some(_) => {}
            None => {
                return Err(FrameProblem::Line(
                    lines.number + 1,
                    "“-----END PGP SIGNATURE-----” is missing",
                ));
            }
        }
    }
    if lines.offset < file.len() {
        return Err(FrameProblem::Outside(lines.number + 1));
    }
    Ok(Message {
        text,
        hashes,
        armored_signature: &file[begin..],
    })
}

/// The `Hash` headers, up to and with the empty line behind them.
fn headers<'a>(lines: &mut Lines<'a>) -> Result<Vec<&'a str>, FrameProblem> {
    let mut hashes = Vec::new();
    loop {
        match lines.next() {
            Some(b"") => return Ok(hashes),
            Some(line) => {
                let names = line
                    .strip_prefix(b"Hash: ")
                    .and_then(|names| std::str::from_utf8(names).ok());
                let Some(names) = names else {
                    return Err(
                        lines.problem("only “Hash: …” and an empty line may precede the text")
                    );
                };
                hashes.extend(names.split(',').map(str::trim));
            }
            None => return Err(FrameProblem::Line(lines.number + 1, "the text is missing")),
        }
    }
}

/// The text, up to and with the line that begins the signature.
fn text(lines: &mut Lines<'_>) -> Result<Vec<u8>, FrameProblem> {
    let mut text = Vec::with_capacity(lines.file.len());
    loop {
        let line = match lines.next() {
            Some(BEGIN_SIGNATURE) => return Ok(text),
            Some(line) => line,
            None => {
                return Err(FrameProblem::Line(
                    lines.number + 1,
                    "“-----BEGIN PGP SIGNATURE-----” is missing",
                ));
            }
        };
        let line = match line.strip_prefix(b"- ") {
            Some(escaped) => escaped,
            None if line.starts_with(b"-") => {
                return Err(lines.problem("a dash at its start is not escaped"));
            }
            None => line,
        };
        if line.contains(&b'\r') || line.contains(&0) {
            return Err(lines.problem("it has a CR or a NUL"));
        }
        let end = line
            .iter()
            .rposition(|byte| !matches!(byte, b' ' | b'\t'))
            .map_or(0, |last| last + 1);
        text.extend_from_slice(&line[..end]);
        text.push(b'\n');
    }
}

/// The lines of a file without their newlines. The last one may lack its newline.
struct Lines<'a> {
    file: &'a [u8],
    /// Where the next line begins.
    offset: usize,
    /// The number of the last line that was given, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.file[self.offset..];
        if rest.is_empty() {
            return None;
        }
        self.number += 1;
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = &rest[..length.unwrap_or(rest.len())];
        self.offset += line.len() + usize::from(length.is_some());
        Some(line)
    }

    fn problem(&self, what: &'static str) -> FrameProblem {
        FrameProblem::Line(self.number, what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n";

    fn framed(text: &str) -> String {
        String::from_utf8(frame(text.as_bytes(), "SHA512", SIGNATURE.as_bytes())).unwrap()
    }

    #[test]
    fn takes_apart_what_it_rendered() {
        let text =
            "Origin: x\n-dash\n- dash and blank\n\n-----BEGIN PGP SIGNATURE-----\nSHA256:\n a\n";
        let file = framed(text);
        assert!(file.contains("\n- -dash\n- - dash and blank\n\n- -----BEGIN PGP SIGNATURE-----\nSHA256:\n a\n-----BEGIN"));
        let message = parse(file.as_bytes()).unwrap();
        assert_eq!(message.text, text.as_bytes());
        assert_eq!(message.hashes, ["SHA512"]);
        assert_eq!(message.armored_signature, SIGNATURE.as_bytes());
    }

    #[test]
    fn white_space_that_is_not_signed_is_dropped() {
        let file = framed("a\nb\n").replace("a\n", "a \t\n");
        assert_eq!(parse(file.as_bytes()).unwrap().text, b"a\nb\n");
    }

    #[test]
    fn the_final_newline_of_the_file_may_lack() {
        assert!(parse(framed("a\n").trim_end().as_bytes()).is_ok());
    }

    #[test]
    fn anything_around_the_framework_is_refused() {
        let file = framed("a\n");
        let before = parse(format!("Origin: evil\n{file}").as_bytes()).map(|_| ());
        assert_eq!(before, Err(FrameProblem::Outside(1)));
        assert_eq!(
            parse(format!("\n{file}").as_bytes()).map(|_| ()),
            Err(FrameProblem::Outside(1))
        );
        assert_eq!(
            parse(format!("{file}\n").as_bytes()).map(|_| ()),
            Err(FrameProblem::Outside(9))
        );
        assert_eq!(
            parse(format!("{file}{file}").as_bytes()).map(|_| ()),
            Err(FrameProblem::Outside(9))
        );
        assert_eq!(
            parse(b"Origin: x\n").map(|_| ()),
            Err(FrameProblem::NotClearsigned)
        );
        assert_eq!(parse(b"").map(|_| ()), Err(FrameProblem::NotClearsigned));
    }

    #[test]
    fn what_readers_disagree_on_is_refused() {
        let file = framed("a\n-b\n");
        for (from, to) in [
            ("Hash: SHA512\n", "Hash: SHA512\nNotDashEscaped: yes\n"),
            ("MESSAGE-----\n", "MESSAGE----- \n"),
            ("Hash: SHA512\n\n", "Hash: SHA512\n \n"),
            ("- -b", "-b"),
            ("a\n", "a\r\n"),
            ("a\n", "a\rb\n"),
            ("a\n", "a\0\n"),
            (
                "-----BEGIN PGP SIGNATURE-----\n",
                "-----BEGIN PGP SIGNATURE----- \n",
            ),
            ("\nAAAA\n", "\nAAAA\n-----BEGIN PGP SIGNATURE-----\n"),
            ("\nAAAA\n", "\nAAAA\u{e4}\n"),
            ("-----END PGP SIGNATURE-----\n", ""),
        ] {
            let changed = file.replacen(from, to, 1);
            assert_ne!(changed, file, "{from:?}");
            assert!(
                matches!(parse(changed.as_bytes()), Err(FrameProblem::Line(..))),
                "{from:?} → {to:?}"
            );
        }
    }

    #[test]
    fn only_unambiguous_text_is_signed() {
        assert_eq!(check(b"a: b\n\n c\td\n"), Ok(()));
        for (text, line, problem) in [
            ("", 1, TextProblem::Empty),
            ("\n", 1, TextProblem::Empty),
            ("a\nb", 2, TextProblem::NoFinalNewline),
            ("a\n\n", 2, TextProblem::EmptyLastLine),
            ("a\nb \nc\n", 2, TextProblem::TrailingWhiteSpace),
            ("a\t\n", 1, TextProblem::TrailingWhiteSpace),
            ("a\r\n", 1, TextProblem::ControlCharacter),
            ("a\0\n", 1, TextProblem::ControlCharacter),
        ] {
            assert_eq!(check(text.as_bytes()), Err((line, problem)), "{text:?}");
        }
        let long = format!("{}\n", "x".repeat(MAX_LINE + 1));
        assert_eq!(check(long.as_bytes()), Err((1, TextProblem::LongLine)));
    }

    #[test]
    fn the_signed_bytes_have_no_final_newline() {
        assert_eq!(canonical(b"a\n\nb\n"), b"a\r\n\r\nb");
    }

    proptest! {
        #[test]
        fn text_that_may_be_signed_survives(text in "([ -~]{0,12}\n){1,6}") {
            if check(text.as_bytes()).is_ok() {
                prop_assert_eq!(parse(framed(&text).as_bytes()).unwrap().text, text.as_bytes());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let mut file = framed("a\n").into_bytes();
            file.splice(40..52, bytes);
            let _ = parse(&file);
        }
    }
}
