//! Suites within suites: `stable/updates` is in the folder of `stable`, where the component `updates` would also be. One folder cannot
//! be both. (Two publishers that make it so at once are not noticed; a deletion leaves the indexes of the component alone.)

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
        let taken = |suite: &str, component: &Component| Error::Nested {
            folder: format!("{}{suite}/{component}/", layout::SUITES),
            component: component.clone(),
        };
        let is_within = |name: &str, folder: &str| {
            let rest = name.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        for name in self.names(Some(settings)) {
            for (suite, component) in &components {
                if is_within(&name, &format!("{suite}/{component}")) {
                    return Err(taken(suite, component));
                }
            }
        }
        let outer = new_names.iter().flat_map(|name| outer(name));
        let outer = outer.map(async |(suite, component)| {
            let Ok(name) = suite.parse::<SuiteName>() else {
                return Ok(());
            };
            match self.repository.folder(&name).shown_head().await {
                Ok(Some(head))
                    if head
                        .release
                        .view
                        .components
                        .contains(&component.to_string()) =>
                {
                    Err(taken(&suite, &component))
                }
                Err(error @ Error::Storage(_)) => Err(error),
                _ => Ok(()),
            }
        });
        at_most(outer.collect()).await?;
        let folders = added(components, &self.component_folders(base));
        let inner = folders.iter().map(async |(suite, component)| {
            let folder = format!("{suite}/{component}/");
            if self.repository.folders_in(&folder).await?.is_empty() {
                Ok(())
            } else {
                Err(taken(suite, component))
            }
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

/// The suites in whose folder a name is, and the component whose folder it would be there.
fn outer(name: &str) -> impl Iterator<Item = (String, Component)> {
    let splits = std::iter::successors(name.rsplit_once('/'), |(suite, _)| suite.rsplit_once('/'));
    splits.filter_map(|(suite, component)| Some((suite.to_owned(), component.parse().ok()?)))
}

async fn at_most(checks: Vec<impl Future<Output = Result<(), Error>>>) -> Result<(), Error> {
    let checks = stream::iter(checks).buffer_unordered(CONCURRENT);
    checks.try_collect().await
}
