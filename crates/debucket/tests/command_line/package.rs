//! A small but whole `.deb`, written without dpkg: `ar` of `debian-binary`, `control.tar` and
//! `data.tar`, both uncompressed.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes `<name>_<version>_<architecture>.deb` into `folder`. `summary` makes builds of one
/// version differ.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    version: &str,
    architecture: &str,
    summary: &str,
) -> PathBuf {
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Ada <ada@acme.example>\n\
         Description: {summary}\n Said at length.\n"
    );
    let mut deb = b"!<arch>\n".to_vec();
    member(&mut deb, "debian-binary", b"2.0\n");
    member(
        &mut deb,
        "control.tar",
        &tar("./control", control.as_bytes()),
    );
    member(
        &mut deb,
        "data.tar",
        &tar("./usr/share/doc/hello", b"hello\n"),
    );
    let path = folder.join(format!("{name}_{version}_{architecture}.deb"));
    fs::write(&path, deb).unwrap();
    path
}

fn member(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    let size = content.len();
    archive.extend_from_slice(
        format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 100_644
        )
        .as_bytes(),
    );
    archive.extend_from_slice(content);
    if size % 2 == 1 {
        archive.push(b'\n');
    }
}

/// A tar (ustar) of one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}
