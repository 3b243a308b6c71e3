//! Which algorithms are strong enough, and which of them every client supports.

use pgp::{
    crypto::{
        ecc_curve::{ECCCurve, ecc_curve_from_oid},
        hash::HashAlgorithm,
    },
    ser::Serialize as _,
    types::{EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, PublicParams},
};

use crate::problem::{KeyProblem, MIN_RSA_BITS};

/// Whether signatures with this digest count. SHA-1 and older do not; SHA-224 and SHA-3 are left out
/// because `gpgv` or `sqv` may lack them.
pub(crate) fn is_accepted_hash(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512
    )
}

/// Whether a key of this kind can make signatures that every client accepts.
pub(crate) fn check_key(key: &dyn KeyDetails) -> Result<(), KeyProblem> {
    match key.public_params() {
        PublicParams::RSA(rsa) => {
            // The modulus comes first, as a number with its length in bits before it.
            let bits = rsa
                .to_bytes()
                .ok()
                .and_then(|encoded| encoded.first_chunk::<2>().copied())
                .map_or(0, u16::from_be_bytes);
            if bits < MIN_RSA_BITS {
                return Err(KeyProblem::RsaTooShort { bits });
            }
            Ok(())
        }
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }) => Ok(()),
        PublicParams::ECDSA(
            EcdsaPublicParams::P256 { .. }
            | EcdsaPublicParams::P384 { .. }
            | EcdsaPublicParams::P521 { .. },
        ) => Ok(()),
        PublicParams::EdDSALegacy(other) => Err(unsupported_curve(&other.curve().oid())),
        PublicParams::ECDSA(other) => Err(unsupported_curve(&other.curve().oid())),
        _ => Err(unsupported_algorithm(key.algorithm().into())),
    }
}

/// What is said of a public-key algorithm, by its number in
/// [RFC 9580, section 9.1](https://www.rfc-editor.org/rfc/rfc9580.html#name-public-key-algorithms).
pub(crate) fn unsupported_algorithm(number: u8) -> KeyProblem {
    KeyProblem::Algorithm(match number {
        16 | 20 => "ElGamal",
        17 => "DSA",
        18 => "ECDH",
        21 => "Diffie-Hellman",
        25 => "X25519",
        26 => "X448",
        // gpgv of Debian 12 knows only the first form of Ed25519 (EdDSALegacy).
        27 => "Ed25519 in the form of RFC 9580",
        28 => "Ed448",
        30..=36 => "a post-quantum algorithm",
        _ => return KeyProblem::UnknownAlgorithm(number),
    })
}

/// What is said of a curve, by its object identifier in DER without tag and length.
pub(crate) fn unsupported_curve(oid: &[u8]) -> KeyProblem {
    // 1.3.101.113: gpg 2.3 and later use it for Ed448.
    if oid == [0x2b, 0x65, 0x71] {
        return KeyProblem::Curve("Ed448");
    }
    match ecc_curve_from_oid(oid) {
        Some(ECCCurve::Curve25519Legacy) => KeyProblem::Curve("Curve25519"),
        Some(ECCCurve::Ed25519Legacy) => KeyProblem::Curve("Ed25519"),
        Some(ECCCurve::P256) => KeyProblem::Curve("NIST P-256"),
        Some(ECCCurve::P384) => KeyProblem::Curve("NIST P-384"),
        Some(ECCCurve::P521) => KeyProblem::Curve("NIST P-521"),
        Some(ECCCurve::BrainpoolP256r1) => KeyProblem::Curve("brainpoolP256r1"),
        Some(ECCCurve::BrainpoolP384r1) => KeyProblem::Curve("brainpoolP384r1"),
        Some(ECCCurve::BrainpoolP512r1) => KeyProblem::Curve("brainpoolP512r1"),
        Some(ECCCurve::Secp256k1) => KeyProblem::Curve("secp256k1"),
        _ => KeyProblem::UnknownCurve,
    }
}

/// Whether a curve, by its object identifier as above, is one of those that [`check_key`] accepts.
pub(crate) fn is_supported_curve(oid: &[u8]) -> bool {
    matches!(
        ecc_curve_from_oid(oid),
        Some(ECCCurve::Ed25519Legacy | ECCCurve::P256 | ECCCurve::P384 | ECCCurve::P521)
    )
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
