//! A key that signs, wherever it is kept.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

use crate::{
    Certificate, Fingerprint, KeyProblem, KeyState, Signature, SignatureTime, TextProblem, ToSign,
};

/// Makes signatures with the secret keys of one certificate.
///
/// [`KeyFile`](crate::KeyFile) has them in memory. A signer that reaches them elsewhere (a key
/// management service, an HSM) calls [`ToSign::prepare`], sends the digest, and gives what comes back
/// to [`Unsigned::assemble`](crate::Unsigned::assemble).
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// The public half of the keys.
    fn certificate(&self) -> &Certificate;

    /// The keys of the certificate that the signer holds and that are meant for signing: the subkeys,
    /// newest first, then the primary key. Whether one may sign at some time is for
    /// [`keys_at`] to say.
    fn keys(&self) -> &[Fingerprint];

    /// Makes one signature.
    ///
    /// # Errors
    /// If the signer does not hold the key, if the key may not sign at that time, or if the
    /// computation fails.
    async fn sign(&self, data: &ToSign<'_>) -> Result<Signature, SignError>;
}

/// A key of a signer at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAt {
    /// The key.
    pub key: Fingerprint,
    /// Whether it may sign.
    pub state: Result<KeyState, KeyProblem>,
}

/// What each of the signer's keys could do at a time, in the order of [`Signer::keys`].
pub fn keys_at(signer: &dyn Signer, time: SignatureTime) -> Vec<KeyAt> {
    signer
        .keys()
        .iter()
        .map(|&key| KeyAt {
            key,
            state: signer.certificate().check(key, time),
        })
        .collect()
}

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
        /// The cause.
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
