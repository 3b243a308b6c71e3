//! Reading a binary package, a `.deb` file: format [deb(5)](https://manpages.debian.org/deb.5).
//!
//! A `.deb` is an `ar` archive of `debian-binary`, `control.tar` and `data.tar`. [`describe`] reads
//! it once from front to back, in little memory whatever its size, and gives what an index needs:
//! the control file byte for byte, and the size and digests of the whole file. The files inside
//! `data.tar` are not looked at.
//!
//! This is where input enters that nobody has vouched for, so the reader is strict: it refuses what
//! dpkg refuses, and also what two readers could understand differently (a second control file,
//! bytes after the last member) and what would forge an index entry (a `Filename` or `SHA256` field).

use std::io::{self, Read};

use crate::digest::{Algorithm, Digests, Hasher};
use crate::name::{Architecture, NameError, PackageName};
use crate::paragraph::{Paragraph, ParagraphError};
use crate::version::{Version, VersionError};

mod ar;
mod control_tar;

use ar::Archive;

/// What an index needs to know of a binary package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deb {
    /// The control file as the package has it: one paragraph, ending in exactly one newline, with no
    /// empty line before or in it.
    pub control: Vec<u8>,
    /// `Package`.
    pub package: PackageName,
    /// `Version`.
    pub version: Version,
    /// `Architecture`; `all` or a single one.
    pub architecture: Architecture,
    /// `Source`, or the package itself where there is no such field.
    pub source: Source,
    /// Size in bytes, MD5, SHA-1 and SHA-256 of the file.
    pub digests: Digests,
}

impl Deb {
    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.digests.size
    }
}

/// The source package that a binary package was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, under which the pool keeps the package.
    pub name: PackageName,
    /// Its version, which differs from the binary's after a binary-only rebuild.
    pub version: Version,
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebError {
    /// The file could not be read: nothing is known about its content.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// It is not of the format.
    #[error("not a .deb: {0}")]
    NotADeb(String),
    /// It ends before its parts do: an upload or a build was cut off.
    #[error("not a whole .deb: the file ends inside {0}")]
    Truncated(String),
    /// `control.tar` cannot be read.
    #[error("malformed .deb: control.tar: {0}")]
    ControlArchive(String),
    /// The control file is malformed.
    #[error("malformed control file: {0}")]
    Control(#[from] ParagraphError),
    /// The control file ends within a line. dpkg refuses to install such a package.
    #[error("malformed control file: no newline at its end")]
    NoFinalNewline,
    /// The last field of the control file is empty and nothing follows, in which dpkg sees a file
    /// that was cut off.
    #[error("malformed control file: the last field, {0:?}, is empty, which dpkg refuses")]
    EmptyLastField(String),
    /// The control file lacks a field.
    #[error("malformed control file: there is no {0} field")]
    MissingField(&'static str),
    /// The value of a field is none that the field can have.
    #[error("malformed control file: {field}: {reason}")]
    MalformedField {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The control file has a field that belongs to an index only, and would forge its entry.
    #[error("malformed control file: the field {0:?} belongs into an index, not into a package")]
    IndexField(String),
}

/// Fields that an index adds to the control file of a package.
const INDEX_FIELDS: [&str; 7] = [
    "Filename",
    "MSDOS-Filename",
    "Size",
    "MD5sum",
    "SHA1",
    "SHA256",
    "SHA512",
];

/// The compressions of `data.tar` that dpkg reads.
const DATA_SUFFIXES: [&str; 6] = ["", ".gz", ".xz", ".zst", ".bz2", ".lzma"];

/// Bytes of `debian-binary` that are read; dpkg has room for 39.
const MAX_FORMAT: u64 = 1024;

/// Reads a package from its first byte to its last.
///
/// # Errors
/// When the file cannot be read, or is not a whole and well-formed package: see [`DebError`].
pub fn describe(reader: impl Read) -> Result<Deb, DebError> {
    let mut archive = Archive::new(Input {
        reader,
        hasher: Hasher::new(&[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256]),
        failed: None,
    });
    match read_members(&mut archive) {
        Ok(control) => {
            let digests = archive.into_inner().hasher.finish();
            from_control(control, digests)
        }
        Err(error) => {
            // Any layer above may have put its own words on it: a decoder, the tar reader.
            if let Some(truncated) = archive.truncated() {
                return Err(DebError::Truncated(truncated));
            }
            Err(match archive.into_inner().failed {
                Some(failed) => DebError::Read(failed),
                None => error,
            })
        }
    }
}

/// The bytes of the file, hashed as they pass.
struct Input<R> {
    reader: R,
    hasher: Hasher,
    /// The error that ended reading, kept because the layers above reword it.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(size) => {
                    self.hasher.update(&buffer[..size]);
                    return Ok(size);
                }
                // Not every layer above would try again.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failed = Some(error);
                    return Err(kind.into());
                }
            }
        }
    }
}

/// Walks over all members and returns the content of the control file.
fn read_members<R: Read>(archive: &mut Archive<R>) -> Result<Vec<u8>, DebError> {
    archive.read_magic()?;
    check_format(archive)?;

    let control_name = next_member(archive, "control.tar")?;
    let compression = match control_name.as_str() {
        "control.tar" => control_tar::Compression::None,
        "control.tar.gz" => control_tar::Compression::Gz,
        "control.tar.xz" => control_tar::Compression::Xz,
        "control.tar.zst" => control_tar::Compression::Zst,
        name => {
            return Err(DebError::NotADeb(format!(
                "a member {name:?} where control.tar (.gz, .xz, .zst) is expected"
            )));
        }
    };
    let control =
        control_tar::read_control(archive, compression).map_err(DebError::ControlArchive)?;

    let data_name = next_member(archive, "data.tar")?;
    if !data_name
        .strip_prefix("data.tar")
        .is_some_and(|suffix| DATA_SUFFIXES.contains(&suffix))
    {
        return Err(DebError::NotADeb(format!(
            "a member {data_name:?} where data.tar (.gz, .xz, .zst, .bz2, .lzma) is expected"
        )));
    }

    // What comes after data.tar is ignored, unless some reader could take it for the package's.
    while let Some(name) = archive.next_member()? {
        if name == "debian-binary"
            || name.starts_with("control.tar")
            || name.starts_with("data.tar")
        {
            return Err(DebError::NotADeb(format!("a second {name}")));
        }
    }
    Ok(control)
}

/// Reads the format's version, of which the major number must be 2.
fn check_format<R: Read>(archive: &mut Archive<R>) -> Result<(), DebError> {
    match archive.next_member()? {
        Some(name) if name == "debian-binary" => {}
        Some(name) => {
            return Err(DebError::NotADeb(format!(
                "the first member is {name:?}, not debian-binary"
            )));
        }
        None => return Err(DebError::NotADeb("an empty archive".to_owned())),
    }
    let mut format = Vec::new();
    archive
        .take(MAX_FORMAT)
        .read_to_end(&mut format)
        .map_err(|error| DebError::NotADeb(error.to_string()))?;
    let minor = format.strip_prefix(b"2.").and_then(|rest| {
        rest.split(|&b| b == b'\n')
            .next()
            .filter(|l| l.len() < rest.len())
    });
    match minor {
        Some(minor) if !minor.is_empty() && minor.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => {
            let line: Vec<u8> = format.into_iter().take(20).collect();
            Err(DebError::NotADeb(format!(
                "format version {:?}, not 2.0",
                String::from_utf8_lossy(&line).trim_end()
            )))
        }
    }
}

/// The name of the next member that may not be skipped.
fn next_member<R: Read>(archive: &mut Archive<R>, expected: &str) -> Result<String, DebError> {
    loop {
        match archive.next_member()? {
            Some(name) if name.starts_with('_') => {}
            Some(name) => return Ok(name),
            None => return Err(DebError::NotADeb(format!("there is no {expected}"))),
        }
    }
}

fn from_control(mut control: Vec<u8>, digests: Digests) -> Result<Deb, DebError> {
    let blank_line_at_end = control.ends_with(b"\n\n");
    let blank = control
        .iter()
        .position(|&b| b != b'\n')
        .unwrap_or(control.len());
    control.drain(..blank);
    match control.iter().rposition(|&b| b != b'\n') {
        Some(last) if last + 1 == control.len() => return Err(DebError::NoFinalNewline),
        Some(last) => control.truncate(last + 2),
        None => return Err(ParagraphError::Empty.into()),
    }

    let paragraph = Paragraph::parse(&control)?;
    if let Some(last) = paragraph.fields().last()
        && last.value.is_empty()
        && !blank_line_at_end
    {
        return Err(DebError::EmptyLastField(last.name.to_owned()));
    }
    for field in paragraph.fields() {
        if INDEX_FIELDS
            .iter()
            .any(|name| name.eq_ignore_ascii_case(field.name))
        {
            return Err(DebError::IndexField(field.name.to_owned()));
        }
    }
    let package: PackageName = required(&paragraph, "Package")?
        .parse()
        .map_err(|error: NameError| malformed("Package", error))?;
    let version: Version = required(&paragraph, "Version")?
        .parse()
        .map_err(|error: VersionError| malformed("Version", error))?;
    let architecture: Architecture = required(&paragraph, "Architecture")?
        .parse()
        .map_err(|error: NameError| malformed("Architecture", error))?;
    if architecture.is_wildcard() {
        return Err(malformed(
            "Architecture",
            format!("{architecture:?} is not an architecture that a package can be built for"),
        ));
    }
    let source = match text(&paragraph, "Source")? {
        Some(source) => parse_source(source, &version)?,
        None => Source {
            name: package.clone(),
            version: version.clone(),
        },
    };
    Ok(Deb {
        control,
        package,
        version,
        architecture,
        source,
        digests,
    })
}

/// Parses `name` or `name (version)`.
fn parse_source(text: &str, binary: &Version) -> Result<Source, DebError> {
    let (name, version) = match text.split_once('(') {
        None => (text, binary.clone()),
        Some((name, rest)) => {
            let version = rest
                .strip_suffix(')')
                .ok_or_else(|| malformed("Source", "no ')' at the end"))?;
            let version = version
                .trim_ascii()
                .parse()
                .map_err(|error| malformed("Source", error))?;
            (name.trim_ascii_end(), version)
        }
    };
    let name = name.parse().map_err(|error| malformed("Source", error))?;
    Ok(Source { name, version })
}

fn required<'a>(paragraph: &Paragraph<'a>, field: &'static str) -> Result<&'a str, DebError> {
    match text(paragraph, field)? {
        None | Some("") => Err(DebError::MissingField(field)),
        Some(value) => Ok(value),
    }
}

/// A field on which the index relies, so it must be text.
fn text<'a>(paragraph: &Paragraph<'a>, field: &'static str) -> Result<Option<&'a str>, DebError> {
    match paragraph.get(field).map(std::str::from_utf8) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(malformed(field, "is not UTF-8")),
    }
}

fn malformed(field: &'static str, reason: impl ToString) -> DebError {
    DebError::MalformedField {
        field,
        reason: reason.to_string(),
    }
}
