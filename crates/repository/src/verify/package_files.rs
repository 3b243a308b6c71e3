//! The package files that the indexes of a suite name, against what the pool has.

use std::collections::BTreeMap;

use deb_index::{
    change::collisions::{Seen, pairs},
    digest::Sha256,
    index::packages::Packages,
    stanza::StanzaError,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::ErrorKind;

use crate::{
    Depth, Error, Repository, Suite, Warning, Work,
    commit::upload::digest,
    verify::{
        check::{Check, compare},
        problem::Part,
    },
};

/// Files that are read at once. They are hashed while they arrive, so this bounds the memory.
const READ: usize = 8;
/// Files that are asked about at once.
const ASKED: usize = 32;
/// Files that are asked about although no ETag of the pool is an MD5 digest, as where the store encrypts with keys of its own.
const SAMPLE: usize = 32;

/// Package files, by key.
#[derive(Debug, Default)]
pub(crate) struct PackageFiles {
    files: BTreeMap<String, Wanted>,
    /// Stanzas that do not say which file they are about, and files that two stanzas describe differently.
    odd: Vec<(String, String)>,
}

#[derive(Debug)]
struct Wanted {
    /// Package, version and architecture, with blanks between them.
    name: String,
    size: u64,
    sha256: Sha256,
    md5: Option<String>,
}

impl PackageFiles {
    /// Adds those that an index names.
    pub(crate) fn add(&mut self, path: &str, plain: &[u8]) -> Result<(), StanzaError> {
        for stanza in Packages::parse(plain)?.stanzas() {
            let name = format!("{} {} {}", stanza.name, stanza.version, stanza.architecture);
            let size = stanza.field("Size").and_then(|size| size.parse().ok());
            let (Some(key), Some(size), Some(sha256)) =
                (stanza.field("Filename"), size, stanza.sha256())
            else {
                let text = format!("lacks Filename, Size or SHA256 of {name}");
                self.odd.push((path.to_owned(), text));
                continue;
            };
            match self.files.get(key) {
                Some(wanted) if wanted.sha256 == sha256 && wanted.size == size => {}
                Some(_) => {
                    let text = format!("is described in two ways by the indexes ({name})");
                    self.odd.push((key.to_owned(), text));
                }
                None => {
                    let md5 = stanza.field("MD5sum").map(str::to_ascii_lowercase);
                    let wanted = Wanted {
                        name,
                        size,
                        sha256,
                        md5,
                    };
                    self.files.insert(key.to_owned(), wanted);
                }
            }
        }
        Ok(())
    }

    /// Compares them with the pool.
    pub(crate) async fn check(self, check: &mut Check<'_>) -> Result<(), Error> {
        let suite = check.suite;
        check.found.packages = self.files.len() as u64;
        check.found.bytes = self.files.values().map(|wanted| wanted.size).sum();
        let collisions = collisions(suite, &self.files);
        check.found.warnings.extend(collisions);
        let mut problems = self.odd;
        let mut there = Vec::new();
        let elsewhere = check.elsewhere_in_store(self.files.keys()).await?;
        let (mut same, mut others) = (0_usize, Vec::new());
        for (key, wanted) in &self.files {
            let stored = check.inventory.get(key).or_else(|| elsewhere.get(key));
            if let Some(text) = compare(stored, wanted.size) {
                problems.push((key.clone(), format!("{text} ({})", wanted.name)));
                continue;
            }
            there.push((key, wanted));
            let etag = stored.map(|stored| stored.etag.0.trim_matches('"').to_ascii_lowercase());
            match (&wanted.md5, etag) {
                (Some(md5), Some(etag)) if *md5 == etag => same += 1,
                (Some(md5), Some(etag)) if etag.len() == md5.len() => others.push((key, wanted)),
                _ => {}
            }
        }
        let repository = suite.repository;
        let differing: Vec<&str> = if check.depth != Depth::Listing {
            let files = there
                .iter()
                .map(|(key, wanted)| (key.as_str(), wanted.size, wanted.sha256));
            differing(suite, files.collect()).await?
        } else {
            if same == 0 {
                others.truncate(SAMPLE);
            }
            let (suite, count) = (suite.name.clone(), others.len() as u64);
            let work = &repository.observed.work(Work::Files { suite, count });
            let asks = others.iter().map(|file| async move {
                let answer = ask(repository, *file).await;
                work.done(1);
                answer
            });
            some(asks, ASKED).await?
        };
        for key in differing {
            let name = &self.files[key].name;
            let text = format!("has other content than its index says ({name})");
            problems.push((key.to_owned(), text));
        }
        for (key, text) in problems {
            check.add(suite.problem(Part::Package, key, text));
        }
        Ok(())
    }
}

/// Reads and hashes files of a suite, each given by its key, size and digest; returns the keys of those with other content.
pub(crate) async fn differing<'k>(
    suite: &Suite<'_>,
    files: Vec<(&'k str, u64, Sha256)>,
) -> Result<Vec<&'k str>, Error> {
    let repository = suite.repository;
    let bytes = files.iter().map(|(_, size, _)| size).sum();
    let suite = suite.name.clone();
    let work = &repository.observed.work(Work::Content { suite, bytes });
    let done = |bytes| work.done(bytes);
    let reads = files.into_iter();
    let reads = reads.map(|(key, _, sha256)| read(repository, key, sha256, done));
    some(reads, READ).await
}

impl Wanted {
    fn seen(&self) -> Seen<'_> {
        let mut parts = self.name.splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default();
        Seen {
            name: part(),
            version: part(),
            architecture: part(),
            sha256: Some(self.sha256),
        }
    }
}

/// A warning about packages that devices take for one version, by the keys of their files.
fn collisions(suite: &Suite<'_>, files: &BTreeMap<String, Wanted>) -> Option<Warning> {
    let pairs = pairs(files.iter(), |(_, wanted)| wanted.seen());
    let keys = pairs.into_iter().map(|((one, _), (other, _))| (one, other));
    Warning::of_collisions(&suite.name, &keys.collect::<Vec<_>>())
}

/// Runs checks, so many at once; returns the keys of the files with other content.
async fn some<'k>(
    checks: impl Iterator<Item = impl Future<Output = Result<Option<&'k str>, Error>>>,
    at_once: usize,
) -> Result<Vec<&'k str>, Error> {
    let checks: Vec<_> = checks.collect();
    let results = stream::iter(checks).buffer_unordered(at_once);
    results
        .try_filter_map(async |key| Ok(key))
        .try_collect()
        .await
}

/// Reads and hashes a file; its key if it has other content, or is gone.
async fn read<'k>(
    repository: &Repository,
    key: &'k str,
    sha256: Sha256,
    done: impl Fn(u64),
) -> Result<Option<&'k str>, Error> {
    match digest(repository.storage.as_ref(), key, done).await {
        Ok(found) => Ok((found != sha256).then_some(key)),
        Err(Error::Storage(error)) if error.kind() == ErrorKind::NotFound => Ok(Some(key)),
        Err(error) => Err(error),
    }
}

/// Asks the store for the checksum of a file whose ETag is not its MD5 digest; reads it if the store has kept none.
async fn ask<'k>(
    repository: &Repository,
    (key, wanted): (&'k String, &Wanted),
) -> Result<Option<&'k str>, Error> {
    match repository.storage.head(key).await {
        Ok(meta) => match meta.sha256 {
            Some(sha256) => Ok((sha256 != wanted.sha256.0).then_some(key.as_str())),
            None => read(repository, key, wanted.sha256, |_| {}).await,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(key)),
        Err(error) => Err(error.into()),
    }
}
