//! One key of a certificate: its primary key or a subkey ("component key" in
//! [RFC 9580, section 10](https://www.rfc-editor.org/rfc/rfc9580.html#name-packet-composition)).

use pgp::{
    composed::SignedPublicSubKey,
    crypto::{hash::HashAlgorithm, public_key::PublicKeyAlgorithm},
    packet::Signature,
    types::{KeyDetails as _, KeyId, PublicParams},
};

use crate::{
    Certificate, Fingerprint, KeyProblem, KeyState, algorithm, fingerprint,
    validity::{self, Query},
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct ComponentKey<'a> {
    certificate: &'a Certificate,
    /// `None` for the primary key.
    subkey: Option<&'a SignedPublicSubKey>,
}

impl Certificate {
    /// The primary key, then the subkeys of version 4 in the certificate's order.
    pub(crate) fn components(&self) -> impl Iterator<Item = ComponentKey<'_>> {
        let subkeys = self.key().public_subkeys.iter();
        let component = |subkey| ComponentKey {
            certificate: self,
            subkey,
        };
        std::iter::once(component(None)).chain(
            subkeys
                .filter(|subkey| fingerprint::of_key(&subkey.key).is_some())
                .map(move |subkey| component(Some(subkey))),
        )
    }

    pub(crate) fn component(&self, key: Fingerprint) -> Result<ComponentKey<'_>, KeyProblem> {
        self.components()
            .find(|component| component.fingerprint() == key)
            .ok_or(KeyProblem::NotInCertificate)
    }
}

impl<'a> ComponentKey<'a> {
    pub(crate) fn certificate(self) -> &'a Certificate {
        self.certificate
    }

    pub(crate) fn fingerprint(self) -> Fingerprint {
        self.subkey
            .and_then(|subkey| fingerprint::of_key(&subkey.key))
            .unwrap_or(self.certificate.fingerprint())
    }

    pub(crate) fn key_id(self) -> KeyId {
        match self.subkey {
            Some(subkey) => subkey.key.legacy_key_id(),
            None => self.certificate.key().primary_key.legacy_key_id(),
        }
    }

    pub(crate) fn algorithm(self) -> PublicKeyAlgorithm {
        match self.subkey {
            Some(subkey) => subkey.key.algorithm(),
            None => self.certificate.key().primary_key.algorithm(),
        }
    }

    pub(crate) fn params(self) -> &'a PublicParams {
        match self.subkey {
            Some(subkey) => subkey.key.public_params(),
            None => self.certificate.key().primary_key.public_params(),
        }
    }

    /// Whether every client supports what the key computes.
    pub(crate) fn check_algorithm(self) -> Result<(), KeyProblem> {
        match self.subkey {
            Some(subkey) => algorithm::check_key(&subkey.key),
            None => algorithm::check_key(&self.certificate.key().primary_key),
        }
    }

    /// Whether the key may sign, and until when.
    pub(crate) fn check(self, query: Query) -> Result<KeyState, KeyProblem> {
        let expires = match self.subkey {
            Some(subkey) => validity::check_subkey(self.certificate.key(), subkey, query),
            None => validity::check_primary(self.certificate.key(), query),
        }?;
        Ok(KeyState {
            key: self.fingerprint(),
            expires,
        })
    }

    /// Whether the key is one to sign with, at whatever time.
    pub(crate) fn is_for_signing(self) -> bool {
        let key = self.certificate.key();
        self.check_algorithm().is_ok()
            && match self.subkey {
                Some(subkey) => validity::is_signing_subkey(key, subkey),
                None => validity::is_meant_for_signing(validity::signatures_of_primary(key)),
            }
    }

    /// Whether a signature says that this key made it.
    pub(crate) fn is_author_of(self, signature: &Signature) -> bool {
        match self.subkey {
            Some(subkey) => validity::is_by(signature, &subkey.key),
            None => validity::is_by(signature, &self.certificate.key().primary_key),
        }
    }

    /// Whether this key did make a signature.
    pub(crate) fn verifies(self, signature: &Signature, data: &[u8]) -> bool {
        match self.subkey {
            Some(subkey) => signature.verify(&subkey.key, data),
            None => signature.verify(&self.certificate.key().primary_key, data),
        }
        .is_ok()
    }

    /// The digest to sign with.
    pub(crate) fn signing_hash(self, query: Query) -> HashAlgorithm {
        let preferred = validity::preferred_hashes(self.certificate.key(), query);
        algorithm::signing_hash(self.params(), &preferred)
    }
}
