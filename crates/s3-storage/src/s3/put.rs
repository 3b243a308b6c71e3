//! Writing: `PutObject`, whole, with its SHA-256 and its precondition.
//!
//! The payload's digest is known before the request begins (a caller that has none lets it be
//! computed here), so the request is signed with it and the store checks what arrives: neither a
//! trailer nor an unsigned payload is needed. A larger file goes in parts, see
//! [`super::multipart`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use aws_sdk_s3::primitives::ByteStream;
use sha2::{Digest as _, Sha256};

use super::{
    S3,
    answer::BadFile,
    body::{self, Meter},
};
use crate::{
    ETag, Error, ErrorKind, Payload, PutMode, PutOptions, PutReply, Sse, error::Refusable,
    stored::StoredObject,
};

pub(super) const PUT: &str = "PutObject";

/// A file above this many bytes goes in parts: they travel side by side, and a broken connection
/// costs one part.
pub(super) const SINGLE: u64 = 16 << 20;

/// The headers of a precondition: `If-Match` and `If-None-Match`.
pub(super) fn precondition(mode: &PutMode) -> (Option<String>, Option<String>) {
    match mode {
        PutMode::Overwrite => (None, None),
        PutMode::Create => (None, Some("*".to_owned())),
        PutMode::Update(etag) => (Some(etag.0.clone()), None),
    }
}

/// A conditional write of a key that is gone answers 404: somebody else wrote, too.
pub(super) fn conditional(error: Error, mode: &PutMode) -> Error {
    if matches!(mode, PutMode::Update(_)) && error.kind() == ErrorKind::NotFound {
        return error.into_kind(
            ErrorKind::PreconditionFailed,
            "the object to update does not exist",
        );
    }
    error
}

/// What an object is written with, besides its content.
#[derive(Debug, Clone)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl From<&PutOptions> for Headers {
    fn from(options: &PutOptions) -> Self {
        Self {
            content_type: options.content_type.map(str::to_owned),
            cache_control: options.cache_control.map(str::to_owned),
            metadata: options.metadata.clone(),
        }
    }
}

impl S3 {
    pub(super) async fn put_payload(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        if let PutMode::Update(etag) = &options.mode
            && !etag.is_strong()
        {
            let message = format!("\"{}\" cannot be the precondition of a write", etag.0);
            let condition = Refusable {
                condition: true,
                ..Refusable::default()
            };
            return Err(
                Error::new(ErrorKind::Unsupported, PUT, key, message).with_refusable(condition)
            );
        }
        let meter = Meter::new(options.progress.clone());
        match payload {
            Payload::Bytes(bytes) => {
                let sha256 = options
                    .sha256
                    .unwrap_or_else(|| Sha256::digest(&bytes).into());
                let size = bytes.len() as u64;
                let body = || body::of_bytes(bytes.clone(), meter.clone());
                self.put_whole(
                    key,
                    (size, sha256),
                    &options.mode,
                    &Headers::from(&options),
                    body,
                )
                .await
            }
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
                self.put_stored(key, from, options).await
            }
            Payload::File { path, size } if size > SINGLE => {
                self.put_parts(key, &path, size, &options).await
            }
            Payload::File { path, size } => {
                let sha256 = match options.sha256 {
                    Some(sha256) => sha256,
                    None => digest(key, path.clone(), size).await?,
                };
                let body = || body::of_file(path.clone(), size, meter.clone());
                self.put_whole(
                    key,
                    (size, sha256),
                    &options.mode,
                    &Headers::from(&options),
                    body,
                )
                .await
            }
        }
    }

    /// What a write with this precondition has that it need not have.
    pub(super) fn refusable(&self, mode: &PutMode) -> Refusable {
        Refusable {
            acl: self.config().acl.is_some(),
            encryption: self.config().sse != Sse::BucketDefault,
            condition: *mode != PutMode::Overwrite,
        }
    }

    /// Writes `body`, whose size and SHA-256 are known, in one request.
    pub(super) async fn put_whole(
        &self,
        key: &str,
        (size, sha256): (u64, [u8; 32]),
        mode: &PutMode,
        headers: &Headers,
        body: impl Fn() -> ByteStream,
    ) -> Result<PutReply, Error> {
        let length = i64::try_from(size)
            .map_err(|_| Error::new(ErrorKind::Invalid, PUT, key, "the payload is too large"))?;
        let (if_match, if_none_match) = precondition(mode);
        let (sse, sse_key) = self.config().sse.headers();
        let request = self
            .request(PUT, key)
            .signed_by(sha256)
            .having(self.refusable(mode));
        let output = request
            .send(|client| {
                let mut request = client
                    .put_object()
                    .bucket(self.bucket())
                    .key(key)
                    .body(body())
                    .content_length(length)
                    .checksum_sha256(aws_smithy_types::base64::encode(sha256))
                    .set_if_match(if_match.clone())
                    .set_if_none_match(if_none_match.clone())
                    .set_content_type(headers.content_type.clone())
                    .set_cache_control(headers.cache_control.clone())
                    .set_acl(self.config().acl.map(Into::into))
                    .set_server_side_encryption(sse.clone())
                    .set_ssekms_key_id(sse_key.clone());
                for (name, value) in &headers.metadata {
                    request = request.metadata(name, value);
                }
                request.send()
            })
            .await
            .map_err(|error| conditional(error, mode))?;
        Ok(PutReply {
            etag: ETag(output.e_tag.unwrap_or_default()),
            date: request.date(),
        })
    }
}

/// The SHA-256 of a file that must have `size` bytes.
async fn digest(key: &str, path: PathBuf, size: u64) -> Result<[u8; 32], Error> {
    tokio::task::spawn_blocking(move || digest_file(&path, size))
        .await
        .map_err(|error| {
            Error::new(
                ErrorKind::Unexpected,
                PUT,
                key,
                "reading the file was interrupted",
            )
            .with_source(error)
        })?
        .map_err(|error| bad_file(key, error))
}

fn digest_file(path: &Path, size: u64) -> Result<[u8; 32], BadFile> {
    let mut file = body::open(path, size)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut total = 0_u64;
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)
            .map_err(|error| BadFile::unreadable(path, error))?;
        if count == 0 {
            break;
        }
        total += count as u64;
        digest.update(&buffer[..count]);
    }
    if total == size {
        Ok(digest.finalize().into())
    } else {
        Err(body::changed(path, size, total))
    }
}

pub(super) fn bad_file(key: &str, error: BadFile) -> Error {
    Error::new(ErrorKind::LocalFile, PUT, key, "the file cannot be sent").with_source(error)
}
