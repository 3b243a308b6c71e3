//! The buckets and what is in them, with S3's rules: a write takes effect in one instant, in which
//! its precondition is also checked, and is seen by every later read.
//!
//! One lock is enough for that. It is held for a look-up or for the writing of a description, never
//! while content moves.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::{
    clock::Clock,
    conditions::WriteConditions,
    content::{Content, Media, Writer},
    directory::{BucketDescription, Directory},
    multipart::Upload,
    object::Object,
    policy::Policy,
};

/// All buckets.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) clock: Clock,
    directory: Option<Directory>,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

/// One bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) policy: Option<BucketPolicy>,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    /// Unfinished multipart uploads by their id.
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// A policy, as it was put and as it is understood.
#[derive(Debug, Clone)]
pub(crate) struct BucketPolicy {
    pub(crate) text: String,
    pub(crate) policy: Arc<Policy>,
}

impl BucketPolicy {
    /// Reads a policy; one that is not understood completely is refused.
    pub(crate) fn parse(text: String) -> S3Result<Self> {
        let policy = Policy::parse(&text).map_err(|error| s3_error!(MalformedPolicy, "{error}"))?;
        Ok(Self {
            text,
            policy: Arc::new(policy),
        })
    }
}

impl Bucket {
    fn new(created: i64) -> Self {
        Self {
            created,
            policy: None,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }

    fn description(&self) -> BucketDescription {
        BucketDescription {
            created: self.created,
            policy: self.policy.as_ref().map(|policy| policy.text.clone()),
        }
    }
}

impl Store {
    /// An empty store in memory.
    pub(crate) fn memory(clock: Clock) -> Self {
        Self {
            clock,
            directory: None,
            buckets: Mutex::default(),
        }
    }

    /// The store in the folder `root`.
    pub(crate) fn directory(root: &Path, clock: Clock) -> io::Result<Self> {
        let (directory, found) = Directory::open(root)?;
        let mut buckets = BTreeMap::new();
        for found in found {
            let mut bucket = Bucket::new(found.description.created);
            bucket.objects = found.objects;
            if let Some(text) = found.description.policy {
                let policy = BucketPolicy::parse(text)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                bucket.policy = Some(policy);
            }
            buckets.insert(found.name, bucket);
        }
        Ok(Self {
            clock,
            directory: Some(directory),
            buckets: Mutex::new(buckets),
        })
    }

    /// The names of all buckets with the time of their creation in seconds since 1970.
    pub(crate) fn buckets(&self) -> Vec<(String, i64)> {
        self.lock()
            .iter()
            .map(|(name, bucket)| (name.clone(), bucket.created))
            .collect()
    }

    /// Looks into a bucket.
    pub(crate) fn with_bucket<T>(
        &self,
        bucket: &str,
        look: impl FnOnce(&mut Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        look(self.lock().get_mut(bucket).ok_or_else(no_such_bucket)?)
    }

    /// Creates a bucket; `BucketAlreadyOwnedByYou` where there is one.
    pub(crate) fn create_bucket(&self, name: &str) -> S3Result {
        let mut buckets = self.lock();
        if buckets.contains_key(name) {
            return Err(S3ErrorCode::BucketAlreadyOwnedByYou.into());
        }
        let bucket = Bucket::new(self.clock.unix());
        if let Some(directory) = &self.directory {
            directory
                .put_bucket(name, &bucket.description())
                .map_err(internal)?;
        }
        buckets.insert(name.to_owned(), bucket);
        Ok(())
    }

    /// Deletes a bucket, which must be empty.
    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result {
        let mut buckets = self.lock();
        if !buckets
            .get(name)
            .ok_or_else(no_such_bucket)?
            .objects
            .is_empty()
        {
            return Err(S3ErrorCode::BucketNotEmpty.into());
        }
        if let Some(directory) = &self.directory {
            directory.remove_bucket(name).map_err(internal)?;
        }
        buckets.remove(name);
        Ok(())
    }

    /// Sets or removes a bucket's policy.
    pub(crate) fn set_policy(&self, name: &str, policy: Option<BucketPolicy>) -> S3Result {
        self.with_bucket(name, |bucket| {
            bucket.policy = policy;
            match &self.directory {
                Some(directory) => directory
                    .put_bucket(name, &bucket.description())
                    .map_err(internal),
                None => Ok(()),
            }
        })
    }

    /// The object at a key.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        self.with_bucket(bucket, |bucket| {
            bucket
                .objects
                .get(key)
                .cloned()
                .ok_or_else(|| S3ErrorCode::NoSuchKey.into())
        })
    }

    /// New content for an object or a part of `bucket`.
    pub(crate) fn writer(&self, bucket: &str) -> S3Result<Writer> {
        let media = match &self.directory {
            None => Media::Memory,
            // The folder is there if the bucket is.
            Some(directory) => self.with_bucket(bucket, |_| Ok(directory.media(bucket)))?,
        };
        Writer::new(&media).map_err(internal)
    }

    /// Puts `object` at `key` if `conditions` hold for what is there. This is the one place where
    /// an object comes to be.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        object: Object,
        conditions: &WriteConditions,
    ) -> S3Result {
        self.with_bucket(bucket, |found| {
            conditions.check(found.objects.get(key).map(AsRef::as_ref))?;
            if let Some(directory) = &self.directory {
                object.content.keep();
                if let Err(error) = directory.put_object(bucket, key, &object) {
                    object.content.doom();
                    return Err(internal(error));
                }
            }
            if let Some(old) = found.objects.insert(key.to_owned(), Arc::new(object)) {
                old.content.doom();
            }
            Ok(())
        })
    }

    /// Deletes an object if `conditions` hold; a missing one without conditions is no error.
    pub(crate) fn delete(&self, bucket: &str, key: &str, conditions: &WriteConditions) -> S3Result {
        self.with_bucket(bucket, |found| {
            conditions.check(found.objects.get(key).map(AsRef::as_ref))?;
            let Some(old) = found.objects.get(key) else {
                return Ok(());
            };
            if let Some(directory) = &self.directory {
                directory.remove_object(bucket, key).map_err(internal)?;
            }
            old.content.doom();
            found.objects.remove(key);
            Ok(())
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        // Nothing is half done where a holder could panic.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Content of bytes in memory, for tests that put an object past the protocol.
pub(crate) fn content_of(store: &Store, bucket: &str, bytes: &[u8]) -> S3Result<Content> {
    let mut writer = store.writer(bucket)?;
    writer.write(bytes).map_err(internal)?;
    Ok(writer.finish())
}

/// 500 with the cause.
pub(crate) fn internal(error: io::Error) -> S3Error {
    S3Error::internal_error(error)
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}
