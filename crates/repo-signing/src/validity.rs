//! Whether a key may sign at a point in time, from the signatures that hold its certificate together
//! ([RFC 9580, section 5.2.3.10](https://www.rfc-editor.org/rfc/rfc9580.html#name-notes-on-self-signatures)).
//!
//! - The primary key's flags and expiry are those of its primary user ID's newest self-signature,
//!   or of a direct-key signature where no user ID says anything.
//! - A subkey needs a binding by the primary key with the sign flag, a back-signature of its own, and a
//!   primary key that is valid at the same time.
//! - A revocation as compromised, or without a reason, counts for all times; one as superseded or
//!   retired from its own date on.
//!
//! The newest self-signature that is not younger than the asked time counts. `gpg` replaces a
//! self-signature when a key's expiry is extended; so in [`Purpose::Verify`], where there is none so
//! old, the oldest one counts, lest all earlier signatures of that key be refused.
//!
//! Revocations by other keys (designated revokers) are not looked at.

use pgp::{
    composed::{SignedPublicKey, SignedPublicSubKey},
    crypto::hash::HashAlgorithm,
    packet::{
        KeyFlags, PublicKey, RevocationCode, Signature, SignatureType, SignatureVersion,
        SubpacketData,
    },
    types::{KeyDetails, KeyVersion, Tag},
};
use thiserror::Error;

use crate::{SignatureTime, algorithm};

/// Why a key may not sign at a time. Reads on after the key's name: “0123…: it expired at …”.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The key, or the signature that gives it its rights, is younger than the signature's time.
    #[error(
        "it was made at {created}, after the time of the signature ({time}): clients would refuse that. \
         Signatures carry the time of the store's clock, so either the key was made with a clock ahead of it, or it is too new"
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
        /// When it expired.
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
    #[error("no valid self-signature holds it")]
    NotBound,
    /// The signatures that hold the key use a digest that is broken.
    #[error(
        "its self-signatures use SHA-1 or another broken digest, which sqv refuses (renew them, for example by setting the key's expiry again)"
    )]
    WeakSelfSignature,
    /// A signing subkey does not say itself that it belongs to the primary key.
    #[error("the subkey lacks its back-signature, so it may have been taken from another key")]
    NoBackSignature,
    /// The key's algorithm or size is not accepted.
    #[error("it is {0}")]
    Algorithm(String),
    /// The key is not of version 4.
    #[error("it is a version {0} key; gpgv of Debian 12 and older reads version 4 only")]
    Version(u8),
    /// Only the public half is in the file, or a stub of the secret one.
    #[error("its secret part is not in the file")]
    NoSecret,
    /// The primary key of a subkey has a problem.
    #[error("its primary key cannot be used: {0}")]
    Primary(#[source] Box<KeyProblem>),
}

/// What the key is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make a signature, which every client shall accept.
    Sign,
    /// To check one that is there.
    Verify,
}

/// A question: may it sign at this time?
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query {
    pub(crate) time: SignatureTime,
    pub(crate) purpose: Purpose,
}

/// Checks the version of a key.
pub(crate) fn check_version(version: KeyVersion) -> Result<(), KeyProblem> {
    match version {
        KeyVersion::V4 => Ok(()),
        other => Err(KeyProblem::Version(other.into())),
    }
}

/// Whether the primary key may sign data.
pub(crate) fn check_primary(certificate: &SignedPublicKey, query: Query) -> Result<(), KeyProblem> {
    let rights = primary_rights(certificate, query)?;
    if rights.flags.is_some_and(|flags| !flags.sign()) {
        return Err(KeyProblem::NotForSigning);
    }
    algorithm::check_key(certificate.primary_key.public_params()).map_err(KeyProblem::Algorithm)
}

/// Whether a subkey may sign data.
pub(crate) fn check_subkey(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    query: Query,
) -> Result<(), KeyProblem> {
    let primary = &certificate.primary_key;
    check_version(subkey.key.version())?;
    let of_type = |typ| {
        subkey
            .signatures
            .iter()
            .filter(move |signature| signature.typ() == Some(typ))
    };
    let binds = |signature: &Signature| {
        signature
            .verify_subkey_binding(primary, &subkey.key)
            .is_ok()
    };
    let binding = newest(
        primary,
        of_type(SignatureType::SubkeyBinding).collect(),
        query,
        binds,
    )?;
    if !binding.key_flags().sign() {
        return Err(KeyProblem::NotForSigning);
    }
    algorithm::check_key(subkey.key.public_params()).map_err(KeyProblem::Algorithm)?;
    let is_back_signature = |signature: &Signature| {
        is_well_formed(signature)
            && signature
                .hash_alg()
                .is_some_and(algorithm::is_accepted_hash)
            && signature
                .verify_primary_key_binding(&subkey.key, primary)
                .is_ok()
    };
    if !binding.embedded_signature().is_some_and(is_back_signature) {
        return Err(KeyProblem::NoBackSignature);
    }
    check_not_revoked(of_type(SignatureType::SubkeyRevocation), query, binds)?;
    check_lifetime(
        subkey.key.created_at().into(),
        key_lifetime(binding),
        query.time,
    )?;
    primary_rights(certificate, query)
        .map(|_| ())
        .map_err(|problem| KeyProblem::Primary(Box::new(problem)))
}

/// Whether a key's flags ever said that it may sign: with it a locked key is worth unlocking.
pub(crate) fn is_meant_for_signing<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
) -> bool {
    signatures
        .into_iter()
        .any(|signature| declared_flags(signature).is_none_or(|flags| flags.sign()))
}

/// The digests that the certificate's owner prefers.
pub(crate) fn preferred_hashes(certificate: &SignedPublicKey, query: Query) -> Vec<HashAlgorithm> {
    primary_rights(certificate, query)
        .map(|rights| rights.hashes)
        .unwrap_or_default()
}

/// What the self-signatures say of the primary key.
struct Rights {
    /// `None` where nothing is said: then the key may do all that its algorithm can.
    flags: Option<KeyFlags>,
    hashes: Vec<HashAlgorithm>,
}

fn primary_rights(certificate: &SignedPublicKey, query: Query) -> Result<Rights, KeyProblem> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    check_version(key.version())?;
    check_not_revoked(&details.revocation_signatures, query, |signature| {
        signature.verify_key(key).is_ok()
    })?;

    let directs = details
        .direct_signatures
        .iter()
        .filter(|signature| signature.typ() == Some(SignatureType::Key));
    let direct = newest(key, directs.collect(), query, |signature| {
        signature.verify_key(key).is_ok()
    });
    let mut problem = None;
    let mut users = Vec::new();
    for user in &details.users {
        let certifies = |signature: &Signature| {
            signature
                .verify_certification(key, Tag::UserId, &user.id)
                .is_ok()
        };
        let is_revocation =
            |signature: &&Signature| signature.typ() == Some(SignatureType::CertRevocation);
        let (revocations, certifications): (Vec<_>, Vec<_>) =
            user.signatures.iter().partition(is_revocation);
        match newest(key, certifications, query, certifies) {
            Ok(_) if check_not_revoked(revocations, query, certifies).is_err() => {}
            Ok(signature) => users.push(signature),
            Err(found) => problem = worse(problem, found),
        }
    }
    let user = users
        .into_iter()
        .max_by_key(|signature| (signature.is_primary(), signature.created()));
    let (main, other) = match (user, direct) {
        (Some(user), direct) => (user, direct.ok()),
        (None, Ok(direct)) => (direct, None),
        (None, Err(found)) => return Err(worse(problem, found).unwrap_or(KeyProblem::NotBound)),
    };
    let lifetime = key_lifetime(main).or_else(|| other.and_then(key_lifetime));
    check_lifetime(key.created_at().into(), lifetime, query.time)?;
    Ok(Rights {
        flags: declared_flags(main).or_else(|| other.and_then(declared_flags)),
        hashes: main.preferred_hash_algs().to_vec(),
    })
}

/// The more telling of two reasons why there is no self-signature.
fn worse(one: Option<KeyProblem>, other: KeyProblem) -> Option<KeyProblem> {
    match one {
        None | Some(KeyProblem::NotBound) => Some(other),
        some => some,
    }
}

/// The signature by the primary key that counts at the time of the query.
fn newest<'a>(
    primary: &PublicKey,
    mut candidates: Vec<&'a Signature>,
    query: Query,
    is_valid: impl Fn(&Signature) -> bool,
) -> Result<&'a Signature, KeyProblem> {
    candidates.retain(|signature| is_well_formed(signature) && is_by(signature, primary));
    candidates.sort_by_key(|signature| std::cmp::Reverse(signature.created()));
    let mut weak = false;
    let mut younger = None;
    for signature in candidates {
        let created = signature
            .created()
            .map_or(SignatureTime::from_seconds(0), SignatureTime::from);
        if !signature
            .hash_alg()
            .is_some_and(algorithm::is_accepted_hash)
        {
            weak = true;
        } else if has_lapsed(signature, created, query.time) {
        } else if is_valid(signature) {
            if created <= query.time {
                return Ok(signature);
            }
            younger = Some((signature, created));
        }
    }
    match (younger, query.purpose) {
        (Some((signature, _)), Purpose::Verify) => Ok(signature),
        (Some((_, created)), Purpose::Sign) => Err(KeyProblem::NotYetCreated {
            created,
            time: query.time,
        }),
        (None, _) if weak => Err(KeyProblem::WeakSelfSignature),
        (None, _) => Err(KeyProblem::NotBound),
    }
}

/// Whether a self-signature itself (not the key) has expired.
fn has_lapsed(signature: &Signature, created: SignatureTime, time: SignatureTime) -> bool {
    let lifetime = signature
        .signature_expiration_time()
        .map(|lifetime| lifetime.as_secs())
        .filter(|&s| s > 0);
    lifetime
        .and_then(|seconds| created.after(seconds))
        .is_some_and(|end| end <= time)
}

fn check_lifetime(
    created: SignatureTime,
    seconds: Option<u32>,
    time: SignatureTime,
) -> Result<(), KeyProblem> {
    if created > time {
        return Err(KeyProblem::NotYetCreated { created, time });
    }
    match seconds.and_then(|seconds| created.after(seconds)) {
        Some(at) if at <= time => Err(KeyProblem::Expired { at, time }),
        _ => Ok(()),
    }
}

fn check_not_revoked<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
    query: Query,
    is_valid: impl Fn(&Signature) -> bool,
) -> Result<(), KeyProblem> {
    for signature in signatures {
        // A revocation with a weak digest counts: refusing too much is the safe side.
        let Some(created) = signature.created() else {
            continue;
        };
        let at = SignatureTime::from(created);
        let is_soft = matches!(
            signature.revocation_reason_code(),
            Some(
                RevocationCode::KeySuperseded
                    | RevocationCode::KeyRetired
                    | RevocationCode::CertUserIdInvalid
            )
        );
        if (!is_soft || at <= query.time) && is_valid(signature) {
            return Err(KeyProblem::Revoked { at });
        }
    }
    Ok(())
}

/// The lifetime of the key in seconds; `None` where it does not expire.
fn key_lifetime(signature: &Signature) -> Option<u32> {
    signature
        .key_expiration_time()
        .map(|lifetime| lifetime.as_secs())
        .filter(|&seconds| seconds > 0)
}

fn declared_flags(signature: &Signature) -> Option<KeyFlags> {
    let hashed = &signature.config()?.hashed_subpackets;
    hashed.iter().find_map(|subpacket| match &subpacket.data {
        SubpacketData::KeyFlags(flags) => Some(flags.clone()),
        _ => None,
    })
}

/// Whether a signature says that it was made by this key. One that says nothing is by nobody.
pub(crate) fn is_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if !fingerprints.is_empty() {
        return fingerprints
            .iter()
            .all(|fingerprint| **fingerprint == key.fingerprint());
    }
    signature
        .issuer_key_id()
        .iter()
        .any(|id| **id == key.legacy_key_id())
}

/// Whether a signature is of version 4, has a creation time, and nothing critical that is not
/// understood.
pub(crate) fn is_well_formed(signature: &Signature) -> bool {
    let Some(config) = signature.config() else {
        return false;
    };
    let is_foreign = |data: &SubpacketData| {
        matches!(
            data,
            SubpacketData::Notation(_) | SubpacketData::Experimental(..) | SubpacketData::Other(..)
        )
    };
    signature.version() == SignatureVersion::V4
        && signature.created().is_some()
        && !config
            .hashed_subpackets
            .iter()
            .any(|subpacket| subpacket.is_critical && is_foreign(&subpacket.data))
}
