//! What can go wrong with a request to a store, sorted by what the caller can do about it.
//!
//! The store's own code and words are kept for the message (with control characters removed: they
//! come from the network and end in logs and in the acquire protocol); decisions are taken on
//! [`ErrorKind`] alone.

use std::{error::Error as StdError, fmt};

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key does not exist (404 `NoSuchKey`).
    NotFound,
    /// The bucket does not exist (404 `NoSuchBucket`).
    NoSuchBucket,
    /// The precondition did not hold (412; also 404 for an update of a missing key): somebody else
    /// wrote. Read again.
    PreconditionFailed,
    /// Two conditional writes met (409 `ConditionalRequestConflict`): nothing was written by this
    /// one. Read again.
    Conflict,
    /// The caller is known but may not do this (403 `AccessDenied`). A missing key reads like this
    /// without `s3:ListBucket`.
    PermissionDenied,
    /// The credentials are wrong, expired or not accepted (403 `InvalidAccessKeyId`,
    /// `SignatureDoesNotMatch`, `ExpiredToken`…).
    BadCredentials,
    /// No source gave any credentials.
    NoCredentials,
    /// The caller's clock and the store's differ too much (403 `RequestTimeTooSkewed`) and
    /// correcting it did not help.
    ClockSkew,
    /// The range lies outside the object (416).
    RangeNotSatisfiable,
    /// The bytes that arrived, or that were sent, are not those of the checksum.
    ChecksumMismatch,
    /// The store asks to slow down (429, 503 `SlowDown`), and still did after the retries.
    Throttled,
    /// The store failed (5xx), and still did after the retries.
    Unavailable,
    /// No connection could be made, or it broke before the request was answered.
    Connect,
    /// Nothing arrived for the configured time.
    Timeout,
    /// The body ended before its announced length.
    Truncated,
    /// The store does not do what was asked (501, or a precondition that it ignores).
    Unsupported,
    /// The request or the configuration is wrong (malformed endpoint, bucket or key; 400).
    Invalid,
    /// A local file could not be read.
    LocalFile,
    /// An answer that fits none of the above.
    Unexpected,
}

/// A failed request: which one, what the store said, and the cause.
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    key: String,
    status: Option<u16>,
    code: Option<String>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `operation` (the S3 API's name, `PutObject`) on `key` (empty: the bucket
    /// itself).
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        key: impl Into<String>,
        message: impl AsRef<str>,
    ) -> Self {
        Self {
            kind,
            operation,
            key: key.into(),
            status: None,
            code: None,
            message: printable(message.as_ref()),
            source: None,
        }
    }

    /// Adds the HTTP status and the store's error code.
    #[must_use]
    pub fn with_answer(mut self, status: Option<u16>, code: Option<&str>) -> Self {
        self.status = status;
        self.code = code.map(printable);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The S3 API's name of the operation.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The key, empty where the request was about the bucket.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The HTTP status, where an answer came.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The store's error code (`AccessDenied`), where an answer came.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The store's words, or ours.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        use ErrorKind::{Conflict, Connect, Throttled, Timeout, Truncated, Unavailable};
        matches!(
            self.kind,
            Conflict | Throttled | Unavailable | Connect | Timeout | Truncated
        )
    }

    /// Whether a *write* that failed like this may have taken effect all the same: its reply was
    /// lost.
    pub fn is_ambiguous(&self) -> bool {
        use ErrorKind::{Connect, Timeout, Truncated, Unavailable};
        matches!(self.kind, Unavailable | Connect | Timeout | Truncated)
    }
}

/// `text` on one line, without control characters, at most 500 characters.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(500)
        .collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.key.is_empty() {
            write!(f, " {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match (&self.code, self.status) {
            (Some(code), Some(status)) => write!(f, " ({status} {code})"),
            (Some(code), None) => write!(f, " ({code})"),
            (None, Some(status)) => write!(f, " ({status})"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
