//! Keys that were revoked: by whom, since when, and why.

use pgp::composed::{Deserializable as _, SignedPublicKey, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{RevocationCode, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, Timestamp};
use repo_signing::{KeyProblem, Keyring, SignatureProblem, SignatureTime, VerifyError};

use crate::forge::{MARCH, framed};
use crate::support::{DAY, FEBRUARY, fixture};

/// A revocation by the fixture's primary key, made in March 2024, for the reason given.
fn revocation(kind: SignatureType, reason: RevocationCode) -> (SignedSecretKey, SignatureConfig) {
    let key = SignedSecretKey::from_armor_single(fixture("subkeys").as_slice())
        .unwrap()
        .0;
    let mut config = SignatureConfig::v4(kind, key.primary_key.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(
            key.primary_key.fingerprint(),
        ))
        .unwrap(),
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            MARCH,
        )))
        .unwrap(),
        Subpacket::regular(SubpacketData::RevocationReason(reason, Vec::new().into())).unwrap(),
    ];
    (key, config)
}

/// Whether signatures by the first signing subkey, of February and of April, are accepted by the holders of
/// a certificate.
fn february_and_april(certificate: &SignedPublicKey) -> [bool; 2] {
    let ring = Keyring::from_bytes(&pgp::ser::Serialize::to_bytes(certificate).unwrap()).unwrap();
    [FEBRUARY, MARCH + 31 * DAY].map(|seconds| {
        match ring.verify_inrelease(&inrelease_by_first_subkey(seconds)) {
            Ok(_) => true,
            Err(VerifyError::Unusable {
                problem: SignatureProblem::Key(problem),
                ..
            }) => {
                let problem = match problem {
                    KeyProblem::Primary(problem) => *problem,
                    problem => problem,
                };
                assert_eq!(
                    problem,
                    KeyProblem::Revoked {
                        at: SignatureTime::from_seconds(MARCH)
                    }
                );
                false
            }
            Err(error) => panic!("{error}"),
        }
    })
}

fn inrelease_by_first_subkey(seconds: u32) -> Vec<u8> {
    let key = SignedSecretKey::from_armor_single(fixture("subkeys").as_slice())
        .unwrap()
        .0;
    let subkey = &key.secret_subkeys[0].key;
    let mut config = SignatureConfig::v4(
        SignatureType::Text,
        subkey.algorithm(),
        HashAlgorithm::Sha512,
    );
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(subkey.fingerprint())).unwrap(),
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            seconds,
        )))
        .unwrap(),
    ];
    framed(
        "SHA512",
        "Origin: x\n",
        &[config
            .sign(subkey, &Password::empty(), b"Origin: x".as_slice())
            .unwrap()],
    )
}

#[test]
fn a_compromised_key_never_counts_and_a_superseded_one_counts_before() {
    for (reason, expected) in [
        (RevocationCode::KeyCompromised, [false, false]),
        (RevocationCode::NoReason, [false, false]),
        (RevocationCode::KeySuperseded, [true, false]),
        (RevocationCode::KeyRetired, [true, false]),
    ] {
        let (key, config) = revocation(SignatureType::KeyRevocation, reason);
        let primary = key.primary_key.public_key();
        let mut certificate = key.to_public_key();
        let of_key = config
            .sign_key(&key.primary_key, &Password::empty(), primary)
            .unwrap();
        certificate.details.revocation_signatures.push(of_key);
        assert_eq!(
            february_and_april(&certificate),
            expected,
            "primary key, {reason:?}"
        );

        let (key, config) = revocation(SignatureType::SubkeyRevocation, reason);
        let mut certificate = key.to_public_key();
        let subkey = &mut certificate.public_subkeys[0];
        let of_subkey = config
            .sign_subkey_binding(&key.primary_key, primary, &Password::empty(), &subkey.key)
            .unwrap();
        subkey.signatures.push(of_subkey);
        assert_eq!(
            february_and_april(&certificate),
            expected,
            "subkey, {reason:?}"
        );
    }
    let (key, _) = revocation(SignatureType::KeyRevocation, RevocationCode::NoReason);
    assert_eq!(february_and_april(&key.to_public_key()), [true, true]);
}

#[test]
fn a_revocation_by_somebody_else_does_not_count() {
    let (key, _) = revocation(SignatureType::KeyRevocation, RevocationCode::KeyCompromised);
    let stranger = SignedSecretKey::from_armor_single(fixture("ed25519").as_slice())
        .unwrap()
        .0;
    let (_, config) = revocation(SignatureType::KeyRevocation, RevocationCode::KeyCompromised);
    let primary = key.primary_key.public_key();
    let forged = config
        .sign_key(&stranger.primary_key, &Password::empty(), primary)
        .unwrap();
    let mut certificate = key.to_public_key();
    certificate.details.revocation_signatures.push(forged);
    assert_eq!(february_and_april(&certificate), [true, true]);
}
