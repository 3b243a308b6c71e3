//! Copying: `CopyObject`, `UploadPartCopy`, or reading and writing.
//!
//! `CopyObject` takes 5 GiB at most, and few stores check a precondition on its target; one that
//! ignores the header would overwrite in silence. So it is used only where any target may be
//! replaced. A conditional copy is a conditional write, which every supported store checks: a small
//! object is read and put, a larger one copied in parts, with the precondition on the upload's
//! completion.

use aws_sdk_s3::{
    operation::head_object::HeadObjectOutput,
    types::{CompletedPart, MetadataDirective},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    S3,
    body::{self, Meter},
    get::etag,
    put::Headers,
};
use crate::{Error, ErrorKind, GetOptions, GetReply, ObjectMeta, PutMode, PutReply, collect};
use sha2::{Digest as _, Sha256};

const COPY: &str = "CopyObject";

/// What `CopyObject` takes, in bytes.
const MAX_COPY: u64 = 5 << 30;

/// Up to this many bytes a conditional copy is read and written: one round trip more than by parts
/// is saved, and the SHA-256 is kept.
const READ: u64 = 8 << 20;

/// The size of copied parts, in bytes: 10,000 of them hold the largest object, 5 TiB.
const PART: u64 = 1 << 30;

/// How many parts are copied side by side.
const IN_FLIGHT: usize = 4;

impl S3 {
    pub(super) async fn copy_object(
        &self,
        from: &str,
        to: &str,
        mode: PutMode,
    ) -> Result<PutReply, Error> {
        let (meta, head) = self.head_object(from).await?;
        if mode == PutMode::Overwrite && meta.size <= MAX_COPY {
            self.copy_whole(from, to, &meta).await
        } else if meta.size <= READ {
            self.read_and_write(from, to, mode, meta, head).await
        } else {
            self.copy_parts(from, to, mode, meta, head).await
        }
    }

    /// The source as the copy operations name it: escaped, for it is a header.
    fn source(&self, key: &str) -> String {
        let mut source = format!("{}/", self.bucket());
        for byte in key.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                source.push(char::from(byte));
            } else {
                source.push_str(&format!("%{byte:02X}"));
            }
        }
        source
    }

    async fn copy_whole(&self, from: &str, to: &str, meta: &ObjectMeta) -> Result<PutReply, Error> {
        let (sse, sse_key) = self.config().sse.headers();
        // An object cannot be copied onto itself unless something changes; S3 accepts replaced
        // metadata for that.
        let onto_itself = from == to;
        let (output, exchange) = self
            .call(COPY, to, |client, exchange| {
                let mut request = client
                    .copy_object()
                    .bucket(self.bucket())
                    .key(to)
                    .copy_source(self.source(from))
                    .copy_source_if_match(&meta.etag.0)
                    .set_acl(self.config().acl.map(Into::into))
                    .set_server_side_encryption(sse.clone())
                    .set_ssekms_key_id(sse_key.clone());
                if onto_itself {
                    request = request.metadata_directive(MetadataDirective::Replace);
                    for (name, value) in &meta.metadata {
                        request = request.metadata(name, value);
                    }
                }
                request.customize().interceptor(exchange.watch(None)).send()
            })
            .await?;
        let tag = output.copy_object_result.and_then(|result| result.e_tag);
        Ok(PutReply {
            etag: etag(COPY, to, tag)?,
            date: exchange.date(),
        })
    }

    async fn read_and_write(
        &self,
        from: &str,
        to: &str,
        mode: PutMode,
        meta: ObjectMeta,
        head: HeadObjectOutput,
    ) -> Result<PutReply, Error> {
        let options = GetOptions {
            if_match: Some(meta.etag.clone()),
            ..GetOptions::default()
        };
        let GetReply::Found(object) = self.get_object(from, options).await? else {
            return Err(Error::new(
                ErrorKind::Unexpected,
                "GetObject",
                from,
                "304 was answered to an unconditional request",
            ));
        };
        let (_, bytes) = collect(from, object, READ).await?;
        let facts = (bytes.len() as u64, Sha256::digest(&bytes).into());
        let body = || body::of_bytes(bytes.clone(), Meter::new(None));
        self.put_whole(to, facts, &mode, &headers(&meta, head), body)
            .await
    }

    async fn copy_parts(
        &self,
        from: &str,
        to: &str,
        mode: PutMode,
        meta: ObjectMeta,
        head: HeadObjectOutput,
    ) -> Result<PutReply, Error> {
        let upload = self.begin_upload(to, &headers(&meta, head), false).await?;
        let ranges = (0..meta.size)
            .step_by(usize::try_from(PART).unwrap_or(usize::MAX))
            .zip(1_i32..);
        let parts = stream::iter(ranges)
            .map(|(first, number)| {
                let last = (first + PART).min(meta.size) - 1;
                self.copy_part(from, to, upload.id(), &meta.etag.0, number, (first, last))
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await;
        upload.end(parts, &mode).await
    }

    async fn copy_part(
        &self,
        from: &str,
        to: &str,
        upload: &str,
        tag: &str,
        number: i32,
        range: (u64, u64),
    ) -> Result<CompletedPart, Error> {
        const COPY_PART: &str = "UploadPartCopy";
        let (output, _) = self
            .call(COPY_PART, to, |client, exchange| {
                client
                    .upload_part_copy()
                    .bucket(self.bucket())
                    .key(to)
                    .upload_id(upload)
                    .part_number(number)
                    .copy_source(self.source(from))
                    .copy_source_if_match(tag)
                    .copy_source_range(format!("bytes={}-{}", range.0, range.1))
                    .customize()
                    .interceptor(exchange.watch(None))
                    .send()
            })
            .await?;
        let tag = output.copy_part_result.and_then(|result| result.e_tag);
        Ok(CompletedPart::builder()
            .part_number(number)
            .e_tag(etag(COPY_PART, to, tag)?.0)
            .build())
    }
}

/// What the copy is written with: what the source has.
fn headers(meta: &ObjectMeta, head: HeadObjectOutput) -> Headers {
    Headers {
        content_type: head.content_type,
        cache_control: head.cache_control,
        content_encoding: head.content_encoding,
        metadata: meta.metadata.clone(),
    }
}
