//! Control paragraphs (deb822): `Name: value` lines and their continuations.
//!
//! The syntax is set by the Debian Policy,
//! [5.1](https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files), and
//! by [deb822(5)](https://manpages.debian.org/deb822.5). Everything here borrows from the bytes
//! that were read and gives them back unchanged: an index is rendered from the very bytes of
//! each package's control file, so that what a client parses is what the maintainer wrote.
//!
//! Two readers, for two jobs. [`Paragraph::parse`] is strict, for input that nobody has vouched for:
//! it takes what dpkg takes in a binary package's control file and no more. [`stanzas`] and
//! [`field`] run over whole indexes, tens of thousands of entries, and check nothing.
//!
//! Comments belong to source packages only, and are refused.

use memchr::{memchr, memrchr};

use crate::quote::printable;

/// The longest paragraph taken, in bytes. The largest in Debian have some 100 KiB (`Provides` of
/// bundled modules).
pub const MAX_PARAGRAPH: usize = 1024 * 1024;

/// One control paragraph, parsed strictly.
#[derive(Clone, Debug)]
pub struct Paragraph<'a> {
    raw: &'a [u8],
    fields: Vec<Field<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written. Names compare without regard to case.
    pub name: &'a str,
    /// The value, without the white space around it. The lines of a value with several are joined
    /// by `\n` and keep their leading space or tab.
    pub value: &'a [u8],
    /// The line the field begins on, counted from 1.
    pub line: usize,
}

/// Why bytes are not a control paragraph. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParagraphError {
    /// There is no field.
    #[error("no fields")]
    Empty,
    /// There are more bytes than [`MAX_PARAGRAPH`].
    #[error("{size} bytes, more than the {MAX_PARAGRAPH} that are accepted")]
    TooLong {
        /// How many there are.
        size: usize,
    },
    /// An empty line, which would end the paragraph.
    #[error("line {line}: empty line inside the paragraph")]
    EmptyLine { line: usize },
    /// A line of nothing but white space. Readers disagree on whether it ends the paragraph.
    #[error("line {line}: blank line (write “ .” for an empty line of text)")]
    BlankLine { line: usize },
    /// A continuation line with no field before it.
    #[error("line {line}: continuation line before the first field")]
    OrphanContinuation { line: usize },
    /// A line without a colon.
    #[error("line {line}: no “:” after the field's name")]
    NoColon { line: usize },
    /// A field name with characters that it cannot have.
    #[error("line {line}: malformed field name “{name}”")]
    MalformedName {
        line: usize,
        /// The name, made printable.
        name: String,
    },
    /// A field that is there twice. Readers disagree on which one counts.
    #[error("line {line}: field “{name}” was there before, on line {first}")]
    DuplicateField {
        line: usize,
        /// Where it was first.
        first: usize,
        name: String,
    },
    /// A NUL or Control-Z byte. C programs take the one for the end, dpkg the other for a new line.
    #[error("line {line}: byte {byte:#04x} in the text")]
    ControlByte {
        line: usize,
        /// 0x00 or 0x1a.
        byte: u8,
    },
}

impl<'a> Paragraph<'a> {
    /// Parses one paragraph. The final newline may be missing; any other empty line is an error.
    ///
    /// # Errors
    /// On everything that dpkg refuses in a binary package's control file, see [`ParagraphError`].
    pub fn parse(raw: &'a [u8]) -> Result<Self, ParagraphError> {
        if raw.len() > MAX_PARAGRAPH {
            return Err(ParagraphError::TooLong { size: raw.len() });
        }
        let mut fields: Vec<Field<'a>> = Vec::new();
        // Where the value of the last field begins in `raw`.
        let mut value_start = 0;
        for (line, start, text) in lines(raw) {
            if let Some(&byte) = text.iter().find(|&&b| b == 0 || b == 0x1a) {
                return Err(ParagraphError::ControlByte { line, byte });
            }
            match text.first() {
                None => return Err(ParagraphError::EmptyLine { line }),
                Some(b' ' | b'\t') => {
                    if text.trim_ascii().is_empty() {
                        return Err(ParagraphError::BlankLine { line });
                    }
                    let Some(last) = fields.last_mut() else {
                        return Err(ParagraphError::OrphanContinuation { line });
                    };
                    last.value = trim_value(&raw[value_start..start + text.len()]);
                }
                Some(_) => {
                    let (name, value) = split_field(line, text)?;
                    value_start = start + text.len() - value.len();
                    fields.push(Field {
                        name,
                        value: trim_value(value),
                        line,
                    });
                }
            }
        }
        if fields.is_empty() {
            return Err(ParagraphError::Empty);
        }
        refuse_duplicates(&fields)?;
        Ok(Self { raw, fields })
    }

    /// The bytes that were parsed.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The fields in the order in which they are written.
    #[must_use]
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The value of a field; the name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The value of a field where it is there and is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&'a str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// The lines of `raw` without their newlines: number from 1, offset, text.
fn lines(raw: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut start = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        if start >= raw.len() {
            return None;
        }
        let end = memchr(b'\n', &raw[start..]).map_or(raw.len(), |at| start + at);
        let line = (number + 1, start, &raw[start..end]);
        number += 1;
        start = end + 1;
        Some(line)
    })
}

/// Splits the first line of a field at its colon and checks the name.
fn split_field(line: usize, text: &[u8]) -> Result<(&str, &[u8]), ParagraphError> {
    let colon = memchr(b':', text).ok_or(ParagraphError::NoColon { line })?;
    let (name, value) = (&text[..colon], &text[colon + 1..]);
    // dpkg takes white space before the colon.
    let name = trim_blanks_end(name);
    match std::str::from_utf8(name) {
        Ok(name)
            if !name.is_empty()
                && !name.starts_with(['-', '#'])
                && name.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok((name, value))
        }
        _ => Err(ParagraphError::MalformedName {
            line,
            name: printable(&String::from_utf8_lossy(name)),
        }),
    }
}

fn refuse_duplicates(fields: &[Field<'_>]) -> Result<(), ParagraphError> {
    let mut names: Vec<(String, usize)> = fields
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), field.line))
        .collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [(a, first), (b, line)] = pair
            && a == b
        {
            return Err(ParagraphError::DuplicateField {
                line: *line,
                first: *first,
                name: printable(b),
            });
        }
    }
    Ok(())
}

fn trim_blanks_end(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|&b| b != b' ' && b != b'\t')
        .map_or(0, |at| at + 1);
    &bytes[..end]
}

/// Trims the white space around a value, but not the newline before its second line.
fn trim_value(value: &[u8]) -> &[u8] {
    let start = value
        .iter()
        .position(|&b| b == b'\n' || !b.is_ascii_whitespace())
        .unwrap_or(value.len());
    value[start..].trim_ascii_end()
}

/// Splits an index, or any file of several paragraphs, into its stanzas.
///
/// Each comes with its last newline where the file has it; the empty lines between are dropped.
/// Only an empty line separates (one with carriage returns counts as empty), as it does for APT; a
/// line of spaces does not.
#[must_use]
pub fn stanzas(bytes: &[u8]) -> Stanzas<'_> {
    Stanzas { rest: bytes }
}

/// Iterator over the stanzas of an index, see [`stanzas`].
#[derive(Clone, Debug)]
pub struct Stanzas<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(after) = empty_line(self.rest) {
            self.rest = after;
        }
        if self.rest.is_empty() {
            return None;
        }
        for newline in memchr::memchr_iter(b'\n', self.rest) {
            let (stanza, after) = self.rest.split_at(newline + 1);
            if empty_line(after).is_some() {
                self.rest = after;
                return Some(stanza);
            }
        }
        Some(std::mem::take(&mut self.rest))
    }
}

/// What follows the empty line at the front, if there is one.
fn empty_line(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'\n', rest @ ..] => Some(rest),
        [b'\r', ..] => {
            let end = bytes.iter().position(|&b| b != b'\r')?;
            match &bytes[end..] {
                [b'\n', rest @ ..] => Some(rest),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The first line of a field's value in a stanza, trimmed; the name in any case.
///
/// The first field of that name counts. Nothing is checked and nothing is allocated.
#[must_use]
pub fn field<'a>(stanza: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let name = name.as_bytes();
    let mut rest = stanza;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        if let Some((head, tail)) = line.split_at_checked(name.len())
            && head.eq_ignore_ascii_case(name)
            && let [b':', value @ ..] = tail.trim_ascii_start()
        {
            return Some(value.trim_ascii());
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    None
}

/// The offset after the last whole stanza that ends within the first `limit` bytes, or else after
/// the first stanza: where to cut an index so that no stanza is torn.
pub(crate) fn stanza_boundary(bytes: &[u8], limit: usize) -> usize {
    if bytes.len() <= limit {
        return bytes.len();
    }
    let mut end = limit;
    while let Some(newline) = memrchr(b'\n', &bytes[..end]) {
        if newline > 0 && bytes[newline - 1] == b'\n' {
            return newline + 1;
        }
        end = newline;
    }
    memchr::memmem::find(&bytes[limit.saturating_sub(1)..], b"\n\n")
        .map_or(bytes.len(), |at| limit.saturating_sub(1) + at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(raw: &[u8]) -> ParagraphError {
        Paragraph::parse(raw).unwrap_err()
    }

    #[test]
    fn fields_and_values() {
        let raw = b"Package: hello\nDescription:  a greeting \n long\n\ttab\nConffiles:\n /etc/x 1\nEmpty:\n";
        let paragraph = Paragraph::parse(raw).unwrap();
        assert_eq!(paragraph.raw(), raw);
        assert_eq!(paragraph.get_str("PACKAGE"), Some("hello"));
        assert_eq!(
            paragraph.get_str("Description"),
            Some("a greeting \n long\n\ttab")
        );
        assert_eq!(paragraph.get_str("Conffiles"), Some("\n /etc/x 1"));
        assert_eq!(paragraph.get("empty"), Some(&b""[..]));
        assert_eq!(paragraph.get("absent"), None);
        let lines: Vec<usize> = paragraph.fields().iter().map(|f| f.line).collect();
        assert_eq!(lines, [1, 2, 5, 7]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_carried_over() {
        let paragraph = Paragraph::parse(b"Maintainer: J\xf6rg").unwrap();
        assert_eq!(paragraph.get("Maintainer"), Some(&b"J\xf6rg"[..]));
        assert_eq!(paragraph.get_str("Maintainer"), None);
    }

    #[test]
    fn refused_with_the_line() {
        use ParagraphError as E;
        assert_eq!(error(b""), E::Empty);
        assert_eq!(error(b"\n"), E::EmptyLine { line: 1 });
        assert_eq!(error(b"A: 1\n\nB: 2\n"), E::EmptyLine { line: 2 });
        assert_eq!(error(b"A: 1\n\n"), E::EmptyLine { line: 2 });
        assert_eq!(error(b"A: 1\n \t\nB: 2\n"), E::BlankLine { line: 2 });
        assert_eq!(error(b"A: 1\n \r\nB: 2\n"), E::BlankLine { line: 2 });
        assert_eq!(error(b" A: 1\n"), E::OrphanContinuation { line: 1 });
        assert_eq!(error(b"A: 1\nB\nC: 2\n"), E::NoColon { line: 2 });
        assert_eq!(
            error(b"A: 1\nB: 2\na : 3\n"),
            E::DuplicateField {
                line: 3,
                first: 1,
                name: "a".into()
            }
        );
        assert_eq!(error(b"A: 1\n x\0y\n"), E::ControlByte { line: 2, byte: 0 });
        assert_eq!(
            error(b"A: 1\x1aB: 2\n"),
            E::ControlByte {
                line: 1,
                byte: 0x1a
            }
        );
        for name in ["-A", "#A", "A B", "", "\u{e9}", "A\r", "A\x01"] {
            let raw = format!("X: 1\n{name}: 2\n");
            assert!(
                matches!(error(raw.as_bytes()), E::MalformedName { line: 2, .. }),
                "{name:?}"
            );
        }
        let long = [b"A: ", vec![b'x'; MAX_PARAGRAPH].as_slice()].concat();
        assert!(matches!(error(&long), E::TooLong { .. }));
    }

    #[test]
    fn stanzas_are_cut_at_empty_lines_only() {
        let index = b"\n\nA: 1\n x\n\n\n\r\nB: 2\n \nC: 3\n\nD: 4";
        let parts: Vec<&[u8]> = stanzas(index).collect();
        assert_eq!(parts, [&b"A: 1\n x\n"[..], b"B: 2\n \nC: 3\n", b"D: 4"]);
        assert_eq!(stanzas(b"").count(), 0);
        assert_eq!(stanzas(b"\n\r\n\n").count(), 0);
        assert_eq!(stanzas(b"\r").collect::<Vec<_>>(), [b"\r"]);
    }

    #[test]
    fn one_field_of_a_stanza() {
        let stanza = b"Package: a\nSHA256 :  x \nDescription: d\n Version: 9\nVersion: 1\nEmpty:\n";
        assert_eq!(field(stanza, "package"), Some(&b"a"[..]));
        assert_eq!(field(stanza, "SHA256"), Some(&b"x"[..]));
        assert_eq!(field(stanza, "SHA"), None);
        assert_eq!(field(stanza, "Version"), Some(&b"1"[..]));
        assert_eq!(field(stanza, "Empty"), Some(&b""[..]));
        assert_eq!(field(b"", "Version"), None);
    }

    #[test]
    fn boundaries_never_tear_a_stanza() {
        let index = b"A: 1\n\nBB: 22\n\nC: 3\n\n";
        assert_eq!(stanza_boundary(index, 100), index.len());
        assert_eq!(stanza_boundary(index, 6), 6);
        assert_eq!(stanza_boundary(index, 13), 6);
        assert_eq!(stanza_boundary(index, 14), 14);
        assert_eq!(stanza_boundary(index, 3), 6);
        assert_eq!(stanza_boundary(b"A: 1\nB: 2", 3), 9);
    }

    proptest! {
        #[test]
        fn joined_stanzas_come_apart_again(
            bodies in proptest::collection::vec("[A-Z][a-z]{0,5}: [ -~]{0,20}\n( [!-~]{1,9}\n){0,3}", 0..8),
            blanks in 1usize..4,
        ) {
            let index = bodies.join(&"\n".repeat(blanks));
            let parts: Vec<&[u8]> = stanzas(index.as_bytes()).collect();
            let expected: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
            prop_assert_eq!(parts, expected);
        }

        #[test]
        fn never_panics_and_the_readers_agree(raw in "([A-C]{0,2}[ \t]{0,1}[:\n\r \t-]{0,2}[a-c\u{e9}]{0,2}\n?){0,12}") {
            let raw = raw.as_bytes();
            if let Ok(paragraph) = Paragraph::parse(raw) {
                prop_assert_eq!(stanzas(raw).count(), 1);
                for one in paragraph.fields() {
                    let first = one.value.split(|&b| b == b'\n').next().unwrap().trim_ascii();
                    prop_assert_eq!(field(raw, one.name), Some(first));
                }
            }
        }
    }
}
