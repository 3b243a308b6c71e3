//! What a key may do at a time, or why it may not.

use thiserror::Error;

use crate::{Fingerprint, SignatureTime};

/// The shortest RSA modulus that is accepted, in bits: what `sqv` and apt accept. New keys should
/// have 3072 or more.
pub(crate) const MIN_RSA_BITS: u16 = 2048;

/// A key that may sign at the time that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyState {
    pub key: Fingerprint,
    /// When it stops being valid: the earliest end of the key itself, of its primary key, and of the
    /// self-signatures that give them their rights. `None` if nothing expires.
    pub expires: Option<SignatureTime>,
}

/// Why a key may not sign at a time. Continues a sentence about the key: “the key 0123… cannot sign:
/// it expired at …”.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The key, or the signature that gives it its rights, is newer than the time of the signature.
    #[error(
        "it was made at {created}, after the time of the signature ({time}), and clients would refuse that; \
         signatures carry the time of the store's clock, so either the key is too new or it was made with a clock that was ahead"
    )]
    NotYetCreated {
        /// When the key or its self-signature was made.
        created: SignatureTime,
        /// The time of the signature.
        time: SignatureTime,
    },
    /// The key had expired.
    #[error("it expired at {at}, before the time of the signature ({time})")]
    Expired {
        at: SignatureTime,
        /// The time of the signature.
        time: SignatureTime,
    },
    /// The key is revoked, and the revocation counts at the time of the signature.
    #[error("it was revoked at {at}")]
    Revoked {
        /// When the revocation was made.
        at: SignatureTime,
    },
    /// The key's flags do not allow it to sign data.
    #[error("it is not meant for signing (its key flags say so)")]
    NotForSigning,
    /// No valid signature binds the key to its certificate.
    #[error("it has no valid self-signature")]
    NotBound,
    /// The signatures that bind the key use a broken digest.
    #[error(
        "its self-signatures use SHA-1 or another broken digest, which sqv refuses (renew them, for example by setting the key's expiry again)"
    )]
    WeakSelfSignature,
    /// A signing subkey does not say itself that it belongs to the primary key.
    #[error("the subkey lacks its back-signature, so it may have been taken from another key")]
    NoBackSignature,
    /// An RSA key that apt does not accept.
    #[error("its RSA modulus has {bits} bits, and at least {MIN_RSA_BITS} are needed")]
    RsaTooShort {
        /// The length of the modulus.
        bits: u16,
    },
    /// A curve that not every client supports, by its name.
    #[error("its curve is not supported: {0} (use Ed25519 or a NIST curve)")]
    Curve(&'static str),
    /// A curve that is not known.
    #[error("its curve is not supported: it is not a known one (use Ed25519 or a NIST curve)")]
    UnknownCurve,
    /// An algorithm that does not sign, or that not every client supports, by its name.
    #[error("its algorithm is not supported: {0} (use Ed25519, RSA or ECDSA)")]
    Algorithm(&'static str),
    /// An algorithm that is not known, by its number.
    #[error(
        "its algorithm is not supported: number {0} is not a known one (use Ed25519, RSA or ECDSA)"
    )]
    UnknownAlgorithm(u8),
    /// The key is not of version 4.
    #[error("it is a version {0} key, and gpgv of Debian 12 and older supports version 4 only")]
    Version(u8),
    /// The signer has only the public half, or a stub of the secret one.
    #[error("its secret part is not there")]
    NoSecret,
    /// The certificate has no such key.
    #[error("it is not in the certificate")]
    NotInCertificate,
    /// The primary key of a subkey has a problem.
    #[error("its primary key cannot be used: {0}")]
    Primary(Box<KeyProblem>),
}
