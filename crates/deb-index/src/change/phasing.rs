//! Packages of an index get another phase, or are taken back.

use std::{cell::OnceCell, collections::HashSet};

use super::plan::PlanError;
use crate::{
    index::packages::Packages,
    name::{Architecture, Component},
    package_id::PackageId,
    phase::Percentage,
    stanza::{Stanza, StanzaRef},
    suite::settings::Settings,
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

/// Gives those of these packages that are in an index to this part of the devices. `added` are those that the intent has added to it.
pub(super) fn set<'a, 'e>(
    index: &mut Packages<'a>,
    of: impl Iterator<Item = &'e PackageId>,
    (only, percentage): (Phasing, Percentage),
    added: &HashSet<&PackageId>,
    space: &'a OnceCell<Vec<Vec<u8>>>,
) {
    let changes = |id: &&PackageId| {
        index.get(id).is_some_and(|there| match only {
            Phasing::Named => true,
            Phasing::Begun => there.phase() != Percentage::ALL,
            Phasing::Added => added.contains(id),
        })
    };
    let changed: Vec<_> = of.filter(changes).collect();
    index.rewrite(changed, |stanza| percentage.written_to(stanza.bytes), space);
}

/// The versions that an intent takes back, over all indexes of the suite: a package for all architectures is in several, and the
/// version before it may be.
#[derive(Debug, Default)]
pub(super) struct Halts<'e> {
    of: HashSet<&'e PackageId>,
    /// Those that are for all devices by now.
    released: HashSet<&'e PackageId>,
}

impl<'e> Halts<'e> {
    /// These packages, in a suite with these settings whose indexes `read` gives.
    pub(super) fn of<'a>(
        of: HashSet<&'e PackageId>,
        settings: &Settings,
        read: impl Fn(&Component, &Architecture) -> Result<Packages<'a>, PlanError>,
    ) -> Result<Self, PlanError> {
        let mut released = HashSet::new();
        for component in &settings.components {
            for architecture in &settings.architectures {
                let mut here = of.clone();
                here.retain(|id| id.is_in(component, architecture));
                if !here.is_empty() {
                    let index = read(component, architecture)?;
                    let is_released = |it: &StanzaRef<'_>| it.phase() == Percentage::ALL;
                    here.retain(|id| index.get(id).is_some_and(is_released));
                    released.extend(here);
                }
            }
        }
        Ok(Self { of, released })
    }

    /// Takes packages out of an index, and brings those of `earlier` back that are not there, each with one that is taken back, in
    /// whichever index that is. Before that, each that devices would see beside the index has to pass `admit`.
    pub(super) fn apply<'a>(
        &self,
        index: &mut Packages<'a>,
        (component, architecture): (&Component, &Architecture),
        (of, only): (&[PackageId], Phasing),
        earlier: &'a [Stanza],
        mut admit: impl FnMut(&Packages<'a>, &Stanza) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        let stays = |id: &PackageId| only == Phasing::Begun && self.released.contains(id);
        let halted: Vec<_> = of.iter().filter(|id| !stays(id)).collect();
        index.retain(|stanza| !halted.iter().any(|id| is(id, component, stanza)));
        let takes_its_place = |id: &PackageId, earlier: &PackageId| {
            let [one, other] = [&id.architecture, &earlier.architecture];
            (&id.component, &id.name) == (&earlier.component, &earlier.name)
                && (one == other || one.is_all() || other.is_all())
        };
        let mut missing = Vec::new();
        for stanza in earlier.iter().filter(|stanza| {
            let mut halted = halted.iter();
            stanza.id.meets(architecture) && halted.any(|id| takes_its_place(id, &stanza.id))
        }) {
            admit(index, stanza)?;
            if stanza.id.is_in(component, architecture) && index.get(&stanza.id).is_none() {
                missing.push(stanza);
            }
        }
        *index = index.with(missing);
        Ok(())
    }

    /// Whether a package is one of them.
    pub(super) fn contains(&self, component: &Component, stanza: &StanzaRef<'_>) -> bool {
        self.of.iter().any(|id| is(id, component, stanza))
    }
}

fn is(id: &PackageId, component: &Component, stanza: &StanzaRef<'_>) -> bool {
    id.component == *component
        && id.name.as_str() == stanza.name
        && id.version.as_str() == stanza.version
        && id.architecture.as_str() == stanza.architecture
}
