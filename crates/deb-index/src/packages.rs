//! `Packages`: the binary packages of one component and one architecture, a stanza each.
//!
//! Format: <https://wiki.debian.org/DebianRepository/Format#A.22Packages.22_Indices>. A stanza is the control paragraph of the
//! `.deb`, byte for byte, and behind it what apt needs to fetch the file. Stanzas that are there already are carried over as they
//! are. They are kept ordered by name, version and architecture: nobody asks for that, but it compresses better and reads well.

use std::{cmp::Ordering, io::Write as _};

use crate::{
    digest::Algorithm,
    name::{Architecture, PackageName},
    paragraph,
    plan::Addition,
    version::Version,
};

/// A `Packages` index, on borrowed bytes.
#[derive(Debug)]
pub struct Packages<'a> {
    entries: Vec<Entry<'a>>,
}

/// A stanza and the fields that identify it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// `Package`.
    pub package: &'a str,
    /// `Version`, as it is spelled.
    pub version: &'a str,
    /// `Architecture`.
    pub architecture: &'a str,
    /// All its bytes, without the empty line behind it.
    pub stanza: &'a [u8],
}

/// A stanza that is none.
#[derive(Debug, thiserror::Error)]
#[error("stanza {number} of the index has no valid {field}")]
pub struct PackagesError {
    number: usize,
    field: &'static str,
}

impl<'a> Entry<'a> {
    fn parse(stanza: &'a [u8], number: usize) -> Result<Self, PackagesError> {
        let text = |field| {
            let value =
                paragraph::field(stanza, field).and_then(|value| str::from_utf8(value).ok());
            value
                .filter(|value| !value.is_empty())
                .ok_or(PackagesError { number, field })
        };
        Ok(Self {
            package: text("Package")?,
            version: text("Version")?,
            architecture: text("Architecture")?,
            stanza,
        })
    }

    /// The value of a field's first line.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        paragraph::field(self.stanza, name).and_then(|value| str::from_utf8(value).ok())
    }

    /// Name first, then version as dpkg orders it, then architecture. Versions that dpkg takes for equal are told apart by
    /// their text.
    fn order(&self, other: &Self) -> Ordering {
        let by_version = || match (
            self.version.parse::<Version>(),
            other.version.parse::<Version>(),
        ) {
            (Ok(one), Ok(two)) => one
                .compare(&two)
                .then_with(|| self.version.cmp(other.version)),
            _ => self.version.cmp(other.version),
        };
        let by_name = self.package.cmp(other.package);
        by_name
            .then_with(by_version)
            .then_with(|| self.architecture.cmp(other.architecture))
    }
}

impl<'a> Packages<'a> {
    /// Reads a plain index.
    ///
    /// # Errors
    /// [`PackagesError`]: a stanza without its identity.
    pub fn parse(plain: &'a [u8]) -> Result<Self, PackagesError> {
        let stanzas = paragraph::stanzas(plain).enumerate();
        let entries = stanzas
            .map(|(at, stanza)| Entry::parse(stanza, at + 1))
            .collect::<Result<Vec<_>, _>>()?;
        let mut index = Self { entries };
        index.sort();
        Ok(index)
    }

    fn sort(&mut self) {
        // Linear for what is in order already, which is the rule.
        self.entries.sort_by(Entry::order);
    }

    /// The stanzas, in order.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The stanza of exactly this version.
    pub fn get(
        &self,
        package: &PackageName,
        version: &Version,
        architecture: &Architecture,
    ) -> Option<&Entry<'a>> {
        let wanted = Entry {
            package: package.as_str(),
            version: version.as_str(),
            architecture: architecture.as_str(),
            stanza: &[],
        };
        let at = self
            .entries
            .binary_search_by(|entry| entry.order(&wanted))
            .ok()?;
        self.entries.get(at)
    }

    /// Keeps only some of the stanzas.
    pub fn retain(&mut self, keep: impl FnMut(&Entry<'a>) -> bool) {
        self.entries.retain(keep);
    }

    /// This index with further stanzas, each in the place of one of the same identity where there is one.
    ///
    /// # Errors
    /// [`PackagesError`]: a stanza without its identity.
    pub fn with(&self, stanzas: &'a [Vec<u8>]) -> Result<Self, PackagesError> {
        let mut entries = Vec::with_capacity(self.entries.len() + stanzas.len());
        let new = stanzas
            .iter()
            .enumerate()
            .map(|(at, stanza)| Entry::parse(stanza, at + 1));
        // The new ones first: the sort is stable, so they come before those that they replace.
        entries.extend(new.collect::<Result<Vec<_>, _>>()?);
        entries.extend_from_slice(&self.entries);
        let mut index = Self { entries };
        index.sort();
        index
            .entries
            .dedup_by(|later, earlier| later.order(earlier) == Ordering::Equal);
        Ok(index)
    }

    /// The bytes of the index.
    pub fn render(&self) -> Vec<u8> {
        let length = self
            .entries
            .iter()
            .map(|entry| entry.stanza.len() + 2)
            .sum();
        let mut plain = Vec::with_capacity(length);
        for entry in &self.entries {
            plain.extend_from_slice(entry.stanza);
            if !entry.stanza.ends_with(b"\n") {
                plain.push(b'\n');
            }
            plain.push(b'\n');
        }
        plain
    }
}

/// The stanza of a package: its control paragraph and where to fetch it.
pub fn stanza(addition: &Addition) -> Vec<u8> {
    let digests = &addition.deb.digests;
    let mut stanza = addition.deb.control.clone();
    // Writing to memory does not fail.
    let _ = writeln!(
        stanza,
        "Filename: {}\nSize: {}",
        addition.filename, digests.size
    );
    for (field, algorithm) in [
        ("MD5sum", Algorithm::Md5),
        ("SHA1", Algorithm::Sha1),
        ("SHA256", Algorithm::Sha256),
    ] {
        if let Some(digest) = digests.get(algorithm) {
            let _ = writeln!(stanza, "{field}: {digest}");
        }
    }
    stanza
}
