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
    Depth, Error, Suite, Verified, Work,
    commit::followers,
    read::loss::{TRIES, is_unreadable},
    verify::{
        check::{Check, chain, compare},
        package_files::differing,
        problem::{Fix, Part},
    },
};

/// Commits that are read at once.
const CONCURRENT: usize = 16;

impl Suite<'_> {
    /// The history alone, from the head to its beginning. Which package files earlier states need is told by what their commits
    /// changed.
    ///
    /// # Errors
    /// Those of [`Suite::head`] and of the store.
    pub async fn verify_history(&self, depth: Depth) -> Result<Verified, Error> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let head = self.existing_head().await?;
            let inventory = self.repository.inventory().await?;
            let mut check = Check::new(self, &inventory, Some(&head));
            check.depth = depth;
            check.history(head.id(), &head.commit).await?;
            if check.found.problems.is_empty() || left == 0 || !self.is_gone(&head).await {
                return Ok(check.found);
            }
        }
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
                    for (key, file) in removed.into_iter().chain(step.named(suite)) {
                        named.entry(key).or_insert(file);
                    }
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
        let (mut lost, mut hashed) = (Vec::new(), Vec::new());
        for (key, file) in named.iter().filter(|(key, _)| !known.contains(*key)) {
            let there = self.inventory.get(key).or_else(|| elsewhere.get(key));
            let size = file.size.or(there.map(|there| there.size));
            let size = size.unwrap_or_default();
            let is_hashed = match file.commit {
                Some(_) => self.depth != Depth::Listing,
                None => self.depth == Depth::History,
            };
            match (compare(there, size), file.sha256) {
                (Some(text), _) => lost.push((key.as_str(), text)),
                (None, Some(sha256)) if is_hashed => hashed.push((key.as_str(), size, sha256)),
                (None, _) => {}
            }
        }
        let differing = differing(suite, hashed).await?.into_iter();
        lost.extend(
            differing.map(|key| (key, "has other content than its commit says".to_owned())),
        );
        for (key, text) in lost {
            let text = format!("{text}; an earlier state needs it");
            let fix = match named[key].commit {
                Some(commit) => self.made_again(key, commit).await?,
                None => None,
            };
            self.add(suite.problem(Part::History, key, text).fixed_by(fix));
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
    suite: SuiteName,
    parent: Option<Sha256>,
    time: Timestamp,
    /// Its index files, by their paths within the suite.
    files: Vec<(String, Named)>,
    /// Package files that it brought into the suite, and such that it took out, by their keys.
    added: Vec<(String, Named)>,
    removed: Vec<(String, Named)>,
}

/// What a commit says of a file that it names, as far as it does.
#[derive(Clone, Copy)]
struct Named {
    size: Option<u64>,
    sha256: Option<Sha256>,
    /// The commit, of an index file.
    commit: Option<Sha256>,
}

impl Step {
    fn of(id: Sha256, commit: &Commit) -> Self {
        let files = commit.files();
        let files = files.map(|(path, _, stored)| {
            let file = Named {
                size: Some(stored.size),
                sha256: Some(stored.sha256),
                commit: Some(id),
            };
            (path.by_hash(&stored.sha256), file)
        });
        let files = files.collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for change in commit.changes.iter() {
            let is_removed = change.action == Change::REMOVE;
            let list = if is_removed { &mut removed } else { &mut added };
            let file = Named {
                size: change.size,
                sha256: change.sha256.as_ref().and_then(|it| it.parse().ok()),
                commit: None,
            };
            list.extend(change.filename.clone().map(|key| (key, file)));
        }
        Self {
            files,
            suite: commit.suite.clone(),
            parent: commit.parent,
            time: commit.time,
            added,
            removed,
        }
    }

    /// What it names, by key, as far as the commit tells.
    fn named(&self, suite: &Suite<'_>) -> BTreeMap<String, Named> {
        let files = self.files.iter();
        let files = files.map(|(path, file)| (layout::in_suite(&suite.name, path), *file));
        files.chain(self.added.iter().cloned()).collect()
    }
}
