//! Reading objects.

use std::ops::Range;

use hyper::{HeaderMap, header};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    auth::Credentials,
    dto::{
        self, ChecksumMode, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput,
        HeadObjectOutput, StreamingBlob, Timestamp,
    },
    s3_error,
};

use super::Service;
use crate::{
    clock,
    conditions::{self, ReadConditions, Verdict},
    object::Object,
    store::internal,
};

pub(super) async fn get_object(
    service: &Service,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let input = request.input;
    if input.part_number.is_some() {
        return Err(s3_error!(NotImplemented, "reading by part number"));
    }
    let object = find(
        service,
        request.credentials.as_ref(),
        &input.bucket,
        &input.key,
    )?;
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
        Default::default()
    };
    let body = object.content.read(range.clone()).map_err(internal)?;
    Ok(GetObjectOutput {
        body: Some(StreamingBlob::new(body)),
        content_length: i64::try_from(range.end - range.start).ok(),
        content_range,
        accept_ranges: Some("bytes".to_owned()),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(clock::at(object.modified))),
        checksum_type: checksums.kind(),
        checksum_crc32: checksums.crc32,
        checksum_crc32c: checksums.crc32c,
        checksum_crc64nvme: checksums.crc64nvme,
        checksum_sha1: checksums.sha1,
        checksum_sha256: checksums.sha256,
        content_type: object.attributes.content_type.clone(),
        cache_control: object.attributes.cache_control.clone(),
        content_disposition: object.attributes.content_disposition.clone(),
        content_encoding: object.attributes.content_encoding.clone(),
        content_language: object.attributes.content_language.clone(),
        server_side_encryption: object
            .attributes
            .server_side_encryption
            .clone()
            .map(Into::into),
        ssekms_key_id: object.attributes.kms_key_id.clone(),
        metadata: Some(object.attributes.metadata.clone().into_iter().collect()),
        ..GetObjectOutput::default()
    })
}

pub(super) async fn head_object(
    service: &Service,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let input = request.input;
    let object = find(
        service,
        request.credentials.as_ref(),
        &input.bucket,
        &input.key,
    )?;
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
    let with_checksum = input
        .checksum_mode
        .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let checksums = if with_checksum {
        object.checksums.clone()
    } else {
        Default::default()
    };
    Ok(HeadObjectOutput {
        content_length: i64::try_from(range.end - range.start).ok(),
        content_range,
        accept_ranges: Some("bytes".to_owned()),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(clock::at(object.modified))),
        checksum_type: checksums.kind(),
        checksum_crc32: checksums.crc32,
        checksum_crc32c: checksums.crc32c,
        checksum_crc64nvme: checksums.crc64nvme,
        checksum_sha1: checksums.sha1,
        checksum_sha256: checksums.sha256,
        content_type: object.attributes.content_type.clone(),
        cache_control: object.attributes.cache_control.clone(),
        content_disposition: object.attributes.content_disposition.clone(),
        content_encoding: object.attributes.content_encoding.clone(),
        content_language: object.attributes.content_language.clone(),
        server_side_encryption: object
            .attributes
            .server_side_encryption
            .clone()
            .map(Into::into),
        ssekms_key_id: object.attributes.kms_key_id.clone(),
        metadata: Some(object.attributes.metadata.clone().into_iter().collect()),
        ..HeadObjectOutput::default()
    })
}

/// The object at a key, or the answer that the caller may have for a missing one.
pub(super) fn find(
    service: &Service,
    who: Option<&Credentials>,
    bucket: &str,
    key: &str,
) -> S3Result<std::sync::Arc<Object>> {
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
