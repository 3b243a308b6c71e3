//! A key that signs, wherever it is kept.

use std::fmt;

use async_trait::async_trait;

use crate::{
    Certificate, Fingerprint, KeyProblem, KeyState, SignError, Signature, SignatureTime, ToSign,
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
