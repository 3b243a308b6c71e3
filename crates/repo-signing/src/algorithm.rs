//! Which algorithms are strong enough, and which of them every client reads.

use pgp::{
    crypto::hash::HashAlgorithm,
    ser::Serialize as _,
    types::{EcdsaPublicParams, EddsaLegacyPublicParams, PublicParams},
};

/// The shortest RSA modulus that is accepted, in bits. `sqv` and `gpgv` accept it too; new keys
/// should have 3072 or more.
const MIN_RSA_BITS: u16 = 2048;

/// Whether signatures with this digest count. SHA-1 and older do not; SHA-224 and SHA-3 are left out
/// because `gpgv` or `sqv` may lack them.
pub(crate) fn is_accepted_hash(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512
    )
}

/// Whether a key of this kind may sign, and if not, what it is, to be shown as “… cannot be used”.
pub(crate) fn check_key(params: &PublicParams) -> Result<(), String> {
    match params {
        PublicParams::RSA(rsa) => {
            // The modulus comes first, as a number with its length in bits before it.
            let encoded = rsa.to_bytes().map_err(|_| "a malformed RSA key".to_owned())?;
            match encoded.first_chunk::<2>().map(|length| u16::from_be_bytes(*length)) {
                Some(bits) if bits >= MIN_RSA_BITS => Ok(()),
                Some(bits) => Err(format!("an RSA key of {bits} bits (at least {MIN_RSA_BITS} are needed)")),
                None => Err("a malformed RSA key".to_owned()),
            }
        }
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }) => Ok(()),
        PublicParams::EdDSALegacy(other) => Err(format!("an EdDSA key on the curve {}", other.curve().name())),
        PublicParams::ECDSA(
            EcdsaPublicParams::P256 { .. } | EcdsaPublicParams::P384 { .. } | EcdsaPublicParams::P521 { .. },
        ) => Ok(()),
        PublicParams::ECDSA(_) => Err("an ECDSA key on a curve other than NIST's".to_owned()),
        PublicParams::Ed25519(_) | PublicParams::Ed448(_) => {
            Err("an Ed25519 or Ed448 key in the form of RFC 9580, which gpgv of Debian 12 does not read".to_owned())
        }
        PublicParams::DSA(_) => Err("a DSA key".to_owned()),
        _ => Err("a key of an algorithm that does not sign".to_owned()),
    }
}

/// The digest to sign with: SHA-512, or what the curve's size or the key's own preferences ask for.
pub(crate) fn signing_hash(params: &PublicParams, preferred: &[HashAlgorithm]) -> HashAlgorithm {
    match params {
        PublicParams::ECDSA(EcdsaPublicParams::P256 { .. }) => HashAlgorithm::Sha256,
        PublicParams::ECDSA(EcdsaPublicParams::P384 { .. }) => HashAlgorithm::Sha384,
        _ if preferred.is_empty() || preferred.contains(&HashAlgorithm::Sha512) => {
            HashAlgorithm::Sha512
        }
        _ if preferred.contains(&HashAlgorithm::Sha256) => HashAlgorithm::Sha256,
        _ => HashAlgorithm::Sha512,
    }
}

/// The name that the `Hash:` header of a cleartext signature has for the digest.
pub(crate) fn hash_name(hash: HashAlgorithm) -> String {
    hash.to_string()
}
