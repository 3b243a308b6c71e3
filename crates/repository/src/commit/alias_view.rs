//! What devices of an alias get by a change that gives the alias to another suite.

use std::collections::BTreeMap;

use deb_index::{
    change::{IndexPlan, PlainIndexes, Plan, device_view::PackageChange},
    name::SuiteName,
};

use crate::{
    Draft, Error, commit::draft::commit_of, folders::alias::new_aliases, read::indexes::IndexCache,
};

impl Draft<'_> {
    /// For each alias that is added and that shows something, what its devices get: until then they see another suite, or what one
    /// had when it dropped the name.
    ///
    /// # Errors
    /// Those of reading what the aliases show, and the suite.
    pub async fn alias_changes(&self) -> Result<BTreeMap<SuiteName, Vec<PackageChange>>, Error> {
        let base = commit_of(self.base.as_ref());
        let Plan {
            settings, indexes, ..
        } = &self.planned.plan;
        let aliases: Vec<_> = new_aliases(settings, base).collect();
        let mut changes = BTreeMap::new();
        if aliases.is_empty() {
            return Ok(changes);
        }
        let mut next = PlainIndexes::new();
        if let Some(base) = base {
            let kept = indexes
                .iter()
                .filter(|(path, index)| {
                    **index == IndexPlan::Keep && settings.packages(path).is_some()
                })
                .map(|(path, _)| path.clone());
            let kept: Vec<_> = kept.collect();
            next = IndexCache::default().load(self.suite, base, kept).await?;
        }
        for (path, index) in indexes {
            if let IndexPlan::Write(plain) = index {
                next.insert(path.clone(), plain.clone());
            }
        }
        for alias in aliases {
            let folder = self.suite.repository.folder(alias);
            let Some(shown) = folder.shown_head().await? else {
                continue;
            };
            let Some(holder) = shown.release.names.first() else {
                continue;
            };
            let holder = self.suite.repository.folder(holder);
            let commit = holder.read_commit(&shown.release.commit).await?;
            let then = &commit.settings;
            let paths = commit.indexes.keys();
            let paths = paths.filter(|path| then.packages(path).is_some()).cloned();
            let paths: Vec<_> = paths.collect();
            // The alias has its own copies, which stay when the other suite goes on.
            let before = IndexCache::default().load(&folder, &commit, paths).await?;
            let of_alias =
                folder.changes_between((then, &before), self.suite, (settings, &next))?;
            changes.insert(alias.clone(), of_alias);
        }
        Ok(changes)
    }
}
