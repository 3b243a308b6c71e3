//! Reading: `GetObject` and `HeadObject`.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::{
    primitives::{ByteStream, DateTime},
    types::{ChecksumMode, ChecksumType},
};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{S3, answer};
use crate::{Body, ByteRange, ETag, Error, ErrorKind, GetOptions, GetReply, Object, ObjectMeta};

const GET: &str = "GetObject";

impl S3 {
    pub(super) async fn get_object(
        &self,
        key: &str,
        options: GetOptions,
    ) -> Result<GetReply, Error> {
        let range = match options.range {
            None => None,
            Some(ByteRange::From(first)) => Some(format!("bytes={first}-")),
            Some(ByteRange::Between(first, last)) if first <= last => {
                Some(format!("bytes={first}-{last}"))
            }
            Some(ByteRange::Between(..)) => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    GET,
                    key,
                    "the range ends before it begins",
                ));
            }
        };
        // With both conditions the tag decides (RFC 9110, 13.2.2). Some stores see it otherwise, so
        // they are not asked.
        let since = options
            .if_modified_since
            .filter(|_| options.if_none_match.is_none());
        let since = since.map(|since| DateTime::from_secs(since.as_second()));
        let check = options.check.then_some(ChecksumMode::Enabled);
        let request = self.request(GET, key);
        let output = match request
            .send(|client| {
                client
                    .get_object()
                    .bucket(self.bucket())
                    .key(key)
                    .set_range(range.clone())
                    .set_request_payer(self.request_payer())
                    .set_if_match(options.if_match.clone().map(|etag| etag.0))
                    .set_if_none_match(options.if_none_match.clone().map(|etag| etag.0))
                    .set_if_modified_since(since)
                    .set_checksum_mode(check.clone())
                    .send()
            })
            .await
        {
            Ok(output) => output,
            Err(error) if error.status() == Some(304) => {
                return Ok(GetReply::NotModified {
                    date: request.date(),
                });
            }
            Err(error) => return Err(error),
        };
        let length = length(output.content_length);
        let (offset, size) = match &output.content_range {
            None => (0, length),
            Some(range) => {
                let (offset, size) = content_range(range).ok_or_else(|| {
                    let message = format!("the answer's Content-Range is {range:?}");
                    answer::unexpected(GET, key, message)
                })?;
                (offset, Some(size))
            }
        };
        let meta = ObjectMeta {
            size,
            etag: etag(GET, key, output.e_tag)?,
            last_modified: timestamp(output.last_modified),
            sha256: None,
            metadata: metadata(output.metadata),
            date: request.date(),
        };
        Ok(GetReply::Found(Object {
            meta,
            offset,
            length,
            body: body(key.to_owned(), output.body, length),
        }))
    }

    pub(super) async fn head_object(&self, key: &str) -> Result<ObjectMeta, Error> {
        const HEAD: &str = "HeadObject";
        let request = self.request(HEAD, key);
        let output = request
            .send(|client| {
                client
                    .head_object()
                    .bucket(self.bucket())
                    .key(key)
                    .checksum_mode(ChecksumMode::Enabled)
                    .set_request_payer(self.request_payer())
                    .send()
            })
            .await?;
        let etag = etag(HEAD, key, output.e_tag)?;
        let size = length(output.content_length)
            .ok_or_else(|| answer::unexpected(HEAD, key, "the answer does not tell its length"))?;
        let is_whole = match output.checksum_type {
            Some(kind) => kind == ChecksumType::FullObject,
            // Before there were types, an object made of parts had a composite checksum.
            None => !etag.is_of_parts(),
        };
        Ok(ObjectMeta {
            size: Some(size),
            etag,
            last_modified: timestamp(output.last_modified),
            sha256: output
                .checksum_sha256
                .filter(|_| is_whole)
                .and_then(|text| sha256(&text)),
            metadata: metadata(output.metadata),
            date: request.date(),
        })
    }
}

/// The pieces of a body that is announced to have `length` bytes. Where nothing is announced, it ends where the store says so.
fn body(key: String, bytes: ByteStream, length: Option<u64>) -> Body {
    stream::try_unfold((key, bytes, length), |(key, mut bytes, left)| async move {
        match bytes.next().await {
            Some(Ok(piece)) => {
                let length = piece.len() as u64;
                if left.is_some_and(|left| left < length) {
                    let message = "the body is longer than was announced";
                    return Err(answer::unexpected(GET, &key, message));
                }
                Ok(Some((piece, (key, bytes, left.map(|left| left - length)))))
            }
            None => match left.filter(|left| *left > 0) {
                None => Ok(None),
                Some(left) => {
                    let message = format!("the body ended {left} bytes early");
                    Err(Error::new(ErrorKind::Truncated, GET, key, message))
                }
            },
            Some(Err(error)) => {
                let message = match left {
                    Some(left) => format!("{left} bytes of the body are missing"),
                    None => "the end of the body is missing".to_owned(),
                };
                Err(answer::broken_body(GET, &key, &message, error))
            }
        }
    })
    .boxed()
}

fn length(length: Option<i64>) -> Option<u64> {
    length.and_then(|length| u64::try_from(length).ok())
}

/// The tag of an answer: without one, no later write could name the object it replaces.
pub(super) fn etag(
    operation: &'static str,
    key: &str,
    etag: Option<String>,
) -> Result<ETag, Error> {
    let etag = etag.filter(|etag| !etag.is_empty());
    etag.map(ETag)
        .ok_or_else(|| answer::unexpected(operation, key, "the answer has no ETag"))
}

pub(super) fn timestamp(time: Option<DateTime>) -> Option<Timestamp> {
    Timestamp::from_second(time?.secs()).ok()
}

fn metadata(metadata: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    metadata
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

/// A checksum as S3 writes it: base64. That of an object made of parts has a suffix, `-7`, and is
/// not one of its content.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    aws_smithy_types::base64::decode(text).ok()?.try_into().ok()
}

/// The first byte and the whole length of `bytes 0-99/1234` (RFC 9110, 14.4).
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, size.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_gives_offset_and_size() {
        assert_eq!(content_range("bytes 5-9/100"), Some((5, 100)));
        assert_eq!(content_range("bytes 5-9/*"), None);
        assert_eq!(content_range("5-9/100"), None);
    }

    #[test]
    fn a_checksum_of_parts_is_not_one_of_the_content() {
        let whole = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(
            sha256(whole).map(hex::encode).as_deref(),
            Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
        assert_eq!(sha256(&format!("{whole}-2")), None);
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_truncated() {
        let pieces: Vec<_> = body("key".into(), ByteStream::from_static(b"abc"), Some(5))
            .collect()
            .await;
        assert_eq!(pieces[0].as_ref().unwrap().as_ref(), b"abc");
        assert_eq!(pieces[1].as_ref().unwrap_err().kind(), ErrorKind::Truncated);
        let pieces: Vec<_> = body("key".into(), ByteStream::from_static(b"abc"), Some(2))
            .collect()
            .await;
        assert_eq!(
            pieces[0].as_ref().unwrap_err().kind(),
            ErrorKind::Unexpected
        );
    }
}
