//! One key of a certificate: its primary key or a subkey ("component key" in
//! [RFC 9580, section 10](https://www.rfc-editor.org/rfc/rfc9580.html#name-packet-composition)).

use pgp::{
    composed::SignedPublicSubKey, crypto::hash::HashAlgorithm, packet::Signature, types::KeyDetails,
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
        fingerprint::of_key(self.details()).unwrap_or(self.certificate.fingerprint())
    }

    pub(crate) fn details(self) -> &'a dyn KeyDetails {
        match self.subkey {
            Some(subkey) => &subkey.key,
            None => &self.certificate.key().primary_key,
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
        algorithm::check_key(self.details()).is_ok()
            && match self.subkey {
                Some(subkey) => validity::is_signing_subkey(key, subkey),
                None => validity::is_meant_for_signing(validity::signatures_of_primary(key)),
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
        algorithm::signing_hash(self.details().public_params(), &preferred)
    }
}
