//! How a failed item is told to apt: `400 URI Failure` with a message for people and a reason for
//! apt.
//!
//! apt acts on three things (`apt-pkg/acquire-worker.cc`, `acquire-item.cc`):
//! - a *transient* failure is retried a few times, after which `apt update` only warns and keeps
//!   its old data. So wrong credentials must never be transient, or a device would stay outdated in
//!   silence;
//! - a reason that begins with `HttpError`, other than `HttpError404`, ends the attempt on
//!   `InRelease`; any other lets apt go on to `Release`, and its final words are then "does not
//!   have a Release file". So whatever is not a missing file has an `HttpError` reason;
//! - `MaximumSizeExceeded` marks the file as suspect.
//!
//! Messages are one line, say what to do next and hold no secret.

use std::io;

use s3_storage::{ConnectProblem, Error, ErrorKind};

use crate::fetch::secrets::Secrets;

/// Why an item failed, as apt is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people: one line.
    pub message: String,
    /// For apt.
    pub reason: Reason,
    /// Whether the same request may succeed in a moment.
    pub transient: bool,
}

/// The value of the `FailReason` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `HttpError` and a status.
    Http(u16),
    /// The store does not listen.
    ConnectionRefused,
    /// No connection came about.
    ConnectionTimedOut,
    /// Nothing arrived for too long.
    Timeout,
    /// The store's name has no address.
    ResolveFailure,
    /// The store asks to slow down.
    TooManyRequests,
    /// More bytes than apt allows.
    MaximumSizeExceeded,
    /// None that apt knows.
    Other,
}

impl Reason {
    /// The value of the field; `None` leaves it out.
    pub fn field(self) -> Option<String> {
        let name = match self {
            Self::Http(status) => return Some(format!("HttpError{status}")),
            Self::ConnectionRefused => "ConnectionRefused",
            Self::ConnectionTimedOut => "ConnectionTimedOut",
            Self::Timeout => "Timeout",
            Self::ResolveFailure => "ResolveFailure",
            Self::TooManyRequests => "TooManyRequests",
            Self::MaximumSizeExceeded => "MaximumSizeExceeded",
            Self::Other => return None,
        };
        Some(name.to_owned())
    }
}

impl Failure {
    /// A failure that will be the same the next time.
    pub fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            reason,
            transient: false,
        }
    }

    /// A failure that may be gone the next time.
    pub fn transient(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            reason,
            transient: true,
        }
    }

    /// Something in the configuration is wrong. It has a reason that keeps apt from looking for
    /// another spelling of the same file.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::lasting(Reason::Http(400), message)
    }

    /// A local file failed.
    pub fn local(what: &str, error: &io::Error) -> Self {
        Self::lasting(Reason::Other, format!("{what}: {error}"))
    }

    /// The failure of a request for `object` (`s3://bucket/key`).
    pub(crate) fn of_request(object: &str, error: &Error, secrets: &Secrets) -> Self {
        let status = |default: u16| {
            Reason::Http(
                error
                    .status()
                    .filter(|status| *status >= 400)
                    .unwrap_or(default),
            )
        };
        let said = secrets.hide(said(error));
        match error.kind() {
            ErrorKind::NotFound => Self::lasting(
                Reason::Http(404),
                format!("404 Not Found: {object} does not exist"),
            ),
            // Not a missing file: apt must not go on to look for Release in a bucket that is not
            // there.
            ErrorKind::NoSuchBucket => Self::lasting(
                Reason::Http(400),
                format!(
                    "the bucket of {object} does not exist: check its name, and Endpoint if it is not \
 on AWS ({said})"
                ),
            ),
            ErrorKind::PermissionDenied => {
                let hint = "these credentials need s3:GetObject on it (a missing file reads like this \
 too, without s3:ListBucket)";
                Self::lasting(
                    status(403),
                    format!("403 Forbidden: {object}: {said}: {hint}"),
                )
            }
            ErrorKind::BadCredentials if error.status().is_some() => {
                let hint =
                    "the credentials are wrong or have expired: renew them where they come from";
                Self::lasting(
                    status(403),
                    format!("403 Forbidden: {object}: {said}: {hint}"),
                )
            }
            // What has no status did not come from the store: a source of credentials says it.
            ErrorKind::BadCredentials | ErrorKind::NoCredentials => Self::lasting(
                Reason::Http(401),
                format!("no credentials for {object}: {said}"),
            ),
            ErrorKind::ClockSkew => Self::lasting(
                status(403),
                format!(
                    "{object}: this machine's clock is too far from the store's: set it right \
 ({said})"
                ),
            ),
            ErrorKind::Throttled => Self::transient(
                Reason::TooManyRequests,
                format!("{object}: the store asks to slow down ({said})"),
            ),
            ErrorKind::Timeout => Self::transient(Reason::Timeout, format!("{object}: {said}")),
            ErrorKind::Connect(problem) => Self::of_connection(object, problem, &said),
            ErrorKind::Truncated => Self::transient(
                Reason::Other,
                format!("{object}: the transfer was cut short ({said}); what arrived is kept"),
            ),
            ErrorKind::ChecksumMismatch => {
                Self::transient(Reason::Other, format!("{object}: {said}"))
            }
            ErrorKind::LocalFile => Self::lasting(Reason::Other, said),
            _ if error.is_transient() => Self::transient(status(503), format!("{object}: {said}")),
            _ => Self::lasting(status(400), format!("{object}: {said}")),
        }
    }

    fn of_connection(object: &str, problem: ConnectProblem, said: &str) -> Self {
        let reason = match problem {
            // A server that cannot show who it is: waiting will not help, and apt must not pass over
            // it.
            ConnectProblem::Untrusted => {
                let hint = "if it is private, name its authority's file in CAInfo or AWS_CA_BUNDLE, or for AWS IoT Core \
 in IotCAFile";
                return Self::lasting(
                    Reason::Http(495),
                    format!("{object}: the server's certificate is not trusted: {said}; {hint}"),
                );
            }
            ConnectProblem::NotValidNow => {
                let hint = "set this machine's clock; if it is right, the server's certificate is out of date";
                return Self::lasting(
                    Reason::Http(495),
                    format!(
                        "{object}: the clock and the server's certificate do not agree: {said}; {hint}"
                    ),
                );
            }
            ConnectProblem::WrongProtocol => {
                return Self::configuration(format!(
                    "{object}: {said}: check whether Endpoint begins with http:// or https:// as it must"
                ));
            }
            ConnectProblem::Refused => Reason::ConnectionRefused,
            ConnectProblem::TimedOut => Reason::ConnectionTimedOut,
            ConnectProblem::Unresolved => Reason::ResolveFailure,
            _ => Reason::Other,
        };
        Self::transient(reason, format!("{object}: {said}"))
    }
}

/// The store's words and code, or ours with the causes, on one line.
fn said(error: &Error) -> String {
    let words = error.in_full();
    match error.code() {
        Some(code) if words.is_empty() => code.to_owned(),
        Some(code) => format!("{code}: {}", words.trim_end_matches('.')),
        None => words.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: ErrorKind, status: Option<u16>, code: Option<&str>) -> Failure {
        let error =
            Error::new(kind, "GetObject", "k", "the store's words.").with_answer(status, code);
        Failure::of_request("s3://b/k", &error, &Secrets::default())
    }

    fn field(failure: &Failure) -> Option<String> {
        failure.reason.field()
    }

    #[test]
    fn only_a_missing_file_is_a_404() {
        assert_eq!(
            field(&failure(ErrorKind::NotFound, Some(404), Some("NoSuchKey"))).as_deref(),
            Some("HttpError404")
        );
        for kind in [
            ErrorKind::NoSuchBucket,
            ErrorKind::PermissionDenied,
            ErrorKind::BadCredentials,
            ErrorKind::NoCredentials,
            ErrorKind::Invalid,
        ] {
            let reason = field(&failure(kind, None, None)).unwrap();
            assert!(
                reason.starts_with("HttpError4") && reason != "HttpError404",
                "{kind:?}: {reason}"
            );
        }
        assert_ne!(
            field(&failure(ErrorKind::NoSuchBucket, Some(404), None)).as_deref(),
            Some("HttpError404")
        );
    }

    #[test]
    fn credentials_are_never_transient_and_the_network_always_is() {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::BadCredentials,
            ErrorKind::NoCredentials,
            ErrorKind::ClockSkew,
        ] {
            assert!(!failure(kind, Some(403), None).transient, "{kind:?}");
        }
        for kind in [
            ErrorKind::Timeout,
            ErrorKind::Connect(ConnectProblem::Other),
            ErrorKind::Truncated,
            ErrorKind::Throttled,
            ErrorKind::Unavailable,
        ] {
            assert!(failure(kind, None, None).transient, "{kind:?}");
        }
        assert_eq!(
            field(&failure(ErrorKind::Throttled, Some(503), Some("SlowDown"))).as_deref(),
            Some("TooManyRequests")
        );
        assert_eq!(
            field(&failure(ErrorKind::Timeout, None, None)).as_deref(),
            Some("Timeout")
        );
    }

    #[test]
    fn each_problem_of_a_connection_has_its_reason() {
        let of = |problem| failure(ErrorKind::Connect(problem), None, None);
        for (problem, reason) in [
            (ConnectProblem::Refused, Reason::ConnectionRefused),
            (ConnectProblem::TimedOut, Reason::ConnectionTimedOut),
            (ConnectProblem::Unresolved, Reason::ResolveFailure),
            (ConnectProblem::Other, Reason::Other),
        ] {
            let failure = of(problem);
            assert_eq!((failure.reason, failure.transient), (reason, true));
        }
        let untrusted = of(ConnectProblem::Untrusted);
        assert!(!untrusted.transient && untrusted.message.contains("AWS_CA_BUNDLE"));
        let wrong = of(ConnectProblem::WrongProtocol);
        assert!(!wrong.transient && wrong.message.contains("Endpoint"));
    }

    #[test]
    fn words_decide_nothing() {
        for words in [
            "certificate",
            "Connection refused",
            "dns error",
            "timed out",
        ] {
            let error = Error::new(
                ErrorKind::Connect(ConnectProblem::Other),
                "GetObject",
                "k",
                words,
            )
            .with_source(io::Error::other(words));
            let failure = Failure::of_request("s3://b/k", &error, &Secrets::default());
            assert_eq!(failure.reason, Reason::Other, "{words}");
        }
    }

    #[test]
    fn causes_are_in_the_message_once() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let kind = ErrorKind::Connect(ConnectProblem::Refused);
        let error =
            Error::new(kind, "GetObject", "k", "cannot reach http://s").with_source(refused);
        assert_eq!(
            Failure::of_request("s3://b/k", &error, &Secrets::default()).message,
            "s3://b/k: cannot reach http://s: connection refused"
        );
    }

    #[test]
    fn messages_hold_the_stores_words() {
        let failure = failure(ErrorKind::PermissionDenied, Some(403), Some("AccessDenied"));
        assert!(
            failure
                .message
                .starts_with("403 Forbidden: s3://b/k: AccessDenied: the store's words:"),
            "{}",
            failure.message
        );
    }
}
