//! Writing a small binary package: [deb(5)](https://manpages.debian.org/deb.5), without maintainer scripts.
//!
//! The same description gives the same bytes: every owner is root, every time is the one that is given.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
};

use flate2::{Compression, write::GzEncoder};

use super::ar;

/// A file that a package installs, readable for everyone.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its path without the first slash. Below `etc/` it is a configuration file, which dpkg keeps as an administrator left it.
    pub path: String,
    pub content: Vec<u8>,
}

/// Builds a package of a control file, which ends in a newline, and files. `time` is that of everything in it, in seconds since 1970.
///
/// # Errors
/// If a path is longer than 97 bytes, or has empty parts, `.` or `..`.
pub fn build(control: &str, files: &[Installed], time: u64) -> io::Result<Vec<u8>> {
    let mut control_tar = Tar::new(time);
    control_tar.folder("./")?;
    control_tar.file("./control", control.as_bytes())?;
    let is_configuration = |file: &&Installed| file.path.starts_with("etc/");
    let conffiles: String = files
        .iter()
        .filter(is_configuration)
        .map(|file| format!("/{}\n", file.path))
        .collect();
    if !conffiles.is_empty() {
        control_tar.file("./conffiles", conffiles.as_bytes())?;
    }
    let mut data_tar = Tar::new(time);
    let mut folders = BTreeSet::from([String::from("./")]);
    for file in files {
        let parts: Vec<_> = file.path.split('/').collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            let problem = "a file of a package has a path without “.” and “..”";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        folders.extend((1..parts.len()).map(|depth| format!("./{}/", parts[..depth].join("/"))));
    }
    for folder in &folders {
        data_tar.folder(folder)?;
    }
    for file in files {
        data_tar.file(&format!("./{}", file.path), &file.content)?;
    }
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", control_tar.finish()?),
        ("data.tar.gz", data_tar.finish()?),
    ];
    Ok(ar::write(&members, time))
}

/// A compressed tar archive in the making.
struct Tar {
    archive: tar::Builder<GzEncoder<Vec<u8>>>,
    time: u64,
}

impl Tar {
    fn new(time: u64) -> Self {
        let compressed = GzEncoder::new(Vec::new(), Compression::best());
        Self {
            archive: tar::Builder::new(compressed),
            time,
        }
    }

    fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(tar::EntryType::Directory, 0o755, path, &[])
    }

    fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.entry(tar::EntryType::Regular, 0o644, path, content)
    }

    fn entry(
        &mut self,
        kind: tar::EntryType,
        mode: u32,
        path: &str,
        content: &[u8],
    ) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        // The crate's own way of setting a path drops the “./” that dpkg's tools write.
        let name = header.as_old_mut().name.get_mut(..path.len());
        let name = name.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a path has more than 100 bytes",
            )
        })?;
        name.copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_mtime(self.time);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.archive.append(&header, content)
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        let mut compressed = self.archive.into_inner()?;
        compressed.flush()?;
        compressed.finish()
    }
}
