//! Listing and deleting: `ListObjectsV2`, `DeleteObjects`.

use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use percent_encoding::percent_decode_str;

use super::{
    S3, answer,
    get::{etag, timestamp},
};
use crate::{Error, ErrorKind, Listed, ListedObject};

const LIST: &str = "ListObjectsV2";
const DELETE: &str = "DeleteObjects";

/// How many keys `DeleteObjects` takes.
const DELETE_BATCH: usize = 1000;

/// How many requests run side by side.
const CONCURRENT: usize = 8;

impl S3 {
    pub(super) fn list_objects(
        &self,
        prefix: String,
        delimiter: Option<String>,
    ) -> BoxStream<'_, Result<Listed, Error>> {
        let first: Option<Option<String>> = Some(None);
        stream::try_unfold(first, move |token| {
            let (prefix, delimiter) = (prefix.clone(), delimiter.clone());
            async move {
                let Some(token) = token else {
                    return Ok::<_, Error>(None);
                };
                let (entries, next) = self.page(&prefix, delimiter, token).await?;
                Ok(Some((stream::iter(entries).map(Ok), next.map(Some))))
            }
        })
        .try_flatten()
        .boxed()
    }

    /// One page, in key order, and the token of the next.
    async fn page(
        &self,
        prefix: &str,
        delimiter: Option<String>,
        token: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>), Error> {
        let unexpected = |key: &str, message| answer::unexpected(LIST, key, message);
        let output = self
            .request(LIST, prefix)
            .send(|client| {
                client
                    .list_objects_v2()
                    .bucket(self.bucket())
                    .prefix(prefix)
                    .encoding_type(EncodingType::Url)
                    .set_request_payer(self.request_payer())
                    .set_delimiter(delimiter.clone())
                    .set_continuation_token(token.clone())
                    .send()
            })
            .await
            .map_err(|error| about_bucket(self.bucket(), error))?;
        let encoding = output.encoding_type;
        let mut entries = Vec::new();
        for object in output.contents.unwrap_or_default() {
            let key = object
                .key
                .ok_or_else(|| unexpected(prefix, "an entry has no key"))?;
            let key = decoded(key, encoding.as_ref());
            let size = object.size.and_then(|size| u64::try_from(size).ok());
            let size = size.ok_or_else(|| unexpected(&key, "an entry has no size"))?;
            entries.push(Listed::Object(ListedObject {
                etag: etag(LIST, &key, object.e_tag)?,
                key,
                size,
                last_modified: timestamp(object.last_modified),
            }));
        }
        let folders = output.common_prefixes.unwrap_or_default();
        entries.extend(
            folders
                .into_iter()
                .filter_map(|common| common.prefix)
                .map(|folder| Listed::Folder(decoded(folder, encoding.as_ref()))),
        );
        entries.sort_by(|one, two| one.key().cmp(two.key()));
        let next = output
            .next_continuation_token
            .filter(|next| output.is_truncated == Some(true) && !next.is_empty());
        if next.is_some() && next == token {
            return Err(unexpected(prefix, "the listing does not advance"));
        }
        Ok((entries, next))
    }

    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<(), Error> {
        let (keys, odd): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(|key| fits_xml(key));
        let batches = keys.chunks(DELETE_BATCH).chain(odd.chunks(1));
        let batches: Vec<_> = batches.map(|batch| self.delete_batch(batch)).collect();
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
            Error::new(ErrorKind::Invalid, DELETE, "", "the keys cannot be deleted")
                .with_source(error)
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
            .request(DELETE, "")
            .once()
            .send(|client| {
                client
                    .delete_objects()
                    .bucket(self.bucket())
                    .delete(batch.clone())
                    .send()
            })
            .await;
        let output = match deleted {
            Ok(output) => output,
            // A store that lacks the operation, or wants its checksum in another way.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Invalid) => {
                let one_by_one: Vec<_> = keys.iter().map(|key| self.delete_object(key)).collect();
                stream::iter(one_by_one)
                    .buffer_unordered(CONCURRENT)
                    .try_collect::<Vec<()>>()
                    .await?;
                return Ok(());
            }
            Err(error) => return Err(error),
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
                let code = failed.code.as_deref();
                let key = failed.key.unwrap_or_default();
                let message = failed
                    .message
                    .unwrap_or_else(|| "the key could not be deleted".to_owned());
                let kind = answer::kind_of(200, code);
                Err(Error::new(kind, DELETE, key, message).with_answer(None, code))
            }
        }
    }

    async fn delete_object(&self, key: &str) -> Result<(), Error> {
        let deleted = self
            .request("DeleteObject", key)
            .once()
            .send(|client| client.delete_object().bucket(self.bucket()).key(key).send())
            .await;
        match deleted {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A name as it is, if the store encodes the names of its answer. Not all do that are asked to. A space is `+` or `%20`, by store.
pub(super) fn decoded(name: String, encoding: Option<&EncodingType>) -> String {
    if encoding != Some(&EncodingType::Url) {
        return name;
    }
    let spaced = name.replace('+', " ");
    let name = percent_decode_str(&spaced).decode_utf8_lossy();
    name.into_owned()
}

/// Whether XML 1.0 can carry a key, and a reader leaves it as it is.
fn fits_xml(key: &str) -> bool {
    !key.contains(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// A listing's 404 is about the bucket: its "key" is a prefix.
fn about_bucket(bucket: &str, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchBucket) {
        return error;
    }
    Error::new(ErrorKind::NoSuchBucket, LIST, "", answer::no_bucket(bucket))
        .with_answer(error.status(), error.code())
}
