//! The plan: from a suite as it is and what is wanted to the suite as it will be. Pure.
//!
//! Only the suite's own indexes make a conflict: other bytes for a package that one of them names. Another suite's build of the
//! same version is not a conflict.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::edit::Intent;
use crate::{
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    name::{Architecture, Component},
    package_id::PackageId,
    stanza::{Stanza, StanzaError},
    suite::{
        commit::{Change, Commit},
        settings::Settings,
    },
};

/// The plain indexes that were read of a suite.
pub type PlainIndexes = BTreeMap<IndexPath, Bytes>;

/// A suite as it will be.
#[derive(Debug, PartialEq)]
pub struct Plan {
    pub settings: Settings,
    /// What changes, in the order of the intent.
    pub changes: Vec<Change>,
    /// Packages to add that the suite has already, at the keys that its indexes give them.
    pub there: Vec<Stanza>,
    /// All indexes of the suite.
    pub indexes: BTreeMap<IndexPath, IndexPlan>,
}

/// What becomes of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPlan {
    /// It stays as the base has it.
    Keep,
    /// It has this plain content.
    Write(Bytes),
}

/// Why an intent cannot be carried out on a base.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An intent adds two files for one package.
    #[error("two files are given for {0}, with different content")]
    Clash(PackageId),
    /// The suite has other content for the package, under this key.
    #[error("{id} is in {} already, with other content: {key}", .id.component)]
    Conflict { id: PackageId, key: String },
    /// The given architectures lack one that the suite has.
    #[error("the suite has packages for {0}: its architectures can be added to, not taken away")]
    DropsArchitecture(Architecture),
    /// The given architectures lack that of a package.
    #[error("{0} is not for one of the given architectures")]
    ForeignArchitecture(PackageId),
    /// `all` has no index of its own.
    #[error(
        "“all” cannot be one of a suite's architectures: packages for it are in the index of each"
    )]
    ArchitectureAll,
    /// Indexes of the suite are stored in none of the formats that this program knows.
    #[error("this version of debucket knows none of the formats of the suite's indexes: {}", .0.join(", "))]
    NoKnownFormat(Vec<String>),
    /// An index of the base was not given to the plan.
    #[error("the index {0} was not read")]
    NotRead(IndexPath),
    #[error("the repository's index {0} is broken")]
    Broken(IndexPath, #[source] StanzaError),
}

impl PlanError {
    /// Whether it is about other content, as opposed to a wrong call or a broken repository.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Clash(_) | Self::Conflict { .. })
    }
}

impl Plan {
    /// Whether the suite stays as it is.
    #[must_use]
    pub fn is_empty(&self, base: Option<&Commit>) -> bool {
        base.is_some_and(|base| base.settings == self.settings)
            && self.indexes.values().all(|index| *index == IndexPlan::Keep)
    }
}

/// Plans `intent` on `base` (none: the suite does not exist), of which `indexes` holds what [`Intent::reads`] asks for.
///
/// # Errors
/// [`PlanError`].
pub fn plan(
    base: Option<&Commit>,
    indexes: &PlainIndexes,
    intent: &Intent,
) -> Result<Plan, PlanError> {
    let additions = distinct(intent)?;
    let settings = settings(base, intent, &additions)?;
    let mut outcomes = vec![Outcome::default(); additions.len()];
    let planner = Planner {
        base,
        plain: indexes,
        additions,
    };
    let mut planned: BTreeMap<_, _> = base
        .into_iter()
        .flat_map(|base| base.indexes.keys().cloned())
        .map(|path| (path, IndexPlan::Keep))
        .collect();
    for component in &settings.components {
        for architecture in &settings.architectures {
            if let Some(plain) = planner.index(component, architecture, &mut outcomes)? {
                let path = IndexPath::packages(component, architecture);
                planned.insert(path, IndexPlan::Write(plain.into()));
            }
        }
    }
    let there = outcomes.iter().filter(|outcome| outcome.change.is_none());
    Ok(Plan {
        settings,
        there: there.filter_map(|outcome| outcome.there.clone()).collect(),
        changes: outcomes
            .into_iter()
            .filter_map(|outcome| outcome.change)
            .collect(),
        indexes: planned,
    })
}

/// What becomes of a package to add, in all indexes that it belongs in.
#[derive(Debug, Clone, Default)]
struct Outcome {
    change: Option<Change>,
    /// The package as an index has it.
    there: Option<Stanza>,
}

/// Whether an intent makes sense on any base.
///
/// # Errors
/// [`PlanError::Clash`].
pub fn check(intent: &Intent) -> Result<(), PlanError> {
    distinct(intent).map(drop)
}

/// The packages to add, each once.
fn distinct(intent: &Intent) -> Result<Vec<(&Stanza, bool)>, PlanError> {
    let mut seen: HashMap<&PackageId, Sha256> = HashMap::new();
    let mut distinct = Vec::new();
    for (stanza, replace) in intent.additions() {
        match seen.insert(&stanza.id, stanza.sha256) {
            None => distinct.push((stanza, replace)),
            Some(first) if first == stanza.sha256 => {}
            Some(_) => return Err(PlanError::Clash(stanza.id.clone())),
        }
    }
    Ok(distinct)
}

/// The settings of the suite, with the components and architectures that its packages need.
fn settings(
    base: Option<&Commit>,
    intent: &Intent,
    additions: &[(&Stanza, bool)],
) -> Result<Settings, PlanError> {
    let mut settings = intent.settings(base);
    let ids = additions.iter().map(|(stanza, _)| &stanza.id);
    match intent.architectures() {
        Some(wanted) => {
            let old = std::mem::take(&mut settings.architectures);
            extend(&mut settings.architectures, wanted);
            let has = |architecture: &Architecture| settings.architectures.contains(architecture);
            if has(&Architecture::all()) {
                return Err(PlanError::ArchitectureAll);
            }
            let published = base.map(|_| old).unwrap_or_default();
            if let Some(dropped) = published
                .into_iter()
                .find(|architecture| !has(architecture))
            {
                return Err(PlanError::DropsArchitecture(dropped));
            }
            let is_foreign = |id: &&PackageId| !id.architecture.is_all() && !has(&id.architecture);
            if let Some(foreign) = ids.clone().find(is_foreign) {
                return Err(PlanError::ForeignArchitecture(foreign.clone()));
            }
        }
        None => {
            let own = ids.clone().map(|id| &id.architecture);
            extend(
                &mut settings.architectures,
                own.filter(|architecture| !architecture.is_all()),
            );
        }
    }
    extend(&mut settings.components, ids.map(|id| &id.component));
    if settings.known_formats().next().is_none() {
        return Err(PlanError::NoKnownFormat(settings.formats));
    }
    Ok(settings)
}

/// Appends what is not there yet.
fn extend<'a, T: Clone + PartialEq + 'a>(list: &mut Vec<T>, more: impl IntoIterator<Item = &'a T>) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

struct Planner<'a> {
    base: Option<&'a Commit>,
    plain: &'a PlainIndexes,
    additions: Vec<(&'a Stanza, bool)>,
}

impl Planner<'_> {
    /// The plain index of a component and an architecture, or none if it stays as it is. `outcomes` has a place for each
    /// addition, because a package that is in several indexes is one change.
    fn index(
        &self,
        component: &Component,
        architecture: &Architecture,
        outcomes: &mut [Outcome],
    ) -> Result<Option<Vec<u8>>, PlanError> {
        let path = IndexPath::packages(component, architecture);
        let is_new = !self.has(&path);
        let ours = |(_, (stanza, _)): &(usize, &(&Stanza, bool))| {
            stanza.id.component == *component
                && (stanza.id.architecture.is_all() || stanza.id.architecture == *architecture)
        };
        let additions: Vec<_> = self.additions.iter().enumerate().filter(ours).collect();
        if !is_new && additions.is_empty() {
            return Ok(None);
        }
        let index = if is_new {
            let first = self
                .base
                .and_then(|base| base.settings.architectures.first());
            let first = first.map(|first| IndexPath::packages(component, first));
            match first.filter(|first| self.has(first)) {
                Some(first) => self.read(&first)?.for_all_architectures(),
                None => Packages::default(),
            }
        } else {
            self.read(&path)?
        };
        let mut new = Vec::new();
        for (at, (stanza, replace)) in additions {
            let outcome = &mut outcomes[at];
            match action(&index, stanza, *replace)? {
                Action::Change(action) => {
                    new.push(*stanza);
                    let change = || Change::new(action, stanza);
                    outcome.change.get_or_insert_with(change);
                }
                Action::Keep(key) => outcome.there = Some(stanza.at_key(key.to_owned())),
            }
        }
        Ok((is_new || !new.is_empty()).then(|| index.with(new).render()))
    }

    fn has(&self, path: &IndexPath) -> bool {
        self.base
            .is_some_and(|base| base.indexes.contains_key(path))
    }

    fn read(&self, path: &IndexPath) -> Result<Packages<'_>, PlanError> {
        let plain = self.plain.get(path);
        let plain = plain.ok_or_else(|| PlanError::NotRead(path.clone()))?;
        Packages::parse(plain).map_err(|error| PlanError::Broken(path.clone(), error))
    }
}

/// What adding a package to an index does.
enum Action<'a> {
    /// It changes the index, in this way.
    Change(&'static str),
    /// The package is in it already, with this key.
    Keep(&'a str),
}

fn action<'a>(
    index: &'a Packages<'_>,
    stanza: &Stanza,
    replace: bool,
) -> Result<Action<'a>, PlanError> {
    let Some(there) = index.get(&stanza.id) else {
        return Ok(Action::Change(Change::ADD));
    };
    let key = there.field("Filename").unwrap_or_default();
    if there.sha256() == Some(stanza.sha256) {
        Ok(Action::Keep(key))
    } else if replace {
        Ok(Action::Change(Change::REPLACE))
    } else {
        Err(PlanError::Conflict {
            id: stanza.id.clone(),
            key: key.to_owned(),
        })
    }
}
