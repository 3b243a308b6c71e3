//! From the SDK's errors to ours: by HTTP status and error code
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).

use std::{error::Error as StdError, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::Timestamp;

use super::{
    connector::{Silence, parse_http_date},
    credentials::reason,
};
use crate::{Error, ErrorKind};

/// A local file that cannot be read, or is no longer what it was.
#[derive(Debug)]
pub(super) struct BadFile(pub(super) String);

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for BadFile {}

/// Sorts a failed operation.
pub(super) fn error<E>(
    operation: &'static str,
    key: &str,
    error: &SdkError<E, HttpResponse>,
) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let new = |kind, message: String| Error::new(kind, operation, key, message);
    if let Some(file) = cause::<BadFile>(error) {
        return new(ErrorKind::LocalFile, file.to_string());
    }
    if let Some(silence) = cause::<Silence>(error) {
        return new(ErrorKind::Timeout, silence.to_string());
    }
    if let Some(credentials) = cause::<CredentialsError>(error) {
        let kind = match credentials {
            CredentialsError::ProviderError(_) => ErrorKind::BadCredentials,
            _ => ErrorKind::NoCredentials,
        };
        return new(kind, format!("no credentials: {}", reason(credentials)));
    }
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code();
            let message = answer.err().message().filter(|message| !message.is_empty());
            let message = message.map_or_else(|| status_words(status).to_owned(), str::to_owned);
            new(kind_of(status, code, key.is_empty()), message).with_answer(Some(status), code)
        }
        SdkError::TimeoutError(_) => new(ErrorKind::Timeout, causes(error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            new(ErrorKind::Timeout, causes(error))
        }
        SdkError::DispatchFailure(_) => new(ErrorKind::Connect, causes(error)),
        // The headers came, the rest of the answer did not.
        SdkError::ResponseError(answer) => new(ErrorKind::Truncated, causes(error))
            .with_answer(Some(answer.raw().status().as_u16()), None),
        _ => new(ErrorKind::Invalid, causes(error)),
    }
}

/// What a caller can do about an answer.
fn kind_of(status: u16, code: Option<&str>, about_bucket: bool) -> ErrorKind {
    match code.unwrap_or_default() {
        "NoSuchKey" => ErrorKind::NotFound,
        "NoSuchBucket" => ErrorKind::NoSuchBucket,
        "PreconditionFailed" => ErrorKind::PreconditionFailed,
        "ConditionalRequestConflict" | "OperationAborted" => ErrorKind::Conflict,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => ErrorKind::PermissionDenied,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidSecurity"
        | "NotSignedUp"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "AuthorizationHeaderMalformed" => ErrorKind::BadCredentials,
        "RequestTimeTooSkewed" => ErrorKind::ClockSkew,
        "InvalidRange" => ErrorKind::RangeNotSatisfiable,
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch" => ErrorKind::ChecksumMismatch,
        "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "TooManyRequests"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded" => ErrorKind::Throttled,
        "RequestTimeout" => ErrorKind::Timeout,
        "IncompleteBody" => ErrorKind::Truncated,
        "NotImplemented" => ErrorKind::Unsupported,
        // Completing an upload and copying may answer 200 first and fail later.
        "InternalError" | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => match status {
            400 | 411 | 413 | 414 => ErrorKind::Invalid,
            401 => ErrorKind::BadCredentials,
            403 => ErrorKind::PermissionDenied,
            404 if about_bucket => ErrorKind::NoSuchBucket,
            404 => ErrorKind::NotFound,
            408 => ErrorKind::Timeout,
            409 if code.is_none() => ErrorKind::Conflict,
            412 => ErrorKind::PreconditionFailed,
            416 => ErrorKind::RangeNotSatisfiable,
            429 => ErrorKind::Throttled,
            501 => ErrorKind::Unsupported,
            500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Unexpected,
        },
    }
}

/// Words for an answer without any, as every answer to HEAD is.
fn status_words(status: u16) -> &'static str {
    match status {
        301 | 307 => "the bucket is elsewhere",
        400 => "the store did not accept the request",
        401 | 403 => "access denied",
        404 => "it does not exist",
        412 => "the precondition did not hold",
        416 => "the range lies outside the object",
        429 => "the store asks to slow down",
        500..=599 => "the store failed",
        _ => "unexpected answer",
    }
}

/// Where the store says that the bucket is, in an answer to a request that was made for another
/// region.
pub(super) fn region_hint<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let response = error.raw_response()?;
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 307 | 400 | 403) {
        return None;
    }
    let header = response
        .headers()
        .get("x-amz-bucket-region")
        .map(str::to_owned);
    // `AuthorizationHeaderMalformed` names it in its body.
    let region = header.or_else(|| {
        let body = std::str::from_utf8(response.body().bytes()?).ok()?;
        let (_, rest) = body.split_once("<Region>")?;
        rest.split_once("</Region>")
            .map(|(region, _)| region.trim().to_owned())
    })?;
    let sound = !region.is_empty()
        && region.len() <= 64
        && region
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    sound.then_some(region)
}

/// The HTTP status of a failed operation.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// The `Date` of a failed operation's answer.
pub(super) fn date<E>(error: &SdkError<E, HttpResponse>) -> Option<Timestamp> {
    error
        .raw_response()?
        .headers()
        .get("date")
        .and_then(parse_http_date)
}

/// The first cause of type `T`.
pub(super) fn cause<'e, T: StdError + 'static>(
    error: &'e (dyn StdError + 'static),
) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The words of all causes, each once, outermost first.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut words = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.contains(&text) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
        next = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_sorted_by_its_code_before_its_status() {
        let cases = [
            (403, Some("AccessDenied"), ErrorKind::PermissionDenied),
            (403, Some("InvalidAccessKeyId"), ErrorKind::BadCredentials),
            (
                403,
                Some("SignatureDoesNotMatch"),
                ErrorKind::BadCredentials,
            ),
            (400, Some("ExpiredToken"), ErrorKind::BadCredentials),
            (403, Some("RequestTimeTooSkewed"), ErrorKind::ClockSkew),
            (403, None, ErrorKind::PermissionDenied),
            (404, None, ErrorKind::NotFound),
            (404, Some("NoSuchBucket"), ErrorKind::NoSuchBucket),
            (409, Some("ConditionalRequestConflict"), ErrorKind::Conflict),
            (409, Some("BucketAlreadyExists"), ErrorKind::Unexpected),
            (412, None, ErrorKind::PreconditionFailed),
            (
                400,
                Some("XAmzContentSHA256Mismatch"),
                ErrorKind::ChecksumMismatch,
            ),
            (400, Some("InvalidArgument"), ErrorKind::Invalid),
            (503, Some("SlowDown"), ErrorKind::Throttled),
            (503, Some("ServiceUnavailable"), ErrorKind::Unavailable),
            (500, Some("InternalError"), ErrorKind::Unavailable),
            (200, Some("InternalError"), ErrorKind::Unavailable),
            (501, Some("NotImplemented"), ErrorKind::Unsupported),
        ];
        for (status, code, kind) in cases {
            assert_eq!(kind_of(status, code, false), kind, "{status} {code:?}");
        }
        assert_eq!(kind_of(404, None, true), ErrorKind::NoSuchBucket);
    }
}
