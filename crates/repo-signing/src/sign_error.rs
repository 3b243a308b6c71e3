//! Why nothing was signed.

use thiserror::Error;

use crate::{Fingerprint, KeyProblem, TextProblem};

/// Why nothing was signed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key may not sign at that time, or the signer does not hold it.
    #[error("the key {key} cannot sign: {problem}")]
    Key {
        /// The key that was asked for.
        key: Fingerprint,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// Clients would read the text differently.
    #[error("the Release file cannot be signed: line {line} {problem}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: TextProblem,
    },
    /// No signer was given.
    #[error("no key to sign with was given")]
    NoSigner,
    /// The computation failed, or the service that does it.
    #[error("the signature by {key} could not be made")]
    Computation {
        /// The key that was used.
        key: Fingerprint,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The signature does not verify with the certificate, or is not the one that was asked for: the
    /// secret and the public half do not belong together, or the signer computes wrongly.
    #[error("the signature by {key} does not match its certificate: the key is damaged")]
    Mismatch {
        /// The key that was used.
        key: Fingerprint,
    },
}

impl SignError {
    /// A failed computation.
    pub fn computation(
        key: Fingerprint,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Computation {
            key,
            source: cause.into(),
        }
    }
}
