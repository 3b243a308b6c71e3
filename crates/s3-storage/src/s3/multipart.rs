//! Writing in parts: `CreateMultipartUpload`, `UploadPart`, `CompleteMultipartUpload`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>).
//!
//! The parts become an object only when the upload is completed: there the precondition is checked,
//! and until then nothing appears under the key. So the file is read once, part by part, each
//! hashed and signed on its own and the whole hashed along; only if the whole is what the caller
//! announced is the upload completed. Whatever fails before that ends in an abort, so that no parts
//! are left to pay for.
//!
//! Memory: the parts in flight.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream, stream::BoxStream};
use sha2::{Digest as _, Sha256};

use super::{
    S3,
    answer::{self, BadFile},
    body::{self, Meter},
    get::etag as etag_of,
    put::{Headers, PUT, bad_file, conditional, precondition},
};
use crate::{ETag, Error, ErrorKind, Progress, PutMode, PutOptions, PutReply, error::Refusable};

const COPY: &str = "UploadPartCopy";

/// The least size of a part, in bytes. S3 wants 5 MiB; larger parts mean fewer requests, smaller
/// ones less memory.
const PART: u64 = 8 << 20;

/// How many parts an object may have.
const MAX_PARTS: u64 = 10_000;

/// How many parts travel side by side.
pub(super) const IN_FLIGHT: usize = 3;

/// The size of the parts of an object of `size` bytes: whole MiB, so many that [`MAX_PARTS`]
/// suffice.
pub(super) fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20))
}

/// A file read part by part, hashed along.
struct Parts {
    file: std::fs::File,
    path: PathBuf,
    left: u64,
    size: u64,
    part_size: u64,
    next: i32,
    whole: Sha256,
}

pub(super) struct Part {
    number: i32,
    bytes: Bytes,
    sha256: [u8; 32],
}

impl Part {
    pub(super) fn new(number: i32, bytes: Bytes) -> Self {
        Self {
            number,
            sha256: Sha256::digest(&bytes).into(),
            bytes,
        }
    }
}

impl Parts {
    fn open(path: &Path, size: u64) -> Result<Self, BadFile> {
        let file = body::open(path, size)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            left: size,
            size,
            part_size: part_size(size),
            next: 1,
            whole: Sha256::new(),
        })
    }

    fn read(&mut self) -> Result<Option<Part>, BadFile> {
        let unreadable = |error: std::io::Error| BadFile::unreadable(&self.path, error);
        if self.left == 0 {
            let grown = self.file.read(&mut [0]).map_err(unreadable)? != 0;
            return if grown {
                Err(body::changed(&self.path, self.size, self.size + 1))
            } else {
                Ok(None)
            };
        }
        let length = self.left.min(self.part_size);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&mut self.file)
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let got = bytes.len() as u64;
        if got != length {
            return Err(body::changed(
                &self.path,
                self.size,
                self.size - self.left + got,
            ));
        }
        self.left -= length;
        self.whole.update(&bytes);
        let part = Part::new(self.next, bytes.into());
        self.next += 1;
        Ok(Some(part))
    }
}

/// The parts of a file; at its end an error instead if the whole is not what was announced.
fn read(
    key: String,
    parts: Parts,
    sha256: Option<[u8; 32]>,
) -> BoxStream<'static, Result<Part, Error>> {
    stream::try_unfold((key, parts), move |(key, mut parts)| async move {
        let read = tokio::task::spawn_blocking(move || parts.read().map(|part| (part, parts)));
        let interrupted = |error: tokio::task::JoinError| {
            Error::new(
                ErrorKind::Unexpected,
                PUT,
                &key,
                "reading the file was interrupted",
            )
            .with_source(error)
        };
        let (part, parts) = read
            .await
            .map_err(interrupted)?
            .map_err(|error| bad_file(&key, error))?;
        if part.is_none()
            && sha256.is_some_and(|expected| parts.whole.clone().finalize()[..] != expected)
        {
            let message = format!(
                "{} does not have the SHA-256 that was announced",
                parts.path.display()
            );
            return Err(Error::new(ErrorKind::ChecksumMismatch, PUT, &key, message));
        }
        Ok(part.map(|part| (part, (key, parts))))
    })
    .boxed()
}

impl S3 {
    pub(super) async fn put_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        options: &PutOptions,
    ) -> Result<PutReply, Error> {
        let parts = Parts::open(path, size).map_err(|error| bad_file(key, error))?;
        let parts = read(key.to_owned(), parts, options.sha256);
        self.send_parts(key, parts, options).await
    }

    /// Makes an object of parts. An error among them ends the upload.
    pub(super) async fn send_parts(
        &self,
        key: &str,
        parts: BoxStream<'_, Result<Part, Error>>,
        options: &PutOptions,
    ) -> Result<PutReply, Error> {
        let algorithm = Some(ChecksumAlgorithm::Sha256);
        let upload = self
            .begin_upload(key, &Headers::from(options), algorithm)
            .await?;
        let parts = upload.send(parts, options.progress.clone()).await;
        upload.end(parts, &options.mode).await
    }

    /// Begins an upload that is aborted unless it is completed. `algorithm` is that of the parts'
    /// checksums.
    pub(super) async fn begin_upload(
        &self,
        key: &str,
        headers: &Headers,
        algorithm: Option<ChecksumAlgorithm>,
    ) -> Result<Upload, Error> {
        const CREATE: &str = "CreateMultipartUpload";
        let (sse, sse_key) = self.config().sse.headers();
        let output = self
            .request(CREATE, key)
            .having(self.refusable(&PutMode::Overwrite))
            .send(|client| {
                let mut request = client
                    .create_multipart_upload()
                    .bucket(self.bucket())
                    .key(key)
                    .set_checksum_algorithm(algorithm.clone())
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
            .map_err(without_effect)?;
        let id = output.upload_id.filter(|id| !id.is_empty());
        let id =
            id.ok_or_else(|| answer::unexpected(CREATE, key, "the answer has no upload id"))?;
        let upload = UploadId {
            key: key.to_owned(),
            id,
        };
        self.inner.uploads.lock().insert(upload.clone());
        Ok(Upload {
            s3: self.clone(),
            id: upload,
            over: false,
        })
    }

    pub(super) async fn abort_open_uploads(&self) {
        let open: Vec<UploadId> = self.inner.uploads.lock().iter().cloned().collect();
        join_all(open.into_iter().map(|upload| self.abort(upload))).await;
    }

    /// Throws the parts away. A failure changes nothing for the caller: the bucket's lifecycle rule
    /// is the last resort.
    async fn abort(&self, upload: UploadId) {
        if let Err(error) = self.try_abort(&upload).await {
            let why = error.in_full();
            tracing::info!(key = upload.key, why, "the upload could not be aborted");
        }
    }

    async fn try_abort(&self, upload: &UploadId) -> Result<(), Error> {
        let aborted = self
            .request("AbortMultipartUpload", &upload.key)
            .send(|client| {
                client
                    .abort_multipart_upload()
                    .bucket(self.bucket())
                    .key(&upload.key)
                    .upload_id(&upload.id)
                    .send()
            })
            .await;
        match aborted {
            Err(error) if error.code() != Some("NoSuchUpload") => Err(error),
            _ => {
                self.inner.uploads.close(upload);
                Ok(())
            }
        }
    }

    /// Begins an upload and aborts it, without a part. One that could not be aborted is not begun.
    pub(super) async fn begin_and_abort(&self, key: &str) -> Result<(), Error> {
        let nowhere = UploadId {
            key: key.to_owned(),
            id: "none".to_owned(),
        };
        self.try_abort(&nowhere).await?;
        let headers = Headers::from(&PutOptions::new(PutMode::Create));
        let mut upload = self.begin_upload(key, &headers, None).await?;
        upload.over = true;
        self.try_abort(&upload.id).await
    }
}

/// An upload in parts, as the store names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct UploadId {
    key: String,
    id: String,
}

/// The uploads that were begun and are not known to be over.
#[derive(Debug, Default)]
pub(super) struct OpenUploads(Mutex<BTreeSet<UploadId>>);

impl OpenUploads {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<UploadId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, upload: &UploadId) {
        self.lock().remove(upload);
    }
}

/// An upload that has begun. Dropped before its end (the caller gave up), it is aborted in the
/// background.
pub(super) struct Upload {
    s3: S3,
    id: UploadId,
    over: bool,
}

impl Upload {
    async fn send(
        &self,
        parts: BoxStream<'_, Result<Part, Error>>,
        progress: Option<Progress>,
    ) -> Result<Vec<CompletedPart>, Error> {
        parts
            .map_ok(|part| self.send_part(part, Meter::new(progress.clone())))
            .try_buffered(IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn send_part(&self, part: Part, meter: Meter) -> Result<CompletedPart, Error> {
        const UPLOAD: &str = "UploadPart";
        let checksum = aws_smithy_types::base64::encode(part.sha256);
        let length = i64::try_from(part.bytes.len()).unwrap_or(i64::MAX);
        let output = self
            .s3
            .request(UPLOAD, &self.id.key)
            .signed_by(part.sha256)
            .send(|client| {
                client
                    .upload_part()
                    .bucket(self.s3.bucket())
                    .key(&self.id.key)
                    .upload_id(&self.id.id)
                    .part_number(part.number)
                    .body(body::of_bytes(part.bytes.clone(), meter.clone()))
                    .content_length(length)
                    .checksum_sha256(&checksum)
                    .send()
            })
            .await
            .map_err(without_effect)?;
        let etag = etag_of(UPLOAD, &self.id.key, output.e_tag)?;
        Ok(CompletedPart::builder()
            .part_number(part.number)
            .e_tag(etag.0)
            .checksum_sha256(checksum)
            .build())
    }

    /// Copies a whole object, if it is still the one with this tag, as the only part.
    pub(super) async fn copy_part(
        &self,
        source: &str,
        etag: &ETag,
    ) -> Result<CompletedPart, Error> {
        let request = self.s3.request(COPY, &self.id.key);
        let output = request.send(|client| {
            client
                .upload_part_copy()
                .bucket(self.s3.bucket())
                .key(&self.id.key)
                .upload_id(&self.id.id)
                .part_number(1)
                .copy_source(source)
                .copy_source_if_match(&etag.0)
                .send()
        });
        let output = output.await.map_err(without_effect)?;
        let (tag, sha256) = output
            .copy_part_result
            .map(|part| (part.e_tag, part.checksum_sha256))
            .unwrap_or_default();
        Ok(CompletedPart::builder()
            .part_number(1)
            .e_tag(etag_of(COPY, &self.id.key, tag)?.0)
            .set_checksum_sha256(sha256)
            .build())
    }

    /// Throws the parts away.
    pub(super) async fn cancel(mut self) {
        self.over = true;
        self.s3.abort(self.id.clone()).await;
    }

    /// Makes the parts an object if the precondition holds; aborts the upload otherwise.
    pub(super) async fn end(
        mut self,
        parts: Result<Vec<CompletedPart>, Error>,
        mode: &PutMode,
    ) -> Result<PutReply, Error> {
        let result = match parts {
            Ok(parts) => self.complete(parts, mode).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.s3.abort(self.id.clone()).await;
        }
        self.s3.inner.uploads.close(&self.id);
        self.over = true;
        result
    }

    async fn complete(&self, parts: Vec<CompletedPart>, mode: &PutMode) -> Result<PutReply, Error> {
        const COMPLETE: &str = "CompleteMultipartUpload";
        let (if_match, if_none_match) = precondition(mode);
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build();
        let refusable = Refusable {
            condition: *mode != PutMode::Overwrite,
            ..Refusable::default()
        };
        let request = self.s3.request(COMPLETE, &self.id.key).having(refusable);
        let output = request
            .send(|client| {
                client
                    .complete_multipart_upload()
                    .bucket(self.s3.bucket())
                    .key(&self.id.key)
                    .upload_id(&self.id.id)
                    .multipart_upload(parts.clone())
                    .set_if_match(if_match.clone())
                    .set_if_none_match(if_none_match.clone())
                    .send()
            })
            .await
            .map_err(|error| match error.code() {
                // The upload is gone: an earlier attempt, whose answer was lost, has completed it.
                // Or it was aborted by something else.
                Some("NoSuchUpload") => error.into_kind(
                    ErrorKind::Unavailable,
                    "the upload no longer exists, and its outcome was not seen",
                ),
                _ => conditional(error, mode),
            })?;
        Ok(PutReply {
            etag: ETag(output.e_tag.unwrap_or_default()),
            date: request.date(),
        })
    }
}

/// A failure before the parts become an object: nothing was written, even if the request succeeded.
fn without_effect(error: Error) -> Error {
    error.with_ambiguity(false)
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.over
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (s3, id) = (self.s3.clone(), self.id.clone());
            runtime.spawn(async move { s3.abort(id).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_object() {
        assert_eq!(part_size(17 << 20), PART);
        for size in [1_u64 << 30, 80 << 30, 5 << 40, (5 << 40) - 1] {
            assert!(size.div_ceil(part_size(size)) <= MAX_PARTS, "{size}");
        }
    }
}
