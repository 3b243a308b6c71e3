//! Writing, copying and deleting objects.

use std::sync::Arc;

use s3s::{
    S3Request, S3Result,
    auth::Credentials,
    dto::{
        ChecksumAlgorithm, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
        DeletedObject, ETag, Error as DeleteError, MetadataDirective, PutObjectInput,
        PutObjectOutput, Timestamp,
    },
    s3_error,
};

use super::{
    Service,
    body::{self, Announced},
    read,
};
use crate::{
    checksum::{Algorithm, Checksums, Digests, WithChecksums as _},
    clock,
    conditions::{self, ReadConditions, Verdict, WriteConditions},
    content::{Content, Writer},
    object::{Attributes, Object},
};

/// S3 copies no more than this in one operation.
const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;

pub(super) async fn put_object(
    service: &Service,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let input = request.input;
    let checksums = Checksums::from(&input);
    let announced = Announced {
        length: input.content_length,
        md5: input.content_md5,
        checksums,
        algorithm: algorithm(input.checksum_algorithm.as_ref())?,
        trailers: request.trailing_headers,
    };
    let received = body::receive(input.body, announced).await?;
    let object = Object {
        content: received.content,
        etag: hex::encode(received.digested.md5),
        modified: service.store.clock.unix(),
        checksums: received.digested.checksums,
        attributes: Attributes {
            content_type: Some(input.content_type.unwrap_or_else(default_content_type)),
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding.and_then(without_aws_chunked),
            content_language: input.content_language,
            server_side_encryption: input
                .server_side_encryption
                .map(|encryption| encryption.as_str().to_owned()),
            kms_key_id: input.ssekms_key_id,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        },
    };
    let output = PutObjectOutput {
        e_tag: Some(ETag::Strong(object.etag.clone())),
        checksum_type: object.checksums.kind(),
        server_side_encryption: object
            .attributes
            .server_side_encryption
            .clone()
            .map(Into::into),
        ssekms_key_id: object.attributes.kms_key_id.clone(),
        ..PutObjectOutput::default()
    }
    .with_checksums(object.checksums.clone());
    let conditions = WriteConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
    };
    service
        .store
        .put(&input.bucket, &input.key, object, &conditions)?;
    Ok(output)
}

pub(super) async fn copy_object(
    service: &Service,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let input = request.input;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let ((bucket, key), source) = copied(
        service,
        request.credentials.as_ref(),
        &input.copy_source,
        &conditions,
    )?;
    if source.size() > LARGEST_COPY {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
        ));
    }
    let replaced = input
        .metadata_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    if !replaced && (bucket, key) == (input.bucket.as_str(), input.key.as_str()) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing it."
        ));
    }
    let mut writer = Writer::default();
    writer.append(&source.content, 0..source.size());
    let content = writer.finish();
    let (etag, checksums) = if source.etag.contains('-') || source.checksums.composite {
        // The copy of an object of parts is an object in one part.
        digest(&content, source.checksums.algorithms())
    } else {
        (source.etag.clone(), source.checksums.clone())
    };
    let attributes = if replaced {
        Attributes {
            content_type: Some(input.content_type.unwrap_or_else(default_content_type)),
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            ..Attributes::default()
        }
    } else {
        source.attributes.clone()
    };
    let attributes = Attributes {
        server_side_encryption: input
            .server_side_encryption
            .map(|encryption| encryption.as_str().to_owned()),
        kms_key_id: input.ssekms_key_id,
        ..attributes
    };
    let modified = service.store.clock.unix();
    let result = CopyObjectResult {
        e_tag: Some(ETag::Strong(etag.clone())),
        last_modified: Some(Timestamp::from(clock::at(modified))),
        checksum_type: checksums.kind(),
        ..CopyObjectResult::default()
    }
    .with_checksums(checksums.clone());
    let object = Object {
        content,
        etag,
        modified,
        checksums,
        attributes,
    };
    service.store.put(
        &input.bucket,
        &input.key,
        object,
        &WriteConditions::of(&request.headers)?,
    )?;
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        ..CopyObjectOutput::default()
    })
}

pub(super) async fn delete_object(
    service: &Service,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    let conditions = WriteConditions {
        if_match: input.if_match,
        if_none_match: None,
    };
    service
        .store
        .delete(&input.bucket, &input.key, &conditions)?;
    Ok(DeleteObjectOutput::default())
}

pub(super) async fn delete_objects(
    service: &Service,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let input = request.input;
    if input.delete.objects.is_empty() || input.delete.objects.len() > 1000 {
        return Err(s3_error!(
            MalformedXML,
            "DeleteObjects takes 1 to 1000 keys"
        ));
    }
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for object in input.delete.objects {
        let allowed = service.access.require(
            request.credentials.as_ref(),
            "s3:DeleteObject",
            &input.bucket,
            Some(&object.key),
        );
        match allowed.and_then(|()| {
            service
                .store
                .delete(&input.bucket, &object.key, &WriteConditions::default())
        }) {
            Ok(()) => deleted.push(DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            }),
            Err(error) => errors.push(DeleteError {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: error.message().map(str::to_owned),
                version_id: None,
            }),
        }
    }
    if input.delete.quiet == Some(true) {
        deleted.clear();
    }
    Ok(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    })
}

/// Bucket and key of a copy's source, and the source itself, which `who` must be allowed to read.
pub(super) fn copied<'a>(
    service: &Service,
    who: Option<&Credentials>,
    source: &'a CopySource,
    conditions: &ReadConditions,
) -> S3Result<((&'a str, &'a str), Arc<Object>)> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id: None,
    } = source
    else {
        return Err(s3_error!(
            NotImplemented,
            "copies from versions and access points"
        ));
    };
    service
        .access
        .require(who, "s3:GetObject", bucket, Some(key))?;
    let object = read::find(service, who, bucket, key)?;
    if conditions.check(&object) != Verdict::Read {
        return Err(conditions::failed());
    }
    Ok(((bucket, key), object))
}

/// The algorithm that the client names.
pub(super) fn algorithm(named: Option<&ChecksumAlgorithm>) -> S3Result<Option<Algorithm>> {
    let Some(named) = named else { return Ok(None) };
    match Algorithm::named(named.as_str()) {
        Some(algorithm) => Ok(Some(algorithm)),
        None => Err(s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported."
        )),
    }
}

/// ETag and checksums of content that is there already.
pub(crate) fn digest(
    content: &Content,
    algorithms: impl IntoIterator<Item = Algorithm>,
) -> (String, Checksums) {
    let mut digests = Digests::new(algorithms);
    for piece in content.read(0..content.length()) {
        digests.update(&piece);
    }
    let digested = digests.finish();
    (hex::encode(digested.md5), digested.checksums)
}

/// What S3 says of content whose client said nothing.
pub(crate) fn default_content_type() -> String {
    "binary/octet-stream".to_owned()
}

/// The encoding of the object, without that of its transport.
fn without_aws_chunked(encoding: String) -> Option<String> {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}
