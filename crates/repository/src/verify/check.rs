//! What a verification of a suite gathers.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, layout},
};
use s3_storage::ETag;
use tokio::sync::OnceCell;

use crate::{
    Error, Head, Suite, Warning,
    gc::inventory::{InStore, Inventory},
    verify::problem::{Part, Problem, Remedy, Severity},
};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Listings, one form of each index, and the history.
    Listing,
    /// Also every byte of every object that the head names, and of the index files of the history.
    Content,
    /// Also every byte of the package files of the history.
    History,
}

/// Result of looking at a suite.
#[derive(Debug, Default)]
pub struct Verified {
    /// The commit that the head names; none if the head cannot be used.
    pub commit: Option<Sha256>,
    /// Whether the head is not signed, so that nothing but the rights on the bucket protects it.
    pub is_unsigned: bool,
    /// Package files that the indexes name.
    pub packages: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Commits in the history.
    pub commits: u64,
    /// Index files and package files that these name.
    pub files: u64,
    /// All problems, in the order of the parts.
    pub problems: Vec<Problem>,
    /// What will be a problem later.
    pub warnings: Vec<Warning>,
    /// The version tag of what was at the key of the head before anything was looked at; none if nothing was. A repair replaces
    /// nothing else.
    pub(crate) tag: Option<ETag>,
}

/// The head of a suite as far as it can be used, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Top {
    pub(crate) head: Option<Head>,
    /// The commit of the head, or the one that it has to name again.
    pub(crate) commit: Option<Arc<Commit>>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    /// Whether the first problem is one that another head would solve.
    pub(crate) needs_head: bool,
    /// Whether the commit of the head is lost, and something stands in for it.
    pub(crate) is_stand_in: bool,
    /// Whether somebody signed the head whose key was not given. The reader may have given the wrong keys: that is no reason to
    /// sign anything again for which no signature vouches.
    pub(crate) is_strangers: bool,
}

/// Collects what is wrong with one suite.
pub(crate) struct Check<'a> {
    pub(crate) suite: &'a Suite<'a>,
    pub(crate) inventory: &'a Inventory,
    pub(crate) depth: Depth,
    /// Whether the commit of the head is lost, and something stands in for it.
    pub(crate) is_stand_in: bool,
    pub(crate) found: Verified,
    /// Package files that other suites name, once that is known.
    pub(crate) others: OnceCell<HashSet<String>>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(suite: &'a Suite<'a>, inventory: &'a Inventory, head: Option<&Head>) -> Self {
        Self {
            suite,
            inventory,
            depth: Depth::Listing,
            is_stand_in: false,
            found: Verified {
                commit: head.map(Head::id),
                is_unsigned: head.is_some_and(|head| head.signatures.is_unsigned()),
                ..Verified::default()
            },
            others: OnceCell::new(),
        }
    }

    /// What the store has in other folders than those of every repository, if some of these keys are there: an adopted suite has its
    /// package files wherever the other program put them.
    pub(crate) async fn elsewhere_in_store(
        &self,
        keys: impl Iterator<Item = &String>,
    ) -> Result<Inventory, Error> {
        let is_listed = |key: &str| {
            [layout::SUITES, layout::POOL]
                .iter()
                .any(|it| key.starts_with(it))
        };
        let keys = keys.filter(|key| !is_listed(key));
        let folders: BTreeSet<_> = keys
            .filter_map(|key| key.split_inclusive('/').next())
            .collect();
        let mut all = BTreeMap::new();
        for folder in folders {
            all.extend(self.suite.repository.listed(folder).await?);
        }
        Ok(Inventory(all))
    }

    pub(crate) fn add(&mut self, problem: Problem) {
        self.found.problems.push(problem);
    }
}

impl Suite<'_> {
    pub(crate) fn problem(
        &self,
        part: Part,
        key: impl Into<String>,
        text: impl Into<String>,
    ) -> Problem {
        let severity = match part {
            Part::Head | Part::Key | Part::Date | Part::Commit | Part::Index | Part::Package => {
                Severity::Error
            }
            Part::History | Part::Follower | Part::Founding | Part::Condemned => Severity::Warning,
        };
        Problem {
            suite: Some(self.name.clone()),
            part,
            key: key.into(),
            text: text.into(),
            severity,
            remedy: Remedy::Lost,
            fix: None,
        }
    }
}

/// What a listing says about an object that has to have this size.
pub(crate) fn compare(there: Option<&InStore>, size: u64) -> Option<String> {
    match there {
        None => Some("is missing".to_owned()),
        Some(there) if there.size != size => {
            Some(format!("has {} bytes instead of {size}", there.size))
        }
        Some(_) => None,
    }
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
