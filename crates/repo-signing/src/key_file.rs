//! A signer whose secret key was read from a file or from the environment.
//!
//! The transferable secret key ([RFC 9580, section 10.2][tsk]) comes armored or binary, locked with a
//! passphrase or not, with or without subkeys. The primary key's secret may be missing (`gpg
//! --export-secret-subkeys`): then the machine that publishes holds a signing subkey only, and the key
//! that says who the publisher is stays elsewhere.
//!
//! The newest signing subkey that is valid at the time of the signature signs; without one, the
//! primary key, if its flags allow it. rPGP wipes secret parameters when they are dropped; only keys
//! that can sign are unlocked at all.
//!
//! rPGP reports the packets that it parses, secret ones included, to the `log` crate at level
//! `debug`: a program that uses this module must not print those records.
//!
//! [tsk]: https://www.rfc-editor.org/rfc/rfc9580.html#name-transferable-secret-keys

use std::fmt;

use async_trait::async_trait;
use pgp::{
    composed::{PublicOrSecret, SignedPublicSubKey, SignedSecretKey},
    packet::{SecretKey, SecretSubkey},
    types::{KeyDetails as _, Password, SecretParams, StringToKey},
};
use thiserror::Error;

use crate::{
    Certificate, CertificateError, Fingerprint, Passphrase, SignError, SignatureTime,
    SignedRelease, Signer, algorithm,
    armor::ArmorError,
    certificate::{ReadError, read_keys},
    signer::sign_with,
    validity::{self, KeyProblem, Purpose, Query},
};

/// A secret key in memory, unlocked.
pub struct KeyFile {
    certificate: Certificate,
    primary: Option<SecretKey>,
    /// Those whose secret is there, the newest first.
    subkeys: Vec<(SignedPublicSubKey, SecretSubkey)>,
}

/// Why a file is no usable secret key. Reads on after the file's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file is something else, or its armor is damaged. The text says what.
    #[error("no secret key could be read: {0}")]
    Format(String),
    /// The packets inside do not form a key.
    #[error("no secret key could be read: the OpenPGP data is damaged or of an unknown version")]
    Packets,
    /// It is the public half.
    #[error(
        "it holds the public key {0} only; signing needs the secret one (`gpg --export-secret-keys --armor {0}`)"
    )]
    Public(Fingerprint),
    /// There are several secret keys, and nothing says which is meant.
    #[error(
        "it holds {} secret keys ({}); export the one that shall sign into a file of its own \
         (`gpg --export-secret-keys --armor FINGERPRINT`)",
        .0.len(), list(.0)
    )]
    Several(Vec<Fingerprint>),
    /// The key is of a version that clients cannot read.
    #[error("the key cannot be used: {0}")]
    Version(#[source] KeyProblem),
    /// Neither the primary key nor a subkey that may sign has its secret in the file.
    #[error(
        "the key {0} has no secret part that may sign in the file: it was exported without it, or it is kept on a card"
    )]
    NoSecret(Fingerprint),
    /// The secret is locked, and no passphrase was given.
    #[error(
        "the key {0} is locked with a passphrase: give it with --sign-key-passphrase-file or in DEBUCKET_SIGN_KEY_PASSPHRASE"
    )]
    PassphraseMissing(Fingerprint),
    /// The secret is locked with another passphrase.
    #[error(
        "the passphrase of the key {0} is wrong (it came from --sign-key-passphrase-file or DEBUCKET_SIGN_KEY_PASSPHRASE)"
    )]
    PassphraseWrong(Fingerprint),
    /// The secret is locked in a way that cannot be opened.
    #[error(
        "the key {0} is locked in a way that is not supported; set its passphrase again with a current gpg"
    )]
    LockUnsupported(Fingerprint),
}

impl KeyFile {
    /// Reads a secret key, armored or binary, and unlocks what of it can sign.
    ///
    /// The passphrase of a key that is not locked is not used.
    ///
    /// # Errors
    /// If there is not exactly one secret key of version 4 that can sign and be unlocked. Whether it
    /// may sign at a certain time is asked by [`Signer::sign`].
    pub fn from_bytes(file: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyFileError> {
        let keys = read_keys(file).map_err(|error| match error {
            ReadError::Armor(ArmorError::OtherFormat(what)) => {
                KeyFileError::Format(format!("it is {what}"))
            }
            ReadError::Armor(error) => KeyFileError::Format(error.to_string()),
            ReadError::Packets(_) => KeyFileError::Packets,
        })?;
        Self::from_key(only_secret(keys)?, passphrase)
    }

    pub(crate) fn from_key(
        key: SignedSecretKey,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, KeyFileError> {
        let certificate =
            Certificate::from_key(key.to_public_key()).map_err(|error| match error {
                CertificateError::Version(problem) => KeyFileError::Version(problem),
                _ => KeyFileError::Packets,
            })?;
        let details = &key.details;
        let of_primary = details
            .direct_signatures
            .iter()
            .chain(details.users.iter().flat_map(|user| &user.signatures));
        let name = certificate.fingerprint();
        let mut primary = None;
        if is_present(key.primary_key.secret_params()) && validity::is_meant_for_signing(of_primary)
        {
            let mut secret = key.primary_key.clone();
            unlock(
                secret.secret_params().is_encrypted(),
                name,
                passphrase,
                |password| secret.remove_password(password),
            )?;
            primary = Some(secret);
        }
        let mut subkeys = Vec::new();
        for subkey in &key.secret_subkeys {
            if is_present(subkey.key.secret_params())
                && validity::is_meant_for_signing(&subkey.signatures)
            {
                let mut secret = subkey.key.clone();
                unlock(
                    secret.secret_params().is_encrypted(),
                    name,
                    passphrase,
                    |password| secret.remove_password(password),
                )?;
                subkeys.push((subkey.signed_public_key(), secret));
            }
        }
        if primary.is_none() && subkeys.is_empty() {
            return Err(KeyFileError::NoSecret(name));
        }
        subkeys.sort_by_key(|(public, _)| std::cmp::Reverse(public.key.created_at()));
        Ok(Self {
            certificate,
            primary,
            subkeys,
        })
    }

    fn sign_now(&self, release: &[u8], time: SignatureTime) -> Result<SignedRelease, SignError> {
        let public = self.certificate.key();
        let query = Query {
            time,
            purpose: Purpose::Sign,
        };
        let preferred = validity::preferred_hashes(public, query);
        let mut problems = Vec::new();
        for (subkey, secret) in &self.subkeys {
            let Some(fingerprint) = Fingerprint::of(&subkey.key.fingerprint()) else {
                continue;
            };
            match validity::check_subkey(public, subkey, query) {
                Ok(()) => {
                    let hash = algorithm::signing_hash(subkey.key.public_params(), &preferred);
                    return sign_with(secret, fingerprint, &subkey.key, hash, release, time);
                }
                Err(problem) => problems.push((fingerprint, problem)),
            }
        }
        let fingerprint = self.certificate.fingerprint();
        match (&self.primary, validity::check_primary(public, query)) {
            (Some(secret), Ok(())) => {
                let hash = algorithm::signing_hash(public.primary_key.public_params(), &preferred);
                return sign_with(
                    secret,
                    fingerprint,
                    &public.primary_key,
                    hash,
                    release,
                    time,
                );
            }
            (None, Ok(())) => problems.push((fingerprint, KeyProblem::NoSecret)),
            // That a primary key is not for signing is no news where there are subkeys for it.
            (_, Err(KeyProblem::NotForSigning)) if !problems.is_empty() => {}
            (_, Err(problem)) => problems.push((fingerprint, problem)),
        }
        Err(SignError::NoUsableKey {
            certificate: fingerprint,
            problems,
        })
    }
}

#[async_trait]
impl Signer for KeyFile {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    async fn sign(&self, release: &[u8], time: SignatureTime) -> Result<SignedRelease, SignError> {
        self.sign_now(release, time)
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// The one secret key of a file.
fn only_secret(keys: Vec<PublicOrSecret>) -> Result<SignedSecretKey, KeyFileError> {
    let mut secrets = Vec::new();
    let mut publics = Vec::new();
    for key in keys {
        match key {
            PublicOrSecret::Secret(key) => secrets.push(key),
            PublicOrSecret::Public(key) => publics.push(key),
        }
    }
    if let [key, _, ..] = secrets.as_slice() {
        validity::check_version(key.version()).map_err(KeyFileError::Version)?;
        return Err(KeyFileError::Several(
            secrets
                .iter()
                .filter_map(|key| Fingerprint::of(&key.fingerprint()))
                .collect(),
        ));
    }
    match (secrets.pop(), publics.first()) {
        (Some(key), _) => Ok(key),
        (None, Some(key)) => {
            validity::check_version(key.version()).map_err(KeyFileError::Version)?;
            Err(Fingerprint::of(&key.fingerprint())
                .map_or(KeyFileError::Packets, KeyFileError::Public))
        }
        (None, None) => Err(KeyFileError::Packets),
    }
}

/// Whether there is a secret behind the parameters, and not one of GnuPG's stubs.
fn is_present(params: &SecretParams) -> bool {
    use pgp::types::S2kParams::{Aead, Cfb, LegacyCfb, MalleableCfb, Unprotected};
    match params {
        SecretParams::Plain(_) => true,
        SecretParams::Encrypted(encrypted) => match encrypted.string_to_key_params() {
            Aead { s2k, .. } | Cfb { s2k, .. } | MalleableCfb { s2k, .. } => {
                !matches!(s2k, StringToKey::Private { typ: 101, .. })
            }
            LegacyCfb { .. } | Unprotected => true,
        },
    }
}

/// Opens one locked secret. Which step of the decryption failed is not told apart: a wrong passphrase
/// shows in different ways.
fn unlock(
    is_locked: bool,
    key: Fingerprint,
    passphrase: Option<&Passphrase>,
    open: impl FnOnce(&Password) -> Result<(), pgp::errors::Error>,
) -> Result<(), KeyFileError> {
    if !is_locked {
        return Ok(());
    }
    let passphrase = passphrase.ok_or(KeyFileError::PassphraseMissing(key))?;
    open(&passphrase.password()).map_err(|error| match error {
        pgp::errors::Error::Unsupported { .. } | pgp::errors::Error::Unimplemented { .. } => {
            KeyFileError::LockUnsupported(key)
        }
        _ => KeyFileError::PassphraseWrong(key),
    })
}

fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
