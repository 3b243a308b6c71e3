//! Looking for everything that is wrong with a suite: head ↔ commit ↔ indexes ↔ pool, the history, the followers.
//!
//! The head is read before the listing, so that all it names is in the listing. If problems were found and the head has moved
//! meanwhile, the suite is looked at again. Sizes come from the listing; one form of each index is read and checked whole, and each
//! other form whose ETag is not that of its copy under its plain name. Where the store's ETags are MD5 digests, as for small objects
//! on most stores, those of package files are compared with the indexes. With [`Depth::Content`], everything that the head names is
//! read and hashed.

pub(crate) mod alias_check;
pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod founding_check;
pub(crate) mod key_check;
pub(crate) mod package_files;
pub(crate) mod problem;
pub(crate) mod stale;

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroUsize,
    time::Duration,
};

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::{
        IndexPath,
        compression::{self, Format},
    },
    suite::{
        commit::{Commit, Index, Stored},
        layout, release,
    },
};
use repo_signing::VerifyError;

use crate::{
    Depth, Error, Folder, Head, Keys, Repository, Suite, Verified,
    commit::draft::blocking,
    gc::inventory::Inventory,
    read::{indexes::QUICKEST, loss::is_unreadable},
    verify::{
        check::{Check, Top, chain, compare},
        founding_check::BEING_DELETED,
        package_files::PackageFiles,
        problem::{Fix, Part, Problem, Remedy},
    },
};

/// Times that a suite is looked at while publishers may be changing it.
const TRIES: usize = 4;
/// How long they have to write their followers.
const PAUSE: Duration = Duration::from_millis(500);
/// What is missing in `suite.json` where a deletion has only begun.
pub(crate) const CLOSED: &str =
    "does not say that the suite is being deleted, but its newest commit does";
/// What is wrong with it where a publisher that was held up meanwhile has left something.
const DELETED: &str = "says that the suite was deleted, but something of it is left";

impl Repository {
    /// Looks for all problems of these suites, in their order. One that never was has neither a commit nor problems.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify(&self, suites: &[Suite<'_>], depth: Depth) -> Result<Vec<Verified>, Error> {
        let mut done: Vec<Option<Verified>> = suites.iter().map(|_| None).collect();
        let mut before: Vec<HashSet<_>> = suites.iter().map(|_| HashSet::new()).collect();
        for left in (0..TRIES).rev() {
            let mut tops = Vec::new();
            for (at, suite) in suites.iter().enumerate() {
                if done[at].is_none() {
                    // First: what takes its place from now on was not looked at.
                    let tag = suite.head_tag().await?;
                    tops.push((at, suite, tag, suite.top().await?));
                }
            }
            if tops.is_empty() {
                break;
            }
            let inventory = self.inventory().await?;
            let mut is_unsure = false;
            for (at, suite, tag, top) in tops {
                let was = top.head.as_ref().map(|head| head.etag.clone());
                let mut found = suite.check(top, &inventory, depth).await?;
                found.tag = tag;
                let stays = found.problems.is_empty() || {
                    let now = suite.signed_head().await.ok().flatten();
                    now.map(|now| now.etag().clone()) == was
                };
                // A publisher may just be changing what was looked at. What is there twice is no such thing.
                let is_sure = |problem: &Problem| {
                    stays && problem.part != Part::Follower || before[at].contains(&told(problem))
                };
                if found.problems.iter().all(is_sure) {
                    done[at] = Some(found);
                } else if left == 0 {
                    found.problems.retain(is_sure);
                    done[at] = Some(found);
                } else {
                    before[at] = found.problems.iter().map(told).collect();
                    is_unsure = true;
                }
            }
            if is_unsure {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let mut done: Vec<_> = done.into_iter().flatten().collect();
        tell_once(&mut done);
        Ok(done)
    }
}

/// What tells one problem from another.
fn told(problem: &Problem) -> (Part, String, String) {
    (problem.part, problem.key.clone(), problem.text.clone())
}

/// Leaves out what is told of an alias that is being deleted where the alias itself was looked at, too.
fn tell_once(of: &mut [Verified]) {
    let (suites, names): (Vec<_>, Vec<_>) = of.iter_mut().partition(|it| it.commit.is_some());
    let told = names.iter().flat_map(|name| &name.problems);
    let told: HashSet<_> = told.map(|problem| problem.key.as_str()).collect();
    for suite in suites {
        suite.problems.retain(|problem| {
            problem.remedy != Remedy::Delete || !told.contains(problem.key.as_str())
        });
    }
}

impl Suite<'_> {
    /// A suite whose deletion has not come to its end.
    pub(crate) fn unfinished(&self, text: &str) -> Top {
        let key = layout::founding_key(&self.name);
        let mut problem = self.problem(Part::Founding, key, text);
        problem.remedy = Remedy::Delete;
        Top {
            problems: vec![problem],
            ..Top::default()
        }
    }

    /// Reads the head. Whatever is wrong with it is a problem, no error.
    async fn top(&self) -> Result<Top, Error> {
        let head = match self.head_if_ever().await {
            Ok(Some(head)) => head,
            Err(error @ Error::Storage(_)) => return Err(error),
            other => {
                return match (self.what_it_is().await?, other) {
                    (Some(Folder::Deleting), _) => Ok(self.unfinished(BEING_DELETED)),
                    (Some(Folder::Remains), _) => Ok(self.unfinished(DELETED)),
                    (Some(Folder::Alias(suite)), _) => Err(Error::IsAlias {
                        alias: self.name.clone(),
                        suite,
                    }),
                    (Some(Folder::Deleted | Folder::Reserved(_)), _) | (_, Ok(_)) => {
                        Ok(Top::default())
                    }
                    (_, Err(error)) => self.top_without_head(error).await,
                };
            }
        };
        if head.commit.is_closed() {
            let says_so = self.what_it_is().await? == Some(Folder::Deleting);
            return Ok(self.unfinished(if says_so { BEING_DELETED } else { CLOSED }));
        }
        let mut problems = Vec::new();
        let key = head.key();
        let mut add = |part, text: String| {
            let mut problem = self.problem(part, &key, text);
            problem.remedy = Remedy::Manual;
            problems.push(problem);
        };
        if let Some(put_back) = &head.put_back {
            add(Part::Head, format!("is not the newest: {}", put_back.why));
        }
        let listed = release_files(&head.commit);
        if listed != head.release.files {
            add(Part::Head, "lists other index files than its commit".into());
        }
        let until = release::valid_until(&head.commit);
        if let (Some(until), Some(now)) = (until, head.store_time)
            && until <= now
        {
            add(Part::Date, format!("is valid until {until} only"));
        }
        if self.is_from_the_future(&head) {
            let date = head.release.date;
            add(
                Part::Date,
                format!("is dated {date}, which is in the future"),
            );
        }
        let (keys, warnings) = self.check_keys(&head);
        problems.extend(keys);
        Ok(Top {
            needs_head: head.put_back.is_some(),
            commit: Some(head.commit.clone()),
            head: Some(head),
            problems,
            warnings,
            is_stand_in: false,
            is_strangers: false,
        })
    }

    async fn top_without_head(&self, error: Error) -> Result<Top, Error> {
        match error {
            Error::Missing(_) | Error::IsAlias { .. } => Err(error),
            error if is_unreadable(&error) => self.top_without_commit(error).await,
            error => Ok(self.without_head(&error)),
        }
    }

    /// The head where its commit cannot be read.
    async fn top_without_commit(&self, lost: Error) -> Result<Top, Error> {
        let Some(signed) = self.signed_head().await? else {
            return Ok(self.without_head(&lost));
        };
        match self.stand_in(signed, &lost).await? {
            Ok(top) => Ok(top),
            Err(error) => Ok(self.without_head(&error)),
        }
    }

    fn without_head(&self, error: &Error) -> Top {
        let (part, key) = match error {
            Error::Commit { id, .. } => (Part::Commit, layout::commit_key(&self.name, id)),
            _ => {
                let is_signed = !matches!(self.keys, Keys::Unsigned);
                (Part::Head, layout::head_key(&self.name, is_signed))
            }
        };
        let text = format!("cannot be used: {}", chain(error));
        let mut problem = self.problem(part, key, text);
        problem.remedy = Remedy::Manual;
        let is_strangers = matches!(
            error,
            Error::Untrusted {
                source: VerifyError::UnknownKey(_),
                ..
            }
        );
        Top {
            problems: vec![problem],
            needs_head: part == Part::Head,
            is_strangers,
            ..Top::default()
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
            commit,
            problems,
            warnings,
            is_stand_in,
            ..
        } = self.recovered(top, inventory).await?;
        let mut check = Check::new(self, inventory, head.as_ref());
        (check.depth, check.is_stand_in) = (depth, is_stand_in);
        (check.found.problems, check.found.warnings) = (problems, warnings);
        if let Some(commit) = &commit {
            check.indexes(commit).await?;
        }
        match (&head, &commit) {
            (Some(head), Some(commit)) => {
                let founding = self.verify_founding(head).await?;
                check.found.problems.extend(founding);
                if !is_stand_in {
                    check.history(head.id(), commit).await?;
                }
                check.aliases(commit).await?;
                check.followers(head).await?;
            }
            // What a head would name again.
            (None, Some(commit)) => check.history(commit.to_bytes().1, commit).await?,
            _ => {}
        }
        let mut found = check.found;
        found.problems.sort_by(|one, two| {
            (one.part, &one.key, &one.text).cmp(&(two.part, &two.key, &two.text))
        });
        Ok(found)
    }
}

/// The files that the `Release` of a commit lists.
fn release_files(commit: &Commit) -> BTreeMap<String, Sha256> {
    let plain = commit.indexes.iter();
    let plain = plain.map(|(path, index)| (path.to_string(), index.sha256));
    let files = commit.files();
    let files =
        files.map(|(path, extension, stored)| (path.with_extension(extension), stored.sha256));
    plain.chain(files).collect()
}

impl Check<'_> {
    /// The index files that the head names, and the packages that these name.
    async fn indexes(&mut self, commit: &Commit) -> Result<(), Error> {
        let mut packages = PackageFiles::default();
        for (path, index) in &commit.indexes {
            let plain = self.index(path, index, commit).await?;
            let Some(plain) = plain.filter(|_| commit.settings.packages(path).is_some()) else {
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
    async fn index(
        &mut self,
        path: &IndexPath,
        index: &Index,
        commit: &Commit,
    ) -> Result<Option<Bytes>, Error> {
        let mut broken = Vec::new();
        let mut plain = None;
        let rank = |extension: &str| {
            let mut formats = QUICKEST.iter();
            formats.position(|format| format.extension() == extension)
        };
        let mut files: Vec<_> = index.files.iter().collect();
        files.sort_by_key(|(extension, _)| (rank(extension).is_none(), rank(extension)));
        for (extension, stored) in files {
            let key = layout::by_hash_key(&self.suite.name, path, &stored.sha256);
            let mut problem = compare(self.inventory.get(&key), stored.size);
            let follower = layout::in_suite(&self.suite.name, &path.with_extension(extension));
            let etag = |key: &str| self.inventory.get(key).map(|object| &object.etag);
            let is_read =
                self.depth != Depth::Listing || plain.is_none() || etag(&key) != etag(&follower);
            if problem.is_none() && is_read {
                let file = (extension.as_str(), stored);
                match self.suite.read_file(file, index, key.clone(), None).await {
                    Ok(unpacked) => plain = plain.or(unpacked),
                    Err(Error::Damaged { problem: text, .. }) => problem = Some(text.to_owned()),
                    Err(error) => return Err(error),
                }
            }
            if let Some(text) = problem {
                broken.push((key, text, extension, stored));
            }
        }
        let mut rewrite = None;
        let mut note = String::new();
        if plain.is_none()
            && !broken.is_empty()
            && let Some(rebuilt) = self.rebuilt(path, index, commit).await?
        {
            if rebuilt.is_proven {
                plain = Some(rebuilt.plain.clone());
            } else {
                note = format!("; of its packages, {} are left", rebuilt.packages);
            }
            rewrite = Some(Fix::Rewrite {
                path: path.clone(),
                plain: rebuilt.plain,
                is_proven: rebuilt.is_proven,
            });
        } else if let (Some(plain), Some(_)) = (&plain, path.as_packages()) {
            rewrite = Some(Fix::Rewrite {
                path: path.clone(),
                plain: plain.clone(),
                is_proven: true,
            });
        }
        for (key, text, extension, stored) in broken {
            let fix = self
                .elsewhere(path, extension, stored, plain.as_ref())
                .await?;
            let problem = self
                .suite
                .problem(Part::Index, key, format!("{text}{note}"));
            self.add(problem.fixed_by(fix.or(rewrite.clone())));
        }
        Ok(plain)
    }

    /// The content of an index file in its follower, or made again from another form of the index.
    pub(crate) async fn elsewhere(
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

    async fn followers(&mut self, head: &Head) -> Result<(), Error> {
        for (key, text) in self
            .suite
            .stale_followers(head, self.inventory, self.depth, self.is_stand_in)
            .await?
        {
            let problem = self.suite.problem(Part::Follower, key, text);
            self.add(problem.fixed_by(Some(Fix::Follower)));
        }
        Ok(())
    }
}
