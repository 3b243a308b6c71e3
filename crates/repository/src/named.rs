//! Keeping a garbage collection from what a head is going to name.

use std::collections::BTreeSet;

use deb_index::{
    change::{IndexPlan, Plan},
    suite::layout,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Draft, Error, PackageFile, Suite,
    upload::{Mode, keys_of},
};

/// Objects that are looked at at once.
const CONCURRENT: usize = 32;
const GONE: &str = "was deleted by a garbage collection meanwhile";

impl Draft<'_> {
    /// Strikes what the new head is going to name, and what is not sent, off the record of what is condemned. `files` are the packages
    /// that are sent.
    ///
    /// # Errors
    /// [`Error::BeingCollected`]; [`Error::Damaged`] if something is gone already.
    pub(crate) async fn spare(&self, files: &[PackageFile], mode: Mode) -> Result<(), Error> {
        let plan = &self.planned.plan;
        let sent = keys_of(files);
        let brought_back = index_files(self.suite, plan);
        // A file that moved is not sent if it is where it moved to.
        let moved: BTreeSet<&str> = self.intent.moved().collect();
        let packages = packages(plan).filter(|key| !sent.contains(*key) || moved.contains(key));
        let named: BTreeSet<&str> = packages
            .chain(brought_back.iter().map(String::as_str))
            .collect();
        if named.is_empty() {
            return Ok(());
        }
        let repository = self.suite.repository;
        let spared = match mode {
            Mode::Write => repository.spare(&named).await?,
            Mode::Look => repository.condemned(&named).await?,
        };
        // What is brought back was looked at before; a package that is promoted is named elsewhere.
        let again: BTreeSet<_> = self
            .intent
            .brought_back()
            .map(|stanza| stanza.key.as_str())
            .collect();
        let unsure = named.into_iter().filter(|key| {
            let is_back = !brought_back.is_empty() || again.contains(*key);
            spared.has_record && is_back || spared.struck.contains(*key)
        });
        let looks = unsure.map(|key| async move {
            let there = self.suite.look(key).await?;
            there.ok_or_else(|| self.suite.damaged(key.to_owned(), GONE))
        });
        stream::iter(looks.collect::<Vec<_>>())
            .buffer_unordered(CONCURRENT)
            .try_for_each(async |_| Ok(()))
            .await
    }
}

/// Keys of the packages that a plan brings into the suite.
fn packages(plan: &Plan) -> impl Iterator<Item = &str> {
    let added = plan.changes.iter().filter(|change| change.brings_file());
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
