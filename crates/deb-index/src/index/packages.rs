//! `Packages`: the binary packages of one component and one architecture, a stanza each.
//!
//! Format: <https://wiki.debian.org/DebianRepository/Format#A.22Packages.22_Indices>. Stanzas that are in the index already are
//! carried over byte for byte. They are kept ordered by name, version and architecture: no reader needs that, but it compresses
//! better and reads well.

use std::{cell::OnceCell, cmp::Ordering};

use crate::{
    package_id::PackageId,
    paragraph,
    stanza::{Stanza, StanzaError, StanzaRef},
    version::Version,
};

/// A `Packages` index, on borrowed bytes.
#[derive(Debug, Clone, Default)]
pub struct Packages<'a> {
    stanzas: Vec<StanzaRef<'a>>,
}

impl<'a> Packages<'a> {
    /// Reads a plain index.
    ///
    /// # Errors
    /// [`StanzaError`]: a stanza without its identity.
    pub fn parse(plain: &'a [u8]) -> Result<Self, StanzaError> {
        let numbered = paragraph::stanzas(plain).zip(1..);
        let stanzas = numbered
            .map(|(stanza, number)| StanzaRef::parse(stanza, number))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::sorted(stanzas))
    }

    /// An index of these stanzas, in whatever order they are.
    #[must_use]
    pub fn sorted(mut stanzas: Vec<StanzaRef<'a>>) -> Self {
        // Linear for what is in order already, which is the rule.
        stanzas.sort_by(StanzaRef::order);
        Self { stanzas }
    }

    /// The stanzas, in order.
    #[must_use]
    pub fn stanzas(&self) -> &[StanzaRef<'a>] {
        &self.stanzas
    }

    /// The stanza of exactly this version.
    #[must_use]
    pub fn get(&self, id: &PackageId) -> Option<&StanzaRef<'a>> {
        self.stanzas.get(self.position(id)?)
    }

    fn position(&self, id: &PackageId) -> Option<usize> {
        let wanted = StanzaRef::of(id, &[]);
        let found = self.stanzas.binary_search_by(|it| it.order(&wanted));
        found.ok()
    }

    /// All stanzas of a name, the newest last.
    #[must_use]
    pub fn named(&self, name: &str) -> &[StanzaRef<'a>] {
        let start = self.stanzas.partition_point(|stanza| stanza.name < name);
        let rest = &self.stanzas[start..];
        &rest[..rest.partition_point(|stanza| stanza.name == name)]
    }

    /// All stanzas of a name whose versions dpkg considers equal to this one.
    #[must_use]
    pub fn of_version(&self, name: &str, version: &Version) -> &[StanzaRef<'a>] {
        let order = |stanza: &StanzaRef<'_>| {
            let by_version = || match stanza.version.parse::<Version>() {
                Ok(own) => own.compare(version),
                Err(_) => Ordering::Less,
            };
            stanza.name.cmp(name).then_with(by_version)
        };
        let start = self.stanzas.partition_point(|it| order(it).is_lt());
        let rest = &self.stanzas[start..];
        let equal = rest.iter().take_while(|it| order(it).is_eq());
        &rest[..equal.count()]
    }

    /// Gives packages, as far as they are there, other stanzas, which `space` then holds.
    pub fn rewrite<'i>(
        &mut self,
        ids: impl IntoIterator<Item = &'i PackageId>,
        stanza: impl Fn(&StanzaRef<'a>) -> Vec<u8>,
        space: &'a OnceCell<Vec<Vec<u8>>>,
    ) {
        let there = ids.into_iter().filter_map(|id| self.position(id));
        let there: Vec<_> = there.collect();
        let new = space.get_or_init(|| {
            let stanzas = there.iter().map(|at| stanza(&self.stanzas[*at]));
            stanzas.collect()
        });
        for (at, bytes) in there.into_iter().zip(new) {
            self.stanzas[at].bytes = bytes;
        }
    }

    /// Leaves only the packages that `stays` is true of.
    pub fn retain(&mut self, stays: impl FnMut(&StanzaRef<'a>) -> bool) {
        self.stanzas.retain(stays);
    }

    /// The packages for all architectures, which every architecture's index has.
    #[must_use]
    pub fn for_all_architectures(mut self) -> Self {
        self.retain(|stanza| stanza.architecture == "all");
        self
    }

    /// This index with further packages, each replacing the one of the same identity where there is one.
    #[must_use]
    pub fn with(&self, new: impl IntoIterator<Item = &'a Stanza>) -> Self {
        // The sort is stable, so the new ones come before those that they replace.
        let mut stanzas: Vec<_> = new.into_iter().map(Stanza::borrowed).collect();
        stanzas.extend_from_slice(&self.stanzas);
        let mut index = Self::sorted(stanzas);
        index
            .stanzas
            .dedup_by(|later, earlier| later.order(earlier) == Ordering::Equal);
        index
    }

    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let lengths = self.stanzas.iter().map(|stanza| stanza.bytes.len() + 2);
        let mut plain = Vec::with_capacity(lengths.sum());
        for stanza in &self.stanzas {
            plain.extend_from_slice(stanza.bytes);
            if !stanza.bytes.ends_with(b"\n") {
                plain.push(b'\n');
            }
            plain.push(b'\n');
        }
        plain
    }
}
