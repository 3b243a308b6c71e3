//! Keeping a garbage collection from what a head is going to name.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use deb_index::{
    change::{IndexPlan, Plan},
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    suite::{commit::Commit, layout},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Draft, Error, PackageFile, Suite,
    commit::upload::{Mode, keys_of},
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
        self.suite.require_left(unsure).await
    }
}

impl Suite<'_> {
    /// The same for a repair: everything that a head is going to name again, with some indexes in place of the commit's own. `id` is
    /// the commit's name, if it is that one which the head is going to name.
    pub(crate) async fn spare_all(
        &self,
        id: Option<Sha256>,
        commit: &Commit,
        written: &BTreeMap<IndexPath, Bytes>,
    ) -> Result<(), Error> {
        let mut named = BTreeSet::new();
        named.extend(id.map(|id| layout::commit_key(&self.name, &id)));
        for (path, _, stored) in commit.files() {
            if !written.contains_key(path) {
                named.insert(layout::by_hash_key(&self.name, path, &stored.sha256));
            }
        }
        for path in commit
            .indexes
            .keys()
            .filter(|path| path.as_packages().is_some())
        {
            let plain = match written.get(path) {
                Some(plain) => Some(plain.clone()),
                None => self.plain_index(commit, path).await?,
            };
            // What cannot be read is a problem of its own.
            let packages = plain.as_deref().map(Packages::parse);
            if let Some(Ok(packages)) = packages {
                let stanzas = packages.stanzas().iter();
                let files = stanzas.filter_map(|stanza| stanza.field("Filename"));
                named.extend(files.map(ToOwned::to_owned));
            }
        }
        let named = named.iter().map(String::as_str).collect();
        let spared = self.repository.spare(&named).await?;
        let struck = spared.struck.iter().map(String::as_str);
        self.require_left(struck).await
    }

    /// Fails if one of these objects was deleted by a collection.
    async fn require_left<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Result<(), Error> {
        let looks = keys.map(|key| async move {
            let there = self.look(key).await?;
            there.ok_or_else(|| self.damaged(key.to_owned(), GONE))
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
        files.map(|stored| layout::by_hash_key(&suite.name, path, &stored.sha256))
    });
    keys.collect()
}
