//! Making one signature, wherever the secret key is.
//!
//! A signer prepares ([`ToSign::prepare`]), has its secret key compute a value from the digest, and
//! assembles the packet ([`Unsigned::assemble`]). So a service that only signs digests (AWS KMS, an
//! HSM) needs to know nothing of OpenPGP.

use std::fmt;

use pgp::{
    crypto::hash::HashAlgorithm,
    packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData},
    types::{Mpi, SignatureBytes},
};

use crate::{
    Certificate, Fingerprint, SignError, SignatureTime,
    validity::{Purpose, Query},
};

/// Which of OpenPGP's two signatures of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// Of a text, as in the cleartext signature framework.
    Text,
    /// Of bytes, as in a detached signature.
    Binary,
}

/// What to sign, with which key, and with which time.
#[derive(Clone, Copy)]
pub struct ToSign<'a> {
    /// The kind of signature.
    pub kind: SignatureKind,
    /// What is signed. A text has CR LF between its lines.
    pub data: &'a [u8],
    /// When the signature says that it was made.
    pub time: SignatureTime,
    /// The key that signs, one of [`Signer::keys`](crate::Signer::keys).
    pub key: Fingerprint,
}

/// A signature that lacks only the value that the secret key computes.
pub struct Unsigned {
    config: SignatureConfig,
    digest: Vec<u8>,
    key: Fingerprint,
}

/// The digest that a signature is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

/// The value that a secret key computes from a digest, all numbers in big-endian order.
#[derive(Clone, PartialEq, Eq)]
pub enum RawSignature {
    /// RSA with PKCS #1 v1.5 padding.
    Rsa(Vec<u8>),
    Ecdsa {
        r: Vec<u8>,
        s: Vec<u8>,
    },
    /// Ed25519, where the digest is the message that is signed (not Ed25519ph).
    Ed25519([u8; 64]),
}

/// One OpenPGP signature, without armor.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(pgp::packet::Signature);

impl ToSign<'_> {
    /// Computes what the secret key is to sign.
    ///
    /// # Errors
    /// [`SignError::Key`] if the key may not sign at that time.
    pub fn prepare(&self, certificate: &Certificate) -> Result<Unsigned, SignError> {
        let query = Query {
            time: self.time,
            purpose: Purpose::Sign,
        };
        let component = certificate
            .component(self.key)
            .and_then(|component| component.check(query).map(|_| component))
            .map_err(|problem| SignError::Key {
                key: self.key,
                problem,
            })?;
        let kind = match self.kind {
            SignatureKind::Text => SignatureType::Text,
            SignatureKind::Binary => SignatureType::Binary,
        };
        let make = || -> Result<Unsigned, pgp::errors::Error> {
            let mut config = SignatureConfig::v4(
                kind,
                component.details().algorithm(),
                component.signing_hash(query),
            );
            let issuer = pgp::types::Fingerprint::V4(self.key.to_bytes());
            config.hashed_subpackets = vec![
                Subpacket::regular(SubpacketData::IssuerFingerprint(issuer))?,
                Subpacket::regular(SubpacketData::SignatureCreationTime(self.time.into()))?,
            ];
            config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
                component.details().legacy_key_id(),
            ))?];
            let mut hasher = config.hash_alg.new_hasher()?;
            hasher.update(self.data);
            let length = config.hash_signature_data(&mut hasher)?;
            hasher.update(&config.trailer(length)?);
            Ok(Unsigned {
                config,
                digest: hasher.finalize().into_vec(),
                key: self.key,
            })
        };
        make().map_err(|error| SignError::computation(self.key, error))
    }
}

impl Unsigned {
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        match self.config.hash_alg {
            HashAlgorithm::Sha256 => DigestAlgorithm::Sha256,
            HashAlgorithm::Sha384 => DigestAlgorithm::Sha384,
            _ => DigestAlgorithm::Sha512,
        }
    }

    /// Adds the value. Whether it is right is checked by [`sign_release`](crate::sign_release).
    ///
    /// # Errors
    /// [`SignError::Computation`] if the packet would be too long.
    pub fn assemble(self, value: &RawSignature) -> Result<Signature, SignError> {
        let numbers: &[&[u8]] = match value {
            RawSignature::Rsa(value) => &[value],
            RawSignature::Ecdsa { r, s } => &[r, s],
            RawSignature::Ed25519(value) => {
                let (r, s) = value.split_at(32);
                &[r, s]
            }
        };
        let numbers = numbers.iter().copied().map(Mpi::from_slice).collect();
        self.assemble_bytes(SignatureBytes::Mpis(numbers))
    }

    pub(crate) fn hash(&self) -> HashAlgorithm {
        self.config.hash_alg
    }

    pub(crate) fn assemble_bytes(self, value: SignatureBytes) -> Result<Signature, SignError> {
        let start = match self.digest.as_slice() {
            [first, second, ..] => [*first, *second],
            _ => [0; 2],
        };
        pgp::packet::Signature::from_config(self.config, start, value)
            .map(Signature)
            .map_err(|error| SignError::computation(self.key, error))
    }
}

impl Signature {
    /// The digest's name in the `Hash` header of a cleartext signature.
    pub(crate) fn hash_name(&self) -> Option<String> {
        self.0.hash_alg().map(|hash| hash.to_string())
    }

    pub(crate) fn packet(&self) -> &pgp::packet::Signature {
        &self.0
    }
}

impl fmt::Debug for ToSign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToSign")
            .field("kind", &self.kind)
            .field("time", &self.time)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsigned")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RawSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "Rsa(…)",
            Self::Ecdsa { .. } => "Ecdsa(…)",
            Self::Ed25519(_) => "Ed25519(…)",
        })
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}
