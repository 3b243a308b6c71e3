//! Finding the control file in `control.tar`: the tar format of
//! [POSIX pax](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html) and
//! [GNU](https://www.gnu.org/software/tar/manual/html_node/Standard.html).
//!
//! dpkg unpacks this archive with `tar`, where a later entry replaces an earlier one of the same
//! name. To read the same control file as dpkg, the whole archive is walked and any second entry
//! that could become it is refused. Extension headers are read here, with a bound on their size.

use std::io::{BufReader, Read};

use tar::EntryType;

use super::ar::Archive;
use crate::paragraph::MAX_PARAGRAPH;

/// Bytes in `control.tar` when decompressed, at most. Packages of very many files have an `md5sums`
/// of some 10 MB.
const MAX_ARCHIVE: u64 = 128 * 1024 * 1024;

/// Bytes in an extension header (a long name, pax records), at most.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Memory that an xz decoder may take, in bytes: `xz -9` needs 65 MiB, of which it touches only as
/// much as there are plain bytes.
const XZ_MEMORY: u64 = 128 * 1024 * 1024;

/// Bytes of compressed input that are read at once.
const BUFFER: usize = 32 * 1024;

/// How `control.tar` is compressed, told by its name.
pub(super) enum Compression {
    None,
    Gz,
    Xz,
    Zst,
}

/// Reads the current member as `control.tar` and returns the content of its `control` file.
///
/// The error is a sentence for the user.
pub(super) fn read_control<R: Read>(
    member: &mut Archive<R>,
    compression: Compression,
) -> Result<Vec<u8>, String> {
    let input = BufReader::with_capacity(BUFFER, member);
    match compression {
        Compression::None => find_control(input),
        Compression::Gz => find_control(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )
            .map_err(|error| error.to_string())?;
            find_control(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        Compression::Zst => {
            find_control(zstd::Decoder::with_buffer(input).map_err(|error| error.to_string())?)
        }
    }
}

/// Walks the whole archive, also for the checks that the decoder makes at its end.
fn find_control(decoded: impl Read) -> Result<Vec<u8>, String> {
    let mut limited = decoded.take(MAX_ARCHIVE + 1);
    let mut control = None;
    let walked = walk(&mut limited, &mut control);
    if walked.is_ok() {
        std::io::copy(&mut limited, &mut std::io::sink()).map_err(|error| error.to_string())?;
    }
    if limited.limit() == 0 {
        return Err(format!("more than {MAX_ARCHIVE} bytes when decompressed"));
    }
    walked?;
    control.ok_or_else(|| "no control file in it".to_owned())
}

fn walk(decoded: &mut impl Read, control: &mut Option<Vec<u8>>) -> Result<(), String> {
    let mut archive = tar::Archive::new(decoded);
    let entries = archive.entries().map_err(|error| error.to_string())?;
    // The name that an extension header gives to the entry after it.
    let mut long_name: Option<Vec<u8>> = None;
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName | EntryType::XHeader | EntryType::XGlobalHeader => {
                let extension = read_bounded(&mut entry, MAX_EXTENSION)
                    .ok_or("an extension header is too long or cut short")?;
                let name = match kind {
                    EntryType::GNULongName => Some(until_nul(&extension).to_vec()),
                    _ => path_record(&extension)?,
                };
                if name.is_some() && (kind == EntryType::XGlobalHeader || long_name.is_some()) {
                    return Err("more than one name for an entry".to_owned());
                }
                long_name = name.or(long_name);
                continue;
            }
            EntryType::GNULongLink => continue,
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link => {}
            other => {
                return Err(format!(
                    "an entry of the type “{}”",
                    char::from(other.as_byte()).escape_default()
                ));
            }
        }
        let regular = matches!(kind, EntryType::Regular | EntryType::Continuous);
        if !regular && entry.header().entry_size().ok() != Some(0) {
            // Readers disagree on whether such content is there to be skipped.
            return Err("a folder or link has content".to_owned());
        }
        let name = match long_name.take() {
            Some(name) => name,
            None => entry.path_bytes().into_owned(),
        };
        if !is_control(&name)? {
            continue;
        }
        if !regular || name.ends_with(b"/") {
            return Err("control is not a regular file".to_owned());
        }
        if control.is_some() {
            return Err("there are two control files in it".to_owned());
        }
        let content = read_bounded(&mut entry, MAX_PARAGRAPH as u64)
            .ok_or_else(|| format!("control is cut short or longer than {MAX_PARAGRAPH} bytes"))?;
        *control = Some(content);
    }
    Ok(())
}

/// Whether unpacking an entry of this name makes the file `control`. A name that might, depending
/// on what else was unpacked, is an error.
fn is_control(name: &[u8]) -> Result<bool, String> {
    let mut parts = name
        .split(|&b| b == b'/')
        .filter(|part| !part.is_empty() && *part != b".");
    let first = parts.next();
    let mut last = first;
    let mut nested = false;
    for part in parts {
        nested = true;
        last = Some(part);
    }
    if name.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err("the name of an entry has “..”".to_owned());
    }
    match last {
        Some(b"control") if nested => Err("there is a control file in a folder of it".to_owned()),
        Some(b"control") => Ok(true),
        _ => Ok(false),
    }
}

/// The content of an entry, unless it is longer than `limit` or the archive ends inside it.
fn read_bounded<R: Read>(entry: &mut tar::Entry<'_, R>, limit: u64) -> Option<Vec<u8>> {
    let size = entry.header().entry_size().ok()?;
    if size > limit {
        return None;
    }
    let mut content = Vec::with_capacity(usize::try_from(size).ok()?);
    entry.take(limit).read_to_end(&mut content).ok()?;
    (content.len() as u64 == size).then_some(content)
}

/// The `path` of pax records. Records that change how an entry is read are errors.
fn path_record(records: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut path = None;
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(|error| error.to_string())?;
        match record.key_bytes() {
            b"path" => path = Some(record.value_bytes().to_vec()),
            b"size" => return Err("a pax record sets the size of an entry".to_owned()),
            key if key.starts_with(b"GNU.sparse") => return Err("a sparse entry".to_owned()),
            _ => {}
        }
    }
    Ok(path)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}
