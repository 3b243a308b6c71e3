//! Keys whose signatures on a suite are accepted, and keys that sign it.

use deb_index::{
    fingerprint::Fingerprint,
    name::SuiteName,
    suite::settings::{AcceptedKey, Settings},
};
use jiff::Timestamp;
use repo_signing::{
    Certificate, GoodSignature, KeyState, Keyring, SignWith, SignatureTime, SignedRelease, Signer,
    choose_key, keys_at, sign_release,
};

use crate::error::Error;

/// What is known about the keys of a suite.
#[derive(Debug)]
pub enum Keys {
    /// Signatures are not checked. Good for reading where no key is at hand; nothing can be changed.
    Unchecked,
    /// Heads signed by one of these keys; no unsigned suite. Nothing can be changed.
    Verify(Keyring),
    /// The suite is signed by each of the signers. Heads are accepted if they are signed by one of them or by a further key.
    Sign {
        signers: Vec<Box<dyn Signer>>,
        further: Keyring,
    },
    /// The same for a suite whose keys are lost: these signers take their place. Its head is checked with the old certificates
    /// that are at hand; without any, it is believed.
    Replace {
        signers: Vec<Box<dyn Signer>>,
        old: Keyring,
    },
    /// The suite is not signed.
    Unsigned,
}

/// Who signed a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadSignatures {
    /// It is the `Release` of an unsigned suite.
    Unsigned,
    /// It is signed, but no key was given to check it with.
    Unchecked,
    /// It has these good signatures.
    By(Vec<GoodSignature>),
}

impl HeadSignatures {
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        *self == Self::Unsigned
    }
}

/// How a head is signed, and by whom it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) signatures: &'a HeadSignatures,
    pub(crate) settings: &'a Settings,
}

/// A certificate as a suite's settings hold it.
#[must_use]
pub fn accepted_key(certificate: &Certificate) -> AcceptedKey {
    AcceptedKey {
        fingerprint: certificate.fingerprint(),
        keys: certificate.signing_keys(),
        certificate: certificate.armored().to_owned(),
        rest: Default::default(),
    }
}

impl Keys {
    /// The keys whose signatures are accepted; none if signatures are not checked.
    pub(crate) fn accepted(&self) -> Option<Keyring> {
        match self {
            // A publisher of an unsigned suite refuses every signed head, so the signature does not matter.
            Self::Unchecked | Self::Unsigned => None,
            Self::Verify(keyring) => Some(keyring.clone()),
            Self::Replace { old, .. } if old.certificates.is_empty() => None,
            Self::Sign { further, .. } | Self::Replace { old: further, .. } => {
                let own = self.own().cloned();
                Some(further.certificates.iter().cloned().chain(own).collect())
            }
        }
    }

    fn signers(&self) -> &[Box<dyn Signer>] {
        match self {
            Self::Sign { signers, .. } | Self::Replace { signers, .. } => signers,
            Self::Unchecked | Self::Verify(_) | Self::Unsigned => &[],
        }
    }

    /// The certificates of the signers.
    fn own(&self) -> impl Iterator<Item = &Certificate> {
        self.signers().iter().map(|signer| signer.certificate())
    }

    /// The same trust, for reading only.
    #[must_use]
    pub fn for_reading(&self) -> Self {
        self.accepted().map_or(Self::Unchecked, Self::Verify)
    }

    pub(crate) fn is_signed(&self) -> bool {
        matches!(self, Self::Sign { .. } | Self::Replace { .. })
    }

    /// The certificates of the signers as a suite's settings hold them; none for an unsigned suite.
    #[must_use]
    pub fn certificates(&self) -> Vec<AcceptedKey> {
        self.own().map(accepted_key).collect()
    }

    /// Whether these keys may change the suite: a signed suite stays signed, by keys of which it accepts at least one, and an
    /// unsigned one unsigned.
    pub(crate) fn check(&self, suite: &SuiteName, head: Option<Signed<'_>>) -> Result<(), Error> {
        let suite = suite.clone();
        let is_signed = head.map(|head| *head.signatures != HeadSignatures::Unsigned);
        let keys = || {
            let keys = head.map(|head| &head.settings.signing_keys[..]);
            keys.unwrap_or_default()
                .iter()
                .map(|key| key.fingerprint)
                .collect()
        };
        match (self, is_signed) {
            (Self::Unchecked | Self::Verify(_), _) => Err(Error::NoSigner {
                suite,
                is_signed: is_signed.unwrap_or(false),
                keys: keys(),
            }),
            (Self::Unsigned, Some(true)) => Err(Error::NoSigner {
                suite,
                is_signed: true,
                keys: keys(),
            }),
            (Self::Sign { .. } | Self::Replace { .. }, Some(false)) => {
                Err(Error::SuiteIsUnsigned { suite })
            }
            (Self::Sign { .. }, Some(true)) => {
                let accepts = |own: &Certificate| {
                    head.is_some_and(|head| head.settings.accepts(&own.fingerprint()))
                };
                match (self.own().next(), head) {
                    (Some(key), Some(head)) if !self.own().any(accepts) => {
                        Err(not_accepted(suite, key, head.settings))
                    }
                    _ => Ok(()),
                }
            }
            (Self::Sign { .. } | Self::Replace { .. } | Self::Unsigned, _) => Ok(()),
        }
    }

    /// The signers of a suite that is to have the settings `next`: every key that it has then. Others may be at hand, and do not
    /// sign: so a publisher can be given the next key before the suite is, and keep the last one for a while.
    fn signing(&self, suite: &SuiteName, next: &Settings) -> Result<Vec<&dyn Signer>, Error> {
        if !self.is_signed() {
            return Ok(Vec::new());
        }
        let suite = suite.clone();
        if next.signing_keys.is_empty() {
            return Err(Error::LastKey { suite });
        }
        let is_there = |key: &Fingerprint| self.own().any(|own| own.fingerprint() == *key);
        let needed = next.signing_keys.iter().map(|key| key.fingerprint);
        let missing: Vec<_> = needed.filter(|key| !is_there(key)).collect();
        if !missing.is_empty() {
            return Err(Error::SignerMissing { suite, missing });
        }
        let signers = self.signers().iter().map(AsRef::as_ref);
        Ok(signers
            .filter(|signer| next.accepts(&signer.certificate().fingerprint()))
            .collect())
    }

    /// The signers' keys that do not sign a suite with these settings.
    pub(crate) fn idle(&self, settings: &Settings) -> impl Iterator<Item = Fingerprint> {
        let own = self.own().map(Certificate::fingerprint);
        own.filter(|key| !settings.accepts(key))
    }

    /// The key of each signer that signs at `time` the head of a suite with the settings `next`: of those that devices know, the
    /// one that signed the last head, otherwise the newest.
    pub(crate) fn choose(
        &self,
        suite: &SuiteName,
        head: Option<Signed<'_>>,
        next: &Settings,
        time: SignatureTime,
        may_adopt_new: bool,
    ) -> Result<Vec<KeyState>, Error> {
        let signed_last = match head.map(|head| head.signatures) {
            Some(HeadSignatures::By(signatures)) => signatures.iter().map(|by| by.key).collect(),
            _ => Vec::new(),
        };
        let signing = self.signing(suite, next)?;
        let chosen = signing.into_iter().map(|signer| {
            let known = head.and_then(|head| known_keys(head.settings, signer));
            choose_key(
                &keys_at(signer, time),
                &signed_last,
                known.unwrap_or_default(),
                may_adopt_new,
            )
            .map_err(|source| Error::Key {
                suite: suite.clone(),
                certificate: signer.certificate().fingerprint(),
                source,
            })
        });
        chosen.collect()
    }

    /// Signs with the chosen keys; none in an unsigned suite.
    pub(crate) async fn sign(
        &self,
        text: &[u8],
        time: SignatureTime,
        chosen: &[KeyState],
    ) -> Result<Option<SignedRelease>, Error> {
        if !self.is_signed() {
            return Ok(None);
        }
        let with = chosen.iter().filter_map(|&KeyState { key, .. }| {
            let mut signers = self.signers().iter();
            let signer = signers
                .find(|signer| signer.keys().contains(&key))?
                .as_ref();
            Some(SignWith { signer, key })
        });
        let with: Vec<_> = with.collect();
        Ok(Some(sign_release(text, time, &with).await?))
    }

    /// The certificate that has this signing key.
    pub(crate) fn certificate_of(&self, key: Fingerprint) -> Option<Certificate> {
        let accepted = self.accepted().unwrap_or_default().certificates;
        let mut certificates = accepted.into_iter().chain(self.own().cloned());
        certificates.find(|certificate| certificate.signing_keys().contains(&key))
    }
}

fn not_accepted(suite: SuiteName, key: &Certificate, settings: &Settings) -> Error {
    let accepted = settings.signing_keys.iter();
    Error::NotAccepted {
        suite,
        key: key.fingerprint(),
        accepted: accepted.map(|key| key.fingerprint).collect(),
    }
}

/// The keys of a signer's certificate that devices have.
fn known_keys<'a>(settings: &'a Settings, signer: &dyn Signer) -> Option<&'a [Fingerprint]> {
    let fingerprint = signer.certificate().fingerprint();
    let mut accepted = settings.signing_keys.iter();
    let key = accepted.find(|key| key.fingerprint == fingerprint)?;
    Some(&key.keys)
}

/// A moment of the store's clock as signatures carry it.
pub(crate) fn signature_time(time: Timestamp) -> Result<SignatureTime, Error> {
    SignatureTime::try_from(time.as_second()).map_err(|_| Error::NoStoreTime)
}
