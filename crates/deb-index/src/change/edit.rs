//! What a publisher wants of a suite: a list of edits, whatever the suite looks like now.
//!
//! An intent is a pure function of the base. A publisher that loses the race for the head applies it again to the new base, so
//! every edit is idempotent: applied twice in a row, the second time changes nothing.

use std::collections::BTreeSet;

use crate::{
    index::IndexPath,
    name::{Architecture, Component},
    stanza::Stanza,
    suite::{
        commit::Commit,
        settings::{AcceptedKey, Line, Settings},
    },
};

/// One change to a suite.
#[derive(Debug, Clone)]
pub enum Edit {
    /// The suite exists. The settings are those of a new one; an existing suite keeps its own.
    Exist(Settings),
    /// Some of the settings have these values.
    Set(SettingsPatch),
    /// A package is in the suite. Unless `replace` is set, other bytes for the same package are a conflict.
    Add { stanza: Stanza, replace: bool },
}

/// Settings to change; the others stay as they are.
#[derive(Debug, Clone, Default)]
pub struct SettingsPatch {
    pub origin: Option<Line>,
    pub label: Option<Line>,
    pub description: Option<Line>,
    /// All architectures of the suite, without `all`.
    pub architectures: Option<Vec<Architecture>>,
    /// Certificates that are accepted from now on, in this form. Others stay accepted.
    pub accept_keys: Vec<AcceptedKey>,
}

/// A list of edits, applied in order.
#[derive(Debug, Clone, Default)]
pub struct Intent(pub Vec<Edit>);

impl Intent {
    /// The packages to add, in order, and whether each may replace another build.
    pub fn additions(&self) -> impl Iterator<Item = (&Stanza, bool)> {
        self.0.iter().filter_map(|edit| match edit {
            Edit::Add { stanza, replace } => Some((stanza, *replace)),
            Edit::Exist(_) | Edit::Set(_) => None,
        })
    }

    /// The indexes that [`plan`](super::plan) has to see, of a suite with these components and architectures. Paths of indexes
    /// that the suite does not have may be among them.
    #[must_use]
    pub fn reads(
        &self,
        components: &[Component],
        architectures: &[Architecture],
    ) -> BTreeSet<IndexPath> {
        let mut paths = BTreeSet::new();
        let mut grows = false;
        let is_new = |architecture: &Architecture| !architectures.contains(architecture);
        for edit in &self.0 {
            match edit {
                Edit::Add { stanza, .. } => {
                    let (component, architecture) = (&stanza.id.component, &stanza.id.architecture);
                    let own = std::slice::from_ref(architecture);
                    let touched = if architecture.is_all() {
                        architectures
                    } else {
                        own
                    };
                    grows |= !architecture.is_all() && is_new(architecture);
                    paths.extend(
                        touched
                            .iter()
                            .map(|architecture| IndexPath::packages(component, architecture)),
                    );
                }
                Edit::Set(SettingsPatch {
                    architectures: Some(wanted),
                    ..
                }) => {
                    grows |= wanted.iter().any(is_new);
                }
                Edit::Exist(_) | Edit::Set(_) => {}
            }
        }
        // The index of a new architecture begins with the packages for all architectures, which are in every other index.
        if let (true, Some(first)) = (grows, architectures.first()) {
            paths.extend(
                components
                    .iter()
                    .map(|component| IndexPath::packages(component, first)),
            );
        }
        paths
    }

    /// The settings that follow from the edits, before architectures and components of packages are added.
    pub(super) fn settings(&self, base: Option<&Commit>) -> Settings {
        let mut settings = base.map(|base| base.settings.clone());
        for edit in &self.0 {
            match edit {
                Edit::Exist(new) => {
                    settings.get_or_insert_with(|| new.clone());
                }
                Edit::Set(patch) => patch.apply(settings.get_or_insert_default()),
                Edit::Add { .. } => {}
            }
        }
        settings.unwrap_or_default()
    }

    /// The architectures that the suite is to have, if the edits say so.
    pub(super) fn architectures(&self) -> Option<&Vec<Architecture>> {
        self.0.iter().rev().find_map(|edit| match edit {
            Edit::Set(patch) => patch.architectures.as_ref(),
            Edit::Exist(_) | Edit::Add { .. } => None,
        })
    }
}

impl SettingsPatch {
    fn apply(&self, settings: &mut Settings) {
        for (new, old) in [
            (&self.origin, &mut settings.origin),
            (&self.label, &mut settings.label),
            (&self.description, &mut settings.description),
        ] {
            if new.is_some() {
                old.clone_from(new);
            }
        }
        for new in &self.accept_keys {
            let mut known = settings.signing_keys.iter_mut();
            match known.find(|old| old.fingerprint == new.fingerprint) {
                Some(old) => {
                    old.keys.clone_from(&new.keys);
                    old.certificate.clone_from(&new.certificate);
                }
                None => settings.signing_keys.push(new.clone()),
            }
        }
    }
}
