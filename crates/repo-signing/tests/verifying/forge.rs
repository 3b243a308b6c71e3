//! Signed files that no tool writes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pgp::composed::{ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, Timestamp};

use crate::support::{DAY, FEBRUARY, RELEASE, fixture, key, sign};

/// 2024-03-01T00:00:00Z.
pub(crate) const MARCH: u32 = FEBRUARY + 29 * DAY;

pub(crate) fn inrelease(name: &str, seconds: u32) -> Vec<u8> {
    sign(&key(name), RELEASE, seconds)
        .unwrap()
        .inrelease
        .to_vec()
}

pub(crate) fn replaced(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(file.to_vec()).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from:?} is not there");
    changed.into_bytes()
}

/// A signature by a fixture's primary key, with a digest and a time of choice.
pub(crate) fn signature(
    name: &str,
    kind: SignatureType,
    hash: HashAlgorithm,
    seconds: u32,
    data: &[u8],
) -> pgp::packet::Signature {
    let key = SignedSecretKey::from_armor_single(fixture(name).as_slice())
        .unwrap()
        .0;
    let mut config = SignatureConfig::v4(kind, key.primary_key.algorithm(), hash);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(
            key.primary_key.fingerprint(),
        ))
        .unwrap(),
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            seconds,
        )))
        .unwrap(),
    ];
    config
        .sign(&key.primary_key, &Password::empty(), data)
        .unwrap()
}

pub(crate) fn framed(hash: &str, text: &str, signatures: &[pgp::packet::Signature]) -> Vec<u8> {
    let mut packets = Vec::new();
    for signature in signatures {
        pgp::packet::PacketTrait::to_writer_with_header(signature, &mut packets).unwrap();
    }
    // One block of several packets, as gpg writes it; the encoder takes one signature only.
    let one = DetachedSignature::new(signatures[0].clone())
        .to_armored_string(ArmorOptions::default())
        .unwrap();
    let armor = match signatures {
        [_] => one,
        _ => format!(
            "-----BEGIN PGP SIGNATURE-----\n\n{}\n-----END PGP SIGNATURE-----\n",
            STANDARD.encode(&packets)
        ),
    };
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: {hash}\n\n{text}{armor}").into_bytes()
}
