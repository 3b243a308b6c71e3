//! A bucket's keys below a prefix, as if they were a bucket of their own: `s3://bucket/prefix`.

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};

use crate::{
    Address, Error, ErrorKind, GetOptions, GetReply, Listed, ListedObject, ObjectMeta, Payload,
    PutOptions, PutReply, Storage,
};

/// A [`Storage`] below a prefix of another. Keys are given and listed without the prefix; errors
/// name the whole key.
#[derive(Debug, Clone)]
pub struct Prefixed<S> {
    inner: S,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl<S> Prefixed<S> {
    /// The keys of `inner` below `prefix`; slashes around it do not matter, and an empty one is the
    /// whole bucket.
    pub fn new(inner: S, prefix: &str) -> Self {
        let trimmed = prefix.trim_matches('/');
        let prefix = if trimmed.is_empty() {
            String::new()
        } else {
            format!("{trimmed}/")
        };
        Self { inner, prefix }
    }

    fn whole(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A key of `inner` without the prefix.
    fn strip(&self, key: &str) -> Result<String, Error> {
        let stripped = key.strip_prefix(&self.prefix).map(str::to_owned);
        stripped.ok_or_else(|| {
            Error::new(
                ErrorKind::Unexpected,
                "ListObjectsV2",
                key,
                format!(
                    "a key that does not start with \"{}\" was listed",
                    self.prefix
                ),
            )
        })
    }
}

#[async_trait]
impl<S: Storage> Storage for Prefixed<S> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
        self.inner.get(&self.whole(key), options).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        self.inner.head(&self.whole(key)).await
    }

    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        self.inner.put(&self.whole(key), payload, options).await
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>> {
        self.inner
            .list(&self.whole(prefix), delimiter)
            .map(|listed| {
                Ok(match listed? {
                    Listed::Object(object) => Listed::Object(ListedObject {
                        key: self.strip(&object.key)?,
                        ..object
                    }),
                    Listed::Folder(folder) => Listed::Folder(self.strip(&folder)?),
                })
            })
            .boxed()
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        let keys: Vec<_> = keys.iter().map(|key| self.whole(key)).collect();
        self.inner.delete(&keys).await
    }

    fn address(&self, key: &str) -> Option<Address> {
        self.inner.address(&self.whole(key))
    }

    async fn abort_uploads(&self) {
        self.inner.abort_uploads().await;
    }
}
