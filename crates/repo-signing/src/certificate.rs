//! Public keys: one ([`Certificate`]), or those that are accepted ([`Keyring`]).

use std::fmt;

use pgp::{
    composed::{ArmorOptions, PublicOrSecret, SignedPublicKey},
    ser::Serialize as _,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    ArmorError, Fingerprint, KeyProblem, KeyState, SignatureTime, armor,
    fingerprint::{self, list},
    one_line, packets,
    validity::{Purpose, Query},
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

/// Why a file gave no certificate. Continues a sentence about the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file is something else, or its armor is damaged.
    #[error("no public key could be read: {0}")]
    Format(ArmorError),
    /// The packets inside do not form keys.
    #[error("no public key could be read: the OpenPGP data is damaged")]
    Packets,
    /// It holds a secret key, which must not be handed out.
    #[error("it holds the secret key {0}; only the public one belongs here")]
    Secret(Fingerprint),
    /// Clients do not support the key.
    #[error("the key cannot be used: {0}")]
    Key(KeyProblem),
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
        let certificates = Keyring::from_bytes(file)?.certificates;
        match <[Self; 1]>::try_from(certificates) {
            Ok([certificate]) => Ok(certificate),
            Err(several) => Err(CertificateError::Several(
                several.iter().map(Self::fingerprint).collect(),
            )),
        }
    }

    /// `None` if the key is not of version 4 or cannot be written.
    pub(crate) fn from_key(key: SignedPublicKey) -> Option<Self> {
        let fingerprint = fingerprint::of_key(&key.primary_key)?;
        let armored = key.to_armored_string(ArmorOptions::default()).ok()?;
        let binary = key.to_bytes().ok()?;
        Some(Self {
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

    /// Whether a key of the certificate (the primary key or a subkey) may sign at a time, and until
    /// when.
    ///
    /// # Errors
    /// If it may not, or if clients would not accept its signatures.
    pub fn check(&self, key: Fingerprint, time: SignatureTime) -> Result<KeyState, KeyProblem> {
        let purpose = Purpose::Sign;
        self.component(key)?.check(Query { time, purpose })
    }

    /// The keys whose signatures someone with this certificate can verify: those that are meant for
    /// signing, expired and revoked ones included. For the settings of a suite, as the keys that devices
    /// know.
    pub fn signing_keys(&self) -> Vec<Fingerprint> {
        self.components()
            .filter(|component| component.is_for_signing())
            .map(|component| component.fingerprint())
            .collect()
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
            ReadError::Armor(error) => CertificateError::Format(error),
            ReadError::Packets => CertificateError::Packets,
            ReadError::Key(problem) => CertificateError::Key(problem),
        })?;
        let certificate = |key| match key {
            PublicOrSecret::Public(key) => {
                Certificate::from_key(key).ok_or(CertificateError::Packets)
            }
            PublicOrSecret::Secret(key) => Err(fingerprint::of_key(&key.primary_key)
                .map_or(CertificateError::Packets, CertificateError::Secret)),
        };
        let certificates = keys
            .into_iter()
            .map(certificate)
            .collect::<Result<_, _>>()?;
        Ok(Self { certificates })
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
    Packets,
    Key(KeyProblem),
}

/// The keys of a file, at least one, public or secret, all of version 4.
pub(crate) fn read_keys(file: &[u8]) -> Result<Vec<PublicOrSecret>, ReadError> {
    // Its mark would pass for a packet's first byte.
    let ascii = one_line::from_utf16(file);
    let file = ascii.as_deref().map_or(file, |ascii| ascii);
    let mut packets = armor::packets(file)
        .or_else(|error| match one_line::restore(file) {
            Some(restored) => armor::packets(&restored),
            None => Err(error),
        })
        .map_err(ReadError::Armor)?;
    if let Some(problem) = packets::foreign_version(&packets) {
        return Err(ReadError::Key(problem));
    }
    plain_stubs(&mut packets);
    // The parser's error is not kept: it may quote what it read.
    PublicOrSecret::from_bytes_many(packets.as_slice())
        .and_then(Iterator::collect)
        .ok()
        .filter(|keys: &Vec<_>| !keys.is_empty())
        .ok_or_else(|| packets::unsupported(&packets).map_or(ReadError::Packets, ReadError::Key))
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
