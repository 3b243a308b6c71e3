//! The `ar` archive around a package's members: [deb(5)](https://manpages.debian.org/deb.5).
//!
//! Only the common format that deb(5) allows: names of at most 15 characters in the header, no
//! tables of names. General readers also take the name tables of the GNU and BSD variants, whose
//! sizes come from the file, and do not tell a file cut off in its padding from a whole one.

use std::io::{self, Read};

use super::{DebError, Input};

/// What every `ar` archive begins with.
const MAGIC: &[u8; 8] = b"!<arch>\n";

/// Size of the header before each member.
const HEADER: usize = 60;

/// An archive of these members, each with its name of at most 15 characters.
pub(super) fn write(members: &[(&str, Vec<u8>)], time: u64) -> Vec<u8> {
    let mut archive = MAGIC.to_vec();
    for (name, content) in members {
        let size = content.len();
        let header = format!(
            "{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 100_644
        );
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

/// Reads the members of an archive one after the other. As a [`Read`] it gives the content of the
/// current member.
pub(super) struct Archive<R> {
    input: Input<R>,
    /// The current member's name.
    member: String,
    /// Bytes of the current member that are still to be read.
    left: u64,
    /// Whether a byte of padding follows the current member.
    padded: bool,
    truncated: bool,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(input: Input<R>) -> Self {
        Self {
            input,
            member: "its first line".to_owned(),
            left: 0,
            padded: false,
            truncated: false,
        }
    }

    /// Where the file ended too early, if it did.
    pub(super) fn truncated(&self) -> Option<String> {
        self.truncated.then(|| self.member.clone())
    }

    pub(super) fn into_inner(self) -> Input<R> {
        self.input
    }

    /// Checks the first bytes of the file.
    pub(super) fn read_magic(&mut self) -> Result<(), DebError> {
        let mut magic = [0; 8];
        let size = self.fill(&mut magic)?;
        let (magic, expected) = (&magic[..size], &MAGIC[..size]);
        if size == 0 {
            Err(DebError::NotADeb("the file is empty".to_owned()))
        } else if magic != expected {
            let kind = match magic {
                [0x1f, 0x8b, ..] => "a gzip file",
                [0xed, 0xab, 0xee, 0xdb, ..] => "an RPM package",
                [b'P', b'K', ..] => "a ZIP file",
                b"0.939000" => "a package of the old format of 1995",
                _ if magic.starts_with(b"version ") => "a Git LFS pointer, perhaps",
                _ => "the first bytes are not those of an ar archive",
            };
            Err(DebError::NotADeb(kind.to_owned()))
        } else if size < MAGIC.len() {
            Err(self.cut_short())
        } else {
            Ok(())
        }
    }

    /// Skips what is left of the current member and reads the header of the next one. `None` at the
    /// end of the file, which must be the end of a member.
    pub(super) fn next_member(&mut self) -> Result<Option<String>, DebError> {
        self.skip()?;
        let mut header = [0; HEADER];
        match self.fill(&mut header)? {
            0 => return Ok(None),
            HEADER => {}
            size => {
                // What cannot become a header is not a cut header.
                if !header[..size.min(16)]
                    .iter()
                    .all(|b| matches!(b, b' '..=b'~'))
                {
                    return Err(self.garbage());
                }
                "the header of a member".clone_into(&mut self.member);
                return Err(self.cut_short());
            }
        }
        let (fields, end) = header.split_at(HEADER - 2);
        let size = parse_size(&fields[48..58]);
        let (Some(size), b"`\n") = (size, end) else {
            return Err(self.garbage());
        };
        let name = fields[..16].trim_ascii_end();
        let name = name.strip_suffix(b"/").unwrap_or(name);
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(self.garbage());
        }
        self.member = String::from_utf8_lossy(name).into_owned();
        self.left = size;
        self.padded = size % 2 == 1;
        Ok(Some(self.member.clone()))
    }

    fn garbage(&self) -> DebError {
        DebError::NotADeb(format!(
            "the bytes after {} are not an ar member",
            self.member
        ))
    }

    fn skip(&mut self) -> Result<(), DebError> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(DebError::Read(error)),
            }
        }
        if std::mem::take(&mut self.padded) && self.fill(&mut [0])? == 0 {
            return Err(self.cut_short());
        }
        Ok(())
    }

    /// Reads as much of `buffer` as the file still has.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DebError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(size) => filled += size,
                Err(error) => return Err(DebError::Read(error)),
            }
        }
        Ok(filled)
    }

    fn cut_short(&mut self) -> DebError {
        self.truncated = true;
        DebError::Truncated(self.member.clone())
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let size = self.input.read(&mut buffer[..most])?;
        if size == 0 {
            self.truncated = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= size as u64;
        Ok(size)
    }
}

/// Decimal digits, then spaces.
fn parse_size(field: &[u8]) -> Option<u64> {
    let digits = field.trim_ascii_end();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
