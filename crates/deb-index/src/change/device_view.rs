//! What a device gets of each package, before and after a change.
//!
//! A device reads one index of each component: that of its architecture, which has the packages for all architectures too. Of a
//! package it takes the newest version there; of equal ones, which other programs make, the first (tried with apt 2.6). apt never
//! goes back to an earlier version by itself.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
};

use serde::Serialize;

use super::{
    base::{before, gone, read},
    differences::differences,
    edit::Intent,
    plan::{IndexPlan, PlainIndexes, Plan, PlanError},
};
use crate::{
    index::packages::Packages,
    name::{Architecture, Component},
    stanza::StanzaRef,
    suite::commit::{Commit, PhaseChange},
    version::Version,
};

/// How a package differs between two states of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    pub change: Transition,
    pub component: String,
    pub package: String,
    /// The devices that it concerns; `all` for a package for all architectures.
    pub architectures: Vec<String>,
    /// The version that they got before; null if there was none.
    pub before: Option<String>,
    /// The version that they get now; null if there is none.
    pub after: Option<String>,
    /// Versions that only the old state has, the newest last. A version with another file is in both lists.
    pub old: Vec<String>,
    /// Versions that only the new state has.
    pub new: Vec<String>,
    /// The part of the devices that the version is for; missing where it is for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseChange>,
}

/// What happens to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    Added,
    Removed,
    /// The newest version is a later one.
    Upgraded,
    /// The newest version is an earlier one.
    Downgraded,
    /// A version, the newest or an older one, has another file.
    Replaced,
    /// The newest version is for another part of the devices.
    Phased,
    /// The newest version is the same; older ones were added or removed.
    OlderVersions,
}

/// Collects the differences of one architecture after the other.
#[derive(Debug, Default)]
pub struct DeviceView {
    packages: BTreeMap<(String, String), Vec<Seen>>,
}

/// A difference, and the architectures that it was seen in.
#[derive(Debug)]
struct Seen {
    change: PackageChange,
    /// Whether all stanzas that differ are for all architectures.
    is_for_all: bool,
    architectures: Vec<Architecture>,
}

impl DeviceView {
    /// Compares two states of an index.
    pub fn compare<'a>(
        &mut self,
        component: &Component,
        architecture: &Architecture,
        before: &Packages<'a>,
        after: &Packages<'a>,
    ) {
        // By name; whether all are for all architectures.
        let mut names: BTreeMap<&str, bool> = BTreeMap::new();
        differences(before, after, |difference| {
            let is_all = difference.stanza.architecture == "all";
            *names.entry(difference.stanza.name).or_insert(true) &= is_all;
        });
        // A new index is in order, one of another program need not be.
        let several = before
            .stanzas()
            .chunk_by(|one, other| one.name == other.name);
        for stanzas in several.filter(|stanzas| stanzas.len() > 1) {
            let name = stanzas[0].name;
            let offers = [offered(stanzas), offered(after.named(name))].map(|it| it.copied());
            if let [Some(old), Some(new)] = offers
                && old.sha256() != new.sha256()
            {
                let is_for_all = [old, new].iter().all(|it| it.architecture == "all");
                names.entry(name).or_insert(is_for_all);
            }
        }
        for (name, is_for_all) in names {
            let Some(mut change) = change(before.named(name), after.named(name)) else {
                continue;
            };
            change.component = component.to_string();
            let key = (change.component.clone(), name.to_owned());
            let seen = self.packages.entry(key).or_default();
            let mut others = seen.iter_mut();
            match others.find(|seen| seen.change == change && seen.is_for_all == is_for_all) {
                Some(seen) => seen.architectures.push(architecture.clone()),
                None => seen.push(Seen {
                    change,
                    is_for_all,
                    architectures: vec![architecture.clone()],
                }),
            }
        }
    }

    /// What was found, by component and name, in a suite with these architectures.
    #[must_use]
    pub fn into_changes(self, architectures: &[Architecture]) -> Vec<PackageChange> {
        let seen = self.packages.into_values().flatten();
        let changes = seen.map(|seen| {
            let mut others = architectures.iter();
            let is_everywhere = others.all(|other| seen.architectures.contains(other));
            let architectures = if seen.is_for_all && is_everywhere {
                vec![Architecture::all()]
            } else {
                seen.architectures
            };
            PackageChange {
                architectures: architectures.iter().map(ToString::to_string).collect(),
                ..seen.change
            }
        });
        changes.collect()
    }
}

/// What devices get by a plan, which was made of `intent` on `base`, of which `indexes` holds what the plan was made with.
///
/// # Errors
/// [`PlanError`] for indexes that are not there or broken.
pub fn package_changes(
    base: Option<&Commit>,
    indexes: &PlainIndexes,
    intent: &Intent,
    plan: &Plan,
) -> Result<Vec<PackageChange>, PlanError> {
    let mut view = DeviceView::default();
    for (path, index) in &plan.indexes {
        let Some((component, architecture)) = plan.settings.packages(path) else {
            continue;
        };
        let after = match (index, intent.restored()) {
            (IndexPlan::Write(plain), _) => {
                Packages::parse(plain).map_err(|error| PlanError::Broken(path.clone(), error))?
            }
            (IndexPlan::Restore(_), Some(restored)) => read(&restored.plain, path)?,
            (IndexPlan::Keep | IndexPlan::Restore(_), _) => continue,
        };
        let before = before(base, indexes, &component, path)?;
        view.compare(&component, &architecture, &before, &after);
    }
    let left = base.iter().flat_map(|base| {
        let paths = base
            .indexes
            .keys()
            .filter(|path| !plan.indexes.contains_key(path));
        paths.map(|path| (path, base.settings.packages(path)))
    });
    for (path, is_of) in left {
        if let Some((component, architecture)) = is_of {
            let gone = gone(indexes, &plan.settings, &component, path)?;
            view.compare(&component, &architecture, &gone, &Packages::default());
        }
    }
    Ok(view.into_changes(&plan.settings.architectures))
}

impl PackageChange {
    /// Whether a device notices: it gets another version, another file, or is in another part of the devices.
    #[must_use]
    pub fn is_noticed(&self) -> bool {
        let newest = self.after.as_ref();
        self.before != self.after
            || self.change == Transition::Phased
            || newest.is_some_and(|newest| self.new.contains(newest))
    }
}

/// The change of one package, of which these are all stanzas in two states of an index, the newest last. None if only fields differ
/// that no device gets anything by.
fn change(before: &[StanzaRef<'_>], after: &[StanzaRef<'_>]) -> Option<PackageChange> {
    let only = |these: &[StanzaRef<'_>], others: &[StanzaRef<'_>]| {
        let file = |stanza: &StanzaRef<'_>| stanza.sha256();
        let others = others.iter().map(|other| (other.version, file(other)));
        let others: HashSet<_> = others.collect();
        let is_there = |stanza: &&StanzaRef<'_>| {
            !others.is_empty() && others.contains(&(stanza.version, file(stanza)))
        };
        let only = these.iter().filter(|stanza| !is_there(stanza));
        only.map(|stanza| stanza.version.to_owned())
            .collect::<Vec<_>>()
    };
    let (mut old, mut new) = (only(before, after), only(after, before));
    // Where another one is the first of equal versions, both files may be in both states.
    if let (Some(one), Some(other)) = (offered(before), offered(after))
        && one.version == other.version
        && one.sha256() != other.sha256()
        && !new.iter().any(|version| version == other.version)
    {
        for versions in [&mut old, &mut new] {
            versions.retain(|version| version != other.version);
            versions.push(other.version.to_owned());
        }
    }
    let newest =
        |stanzas: &[StanzaRef<'_>]| offered(stanzas).map(|stanza| stanza.version.to_owned());
    let (change, phase) = match (offered(before), offered(after)) {
        (None, None) => return None,
        (None, Some(after)) => (Transition::Added, PhaseChange::between(None, after)),
        (Some(_), None) => (Transition::Removed, None),
        (Some(before), Some(after)) => match order(before.version, after.version) {
            Ordering::Less => (Transition::Upgraded, PhaseChange::between(None, after)),
            Ordering::Greater => (Transition::Downgraded, PhaseChange::between(None, after)),
            Ordering::Equal => {
                let phase = PhaseChange::between(Some(before), after);
                let is_phased = before.phase() != after.phase();
                let is_replaced = old.iter().any(|version| new.contains(version))
                    || before.version != after.version;
                if is_replaced {
                    (Transition::Replaced, phase)
                } else if is_phased {
                    (Transition::Phased, phase)
                } else if old.is_empty() && new.is_empty() {
                    return None;
                } else {
                    (Transition::OlderVersions, phase)
                }
            }
        },
    };
    Some(PackageChange {
        change,
        component: String::new(),
        package: after.last().or(before.last())?.name.to_owned(),
        architectures: Vec::new(),
        before: newest(before),
        after: newest(after),
        old,
        new,
        phase,
    })
}

/// What devices get of all stanzas of a package in an index: of the newest version the one that the index has first.
fn offered<'s, 'a>(stanzas: &'s [StanzaRef<'a>]) -> Option<&'s StanzaRef<'a>> {
    let newest = stanzas.last()?;
    let newest = stanzas
        .iter()
        .rev()
        .take_while(|stanza| order(stanza.version, newest.version).is_eq());
    // They are on the bytes of one index.
    newest.min_by_key(|stanza| stanza.bytes.as_ptr())
}

fn order(one: &str, two: &str) -> Ordering {
    match (one.parse::<Version>(), two.parse::<Version>()) {
        (Ok(one), Ok(two)) => one.compare(&two),
        _ => one.cmp(two),
    }
}
