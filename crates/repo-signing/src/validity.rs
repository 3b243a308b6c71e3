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
//! self-signature when a key's expiry is extended; so in [`Purpose::Verify`], where there is none that
//! old, the oldest one counts: otherwise all earlier signatures of that key would be refused.
//!
//! Revocations by other keys (designated revokers) are ignored.

use pgp::{
    composed::{SignedPublicKey, SignedPublicSubKey},
    crypto::hash::HashAlgorithm,
    packet::{
        KeyFlags, PublicKey, RevocationCode, Signature, SignatureType, SignatureVersion,
        SubpacketData,
    },
    types::{KeyDetails, KeyVersion, Tag},
};

use crate::{KeyProblem, SignatureTime, algorithm};

/// What the key is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make a signature, which every client must accept.
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

/// Whether the primary key may sign data, and until when.
pub(crate) fn check_primary(
    certificate: &SignedPublicKey,
    query: Query,
) -> Result<Option<SignatureTime>, KeyProblem> {
    let rights = primary_rights(certificate, query)?;
    if rights.flags.is_some_and(|flags| !flags.sign()) {
        return Err(KeyProblem::NotForSigning);
    }
    Ok(rights.ends)
}

/// Whether a subkey may sign data, and until when.
pub(crate) fn check_subkey(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    query: Query,
) -> Result<Option<SignatureTime>, KeyProblem> {
    let primary = &certificate.primary_key;
    check_version(subkey.key.version())?;
    algorithm::check_key(&subkey.key)?;
    let of_primary = |problem| KeyProblem::Primary(Box::new(problem));
    // First: without it no binding can be verified.
    algorithm::check_key(primary).map_err(of_primary)?;
    let binds = |signature: &Signature| {
        signature
            .verify_subkey_binding(primary, &subkey.key)
            .is_ok()
    };
    let bindings = of_type(subkey, SignatureType::SubkeyBinding).collect();
    let binding = newest(primary, bindings, query, binds)?;
    if !binding.key_flags().sign() {
        return Err(KeyProblem::NotForSigning);
    }
    if !has_back_signature(binding, subkey, primary) {
        return Err(KeyProblem::NoBackSignature);
    }
    let revocations = of_type(subkey, SignatureType::SubkeyRevocation);
    check_not_revoked(revocations, query, binds)?;
    let ends = check_lifetime(
        subkey.key.created_at().into(),
        key_lifetime(binding),
        query.time,
    )?;
    let rights = primary_rights(certificate, query).map_err(of_primary)?;
    Ok(earliest([ends, lapses(binding), rights.ends]))
}

/// Whether a subkey was ever bound to the certificate as one that signs, whatever the time.
pub(crate) fn is_signing_subkey(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
) -> bool {
    let primary = &certificate.primary_key;
    of_type(subkey, SignatureType::SubkeyBinding).any(|binding| {
        is_well_formed(binding)
            && binding.hash_alg().is_some_and(algorithm::is_accepted_hash)
            && binding.key_flags().sign()
            && has_back_signature(binding, subkey, primary)
            && binding.verify_subkey_binding(primary, &subkey.key).is_ok()
    })
}

fn of_type(subkey: &SignedPublicSubKey, kind: SignatureType) -> impl Iterator<Item = &Signature> {
    subkey
        .signatures
        .iter()
        .filter(move |signature| signature.typ() == Some(kind))
}

/// Whether the subkey itself says that it belongs to the primary key.
fn has_back_signature(
    binding: &Signature,
    subkey: &SignedPublicSubKey,
    primary: &PublicKey,
) -> bool {
    binding.embedded_signature().is_some_and(|signature| {
        is_well_formed(signature)
            && signature
                .hash_alg()
                .is_some_and(algorithm::is_accepted_hash)
            && signature
                .verify_primary_key_binding(&subkey.key, primary)
                .is_ok()
    })
}

/// The primary key's own signatures, which may say what it is for.
pub(crate) fn signatures_of_primary(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let users = key.details.users.iter().flat_map(|user| &user.signatures);
    key.details
        .direct_signatures
        .iter()
        .chain(users)
        .filter(|signature| is_by(signature, &key.primary_key))
}

/// Whether a key's flags ever said that it may sign: with it a locked key is worth unlocking.
pub(crate) fn is_meant_for_signing<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
) -> bool {
    use SignatureType::{CertRevocation, SubkeyRevocation};
    signatures
        .into_iter()
        .filter(|signature| !matches!(signature.typ(), Some(CertRevocation | SubkeyRevocation)))
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
    /// When the key, or what gives it its rights, expires.
    ends: Option<SignatureTime>,
}

fn primary_rights(certificate: &SignedPublicKey, query: Query) -> Result<Rights, KeyProblem> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    check_version(key.version())?;
    algorithm::check_key(key)?;
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
    let ends = check_lifetime(key.created_at().into(), lifetime, query.time)?;
    Ok(Rights {
        ends: earliest([ends, lapses(main)]),
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
        } else if lapses(signature).is_some_and(|end| end <= query.time) {
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

/// When a self-signature itself (not the key) expires.
fn lapses(signature: &Signature) -> Option<SignatureTime> {
    let created = SignatureTime::from(signature.created()?);
    let lifetime = signature.signature_expiration_time()?.as_secs();
    (lifetime > 0).then(|| created.after(lifetime)).flatten()
}

/// The end of a key that was made at `created` and lives for so many seconds, once it is known to be
/// valid at `time`.
fn check_lifetime(
    created: SignatureTime,
    seconds: Option<u32>,
    time: SignatureTime,
) -> Result<Option<SignatureTime>, KeyProblem> {
    if created > time {
        return Err(KeyProblem::NotYetCreated { created, time });
    }
    match seconds.and_then(|seconds| created.after(seconds)) {
        Some(at) if at <= time => Err(KeyProblem::Expired { at, time }),
        ends => Ok(ends),
    }
}

fn earliest<const N: usize>(times: [Option<SignatureTime>; N]) -> Option<SignatureTime> {
    times.into_iter().flatten().min()
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

/// Whether a signature says that it was made by this key. One that does not say is by no key.
pub(crate) fn is_by(signature: &Signature, key: &dyn KeyDetails) -> bool {
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
