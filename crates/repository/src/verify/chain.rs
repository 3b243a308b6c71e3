//! The history of a suite: the commits before its head, what they name, and the records of what took their place.

use std::collections::{BTreeMap, HashMap, HashSet};

use deb_index::{
    digest::{Algorithm, Digests, Sha256},
    index::IndexPath,
    name::SuiteName,
    suite::{
        commit::{Change, Commit, Stored},
        layout,
    },
};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use crate::{
    Error, Suite, Verified, Work,
    commit::followers,
    read::succession::is_unreadable,
    verify::{
        check::{Check, chain, compare},
        problem::{Fix, Part},
    },
};

/// Commits that are read at once.
const CONCURRENT: usize = 16;

impl Suite<'_> {
    /// The history alone, from the head to its beginning. Whether the package files of earlier states are there is told by what
    /// their commits changed.
    ///
    /// # Errors
    /// Those of [`Suite::head`] and of the store.
    pub async fn verify_history(&self) -> Result<Verified, Error> {
        let head = self.existing_head().await?;
        let inventory = self.repository.inventory().await?;
        let mut check = Check::new(self, &inventory, Some(&head));
        check.history(head.id(), &head.commit).await?;
        Ok(check.found)
    }
}

impl Check<'_> {
    /// The commits before the head, and what all of them name.
    pub(crate) async fn history(&mut self, newest: Sha256, commit: &Commit) -> Result<(), Error> {
        let suite = self.suite;
        let folder = layout::commits(&suite.name);
        let listed = self.inventory.below(&folder);
        let ids: Vec<_> = listed
            .filter_map(|(key, _)| layout::commit_at(&suite.name, key))
            .filter(|id| *id != newest)
            .collect();
        let (name, count) = (suite.name.clone(), ids.len() as u64);
        let work = suite
            .repository
            .observed
            .work(Work::Commits { suite: name, count });
        // Read at once: the chain alone would be read one after the other.
        let mut reads = stream::iter(ids)
            .map(|id| async move {
                (
                    id,
                    suite
                        .read_commit(&id)
                        .await
                        .map(|commit| Step::of(id, &commit)),
                )
            })
            .buffer_unordered(CONCURRENT);
        let mut steps = HashMap::new();
        while let Some((id, step)) = reads.next().await {
            work.done(1);
            match step {
                Err(error @ Error::Storage(_)) => return Err(error),
                step => drop(steps.insert(id, step)),
            }
        }
        drop(work);
        self.found.commits = 1;
        // What is older is garbage, or will be.
        let begins = suite.history_begins().await?;
        let mut child = Step::of(newest, commit);
        let mut named = child.named(suite);
        let mut links = Vec::new();
        let mut at = newest;
        let mut lost = HashSet::new();
        while let Some(id) = child.parent {
            let key = layout::commit_key(&suite.name, &id);
            let text = match steps.remove(&id) {
                Some(Ok(step)) if step.suite != suite.name => {
                    "is a commit of another suite".to_owned()
                }
                Some(Ok(_)) if begins.is_some_and(|begins| child.time < begins) => break,
                Some(Ok(step)) => {
                    self.found.commits += 1;
                    let removed = std::mem::take(&mut child.removed);
                    named.extend(removed.into_iter().map(|key| (key, (None, None))));
                    named.extend(step.named(suite));
                    links.push((step.parent, id));
                    (at, child) = (id, step);
                    continue;
                }
                Some(Err(error)) if is_unreadable(&error) => chain(&error),
                Some(Err(error)) => format!("cannot be read: {}", chain(&error)),
                None if begins.is_some_and(|begins| child.time < begins) => break,
                None => "is missing".to_owned(),
            };
            let before = match lost.insert(id) {
                true => suite.before_lost(id, child.time).await?,
                false => None,
            };
            let end = match before {
                Some(_) => "",
                None => ", and the history ends there",
            };
            let text = format!("{text}; commit {at} was built on it{end}");
            self.add(suite.problem(Part::History, key, text));
            (at, child.parent) = (id, before);
        }
        self.found.files = named.len() as u64;
        let known: HashSet<_> = self.found.problems.iter().map(|p| p.key.clone()).collect();
        let elsewhere = self.elsewhere_in_store(named.keys()).await?;
        for (key, (size, commit)) in named {
            let there = self.inventory.get(&key).or_else(|| elsewhere.get(&key));
            let size = size.or(there.map(|there| there.size)).unwrap_or_default();
            if let Some(text) = compare(there, size)
                && !known.contains(&key)
            {
                let text = format!("{text}; an earlier state needs it");
                let fix = match commit {
                    Some(commit) => self.made_again(&key, commit).await?,
                    None => None,
                };
                self.add(suite.problem(Part::History, key, text).fixed_by(fix));
            }
        }
        self.records(links).await
    }

    /// An index file of an earlier commit, made again from another form of the index.
    async fn made_again(&self, key: &str, commit: Sha256) -> Result<Option<Fix>, Error> {
        let suite = self.suite;
        let Some(commit) = suite.readable(Some(commit)).await? else {
            return Ok(None);
        };
        let is_it = |path: &IndexPath, stored: &Stored| {
            layout::by_hash_key(&suite.name, path, &stored.sha256) == key
        };
        let mut files = commit.files();
        let Some((path, extension, stored)) = files.find(|(path, _, file)| is_it(path, file))
        else {
            return Ok(None);
        };
        let plain = suite.plain_index(&commit, path).await?;
        self.elsewhere(path, extension, stored, plain.as_ref())
            .await
    }

    /// The records of what took the place of each commit before the head. (That of the head's parent is a follower.)
    async fn records(&mut self, links: Vec<(Option<Sha256>, Sha256)>) -> Result<(), Error> {
        let suite = self.suite;
        let mut odd = Vec::new();
        for (parent, id) in links {
            let content = followers::succession(&id);
            let key = layout::successor_key(&suite.name, parent.as_ref());
            let there = self.inventory.get(&key);
            let digests = Digests::of(&[Algorithm::Md5], &content);
            let md5 = digests.get(Algorithm::Md5).map(|md5| md5.to_string());
            // As a rule, the ETag tells.
            let is_same = there.is_some_and(|there| {
                there.size == content.len() as u64
                    && Some(there.etag.0.trim_matches('"')) == md5.as_deref()
            });
            // Where there is none, the commit's publisher was killed when the head was moved.
            if there.is_some() && !is_same {
                odd.push((parent, id, key));
            }
        }
        let mut looks = stream::iter(odd)
            .map(|(parent, id, key)| async move {
                let is_same = suite.took_the_place_of(parent, id).await?;
                Ok::<_, Error>((!is_same).then_some((parent, id, key)))
            })
            .buffer_unordered(CONCURRENT);
        while let Some(look) = looks.next().await {
            let Some((parent, id, key)) = look? else {
                continue;
            };
            let text = format!("does not name commit {id}");
            let problem = suite.problem(Part::Follower, key, text);
            self.found
                .problems
                .push(problem.fixed_by(Some(Fix::Succession { parent, id })));
        }
        Ok(())
    }
}

/// What the history needs of a commit.
struct Step {
    id: Sha256,
    suite: SuiteName,
    parent: Option<Sha256>,
    time: Timestamp,
    /// Its index files: their paths within the suite and sizes.
    files: Vec<(String, u64)>,
    /// Package files that it brought into the suite, and such that it took out.
    added: Vec<String>,
    removed: Vec<String>,
}

impl Step {
    fn of(id: Sha256, commit: &Commit) -> Self {
        let files = commit.files();
        let files = files.map(|(path, _, stored)| (path.by_hash(&stored.sha256), stored.size));
        let files = files.collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for change in commit.changes.iter() {
            let is_removed = change.action == Change::REMOVE;
            let list = if is_removed { &mut removed } else { &mut added };
            list.extend(change.filename.clone());
        }
        Self {
            id,
            files,
            suite: commit.suite.clone(),
            parent: commit.parent,
            time: commit.time,
            added,
            removed,
        }
    }

    /// Keys of what it names, as far as the commit tells, with their sizes where they are known, and of index files with itself.
    fn named(&self, suite: &Suite<'_>) -> BTreeMap<String, (Option<u64>, Option<Sha256>)> {
        let files = self.files.iter().map(|(path, size)| {
            let key = layout::in_suite(&suite.name, path);
            (key, (Some(*size), Some(self.id)))
        });
        let added = self.added.iter().map(|key| (key.clone(), (None, None)));
        files.chain(added).collect()
    }
}
