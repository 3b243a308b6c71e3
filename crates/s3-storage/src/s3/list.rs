//! Listing and deleting: `ListObjectsV2`, `DeleteObjects`.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    S3,
    get::{etag, timestamp},
};
use crate::{Error, ErrorKind, ListPage, Listed};

const LIST: &str = "ListObjectsV2";
const DELETE: &str = "DeleteObjects";

/// How many keys `DeleteObjects` takes.
const DELETE_BATCH: usize = 1000;

/// How many requests run side by side.
const CONCURRENT: usize = 8;

impl S3 {
    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        next: Option<String>,
    ) -> Result<ListPage, Error> {
        let (output, _) = self
            .call(LIST, prefix, |client, exchange| {
                let request = client
                    .list_objects_v2()
                    .bucket(self.bucket())
                    .prefix(prefix)
                    .set_delimiter(delimiter.map(str::to_owned))
                    .set_continuation_token(next.clone());
                request.customize().interceptor(exchange.watch(None)).send()
            })
            .await
            .map_err(|failed| about_bucket(failed.error))?;
        let mut page = ListPage::default();
        for object in output.contents.unwrap_or_default() {
            let key = object.key.ok_or_else(|| {
                Error::new(ErrorKind::Unexpected, LIST, prefix, "an entry has no key")
            })?;
            let size = object.size.and_then(|size| u64::try_from(size).ok());
            let size = size.ok_or_else(|| {
                Error::new(ErrorKind::Unexpected, LIST, &key, "an entry has no size")
            })?;
            let etag = etag(LIST, &key, object.e_tag)?;
            page.objects.push(Listed {
                key,
                size,
                etag,
                last_modified: timestamp(object.last_modified),
            });
        }
        page.prefixes = output
            .common_prefixes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|common| common.prefix)
            .collect();
        page.next = output
            .next_continuation_token
            .filter(|token| output.is_truncated == Some(true) && !token.is_empty());
        Ok(page)
    }

    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<(), Error> {
        let batches: Vec<_> = keys
            .chunks(DELETE_BATCH)
            .map(|batch| self.delete_batch(batch))
            .collect();
        stream::iter(batches)
            .buffer_unordered(CONCURRENT)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    async fn delete_batch(&self, keys: &[String]) -> Result<(), Error> {
        if let [key] = keys {
            return self.delete_object(key).await;
        }
        let invalid = |error: aws_sdk_s3::error::BuildError| {
            Error::new(ErrorKind::Invalid, DELETE, "", error.to_string())
        };
        let identifiers = keys.iter().map(|key| {
            ObjectIdentifier::builder()
                .key(key)
                .build()
                .map_err(invalid)
        });
        let batch = Delete::builder()
            .set_objects(Some(identifiers.collect::<Result<_, _>>()?))
            .quiet(true)
            .build()
            .map_err(invalid)?;
        let deleted = self
            .call(DELETE, "", |client, exchange| {
                let request = client
                    .delete_objects()
                    .bucket(self.bucket())
                    .delete(batch.clone());
                request.customize().interceptor(exchange.watch(None)).send()
            })
            .await;
        let output = match deleted {
            Ok((output, _)) => output,
            // A store that lacks the operation, or wants its checksum in another way.
            Err(failed)
                if matches!(
                    failed.error.kind(),
                    ErrorKind::Unsupported | ErrorKind::Invalid
                ) =>
            {
                let one_by_one: Vec<_> = keys.iter().map(|key| self.delete_object(key)).collect();
                stream::iter(one_by_one)
                    .buffer_unordered(CONCURRENT)
                    .try_collect::<Vec<()>>()
                    .await?;
                return Ok(());
            }
            Err(failed) => return Err(failed.error),
        };
        // The whole was answered with 200; some keys may have failed all the same.
        let failed = output
            .errors
            .unwrap_or_default()
            .into_iter()
            .find(|failed| failed.code.as_deref() != Some("NoSuchKey"));
        match failed {
            None => Ok(()),
            Some(failed) => {
                let kind = match failed.code.as_deref() {
                    Some("AccessDenied") => ErrorKind::PermissionDenied,
                    Some("SlowDown") => ErrorKind::Throttled,
                    Some("InternalError" | "ServiceUnavailable") => ErrorKind::Unavailable,
                    _ => ErrorKind::Unexpected,
                };
                let message = failed
                    .message
                    .unwrap_or_else(|| "the key could not be deleted".to_owned());
                Err(
                    Error::new(kind, DELETE, failed.key.unwrap_or_default(), message)
                        .with_answer(None, failed.code.as_deref()),
                )
            }
        }
    }

    async fn delete_object(&self, key: &str) -> Result<(), Error> {
        let deleted = self
            .call("DeleteObject", key, |client, exchange| {
                client
                    .delete_object()
                    .bucket(self.bucket())
                    .key(key)
                    .customize()
                    .interceptor(exchange.watch(None))
                    .send()
            })
            .await;
        match deleted {
            Err(failed) if failed.error.kind() == ErrorKind::NotFound => Ok(()),
            Err(failed) => Err(failed.error),
            Ok(_) => Ok(()),
        }
    }
}

/// A listing's 404 is about the bucket: its "key" is a prefix.
fn about_bucket(error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchBucket) {
        return error;
    }
    let code = error.code().map(str::to_owned);
    Error::new(ErrorKind::NoSuchBucket, LIST, "", error.message())
        .with_answer(error.status(), code.as_deref())
}
