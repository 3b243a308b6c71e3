//! Packages of an index get another phase, or are taken back.

use std::{cell::OnceCell, cmp::Ordering, collections::HashSet};

use crate::{
    index::packages::Packages,
    package_id::PackageId,
    phase::Percentage,
    stanza::{Stanza, StanzaRef},
};

/// Which of the versions that it names an edit of the phase changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phasing {
    /// All of them. For versions that the caller named one by one.
    Named,
    /// Those that are being phased. One that is for all devices stays as it is, even if it was made so meanwhile.
    Begun,
    /// Those that the same intent adds.
    Added,
}

impl Phasing {
    fn changes(self, stanza: &StanzaRef<'_>, added: &HashSet<&PackageId>, id: &PackageId) -> bool {
        match self {
            Self::Named => true,
            Self::Begun => stanza.phase() != Percentage::ALL,
            Self::Added => added.contains(id),
        }
    }
}

/// The packages of an index whose phase an edit names.
pub(super) struct Phased<'e> {
    of: Vec<&'e PackageId>,
    only: Phasing,
    /// What the intent has added to the index.
    added: &'e HashSet<&'e PackageId>,
}

impl<'e> Phased<'e> {
    pub(super) fn of(
        of: impl Iterator<Item = &'e PackageId>,
        only: Phasing,
        added: &'e HashSet<&'e PackageId>,
    ) -> Self {
        Self {
            of: of.collect(),
            only,
            added,
        }
    }

    /// Those that change, and those that are there and stay as they are.
    fn split(&self, index: &Packages<'_>) -> (Vec<&'e PackageId>, Vec<&'e PackageId>) {
        let there = self.of.iter().copied();
        let there = there.filter_map(|id| Some((id, index.get(id)?)));
        let (changed, staying): (Vec<_>, Vec<_>) =
            there.partition(|(id, stanza)| self.only.changes(stanza, self.added, id));
        let ids = |of: Vec<(&'e PackageId, _)>| of.into_iter().map(|(id, _)| id).collect();
        (ids(changed), ids(staying))
    }

    /// Gives them to this part of the devices.
    pub(super) fn set<'a>(
        &self,
        index: &mut Packages<'a>,
        percentage: Percentage,
        space: &'a OnceCell<Vec<Vec<u8>>>,
    ) {
        let (changed, _) = self.split(index);
        index.rewrite(changed, |stanza| percentage.written_to(stanza.bytes), space);
    }

    /// Takes them out, and brings those of `earlier` back that are not there: not where a version of the package stays.
    pub(super) fn halt<'a>(
        &self,
        index: &mut Packages<'a>,
        earlier: impl Iterator<Item = &'a Stanza>,
    ) {
        let (halted, staying) = self.split(index);
        let halted: Vec<_> = halted
            .iter()
            .filter_map(|id| index.get(id))
            .copied()
            .collect();
        index.retain(|stanza| {
            let mut halted = halted.iter();
            !halted.any(|halted| halted.order(stanza) == Ordering::Equal)
        });
        let missing = earlier.filter(|stanza| {
            let mut staying = staying.iter();
            index.get(&stanza.id).is_none() && !staying.any(|id| id.name == stanza.id.name)
        });
        let missing: Vec<_> = missing.collect();
        *index = index.with(missing);
    }
}
