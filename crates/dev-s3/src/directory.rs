//! A store on disk, so that it outlives its process.
//!
//! ```text
//! <directory>/lock                                   held while the store is open
//! <directory>/<bucket>/bucket.json                   when it was created, its policy
//! <directory>/<bucket>/content/<random>              the bytes of an object or of a part
//! <directory>/<bucket>/objects/<sha256 of key>.json  the key, its headers, and the name of its content
//! ```
//!
//! A write first completes its content and then renames the object's description into place: this
//! is the instant in which the object changes. So a process that is killed leaves each object old
//! or new, and at most content that nothing names, which is swept when the directory is next
//! opened. Nothing is synced to the disk: a power failure is not survived. Unfinished multipart
//! uploads are not kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use s3s::crypto::{Checksum as _, Sha256};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    checksum::Checksums,
    content::{Content, Media},
    object::{Attributes, Object},
};

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

/// `bucket.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BucketDescription {
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) policy: Option<String>,
}

/// `objects/….json`.
#[derive(Serialize, Deserialize)]
struct ObjectDescription {
    key: String,
    content: String,
    size: u64,
    etag: String,
    modified: i64,
    checksums: Checksums,
    attributes: Attributes,
}

/// A bucket as it was found on disk.
pub(crate) struct FoundBucket {
    pub(crate) name: String,
    pub(crate) description: BucketDescription,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
}

impl Directory {
    /// Opens `root`, which is created if it is missing, and sweeps what a killed process left
    /// behind.
    pub(crate) fn open(root: &Path) -> io::Result<(Self, Vec<FoundBucket>)> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        let lock = File::create(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    format!("{} is open in another process", root.display()),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let directory = Self { root, _lock: lock };
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&directory.root)? {
            let entry = entry?;
            // A bucket without a description was not created yet, or is gone already.
            if let (Ok(name), true) = (
                entry.file_name().into_string(),
                entry.path().join("bucket.json").exists(),
            ) {
                buckets.push(directory.open_bucket(name)?);
            }
        }
        Ok((directory, buckets))
    }

    fn open_bucket(&self, name: String) -> io::Result<FoundBucket> {
        let description = read_json(&self.bucket(&name).join("bucket.json"))?;
        let mut objects = BTreeMap::new();
        let mut named = BTreeSet::new();
        for entry in fs::read_dir(self.bucket(&name).join("objects"))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                fs::remove_file(path)?;
                continue;
            }
            let found: ObjectDescription = read_json(&path)?;
            let content = Content::open(self.content(&name).join(&found.content))?;
            if content.length() != found.size {
                return Err(invalid(&path, "the content has another length"));
            }
            named.insert(found.content);
            let object = Object {
                content,
                etag: found.etag,
                modified: found.modified,
                checksums: found.checksums,
                attributes: found.attributes,
            };
            objects.insert(found.key, Arc::new(object));
        }
        for entry in fs::read_dir(self.content(&name))? {
            let entry = entry?;
            if entry
                .file_name()
                .to_str()
                .is_none_or(|file| !named.contains(file))
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(FoundBucket {
            name,
            description,
            objects,
        })
    }

    /// Where a bucket's content goes.
    pub(crate) fn media(&self, bucket: &str) -> Media {
        Media::Folder(self.content(bucket).into())
    }

    /// Writes a bucket's description; makes its folders first.
    pub(crate) fn put_bucket(
        &self,
        bucket: &str,
        description: &BucketDescription,
    ) -> io::Result<()> {
        fs::create_dir_all(self.content(bucket))?;
        fs::create_dir_all(self.bucket(bucket).join("objects"))?;
        write_json(&self.bucket(bucket).join("bucket.json"), description)
    }

    /// Removes an empty bucket.
    pub(crate) fn remove_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::remove_file(self.bucket(bucket).join("bucket.json"))?;
        fs::remove_dir_all(self.bucket(bucket))
    }

    /// Makes `object` the one at `key`.
    pub(crate) fn put_object(&self, bucket: &str, key: &str, object: &Object) -> io::Result<()> {
        let description = ObjectDescription {
            key: key.to_owned(),
            content: object.content.name(),
            size: object.size(),
            etag: object.etag.clone(),
            modified: object.modified,
            checksums: object.checksums.clone(),
            attributes: object.attributes.clone(),
        };
        write_json(&self.object(bucket, key), &description)
    }

    /// Removes the object at `key`, which exists.
    pub(crate) fn remove_object(&self, bucket: &str, key: &str) -> io::Result<()> {
        fs::remove_file(self.object(bucket, key))
    }

    fn bucket(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket)
    }

    fn content(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("content")
    }

    /// A key is no file name: it has slashes, dots, and up to 1,024 bytes.
    fn object(&self, bucket: &str, key: &str) -> PathBuf {
        self.bucket(bucket).join("objects").join(format!(
            "{}.json",
            hex::encode(Sha256::checksum(key.as_bytes()))
        ))
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(|error| invalid(path, error))
}

/// Writes a file whole or not at all. The store's lock keeps two writers of one file apart.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(value)?)?;
    fs::rename(new, path)
}

fn invalid(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: {what}", path.display()),
    )
}
