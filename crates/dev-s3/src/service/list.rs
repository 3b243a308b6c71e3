//! Listings of keys.

use s3s::{
    S3Request, S3Result,
    dto::{
        CommonPrefix, ETag, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput,
        ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
        MultipartUpload, Object as ListedObject, ObjectStorageClass, Timestamp,
    },
    s3_error,
};

use super::Service;
use crate::{
    clock,
    listing::{self, PAGE, Query},
};

/// Unfinished uploads, at most a page of them: S3 has markers for more, which nobody here needs.
pub(super) async fn list_multipart_uploads(
    service: &Service,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    if input.delimiter.is_some() || input.key_marker.is_some() || input.upload_id_marker.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "grouping and paging of multipart uploads"
        ));
    }
    let url = by_url(input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let mut uploads = service.store.with_bucket(&input.bucket, |bucket| {
        let matching = bucket
            .uploads
            .iter()
            .filter(|(_, upload)| upload.key.starts_with(&prefix));
        let uploads = matching.map(|(id, upload)| MultipartUpload {
            key: Some(encode(upload.key.clone(), url)),
            upload_id: Some(id.clone()),
            initiated: Some(Timestamp::from(clock::at(upload.initiated))),
            ..MultipartUpload::default()
        });
        Ok(uploads.collect::<Vec<_>>())
    })?;
    uploads.sort_by(|one, other| (&one.key, &one.upload_id).cmp(&(&other.key, &other.upload_id)));
    let is_truncated = uploads.len() > PAGE;
    uploads.truncate(PAGE);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.map(|prefix| encode(prefix, url)),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        uploads: Some(uploads),
        ..ListMultipartUploadsOutput::default()
    })
}

/// A page in the form in which both versions of the operation answer.
struct Listed {
    contents: Vec<ListedObject>,
    common_prefixes: Vec<CommonPrefix>,
    /// The last entry, where there are more.
    next: Option<String>,
}

pub(super) async fn list_objects_v2(
    service: &Service,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let after = match &input.continuation_token {
        Some(token) => from_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let limit = limit(input.max_keys)?;
    let url = by_url(input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let listed = list(
        service,
        &input.bucket,
        &prefix,
        input.delimiter.as_deref(),
        &after,
        limit,
        url,
    )?;
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encode(prefix, url)),
        delimiter: input.delimiter.map(|delimiter| encode(delimiter, url)),
        start_after: input.start_after.map(|after| encode(after, url)),
        encoding_type: input.encoding_type,
        max_keys: Some(limit.try_into().unwrap_or(i32::MAX)),
        key_count: Some(
            (listed.contents.len() + listed.common_prefixes.len())
                .try_into()
                .unwrap_or(i32::MAX),
        ),
        is_truncated: Some(listed.next.is_some()),
        continuation_token: input.continuation_token,
        next_continuation_token: listed.next.map(hex::encode),
        contents: Some(listed.contents),
        common_prefixes: Some(listed.common_prefixes),
        ..ListObjectsV2Output::default()
    })
}

pub(super) async fn list_objects(
    service: &Service,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let limit = limit(input.max_keys)?;
    let url = by_url(input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let marker = input.marker.unwrap_or_default();
    let listed = list(
        service,
        &input.bucket,
        &prefix,
        input.delimiter.as_deref(),
        &marker,
        limit,
        url,
    )?;
    // Without a delimiter the client takes the last key.
    let next_marker = listed
        .next
        .clone()
        .filter(|_| input.delimiter.is_some())
        .map(|next| encode(next, url));
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encode(prefix, url)),
        marker: Some(encode(marker, url)),
        delimiter: input.delimiter.map(|delimiter| encode(delimiter, url)),
        encoding_type: input.encoding_type,
        max_keys: Some(limit.try_into().unwrap_or(i32::MAX)),
        is_truncated: Some(listed.next.is_some()),
        next_marker,
        contents: Some(listed.contents),
        common_prefixes: Some(listed.common_prefixes),
        ..ListObjectsOutput::default()
    })
}

fn list(
    service: &Service,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    limit: usize,
    url: bool,
) -> S3Result<Listed> {
    let query = Query {
        prefix,
        delimiter: delimiter.unwrap_or_default(),
        after,
        limit,
    };
    service.store.with_bucket(bucket, |bucket| {
        let page = listing::page(&bucket.objects, &query);
        let contents = page.objects.into_iter().map(|(key, object)| ListedObject {
            key: Some(encode(key.to_owned(), url)),
            size: i64::try_from(object.size()).ok(),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(Timestamp::from(clock::at(object.modified))),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            ..ListedObject::default()
        });
        let common_prefixes = page.prefixes.into_iter().map(|prefix| CommonPrefix {
            prefix: Some(encode(prefix.to_owned(), url)),
        });
        Ok(Listed {
            contents: contents.collect(),
            common_prefixes: common_prefixes.collect(),
            next: page.next.map(str::to_owned),
        })
    })
}

fn limit(max_keys: Option<i32>) -> S3Result<usize> {
    match max_keys {
        None => Ok(PAGE),
        Some(keys) => Ok(usize::try_from(keys)
            .map_err(|error| s3_error!(error, InvalidArgument, "max-keys must not be negative"))?
            .min(PAGE)),
    }
}

fn from_token(token: &str) -> S3Result<String> {
    let entry = hex::decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    entry.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    })
}

/// Whether names are to be percent-encoded, since not all of them can be written in XML.
fn by_url(encoding: Option<&EncodingType>) -> S3Result<bool> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(false),
        Some(EncodingType::URL) => Ok(true),
        Some(_) => Err(s3_error!(
            InvalidArgument,
            "Invalid Encoding Method specified in Request"
        )),
    }
}

/// As AWS encodes a name, a space as `+`.
fn encode(name: String, url: bool) -> String {
    use std::fmt::Write as _;
    if !url {
        return name;
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.*/".contains(&byte) {
            encoded.push(char::from(byte));
        } else if byte == b' ' {
            encoded.push('+');
        } else {
            // Writing into memory does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
