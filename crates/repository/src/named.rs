//! Keeping a garbage collection from what a head is going to name.

use std::collections::BTreeSet;

use deb_index::{
    change::{IndexPlan, Plan},
    suite::{commit::Change, layout},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{Draft, Error, PackageFile, Suite};

/// Objects that are looked at at once.
const CONCURRENT: usize = 32;
const GONE: &str = "was deleted by a garbage collection meanwhile";

impl Draft<'_> {
    /// Strikes what the new head is going to name off the record of what is condemned. (Index files that are written, and the commit,
    /// are struck off when they are known.) `files` are the packages that are sent if they are not there.
    ///
    /// # Errors
    /// [`Error::BeingCollected`]; [`Error::Damaged`] if something is gone already that is not sent again.
    pub(crate) async fn spare(&self, files: &[PackageFile]) -> Result<(), Error> {
        if !self.condemned.exists() {
            return Ok(());
        }
        let plan = &self.planned.plan;
        let sent: BTreeSet<String> = files
            .iter()
            .flat_map(|PackageFile { stanza, .. }| {
                let other = layout::key_with_digest(&stanza.key, &stanza.sha256);
                [stanza.key.clone(), other]
            })
            .collect();
        let brought_back = index_files(self.suite, plan);
        let named = packages(plan)
            .chain(brought_back.iter().map(String::as_str))
            .chain(sent.iter().map(String::as_str));
        let repository = self.suite.repository;
        let struck = repository.spare(&self.condemned, named).await?;
        let mut unsure: BTreeSet<String> = struck.into_iter().collect();
        // A state that is brought back was looked at before the record was read.
        if !brought_back.is_empty() {
            unsure.extend(packages(plan).map(ToOwned::to_owned));
            unsure.extend(brought_back);
        }
        unsure.retain(|key| !sent.contains(key));
        let looks = stream::iter(unsure).map(|key| async move {
            let there = self.suite.look(&key).await?;
            there.ok_or_else(|| self.suite.damaged(key, GONE))
        });
        looks
            .buffer_unordered(CONCURRENT)
            .try_for_each(async |_| Ok(()))
            .await
    }
}

/// Keys of the packages that a plan brings into the suite.
fn packages(plan: &Plan) -> impl Iterator<Item = &str> {
    let added = plan
        .changes
        .iter()
        .filter(|change| change.action != Change::REMOVE);
    added.filter_map(|change| change.filename.as_deref())
}

/// Keys of the index files of an earlier commit that a plan brings back.
fn index_files(suite: &Suite<'_>, plan: &Plan) -> Vec<String> {
    let restored = plan.indexes.iter().filter_map(|(path, plan)| match plan {
        IndexPlan::Restore(index) => Some((path, index)),
        IndexPlan::Keep | IndexPlan::Write(_) => None,
    });
    let keys = restored.flat_map(|(path, index)| {
        let files = index.files.values();
        files.map(|stored| layout::in_suite(&suite.name, &path.by_hash(&stored.sha256)))
    });
    keys.collect()
}
