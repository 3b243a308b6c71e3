//! What differs between two states of an index.

use std::cmp::Ordering;

use crate::{index::packages::Packages, stanza::StanzaRef, suite::commit::Change};

/// Calls `found` with each package that differs and the action that leads from the first state to the second: [`Change::ADD`],
/// [`Change::REPLACE`] or [`Change::REMOVE`]. The package is that of the second state, unless it is removed.
pub fn differences<'a>(
    before: &Packages<'a>,
    after: &Packages<'a>,
    mut found: impl FnMut(&'static str, StanzaRef<'a>),
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
            (Ordering::Less, Some(old), _) => found(Change::REMOVE, *old),
            (Ordering::Greater, _, Some(new)) => found(Change::ADD, *new),
            (_, Some(old), Some(new)) if old.bytes != new.bytes => found(Change::REPLACE, *new),
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
