//! What differs between two states of an index.

use std::cmp::Ordering;

use crate::{
    index::packages::Packages,
    phase::Percentage,
    stanza::StanzaRef,
    suite::commit::{Change, PhaseChange},
};

/// A package that is not the same in two states of an index.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// What leads from the first state to the second: [`Change::ADD`], [`Change::REPLACE`], [`Change::PHASE`] or
    /// [`Change::REMOVE`].
    pub action: &'static str,
    /// The package of the second state, unless it is removed.
    pub stanza: StanzaRef<'a>,
    pub phase: Option<PhaseChange>,
}

/// Calls `found` with each package that differs.
pub fn differences<'a>(
    before: &Packages<'a>,
    after: &Packages<'a>,
    mut found: impl FnMut(Difference<'a>),
) {
    let (mut before, mut after) = (before.stanzas().iter(), after.stanzas().iter());
    let (mut old, mut new) = (before.next(), after.next());
    loop {
        let order = match (old, new) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.order(new),
        };
        match (order, old, new) {
            (Ordering::Less, Some(old), _) => found(Difference {
                action: Change::REMOVE,
                stanza: *old,
                phase: None,
            }),
            (Ordering::Greater, _, Some(new)) => found(Difference {
                action: Change::ADD,
                stanza: *new,
                phase: PhaseChange::between(None, new),
            }),
            (_, Some(old), Some(new)) if old.bytes != new.bytes => found(Difference {
                action: if unphased(old) == unphased(new) {
                    Change::PHASE
                } else {
                    Change::REPLACE
                },
                stanza: *new,
                phase: PhaseChange::between(Some(old), new),
            }),
            _ => {}
        }
        if order != Ordering::Greater {
            old = before.next();
        }
        if order != Ordering::Less {
            new = after.next();
        }
    }
}

fn unphased(stanza: &StanzaRef<'_>) -> Vec<u8> {
    Percentage::ALL.written_to(stanza.bytes)
}
