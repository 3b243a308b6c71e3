//! Making the three files of a signed suite from the bytes of its `Release`.

use std::fmt;

use async_trait::async_trait;
use pgp::{
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData},
    types::{Password, SigningKey, VerifyingKey},
};
use thiserror::Error;

use crate::{
    Certificate, Fingerprint, SignatureTime, algorithm::hash_name, armor, cleartext,
    cleartext::TextProblem, validity::KeyProblem,
};

/// A key that signs, wherever it is kept.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// The public half of the key.
    fn certificate(&self) -> &Certificate;

    /// Signs the bytes of a `Release` file, once as a cleartext signature and once detached.
    ///
    /// `time` is what the signatures say about when they were made. It comes from the store's clock,
    /// as `Date` in the file does; this machine's clock is not asked.
    ///
    /// # Errors
    /// If the key may not sign at that time, or if the text cannot be signed such that every client
    /// reads the same (it must end with one newline, and no line with white space).
    async fn sign(&self, release: &[u8], time: SignatureTime) -> Result<SignedRelease, SignError>;
}

/// The three files of a signed suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRelease {
    /// `InRelease`: the text in the cleartext signature framework.
    pub inrelease: Vec<u8>,
    /// `Release`: the very bytes that were given.
    pub release: Vec<u8>,
    /// `Release.gpg`: the armored detached signature of `release`.
    pub detached: Vec<u8>,
}

/// Why nothing was signed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// No key of the certificate may sign at that time.
    #[error("the key {certificate} cannot sign: {}", list(.problems))]
    NoUsableKey {
        /// The primary key.
        certificate: Fingerprint,
        /// Each key that was considered, and what is wrong with it.
        problems: Vec<(Fingerprint, KeyProblem)>,
    },
    /// The text is not fit for a signature that every client reads alike.
    #[error("the Release file cannot be signed: line {line} {problem}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: TextProblem,
    },
    /// The computation failed.
    #[error("the signature by {key} could not be made")]
    Computation {
        /// The key that was used.
        key: Fingerprint,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The signature that came out does not verify: the secret and the public half do not belong
    /// together, or the machine computes wrongly.
    #[error("the signature by {key} does not match its public key: the key file is damaged")]
    Mismatch {
        /// The key that was used.
        key: Fingerprint,
    },
}

/// Makes the files with a key that was found fit, and checks what came out.
pub(crate) fn sign_with<K: SigningKey>(
    key: &K,
    fingerprint: Fingerprint,
    public: &impl VerifyingKey,
    hash: HashAlgorithm,
    release: &[u8],
    time: SignatureTime,
) -> Result<SignedRelease, SignError> {
    cleartext::check(release).map_err(|(line, problem)| SignError::Text { line, problem })?;
    let text = signature(
        key,
        fingerprint,
        public,
        SignatureType::Text,
        hash,
        &cleartext::canonical(release),
        time,
    )?;
    let detached = signature(
        key,
        fingerprint,
        public,
        SignatureType::Binary,
        hash,
        release,
        time,
    )?;
    Ok(SignedRelease {
        inrelease: cleartext::render(release, &hash_name(hash), &text),
        release: release.to_vec(),
        detached,
    })
}

/// One armored signature.
fn signature<K: SigningKey>(
    key: &K,
    fingerprint: Fingerprint,
    public: &impl VerifyingKey,
    kind: SignatureType,
    hash: HashAlgorithm,
    data: &[u8],
    time: SignatureTime,
) -> Result<Vec<u8>, SignError> {
    let failed = |error: pgp::errors::Error| SignError::Computation {
        key: fingerprint,
        source: Box::new(error),
    };
    let make = || -> Result<Signature, pgp::errors::Error> {
        let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
            Subpacket::regular(SubpacketData::SignatureCreationTime(time.into()))?,
        ];
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
            key.legacy_key_id(),
        ))?];
        config.sign(key, &Password::empty(), data)
    };
    let signature = make().map_err(failed)?;
    signature
        .verify(public, data)
        .map_err(|_| SignError::Mismatch { key: fingerprint })?;
    armor::encode_signature(signature).map_err(failed)
}

fn list(problems: &[(Fingerprint, KeyProblem)]) -> String {
    match problems {
        [] => "it has no key for signing".to_owned(),
        [(_, problem)] => problem.to_string(),
        several => several
            .iter()
            .map(|(key, problem)| format!("{key}: {problem}"))
            .collect::<Vec<_>>()
            .join("; "),
    }
}
