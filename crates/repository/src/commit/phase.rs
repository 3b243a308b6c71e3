//! Packages whose phase changes: which are meant, and what takes the place of those that are taken back.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use deb_index::{
    change::Selector,
    digest::Sha256,
    name::{Architecture, Component},
    package_id::PackageId,
    phase::Percentage,
    stanza::{Stanza, StanzaRef},
    suite::{
        commit::{Change, Commit, TakenBack},
        layout,
    },
    version::Version,
};
use futures::TryStreamExt as _;

use crate::{
    Error, Head, Listed, Past, Selection, Suite, commit::rollback::Object,
    read::loss::is_unreadable,
};

/// The packages that selectors mean, as far as their phase may change.
#[derive(Debug, Default)]
pub struct PhaseTargets {
    /// Those whose version a selector names.
    pub named: Vec<PackageId>,
    /// The others that are being phased.
    pub phased: Vec<PackageId>,
    /// The newest version of each package of which none is meant, because all are for all devices. By its name, with the
    /// architecture if a selector names one, as in `tool:arm64`.
    pub released: BTreeMap<String, String>,
    /// The selectors that match nothing.
    pub unmatched: Vec<Selector>,
}

/// What a halt of some packages needs.
#[derive(Debug, Default)]
pub struct Halting {
    /// The versions before them, as far as no other version is left.
    pub earlier: Vec<Stanza>,
    /// Packages of which a device would see no version any more.
    pub without: Vec<PackageId>,
    /// Why there is none, where the version before is damaged or was collected.
    pub problem: Option<Error>,
}

impl Suite<'_> {
    /// The packages that selectors mean: the version that a selector names, otherwise the newest of each name that is being phased, in
    /// the architectures and components that have it.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn phase_targets(&self, head: &Head, of: &[Selector]) -> Result<PhaseTargets, Error> {
        let list = self
            .packages_of(head.id(), head.commit.clone(), Selection::default())
            .await?;
        let packages = self.sorted(&list)?;
        let mut meant = PhaseTargets::default();
        let mut seen = HashSet::new();
        for selector in of {
            let mut matching: Vec<_> = packages
                .iter()
                .filter(|package| selector.matches(&package.component, &package.stanza))
                .collect();
            if matching.is_empty() {
                meant.unmatched.push(selector.clone());
            }
            let version = |package: &&Listed<'_>| {
                let [name, version] = [package.stanza.name, package.stanza.version];
                (name.to_owned(), version.to_owned())
            };
            // The newest come last.
            let architecture = selector.architecture();
            let end = architecture.map_or_else(String::new, |only| format!(":{only}"));
            let versions = matching.iter().map(version);
            let versions = versions.map(|(name, version)| (format!("{name}{end}"), version));
            meant.released.extend(versions);
            matching
                .retain(|package| selector.is_exact() || package.stanza.phase() != Percentage::ALL);
            let newest: HashMap<_, _> = matching.iter().map(version).collect();
            matching.retain(|package| newest[package.stanza.name] == package.stanza.version);
            for package in matching {
                let id = self.owned(&package.component, &package.stanza)?.id;
                if seen.insert(id.clone()) {
                    let list = if selector.is_exact() {
                        &mut meant.named
                    } else {
                        &mut meant.phased
                    };
                    list.push(id);
                }
            }
        }
        let is_meant = |package: &str| {
            let (name, architecture) = package.split_once(':').unwrap_or((package, ""));
            seen.iter().any(|id| {
                id.name.as_str() == name && ["", id.architecture.as_str()].contains(&architecture)
            })
        };
        meant.released.retain(|package, _| !is_meant(package));
        Ok(meant)
    }

    /// Those of the selectors that match nothing that the suite ever had, as far as its history goes back.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn never_had(
        &self,
        head: &Head,
        mut of: Vec<Selector>,
    ) -> Result<Vec<Selector>, Error> {
        let mut past = std::pin::pin!(self.past(head.id()));
        while !of.is_empty()
            && let Some(step) = past.try_next().await?
        {
            let Past::Commit(_, commit) = step else {
                continue;
            };
            of.retain(|selector| {
                !commit
                    .changes
                    .iter()
                    .any(|change| selector.is_about(change))
            });
        }
        Ok(of)
    }

    /// Those of the packages that were in the suite when a later version was taken back, which left them to devices; and the others.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn stepped_back(
        &self,
        head: &Head,
        of: Vec<PackageId>,
    ) -> Result<(Vec<PackageId>, Vec<PackageId>), Error> {
        let has_later = |id: &PackageId| head.commit.taken_back.iter().any(|it| it.is_later(id));
        let (mut open, mut others): (Vec<_>, Vec<_>) = of.into_iter().partition(has_later);
        let mut found = Vec::new();
        let mut past = std::pin::pin!(self.past(head.id()));
        while !open.is_empty()
            && let Some(step) = past.try_next().await?
        {
            let Past::Commit(_, commit) = step else {
                continue;
            };
            let taken_back = commit.changes.iter().filter(|change| change.taken_back);
            let taken_back: Vec<_> = taken_back.map(TakenBack::of_change).collect();
            let left = |id: &mut PackageId| taken_back.iter().any(|it| it.is_later(id));
            found.extend(open.extract_if(.., left));
            let came = |id: &mut PackageId| {
                let mut added = commit
                    .changes
                    .iter()
                    .filter(|change| change.action == Change::ADD);
                added.any(|change| is_about(change, id))
            };
            others.extend(open.extract_if(.., came));
        }
        others.extend(open);
        Ok((found, others))
    }

    /// What takes the place of packages that are taken back: where a device would see no other version of one, the newest of those
    /// that the suite had just before the package came in, or if all of those were taken back since, before they did.
    ///
    /// # Errors
    /// Those of reading, unless it is the earlier state that is damaged.
    pub async fn halting(&self, head: &Head, of: &[PackageId]) -> Result<Halting, Error> {
        let list = self
            .packages_of(head.id(), head.commit.clone(), Selection::default())
            .await?;
        let packages = self.sorted(&list)?;
        // Those that are needed, with the architectures whose devices would see none.
        let mut needed: Vec<Needed<'_>> = Vec::new();
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
            let architectures = architectures
                .filter(|architecture| id.is_in(&id.component, architecture))
                .filter(|architecture| !is_left(architecture))
                .collect::<Vec<_>>();
            if !architectures.is_empty() {
                needed.push(Needed {
                    id,
                    architectures,
                    is_past: false,
                });
            }
        }
        let mut found = Halting::default();
        let mut past = std::pin::pin!(self.past(head.id()));
        let mut child: Option<Arc<Commit>> = None;
        let mut taken_back = Fates::default();
        while !needed.is_empty() {
            let (id, commit) = match past.try_next().await {
                Ok(Some(Past::Commit(id, commit))) => (id, Arc::from(commit)),
                Ok(Some(Past::Lost(id))) => {
                    let key = layout::commit_key(&self.name, &id);
                    found.lost(self.damaged(key, "is missing or damaged"))?;
                    break;
                }
                Ok(None) => break,
                Err(error) if self.has_lost_commit(&head.id()).await => return Err(error),
                Err(error) => {
                    found.lost(error)?;
                    break;
                }
            };
            let changes = || child.iter().flat_map(|child| child.changes.iter());
            changes().for_each(|change| taken_back.note(change));
            let came = |wanted: &Needed<'_>| {
                let mut added = changes().filter(|change| change.action == Change::ADD);
                added.any(|change| wanted.came_by(change, &taken_back))
            };
            let (here, later): (Vec<_>, Vec<_>) = needed.into_iter().partition(came);
            needed = later;
            if !here.is_empty() {
                match self
                    .find_earlier((id, &commit), &here, &taken_back, &mut found)
                    .await
                {
                    Ok(left) => needed.extend(left),
                    Err(error) if self.has_lost_commit(&head.id()).await => return Err(error),
                    Err(error) => {
                        found.lost(error)?;
                        found.leave(here.iter().map(|wanted| wanted.id));
                    }
                }
            }
            child = Some(commit);
        }
        found.leave(needed.iter().map(|wanted| wanted.id));
        Ok(found)
    }

    /// Looks for the versions before packages in the state of the suite that they came into. Returns those that had none there.
    async fn find_earlier<'a>(
        &self,
        (id, then): (Sha256, &Arc<Commit>),
        wanted: &[Needed<'a>],
        taken_back: &Fates,
        found: &mut Halting,
    ) -> Result<Vec<Needed<'a>>, Error> {
        let all = Selection::default();
        let list = self.packages_of(id, then.clone(), all).await?;
        let packages = self.sorted(&list)?;
        let before = |id: &PackageId, architecture: &Architecture| {
            let is_earlier = |stanza: &StanzaRef<'_>| {
                let version = stanza.version.parse::<Version>();
                version.is_ok_and(|version| version.compare(&id.version).is_lt())
            };
            let newest = packages.iter().rev().find(|package| {
                package.component == id.component
                    && package.stanza.name == id.name.as_str()
                    && is_seen(&package.stanza, architecture)
                    && is_earlier(&package.stanza)
                    && !taken_back.contains(&package.component, &package.stanza)
            });
            newest.map(|package| self.owned(&package.component, &package.stanza))
        };
        let (mut earlier, mut left) = (Vec::new(), Vec::new());
        for Needed {
            id, architectures, ..
        } in wanted
        {
            let mut none = Vec::new();
            for architecture in architectures {
                match before(id, architecture).transpose()? {
                    Some(stanza) => earlier.push((*id, stanza)),
                    None => none.push(*architecture),
                }
            }
            if !none.is_empty() {
                left.push(Needed {
                    id,
                    architectures: none,
                    is_past: true,
                });
            }
        }
        let stanzas = earlier.iter().map(|(_, stanza)| stanza);
        let files = stanzas.map(|stanza| Object {
            key: stanza.key.clone(),
            size: Some(stanza.size),
            sha256: Some(stanza.sha256),
            is_index: false,
        });
        let mut gone = self.gone(files.collect()).await?;
        for (wanted, stanza) in earlier {
            if gone.contains_key(&stanza.key) {
                found.leave([wanted].into_iter());
            } else if !found.earlier.contains(&stanza) {
                found.earlier.push(stanza);
            }
        }
        if let Some(lost) = gone.pop_first() {
            found.lost(self.not_whole(id, lost))?;
        }
        Ok(left)
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

/// A package that is taken back, and whose place another version has to take.
struct Needed<'a> {
    id: &'a PackageId,
    /// The architectures whose devices would see none of its versions.
    architectures: Vec<&'a Architecture>,
    /// Whether the history was followed to the state that it came into, which had nothing to go back to.
    is_past: bool,
}

impl Needed<'_> {
    /// Whether a change brought it into the suite, or also, before that, a version that was taken back later.
    fn came_by(&self, change: &Change, taken_back: &Fates) -> bool {
        let is_version = change.component.as_deref() == Some(self.id.component.as_str())
            && change.package.as_deref() == Some(self.id.name.as_str());
        is_about(change, self.id)
            || self.is_past && is_version && taken_back.0.get(&what(change)) == Some(&true)
    }
}

/// Packages of the history, and whether they were taken back after they last came into the suite.
#[derive(Default)]
struct Fates(HashMap<[Option<String>; 4], bool>);

impl Fates {
    /// Notes a change. The newest are noted first.
    fn note(&mut self, change: &Change) {
        if change.action == Change::ADD || change.taken_back {
            self.0.entry(what(change)).or_insert(change.taken_back);
        }
    }

    fn contains(&self, component: &Component, stanza: &StanzaRef<'_>) -> bool {
        let what = what(&Change::new(Change::REMOVE, component, stanza));
        self.0.get(&what) == Some(&true)
    }
}

/// The package that a change is about.
fn what(change: &Change) -> [Option<String>; 4] {
    let parts = [
        &change.component,
        &change.package,
        &change.version,
        &change.architecture,
    ];
    parts.map(Clone::clone)
}

impl Halting {
    /// Notes that nothing takes the place of these packages.
    fn leave<'p>(&mut self, packages: impl Iterator<Item = &'p PackageId>) {
        for package in packages {
            if !self.without.contains(package) {
                self.without.push(package.clone());
            }
        }
    }

    /// Notes that an earlier state is lost. An error that is about something else is given back.
    fn lost(&mut self, error: Error) -> Result<(), Error> {
        let is_lost = matches!(error, Error::NotWhole { .. } | Error::MalformedIndex { .. });
        if !is_lost && !is_unreadable(&error) {
            return Err(error);
        }
        self.problem.get_or_insert(error);
        Ok(())
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
