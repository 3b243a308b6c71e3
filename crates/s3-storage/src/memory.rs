//! A bucket in memory that keeps S3's rules: the fake for tests of whatever is built on
//! [`Storage`].
//!
//! The conformance suite runs on it as it runs on real stores, so that it cannot drift from them.
//! Where stores differ it takes the harder side: an ETag depends on the content alone (as AWS has
//! it), so that an object that was replaced and put back has its old ETag again; an update of a
//! missing key answers 404; times have a resolution of one second; a read sees the object as it was
//! when the read began.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    ByteRange, ETag, Error, ErrorKind, GetOptions, GetReply, Listed, ListedObject, ManualClock,
    Object, ObjectMeta, Payload, PutMode, PutOptions, PutReply, Storage, stored::StoredObject,
};

/// A file longer than this is kept as an object of parts: no SHA-256 of the whole, a composite
/// ETag.
const PART: usize = 8 << 20;

/// Pieces of a body, in bytes: small, so that a reader sees many.
const PIECE: usize = 64 << 10;

/// A bucket in memory.
#[derive(Debug)]
pub struct Memory {
    objects: Mutex<BTreeMap<String, Stored>>,
    clock: ManualClock,
    lists_missing: bool,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    meta: ObjectMeta,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty bucket with a clock of its own.
    pub fn new() -> Self {
        Self::with_clock(ManualClock::default())
    }

    /// An empty bucket whose `Date` and `Last-Modified` come from `clock`.
    pub fn with_clock(clock: ManualClock) -> Self {
        Self {
            objects: Mutex::default(),
            clock,
            lists_missing: true,
        }
    }

    /// Answers a read of a missing key with 403, as S3 does to a caller without `s3:ListBucket`.
    #[must_use]
    pub fn without_list_permission(mut self) -> Self {
        self.lists_missing = false;
        self
    }

    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The content of an object.
    pub fn read(&self, key: &str) -> Option<Bytes> {
        self.lock().get(key).map(|stored| stored.bytes.clone())
    }

    /// Writes past all rules: somebody tampers with the bucket.
    pub fn write(&self, key: &str, bytes: impl Into<Bytes>) {
        let stored = self.stored(bytes.into(), &PutOptions::new(PutMode::Overwrite), false);
        self.lock().insert(key.to_owned(), stored);
    }

    /// Removes an object past all rules; whether there was one.
    pub fn remove(&self, key: &str) -> bool {
        self.lock().remove(key).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store's clock as the `Date` header shows it: whole seconds.
    fn date(&self) -> Timestamp {
        whole_seconds(self.clock.now())
    }

    fn stored(&self, bytes: Bytes, options: &PutOptions, in_parts: bool) -> Stored {
        let digest = Sha256::digest(&bytes);
        let suffix = if in_parts {
            format!("-{}", bytes.len().div_ceil(PART))
        } else {
            String::new()
        };
        let meta = ObjectMeta {
            size: Some(bytes.len() as u64),
            etag: ETag(format!("\"{}{suffix}\"", hex::encode(&digest[..16]))),
            last_modified: Some(self.date()),
            sha256: options.sha256.filter(|_| !in_parts),
            metadata: options.metadata.clone(),
            date: None,
        };
        Stored { bytes, meta }
    }

    fn missing(&self, operation: &'static str, key: &str) -> Error {
        let error = if self.lists_missing {
            Error::new(
                ErrorKind::NotFound,
                operation,
                key,
                "the key does not exist",
            )
            .with_answer(Some(404), Some("NoSuchKey"))
        } else {
            Error::new(ErrorKind::PermissionDenied, operation, key, "access denied")
                .with_answer(Some(403), Some("AccessDenied"))
        };
        error.with_date(Some(self.date()))
    }

    /// Checks and writes in one instant: the lock is held across both.
    fn write_if(
        &self,
        operation: &'static str,
        key: &str,
        mode: &PutMode,
        make: impl FnOnce() -> Stored,
    ) -> Result<PutReply, Error> {
        let mut objects = self.lock();
        match (mode, objects.get(key)) {
            (PutMode::Create, Some(_)) => {
                return Err(precondition(operation, key, 412, "PreconditionFailed"));
            }
            (PutMode::Update(_), None) => {
                return Err(precondition(operation, key, 404, "NoSuchKey"));
            }
            (PutMode::Update(etag), Some(there)) if there.meta.etag != *etag => {
                return Err(precondition(operation, key, 412, "PreconditionFailed"));
            }
            (PutMode::Overwrite | PutMode::Create | PutMode::Update(_), _) => {}
        }
        let stored = make();
        let etag = stored.meta.etag.clone();
        objects.insert(key.to_owned(), stored);
        Ok(PutReply {
            etag,
            date: Some(self.date()),
        })
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn precondition(operation: &'static str, key: &str, status: u16, code: &str) -> Error {
    Error::new(
        ErrorKind::PreconditionFailed,
        operation,
        key,
        "the precondition did not hold",
    )
    .with_answer(Some(status), Some(code))
}

fn mismatch(key: &str) -> Error {
    Error::new(
        ErrorKind::ChecksumMismatch,
        "PutObject",
        key,
        "the content does not have the SHA-256 that was announced",
    )
    .with_answer(Some(400), Some("BadDigest"))
}

/// The bytes of a range: its first and its end (exclusive).
fn resolve(range: Option<ByteRange>, size: u64, key: &str) -> Result<(u64, u64), Error> {
    let (first, end) = match range {
        None => return Ok((0, size)),
        Some(ByteRange::From(first)) => (first, size),
        Some(ByteRange::Between(first, last)) if first <= last => {
            (first, last.saturating_add(1).min(size))
        }
        Some(ByteRange::Between(..)) => {
            return Err(Error::new(
                ErrorKind::Invalid,
                "GetObject",
                key,
                "the range ends before it begins",
            ));
        }
    };
    if first >= size {
        return Err(Error::new(
            ErrorKind::RangeNotSatisfiable,
            "GetObject",
            key,
            "the range lies outside the object",
        )
        .with_answer(Some(416), Some("InvalidRange")));
    }
    Ok((first, end))
}

#[async_trait]
impl Storage for Memory {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
        let date = Some(self.date());
        let Some(mut stored) = self.lock().get(key).cloned() else {
            return Err(self.missing("GetObject", key));
        };
        if options
            .if_match
            .is_some_and(|etag| etag != stored.meta.etag)
        {
            return Err(precondition("GetObject", key, 412, "PreconditionFailed"));
        }
        // RFC 9110, 13.2.2: If-Modified-Since counts only where there is no If-None-Match.
        let unchanged = match (options.if_none_match, options.if_modified_since) {
            (Some(etag), _) => etag == stored.meta.etag,
            (None, Some(since)) => stored
                .meta
                .last_modified
                .is_some_and(|written| written <= whole_seconds(since)),
            (None, None) => false,
        };
        if unchanged {
            return Ok(GetReply::NotModified { date });
        }
        let (first, end) = resolve(options.range, stored.bytes.len() as u64, key)?;
        let content = stored.bytes.slice(index(first)..index(end));
        let pieces: Vec<_> = (0..content.len())
            .step_by(PIECE)
            .map(|at| Ok(content.slice(at..content.len().min(at + PIECE))))
            .collect();
        stored.meta.sha256 = None;
        stored.meta.date = date;
        Ok(GetReply::Found(Object {
            meta: stored.meta,
            offset: first,
            length: Some(end - first),
            body: stream::iter(pieces).boxed(),
        }))
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        let found = self.lock().get(key).map(|stored| stored.meta.clone());
        let mut meta = found.ok_or_else(|| self.missing("HeadObject", key))?;
        meta.date = Some(self.date());
        Ok(meta)
    }

    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        if key.is_empty() || key.len() > 1024 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "PutObject",
                key,
                "a key has 1 to 1,024 bytes",
            ));
        }
        let announced = payload.size();
        let (bytes, in_parts) = match payload {
            Payload::Bytes(bytes) => (bytes, false),
            Payload::Object {
                storage,
                key: from,
                size,
            } => {
                let from = StoredObject {
                    storage: storage.as_ref(),
                    key: &from,
                    size,
                };
                (from.read_whole(options.sha256).await?, false)
            }
            Payload::File { path, .. } => {
                let bytes = tokio::fs::read(&path).await.map_err(|source| {
                    Error::new(
                        ErrorKind::LocalFile,
                        "PutObject",
                        key,
                        format!("{}: {source}", path.display()),
                    )
                    .with_source(source)
                })?;
                let in_parts = bytes.len() > 2 * PART;
                (Bytes::from(bytes), in_parts)
            }
        };
        if bytes.len() as u64 != announced {
            return Err(Error::new(
                ErrorKind::LocalFile,
                "PutObject",
                key,
                "the file changed its length",
            ));
        }
        if options
            .sha256
            .is_some_and(|expected| Sha256::digest(&bytes)[..] != expected)
        {
            return Err(mismatch(key));
        }
        // Whoever else waits for its turn gets it here: tests of races need one point at which
        // tasks change.
        tokio::task::yield_now().await;
        let reply = self.write_if("PutObject", key, &options.mode, || {
            self.stored(bytes, &options, in_parts)
        })?;
        if let Some(progress) = &options.progress {
            progress(announced);
        }
        Ok(reply)
    }

    /// The listing is that of the moment of the call.
    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>> {
        let objects = self.lock();
        let mut listed: Vec<Listed> = Vec::new();
        for (key, stored) in objects.range(prefix.to_owned()..) {
            let Some(rest) = key.strip_prefix(prefix) else {
                break;
            };
            let folder = delimiter
                .and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()))
                .and_then(|end| key.get(..prefix.len() + end));
            match folder {
                Some(folder) if listed.last().is_some_and(|last| last.key() == folder) => {}
                Some(folder) => listed.push(Listed::Folder(folder.to_owned())),
                None => listed.push(Listed::Object(ListedObject {
                    key: key.clone(),
                    size: stored.bytes.len() as u64,
                    etag: stored.meta.etag.clone(),
                    last_modified: stored.meta.last_modified,
                })),
            }
        }
        stream::iter(listed).map(Ok).boxed()
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        let mut objects = self.lock();
        for key in keys {
            objects.remove(key);
        }
        Ok(())
    }
}

/// A position in memory: an object that is held in memory has no more bytes than a `usize` counts.
fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
