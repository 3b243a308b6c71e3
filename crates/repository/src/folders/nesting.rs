//! Suites within suites: `stable/updates` is in the folder of `stable`, where the component `updates`, or `updates/main`, would also
//! be. Neither folder may be within the other. (Two publishers that make it so at once are not noticed; a deletion leaves the indexes of the component alone.)

use std::collections::BTreeSet;

use deb_index::{
    name::{Component, SuiteName},
    suite::{commit::Commit, layout, settings::Settings},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{Error, Suite};

/// Folders that are looked into at once.
const CONCURRENT: usize = 8;

impl Suite<'_> {
    /// Fails if a folder that these settings add would be both a suite's, or an alias's, and a component's.
    pub(crate) async fn check_nesting(
        &self,
        settings: &Settings,
        base: Option<&Commit>,
    ) -> Result<(), Error> {
        let base = base.map(|base| &base.settings);
        let new_names = added(self.names(Some(settings)), &self.names(base));
        let components = self.component_folders(Some(settings));
        let apart = |name: &str, suite: &str, component: &str| {
            if !overlap(name, suite, component) {
                return Ok(());
            }
            Err(Error::Nested {
                folder: format!("{}{suite}/{component}/", layout::SUITES),
                suite: name.to_owned(),
            })
        };
        for name in self.names(Some(settings)) {
            for (suite, component) in &components {
                apart(&name, suite, component.as_str())?;
            }
        }
        let outer = new_names.iter().flat_map(|name| outer(name));
        let outer = outer.map(async |(name, suite)| {
            match self.repository.folder(&suite).shown_head().await {
                Ok(Some(head)) => {
                    let mut components = head.release.view.components.iter();
                    components.try_for_each(|component| apart(name, suite.as_str(), component))
                }
                Err(error @ Error::Storage(_)) => Err(error),
                _ => Ok(()),
            }
        });
        at_most(outer.collect()).await?;
        let folders = added(components, &self.component_folders(base));
        let inner = folders.iter().map(async |(suite, component)| {
            let first = component.as_str().split('/').next().unwrap_or_default();
            let folder = format!("{suite}/{first}/");
            let within = self.repository.folders_in(&folder).await?;
            let mut names = within.keys();
            names.try_for_each(|name| apart(name.as_str(), suite, component.as_str()))
        });
        at_most(inner.collect()).await
    }

    /// The names of the suite and of its aliases.
    fn names(&self, settings: Option<&Settings>) -> BTreeSet<String> {
        let Some(settings) = settings else {
            return BTreeSet::new();
        };
        let names = [&self.name].into_iter().chain(&settings.aliases);
        names.map(ToString::to_string).collect()
    }

    /// The components below each of the names.
    fn component_folders(&self, settings: Option<&Settings>) -> BTreeSet<(String, Component)> {
        let names = self.names(settings).into_iter();
        let components = |name: String| {
            let components = settings.into_iter().flat_map(|it| it.components.clone());
            components.map(move |component| (name.clone(), component))
        };
        names.flat_map(components).collect()
    }
}

fn added<T: Ord>(of: BTreeSet<T>, base: &BTreeSet<T>) -> Vec<T> {
    of.into_iter().filter(|one| !base.contains(one)).collect()
}

/// Whether the folder of a suite and that of a component of another are one, or one is within the other.
fn overlap(name: &str, suite: &str, component: &str) -> bool {
    let inner = name.strip_prefix(suite);
    let Some(inner) = inner.and_then(|inner| inner.strip_prefix('/')) else {
        return false;
    };
    let mut segments = inner.split('/').zip(component.split('/'));
    segments.all(|(one, other)| one == other)
}

/// The suites in whose folder a name is, each with the name.
fn outer(name: &str) -> impl Iterator<Item = (&str, SuiteName)> {
    let slashes = name.match_indices('/');
    slashes.filter_map(move |(at, _)| Some((name, name.get(..at)?.parse().ok()?)))
}

async fn at_most(checks: Vec<impl Future<Output = Result<(), Error>>>) -> Result<(), Error> {
    let checks = stream::iter(checks).buffer_unordered(CONCURRENT);
    checks.try_collect().await
}
