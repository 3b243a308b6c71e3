//! Reading objects.

use std::{ops::Range, sync::Arc};

use hyper::{HeaderMap, header};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    auth::Credentials,
    dto::{
        self, ChecksumMode, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput,
        HeadObjectOutput, ServerSideEncryption, StreamingBlob, Timestamp,
    },
    s3_error,
};

use super::Service;
use crate::{
    checksum::{Checksums, WithChecksums as _},
    clock,
    conditions::{self, ReadConditions, Verdict},
    object::Object,
};

pub(super) async fn get_object(
    service: &Service,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    if request.input.part_number.is_some() {
        return Err(s3_error!(NotImplemented, "reading by part number"));
    }
    let (object, range, described) =
        describe(service, request.credentials.as_ref(), request.input)?;
    let body = object.content.read(range);
    Ok(GetObjectOutput {
        body: Some(StreamingBlob::new(body)),
        ..described
    })
}

/// The same without the bytes.
pub(super) async fn head_object(
    service: &Service,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let input = request.input;
    let wanted = GetObjectInput {
        bucket: input.bucket,
        key: input.key,
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
        range: input.range,
        checksum_mode: input.checksum_mode,
        ..GetObjectInput::default()
    };
    let (_, _, described) = describe(service, request.credentials.as_ref(), wanted)?;
    let checksums = Checksums::from(&described);
    Ok(HeadObjectOutput {
        content_length: described.content_length,
        content_range: described.content_range,
        accept_ranges: described.accept_ranges,
        e_tag: described.e_tag,
        last_modified: described.last_modified,
        checksum_type: described.checksum_type,
        content_type: described.content_type,
        cache_control: described.cache_control,
        content_disposition: described.content_disposition,
        content_encoding: described.content_encoding,
        content_language: described.content_language,
        server_side_encryption: described.server_side_encryption,
        ssekms_key_id: described.ssekms_key_id,
        metadata: described.metadata,
        ..HeadObjectOutput::default()
    }
    .with_checksums(checksums))
}

/// The object, the bytes of it that are asked for, and an answer without these bytes.
fn describe(
    service: &Service,
    who: Option<&Credentials>,
    input: GetObjectInput,
) -> S3Result<(Arc<Object>, Range<u64>, GetObjectOutput)> {
    let object = find(service, who, &input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    check(&conditions, &object)?;
    let range = satisfy(input.range, object.size())?;
    let content_range = input.range.map(|_| {
        format!(
            "bytes {}-{}/{}",
            range.start,
            range.end.saturating_sub(1),
            object.size()
        )
    });
    // The checksum is that of the whole object: S3 leaves it away for a part of it.
    let with_checksum = input
        .checksum_mode
        .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
        && input.range.is_none();
    let checksums = if with_checksum {
        object.checksums.clone()
    } else {
        Checksums::default()
    };
    let attributes = object.attributes.clone();
    let described = GetObjectOutput {
        content_length: i64::try_from(range.end - range.start).ok(),
        content_range,
        accept_ranges: Some("bytes".to_owned()),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(clock::at(object.modified))),
        checksum_type: checksums.kind(),
        content_type: attributes.content_type,
        cache_control: attributes.cache_control,
        content_disposition: attributes.content_disposition,
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        // What says nothing has the bucket's default.
        server_side_encryption: attributes
            .server_side_encryption
            .map(Into::into)
            .or_else(|| {
                Some(ServerSideEncryption::from_static(
                    ServerSideEncryption::AES256,
                ))
            }),
        ssekms_key_id: attributes.kms_key_id,
        metadata: Some(attributes.metadata.into_iter().collect()),
        ..GetObjectOutput::default()
    }
    .with_checksums(checksums);
    Ok((object, range, described))
}

/// The object at a key, or the answer that the caller may have for a missing one.
pub(super) fn find(
    service: &Service,
    who: Option<&Credentials>,
    bucket: &str,
    key: &str,
) -> S3Result<Arc<Object>> {
    service
        .store
        .object(bucket, key)
        .map_err(|error| match error.code() {
            S3ErrorCode::NoSuchKey => service.access.missing(who, bucket, key),
            _ => error,
        })
}

fn check(conditions: &ReadConditions, object: &Object) -> S3Result {
    match conditions.check(object) {
        Verdict::Read => Ok(()),
        Verdict::NotModified => Err(conditions::not_modified(object)),
        Verdict::Failed => Err(conditions::failed()),
    }
}

/// The bytes that are asked for, of an object of `size` bytes.
fn satisfy(range: Option<dto::Range>, size: u64) -> S3Result<Range<u64>> {
    let Some(range) = range else {
        return Ok(0..size);
    };
    range
        .check(size)
        .ok()
        .filter(|range| !range.is_empty())
        .ok_or_else(|| {
            let mut error: S3Error =
                s3_error!(InvalidRange, "The requested range is not satisfiable");
            if let Ok(value) = format!("bytes */{size}").parse() {
                error.set_headers(HeaderMap::from_iter([(header::CONTENT_RANGE, value)]));
            }
            error
        })
}
