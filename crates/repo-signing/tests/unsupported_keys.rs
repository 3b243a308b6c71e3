//! What is said of keys that clients do not support: the true cause, whatever the parser makes of them.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use repo_signing::{
    Certificate, CertificateError, KeyFile, KeyFileError, KeyProblem, Keyring, Signer as _, keys_at,
};
use support::{FEBRUARY, fixture, key, time};

/// A version 4 public or secret key packet of an algorithm, with its creation time of January 2024.
fn key_packet(tag: u8, version: u8, algorithm: u8, material: &[u8]) -> Vec<u8> {
    let mut body = vec![version];
    body.extend_from_slice(&support::JANUARY.to_be_bytes());
    if version < 4 {
        body.extend_from_slice(&[0, 0]);
    }
    body.push(algorithm);
    if version > 4 {
        body.extend_from_slice(&u32::try_from(material.len()).unwrap().to_be_bytes());
    }
    body.extend_from_slice(material);
    if tag == 5 {
        // An unlocked secret of one number, and a checksum.
        body.extend_from_slice(&[0, 0, 1, 1, 0, 3]);
    }
    let mut packet = vec![0xc0 | tag, 0xff];
    packet.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(&body);
    // A user ID.
    packet.extend_from_slice(b"\xcd\x01a");
    packet
}

fn mpi(bytes: &[u8]) -> Vec<u8> {
    let bits =
        u16::try_from(bytes.len() * 8).unwrap() - u16::try_from(bytes[0].leading_zeros()).unwrap();
    [&bits.to_be_bytes(), bytes].concat()
}

fn on_curve(oid: &[u8]) -> Vec<u8> {
    let length = [u8::try_from(oid.len()).unwrap()];
    [&length, oid, &mpi(&[4; 65])].concat()
}

/// What reading the key, or asking about it, gives.
fn problem_of_public(file: &[u8]) -> Option<KeyProblem> {
    match Certificate::from_bytes(file) {
        Ok(certificate) => certificate
            .check(certificate.fingerprint(), time(FEBRUARY))
            .err(),
        Err(CertificateError::Key(problem)) => Some(problem),
        Err(error) => panic!("{error}"),
    }
}

fn problem_of_secret(file: &[u8]) -> Option<KeyProblem> {
    match KeyFile::from_bytes(file, None) {
        Ok(key) => {
            let found = keys_at(&key, time(FEBRUARY)).remove(0).state.err();
            let state = key.certificate().check(key.keys()[0], time(FEBRUARY));
            assert_eq!(state.err(), found);
            found
        }
        Err(KeyFileError::Key(problem)) => Some(problem),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn keys_on_other_curves_that_gpg_makes_are_named_by_their_curve() {
    for (name, curve) in [
        ("brainpool", "brainpoolP256r1"),
        ("brainpool-locked", "brainpoolP384r1"),
        ("secp256k1", "secp256k1"),
    ] {
        let problem = problem_of_secret(&fixture(name));
        assert_eq!(problem, Some(KeyProblem::Curve(curve)), "{name}");
        let text = problem.unwrap().to_string();
        assert!(
            text.contains("not supported") && text.contains(curve),
            "{text}"
        );
    }
}

#[test]
fn each_unsupported_kind_of_key_is_named() {
    const NIST_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const BRAINPOOL: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13];
    const ED448: &[u8] = &[0x2b, 0x65, 0x71];
    const SECP224: &[u8] = &[0x2b, 0x81, 4, 0, 0x21];
    let number = || mpi(&[0xc1; 256]);
    for (version, algorithm, material, expected) in [
        (
            4,
            16,
            [number(), mpi(&[5]), number()].concat(),
            KeyProblem::Algorithm("ElGamal"),
        ),
        (
            4,
            20,
            [number(), mpi(&[5]), number()].concat(),
            KeyProblem::Algorithm("ElGamal"),
        ),
        (
            4,
            17,
            [number(), mpi(&[0xc1; 32]), number(), number()].concat(),
            KeyProblem::Algorithm("DSA"),
        ),
        (
            4,
            18,
            [on_curve(NIST_P256), vec![3, 1, 8, 7]].concat(),
            KeyProblem::Algorithm("ECDH"),
        ),
        (
            4,
            19,
            on_curve(BRAINPOOL),
            KeyProblem::Curve("brainpoolP512r1"),
        ),
        (4, 19, on_curve(SECP224), KeyProblem::UnknownCurve),
        (4, 22, on_curve(ED448), KeyProblem::Curve("Ed448")),
        (
            4,
            22,
            on_curve(BRAINPOOL),
            KeyProblem::Curve("brainpoolP512r1"),
        ),
        (4, 21, number(), KeyProblem::Algorithm("Diffie-Hellman")),
        (4, 25, vec![9; 32], KeyProblem::Algorithm("X25519")),
        (4, 26, vec![9; 56], KeyProblem::Algorithm("X448")),
        (
            4,
            27,
            ed25519_point(),
            KeyProblem::Algorithm("Ed25519 in the form of RFC 9580"),
        ),
        (4, 28, vec![9; 57], KeyProblem::Algorithm("Ed448")),
        (
            4,
            30,
            vec![9; 1984],
            KeyProblem::Algorithm("a post-quantum algorithm"),
        ),
        (4, 99, vec![9; 20], KeyProblem::UnknownAlgorithm(99)),
        (4, 105, vec![9; 20], KeyProblem::UnknownAlgorithm(105)),
        (
            4,
            1,
            [mpi(&[0xc1; 128]), mpi(&[1, 0, 1])].concat(),
            KeyProblem::RsaTooShort { bits: 1024 },
        ),
        (
            2,
            1,
            [number(), mpi(&[1, 0, 1])].concat(),
            KeyProblem::Version(2),
        ),
        (
            3,
            1,
            [number(), mpi(&[1, 0, 1])].concat(),
            KeyProblem::Version(3),
        ),
        (5, 22, on_curve(ED448), KeyProblem::Version(5)),
        (6, 27, ed25519_point(), KeyProblem::Version(6)),
        (7, 27, ed25519_point(), KeyProblem::Version(7)),
    ] {
        let public = key_packet(6, version, algorithm, &material);
        assert_eq!(
            problem_of_public(&public),
            Some(expected.clone()),
            "public, {version}, {algorithm}"
        );
        // The forged secret of the RSA key is not one.
        if algorithm != 1 || version != 4 {
            let secret = key_packet(5, version, algorithm, &material);
            let found = KeyFile::from_bytes(&secret, None).unwrap_err();
            assert_eq!(
                found,
                KeyFileError::Key(expected),
                "secret, {version}, {algorithm}"
            );
        }
    }
}

#[test]
fn a_key_of_another_version_is_not_taken_for_a_part_of_the_key_before_it() {
    let first = Certificate::from_bytes(key("ed25519").certificate().binary()).unwrap();
    let other = key_packet(6, 5, 22, &on_curve(&[0x2b, 0x65, 0x71]));
    let file = [first.binary(), other.as_slice()].concat();
    assert_eq!(
        Keyring::from_bytes(&file),
        Err(CertificateError::Key(KeyProblem::Version(5)))
    );
}

#[test]
fn a_subkey_is_only_as_good_as_its_primary_key() {
    for (name, expected) in [
        ("weak-primary", KeyProblem::RsaTooShort { bits: 1024 }),
        ("brainpool-primary", KeyProblem::Curve("brainpoolP256r1")),
    ] {
        let problem = problem_of_secret(&fixture(name)).unwrap();
        assert_eq!(problem, KeyProblem::Primary(Box::new(expected.clone())));
        assert!(
            problem.to_string().contains(&expected.to_string()),
            "{problem}"
        );
    }
}

#[test]
fn a_self_signature_with_sha1_is_the_problem_that_is_named() {
    assert_eq!(
        problem_of_secret(&fixture("sha1")),
        Some(KeyProblem::WeakSelfSignature)
    );
}

fn ed25519_point() -> Vec<u8> {
    let mut point = vec![0x66; 32];
    point[0] = 0x58;
    point
}
