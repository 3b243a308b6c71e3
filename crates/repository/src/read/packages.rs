//! The packages of a suite, read from its indexes for showing.
//!
//! A package for all architectures is in the index of each; here it is one package.

use std::{cmp::Ordering, sync::Arc};

use bytes::Bytes;
use deb_index::{
    change::PlainIndexes,
    digest::Sha256,
    index::IndexPath,
    name::{Architecture, Component},
    stanza::{Stanza, StanzaError, StanzaRef},
    suite::commit::Commit,
};

use crate::{Error, Missing, Suite, read::indexes::IndexCache};

/// A part of a suite.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this component.
    pub component: Option<Component>,
    /// Only what a device of this architecture sees: its own packages and those for all; with `all`, only these.
    pub architecture: Option<Architecture>,
}

/// The indexes of a suite, or of a part of it.
#[derive(Debug)]
pub struct PackageList {
    /// The commit that they were read from.
    pub id: Sha256,
    pub commit: Arc<Commit>,
    pub(crate) indexes: PlainIndexes,
    only_all: bool,
}

#[derive(Debug, Clone)]
pub struct Listed<'a> {
    pub component: Component,
    pub stanza: StanzaRef<'a>,
    index: &'a Bytes,
}

impl Listed<'_> {
    /// The package on the bytes of its index, in this component.
    pub(crate) fn to_stanza(&self, component: Component) -> Result<Stanza, StanzaError> {
        self.stanza.within(self.index, component)
    }

    /// By name, version, architecture and component.
    fn order(&self, other: &Self) -> Ordering {
        let by_stanza = self.stanza.order(&other.stanza);
        by_stanza.then_with(|| self.component.cmp(&other.component))
    }
}

impl Suite<'_> {
    /// Reads the selected part of the suite as a commit has it.
    ///
    /// # Errors
    /// [`Error::Missing`] if the component or the architecture does not exist; those of reading.
    pub async fn packages_of(
        &self,
        id: Sha256,
        commit: Arc<Commit>,
        selection: Selection,
    ) -> Result<PackageList, Error> {
        let settings = &commit.settings;
        let components = match &selection.component {
            None => settings.components.clone(),
            Some(one) => vec![self.one_of("component", one, &settings.components)?],
        };
        let only_all = selection
            .architecture
            .as_ref()
            .is_some_and(Architecture::is_all);
        let architectures = match &selection.architecture {
            None => settings.architectures.clone(),
            // An index for all may have more of them than the others.
            Some(_) if only_all => {
                let mut architectures = settings.architectures.iter();
                let first = architectures.next().into_iter();
                let all = architectures.filter(|architecture| architecture.is_all());
                first.chain(all).cloned().collect()
            }
            Some(one) => vec![self.one_of("architecture", one, &settings.architectures)?],
        };
        let paths = components.iter().flat_map(|component| {
            let path = |architecture| IndexPath::packages(component, architecture);
            architectures.iter().map(path)
        });
        let paths: Vec<_> = paths.collect();
        let indexes = IndexCache::default().load(self, &commit, paths).await?;
        Ok(PackageList {
            id,
            commit,
            indexes,
            only_all,
        })
    }

    /// The same of a commit that is not the newest.
    ///
    /// # Errors
    /// [`Error::NotWhole`]; those of [`Suite::packages_of`].
    pub async fn packages_then(
        &self,
        id: Sha256,
        commit: Arc<Commit>,
        selection: Selection,
    ) -> Result<PackageList, Error> {
        match self.packages_of(id, commit, selection).await {
            Err(error) => Err(self.of_earlier(id, error).await),
            list => list,
        }
    }

    /// Sorted by name, version, architecture and component.
    ///
    /// # Errors
    /// [`Error::MalformedIndex`].
    pub fn sorted<'l>(&self, list: &'l PackageList) -> Result<Vec<Listed<'l>>, Error> {
        let mut packages = Vec::new();
        for (path, plain) in &list.indexes {
            let index = self.parse(path, plain)?;
            let Some((component, _)) = path.as_packages() else {
                continue;
            };
            let wanted = index.stanzas().iter();
            let wanted = wanted.filter(|stanza| !list.only_all || stanza.architecture == "all");
            packages.extend(wanted.map(|stanza| Listed {
                component: component.clone(),
                stanza: *stanza,
                index: plain,
            }));
        }
        packages.sort_by(Listed::order);
        packages.dedup_by(|later, earlier| later.order(earlier) == Ordering::Equal);
        Ok(packages)
    }

    fn one_of<T: Clone + PartialEq + ToString>(
        &self,
        what: &'static str,
        name: &T,
        there: &[T],
    ) -> Result<T, Error> {
        if there.contains(name) {
            return Ok(name.clone());
        }
        Err(Error::Missing(Missing::Part {
            suite: self.name.clone(),
            what,
            name: name.to_string(),
            there: there.iter().map(ToString::to_string).collect(),
        }))
    }
}
