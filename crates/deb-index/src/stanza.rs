//! A package as an index has it: its identity, where its file is, and the bytes of its stanza.
//!
//! A stanza is the control paragraph of the `.deb`, byte for byte, followed by the fields that apt needs to fetch the file
//! ([repository format](https://wiki.debian.org/DebianRepository/Format#A.22Packages.22_Indices)): `Filename`, `Size`, `MD5sum`,
//! `SHA1` and `SHA256`. [`Stanza`] owns its bytes and comes from a `.deb` or from an index; [`StanzaRef`] borrows them from an
//! index, of which a large one has tens of thousands.

use std::{cmp::Ordering, io::Write as _};

use bytes::Bytes;

use crate::{
    deb::{Deb, source_name},
    digest::{Algorithm, Sha256},
    name::Component,
    package_id::PackageId,
    paragraph,
    phase::Percentage,
    suite::layout,
    version::Version,
};

/// A package of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    pub id: PackageId,
    /// The stanza, ending in one newline, without the empty line that ends it in an index.
    pub bytes: Bytes,
    /// Digest of the `.deb`.
    pub sha256: Sha256,
    /// Length of the `.deb` in bytes.
    pub size: u64,
    /// Key of the `.deb` relative to the repository: the value of `Filename`.
    pub key: String,
}

impl Stanza {
    /// The stanza of a package file, under the key that [`layout::package_key`] gives it.
    #[must_use]
    pub fn of_deb(component: Component, deb: &Deb) -> Self {
        let id = PackageId {
            component,
            name: deb.package.clone(),
            version: deb.version.clone(),
            architecture: deb.architecture.clone(),
        };
        let key = layout::package_key(&id, deb.source());
        let digests = &deb.digests;
        let mut bytes = Vec::with_capacity(deb.control.len() + key.len() + 256);
        bytes.extend_from_slice(&deb.control);
        // Writing to memory does not fail.
        let _ = writeln!(bytes, "Filename: {key}\nSize: {}", digests.size);
        for (field, algorithm) in [
            ("MD5sum", Algorithm::Md5),
            ("SHA1", Algorithm::Sha1),
            ("SHA256", Algorithm::Sha256),
        ] {
            if let Some(digest) = digests.get(algorithm) {
                let _ = writeln!(bytes, "{field}: {digest}");
            }
        }
        bytes.shrink_to_fit();
        Self {
            id,
            bytes: bytes.into(),
            sha256: digests.sha256(),
            size: digests.size,
            key,
        }
    }

    /// The stanza as it is found in an index.
    #[must_use]
    pub fn borrowed(&self) -> StanzaRef<'_> {
        StanzaRef::of(&self.id, &self.bytes)
    }

    /// The same package with its file at another key.
    #[must_use]
    pub fn at_key(&self, key: String) -> Self {
        Self {
            bytes: self.borrowed().at_key(&key).into(),
            key,
            ..self.clone()
        }
    }

    /// The same package, for a part of the devices.
    #[must_use]
    pub fn phased(&self, percentage: Percentage) -> Self {
        if Percentage::of(&self.bytes) == percentage {
            return self.clone();
        }
        Self {
            bytes: percentage.written_to(&self.bytes).into(),
            ..self.clone()
        }
    }

    /// The same package for another repository: with its file at the key that [`layout::package_key`] gives it.
    #[must_use]
    pub fn at_own_key(&self) -> Self {
        let source = self.borrowed().field("Source");
        let source = source.and_then(|source| source_name(source.as_bytes()));
        let key = layout::package_key(&self.id, source.as_ref().unwrap_or(&self.id.name));
        if key == self.key {
            self.clone()
        } else {
            self.at_key(key)
        }
    }
}

const FILENAME: &[u8] = b"Filename:";

/// A stanza within the bytes of an index, and the fields that identify it.
#[derive(Debug, Clone, Copy)]
pub struct StanzaRef<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    /// All its bytes, without the empty line that ends it.
    pub bytes: &'a [u8],
}

/// A stanza lacks a field that identifies it or its file, or has an invalid value there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stanza} has no valid {field}")]
pub struct StanzaError {
    /// `stanza 7`, counted from 1, or the package.
    pub stanza: String,
    pub field: &'static str,
}

impl<'a> StanzaRef<'a> {
    pub(crate) fn of(id: &'a PackageId, bytes: &'a [u8]) -> Self {
        Self {
            name: id.name.as_str(),
            version: id.version.as_str(),
            architecture: id.architecture.as_str(),
            bytes,
        }
    }

    /// The stanza, with its file at another key.
    #[must_use]
    pub fn at_key(&self, key: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len() + key.len());
        for line in self.bytes.split_inclusive(|&byte| byte == b'\n') {
            match line.split_at_checked(FILENAME.len()) {
                Some((name, _)) if name.eq_ignore_ascii_case(FILENAME) => {
                    let _ = writeln!(bytes, "Filename: {key}");
                }
                _ => bytes.extend_from_slice(line),
            }
        }
        bytes
    }

    /// Reads stanza `number` of an index (counted from 1).
    pub(crate) fn parse(bytes: &'a [u8], number: usize) -> Result<Self, StanzaError> {
        let text = |field| {
            let value = paragraph::field(bytes, field).and_then(|value| str::from_utf8(value).ok());
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| StanzaError {
                    stanza: format!("stanza {number}"),
                    field,
                })
        };
        Ok(Self {
            name: text("Package")?,
            version: text("Version")?,
            architecture: text("Architecture")?,
            bytes,
        })
    }

    /// The first line of a field's value, if it is UTF-8.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        paragraph::field(self.bytes, name).and_then(|value| str::from_utf8(value).ok())
    }

    /// The digest of the package's file.
    #[must_use]
    pub fn sha256(&self) -> Option<Sha256> {
        self.field("SHA256")?.parse().ok()
    }

    /// The part of the devices that it is for.
    #[must_use]
    pub fn phase(&self) -> Percentage {
        Percentage::of(self.bytes)
    }

    /// The package of a component, on bytes of its own.
    ///
    /// # Errors
    /// [`StanzaError`] for a field that is missing or invalid.
    pub fn to_owned(&self, component: Component) -> Result<Stanza, StanzaError> {
        self.with_bytes(component, Bytes::copy_from_slice(self.bytes))
    }

    /// The package of a component, on the bytes of the index that it is in.
    ///
    /// # Errors
    /// [`StanzaError`] for a field that is missing or invalid.
    pub fn within(&self, index: &Bytes, component: Component) -> Result<Stanza, StanzaError> {
        self.with_bytes(component, index.slice_ref(self.bytes))
    }

    fn with_bytes(&self, component: Component, mut bytes: Bytes) -> Result<Stanza, StanzaError> {
        let invalid = |field| StanzaError {
            stanza: format!("{} {}", self.name, self.version),
            field,
        };
        if !bytes.ends_with(b"\n") {
            bytes = [&bytes[..], b"\n"].concat().into();
        }
        let size = self.field("Size").and_then(|size| size.parse().ok());
        Ok(Stanza {
            id: PackageId {
                component,
                name: self.name.parse().map_err(|_| invalid("Package"))?,
                version: self.version.parse().map_err(|_| invalid("Version"))?,
                architecture: self
                    .architecture
                    .parse()
                    .map_err(|_| invalid("Architecture"))?,
            },
            bytes,
            sha256: self.sha256().ok_or_else(|| invalid("SHA256"))?,
            size: size.ok_or_else(|| invalid("Size"))?,
            key: self
                .field("Filename")
                .ok_or_else(|| invalid("Filename"))?
                .to_owned(),
        })
    }

    /// Name first, then version as dpkg orders it, then architecture. Versions that dpkg considers equal are told apart by
    /// their text.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let by_version = || {
            if self.version == other.version {
                return Ordering::Equal;
            }
            let (one, two) = (self.version.parse(), other.version.parse());
            let ordered = match (&one, &two) {
                (Ok(one), Ok(two)) => Version::compare(one, two),
                _ => Ordering::Equal,
            };
            ordered.then_with(|| self.version.cmp(other.version))
        };
        self.name
            .cmp(other.name)
            .then_with(by_version)
            .then_with(|| self.architecture.cmp(other.architecture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Architecture;

    fn stanza() -> Stanza {
        let id = PackageId {
            component: Component::main(),
            name: "hello".parse().unwrap(),
            version: "1.0".parse().unwrap(),
            architecture: Architecture::all(),
        };
        Stanza {
            id,
            bytes: Bytes::from_static(
                b"Package: hello\nDescription: x\n Filename: of a file\nFilename: pool/a.deb\nSize: 1\n",
            ),
            sha256: Sha256::of(b""),
            size: 1,
            key: "pool/a.deb".to_owned(),
        }
    }

    #[test]
    fn another_key_changes_one_line() {
        let moved = stanza().at_key("pool/b.deb".to_owned());
        assert_eq!(
            moved.bytes,
            "Package: hello\nDescription: x\n Filename: of a file\nFilename: pool/b.deb\nSize: 1\n"
        );
        assert_eq!((moved.key.as_str(), moved.size), ("pool/b.deb", 1));
        assert_eq!(moved.id.to_string(), "hello_1.0_all");
    }
}
