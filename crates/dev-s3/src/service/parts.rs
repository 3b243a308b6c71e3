//! Multipart uploads.

use std::ops::Range;

use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    dto::{
        self, AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm,
        ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyPartResult,
        CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListPartsInput,
        ListPartsOutput, Part, Timestamp, UploadPartCopyInput, UploadPartCopyOutput,
        UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    Service,
    body::{self, Announced},
    write::{algorithm, copied, default_content_type, digest},
};
use crate::{
    checksum::{Algorithm, Checksums, Digests, WithChecksums as _},
    clock,
    conditions::{ReadConditions, WriteConditions},
    content::Writer,
    multipart::{self, LAST_PART, Upload, UploadedPart},
    object::{Attributes, Object},
};

pub(super) async fn create_multipart_upload(
    service: &Service,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let input = request.input;
    let algorithm = algorithm(input.checksum_algorithm.as_ref())?.unwrap_or(Algorithm::Crc64Nvme);
    let composite = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
        None => !algorithm.covers_whole_object_by_default(),
        Some(ChecksumType::FULL_OBJECT)
            if !matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256) =>
        {
            false
        }
        Some(ChecksumType::COMPOSITE) if algorithm != Algorithm::Crc64Nvme => true,
        Some(_) => {
            return Err(s3_error!(
                InvalidRequest,
                "The checksum type cannot be used with the {} checksum algorithm.",
                algorithm.name()
            ));
        }
    };
    let upload = Upload {
        key: input.key.clone(),
        attributes: Attributes {
            content_type: Some(input.content_type.unwrap_or_else(default_content_type)),
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            server_side_encryption: input
                .server_side_encryption
                .map(|encryption| encryption.as_str().to_owned()),
            kms_key_id: input.ssekms_key_id,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        },
        algorithm,
        composite,
        initiated: service.store.clock.unix(),
        parts: Default::default(),
    };
    let id = format!("{:032x}", rand::random::<u128>());
    service.store.with_bucket(&input.bucket, |bucket| {
        bucket.uploads.insert(id.clone(), upload);
        Ok(())
    })?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        // Only told to a client that asked.
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    })
}

pub(super) async fn upload_part(
    service: &Service,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let input = request.input;
    check_number(input.part_number)?;
    let wanted = upload(service, &input.bucket, &input.key, &input.upload_id)?.algorithm;
    let checksums = Checksums::from(&input);
    let announced = Announced {
        length: input.content_length,
        md5: input.content_md5,
        checksums,
        algorithm: Some(algorithm(input.checksum_algorithm.as_ref())?.unwrap_or(wanted)),
        trailers: request.trailing_headers,
    };
    let received = body::receive(input.body, announced).await?;
    let part = UploadedPart {
        content: received.content,
        md5: received.digested.md5,
        checksums: received.digested.checksums,
        modified: service.store.clock.unix(),
    };
    let output = UploadPartOutput {
        e_tag: Some(ETag::Strong(part.etag())),
        ..UploadPartOutput::default()
    }
    .with_checksums(part.checksums.clone());
    add(
        service,
        &input.bucket,
        &input.key,
        &input.upload_id,
        input.part_number,
        part,
    )?;
    Ok(output)
}

pub(super) async fn upload_part_copy(
    service: &Service,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let input = request.input;
    check_number(input.part_number)?;
    let wanted = upload(service, &input.bucket, &input.key, &input.upload_id)?.algorithm;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let (_, source) = copied(
        service,
        request.credentials.as_ref(),
        &input.copy_source,
        &conditions,
    )?;
    let range = copied_range(input.copy_source_range.as_deref(), source.size())?;
    let mut digests = Digests::new([wanted]);
    for piece in source.content.read(range.clone()) {
        digests.update(&piece);
    }
    let mut writer = Writer::default();
    writer.append(&source.content, range);
    let digested = digests.finish();
    let part = UploadedPart {
        content: writer.finish(),
        md5: digested.md5,
        checksums: digested.checksums,
        modified: service.store.clock.unix(),
    };
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.etag())),
        last_modified: Some(Timestamp::from(clock::at(part.modified))),
        ..CopyPartResult::default()
    }
    .with_checksums(part.checksums.clone());
    add(
        service,
        &input.bucket,
        &input.key,
        &input.upload_id,
        input.part_number,
        part,
    )?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    })
}

pub(super) async fn complete_multipart_upload(
    service: &Service,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let input = request.input;
    let upload = upload(service, &input.bucket, &input.key, &input.upload_id)?;
    let expected = Checksums::from(&input);
    let listed = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let parts = upload.select(&listed)?;
    let mut writer = Writer::default();
    for part in &parts {
        writer.append(&part.content, 0..part.content.length());
    }
    let content = writer.finish();
    let checksums = if upload.composite {
        Checksums::of_parts(upload.algorithm, parts.iter().map(|part| &part.checksums))?
    } else {
        digest(&content, [upload.algorithm]).1
    };
    checksums.verify(&expected)?;
    let output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(ETag::Strong(multipart::etag(&parts))),
        checksum_type: checksums.kind(),
        server_side_encryption: upload
            .attributes
            .server_side_encryption
            .clone()
            .map(Into::into),
        ssekms_key_id: upload.attributes.kms_key_id.clone(),
        ..CompleteMultipartUploadOutput::default()
    }
    .with_checksums(checksums.clone());
    let object = Object {
        content,
        etag: multipart::etag(&parts),
        modified: service.store.clock.unix(),
        checksums,
        attributes: upload.attributes,
    };
    // Where the precondition fails the upload stays, to be tried again or aborted.
    let conditions = WriteConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
    };
    service
        .store
        .put(&input.bucket, &input.key, object, &conditions)?;
    service.store.with_bucket(&input.bucket, |bucket| {
        bucket.uploads.remove(&input.upload_id);
        Ok(())
    })?;
    Ok(output)
}

pub(super) async fn abort_multipart_upload(
    service: &Service,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    upload(service, &input.bucket, &input.key, &input.upload_id)?;
    service.store.with_bucket(&input.bucket, |bucket| {
        bucket.uploads.remove(&input.upload_id);
        Ok(())
    })?;
    Ok(AbortMultipartUploadOutput::default())
}

pub(super) async fn list_parts(
    service: &Service,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let upload = upload(service, &input.bucket, &input.key, &input.upload_id)?;
    let limit = usize::try_from(input.max_parts.unwrap_or(1000))
        .unwrap_or(0)
        .min(1000);
    let after = input.part_number_marker.unwrap_or(0);
    let mut later = upload.parts.range(after.saturating_add(1)..);
    let parts: Vec<Part> = later
        .by_ref()
        .take(limit)
        .map(|(&number, part)| listed(number, part))
        .collect();
    let is_truncated = later.next().is_some();
    Ok(ListPartsOutput {
        next_part_number_marker: parts
            .last()
            .filter(|_| is_truncated)
            .and_then(|part| part.part_number),
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: Some(after),
        parts: Some(parts),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm.name())),
        checksum_type: Some(ChecksumType::from_static(if upload.composite {
            ChecksumType::COMPOSITE
        } else {
            ChecksumType::FULL_OBJECT
        })),
        ..ListPartsOutput::default()
    })
}

fn listed(number: i32, part: &UploadedPart) -> Part {
    Part {
        part_number: Some(number),
        size: i64::try_from(part.content.length()).ok(),
        e_tag: Some(ETag::Strong(part.etag())),
        last_modified: Some(Timestamp::from(clock::at(part.modified))),
        ..Part::default()
    }
    .with_checksums(part.checksums.clone())
}

/// The upload of this id, as it is now.
fn upload(service: &Service, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
    service.store.with_bucket(bucket, |bucket| {
        bucket
            .uploads
            .get(id)
            .filter(|upload| upload.key == key)
            .cloned()
            .ok_or_else(no_such_upload)
    })
}

/// Adds a part, in place of an earlier one of its number.
fn add(
    service: &Service,
    bucket: &str,
    key: &str,
    id: &str,
    number: i32,
    part: UploadedPart,
) -> S3Result {
    service.store.with_bucket(bucket, |bucket| {
        let upload = bucket
            .uploads
            .get_mut(id)
            .filter(|upload| upload.key == key)
            .ok_or_else(no_such_upload)?;
        upload.parts.insert(number, part);
        Ok(())
    })
}

fn no_such_upload() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::NoSuchUpload,
        "The specified multipart upload does not exist.",
    )
}

fn check_number(number: i32) -> S3Result {
    if (1..=LAST_PART).contains(&number) {
        Ok(())
    } else {
        Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000"
        ))
    }
}

/// The bytes of the source that become a part: both ends must be given, and lie within it.
fn copied_range(range: Option<&str>, size: u64) -> S3Result<Range<u64>> {
    let Some(range) = range else {
        return Ok(0..size);
    };
    match dto::Range::parse(range) {
        Ok(dto::Range::Int {
            first,
            last: Some(last),
        }) if last < size => Ok(first..last + 1),
        _ => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last within the source"
        )),
    }
}
