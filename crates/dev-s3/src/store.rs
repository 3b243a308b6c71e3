//! The buckets and what is in them, with S3's rules: a write takes effect in one instant, in which
//! its precondition is also checked, and is seen by every later read.
//!
//! One lock is enough for that. It is held for a look-up, never while content moves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::{
    clock::Clock, conditions::WriteConditions, multipart::Upload, object::Object, policy::Policy,
};

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) clock: Clock,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

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
}

impl Store {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            buckets: Mutex::default(),
        }
    }

    /// The names of all buckets with the time of their creation in seconds since 1970.
    pub(crate) fn buckets(&self) -> Vec<(String, i64)> {
        self.lock()
            .iter()
            .map(|(name, bucket)| (name.clone(), bucket.created))
            .collect()
    }

    /// Calls `look` with a bucket; `NoSuchBucket` if it does not exist.
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
        buckets.insert(name.to_owned(), Bucket::new(self.clock.unix()));
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
        buckets.remove(name);
        Ok(())
    }

    /// Sets or removes a bucket's policy.
    pub(crate) fn set_policy(&self, name: &str, policy: Option<BucketPolicy>) -> S3Result {
        self.with_bucket(name, |bucket| {
            bucket.policy = policy;
            Ok(())
        })
    }

    pub(crate) fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        self.with_bucket(bucket, |bucket| {
            bucket
                .objects
                .get(key)
                .cloned()
                .ok_or_else(|| S3ErrorCode::NoSuchKey.into())
        })
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
            found.objects.insert(key.to_owned(), Arc::new(object));
            Ok(())
        })
    }

    /// Deletes an object if `conditions` hold; a missing one without conditions is no error.
    pub(crate) fn delete(&self, bucket: &str, key: &str, conditions: &WriteConditions) -> S3Result {
        self.with_bucket(bucket, |found| {
            conditions.check(found.objects.get(key).map(AsRef::as_ref))?;
            found.objects.remove(key);
            Ok(())
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        // Nothing is half done where a holder could panic.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}
