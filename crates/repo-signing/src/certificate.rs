//! Public keys: one ([`Certificate`]), or those that are accepted ([`Keyring`]).

use std::fmt;

use pgp::{
    composed::{ArmorOptions, PublicOrSecret, SignedPublicKey},
    ser::Serialize as _,
    types::KeyDetails as _,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    Fingerprint,
    armor::{self, ArmorError},
    validity::{KeyProblem, check_version},
};

/// The public half of a key: primary key, subkeys, user IDs, and the signatures that hold them
/// together.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    key: SignedPublicKey,
    fingerprint: Fingerprint,
    armored: String,
    binary: Vec<u8>,
}

/// The certificates whose signatures are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    /// In the order in which they were read. A key may occur more than once.
    pub certificates: Vec<Certificate>,
}

/// Why a file gave no certificate. Reads on after the file's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file is something else, or its armor is damaged. The text says what.
    #[error("no public key could be read: {0}")]
    Format(String),
    /// The packets inside do not form keys. The text is the parser's.
    #[error("no public key could be read: the OpenPGP data is damaged ({0})")]
    Packets(String),
    /// It holds a secret key, which must not be handed out.
    #[error("it holds the secret key {0}; only the public one belongs here")]
    Secret(Fingerprint),
    /// The key is of a version that clients cannot read.
    #[error("the key cannot be used: {0}")]
    Version(#[source] KeyProblem),
    /// One key was asked for.
    #[error("it holds {} keys ({}) where one is needed", .0.len(), list(.0))]
    Several(Vec<Fingerprint>),
}

impl Certificate {
    /// Reads one public key, armored or binary.
    ///
    /// # Errors
    /// If there is not exactly one public key of version 4.
    pub fn from_bytes(file: &[u8]) -> Result<Self, CertificateError> {
        let mut certificates = Keyring::from_bytes(file)?.certificates;
        match certificates.pop() {
            Some(certificate) if certificates.is_empty() => Ok(certificate),
            Some(last) => {
                certificates.push(last);
                Err(CertificateError::Several(
                    certificates.iter().map(Self::fingerprint).collect(),
                ))
            }
            None => Err(CertificateError::Format("it is empty".into())),
        }
    }

    pub(crate) fn from_key(key: SignedPublicKey) -> Result<Self, CertificateError> {
        check_version(key.version()).map_err(CertificateError::Version)?;
        let fingerprint = Fingerprint::of(&key.fingerprint()).ok_or_else(|| {
            CertificateError::Packets("the fingerprint is not of version 4".into())
        })?;
        let damaged = |error: pgp::errors::Error| CertificateError::Packets(error.to_string());
        let armored = key
            .to_armored_string(ArmorOptions::default())
            .map_err(damaged)?;
        let binary = key.to_bytes().map_err(damaged)?;
        Ok(Self {
            key,
            fingerprint,
            armored,
            binary,
        })
    }

    /// The primary key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The user IDs (`Name <mail>`), those that are revoked included; what is not UTF-8 is replaced.
    pub fn user_ids(&self) -> Vec<String> {
        self.key
            .details
            .users
            .iter()
            .map(|user| String::from_utf8_lossy(user.id.id()).into_owned())
            .collect()
    }

    /// The ASCII armor, as `Signed-By: ….asc` and the `Signed-By` field itself take it.
    pub fn armored(&self) -> &str {
        &self.armored
    }

    /// The packets: a keyring for `gpgv` and for `Signed-By: ….gpg`.
    pub fn binary(&self) -> &[u8] {
        &self.binary
    }

    pub(crate) fn key(&self) -> &SignedPublicKey {
        &self.key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .field("user_ids", &self.user_ids())
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Reads public keys: armored, one block or several, or binary, as `gpg --export` writes them.
    ///
    /// # Errors
    /// If there is none, or one that is secret, damaged or not of version 4.
    pub fn from_bytes(file: &[u8]) -> Result<Self, CertificateError> {
        let keys = read_keys(file).map_err(|error| match error {
            ReadError::Armor(error) => CertificateError::Format(error.to_string()),
            ReadError::Packets(text) => CertificateError::Packets(text),
        })?;
        let certificate = |key| match key {
            PublicOrSecret::Public(key) => Certificate::from_key(key),
            PublicOrSecret::Secret(key) => Err(match Fingerprint::of(&key.fingerprint()) {
                Some(fingerprint) => CertificateError::Secret(fingerprint),
                None => CertificateError::Format("it holds a secret key".into()),
            }),
        };
        Ok(Self {
            certificates: keys
                .into_iter()
                .map(certificate)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The certificate whose primary key has this fingerprint.
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.fingerprint == fingerprint)
    }
}

impl From<Certificate> for Keyring {
    fn from(certificate: Certificate) -> Self {
        Self {
            certificates: vec![certificate],
        }
    }
}

impl FromIterator<Certificate> for Keyring {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        Self {
            certificates: certificates.into_iter().collect(),
        }
    }
}

/// Why a file has no keys.
pub(crate) enum ReadError {
    Armor(ArmorError),
    Packets(String),
}

/// The keys of a file, at least one, public or secret.
pub(crate) fn read_keys(file: &[u8]) -> Result<Vec<PublicOrSecret>, ReadError> {
    let mut packets = armor::packets(file).map_err(ReadError::Armor)?.bytes;
    plain_stubs(&mut packets);
    let damaged = |error: pgp::errors::Error| ReadError::Packets(error.to_string());
    let keys: Vec<_> = PublicOrSecret::from_bytes_many(packets.as_slice())
        .and_then(Iterator::collect)
        .map_err(damaged)?;
    if keys.is_empty() {
        return Err(ReadError::Packets("there is no key in it".into()));
    }
    Ok(keys)
}

/// Names no cipher in GnuPG's stubs of secret keys.
///
/// `gpg --export-secret-subkeys` leaves a stub in place of the primary key: the private string-to-key
/// type 101, `GNU`, and what kind of stub it is (see `doc/DETAILS` of GnuPG). No initial vector follows;
/// but where the stub names a cipher, as older versions do, the parser would wait for one.
fn plain_stubs(packets: &mut Zeroizing<Vec<u8>>) {
    for start in 0..packets.len().saturating_sub(7) {
        if let [0xfe | 0xff, cipher, 101, _, b'G', b'N', b'U', 1 | 2] =
            &mut packets[start..start + 8]
        {
            *cipher = 0;
        }
    }
}

fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
