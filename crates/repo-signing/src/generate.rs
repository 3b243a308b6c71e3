//! Making a key pair for a repository.
//!
//! The key is of version 4, with one user ID and no subkeys: its primary key certifies and signs. It does
//! not expire: clients that have it would be cut off on that day. Ed25519 has the form that
//! `gpgv` of Debian 11 and 12 reads (`EdDSALegacy`).

use pgp::{
    composed::{ArmorOptions, KeyType, SignedKeyDetails, SignedSecretKey},
    crypto::hash::HashAlgorithm,
    packet::{
        KeyFlags, PacketTrait as _, PubKeyInner, PublicKey, SecretKey, SignatureConfig,
        SignatureType, Subpacket, SubpacketData, UserId,
    },
    types::{KeyDetails as _, KeyVersion, PacketHeaderVersion, Password, S2kParams},
};
use rand::rngs::OsRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Certificate, Passphrase, SignatureTime};

/// What kind of key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyAlgorithm {
    /// Ed25519: small, fast, read by every `gpgv` since 2.1 (2014).
    #[default]
    Ed25519,
    /// RSA with 4096 bits: for clients older than that, and where rules ask for it. Making it takes
    /// seconds.
    Rsa4096,
}

pub struct GeneratedKey {
    /// The secret key in ASCII armor, locked if a passphrase was given. Wiped when it is dropped.
    pub secret: Zeroizing<String>,
    /// The public key; [`Certificate::armored`] is what clients get.
    pub certificate: Certificate,
}

/// Why no key was made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The user ID is empty or has a control character.
    #[error("“{}” cannot be a user ID: it needs some text and no control characters", .0.escape_debug())]
    UserId(String),
    /// The passphrase is empty: the key would only seem to be locked.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The computation failed.
    #[error("the key could not be made")]
    Computation(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<pgp::errors::Error> for GenerateError {
    fn from(error: pgp::errors::Error) -> Self {
        Self::Computation(Box::new(error))
    }
}

/// Makes a key pair whose creation time is `created`, with randomness of the operating system.
///
/// A signature that is older than its key does not count, so `created` should not be ahead of the
/// clock of the store that gives signatures their times.
///
/// # Errors
/// If the user ID or the passphrase cannot be one.
pub fn generate(
    user_id: &str,
    algorithm: KeyAlgorithm,
    created: SignatureTime,
    passphrase: Option<&Passphrase>,
) -> Result<GeneratedKey, GenerateError> {
    if user_id.trim().is_empty() || user_id.chars().any(char::is_control) {
        return Err(GenerateError::UserId(user_id.to_owned()));
    }
    if passphrase.is_some_and(Passphrase::is_empty) {
        return Err(GenerateError::EmptyPassphrase);
    }
    let kind = match algorithm {
        KeyAlgorithm::Ed25519 => KeyType::Ed25519Legacy,
        KeyAlgorithm::Rsa4096 => KeyType::Rsa(4096),
    };
    let (public, secret) = kind.generate(OsRng)?;
    let public = PublicKey::from_inner(PubKeyInner::new(
        KeyVersion::V4,
        kind.to_alg(),
        created.into(),
        None,
        public,
    )?)?;
    let mut primary_key = SecretKey::new(public, secret)?;

    let user = UserId::from_str(PacketHeaderVersion::New, user_id)?;
    let config = certification(&primary_key, created)?;
    let public = primary_key.public_key();
    let signature =
        config.sign_certification(&primary_key, public, &Password::empty(), user.tag(), &user)?;

    if let Some(passphrase) = passphrase {
        let lock = S2kParams::new_default(OsRng, KeyVersion::V4);
        primary_key.set_password_with_s2k(&passphrase.password(), lock)?;
    }
    let details = SignedKeyDetails::new(
        Vec::new(),
        Vec::new(),
        vec![user.into_signed(signature)],
        Vec::new(),
    );
    let key = SignedSecretKey::new(primary_key, details, Vec::new(), Vec::new());
    let certificate = Certificate::from_key(key.to_public_key())
        .ok_or_else(|| GenerateError::Computation("the key cannot be written".into()))?;
    Ok(GeneratedKey {
        secret: Zeroizing::new(key.to_armored_string(ArmorOptions::default())?),
        certificate,
    })
}

/// What the self-signature says of the key.
fn certification(
    key: &SecretKey,
    created: SignatureTime,
) -> Result<SignatureConfig, GenerateError> {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(true);
    let mut config = SignatureConfig::v4(
        SignatureType::CertPositive,
        key.algorithm(),
        HashAlgorithm::Sha512,
    );
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        Subpacket::regular(SubpacketData::SignatureCreationTime(created.into()))?,
        Subpacket::regular(SubpacketData::KeyFlags(flags))?,
        Subpacket::regular(SubpacketData::PreferredHashAlgorithms(
            [
                HashAlgorithm::Sha512,
                HashAlgorithm::Sha384,
                HashAlgorithm::Sha256,
            ]
            .into_iter()
            .collect(),
        ))?,
        Subpacket::regular(SubpacketData::IsPrimary(true))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
        key.legacy_key_id(),
    ))?];
    Ok(config)
}

impl std::fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneratedKey")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
