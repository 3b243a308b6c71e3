//! The indexes that a suite has before a change.

use super::plan::{PlainIndexes, PlanError};
use crate::{
    index::{IndexPath, packages::Packages},
    name::{Architecture, Component},
    suite::{commit::Commit, settings::Settings},
};

/// One of the indexes that were read.
pub(super) fn read<'a>(
    indexes: &'a PlainIndexes,
    path: &IndexPath,
) -> Result<Packages<'a>, PlanError> {
    let plain = indexes.get(path);
    let plain = plain.ok_or_else(|| PlanError::NotRead(path.clone()))?;
    Packages::parse(plain).map_err(|error| PlanError::Broken(path.clone(), error))
}

pub(super) fn has(base: Option<&Commit>, path: &IndexPath) -> bool {
    base.is_some_and(|base| base.indexes.contains_key(path))
}

/// An index as the base has it. A new one begins with the packages for all architectures of the component.
pub(super) fn before<'a>(
    base: Option<&Commit>,
    indexes: &'a PlainIndexes,
    component: &Component,
    path: &IndexPath,
) -> Result<Packages<'a>, PlanError> {
    if has(base, path) {
        return read(indexes, path);
    }
    let first = base.and_then(|base| base.settings.architectures.first());
    let first = first.map(|first| IndexPath::packages(component, first));
    match first.filter(|first| has(base, first)) {
        Some(first) => Ok(read(indexes, &first)?.for_all_architectures()),
        None => Ok(Packages::default()),
    }
}

/// Whether an index is dropped with its component or, if it is a `Packages` index, with its architecture.
pub(super) fn leaves(path: &IndexPath, old: &Settings, new: &Settings) -> bool {
    let is_of = |component: &&Component| {
        let rest = path.as_str().strip_prefix(component.as_str());
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    // Of `updates` and `updates/main`, the inner one has it.
    let components = old.components.iter().filter(is_of);
    let Some(component) = components.max_by_key(|component| component.as_str().len()) else {
        return false;
    };
    let is_dropped = |(_, architecture): (_, Architecture)| {
        old.architectures.contains(&architecture) && !new.architectures.contains(&architecture)
    };
    !new.components.contains(component) || path.as_packages().is_some_and(is_dropped)
}

/// The packages that leave with an index: not those that another architecture's index still has.
pub(super) fn gone<'a>(
    indexes: &'a PlainIndexes,
    settings: &Settings,
    component: &Component,
    path: &IndexPath,
) -> Result<Packages<'a>, PlanError> {
    let mut gone = read(indexes, path)?;
    if settings.components.contains(component) {
        gone.retain(|stanza| stanza.architecture != "all");
    }
    Ok(gone)
}
