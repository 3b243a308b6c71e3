//! What a secret key file may be, and what is said of one that cannot be used.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use pgp::{
    composed::{
        ArmorOptions, Deserializable as _, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
    },
    crypto::{aead::AeadAlgorithm, hash::HashAlgorithm, sym::SymmetricKeyAlgorithm},
    types::{KeyVersion, Password, S2kParams, StringToKey, Timestamp},
};
use repo_signing::{
    Certificate, CertificateError, KeyAlgorithm, KeyFile, KeyFileError, KeyProblem, Keyring,
    Passphrase, SignatureTime, Signer, generate,
};
use support::{FEBRUARY, RELEASE, fixture, key, keyring, sesame, sign};

fn problem(file: &[u8]) -> KeyFileError {
    KeyFile::from_bytes(file, None).unwrap_err()
}

fn parsed(name: &str) -> SignedSecretKey {
    SignedSecretKey::from_armor_single(fixture(name).as_slice())
        .unwrap()
        .0
}

fn binary(key: &SignedSecretKey) -> Vec<u8> {
    pgp::ser::Serialize::to_bytes(key).unwrap()
}

#[test]
fn binary_and_armored_files_are_the_same_key() {
    let armored = fixture("ed25519");
    let from_binary = KeyFile::from_bytes(&binary(&parsed("ed25519")), None).unwrap();
    let crlf = String::from_utf8(armored.clone())
        .unwrap()
        .replace('\n', "\r\n");
    let from_crlf = KeyFile::from_bytes(format!("some text\r\n{crlf}").as_bytes(), None).unwrap();
    for other in [from_binary, from_crlf] {
        assert_eq!(other.certificate(), key("ed25519").certificate());
    }
}

#[test]
fn a_locked_key_asks_for_its_passphrase() {
    for name in ["locked", "locked-rsa", "offline-locked"] {
        let file = fixture(name);
        let missing = KeyFile::from_bytes(&file, None).unwrap_err();
        assert!(
            matches!(missing, KeyFileError::PassphraseMissing(_)),
            "{name}: {missing}"
        );
        let wrong = KeyFile::from_bytes(&file, Some(&Passphrase::new("open"))).unwrap_err();
        assert!(
            matches!(wrong, KeyFileError::PassphraseWrong(_)),
            "{name}: {wrong}"
        );
        assert!(
            sign(
                &KeyFile::from_bytes(&file, Some(&sesame())).unwrap(),
                RELEASE,
                FEBRUARY
            )
            .is_ok()
        );
    }
}

#[test]
fn every_usual_kind_of_lock_opens() {
    let salt = *b"saltsalt";
    let iv = || vec![7_u8; 16].into();
    let iterated = |hash_alg| StringToKey::IteratedAndSalted {
        hash_alg,
        salt,
        count: 96,
    };
    let cfb = |sym_alg, s2k| S2kParams::Cfb {
        sym_alg,
        s2k,
        iv: iv(),
    };
    let argon2 = StringToKey::Argon2 {
        salt: *b"saltsaltsaltsalt",
        t: 1,
        p: 1,
        m_enc: 10,
    };
    let aead = S2kParams::Aead {
        sym_alg: SymmetricKeyAlgorithm::AES256,
        aead_mode: AeadAlgorithm::Ocb,
        s2k: argon2,
        nonce: vec![9_u8; 15].into(),
    };
    for lock in [
        // With SHA-1, as gpg itself locks keys, the fixtures are.
        cfb(
            SymmetricKeyAlgorithm::AES128,
            iterated(HashAlgorithm::Sha256),
        ),
        cfb(
            SymmetricKeyAlgorithm::AES256,
            iterated(HashAlgorithm::Sha512),
        ),
        cfb(
            SymmetricKeyAlgorithm::AES192,
            StringToKey::Salted {
                hash_alg: HashAlgorithm::Sha256,
                salt,
            },
        ),
        aead,
    ] {
        let mut key = parsed("ed25519");
        key.primary_key
            .set_password_with_s2k(&Password::from("sesame"), lock.clone())
            .unwrap();
        let file = binary(&key);
        assert!(
            matches!(problem(&file), KeyFileError::PassphraseMissing(_)),
            "{lock:?}"
        );
        let wrong = KeyFile::from_bytes(&file, Some(&Passphrase::new("Sesame"))).unwrap_err();
        assert!(
            matches!(wrong, KeyFileError::PassphraseWrong(_)),
            "{lock:?}: {wrong}"
        );
        let open = KeyFile::from_bytes(&file, Some(&sesame())).unwrap();
        assert!(sign(&open, RELEASE, FEBRUARY).is_ok());
    }
}

#[test]
fn the_passphrase_of_an_open_key_is_not_used() {
    assert!(KeyFile::from_bytes(&fixture("ed25519"), Some(&Passphrase::new("whatever"))).is_ok());
}

#[test]
fn the_primary_key_may_stay_elsewhere() {
    let key = key("offline-primary");
    let signed = sign(&key, RELEASE, FEBRUARY).unwrap();
    let verified = keyring(&key).verify_inrelease(&signed.inrelease).unwrap();
    assert_eq!(key.certificate(), support::key("subkeys").certificate());
    let signature = verified.signatures[0];
    assert_ne!(signature.key, signature.certificate);
}

#[test]
fn stubs_of_other_gnupg_versions_are_understood() {
    // The stub names a cipher here (AES-128), without an initial vector.
    let armored = fixture("offline-primary");
    let mut file = binary(
        &SignedSecretKey::from_armor_single(armored.as_slice())
            .unwrap()
            .0,
    );
    let stub = file
        .windows(4)
        .position(|window| window[2] == 0x65 && window[0] >= 0xfe && window[1] == 0)
        .unwrap();
    file[stub + 1] = 7;
    assert!(
        sign(
            &KeyFile::from_bytes(&file, None).unwrap(),
            RELEASE,
            FEBRUARY
        )
        .is_ok()
    );
}

#[test]
fn a_key_without_a_signing_secret_is_refused() {
    assert!(matches!(
        problem(&fixture("encrypting")),
        KeyFileError::NotForSigning(_)
    ));
    // A primary key that signs, of which only the stub is there.
    let file = binary(&parsed("ed25519"));
    let mut stubbed = file[2..2 + 51].to_vec();
    stubbed.extend_from_slice(b"\xff\0\x65\0GNU\x01");
    let length = u8::try_from(stubbed.len()).unwrap();
    let old = usize::from(file[1]);
    let mut stub = vec![file[0], length];
    stub.extend_from_slice(&stubbed);
    stub.extend_from_slice(&file[2 + old..]);
    let error = problem(&stub);
    assert!(matches!(error, KeyFileError::NoSecret(_)), "{error}");
}

#[test]
fn a_public_key_is_told_apart() {
    let public = key("ed25519").certificate().clone();
    for file in [public.armored().as_bytes(), public.binary()] {
        assert_eq!(problem(file), KeyFileError::Public(public.fingerprint()));
    }
}

#[test]
fn several_keys_are_not_guessed_among() {
    let file = [fixture("ed25519"), fixture("rsa4096")].concat();
    let error = problem(&file);
    let expected = [key("ed25519"), key("rsa4096")].map(|key| key.certificate().fingerprint());
    assert_eq!(error, KeyFileError::Several(expected.to_vec()));
    assert!(error.to_string().contains(&expected[1].to_string()));
}

#[test]
fn several_keys_are_read_in_order_each_with_the_passphrase_that_opens_it() {
    let [first, second] = ["one", "two"].map(|text| {
        let (passphrase, time) = (Passphrase::new(text), SignatureTime::from_seconds(1));
        generate("Tester", KeyAlgorithm::Ed25519, time, Some(&passphrase)).unwrap()
    });
    let both = [first.secret.as_str(), second.secret.as_str()].concat();
    let one_line = both.replace('\n', " ");
    let passphrases = ["two", "one"].map(Passphrase::new);
    for file in [&both, &one_line] {
        let keys = KeyFile::all_from_bytes(file.as_bytes(), &passphrases).unwrap();
        let keys: Vec<_> = keys.iter().map(Signer::certificate).collect();
        assert_eq!(keys, [&first.certificate, &second.certificate]);
        let refusal = |passphrases: &[Passphrase]| {
            KeyFile::all_from_bytes(file.as_bytes(), passphrases)
                .err()
                .unwrap()
        };
        let wanted = second.certificate.fingerprint();
        assert_eq!(
            refusal(&passphrases[1..]),
            KeyFileError::PassphraseWrong(wanted)
        );
        let wanted = first.certificate.fingerprint();
        assert_eq!(refusal(&[]), KeyFileError::PassphraseMissing(wanted));
    }
}

#[test]
fn version_6_keys_are_refused() {
    let mut params = SecretKeyParamsBuilder::default();
    let key = params
        .version(KeyVersion::V6)
        .key_type(KeyType::Ed25519)
        .can_sign(true)
        .created_at(Timestamp::from_secs(FEBRUARY))
        .build()
        .unwrap()
        .generate(rand::rngs::OsRng)
        .unwrap();
    let error = problem(
        key.to_armored_string(ArmorOptions::default())
            .unwrap()
            .as_bytes(),
    );
    assert!(
        error == KeyFileError::Key(KeyProblem::Version(6)),
        "{error}"
    );
    assert!(error.to_string().contains("version 6"), "{error}");
    let public = key
        .to_public_key()
        .to_armored_string(ArmorOptions::default())
        .unwrap();
    assert!(matches!(
        Certificate::from_bytes(public.as_bytes()),
        Err(CertificateError::Key(KeyProblem::Version(6)))
    ));
}

#[test]
fn other_files_are_named() {
    for (file, expected) in [
        ("", "empty"),
        ("hello", "neither ASCII armor"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "an OpenSSH key"),
        ("-----BEGIN RSA PRIVATE KEY-----\n", "PKCS #1"),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgE\n",
            "cut short",
        ),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK----- lFgE! -----END PGP PRIVATE KEY BLOCK-----",
            "damaged",
        ),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n!!!!\n-----END PGP PRIVATE KEY BLOCK-----\n",
            "damaged",
        ),
    ] {
        let error = problem(file.as_bytes()).to_string();
        assert!(error.contains(expected), "{file:?}: {error}");
    }
    assert_eq!(problem(&[0x99, 1, 2, 3]), KeyFileError::Packets);
}

#[test]
fn damaged_files_give_errors_and_no_panic() {
    let file = binary(&parsed("subkeys"));
    for length in 0..file.len() {
        // Cut behind the primary key, it is one without a signing key.
        if let Ok(key) = KeyFile::from_bytes(&file[..length], None) {
            let _ = sign(&key, RELEASE, FEBRUARY);
        }
    }
    for index in 0..file.len() {
        let mut changed = file.clone();
        changed[index] ^= 0x41;
        if let Ok(key) = KeyFile::from_bytes(&changed, None)
            && let Ok(signed) = sign(&key, RELEASE, FEBRUARY)
        {
            assert!(
                keyring(&key).verify_inrelease(&signed.inrelease).is_ok(),
                "byte {index}"
            );
        }
    }
}

#[test]
fn certificates_are_read_armored_and_binary_one_or_several() {
    let one = key("ed25519").certificate().clone();
    let two = key("subkeys").certificate().clone();
    assert_eq!(
        Certificate::from_bytes(one.armored().as_bytes()),
        Ok(one.clone())
    );
    assert_eq!(Certificate::from_bytes(one.binary()), Ok(one.clone()));
    let armored = format!("{}{}", one.armored(), two.armored());
    let both = Keyring::from_bytes(armored.as_bytes()).unwrap();
    assert_eq!(
        both,
        Keyring::from_bytes(&[one.binary(), two.binary()].concat()).unwrap()
    );
    assert_eq!(both.certificates, [one.clone(), two.clone()]);
    assert_eq!(
        Certificate::from_bytes(armored.as_bytes()),
        Err(CertificateError::Several(vec![
            one.fingerprint(),
            two.fingerprint()
        ]))
    );
}

#[test]
fn a_secret_key_is_no_certificate() {
    let error = Certificate::from_bytes(&fixture("ed25519")).unwrap_err();
    assert_eq!(
        error,
        CertificateError::Secret(key("ed25519").certificate().fingerprint())
    );
}
