//! Versions leave an index, the oldest first.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    num::NonZeroU32,
};

use super::edit::Retention;
use crate::{
    digest::Sha256, index::packages::Packages, name::Component, stanza::StanzaRef, version::Version,
};

impl Retention {
    /// Takes what it means out of an index, except what `stays` is true of. Returns whether it means anything there.
    pub(super) fn apply(
        &self,
        index: &mut Packages<'_>,
        component: &Component,
        stays: impl Fn(&StanzaRef<'_>) -> bool,
    ) -> bool {
        let is_meant = |stanza: &StanzaRef<'_>| {
            let mut of = self.of.iter();
            of.any(|selector| selector.matches(component, stanza))
        };
        let is_below = |limit: &Version, stanza: &StanzaRef<'_>| {
            let version = stanza.version.parse::<Version>();
            version.is_ok_and(|version| version.compare(limit) == Ordering::Less)
        };
        let may_go = |stanza: &StanzaRef<'_>| {
            is_meant(stanza)
                && self
                    .below
                    .as_ref()
                    .is_none_or(|limit| is_below(limit, stanza))
                && !stays(stanza)
                && self
                    .only
                    .as_ref()
                    .is_none_or(|only| has_digest(only, stanza))
        };
        let is_matched = index.stanzas().iter().any(is_meant);
        keep(index, self.newest, may_go);
        is_matched
    }
}

fn has_digest(digests: &HashSet<Sha256>, stanza: &StanzaRef<'_>) -> bool {
    !digests.is_empty()
        && stanza
            .sha256()
            .is_some_and(|sha256| digests.contains(&sha256))
}

/// Removes all versions but the newest of each name and architecture, as far as they may go.
pub(super) fn keep(
    index: &mut Packages<'_>,
    newest: NonZeroU32,
    may_go: impl Fn(&StanzaRef<'_>) -> bool,
) {
    let mut later: HashMap<_, u32> = HashMap::new();
    for stanza in index.stanzas() {
        *later.entry((stanza.name, stanza.architecture)).or_default() += 1;
    }
    // The oldest come first: how many come after a version decides.
    index.retain(|stanza| {
        let later = later.entry((stanza.name, stanza.architecture));
        let later = later.and_modify(|count| *count -= 1).or_default();
        *later < newest.get() || !may_go(stanza)
    });
}
