//! Why no answer came, found among the causes of an error by their types and values, never by their
//! text.

use std::{error::Error as StdError, io};

use aws_smithy_async::future::timeout::TimedOutError;
use aws_smithy_runtime_api::client::{dns::ResolveDnsError, result::ConnectorError};
use rustls::CertificateError;

use crate::Silence;

/// No server can be trusted.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no certificate authorities (the package ca-certificates is missing)")]
pub(crate) struct NoAuthorities;

/// Why a server could not be reached, or not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectProblem {
    /// Nothing listens at the address.
    Refused,
    /// The name has no address, or the name servers could not be asked.
    Unresolved,
    /// No connection came about in time.
    TimedOut,
    /// The server's certificate is not accepted: another authority or name.
    Untrusted,
    /// The server's certificate is not valid at the time of this machine's clock, which may be wrong.
    NotValidNow,
    /// The server speaks something else: http where https was spoken, or the reverse.
    WrongProtocol,
    /// Anything else: the connection broke, the network is unreachable, the proxy refused.
    Other,
}

impl ConnectProblem {
    /// Whether the same may succeed later.
    pub fn is_transient(self) -> bool {
        !matches!(
            self,
            Self::Untrusted | Self::NotValidNow | Self::WrongProtocol
        )
    }

    /// The problem that `error` or one of its causes is; `None` where none of them is about a
    /// connection.
    pub fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let problems = chain(error).filter_map(Self::of_cause);
        // The first that says more than that there was one.
        problems.reduce(|found, problem| if found == Self::Other { problem } else { found })
    }

    fn of_cause(cause: &(dyn StdError + 'static)) -> Option<Self> {
        use io::ErrorKind::{
            AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
            HostUnreachable, NetworkDown, NetworkUnreachable, NotConnected, TimedOut,
            UnexpectedEof,
        };
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(match tls {
                rustls::Error::InvalidCertificate(
                    CertificateError::Expired
                    | CertificateError::ExpiredContext { .. }
                    | CertificateError::NotValidYet
                    | CertificateError::NotValidYetContext { .. },
                ) => Self::NotValidNow,
                rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::UnsupportedNameType => Self::Untrusted,
                rustls::Error::InvalidMessage(_) => Self::WrongProtocol,
                _ => Self::Other,
            });
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            return Some(if http.is_parse() {
                Self::WrongProtocol
            } else {
                Self::Other
            });
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match io.kind() {
                ConnectionRefused => Some(Self::Refused),
                TimedOut => Some(Self::TimedOut),
                AddrNotAvailable | BrokenPipe | ConnectionAborted | ConnectionReset
                | HostUnreachable | NetworkDown | NetworkUnreachable | NotConnected
                | UnexpectedEof => Some(Self::Other),
                // Of a file, or of what it wraps.
                _ => None,
            };
        }
        if cause.is::<NoAuthorities>() {
            Some(Self::Untrusted)
        } else if cause.is::<ResolveDnsError>() {
            Some(Self::Unresolved)
        } else if cause.is::<TimedOutError>() || cause.is::<Silence>() {
            Some(Self::TimedOut)
        } else {
            let connector: &ConnectorError = cause.downcast_ref()?;
            (!connector.is_user()).then_some(Self::Other)
        }
    }
}

/// An error and its causes, outermost first. What an [`io::Error`] wraps is one of them: its
/// `source()` would skip it.
fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner as &(dyn StdError + 'static)),
            _ => error.source(),
        }
    })
}

/// The first of type `T` among an error and its causes.
pub fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// What the causes below `error` say, outermost first, on one line. Many of them repeat the text of
/// the next: what has been said already is left out.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut words = String::new();
    for text in chain(error).skip(1).map(|cause| cause.to_string()) {
        if !words.ends_with(&text) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_inside_io_errors() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(ConnectProblem::of(&nested), Some(ConnectProblem::Untrusted));
        assert!(cause::<rustls::Error>(&nested).is_some());
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(ConnectProblem::of(&refused), Some(ConnectProblem::Refused));
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(ConnectProblem::of(&broken), Some(ConnectProblem::Other));
        let file = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(ConnectProblem::of(&file), None);
    }

    #[test]
    fn a_text_that_names_a_problem_is_none() {
        for text in [
            "certificate",
            "Connection refused",
            "dns error",
            "timed out",
        ] {
            assert_eq!(ConnectProblem::of(&io::Error::other(text)), None, "{text}");
        }
    }

    #[test]
    fn causes_are_listed_once_each() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, "inner");
        let outer = io::Error::other(inner);
        assert_eq!(causes(&outer), "inner");
    }
}
