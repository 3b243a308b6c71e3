//! Packages come into an index, and those whose place they take leave it.

use std::collections::HashSet;

use super::{collisions::colliding, plan::PlanError};
use crate::{
    index::packages::Packages,
    name::Component,
    stanza::{Stanza, StanzaRef},
};

/// What is to be added to an index and taken out of it. There may be tens of thousands, so it is done at once.
#[derive(Debug, Default)]
pub(super) struct Additions<'a> {
    new: Vec<&'a Stanza>,
    /// Name, version and architecture of what goes.
    displaced: HashSet<[&'a str; 3]>,
}

impl<'a> Additions<'a> {
    pub(super) fn add(&mut self, stanza: &'a Stanza) {
        self.new.push(stanza);
    }

    /// Takes out what collides with a package that replaces it, except what `stays` is true of.
    pub(super) fn displace(
        &mut self,
        index: &Packages<'a>,
        component: &Component,
        stanza: &Stanza,
        stays: impl Fn(&StanzaRef<'_>) -> bool,
    ) {
        let displaced = colliding(index, component, stanza).filter(|other| !stays(other));
        let displaced = displaced.map(|it| [it.name, it.version, it.architecture]);
        self.displaced.extend(displaced);
    }

    pub(super) fn apply(&mut self, index: &mut Packages<'a>) {
        if !self.displaced.is_empty() {
            let displaced = std::mem::take(&mut self.displaced);
            index.retain(|it| !displaced.contains(&[it.name, it.version, it.architecture]));
        }
        if !self.new.is_empty() {
            *index = index.with(self.new.drain(..));
        }
    }
}

/// The key of a package that an index has already; none if it has to be added.
pub(super) fn key_of<'a>(
    index: &Packages<'a>,
    stanza: &Stanza,
    replace: bool,
) -> Result<Option<&'a str>, PlanError> {
    let Some(there) = index.get(&stanza.id) else {
        return Ok(None);
    };
    let key = there.field("Filename").unwrap_or_default();
    if there.sha256() == Some(stanza.sha256) {
        Ok(Some(key))
    } else if replace {
        Ok(None)
    } else {
        Err(PlanError::Conflict {
            id: stanza.id.clone(),
            key: key.to_owned(),
        })
    }
}
