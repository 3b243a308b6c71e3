//! A bucket's keys below a prefix, as if they were a bucket of their own: `s3://bucket/prefix`.

use async_trait::async_trait;

use crate::{
    Error, GetOptions, GetReply, ListPage, Listed, ObjectMeta, Payload, PutMode, PutOptions,
    PutReply, Storage,
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

    /// The prefix: empty, or with a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn whole(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
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

    async fn copy(&self, from: &str, to: &str, mode: PutMode) -> Result<PutReply, Error> {
        self.inner
            .copy(&self.whole(from), &self.whole(to), mode)
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        next: Option<String>,
    ) -> Result<ListPage, Error> {
        let page = self
            .inner
            .list(&self.whole(prefix), delimiter, next)
            .await?;
        let strip = |object: Listed| {
            let key = object.key.strip_prefix(&self.prefix)?.to_owned();
            Some(Listed { key, ..object })
        };
        Ok(ListPage {
            objects: page.objects.into_iter().filter_map(strip).collect(),
            prefixes: page
                .prefixes
                .into_iter()
                .filter_map(|prefix| prefix.strip_prefix(&self.prefix).map(str::to_owned))
                .collect(),
            next: page.next,
        })
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        let keys: Vec<_> = keys.iter().map(|key| self.whole(key)).collect();
        self.inner.delete(&keys).await
    }
}
