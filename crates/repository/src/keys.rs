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
            Self::Sign { signers, further } => {
                let own = signers.iter().map(|signer| signer.certificate().clone());
                Some(further.certificates.iter().cloned().chain(own).collect())
            }
        }
    }

    /// The same trust, for reading only.
    #[must_use]
    pub fn for_reading(&self) -> Self {
        self.accepted().map_or(Self::Unchecked, Self::Verify)
    }

    pub(crate) fn is_signed(&self) -> bool {
        matches!(self, Self::Sign { .. })
    }

    /// The certificates of the signers, for a new suite's settings.
    pub(crate) fn certificates(&self) -> Vec<AcceptedKey> {
        match self {
            Self::Sign { signers, .. } => signers
                .iter()
                .map(|signer| accepted_key(signer.certificate()))
                .collect(),
            Self::Unchecked | Self::Verify(_) | Self::Unsigned => Vec::new(),
        }
    }

    /// Whether these keys may change the suite: a signed suite stays signed by keys that it accepts, an unsigned one unsigned.
    pub(crate) fn check(&self, suite: &SuiteName, head: Option<Signed<'_>>) -> Result<(), Error> {
        let suite = suite.clone();
        let is_signed = head.map(|head| *head.signatures != HeadSignatures::Unsigned);
        match (self, is_signed) {
            (Self::Unchecked | Self::Verify(_), _) => Err(Error::NoSigner {
                suite,
                is_signed: is_signed.unwrap_or(false),
            }),
            (Self::Unsigned, Some(true)) => Err(Error::NoSigner {
                suite,
                is_signed: true,
            }),
            (Self::Sign { .. }, Some(false)) => Err(Error::SuiteIsUnsigned { suite }),
            (Self::Sign { signers, .. }, Some(true)) => {
                let accepted = head
                    .into_iter()
                    .flat_map(|head| &head.settings.signing_keys);
                let accepted: Vec<_> = accepted.map(|key| key.fingerprint).collect();
                let own = signers
                    .iter()
                    .map(|signer| signer.certificate().fingerprint());
                match own.into_iter().find(|key| !accepted.contains(key)) {
                    Some(key) => Err(Error::NotAccepted {
                        suite,
                        key,
                        accepted,
                    }),
                    None => Ok(()),
                }
            }
            (Self::Sign { .. } | Self::Unsigned, _) => Ok(()),
        }
    }

    /// The key of each signer that signs at `time`: of those that devices know, the one that signed the head, otherwise the newest.
    pub(crate) fn choose(
        &self,
        suite: &SuiteName,
        head: Option<Signed<'_>>,
        time: SignatureTime,
        may_adopt_new: bool,
    ) -> Result<Vec<KeyState>, Error> {
        let Self::Sign { signers, .. } = self else {
            return Ok(Vec::new());
        };
        let signed_last = match head.map(|head| head.signatures) {
            Some(HeadSignatures::By(signatures)) => signatures.iter().map(|by| by.key).collect(),
            _ => Vec::new(),
        };
        let chosen = signers.iter().map(|signer| {
            let known = head.and_then(|head| known_keys(head.settings, signer.as_ref()));
            choose_key(
                &keys_at(signer.as_ref(), time),
                &signed_last,
                known.unwrap_or_default(),
                may_adopt_new,
            )
            .map_err(|source| Error::Key {
                suite: suite.clone(),
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
        let Self::Sign { signers, .. } = self else {
            return Ok(None);
        };
        let with: Vec<_> = signers
            .iter()
            .zip(chosen)
            .map(|(signer, state)| SignWith {
                signer: signer.as_ref(),
                key: state.key,
            })
            .collect();
        Ok(Some(sign_release(text, time, &with).await?))
    }

    /// The certificate that has this signing key.
    pub(crate) fn certificate_of(&self, key: Fingerprint) -> Option<Certificate> {
        let accepted = self.accepted()?;
        let mut certificates = accepted.certificates.into_iter();
        certificates.find(|certificate| certificate.signing_keys().contains(&key))
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
