//! Small binary packages, built with the system's `dpkg-deb` (see deb(5) and deb-control(5)).
//!
//! The format is produced by Debian's own tool on purpose: our reader is then tested against it, and not against
//! our own idea of it. Every time is fixed and every owner is root, so the same description gives the same bytes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::process;

/// The time of everything inside a package, in seconds since 1970: 2026-01-01.
pub(crate) const SOURCE_DATE_EPOCH: &str = "1767225600";

/// A package for a test: some control fields and one file, `/usr/share/NAME/payload`.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    name: String,
    version: String,
    architecture: String,
    payload: Vec<u8>,
}

impl Package {
    /// One of `Architecture: all` with a few bytes in it.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            architecture: "all".into(),
            payload: format!("{name} {version}\n").into_bytes(),
        }
    }

    /// For another architecture.
    pub(crate) fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// With `size` bytes that do not compress, the same ones for the same name and version.
    pub(crate) fn payload_of(mut self, size: usize) -> Self {
        self.payload = noise(&format!("{} {}", self.name, self.version), size);
        self
    }

    /// With this content.
    pub(crate) fn payload(mut self, content: &str) -> Self {
        self.payload = content.as_bytes().to_vec();
        self
    }

    /// Its file name, as Debian's tools give it: without the epoch.
    pub(crate) fn file_name(&self) -> String {
        let version = self
            .version
            .split_once(':')
            .map_or(self.version.as_str(), |(_, rest)| rest);
        format!("{}_{version}_{}.deb", self.name, self.architecture)
    }

    /// Builds it into `folder`.
    pub(crate) fn build(&self, folder: &Path) -> Result<PathBuf> {
        let tree = tempfile::tempdir().context("cannot make a temporary folder")?;
        let control = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Test <test@example.org>\nSection: misc\nPriority: optional\nDescription: package of a test\n It has one file.\n",
            self.name, self.version, self.architecture
        );
        write(
            &tree.path().join("DEBIAN/control"),
            control.as_bytes(),
            0o644,
        )?;
        write(
            &tree.path().join(format!("usr/share/{}/payload", self.name)),
            &self.payload,
            0o644,
        )?;
        let file = folder.join(self.file_name());
        build_tree(tree.path(), &file, "gzip")?;
        Ok(file)
    }
}

/// Builds the package whose content and `DEBIAN/` lie in `tree`; `compression` as `dpkg-deb -Z` takes it.
pub(crate) fn build_tree(tree: &Path, file: &Path, compression: &str) -> Result<()> {
    fs::set_permissions(tree, fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new("dpkg-deb");
    command.env("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH).args([
        "--root-owner-group",
        &format!("-Z{compression}"),
        "--build",
    ]);
    process::run(command.arg(tree).arg(file))?
        .success()
        .context("dpkg-deb could not build the package")?;
    Ok(())
}

/// Writes a file with its folders, all with fixed modes, whatever the umask is.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    crate::interrupt::hold_if_ending();
    let parent = path
        .parent()
        .with_context(|| format!("{} has no parent", path.display()))?;
    let missing: Vec<_> = parent
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Bytes that do not compress, told by `seed` alone (xorshift64*).
pub(crate) fn noise(seed: &str, size: usize) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_description_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let package = Package::new("twice", "1:2.0-1")
            .architecture("amd64")
            .payload_of(1000);
        let first = fs::read(package.build(folder.path()).unwrap()).unwrap();
        let file = package.build(folder.path()).unwrap();
        assert_eq!(file.file_name().unwrap(), "twice_2.0-1_amd64.deb");
        assert!(first == fs::read(file).unwrap());
    }

    #[test]
    fn noise_differs_by_seed() {
        assert_eq!(noise("a", 100), noise("a", 100));
        assert_ne!(noise("a", 100), noise("b", 100));
        assert_eq!(noise("a", 13).len(), 13);
    }
}
