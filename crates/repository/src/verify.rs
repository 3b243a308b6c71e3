//! Looking for everything that is wrong with a suite: head ↔ commit ↔ indexes ↔ pool, the history, the followers.
//!
//! The head is read before the listing, so that all it names is in the listing. If problems were found and the head has moved
//! meanwhile, the suite is looked at again. Sizes come from the listing; one form of each index is read and checked whole. Where
//! the store's ETags are MD5 digests, as for small objects on most stores, they are compared with those of the indexes. With
//! [`Depth::Content`], everything that the head names is read and hashed.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
};

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::{
        IndexPath,
        compression::{self, Format},
    },
    name::SuiteName,
    suite::{
        commit::{Commit, Index, Stored},
        founding::Founding,
        layout, release,
    },
};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use repo_signing::VerifyError;

use crate::{
    Depth, Error, Head, Repository, Suite, Verified,
    check::{Check, compare},
    draft::blocking,
    inventory::Inventory,
    package_files::PackageFiles,
    problem::{Fix, Part, Problem, Remedy},
    succession::is_unreadable,
};

/// Times that a suite whose head moves is looked at.
const TRIES: usize = 3;
/// Commits and index files that are read at once.
const CONCURRENT: usize = 16;
/// What is wrong with `suite.json` while a deletion has not come to its end.
const BEING_DELETED: &str = "says that the suite is being deleted";
/// Formats, the quickest to unpack first.
const QUICKEST: [Format; 3] = [Format::Zst, Format::Gz, Format::Xz];

/// The head, or what is wrong with it.
struct Top {
    head: Option<Head>,
    problems: Vec<Problem>,
    /// Whether the first problem is one that another head would solve.
    needs_head: bool,
}

impl Repository {
    /// Looks for all problems of these suites, in their order. One that never was has neither a commit nor problems.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify(&self, suites: &[Suite<'_>], depth: Depth) -> Result<Vec<Verified>, Error> {
        let mut done: Vec<Option<Verified>> = suites.iter().map(|_| None).collect();
        for left in (0..TRIES).rev() {
            let mut tops = Vec::new();
            for (at, suite) in suites.iter().enumerate() {
                if done[at].is_none() {
                    tops.push((at, suite, suite.top().await?));
                }
            }
            if tops.is_empty() {
                break;
            }
            let inventory = self.inventory().await?;
            for (at, suite, top) in tops {
                let was = top.head.as_ref().map(|head| head.etag.clone());
                let found = suite.check(top, &inventory, depth).await?;
                let is_sure = found.problems.is_empty() || left == 0 || {
                    let now = suite.signed_head().await.ok().flatten();
                    now.map(|now| now.etag().clone()) == was
                };
                if is_sure {
                    done[at] = Some(found);
                }
            }
        }
        Ok(done.into_iter().flatten().collect())
    }
}

impl Suite<'_> {
    /// Reads the head. Whatever is wrong with it is a problem, no error.
    async fn top(&self) -> Result<Top, Error> {
        let head = match self.head_if_ever().await {
            Ok(Some(head)) => head,
            Ok(None) | Err(Error::IsAlias { .. } | Error::HeadVanished { .. })
                if self.is_being_deleted().await =>
            {
                let key = layout::founding_key(&self.name);
                let mut problem = self.problem(Part::Founding, key, BEING_DELETED);
                problem.remedy = Remedy::Manual;
                return Ok(Top {
                    head: None,
                    problems: vec![problem],
                    needs_head: false,
                });
            }
            Ok(None) => {
                return Ok(Top {
                    head: None,
                    problems: Vec::new(),
                    needs_head: false,
                });
            }
            Err(error @ (Error::Storage(_) | Error::Missing(_) | Error::IsAlias { .. })) => {
                return Err(error);
            }
            Err(error) => return Ok(self.without_head(&error)),
        };
        let mut problems = Vec::new();
        let key = layout::head_key(&self.name, !head.signatures.is_unsigned());
        let mut add = |text: String, remedy| {
            let mut problem = self.problem(Part::Head, &key, text);
            problem.remedy = remedy;
            problems.push(problem);
        };
        if let Some(text) = &head.put_back {
            add(format!("is not the newest: {text}"), Remedy::Manual);
        }
        let listed = release_files(&head.commit);
        if listed != head.release.files {
            add(
                "lists other index files than its commit".into(),
                Remedy::Manual,
            );
        }
        let until = release::valid_until(&head.commit);
        if let (Some(until), Some(now)) = (until, head.store_time)
            && until <= now
        {
            add(format!("is valid until {until} only"), Remedy::Manual);
        }
        Ok(Top {
            needs_head: head.put_back.is_some(),
            head: Some(head),
            problems,
        })
    }

    fn without_head(&self, error: &Error) -> Top {
        let key = match error {
            Error::Damaged { key, .. } => key.clone(),
            Error::Commit { id, .. } => layout::commit_key(&self.name, id),
            _ => layout::head_key(&self.name, true),
        };
        let part = match error {
            Error::Damaged { .. } | Error::Commit { .. } => Part::Commit,
            _ => Part::Head,
        };
        let text = match error {
            Error::Damaged { problem, .. } => (*problem).to_owned(),
            error => format!("cannot be used: {}", chain(error)),
        };
        let mut problem = self.problem(part, key, text);
        if part == Part::Head {
            problem.remedy = Remedy::Manual;
        }
        // The reader may have given the wrong keys: that is no reason to sign anything again.
        let is_stranger = matches!(
            error,
            Error::Untrusted {
                source: VerifyError::UnknownKey(_),
                ..
            }
        );
        Top {
            head: None,
            problems: vec![problem],
            needs_head: part == Part::Head && (self.keys.is_signed() || !is_stranger),
        }
    }

    async fn check(
        &self,
        top: Top,
        inventory: &Inventory,
        depth: Depth,
    ) -> Result<Verified, Error> {
        let Top {
            head,
            mut problems,
            needs_head,
        } = top;
        if needs_head {
            let fix = self.newest(inventory, head.as_ref()).await?;
            problems[0] = problems[0].clone().fixed_by(fix);
        }
        let mut check = Check {
            suite: self,
            inventory,
            depth,
            found: Verified {
                commit: head.as_ref().map(Head::id),
                is_unsigned: head
                    .as_ref()
                    .is_some_and(|head| head.signatures.is_unsigned()),
                packages: 0,
                bytes: 0,
                commits: 0,
                problems,
            },
        };
        if let Some(head) = &head {
            check.founding(head).await?;
            check.indexes(&head.commit).await?;
            check.aliases(&head.commit).await?;
            check.history(head.id(), &head.commit).await?;
            check.followers(head).await?;
        }
        let mut found = check.found;
        found.problems.sort_by(|one, two| {
            (one.part, &one.key, &one.text).cmp(&(two.part, &two.key, &two.text))
        });
        Ok(found)
    }

    /// The history alone, from the head to its beginning.
    ///
    /// # Errors
    /// Those of [`Suite::head`] and of the store.
    pub async fn verify_history(&self) -> Result<Verified, Error> {
        let head = self.existing_head().await?;
        let inventory = self.repository.inventory().await?;
        let mut check = Check {
            suite: self,
            inventory: &inventory,
            depth: Depth::Listing,
            found: Verified {
                commit: Some(head.id()),
                is_unsigned: head.signatures.is_unsigned(),
                packages: 0,
                bytes: 0,
                commits: 0,
                problems: Vec::new(),
            },
        };
        check.history(head.id(), &head.commit).await?;
        Ok(check.found)
    }
}

/// The files that the `Release` of a commit lists.
fn release_files(commit: &Commit) -> BTreeMap<String, Sha256> {
    let mut files = BTreeMap::new();
    for (path, index) in &commit.indexes {
        files.insert(path.to_string(), index.sha256);
        for (extension, stored) in &index.files {
            files.insert(path.with_extension(extension), stored.sha256);
        }
    }
    files
}

/// An error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

impl Check<'_> {
    async fn founding(&mut self, head: &Head) -> Result<(), Error> {
        let signed = !head.signatures.is_unsigned();
        let key = layout::founding_key(&self.suite.name);
        let text = match self.suite.founding().await {
            Ok((Some(founding), _)) if founding == (Founding::Suite { signed }) => return Ok(()),
            Ok((Some(Founding::Deleting(_)), _)) => {
                let problem = self.suite.problem(Part::Founding, key, BEING_DELETED);
                self.add(Problem {
                    remedy: Remedy::Manual,
                    ..problem
                });
                return Ok(());
            }
            Ok((Some(_), _)) => "contradicts the head about the suite being signed",
            Ok((None, _)) => "is missing",
            Err(Error::Damaged { problem, .. }) => problem,
            Err(error) => return Err(error),
        };
        let problem = self.suite.problem(Part::Founding, key, text);
        self.add(problem.fixed_by(Some(Fix::Founding { signed })));
        Ok(())
    }

    /// The index files that the head names, and the packages that these name.
    async fn indexes(&mut self, commit: &Commit) -> Result<(), Error> {
        let mut packages = PackageFiles::default();
        for (path, index) in &commit.indexes {
            let plain = self.index(path, index).await?;
            let Some(plain) = plain.filter(|_| path.as_packages().is_some()) else {
                continue;
            };
            let name = path.to_string();
            let (read, malformed) = blocking(move || {
                let mut packages = packages;
                let malformed = packages.add(&name, &plain).err();
                (packages, malformed)
            })
            .await;
            packages = read;
            if let Some(error) = malformed {
                let key = layout::in_suite(&self.suite.name, path.as_str());
                let text = format!("is malformed: {error}");
                self.add(self.suite.problem(Part::Index, key, text));
            }
        }
        packages.check(self).await
    }

    /// The files of an index. Returns its plain form, if one of them gives it.
    async fn index(&mut self, path: &IndexPath, index: &Index) -> Result<Option<Bytes>, Error> {
        let mut broken = Vec::new();
        let mut plain = None;
        let rank = |extension: &str| {
            let mut formats = QUICKEST.iter();
            formats.position(|format| format.extension() == extension)
        };
        let mut files: Vec<_> = index.files.iter().collect();
        files.sort_by_key(|(extension, _)| (rank(extension).is_none(), rank(extension)));
        for (extension, stored) in files {
            let key = layout::in_suite(&self.suite.name, &path.by_hash(&stored.sha256));
            let mut problem = compare(self.inventory.get(&key), stored.size);
            let is_read = self.depth == Depth::Content || plain.is_none();
            if problem.is_none() && is_read {
                match self.read(&key, stored, extension, index).await? {
                    Ok(unpacked) => plain = plain.or(unpacked),
                    Err(text) => problem = Some(text.to_owned()),
                }
            }
            if let Some(text) = problem {
                broken.push((key, text, extension, stored));
            }
        }
        for (key, text, extension, stored) in broken {
            let fix = self
                .elsewhere(path, extension, stored, plain.as_ref())
                .await?;
            let problem = self.suite.problem(Part::Index, key, text);
            self.add(problem.fixed_by(fix));
        }
        Ok(plain)
    }

    /// Reads an index file; its plain form, if its format is known. The inner error says what is wrong with it.
    async fn read(
        &self,
        key: &str,
        stored: &Stored,
        extension: &str,
        index: &Index,
    ) -> Result<Result<Option<Bytes>, &'static str>, Error> {
        let bytes = match self.suite.read_by_digest(key).await {
            Ok(bytes) => bytes,
            Err(Error::Damaged { problem, .. }) => return Ok(Err(problem)),
            Err(error) => return Err(error),
        };
        let (file, size, sha256) = (stored.sha256, index.size, index.sha256);
        let format = extension.parse::<Format>().ok();
        Ok(blocking(move || {
            if Sha256::of(&bytes) != file {
                return Err("has other content than its name says");
            }
            let Some(format) = format else {
                return Ok(None);
            };
            let plain = compression::decompress(format, &bytes, size);
            let plain = plain.map_err(|_| "cannot be unpacked to what its commit says")?;
            if Sha256::of(&plain) == sha256 {
                Ok(Some(Bytes::from(plain)))
            } else {
                Err("has other plain content than its commit says")
            }
        })
        .await)
    }

    /// The content of an index file in its follower, or made again from another form of the index.
    async fn elsewhere(
        &self,
        path: &IndexPath,
        extension: &str,
        stored: &Stored,
        plain: Option<&Bytes>,
    ) -> Result<Option<Fix>, Error> {
        let sha256 = stored.sha256;
        let key = layout::in_suite(&self.suite.name, &path.with_extension(extension));
        if self
            .inventory
            .get(&key)
            .is_some_and(|there| there.size == stored.size)
        {
            match self.suite.read_by_digest(&key).await {
                Ok(bytes) if Sha256::of(&bytes) == sha256 => {
                    return Ok(Some(Fix::Index { sha256, bytes }));
                }
                Ok(_) | Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (Some(plain), Ok(format)) = (plain.cloned(), extension.parse::<Format>()) else {
            return Ok(None);
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let bytes = blocking(move || compression::compress(format, &plain, threads)).await;
        let is_same = Sha256::of(&bytes) == sha256;
        Ok(is_same.then(|| Fix::Index {
            sha256,
            bytes: bytes.into(),
        }))
    }

    /// The commits before the head, and the index files that they name.
    async fn history(&mut self, newest: Sha256, commit: &Commit) -> Result<(), Error> {
        let suite = self.suite;
        let folder = layout::commits(&suite.name);
        let listed = self.inventory.below(&folder);
        let ids: Vec<_> = listed
            .filter_map(|(key, _)| layout::commit_at(&suite.name, key))
            .collect();
        // Read at once: the chain alone would be read one after the other.
        let mut reads = stream::iter(ids)
            .map(|id| async move { (id, suite.read_commit(&id).await.map(Step::of)) })
            .buffer_unordered(CONCURRENT);
        let mut steps = HashMap::new();
        while let Some((id, step)) = reads.next().await {
            match step {
                Err(error @ Error::Storage(_)) => return Err(error),
                step => drop(steps.insert(id, step)),
            }
        }
        self.found.commits = 1;
        // What is older is garbage, or will be.
        let begins = suite.history_begins().await?;
        let mut child = Step::of(commit.clone());
        let mut missing: HashMap<String, String> = HashMap::new();
        let mut at = newest;
        while let Some(id) = child.parent {
            let key = layout::commit_key(&suite.name, &id);
            let text = match steps.remove(&id) {
                Some(Ok(step)) if !step.is_of(suite) => "is a commit of another suite".to_owned(),
                Some(Ok(_)) if begins.is_some_and(|begins| child.time < begins) => break,
                Some(Ok(step)) => {
                    self.found.commits += 1;
                    for (path, size) in &step.files {
                        let key = layout::in_suite(&suite.name, path);
                        if let Some(text) = compare(self.inventory.get(&key), *size) {
                            missing.entry(key).or_insert(text);
                        }
                    }
                    (at, child) = (id, step);
                    continue;
                }
                Some(Err(error)) if is_unreadable(&error) => chain(&error),
                Some(Err(error)) => format!("cannot be read: {}", chain(&error)),
                None if begins.is_some_and(|begins| child.time < begins) => break,
                None => "is missing".to_owned(),
            };
            let text = format!("{text}; it is the parent of {at}, and the history ends there");
            self.add(suite.problem(Part::History, key, text));
            break;
        }
        let known: Vec<_> = self.found.problems.iter().map(|p| p.key.clone()).collect();
        for (key, text) in missing {
            if !known.contains(&key) {
                let text = format!("{text}; an earlier commit needs it");
                self.add(suite.problem(Part::History, key, text));
            }
        }
        Ok(())
    }

    async fn followers(&mut self, head: &Head) -> Result<(), Error> {
        for (key, text) in self
            .suite
            .stale_followers(head, self.inventory, self.depth)
            .await?
        {
            let problem = self.suite.problem(Part::Follower, key, text);
            self.add(problem.fixed_by(Some(Fix::Follower)));
        }
        Ok(())
    }
}

/// What the history needs of a commit.
struct Step {
    suite: SuiteName,
    parent: Option<Sha256>,
    time: Timestamp,
    /// Its index files: their paths within the suite and sizes.
    files: Vec<(String, u64)>,
}

impl Step {
    fn of(commit: Commit) -> Self {
        let files = commit.indexes.iter().flat_map(|(path, index)| {
            let files = index.files.values();
            files.map(|stored| (path.by_hash(&stored.sha256), stored.size))
        });
        Self {
            files: files.collect(),
            suite: commit.suite,
            parent: commit.parent,
            time: commit.time,
        }
    }

    fn is_of(&self, suite: &Suite<'_>) -> bool {
        self.suite == suite.name
    }
}
