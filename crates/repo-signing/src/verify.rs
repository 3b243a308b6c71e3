//! Verifying what is already in a repository, as a base to build on.
//!
//! A file counts if one of its signatures is good and comes from an accepted key that was valid when
//! it was made, which is what `gpgv`, `sqv` and apt ask for. Signatures by keys that are not in the keyring
//! are ignored (a repository may be signed by a second, newer key). One by an accepted key that does not
//! match the text makes the file bad, whatever else is on it, as it does for `gpgv`.
//!
//! No clock is read: a key is judged at the time that the signature gives, and how old a signature may
//! be is for the caller to say. Signatures that expire are accepted after that time too.

use std::{fmt, str};

use pgp::packet::{Packet, PacketParser, Signature, SignatureType, SignatureVersion};
use thiserror::Error;

use crate::{
    Fingerprint, KeyProblem, Keyring, SignatureKind, SignatureTime, algorithm, armor,
    cleartext::{self, FrameProblem},
    component::ComponentKey,
    fingerprint::{self, list},
    validity::{self, Purpose, Query},
};

/// More signatures than this on one file are an attack on time, not a repository.
const MAX_SIGNATURES: usize = 32;

/// A text with at least one good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The text without the framework, with a final newline: the bytes of the `Release` that was
    /// signed.
    pub release: Vec<u8>,
    /// The good signatures by accepted keys, at least one, in the file's order.
    pub signatures: Vec<GoodSignature>,
    /// Who made the other signatures, which were not judged.
    pub others: Vec<Issuer>,
}

/// A signature that matches, by a key that was valid when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoodSignature {
    /// The primary key of the certificate.
    pub certificate: Fingerprint,
    /// The key that made the signature: the same, or a subkey.
    pub key: Fingerprint,
    /// When the signature says it was made.
    pub created: SignatureTime,
}

/// Who a signature says made it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Issuer {
    /// A key with this fingerprint.
    Fingerprint(Fingerprint),
    /// A key with this ID (16 digits), or with a fingerprint of another version.
    KeyId(String),
    /// It does not say.
    Unknown,
}

/// Why a signature by an accepted key does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureProblem {
    /// Its digest is broken, or one that not every client knows.
    #[error("it uses {0}, which is not accepted")]
    Hash(String),
    /// Its digest is not the one that `Hash:` announces, and `gpgv` would compute another.
    #[error("it uses {0}, which the Hash header does not announce")]
    HashNotAnnounced(String),
    /// It signs something else than a text of this kind.
    #[error("it is not a signature of a file of this kind")]
    Kind,
    /// It is not of version 4, lacks its time, or has a critical part that is not understood.
    #[error("it is not of version 4, has no time, or has critical parts that are not known")]
    Form,
    /// The key that made it was not valid at that time.
    #[error("its key cannot be used: {0}")]
    Key(KeyProblem),
}

/// Why a file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no cleartext signature.
    #[error("it is not a clearsigned file (“-----BEGIN PGP SIGNED MESSAGE-----” is missing)")]
    NotClearsigned,
    /// There is text that no signature covers, before the signed message or after it.
    #[error("line {line} is outside of the signed message")]
    TextOutside {
        /// The first such line, from 1.
        line: usize,
    },
    /// The framework is broken, or ambiguous.
    #[error("line {line} breaks the signed message: {what}")]
    Frame {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What should be signatures cannot be read as such.
    #[error("the signature cannot be read")]
    Unreadable,
    /// All signatures come from keys that are not accepted.
    #[error("it is signed by {}, which is not an accepted key", list(.0))]
    UnknownKey(Vec<Issuer>),
    /// An accepted key's signature does not match the text: the text, or the signature, was changed.
    #[error("the signature by {0} is bad: the file was changed after it was signed")]
    BadSignature(Fingerprint),
    /// An accepted key made a signature that does not count.
    #[error("the signature by {key} is not accepted: {problem}")]
    Unusable {
        /// The key that made it.
        key: Fingerprint,
        /// What is wrong with it.
        problem: SignatureProblem,
    },
}

impl From<FrameProblem> for VerifyError {
    fn from(problem: FrameProblem) -> Self {
        match problem {
            FrameProblem::NotClearsigned => Self::NotClearsigned,
            FrameProblem::Outside(line) => Self::TextOutside { line },
            FrameProblem::Line(line, what) => Self::Frame { line, what },
        }
    }
}

/// The text of an `InRelease`, whose signatures are not verified: for showing it where there is no key.
/// Nothing may be built on it.
///
/// # Errors
/// If it is not a signed message.
pub fn unverified_text(inrelease: &[u8]) -> Result<Vec<u8>, VerifyError> {
    Ok(cleartext::parse(inrelease)?.text)
}

impl Keyring {
    /// Verifies an `InRelease` and gives the text that is signed.
    ///
    /// Nothing may precede or follow the signed message, and lines must have no CR. White space at the
    /// ends of lines, which no signature covers, is left out of the text.
    ///
    /// # Errors
    /// If it is not a signed message, or has no good signature by an accepted key, or a bad one by an
    /// accepted key.
    pub fn verify_inrelease(&self, inrelease: &[u8]) -> Result<Verified, VerifyError> {
        let message = cleartext::parse(inrelease)?;
        let data = cleartext::canonical(&message.text);
        let signatures = read_signatures(message.armored_signature)?;
        let (signatures, others) = self.judge(&signatures, &message.hashes, &data)?;
        Ok(Verified {
            signatures,
            others,
            release: message.text,
        })
    }

    /// Verifies a `Release` with the detached signatures in its `Release.gpg`.
    ///
    /// # Errors
    /// As [`Keyring::verify_inrelease`].
    pub fn verify_detached(
        &self,
        release: &[u8],
        armored: &[u8],
    ) -> Result<Vec<GoodSignature>, VerifyError> {
        let verified = self.verify_release(release, armored)?;
        Ok(verified.signatures)
    }

    /// The same, with who made the signatures that do not count.
    ///
    /// # Errors
    /// As [`Keyring::verify_inrelease`].
    pub fn verify_release(&self, release: &[u8], armored: &[u8]) -> Result<Verified, VerifyError> {
        let (signatures, others) = self.judge(&read_signatures(armored)?, &[], release)?;
        Ok(Verified {
            release: release.to_vec(),
            signatures,
            others,
        })
    }

    /// The good signatures, once none is bad, and who made those by unknown keys.
    fn judge(
        &self,
        signatures: &[Signature],
        announced: &[&str],
        data: &[u8],
    ) -> Result<(Vec<GoodSignature>, Vec<Issuer>), VerifyError> {
        let kinds = [SignatureType::Text, SignatureType::Binary];
        let mut good = Vec::new();
        let mut unusable = None;
        let mut unknown = Vec::new();
        for signature in signatures {
            let mut is_known = false;
            for key in self.authors(signature) {
                is_known = true;
                match check(key, signature, &kinds, announced, data) {
                    Ok(found) if good.contains(&found) => {}
                    Ok(found) => good.push(found),
                    Err(error @ VerifyError::BadSignature(_)) => return Err(error),
                    Err(error) => unusable = unusable.or(Some(error)),
                }
            }
            if !is_known {
                unknown.push(issuer(signature));
            }
        }
        if good.is_empty() {
            return Err(unusable.unwrap_or(VerifyError::UnknownKey(unknown)));
        }
        Ok((good, unknown))
    }

    /// The keys that a signature names as its author.
    fn authors<'a>(
        &'a self,
        signature: &'a Signature,
    ) -> impl Iterator<Item = ComponentKey<'a>> + 'a {
        self.certificates
            .iter()
            .flat_map(|certificate| certificate.components())
            .filter(|key| validity::is_by(signature, key.details()))
    }
}

fn check(
    key: ComponentKey<'_>,
    signature: &Signature,
    kinds: &[SignatureType],
    announced: &[&str],
    data: &[u8],
) -> Result<GoodSignature, VerifyError> {
    let unusable = |problem| VerifyError::Unusable {
        key: key.fingerprint(),
        problem,
    };
    let created = check_form(signature, kinds, announced).map_err(unusable)?;
    let key_problem = |problem| unusable(SignatureProblem::Key(problem));
    algorithm::check_key(key.details()).map_err(key_problem)?;
    if !key.verifies(signature, data) {
        return Err(VerifyError::BadSignature(key.fingerprint()));
    }
    let query = Query {
        time: created,
        purpose: Purpose::Verify,
    };
    key.check(query).map_err(key_problem)?;
    Ok(GoodSignature {
        certificate: key.certificate().fingerprint(),
        key: key.fingerprint(),
        created,
    })
}

/// What a new signature must be.
pub(crate) struct Expected<'a> {
    pub(crate) kind: SignatureKind,
    pub(crate) time: SignatureTime,
    pub(crate) data: &'a [u8],
}

/// Whether a new signature by `key` is good, and the one that was asked for.
pub(crate) fn is_as_expected(
    key: ComponentKey<'_>,
    signature: &Signature,
    expected: &Expected<'_>,
) -> bool {
    let kind = match expected.kind {
        SignatureKind::Text => SignatureType::Text,
        SignatureKind::Binary => SignatureType::Binary,
    };
    validity::is_by(signature, key.details())
        && check(key, signature, &[kind], &[], expected.data)
            .is_ok_and(|good| good.created == expected.time)
}

/// Checks what can be checked without computing, and gives the signature's time.
fn check_form(
    signature: &Signature,
    kinds: &[SignatureType],
    announced: &[&str],
) -> Result<SignatureTime, SignatureProblem> {
    let created = signature.created().ok_or(SignatureProblem::Form)?;
    if !validity::is_well_formed(signature) {
        return Err(SignatureProblem::Form);
    }
    if !signature.typ().is_some_and(|kind| kinds.contains(&kind)) {
        return Err(SignatureProblem::Kind);
    }
    let hash = signature.hash_alg().ok_or(SignatureProblem::Form)?;
    let name = hash.to_string();
    if !algorithm::is_accepted_hash(hash) {
        return Err(SignatureProblem::Hash(name));
    }
    if !announced.is_empty() && !announced.contains(&name.as_str()) {
        return Err(SignatureProblem::HashNotAnnounced(name));
    }
    Ok(created.into())
}

fn issuer(signature: &Signature) -> Issuer {
    if let Some(issuer) = signature.issuer_fingerprint().first() {
        return fingerprint::convert(issuer)
            .map_or_else(|| Issuer::KeyId(format!("{issuer:X}")), Issuer::Fingerprint);
    }
    match signature.issuer_key_id().first() {
        Some(id) => Issuer::KeyId(hex::encode_upper(id)),
        None => Issuer::Unknown,
    }
}

/// The signatures in an armored block, or in binary form, with nothing else.
fn read_signatures(armored: &[u8]) -> Result<Vec<Signature>, VerifyError> {
    let bytes = armor::packets(armored).map_err(|_| VerifyError::Unreadable)?;
    let mut signatures = Vec::new();
    for packet in PacketParser::new(bytes.as_slice()) {
        match packet {
            Ok(Packet::Signature(signature)) => signatures.push(signature),
            Ok(_) | Err(_) => return Err(VerifyError::Unreadable),
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(VerifyError::Unreadable);
        }
    }
    // A version that is not known has no issuer to look up: it is ignored, as clients do.
    signatures.retain(|signature| {
        signature.version() == SignatureVersion::V4 || signature.config().is_some()
    });
    if signatures.is_empty() {
        Err(VerifyError::Unreadable)
    } else {
        Ok(signatures)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(fingerprint) => write!(f, "{fingerprint}"),
            Self::KeyId(id) => write!(f, "key ID {id}"),
            Self::Unknown => f.write_str("an unnamed key"),
        }
    }
}
