//! Packages whose phase changes: which are meant, and what takes the place of those that are taken back.

use std::collections::{HashMap, HashSet};

use deb_index::{
    change::Selector,
    name::{Architecture, Component},
    package_id::PackageId,
    stanza::{Stanza, StanzaRef},
    suite::commit::{Change, Commit},
    version::Version,
};
use futures::TryStreamExt as _;

use crate::{Error, Head, Listed, PackageList, Selection, Suite};

/// What a halt of some packages needs.
#[derive(Debug, Default)]
pub struct Halting {
    /// The versions before them, as far as no other version is left.
    pub earlier: Vec<Stanza>,
    /// Packages of which a device would see no version any more.
    pub without: Vec<PackageId>,
}

impl Suite<'_> {
    /// The packages that selectors mean: of each, the newest version of every name, in the architectures and components that
    /// have it. Then the selectors that match nothing, as they are written.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn newest_packages(
        &self,
        head: &Head,
        of: &[Selector],
    ) -> Result<(Vec<PackageId>, Vec<String>), Error> {
        let list = self
            .packages_of(head.id(), head.commit.clone(), Selection::default())
            .await?;
        let packages = self.sorted(&list)?;
        let mut meant = Vec::new();
        let mut unmatched = Vec::new();
        for selector in of {
            let matching = packages
                .iter()
                .filter(|package| selector.matches(&package.component, &package.stanza));
            // The newest come last.
            let newest: HashMap<_, _> = matching
                .clone()
                .map(|package| (package.stanza.name, package.stanza.version))
                .collect();
            if newest.is_empty() {
                unmatched.push(selector.to_string());
            }
            for package in matching {
                if newest[package.stanza.name] == package.stanza.version {
                    meant.push(self.owned(&package.component, &package.stanza)?.id);
                }
            }
        }
        let mut seen = HashSet::new();
        meant.retain(|id| seen.insert(id.clone()));
        Ok((meant, unmatched))
    }

    /// What takes the place of packages that are taken back: where a device would see no other version of one, the newest of those
    /// that the suite had just before the package came in.
    ///
    /// # Errors
    /// [`Error::Collected`] if its file is gone; those of reading.
    pub async fn halting(&self, head: &Head, of: &[PackageId]) -> Result<Halting, Error> {
        let list = self
            .packages_of(head.id(), head.commit.clone(), Selection::default())
            .await?;
        let packages = self.sorted(&list)?;
        // Those that are needed, with the architectures whose devices would see none.
        let mut needed: Vec<(&PackageId, Vec<&Architecture>)> = Vec::new();
        for id in of {
            let is_left = |architecture: &&Architecture| {
                let mut packages = packages.iter();
                packages.any(|package| {
                    let Listed {
                        component, stanza, ..
                    } = package;
                    let is_halted = |id: &PackageId| is(id, component, stanza);
                    *component == id.component
                        && stanza.name == id.name.as_str()
                        && is_seen(stanza, architecture)
                        && !of.iter().any(is_halted)
                })
            };
            let architectures = head.commit.settings.architectures.iter();
            let own = architectures
                .filter(|architecture| id.is_in(&id.component, architecture))
                .filter(|architecture| !is_left(architecture))
                .collect::<Vec<_>>();
            if !own.is_empty() {
                needed.push((id, own));
            }
        }
        let mut found = Halting::default();
        let mut history = std::pin::pin!(self.history(head.id()));
        let mut child: Option<Commit> = None;
        while !needed.is_empty()
            && let Some((id, commit)) = history.try_next().await?
        {
            let came = |wanted: &PackageId| {
                let mut changes = child.iter().flat_map(|child| child.changes.iter());
                changes.any(|change| change.action == Change::ADD && is_about(change, wanted))
            };
            let (here, later): (Vec<_>, Vec<_>) =
                needed.into_iter().partition(|(wanted, _)| came(wanted));
            needed = later;
            if !here.is_empty() {
                let then = self
                    .packages_of(id, commit.clone().into(), Selection::default())
                    .await?;
                self.find_earlier(&then, &here, &mut found).await?;
            }
            child = Some(commit);
        }
        let rest = needed.into_iter().map(|(id, _)| id.clone());
        found.without.extend(rest);
        Ok(found)
    }

    /// Looks for the versions before packages in the state of the suite that they came into.
    async fn find_earlier(
        &self,
        then: &PackageList,
        wanted: &[(&PackageId, Vec<&Architecture>)],
        found: &mut Halting,
    ) -> Result<(), Error> {
        let packages = self.sorted(then)?;
        let mut objects = HashSet::new();
        for (id, architectures) in wanted {
            let is_earlier = |stanza: &StanzaRef<'_>| {
                let version = stanza.version.parse::<Version>();
                version.is_ok_and(|version| version.compare(&id.version).is_lt())
            };
            let mut is_complete = true;
            for architecture in architectures {
                let newest = packages.iter().rev().find(|package| {
                    package.component == id.component
                        && package.stanza.name == id.name.as_str()
                        && is_seen(&package.stanza, architecture)
                        && is_earlier(&package.stanza)
                });
                is_complete &= newest.is_some();
                if let Some(Listed {
                    component, stanza, ..
                }) = newest
                {
                    let stanza = self.owned(component, stanza)?;
                    objects.insert((stanza.key.clone(), Some(stanza.size)));
                    if !found.earlier.contains(&stanza) {
                        found.earlier.push(stanza);
                    }
                }
            }
            if !is_complete {
                found.without.push((*id).clone());
            }
        }
        self.require(then.id, objects).await
    }

    pub(crate) fn owned(
        &self,
        component: &Component,
        stanza: &StanzaRef<'_>,
    ) -> Result<Stanza, Error> {
        let owned = stanza.to_owned(component.clone());
        owned.map_err(|source| Error::MalformedIndex {
            suite: self.name.clone(),
            path: component.to_string(),
            source,
        })
    }
}

/// Whether a device of an architecture sees a package.
fn is_seen(stanza: &StanzaRef<'_>, architecture: &Architecture) -> bool {
    ["all", architecture.as_str()].contains(&stanza.architecture)
}

fn is(id: &PackageId, component: &Component, stanza: &StanzaRef<'_>) -> bool {
    id.component == *component
        && id.name.as_str() == stanza.name
        && id.version.as_str() == stanza.version
        && id.architecture.as_str() == stanza.architecture
}

fn is_about(change: &Change, id: &PackageId) -> bool {
    change.component.as_deref() == Some(id.component.as_str())
        && change.package.as_deref() == Some(id.name.as_str())
        && change.version.as_deref() == Some(id.version.as_str())
        && change.architecture.as_deref() == Some(id.architecture.as_str())
}
