//! What can go wrong with a request to a store, sorted by what the caller can do about it.
//!
//! The store's own code and words are kept for the message (with control characters removed: they
//! come from the network and end in logs and in the acquire protocol); decisions are taken on
//! [`ErrorKind`] alone.

use std::{error::Error as StdError, fmt};

use aws_access::{ConnectProblem, causes};
use jiff::Timestamp;

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key does not exist (404 `NoSuchKey`).
    NotFound,
    /// The bucket does not exist (404 `NoSuchBucket`).
    NoSuchBucket,
    /// The precondition did not hold (412; also 404 for an update of a missing key): another writer
    /// was first, or an earlier attempt of this very write ([`Error::is_ambiguous`]). Read again.
    PreconditionFailed,
    /// Two conditional writes met (409): nothing was written by this one. Read again.
    Conflict,
    /// The caller is known but may not do this (403 `AccessDenied`). A missing key reads like this
    /// without `s3:ListBucket`.
    PermissionDenied,
    /// The credentials are wrong, expired or not accepted (403 `InvalidAccessKeyId`,
    /// `SignatureDoesNotMatch`, `ExpiredToken`…).
    BadCredentials,
    /// No source has any credentials.
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
    /// No connection could be made, or it broke before the request was answered; the same for a
    /// service that credentials come from.
    Connect(ConnectProblem),
    /// There was a connection, and nothing arrived for the configured time.
    Timeout,
    /// The body ended before its announced length.
    Truncated,
    /// The store does not do what was asked (501 `NotImplemented`, 400
    /// `AccessControlListNotSupported`). [`Error::refused`] tells what that may be.
    Unsupported,
    /// The request or the configuration is wrong (malformed endpoint, bucket or key; 400).
    Invalid,
    /// A local file could not be read.
    LocalFile,
    /// An answer that fits none of the above.
    Unexpected,
}

/// The optional parts of a write that a store may refuse where it would take the same write
/// without them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusable {
    pub acl: bool,
    /// Encryption at rest, other than the bucket's default.
    pub encryption: bool,
    pub condition: bool,
}

/// A failed request: which one, what the store said, and the cause.
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    key: String,
    status: Option<u16>,
    code: Option<String>,
    message: String,
    refusable: Refusable,
    ambiguous: bool,
    of_payload: bool,
    date: Option<Timestamp>,
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
            refusable: Refusable::default(),
            ambiguous: matches!(
                kind,
                ErrorKind::Unavailable
                    | ErrorKind::Timeout
                    | ErrorKind::Truncated
                    | ErrorKind::Connect(ConnectProblem::Other)
            ),
            of_payload: false,
            date: None,
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

    /// The same failure, to be read in another way.
    pub(crate) fn into_kind(mut self, kind: ErrorKind, message: &str) -> Self {
        self.kind = kind;
        message.clone_into(&mut self.message);
        self
    }

    /// Says whether the request may have been carried out; unless it is said, the kind decides.
    pub(crate) fn with_ambiguity(mut self, ambiguous: bool) -> Self {
        self.ambiguous = ambiguous;
        self
    }

    /// Says that a write failed because of the object that was to be written. Nothing was sent, so nothing took effect.
    pub(crate) fn of_payload(mut self) -> Self {
        self.of_payload = true;
        self.with_ambiguity(false)
    }

    /// Adds the store's clock.
    pub(crate) fn with_date(mut self, date: Option<Timestamp>) -> Self {
        self.date = date;
        self
    }

    /// Says what the request had that it need not have had.
    pub(crate) fn with_refusable(mut self, refusable: Refusable) -> Self {
        self.refusable = refusable;
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
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

    /// The store's clock: the answer's `Date`, where an answer came.
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }

    /// The store's words, or ours.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message and what caused it, on one line.
    pub fn in_full(&self) -> String {
        match causes(self) {
            causes if causes.is_empty() => self.message.clone(),
            causes => format!("{}: {}", self.message, printable(&causes)),
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        use ErrorKind::{Conflict, Connect, Throttled, Timeout, Truncated, Unavailable};
        match self.kind {
            Connect(problem) => problem.is_transient(),
            kind => matches!(
                kind,
                Conflict | Throttled | Unavailable | Timeout | Truncated
            ),
        }
    }

    /// Whether the store refused a write because its precondition does not hold, or because it met another write: another process
    /// was first.
    pub fn is_refused_condition(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::PreconditionFailed | ErrorKind::Conflict
        )
    }

    /// Whether a *write* that failed like this may have taken effect all the same: some attempt of
    /// it was sent, and whether it was carried out is not known. Not only transient errors are: the
    /// last attempt may have been refused *because* an earlier one took effect.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// Whether a write failed because of the object that was to be written
    /// ([`Payload::Object`](crate::Payload::Object)): it cannot be read, or has other content. The
    /// key is that object's.
    pub fn is_of_payload(&self) -> bool {
        self.of_payload
    }

    /// The optional parts that the request had.
    pub fn had(&self) -> Refusable {
        self.refusable
    }

    /// Whether the store does not know the operation at all: 501 `NotImplemented`, 405 `MethodNotAllowed`.
    pub fn is_unknown_operation(&self) -> bool {
        let code = matches!(self.code(), Some("NotImplemented" | "MethodNotAllowed"));
        code || matches!(self.status, Some(405 | 501))
    }

    /// What a store that does not know something of the request ([`ErrorKind::Unsupported`],
    /// [`ErrorKind::Invalid`]) may have refused: the optional parts that the request had. `None` for
    /// other errors, and where it had none.
    pub fn refused(&self) -> Option<Refusable> {
        let unknown = matches!(self.kind, ErrorKind::Unsupported | ErrorKind::Invalid);
        Some(self.refusable).filter(|parts| unknown && *parts != Refusable::default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_in_the_chain_and_not_in_the_text() {
        let error = Error::new(ErrorKind::LocalFile, "PutObject", "k", "it cannot be sent")
            .with_source(std::io::Error::other("the disk is gone"));
        assert_eq!(error.to_string(), "PutObject k: it cannot be sent");
        assert_eq!(error.in_full(), "it cannot be sent: the disk is gone");
    }

    #[test]
    fn only_a_store_that_does_not_know_something_has_refused_it() {
        let acl = Refusable {
            acl: true,
            ..Refusable::default()
        };
        let refused = |kind, parts| {
            let error = Error::new(kind, "PutObject", "k", "").with_refusable(parts);
            error.refused()
        };
        assert_eq!(refused(ErrorKind::Unsupported, acl), Some(acl));
        assert_eq!(refused(ErrorKind::Invalid, acl), Some(acl));
        assert_eq!(refused(ErrorKind::PermissionDenied, acl), None);
        assert_eq!(refused(ErrorKind::Unsupported, Refusable::default()), None);
    }
}
