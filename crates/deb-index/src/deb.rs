//! Reading a binary package, a `.deb` file, and building small ones: format [deb(5)](https://manpages.debian.org/deb.5).
//!
//! A `.deb` is an `ar` archive of `debian-binary`, `control.tar` and `data.tar`. [`describe`] reads
//! it once from front to back, in little memory whatever its size, and gives what an index needs:
//! the control file byte for byte, and the size and digests of the whole file. The files inside
//! `data.tar` are not looked at.
//!
//! This is where untrusted input enters, so the reader is strict: it refuses what dpkg or apt refuses (one
//! malformed relation stops apt on every device), what two readers could understand differently (a second
//! control file, bytes after the last member) and what would forge an index entry (a `Filename` or
//! `SHA256` field). What they accept and is probably a mistake is a [`Warning`].

use std::io::{self, Read};

use crate::digest::{Algorithm, Digests, Hasher};
use crate::name::{Architecture, PackageName};
use crate::paragraph::{Paragraph, ParagraphError};
use crate::quote::printable;
use crate::version::Version;

mod ar;
mod build;
pub mod changes;
mod control_tar;
mod fields;
mod warning;

use ar::Archive;
pub use build::{Installed, build};
pub use fields::FieldError;
pub use warning::Warning;

/// What an index needs to know of a binary package.
///
/// A publisher keeps one for each package, so it has no spare capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deb {
    /// The control file as the package has it: one paragraph, ending in exactly one newline, with no
    /// empty line before or in it.
    pub control: Vec<u8>,
    pub package: PackageName,
    pub version: Version,
    /// `Architecture`; `all` or a single one.
    pub architecture: Architecture,
    /// The name in `Source`; `None` where the field is missing, names the package itself, or has something
    /// other than a name, which apt and dpkg accept.
    pub source: Option<PackageName>,
    /// Size in bytes, MD5, SHA-1 and SHA-256 of the file.
    pub digests: Digests,
    /// What the user should know; empty for nearly all packages.
    pub warnings: Vec<Warning>,
}

impl Deb {
    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.digests.size
    }

    /// Name of the source package, under which the pool keeps the package.
    #[must_use]
    pub fn source(&self) -> &PackageName {
        self.source.as_ref().unwrap_or(&self.package)
    }
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
    Control(ParagraphError),
    /// The control file ends within a line. dpkg refuses to install such a package.
    #[error("malformed control file: no newline at its end")]
    NoFinalNewline,
    /// The control file lacks a field, or has it without a value.
    #[error("malformed control file: no “{0}” field")]
    MissingField(&'static str),
    /// A field is one that apt or dpkg would refuse.
    #[error("malformed control file: {0}")]
    Field(FieldError),
}

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
                "a member “{name}” where control.tar (.gz, .xz, .zst) is expected"
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
            "a member “{data_name}” where data.tar (.gz, .xz, .zst, .bz2, .lzma) is expected"
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
                "the first member is “{name}”, not debian-binary"
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
                "format version “{}”, not 2.0",
                printable(String::from_utf8_lossy(&line).trim_end())
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
        None => return Err(DebError::Control(ParagraphError::Empty)),
    }
    control.shrink_to_fit();

    let paragraph = Paragraph::parse(&control).map_err(DebError::Control)?;
    if let Some(last) = paragraph.fields().last()
        && last.value.is_empty()
        && !blank_line_at_end
    {
        let rule = "the last field is empty, in which dpkg sees a file that was cut off";
        return Err(DebError::Field(FieldError::new(last.name, b"", rule)));
    }
    let package = identity(&paragraph, "Package", |text| {
        PackageName::new(text).map_err(|error| error.reason)
    })?;
    let version = identity(&paragraph, "Version", |text| {
        text.parse::<Version>().map_err(|error| error.reason)
    })?;
    let architecture = identity(&paragraph, "Architecture", |text| {
        let architecture = Architecture::new(text).map_err(|error| error.reason)?;
        if architecture.is_wildcard() {
            return Err("is not an architecture that a package can be built for");
        }
        Ok(architecture)
    })?;
    let warnings = fields::check(&paragraph, &architecture).map_err(DebError::Field)?;
    let source = paragraph
        .get("Source")
        .and_then(source_name)
        .filter(|source| *source != package);
    Ok(Deb {
        control,
        package,
        version,
        architecture,
        source,
        digests,
        warnings,
    })
}

/// A field that identifies the package.
fn identity<T>(
    paragraph: &Paragraph<'_>,
    field: &'static str,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<T, DebError> {
    let value = paragraph.get(field).unwrap_or_default();
    if value.is_empty() {
        return Err(DebError::MissingField(field));
    }
    std::str::from_utf8(value)
        .map_err(|_| "is not UTF-8")
        .and_then(parse)
        .map_err(|rule| DebError::Field(FieldError::new(field, value, rule)))
}

/// The name in `name` or `name (version)`, if it is one.
pub(crate) fn source_name(value: &[u8]) -> Option<PackageName> {
    let text = std::str::from_utf8(value).ok()?;
    let name = text.split([' ', '\t', '(']).next()?;
    name.parse().ok()
}
