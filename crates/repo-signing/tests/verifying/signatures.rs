//! Which signatures count, and which of several.

use pgp::composed::{Deserializable as _, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, Timestamp};
use repo_signing::{Issuer, Keyring, SignatureProblem, Signer as _, VerifyError};

use crate::forge::{framed, inrelease, replaced, signature};
use crate::support::{self, FEBRUARY, fixture, key, keyring};

#[test]
fn an_unknown_key_is_named() {
    let expected = VerifyError::UnknownKey(vec![Issuer::Fingerprint(
        key("rsa4096").certificate().fingerprint(),
    )]);
    let file = inrelease("rsa4096", FEBRUARY);
    for ring in [keyring(&key("ed25519")), Keyring::default()] {
        assert_eq!(ring.verify_inrelease(&file), Err(expected.clone()));
    }
    assert!(
        expected
            .to_string()
            .contains(&key("rsa4096").certificate().fingerprint().to_string())
    );
}

#[test]
fn one_good_signature_is_enough_and_a_bad_one_is_too_much() {
    let text = "Origin: x\n";
    let by = |name, data: &[u8]| {
        signature(
            name,
            SignatureType::Text,
            HashAlgorithm::Sha512,
            FEBRUARY,
            data,
        )
    };
    let good = by("ed25519", b"Origin: x");
    let ring = keyring(&key("ed25519"));
    // A key that is not accepted beside one that is, in either order.
    for signatures in [
        [by("rsa4096", b"Origin: x"), good.clone()],
        [good.clone(), by("rsa4096", b"Origin: y")],
    ] {
        let verified = ring
            .verify_inrelease(&framed("SHA512", text, &signatures))
            .unwrap();
        assert_eq!(
            (verified.release, verified.signatures[0].certificate),
            (text.into(), key("ed25519").certificate().fingerprint())
        );
    }
    // Two accepted keys, of which one is bad.
    let both =
        Keyring::from_iter(["ed25519", "rsa4096"].map(|name| key(name).certificate().clone()));
    let bad = by("rsa4096", b"Origin: y");
    let expected = Err(VerifyError::BadSignature(
        key("rsa4096").certificate().fingerprint(),
    ));
    assert_eq!(
        both.verify_inrelease(&framed("SHA512", text, &[good.clone(), bad.clone()])),
        expected
    );
    assert_eq!(
        both.verify_inrelease(&framed("SHA512", text, &[bad, good.clone()])),
        expected
    );
    // An accepted key whose signature does not count, beside a good one.
    let weak = signature(
        "rsa4096",
        SignatureType::Text,
        HashAlgorithm::Sha1,
        FEBRUARY,
        b"Origin: x",
    );
    assert!(
        both.verify_inrelease(&framed("SHA512,SHA1", text, &[weak, good]))
            .is_ok()
    );
}

#[test]
fn broken_digests_are_refused() {
    for hash in [
        HashAlgorithm::Md5,
        HashAlgorithm::Sha1,
        HashAlgorithm::Ripemd160,
        HashAlgorithm::Sha224,
    ] {
        let signature = signature("rsa4096", SignatureType::Text, hash, FEBRUARY, b"Origin: x");
        let error = keyring(&key("rsa4096"))
            .verify_inrelease(&framed(
                &hash.to_string(),
                "Origin: x\n",
                std::slice::from_ref(&signature),
            ))
            .unwrap_err();
        let hash = SignatureProblem::Hash(hash.to_string());
        assert!(
            matches!(&error, VerifyError::Unusable { problem, .. } if *problem == hash),
            "{error}"
        );
    }
}

#[test]
fn the_digest_must_be_announced() {
    let changed = replaced(
        &inrelease("ed25519", FEBRUARY),
        "Hash: SHA512",
        "Hash: SHA256",
    );
    let error = keyring(&key("ed25519"))
        .verify_inrelease(&changed)
        .unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Unusable {
                problem: SignatureProblem::HashNotAnnounced(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_binary_signature_in_the_frame_counts() {
    // Some tools (Go's clearsign) mark the signature of the canonical text as binary; gpgv takes it.
    let signature = signature(
        "ed25519",
        SignatureType::Binary,
        HashAlgorithm::Sha256,
        FEBRUARY,
        b"Origin: x\r\nLabel: y",
    );
    let file = framed("SHA256", "Origin: x\nLabel: y\n", &[signature]);
    assert_eq!(
        keyring(&key("ed25519"))
            .verify_inrelease(&file)
            .unwrap()
            .release,
        b"Origin: x\nLabel: y\n"
    );
}

#[test]
fn signatures_of_other_things_are_refused() {
    let ring = keyring(&key("ed25519"));
    // The key's signature of its own user ID.
    let key = SignedSecretKey::from_armor_single(fixture("ed25519").as_slice())
        .unwrap()
        .0;
    let signature = key.details.users[0].signatures[0].clone();
    let hash = signature.hash_alg().unwrap().to_string();
    let error = ring
        .verify_inrelease(&framed(&hash, "Origin: x\n", &[signature]))
        .unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Unusable {
                problem: SignatureProblem::Kind,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn critical_parts_that_are_not_known_make_a_signature_void() {
    let key = SignedSecretKey::from_armor_single(fixture("ed25519").as_slice())
        .unwrap()
        .0;
    let mut config = SignatureConfig::v4(
        SignatureType::Text,
        key.primary_key.algorithm(),
        HashAlgorithm::Sha512,
    );
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(
            key.primary_key.fingerprint(),
        ))
        .unwrap(),
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            FEBRUARY,
        )))
        .unwrap(),
        Subpacket::critical(SubpacketData::Experimental(101, vec![1].into())).unwrap(),
    ];
    let signature = config
        .sign(
            &key.primary_key,
            &Password::empty(),
            b"Origin: x".as_slice(),
        )
        .unwrap();
    let error = keyring(&support::key("ed25519"))
        .verify_inrelease(&framed("SHA512", "Origin: x\n", &[signature]))
        .unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Unusable {
                problem: SignatureProblem::Form,
                ..
            }
        ),
        "{error}"
    );
}
