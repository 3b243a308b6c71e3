//! The settings of a suite as it will be.

use super::{edit::Intent, plan::PlanError};
use crate::{
    name::Architecture,
    package_id::PackageId,
    suite::{commit::Commit, settings::Settings},
};

/// The settings of the suite, with the components and architectures that its packages need.
pub(super) fn settings(base: Option<&Commit>, intent: &Intent) -> Result<Settings, PlanError> {
    let mut settings = intent.settings(base);
    let ids = || intent.additions().map(|(stanza, _)| &stanza.id);
    match intent.architectures() {
        Some((wanted, drops)) => {
            let old = std::mem::take(&mut settings.architectures);
            // An index of its own, which only another program gives it, stays.
            let all = old.iter().filter(|old| base.is_some() && old.is_all());
            extend(&mut settings.architectures, all);
            extend(&mut settings.architectures, wanted);
            let has = |architecture: &Architecture| settings.architectures.contains(architecture);
            let is_none = |own: &&Architecture| own.is_all() || own.is_wildcard();
            let mut none = wanted.iter().filter(is_none);
            if let Some(none) = none.find(|none| !old.contains(none)) {
                let name = none.clone();
                return Err(PlanError::NoIndex { name });
            }
            let published = base.map(|_| old).unwrap_or_default();
            let mut dropped = published
                .into_iter()
                .filter(|architecture| !has(architecture));
            if let (Some(dropped), false) = (dropped.next(), drops) {
                return Err(PlanError::DropsArchitecture(dropped));
            }
            let is_foreign = |id: &&PackageId| !id.architecture.is_all() && !has(&id.architecture);
            if let Some(foreign) = ids().find(is_foreign) {
                return Err(PlanError::ForeignArchitecture(foreign.clone()));
            }
        }
        None => {
            let own = ids().map(|id| &id.architecture);
            extend(
                &mut settings.architectures,
                own.filter(|architecture| !architecture.is_all()),
            );
        }
    }
    extend(&mut settings.components, ids().map(|id| &id.component));
    if settings.components.is_empty()
        && base.is_some_and(|base| !base.settings.components.is_empty())
    {
        return Err(PlanError::NoComponent);
    }
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
