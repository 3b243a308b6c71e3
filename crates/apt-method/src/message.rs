//! The wire format between apt and its methods, as a codec over bytes.
//!
//! A message is a block of lines that ends with an empty one:
//!
//! ```text
//! 600 URI Acquire
//! URI: s3://bucket/dists/stable/InRelease
//! Filename: /var/lib/apt/lists/partial/…
//! ```
//!
//! The first line is a number and a text for people; the rest are `Key: value` fields whose keys
//! compare without regard to case, and a line that begins with a space continues the value before
//! it. See "The Method Interface" in apt's `doc/method.md`
//! (<https://salsa.debian.org/apt-team/apt>).
//!
//! This module does not know what any message means.

use std::fmt;

/// The most bytes that one message may have. The configuration, the largest there is, seldom has
/// more than 100 KiB.
pub const MAX_MESSAGE: usize = 16 << 20;

/// One message, either way.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The number that says what it is.
    pub code: u16,
    /// The text after the number; it is not interpreted.
    pub text: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// A message without fields.
    pub fn new(code: u16, text: &str) -> Self {
        Self {
            code,
            text: text.to_owned(),
            fields: Vec::new(),
        }
    }

    /// Adds a field of text. Control characters become spaces: what a server wrote must not be able
    /// to end the line.
    #[must_use]
    pub fn with(self, key: &str, value: impl AsRef<str>) -> Self {
        let value = value
            .as_ref()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>();
        self.with_raw(key, value.into_bytes())
    }

    /// Adds a field byte for byte. Meant for what apt itself sent in one line: it finds an item by
    /// the very bytes of its URI.
    #[must_use]
    pub fn with_raw(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((key.to_owned(), value.into()));
        self
    }

    /// The first value of a field, byte for byte.
    pub fn get_raw(&self, key: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.as_slice())
    }

    /// The first value of a field as text; bytes that are not UTF-8 are replaced.
    pub fn get(&self, key: &str) -> Option<String> {
        self.get_raw(key)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// All fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// The bytes on the wire, with the empty line at the end. Fields without a value are left out,
    /// as apt's own methods do.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{:03} {}\n", self.code, self.text).into_bytes();
        for (key, value) in &self.fields {
            if value.is_empty() {
                continue;
            }
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b": ");
            out.extend(
                value
                    .iter()
                    .map(|byte| if *byte == b'\n' { b' ' } else { *byte }),
            );
            out.push(b'\n');
        }
        out.push(b'\n');
        out
    }

    /// Reads one block, without its empty line.
    fn parse(block: &[u8]) -> Result<Self, Malformed> {
        let mut lines = block.split(|byte| *byte == b'\n');
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let (number, text) = first.trim().split_once(' ').unwrap_or((first.trim(), ""));
        let digits = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
        let code = number
            .parse()
            .ok()
            .filter(|_| digits)
            .ok_or(Malformed::NoNumber)?;
        let mut message = Self::new(code, text.trim());
        for line in lines {
            if let Some(rest) = line.strip_prefix(b" ") {
                let (_, value) = message.fields.last_mut().ok_or(Malformed::NoKey)?;
                value.push(b'\n');
                value.extend_from_slice(rest);
            } else {
                let colon = line
                    .iter()
                    .position(|byte| *byte == b':')
                    .ok_or(Malformed::NoKey)?;
                let (key, value) = line.split_at(colon);
                let key = String::from_utf8_lossy(key).trim().to_owned();
                message.fields.push((key, value[1..].trim_ascii().to_vec()));
            }
        }
        Ok(message)
    }
}

impl fmt::Debug for Message {
    /// The number and the keys: a value may hold a secret (a URI with keys in it, a configuration
    /// item).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.fields.iter().map(|(key, _)| key).collect();
        write!(f, "{:03} {} {keys:?}", self.code, self.text)
    }
}

/// Why a block is no message. It is dropped, and the next one is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line does not begin with three digits.
    #[error("a message does not begin with a number of three digits")]
    NoNumber,
    /// A line is neither `Key: value` nor a continuation.
    #[error("a line of a message has no key")]
    NoKey,
    /// The block is longer than [`MAX_MESSAGE`].
    #[error("a message is longer than {MAX_MESSAGE} bytes")]
    TooLong,
}

/// Cuts a stream of bytes into messages, however it arrives.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// What was searched for the end of a block already.
    searched: usize,
    /// The block is too long: drop everything up to its end.
    skipping: bool,
}

impl Decoder {
    /// Takes bytes as they come. Lines may end with CR LF, as in apt's own methods.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' && self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
                self.searched = self.searched.min(self.buffer.len());
            }
            self.buffer.push(*byte);
        }
    }

    /// The next whole message, if there is one.
    pub fn next_message(&mut self) -> Option<Result<Message, Malformed>> {
        if self.searched == 0 && !self.skipping {
            let blank = self
                .buffer
                .iter()
                .take_while(|byte| **byte == b'\n')
                .count();
            self.buffer.drain(..blank);
        }
        let from = self.searched.saturating_sub(1);
        let Some(end) = self.buffer[from..]
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .map(|at| from + at)
        else {
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_MESSAGE {
                // The last byte stays: it may be the first half of the end.
                self.buffer.drain(..self.buffer.len() - 1);
                self.searched = self.buffer.len();
                if !std::mem::replace(&mut self.skipping, true) {
                    return Some(Err(Malformed::TooLong));
                }
            }
            return None;
        };
        let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
        self.searched = 0;
        if std::mem::take(&mut self.skipping) {
            return self.next_message();
        }
        Some(Message::parse(&block[..end]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Result<Message, Malformed>> {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        std::iter::from_fn(|| decoder.next_message()).collect()
    }

    #[test]
    fn reads_fields_without_regard_to_case() {
        let messages = decode(b"600 URI Acquire\nuri: s3://b/k\nFILENAME:/x\n\n");
        let message = messages[0].as_ref().unwrap();
        assert_eq!((message.code, message.text.as_str()), (600, "URI Acquire"));
        assert_eq!(message.get("URI").unwrap(), "s3://b/k");
        assert_eq!(message.get("Filename").unwrap(), "/x");
        assert_eq!(message.get("Size"), None);
    }

    #[test]
    fn joins_continuation_lines_and_skips_leading_blank_ones() {
        let messages = decode(b"\n\n102 Status\nMessage: one\n two\n  three\n\n\n\n600 x\n\n");
        assert_eq!(
            messages[0].as_ref().unwrap().get("message").unwrap(),
            "one\ntwo\n three"
        );
        assert_eq!(messages[1].as_ref().unwrap().code, 600);
        assert_eq!(messages.len(), 2);
    }

    #[test]
    fn lines_may_end_with_cr_lf_wherever_they_are_cut() {
        let text = b"\r\n600 URI Acquire\r\nURI: s3://b/k\r\n\r\n\r\n601 Configuration\r\n\r\n";
        for cut in 1..=text.len() {
            let mut decoder = Decoder::default();
            let mut messages = Vec::new();
            for piece in text.chunks(cut) {
                decoder.push(piece);
                messages.extend(std::iter::from_fn(|| decoder.next_message()));
            }
            let codes: Vec<_> = messages
                .iter()
                .flatten()
                .map(|message| message.code)
                .collect();
            assert_eq!(codes, [600, 601], "{cut}");
            assert_eq!(
                messages[0].as_ref().unwrap().get("URI").unwrap(),
                "s3://b/k"
            );
        }
    }

    #[test]
    fn a_malformed_block_does_not_harm_the_next() {
        let messages = decode(
            b"hello\nURI: x\n\n600 URI Acquire\nno colon here\n\n 600 x\n\n\
 6000 x\n\n601 Configuration\n\n",
        );
        let codes: Vec<_> = messages
            .iter()
            .map(|message| {
                message
                    .as_ref()
                    .map(|message| message.code)
                    .map_err(|error| *error)
            })
            .collect();
        assert_eq!(
            codes,
            [
                Err(Malformed::NoNumber),
                Err(Malformed::NoKey),
                Ok(600),
                Err(Malformed::NoNumber),
                Ok(601)
            ]
        );
    }

    #[test]
    fn a_server_cannot_inject_a_message() {
        let message = Message::new(400, "URI Failure").with(
            "Message",
            "no\r\n\n201 URI Done\nURI: x\u{7f}\u{85}\u{2028}",
        );
        let bytes = message.to_bytes();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 3);
        assert_eq!(decode(&bytes).len(), 1);
    }

    #[test]
    fn drops_a_block_that_never_ends() {
        let mut decoder = Decoder::default();
        decoder.push(b"601 Configuration\n");
        let line = vec![b'x'; 1 << 20];
        let mut errors = 0;
        for _ in 0..40 {
            decoder.push(&line);
            if let Some(result) = decoder.next_message() {
                assert_eq!(result, Err(Malformed::TooLong));
                errors += 1;
            }
            assert!(decoder.buffer.len() <= MAX_MESSAGE + (2 << 20));
        }
        decoder.push(b"\n\n600 x\n\n");
        assert_eq!(decoder.next_message().unwrap().unwrap().code, 600);
        assert_eq!(errors, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_messages(
            bytes in vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), any::<u8>()], 0..300),
            cut in 1usize..20,
        ) {
            let whole = decode(&bytes);
            let mut decoder = Decoder::default();
            let mut pieces = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                pieces.extend(std::iter::from_fn(|| decoder.next_message()));
            }
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn what_is_written_is_read(
            code in 100u16..1000,
            values in vec(("[A-Za-z][A-Za-z-]{0,12}", "[^\\pC\\pZ]([^\\pC]{0,30}[^\\pC\\pZ])?"), 0..8),
        ) {
            let mut message = Message::new(code, "Some Text");
            for (key, value) in &values {
                message = message.with(key, value);
            }
            let read = decode(&message.to_bytes());
            prop_assert_eq!(read, vec![Ok(message)]);
        }
    }
}
