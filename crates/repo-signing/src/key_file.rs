//! A signer whose secret key was read from a file or from the environment.
//!
//! The transferable secret key ([RFC 9580, section 10.2][tsk]) comes armored or binary, locked with a
//! passphrase or not, with or without subkeys. The primary key's secret may be missing (`gpg
//! --export-secret-subkeys`): then the machine that publishes holds a signing subkey only, and the key
//! that says who the publisher is stays elsewhere.
//!
//! Only keys that can sign are unlocked. rPGP wipes secret parameters when they are dropped.
//!
//! rPGP reports the packets that it parses, secret ones included, to the `log` crate at level
//! `debug`: a program that uses this module must not print those records.
//!
//! [tsk]: https://www.rfc-editor.org/rfc/rfc9580.html#name-transferable-secret-keys

use std::fmt;

use async_trait::async_trait;
use pgp::{
    composed::{PublicOrSecret, SignedSecretKey},
    packet::{SecretKey, SecretSubkey},
    types::{KeyDetails, Password, SecretParams, SigningKey, StringToKey},
};
use thiserror::Error;

use crate::{
    ArmorError, Certificate, Fingerprint, KeyProblem, Passphrase, SignError, Signature, Signer,
    ToSign, algorithm,
    certificate::{ReadError, read_keys},
    fingerprint::{self, list},
    validity,
};

/// A secret key in memory, unlocked.
pub struct KeyFile {
    certificate: Certificate,
    /// Those of the keys below, in the order of [`Signer::keys`].
    keys: Vec<Fingerprint>,
    primary: Option<SecretKey>,
    subkeys: Vec<SecretSubkey>,
}

/// Why a file is no usable secret key. Continues a sentence about the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file is something else, or its armor is damaged.
    #[error("no secret key could be read: {0}")]
    Format(ArmorError),
    /// The packets inside do not form a key.
    #[error("no secret key could be read: the OpenPGP data is damaged")]
    Packets,
    /// It is the public half.
    #[error("it holds only the public key {0}, and signing needs the secret one")]
    Public(Fingerprint),
    /// There are several secret keys, and nothing says which is meant.
    #[error("it holds {} secret keys ({}) where one is needed", .0.len(), list(.0))]
    Several(Vec<Fingerprint>),
    /// Clients do not support the key.
    #[error("the key cannot be used: {0}")]
    Key(KeyProblem),
    /// Neither the primary key nor a subkey that may sign has its secret in the file.
    #[error(
        "the key {0} has no secret part that may sign in the file: it was exported without it, or it is kept on a card"
    )]
    NoSecret(Fingerprint),
    /// Neither the primary key nor a subkey is meant for signing.
    #[error(
        "the key {0} has no part that may sign: its keys are for certifying or encrypting only"
    )]
    NotForSigning(Fingerprint),
    /// The secret is locked, and no passphrase was given.
    #[error("the key {0} is locked with a passphrase, and none was given")]
    PassphraseMissing(Fingerprint),
    /// The secret is locked with another passphrase.
    #[error("the passphrase of the key {0} is wrong")]
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
    /// Of several passphrases, any may be the right one. Those of a key that is not locked are not used.
    ///
    /// # Errors
    /// If there is not exactly one secret key of version 4 that is meant for signing and can be
    /// unlocked. Whether it may sign at a certain time is for [`keys_at`](crate::keys_at) to say.
    pub fn from_bytes<'p>(
        file: &[u8],
        passphrases: impl IntoIterator<Item = &'p Passphrase>,
    ) -> Result<Self, KeyFileError> {
        let mut secrets = read_secrets(file)?;
        match secrets.pop() {
            Some(key) if secrets.is_empty() => Self::from_key(key, &Vec::from_iter(passphrases)),
            last => Err(KeyFileError::Several(
                secrets
                    .iter()
                    .chain(&last)
                    .filter_map(|key| fingerprint::of_key(&key.primary_key))
                    .collect(),
            )),
        }
    }

    /// Reads all secret keys of a text or a file, in order, each as [`KeyFile::from_bytes`] does.
    ///
    /// # Errors
    /// If there is none, or one that cannot be used.
    pub fn all_from_bytes<'p>(
        file: &[u8],
        passphrases: impl IntoIterator<Item = &'p Passphrase>,
    ) -> Result<Vec<Self>, KeyFileError> {
        let passphrases = Vec::from_iter(passphrases);
        let secrets = read_secrets(file)?.into_iter();
        secrets
            .map(|key| Self::from_key(key, &passphrases))
            .collect()
    }

    fn from_key(key: SignedSecretKey, passphrases: &[&Passphrase]) -> Result<Self, KeyFileError> {
        let certificate =
            Certificate::from_key(key.to_public_key()).ok_or(KeyFileError::Packets)?;
        let name = certificate.fingerprint();
        let mut subkeys = Vec::new();
        for subkey in key.secret_subkeys {
            let mut secret = subkey.key;
            if is_present(secret.secret_params())
                && validity::is_meant_for_signing(&subkey.signatures)
                && fingerprint::of_key(&secret).is_some()
            {
                if is_to_unlock(&secret, secret.secret_params()) {
                    unlock(name, passphrases, |password| {
                        secret.remove_password(password)
                    })?;
                }
                subkeys.push(secret);
            }
        }
        subkeys.sort_by_key(|subkey| std::cmp::Reverse(subkey.created_at()));

        let mut primary = None;
        let mut secret = key.primary_key;
        if is_present(secret.secret_params())
            && validity::is_meant_for_signing(validity::signatures_of_primary(certificate.key()))
        {
            if is_to_unlock(&secret, secret.secret_params()) {
                unlock(name, passphrases, |password| {
                    secret.remove_password(password)
                })?;
            }
            primary = Some(secret);
        }

        let mut keys: Vec<_> = subkeys
            .iter()
            .filter_map(|subkey| fingerprint::of_key(subkey))
            .collect();
        keys.extend(primary.as_ref().and_then(|key| fingerprint::of_key(key)));
        if keys.is_empty() {
            let public = certificate.key();
            let mut subkeys = public.public_subkeys.iter();
            let is_for_signing =
                validity::is_meant_for_signing(validity::signatures_of_primary(public))
                    || subkeys.any(|subkey| validity::is_meant_for_signing(&subkey.signatures));
            return Err(if is_for_signing {
                KeyFileError::NoSecret(name)
            } else {
                KeyFileError::NotForSigning(name)
            });
        }
        Ok(Self {
            certificate,
            keys,
            primary,
            subkeys,
        })
    }
}

#[async_trait]
impl Signer for KeyFile {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn keys(&self) -> &[Fingerprint] {
        &self.keys
    }

    async fn sign(&self, data: &ToSign<'_>) -> Result<Signature, SignError> {
        let unsigned = data.prepare(&self.certificate)?;
        let (hash, digest) = (unsigned.hash(), unsigned.digest());
        let (none, key) = (Password::empty(), Some(data.key));
        let subkey = |subkey: &&SecretSubkey| fingerprint::of_key(*subkey) == key;
        let value = if let Some(subkey) = self.subkeys.iter().find(subkey) {
            SigningKey::sign(subkey, &none, hash, digest)
        } else if let Some(primary) = &self.primary
            && fingerprint::of_key(primary) == key
        {
            SigningKey::sign(primary, &none, hash, digest)
        } else {
            return Err(SignError::Key {
                key: data.key,
                problem: KeyProblem::NoSecret,
            });
        };
        let value = value.map_err(|error| SignError::computation(data.key, error))?;
        unsigned.assemble_bytes(value)
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// The secret keys of a file, at least one.
fn read_secrets(file: &[u8]) -> Result<Vec<SignedSecretKey>, KeyFileError> {
    let keys = read_keys(file).map_err(|error| match error {
        ReadError::Armor(error) => KeyFileError::Format(error),
        ReadError::Packets => KeyFileError::Packets,
        ReadError::Key(problem) => KeyFileError::Key(problem),
    })?;
    let mut secrets = Vec::new();
    let mut public = None;
    for key in keys {
        match key {
            PublicOrSecret::Secret(key) => secrets.push(key),
            PublicOrSecret::Public(key) => {
                public = public.or_else(|| fingerprint::of_key(&key.primary_key));
            }
        }
    }
    if secrets.is_empty() {
        return Err(public.map_or(KeyFileError::Packets, KeyFileError::Public));
    }
    Ok(secrets)
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

/// Whether the secret is locked and of use. What cannot sign stays locked: [`Certificate::check`] says
/// why it cannot.
fn is_to_unlock(key: &dyn KeyDetails, params: &SecretParams) -> bool {
    params.is_encrypted() && algorithm::check_key(key).is_ok()
}

/// Opens one locked secret with the passphrase that does. A wrong one makes different steps of the decryption fail, so they all
/// count as one.
fn unlock(
    key: Fingerprint,
    passphrases: &[&Passphrase],
    mut open: impl FnMut(&Password) -> Result<(), pgp::errors::Error>,
) -> Result<(), KeyFileError> {
    let mut result = Err(KeyFileError::PassphraseMissing(key));
    for passphrase in passphrases {
        result = open(&passphrase.password()).map_err(|error| match error {
            pgp::errors::Error::Unsupported { .. } | pgp::errors::Error::Unimplemented { .. } => {
                KeyFileError::LockUnsupported(key)
            }
            _ => KeyFileError::PassphraseWrong(key),
        });
        if result.is_ok() {
            break;
        }
    }
    result
}
