//! What is accepted as a base to build on, and what is not.

#![allow(clippy::unwrap_used, reason = "a failed step of a test shall end it")]

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pgp::{
    composed::{
        ArmorOptions, Deserializable as _, DetachedSignature, SignedPublicKey, SignedSecretKey,
    },
    crypto::hash::HashAlgorithm,
    packet::{RevocationCode, SignatureConfig, SignatureType, Subpacket, SubpacketData},
    types::{KeyDetails as _, Password, Timestamp},
};
use repo_signing::{
    Issuer, KeyProblem, Keyring, SignatureProblem, SignatureTime, Signer, VerifyError,
};
use support::{DAY, FEBRUARY, JANUARY, RELEASE, fixture, key, keyring, sign};

/// 2024-03-01T00:00:00Z.
const MARCH: u32 = FEBRUARY + 29 * DAY;

fn inrelease(name: &str, seconds: u32) -> Vec<u8> {
    sign(&key(name), RELEASE, seconds).unwrap().inrelease
}

fn replaced(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(file.to_vec()).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from:?} is not there");
    changed.into_bytes()
}

/// A signature by a fixture's primary key, with a digest and a time of choice.
fn signature(
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

fn framed(hash: &str, text: &str, signatures: &[pgp::packet::Signature]) -> Vec<u8> {
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

#[test]
fn no_change_of_a_byte_gives_another_text() {
    let key = key("ed25519");
    let ring = keyring(&key);
    let release = b"Origin: x\n-a: b\nSHA256:\n 00 1 P\n";
    let file = sign(&key, release, FEBRUARY).unwrap().inrelease;
    let find = |needle: &[u8]| {
        file.windows(needle.len())
            .rposition(|window| window == needle)
            .unwrap()
    };
    let (begin, end) = (find(b"Origin:"), find(b"-----BEGIN PGP SIGNATURE-----"));
    let check = |changed: &[u8], what: &str, index: usize| match ring.verify_inrelease(changed) {
        Ok(verified) => assert_eq!(verified.release, release, "{what} at byte {index}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    };
    for index in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[index] ^= 1 << bit;
            // What is not signed (the armor's layout, the issuer's key ID) may change; no bit of the text.
            if (begin..end).contains(&index) {
                assert!(
                    ring.verify_inrelease(&changed).is_err(),
                    "bit {bit} of byte {index}"
                );
            }
            check(&changed, "a flipped bit", index);
        }
        for byte in [b'\n', b'\r', b' ', b'-', 0, b'a'] {
            let mut changed = file.clone();
            changed[index] = byte;
            check(&changed, "another byte", index);
            changed = file.clone();
            changed.insert(index, byte);
            check(&changed, "a new byte", index);
        }
        let mut changed = file.clone();
        changed.remove(index);
        check(&changed, "a lost byte", index);
        check(&file[..index], "the end", index);
    }
}

#[test]
fn text_around_the_message_is_refused() {
    let ring = keyring(&key("ed25519"));
    let file = inrelease("ed25519", FEBRUARY);
    let before = [b"Origin: evil\n".as_slice(), &file].concat();
    assert_eq!(
        ring.verify_inrelease(&before),
        Err(VerifyError::TextOutside { line: 1 })
    );
    let lines = file.iter().filter(|&&byte| byte == b'\n').count();
    for rest in [b"Origin: evil\n".as_slice(), b"\n", &file] {
        let behind = [file.as_slice(), rest].concat();
        assert_eq!(
            ring.verify_inrelease(&behind),
            Err(VerifyError::TextOutside { line: lines + 1 })
        );
    }
}

#[test]
fn changed_text_is_a_bad_signature() {
    let key = key("ed25519");
    let signed = sign(&key, RELEASE, FEBRUARY).unwrap();
    let bad = VerifyError::BadSignature(key.certificate().fingerprint());
    for (from, to) in [
        ("stable", "hacked"),
        ("Suite: stable\n", ""),
        ("- -dash", "- - -dash"),
        ("\nSuite", "\n\nSuite"),
    ] {
        assert_eq!(
            keyring(&key).verify_inrelease(&replaced(&signed.inrelease, from, to)),
            Err(bad.clone()),
            "{from:?}"
        );
    }
    let changed = replaced(RELEASE, "stable", "hacked");
    assert_eq!(
        keyring(&key).verify_detached(&changed, &signed.detached),
        Err(bad)
    );
}

#[test]
fn ambiguous_frames_are_refused() {
    let ring = keyring(&key("ed25519"));
    let file = inrelease("ed25519", FEBRUARY);
    let crlf = String::from_utf8(file.clone())
        .unwrap()
        .replace('\n', "\r\n");
    let header = replaced(
        &file,
        "Hash: SHA512\n",
        "Hash: SHA512\nNotDashEscaped: You need GnuPG\n",
    );
    let body_crlf = replaced(&file, "Suite: stable\n", "Suite: stable\r\n");
    let unescaped = replaced(&file, "- -dash", "-dash");
    for changed in [crlf.into_bytes(), header, body_crlf, unescaped] {
        let error = ring.verify_inrelease(&changed).unwrap_err();
        assert!(matches!(error, VerifyError::Frame { .. }), "{error}");
    }
}

#[test]
fn white_space_that_is_not_signed_is_not_given() {
    let ring = keyring(&key("ed25519"));
    let changed = replaced(
        &inrelease("ed25519", FEBRUARY),
        "Suite: stable\n",
        "Suite: stable \t\n",
    );
    assert_eq!(ring.verify_inrelease(&changed).unwrap().release, RELEASE);
}

#[test]
fn what_is_not_signed_is_told_apart() {
    let ring = keyring(&key("ed25519"));
    assert_eq!(
        ring.verify_inrelease(RELEASE),
        Err(VerifyError::NotClearsigned)
    );
    assert_eq!(ring.verify_inrelease(b""), Err(VerifyError::NotClearsigned));
    assert_eq!(
        ring.verify_detached(RELEASE, b"hello"),
        Err(VerifyError::Unreadable)
    );
    assert_eq!(
        ring.verify_detached(RELEASE, b""),
        Err(VerifyError::Unreadable)
    );
    let public = key("ed25519").certificate().armored().as_bytes().to_vec();
    assert_eq!(
        ring.verify_detached(RELEASE, &public),
        Err(VerifyError::Unreadable)
    );
}

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
            (verified.release, verified.signer),
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
    // Of a text: newlines of either kind would count as the same.
    let signature = signature(
        "ed25519",
        SignatureType::Text,
        HashAlgorithm::Sha512,
        FEBRUARY,
        RELEASE,
    );
    let armored = DetachedSignature::new(signature)
        .to_armored_bytes(ArmorOptions::default())
        .unwrap();
    let error = ring.verify_detached(RELEASE, &armored).unwrap_err();
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

/// What is said of a signature that the fixture's primary key made at a time.
fn at(name: &str, seconds: u32) -> Result<(), KeyProblem> {
    let signature = signature(
        name,
        SignatureType::Binary,
        HashAlgorithm::Sha512,
        seconds,
        RELEASE,
    );
    let armored = DetachedSignature::new(signature)
        .to_armored_bytes(ArmorOptions::default())
        .unwrap();
    match keyring(&key(name)).verify_detached(RELEASE, &armored) {
        Ok(_) => Ok(()),
        Err(VerifyError::Unusable {
            problem: SignatureProblem::Key(problem),
            ..
        }) => Err(problem),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn a_key_counts_only_while_it_is_valid() {
    assert!(matches!(
        at("ed25519", JANUARY - 1),
        Err(KeyProblem::NotYetCreated { .. })
    ));
    assert_eq!(at("ed25519", JANUARY), Ok(()));
    assert_eq!(at("expiring", JANUARY + 182 * DAY), Ok(()));
    assert!(matches!(
        at("expiring", JANUARY + 183 * DAY),
        Err(KeyProblem::Expired { .. })
    ));
    assert_eq!(at("revoked", JANUARY + 120 * DAY), Ok(()));
    assert!(matches!(
        at("revoked", JANUARY + 122 * DAY),
        Err(KeyProblem::Revoked { .. })
    ));
    assert_eq!(at("sha1", FEBRUARY), Err(KeyProblem::WeakSelfSignature));
    assert!(matches!(
        at("rsa1024", FEBRUARY),
        Err(KeyProblem::Algorithm(_))
    ));
}

#[test]
fn a_primary_key_that_only_certifies_does_not_sign() {
    let key = SignedSecretKey::from_armor_single(fixture("subkeys").as_slice())
        .unwrap()
        .0;
    assert_eq!(key.secret_subkeys.len(), 3);
    assert_eq!(at("subkeys", FEBRUARY), Err(KeyProblem::NotForSigning));
}

#[test]
fn an_extended_key_keeps_its_earlier_signatures() {
    // The extension replaced the self-signature: the only one there is younger than the signature.
    assert_eq!(at("extended", FEBRUARY), Ok(()));
    assert_eq!(at("extended", JANUARY + 300 * DAY), Ok(()));
}

#[test]
fn a_subkey_of_another_key_is_not_taken_over() {
    // The thief binds a stranger's signing subkey to his own certificate, without its back-signature.
    let thief = SignedSecretKey::from_armor_single(fixture("ed25519").as_slice())
        .unwrap()
        .0;
    let victim = SignedSecretKey::from_armor_single(fixture("subkeys").as_slice())
        .unwrap()
        .0;
    let stolen = victim.secret_subkeys[0].key.public_key().clone();
    let mut config = SignatureConfig::v4(
        SignatureType::SubkeyBinding,
        thief.primary_key.algorithm(),
        HashAlgorithm::Sha512,
    );
    let mut flags = pgp::packet::KeyFlags::default();
    flags.set_sign(true);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(
            thief.primary_key.fingerprint(),
        ))
        .unwrap(),
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            JANUARY,
        )))
        .unwrap(),
        Subpacket::regular(SubpacketData::KeyFlags(flags)).unwrap(),
    ];
    let public = thief.primary_key.public_key();
    let binding = config
        .sign_subkey_binding(&thief.primary_key, public, &Password::empty(), &stolen)
        .unwrap();
    let mut certificate = thief.to_public_key();
    certificate
        .public_subkeys
        .push(pgp::composed::SignedPublicSubKey::new(
            stolen,
            vec![binding],
        ));
    let ring = Keyring::from_bytes(&pgp::ser::Serialize::to_bytes(&certificate).unwrap()).unwrap();
    let error = ring
        .verify_inrelease(&inrelease("subkeys", FEBRUARY))
        .unwrap_err();
    let problem = SignatureProblem::Key(KeyProblem::NoBackSignature);
    assert!(
        matches!(&error, VerifyError::Unusable { problem: found, .. } if *found == problem),
        "{error}"
    );
    // Beside the owner's certificate it does no harm.
    let both = Keyring::from_iter([
        ring.certificates[0].clone(),
        key("subkeys").certificate().clone(),
    ]);
    let verified = both
        .verify_inrelease(&inrelease("subkeys", FEBRUARY))
        .unwrap();
    assert_eq!(verified.signer, key("subkeys").certificate().fingerprint());
}

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

#[test]
fn critical_parts_that_are_not_known_make_a_signature_void() {
    let key = SignedSecretKey::from_armor_single(fixture("ed25519").as_slice())
        .unwrap()
        .0;
    let mut config = SignatureConfig::v4(
        SignatureType::Binary,
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
        .sign(&key.primary_key, &Password::empty(), RELEASE)
        .unwrap();
    let armored = DetachedSignature::new(signature)
        .to_armored_bytes(ArmorOptions::default())
        .unwrap();
    let error = keyring(&support::key("ed25519"))
        .verify_detached(RELEASE, &armored)
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
