//! Packages made byte by byte, as no tool would make them.

use std::io::Write as _;

use deb_index::deb::describe;

pub(crate) const CONTROL: &str = "Package: hello\nVersion: 1:2.0-3\nArchitecture: all\n\
    Maintainer: M. <m@example.org>\nDescription: a greeting\n long text\n .\n\tand a tab\n";

/// An ar archive as dpkg-deb writes it.
pub(crate) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        writeln!(
            archive,
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`",
            0, 0, 0, 100644
        )
        .unwrap();
        archive.extend_from_slice(content);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

/// A tar entry of any type, with any name that fits its header.
pub(crate) fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    // A folder that its owner may enter: dpkg-deb unpacks it to read what is in it.
    header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

pub(crate) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = entries.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}

pub(crate) fn gz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zst(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A package with these entries in its control.tar.
pub(crate) fn deb_of(entries: &[Vec<u8>]) -> Vec<u8> {
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", &gz(&tar(entries))),
        ("data.tar.gz", &gz(&tar(&[]))),
    ])
}

pub(crate) fn deb_with(control: &[u8]) -> Vec<u8> {
    deb_of(&[entry(b'5', "./", b""), entry(b'0', "./control", control)])
}

/// What a refusal says.
pub(crate) fn refusal(file: &[u8]) -> String {
    describe(file).unwrap_err().to_string()
}

pub(crate) fn refused_for(file: &[u8], part: &str) {
    let refusal = refusal(file);
    assert!(
        refusal.contains(part),
        "{refusal:?} does not speak of {part:?}"
    );
}
