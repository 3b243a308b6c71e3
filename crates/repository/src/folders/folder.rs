//! What the folders below `dists/` are. It follows from what is directly in each, and from what `suite.json` there says; where that
//! is lost, from the suite that the head there names.
//!
//! `suite.json` alone is not believed: any publisher could have written it. A folder with commits is not an alias, and one
//! with an open head is not being deleted.

use std::collections::BTreeMap;

use deb_index::{
    name::SuiteName,
    suite::{founding::Founding, layout},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use s3_storage::Listed;

use crate::{Error, Keys, Repository, Suite, gc::inventory::Inventory};

/// `suite.json` files that are read at once.
const CONCURRENT: usize = 16;

/// What a folder below `dists/` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// A suite of this program.
    Suite {
        /// False while its first publish runs, and where that was killed or the head is lost.
        has_head: bool,
    },
    /// A further name of this suite, or one that it has dropped.
    Alias(SuiteName),
    /// A suite, or an alias, whose deletion has not come to its end.
    Deleting,
    /// What was there is deleted, but the name is not free before this time: an interrupted run may not be dead.
    Reserved(Timestamp),
    /// What was there is deleted, or there is nothing but a `suite.json` that says nothing.
    Deleted,
    /// It was deleted, and a publisher that was held up meanwhile has left something.
    Remains,
    /// A suite of another program.
    Foreign,
}

impl Folder {
    /// Whether it is a suite of this program, also one whose head is gone or that is being deleted.
    #[must_use]
    pub fn is_suite(&self) -> bool {
        matches!(self, Self::Suite { .. } | Self::Deleting | Self::Remains)
    }
}

/// What is directly in a folder and tells what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    head: bool,
    founding: bool,
    commits: bool,
    succession: bool,
}

impl Marks {
    /// Adds what is in the folder under a name, which ends with a slash if it is a folder. False if that tells nothing.
    fn add(&mut self, name: &str) -> bool {
        let mark = match name {
            "InRelease" | "Release" => &mut self.head,
            "suite.json" => &mut self.founding,
            "commits/" => &mut self.commits,
            "succession/" => &mut self.succession,
            _ => return false,
        };
        *mark = true;
        true
    }

    /// Whether nothing of a suite is left but `suite.json`.
    fn is_empty(self) -> bool {
        !(self.head || self.commits || self.succession)
    }
}

/// Whether a folder in that of a suite holds files of an index. Some programs put a `Release` there.
fn is_of_index(folder: &str) -> bool {
    let mut parts = folder.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let depth = parts.count();
    (depth > 0 && last.starts_with("binary-")) || (depth > 1 && last == "source")
}

impl Inventory {
    /// The folders that are, or were, those of suites and aliases.
    pub(crate) fn marks(&self) -> BTreeMap<SuiteName, Marks> {
        let mut folders: BTreeMap<&str, Marks> = BTreeMap::new();
        for (key, _) in self.below(layout::SUITES) {
            let path = key.strip_prefix(layout::SUITES).unwrap_or(key);
            let Some((folder, name)) = path.rsplit_once('/') else {
                continue;
            };
            let (folder, name) = match folder.rsplit_once('/') {
                Some((suite, "commits")) => (suite, "commits/"),
                Some((suite, "succession")) => (suite, "succession/"),
                _ => (folder, name),
            };
            let mut marks = Marks::default();
            if marks.add(name) && !is_of_index(folder) {
                folders.entry(folder).or_default().add(name);
            }
        }
        let folders = folders.into_iter();
        folders
            .filter_map(|(folder, marks)| Some((folder.parse().ok()?, marks)))
            .collect()
    }
}

impl Repository {
    /// What the folders below `dists/` are, by name; or why that is not known. A name may have several segments (`bookworm/updates`).
    ///
    /// # Errors
    /// Those of listing.
    pub async fn folders(&self) -> Result<BTreeMap<SuiteName, Result<Folder, Error>>, Error> {
        let marks = self.folders_in("").await?;
        let mut folders = self.judged(marks.clone()).await;
        for (name, folder) in &mut folders {
            // What is in it tells enough, for all but a deletion that has begun.
            if folder.is_err() && marks[name].head && marks[name].commits {
                *folder = Ok(Folder::Suite { has_head: true });
            }
        }
        Ok(folders)
    }

    /// The names of this program's suites, and those of other programs.
    ///
    /// # Errors
    /// Those of the store; a folder of which it is not known what it is.
    pub async fn all_suites(&self) -> Result<(Vec<SuiteName>, Vec<SuiteName>), Error> {
        let (mut suites, mut others) = (Vec::new(), Vec::new());
        for (name, folder) in self.folders().await? {
            match folder? {
                folder if folder.is_suite() => suites.push(name),
                Folder::Foreign => others.push(name),
                _ => {}
            }
        }
        Ok((suites, others))
    }

    /// The folders of suites and aliases in a folder below `dists/`, itself included. It is given with a slash at its end.
    pub(crate) async fn folders_in(
        &self,
        folder: &str,
    ) -> Result<BTreeMap<SuiteName, Marks>, Error> {
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let (marks, inner) = self
                .listed_marks(&format!("{}{folder}", layout::SUITES))
                .await?;
            let inner = inner.into_iter().map(|name| format!("{folder}{name}"));
            folders.extend(inner.filter(|name| !is_of_index(name.trim_end_matches('/'))));
            let name = folder.strip_suffix('/').map(str::parse);
            if let (true, Some(Ok(name))) = (marks != Marks::default(), name) {
                found.insert(name, marks);
            }
        }
        Ok(found)
    }

    /// What folders are in which these marks were found.
    pub(crate) async fn judged(
        &self,
        folders: BTreeMap<SuiteName, Marks>,
    ) -> BTreeMap<SuiteName, Result<Folder, Error>> {
        stream::iter(folders)
            .map(async |(name, marks)| {
                let folder = self.folder(&name).judged(marks).await;
                (name, folder)
            })
            .buffer_unordered(CONCURRENT)
            .collect()
            .await
    }

    /// What is directly in a folder, and the folders in it that tell nothing about it.
    async fn listed_marks(&self, prefix: &str) -> Result<(Marks, Vec<String>), Error> {
        let (mut marks, mut inner) = (Marks::default(), Vec::new());
        let mut entries = self.storage.list(prefix, Some("/"));
        while let Some(entry) = entries.try_next().await? {
            let key = entry.key();
            let name = key.strip_prefix(prefix).unwrap_or(key);
            if !marks.add(name) && matches!(entry, Listed::Folder(_)) {
                inner.push(name.to_owned());
            }
        }
        Ok((marks, inner))
    }

    /// What is below `dists/` under a name, of whatever suite it is.
    pub(crate) fn folder(&self, name: &SuiteName) -> Suite<'_> {
        self.suite(name.clone(), Keys::Unchecked)
    }

    /// Whether a suite lists an alias.
    ///
    /// # Errors
    /// A head that cannot be read.
    pub async fn has_alias(&self, suite: &SuiteName, alias: &SuiteName) -> Result<bool, Error> {
        let head = self.folder(suite).signed_head().await?;
        Ok(head.is_some_and(|head| head.release.names.contains(alias)))
    }
}

impl Suite<'_> {
    /// What the folder of this name is, if there is one.
    pub(crate) async fn what_it_is(&self) -> Result<Option<Folder>, Error> {
        let prefix = layout::in_suite(&self.name, "");
        let (marks, _) = self.repository.listed_marks(&prefix).await?;
        if marks == Marks::default() {
            return Ok(None);
        }
        let folder = self.repository.folder(&self.name);
        folder.judged(marks).await.map(Some)
    }

    /// Fails if the folder is one that is being deleted, or whose name is not free yet.
    pub(crate) fn check_not_deleting(&self, folder: Option<&Folder>) -> Result<(), Error> {
        let suite = self.name.clone();
        match folder {
            Some(Folder::Deleting | Folder::Remains) => Err(Error::Deleting { suite }),
            Some(Folder::Reserved(until)) => Err(Error::Reserved {
                suite,
                until: *until,
            }),
            _ => Ok(()),
        }
    }

    async fn judged(&self, marks: Marks) -> Result<Folder, Error> {
        let (founding, now) = if marks.founding {
            self.founding().await?
        } else {
            (None, None)
        };
        Ok(match founding {
            Some(Founding::Deleting(_)) if marks.head && self.is_open().await? => {
                Folder::Suite { has_head: true }
            }
            Some(Founding::Deleting(deleting)) => match now {
                _ if !marks.is_empty() => Folder::Deleting,
                Some(now) if deleting.busy_until < now => Folder::Deleted,
                _ => Folder::Reserved(deleting.busy_until),
            },
            Some(Founding::AliasOf { suite, .. }) if !marks.commits && suite != self.name => {
                Folder::Alias(suite)
            }
            Some(Founding::Deleted | Founding::Unknown) if marks.is_empty() => Folder::Deleted,
            Some(Founding::Deleted) if !(marks.head && marks.commits) => Folder::Remains,
            _ if marks.head && !marks.commits => self.shown_folder(marks).await?,
            _ => Folder::Suite {
                has_head: marks.head,
            },
        })
    }

    /// What a folder is that has a head and neither commits nor a `suite.json` that can be read.
    async fn shown_folder(&self, marks: Marks) -> Result<Folder, Error> {
        match self.signed_head().await {
            Err(Error::IsAlias { suite, .. }) => Ok(Folder::Alias(suite)),
            Err(error @ Error::Storage(_)) => Err(error),
            Err(_) if !(marks.founding || marks.succession) => Ok(Folder::Foreign),
            _ => Ok(Folder::Suite { has_head: true }),
        }
    }

    /// Whether there is a head that others may build on.
    async fn is_open(&self) -> Result<bool, Error> {
        match self.current_head().await {
            Ok(head) => Ok(head.is_some_and(|head| !head.commit.is_closed())),
            Err(error @ Error::Storage(_)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use s3_storage::ETag;

    use super::*;
    use crate::gc::inventory::InStore;

    #[test]
    fn suites_are_told_from_the_folders_of_their_indexes() {
        let keys = [
            "dists/stable/InRelease",
            "dists/stable/main/binary-amd64/Release",
            "dists/stable/main/source/Release",
            "dists/bookworm/updates/Release",
            "dists/lost/commits/x.json",
            "dists/begun/suite.json",
            "dists/nothing/main/binary-amd64/Packages.gz",
            "pool/main/h/hello/Release",
        ];
        let object = InStore {
            size: 0,
            etag: ETag(String::new()),
            modified: None,
        };
        let inventory = Inventory(keys.map(|key| (key.to_owned(), object.clone())).into());
        let marks = |names: &[&str]| {
            let mut marks = Marks::default();
            assert!(names.iter().all(|name| marks.add(name)));
            marks
        };
        let expected = [
            ("begun", marks(&["suite.json"])),
            ("bookworm/updates", marks(&["Release"])),
            ("lost", marks(&["commits/"])),
            ("stable", marks(&["InRelease"])),
        ];
        let expected = expected.map(|(name, marks)| (name.parse().unwrap(), marks));
        assert_eq!(inventory.marks(), expected.into());
        assert_eq!(inventory.below("dists/stable/main/").count(), 2);
    }
}
