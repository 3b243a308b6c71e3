//! From the SDK's errors to ours: by HTTP status and error code
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).

use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_access::{ConnectProblem, CredentialError, CredentialProblem, Silence, cause};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_checksums::body::validate::Error as BadChecksum;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{orchestrator::HttpResponse, result::ConnectorError},
};

use super::request::Request;
use crate::{Error, ErrorKind, error::Refusable};

/// A local file that cannot be read, or is no longer what it was.
#[derive(Debug, Clone)]
pub(super) enum BadFile {
    /// The cause is shared because the SDK only lends us this error.
    Unreadable(PathBuf, Arc<io::Error>),
    Changed {
        path: PathBuf,
        size: u64,
        now: u64,
    },
}

impl BadFile {
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::Unreadable(path.to_owned(), Arc::new(error))
    }
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, _) => write!(f, "\"{}\" cannot be read", path.display()),
            Self::Changed { path, size, now } => write!(
                f,
                "\"{}\" changed while it was uploaded: it had {size} bytes, now {now}",
                path.display()
            ),
        }
    }
}

impl StdError for BadFile {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(&**error),
            Self::Changed { .. } => None,
        }
    }
}

/// Sorts a failed request.
pub(super) fn error<E>(request: &Request<'_>, sdk: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let new = |kind, message: &str| Error::new(kind, request.operation, request.key, message);
    let error = if let Some(file) = cause::<BadFile>(&sdk) {
        new(ErrorKind::LocalFile, "the file cannot be sent").with_source(file.clone())
    } else if let Some(missing) = cause::<CredentialError>(&sdk) {
        match missing.problem() {
            CredentialProblem::Missing => new(
                ErrorKind::NoCredentials,
                &format!("no credentials: {missing}"),
            ),
            CredentialProblem::Unreachable(problem) => {
                let message = "a service that gives credentials cannot be reached";
                new(ErrorKind::Connect(problem), message).with_source(missing.clone())
            }
            CredentialProblem::Unavailable => {
                let message = "a service that gives credentials has failed";
                new(ErrorKind::Unavailable, message).with_source(missing.clone())
            }
            _ => new(
                ErrorKind::BadCredentials,
                "a source of credentials has failed",
            )
            .with_source(missing.clone()),
        }
    } else {
        let way = request.exchange.way();
        match sdk {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code();
                let message = answer.err().message().filter(|message| !message.is_empty());
                let (kind, refusable) = sort(status, code, request.key, request.refusable);
                let no_bucket = no_bucket(request.s3.bucket());
                let message = match kind {
                    // The store's words do not name it.
                    ErrorKind::NoSuchBucket => &no_bucket,
                    _ => message.unwrap_or_else(|| status_words(status)),
                };
                new(kind, message)
                    .with_answer(Some(status), code)
                    .with_refusable(refusable)
            }
            // The headers came, the rest of the answer did not.
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                new(ErrorKind::Truncated, "the answer broke off")
                    .with_answer(Some(status), None)
                    .with_source(innermost(SdkError::<E, _>::ResponseError(answer)))
            }
            // Without a way, nothing got as far as the network.
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) if !way.is_empty() => {
                let problem = ConnectProblem::of(&sdk).unwrap_or(ConnectProblem::Other);
                let (kind, message) = match (request.exchange.was_connected(), problem) {
                    (true, ConnectProblem::TimedOut) => {
                        (ErrorKind::Timeout, format!("no answer from {way}"))
                    }
                    (true, problem) => (
                        ErrorKind::Connect(problem),
                        format!("the connection to {way} broke"),
                    ),
                    (false, problem) => {
                        (ErrorKind::Connect(problem), format!("cannot reach {way}"))
                    }
                };
                new(kind, &message).with_source(innermost(sdk))
            }
            sdk => {
                new(ErrorKind::Invalid, "the request cannot be made").with_source(innermost(sdk))
            }
        }
    };
    error
        .with_ambiguity(request.exchange.is_unanswered())
        .with_date(request.date())
}

pub(super) fn no_bucket(name: &str) -> String {
    format!("there is no bucket {name}")
}

/// A store's answer that says that all is well, and that no store of this API gives: most likely something else answered.
pub(super) fn unexpected(operation: &'static str, key: &str, message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Unexpected, operation, key, message).with_answer(Some(200), None)
}

/// What the SDK wraps: its own words say no more than the kind does.
fn innermost<E>(sdk: SdkError<E, HttpResponse>) -> BoxError
where
    E: StdError + Send + Sync + 'static,
{
    match sdk.into_source() {
        Ok(source) => match source.downcast::<ConnectorError>() {
            Ok(connector) => connector.into_source(),
            Err(source) => source,
        },
        Err(sdk) => sdk.into(),
    }
}

/// The error of a body that broke off.
pub(super) fn broken_body(
    operation: &'static str,
    key: &str,
    message: &str,
    error: impl Into<BoxError>,
) -> Error {
    let error = error.into();
    let kind = if cause::<Silence>(&*error).is_some() {
        ErrorKind::Timeout
    } else if cause::<BadChecksum>(&*error).is_some() {
        ErrorKind::ChecksumMismatch
    } else {
        ErrorKind::Truncated
    };
    Error::new(kind, operation, key, message).with_source(error)
}

/// What a caller can do about an answer, and what the request had that the store may have refused.
fn sort(status: u16, code: Option<&str>, key: &str, had: Refusable) -> (ErrorKind, Refusable) {
    match (kind_of(status, code), code) {
        // The code is S3's for a bucket whose owner has disabled ACLs.
        (ErrorKind::Unsupported, Some("AccessControlListNotSupported")) => {
            let acl = Refusable {
                acl: true,
                ..Refusable::default()
            };
            (ErrorKind::Unsupported, acl)
        }
        // A lost race, whatever the store calls it.
        (ErrorKind::Unexpected, code)
            if status == 409 && had.condition && !code.is_some_and(is_about_bucket) =>
        {
            (ErrorKind::Conflict, had)
        }
        (ErrorKind::NotFound, _) if key.is_empty() => (ErrorKind::NoSuchBucket, had),
        (kind, _) => (kind, had),
    }
}

fn is_about_bucket(code: &str) -> bool {
    matches!(
        code,
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" | "BucketNotEmpty" | "InvalidBucketState"
    )
}

/// Whether an answer leaves open if the request was carried out. `code`: `None` where the answer
/// could not be read.
pub(super) fn leaves_open(status: u16, code: Option<Option<&str>>) -> bool {
    match code {
        None => !(300..500).contains(&status),
        Some(code) => matches!(
            kind_of(status, code),
            ErrorKind::Unavailable | ErrorKind::Timeout
        ),
    }
}

pub(super) fn kind_of(status: u16, code: Option<&str>) -> ErrorKind {
    match code.unwrap_or_default() {
        "NoSuchKey" => ErrorKind::NotFound,
        "NoSuchBucket" => ErrorKind::NoSuchBucket,
        "PreconditionFailed" => ErrorKind::PreconditionFailed,
        "ConditionalRequestConflict" | "OperationAborted" => ErrorKind::Conflict,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => ErrorKind::PermissionDenied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSecurityToken"
        | "InvalidToken"
        | "InvalidTokenId"
        | "MissingAuthenticationToken"
        | "NotSignedUp"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "UnrecognizedClientException"
        | "XMinioInvalidIAMCredentials"
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
        "AccessControlListNotSupported" | "NotImplemented" => ErrorKind::Unsupported,
        // Completing an upload may answer 200 first and fail later.
        "InternalError" | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => match status {
            400 | 411 | 413 | 414 => ErrorKind::Invalid,
            401 => ErrorKind::BadCredentials,
            403 => ErrorKind::PermissionDenied,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_credentials_are_told_from_missing_rights() {
        for (status, code) in [
            (400, "ExpiredToken"),
            (400, "ExpiredTokenException"),
            (400, "InvalidToken"),
            (400, "TokenRefreshRequired"),
            (400, "AuthorizationHeaderMalformed"),
            (403, "InvalidAccessKeyId"),
            (403, "InvalidClientTokenId"),
            (403, "InvalidSecurity"),
            (403, "InvalidSecurityToken"),
            (403, "InvalidTokenId"),
            (403, "MissingAuthenticationToken"),
            (403, "NotSignedUp"),
            (403, "SignatureDoesNotMatch"),
            (403, "UnrecognizedClientException"),
            (403, "XMinioInvalidIAMCredentials"),
            (401, "Unauthorized"),
        ] {
            let kind = kind_of(status, Some(code));
            assert_eq!(kind, ErrorKind::BadCredentials, "{code}");
        }
        for code in [Some("AccessDenied"), Some("AllAccessDisabled"), None] {
            assert_eq!(kind_of(403, code), ErrorKind::PermissionDenied, "{code:?}");
        }
    }

    #[test]
    fn a_conflict_of_a_conditional_write_is_a_lost_race_unless_it_is_about_the_bucket() {
        let condition = Refusable {
            condition: true,
            ..Refusable::default()
        };
        let kind = |code, had| sort(409, code, "key", had).0;
        for code in [
            None,
            Some("ConditionalRequestConflict"),
            Some("OperationAborted"),
            Some("ConcurrentModification"),
            Some("Conflict"),
        ] {
            assert_eq!(kind(code, condition), ErrorKind::Conflict, "{code:?}");
        }
        for code in [
            "BucketAlreadyExists",
            "BucketNotEmpty",
            "InvalidBucketState",
        ] {
            assert_eq!(kind(Some(code), condition), ErrorKind::Unexpected, "{code}");
        }
        let unconditional = kind(Some("ConcurrentModification"), Refusable::default());
        assert_eq!(unconditional, ErrorKind::Unexpected);
    }

    #[test]
    fn a_refused_acl_is_told_from_the_rest_of_the_request() {
        let all = Refusable {
            acl: true,
            encryption: true,
            condition: true,
        };
        let acl = Refusable {
            acl: true,
            ..Refusable::default()
        };
        let sorted = |status, code| sort(status, Some(code), "key", all);
        assert_eq!(
            sorted(400, "AccessControlListNotSupported"),
            (ErrorKind::Unsupported, acl)
        );
        assert_eq!(sorted(501, "NotImplemented"), (ErrorKind::Unsupported, all));
    }

    #[test]
    fn only_an_answer_that_says_what_became_of_a_request_settles_it() {
        for (status, code) in [
            (500, Some("InternalError")),
            (502, None),
            (503, Some("ServiceUnavailable")),
            (503, None),
            (504, None),
            (200, Some("InternalError")),
            (408, None),
        ] {
            assert!(leaves_open(status, Some(code)), "{status} {code:?}");
        }
        for (status, code) in [
            (501, Some("NotImplemented")),
            (503, Some("SlowDown")),
            (429, None),
            (412, None),
            (403, None),
            (400, Some("IncompleteBody")),
        ] {
            assert!(!leaves_open(status, Some(code)), "{status} {code:?}");
        }
        assert!(leaves_open(200, None), "an answer that broke off");
    }

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
            assert_eq!(kind_of(status, code), kind, "{status} {code:?}");
        }
    }
}
