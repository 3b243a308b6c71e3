//! Fingerprints as rPGP has them.

use pgp::types::KeyDetails;

use crate::Fingerprint;

/// The fingerprint of a key; `None` if the key is not of version 4.
pub(crate) fn of_key(key: &dyn KeyDetails) -> Option<Fingerprint> {
    convert(&key.fingerprint())
}

pub(crate) fn convert(fingerprint: &pgp::types::Fingerprint) -> Option<Fingerprint> {
    match fingerprint {
        pgp::types::Fingerprint::V4(bytes) => Some(Fingerprint::from_bytes(*bytes)),
        _ => None,
    }
}

/// Names in a sentence.
pub(crate) fn list<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
