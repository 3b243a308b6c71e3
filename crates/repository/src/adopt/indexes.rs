//! The indexes of a suite that another program made, and the sizes of the files that they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::{IndexPath, compression},
    suite::{
        commit::{Index, Stored},
        foreign::{ForeignIndex, ForeignRelease},
        inspection::{Damage, Problem},
        layout,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::ErrorKind;

use crate::{
    Error, Suite,
    commit::draft::blocking,
    read::indexes::{CONCURRENT_READS, INDEX_LIMIT, QUICKEST},
};

/// An index file to be stored under its digest as well.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) sha256: Sha256,
}

/// An index as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: IndexPath,
    /// What a commit says of it, if all its forms were kept; none if no form of it is whole.
    pub(super) index: Option<Index>,
    /// Plain content, of indexes that name files: `Packages` and `Sources`.
    pub(super) plain: Option<Bytes>,
    /// Where each form is.
    pub(super) copies: Vec<Copy>,
    pub(super) damage: Vec<Damage>,
}

struct Form<'a> {
    /// None for the plain form.
    extension: Option<&'a str>,
    stored: &'a Stored,
}

enum Read {
    /// Its content, and the key that it was read from.
    Whole(Bytes, String),
    Differs,
    Missing,
}

impl Suite<'_> {
    /// Reads all indexes of a suite.
    pub(super) async fn foreign_indexes(
        &self,
        release: &ForeignRelease,
    ) -> Result<Vec<Found>, Error> {
        let packages: BTreeSet<_> = release.packages().map(|(path, ..)| path).collect();
        let reads = release.indexes.iter().map(|(path, index)| {
            let is_packages = packages.contains(path);
            self.foreign_index(path, index, is_packages, release.by_hash)
        });
        stream::iter(reads.collect::<Vec<_>>())
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    async fn foreign_index(
        &self,
        path: &IndexPath,
        index: &ForeignIndex,
        is_packages: bool,
        by_hash: bool,
    ) -> Result<Found, Error> {
        let mut found = Found {
            path: path.clone(),
            index: None,
            plain: None,
            copies: Vec::new(),
            damage: Vec::new(),
        };
        let names_files = is_packages || ["Packages", "Sources"].contains(&path.file_name());
        let mut files = BTreeMap::new();
        let mut whole = HashMap::new();
        for form in forms(index, is_packages) {
            let own = form.extension.map_or_else(
                || path.to_string(),
                |extension| path.with_extension(extension),
            );
            let to = layout::in_suite(&self.name, &path.by_hash(&form.stored.sha256));
            let by_hash = by_hash.then_some(to.as_str());
            match self.form(&own, by_hash, form.stored).await? {
                Read::Whole(bytes, from) => {
                    found.copies.push(Copy {
                        from,
                        to,
                        sha256: form.stored.sha256,
                    });
                    if let Some(extension) = form.extension {
                        files.insert(extension.to_owned(), form.stored.clone());
                    }
                    if names_files {
                        whole.insert(form.extension.map(ToOwned::to_owned), bytes);
                    }
                }
                Read::Differs => found.damage.push(Damage {
                    index: own,
                    package: None,
                    problem: Problem::IndexDiffers,
                }),
                Read::Missing => {}
            }
        }
        let plain = match (&index.plain, is_packages) {
            (Some(plain), false) => {
                // Of a form that this program cannot read, nothing is known.
                found.plain = self.unpack(whole, Some(plain)).await.ok();
                Some((plain.size, plain.sha256))
            }
            (None, false) => None,
            (listed, true) => match self.unpack(whole, listed.as_ref()).await {
                Ok(plain) => {
                    let digest = blocking({
                        let plain = plain.clone();
                        move || Sha256::of(&plain)
                    });
                    let described = (plain.len() as u64, digest.await);
                    found.plain = Some(plain);
                    Some(described)
                }
                Err(problem) => {
                    found.damage.push(Damage::of_index(path, problem));
                    None
                }
            },
        };
        found.index = plain
            .filter(|_| !found.copies.is_empty())
            .map(|(size, sha256)| Index {
                entries: None,
                size,
                sha256,
                files,
                rest: Default::default(),
            });
        Ok(found)
    }

    /// Reads a form of an index by its name, or by its digest if it is not there, or no longer.
    async fn form(
        &self,
        name: &str,
        by_hash: Option<&str>,
        stored: &Stored,
    ) -> Result<Read, Error> {
        let mut read = Read::Missing;
        let name = layout::in_suite(&self.name, name);
        for key in [Some(name.as_str()), by_hash].into_iter().flatten() {
            let storage = &self.repository.storage;
            let bytes = match storage.get_bytes(key, INDEX_LIMIT).await {
                Ok((_, bytes)) => bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let digest = blocking({
                let bytes = bytes.clone();
                move || Sha256::of(&bytes)
            });
            if digest.await == stored.sha256 {
                return Ok(Read::Whole(bytes, key.to_owned()));
            }
            read = Read::Differs;
        }
        Ok(read)
    }

    /// The plain content of `Packages`.
    async fn unpack(
        &self,
        mut whole: HashMap<Option<String>, Bytes>,
        listed: Option<&Stored>,
    ) -> Result<Bytes, Problem> {
        if let Some(plain) = whole.remove(&None) {
            return Ok(plain);
        }
        let quickest = QUICKEST.into_iter().find_map(|format| {
            let bytes = whole.remove(&Some(format.extension().to_owned()))?;
            Some((format, bytes))
        });
        let (format, bytes) = quickest.ok_or(Problem::IndexMissing)?;
        let limit = listed.map_or(INDEX_LIMIT, |listed| listed.size.min(INDEX_LIMIT));
        let plain = blocking(move || compression::decompress(format, &bytes, limit)).await;
        let plain = plain.map_err(|_| Problem::IndexUnreadable)?;
        match listed {
            Some(listed) if listed.sha256 != Sha256::of(&plain) => Err(Problem::IndexDiffers),
            _ => Ok(plain.into()),
        }
    }

    /// Lengths in bytes of the objects in some folders, by their keys.
    pub(super) async fn sizes(
        &self,
        folders: BTreeSet<String>,
    ) -> Result<HashMap<String, u64>, Error> {
        let listings = folders.into_iter().map(|folder| async move {
            let listed = self.repository.listed(&folder).await?;
            let sizes = listed.into_iter().map(|(key, object)| (key, object.size));
            Ok::<_, Error>(sizes.collect::<Vec<_>>())
        });
        let listed: Vec<_> = stream::iter(listings.collect::<Vec<_>>())
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        Ok(listed.into_iter().flatten().collect())
    }

    /// Stores an index file under its digest.
    pub(super) async fn copy(&self, copy: &Copy) -> Result<(), Error> {
        if copy.from == copy.to {
            return Ok(());
        }
        let bytes = self.read_by_digest(&copy.from).await?;
        let digest = blocking({
            let bytes = bytes.clone();
            move || Sha256::of(&bytes)
        });
        if digest.await != copy.sha256 {
            return Err(Error::ChangedMeanwhile {
                suite: self.name.clone(),
            });
        }
        self.put_by_digest(copy.to.clone(), bytes, copy.sha256)
            .await
    }
}

/// The forms to keep: of `Packages` those that this program makes, and the plain one if there is no other.
fn forms(index: &ForeignIndex, is_packages: bool) -> Vec<Form<'_>> {
    let is_kept = |extension: &str| {
        !is_packages
            || QUICKEST
                .iter()
                .any(|format| format.extension() == extension)
    };
    let files = index.files.iter();
    let files = files.filter(|(extension, _)| is_kept(extension));
    let mut forms: Vec<_> = files
        .map(|(extension, stored)| Form {
            extension: Some(extension),
            stored,
        })
        .collect();
    let plain = index
        .plain
        .iter()
        .filter(|_| !is_packages || forms.is_empty());
    let plain: Vec<_> = plain
        .map(|stored| Form {
            extension: None,
            stored,
        })
        .collect();
    forms.extend(plain);
    forms
}
