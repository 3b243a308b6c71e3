//! What is signed is accepted by `gpgv` and `sqv`, with the key and the time that were asked for.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use proptest::prelude::*;
use repo_signing::{
    KeyAlgorithm, KeyFile, KeyProblem, SignError, Signer, TextProblem, generate, keys_at,
};
use support::{
    DAY, FEBRUARY, Failed, JANUARY, RELEASE, assert_accepted_by_others, key, keyring, sesame, sign,
    time,
};

/// 2024-04-01T00:00:00Z: both signing subkeys are valid.
const APRIL: u32 = 1_711_929_600;
/// 2024-09-01T12:00:00Z: the second subkey expires.
const SEPTEMBER: u32 = 1_725_192_000;

fn problem(key: &KeyFile, seconds: u32) -> KeyProblem {
    assert!(sign(key, RELEASE, seconds).is_err());
    keys_at(key, time(seconds)).remove(0).state.unwrap_err()
}

#[test]
fn every_client_accepts_each_kind_of_key() {
    for name in [
        "ed25519",
        "rsa4096",
        "nistp256",
        "locked",
        "locked-rsa",
        "subkeys",
        "offline-primary",
        "offline-locked",
    ] {
        let key = key(name);
        let signed =
            sign(&key, RELEASE, FEBRUARY).unwrap_or_else(|error| panic!("{name}: {error}"));
        let verified = keyring(&key).verify_inrelease(&signed.inrelease).unwrap();
        assert_eq!(verified.release, RELEASE, "{name}");
        let [signature] = verified.signatures[..] else {
            panic!("{name}: {verified:?}")
        };
        assert_eq!(
            signature.certificate,
            key.certificate().fingerprint(),
            "{name}"
        );
        assert_eq!(signature.created, time(FEBRUARY), "{name}");
        assert_accepted_by_others(RELEASE, &signed, key.certificate());
    }
}

#[test]
fn a_generated_key_is_accepted_by_every_client() {
    for passphrase in [None, Some(sesame())] {
        let made = generate(
            "Example Archive <a@test.invalid>",
            KeyAlgorithm::Ed25519,
            time(JANUARY),
            passphrase.as_ref(),
        )
        .unwrap();
        let locked = KeyFile::from_bytes(made.secret.as_bytes(), None);
        assert_eq!(locked.is_err(), passphrase.is_some());
        let key = KeyFile::from_bytes(made.secret.as_bytes(), passphrase.as_ref()).unwrap();
        assert_eq!(key.certificate(), &made.certificate);
        assert_eq!(
            made.certificate.user_ids(),
            ["Example Archive <a@test.invalid>"]
        );
        assert_accepted_by_others(
            RELEASE,
            &sign(&key, RELEASE, JANUARY).unwrap(),
            &made.certificate,
        );
    }
}

#[test]
fn a_generated_rsa_key_is_accepted_by_every_client() {
    let made = generate(
        "a@test.invalid",
        KeyAlgorithm::Rsa4096,
        time(JANUARY),
        Some(&sesame()),
    )
    .unwrap();
    let key = KeyFile::from_bytes(made.secret.as_bytes(), Some(&sesame())).unwrap();
    assert_accepted_by_others(
        RELEASE,
        &sign(&key, RELEASE, JANUARY).unwrap(),
        &made.certificate,
    );
}

#[test]
fn user_ids_and_passphrases_that_cannot_be_are_refused() {
    for user_id in ["", "  ", "a\nb"] {
        assert!(
            generate(user_id, KeyAlgorithm::Ed25519, time(JANUARY), None).is_err(),
            "{user_id:?}"
        );
    }
    let empty = repo_signing::Passphrase::new("");
    assert!(generate("a", KeyAlgorithm::Ed25519, time(JANUARY), Some(&empty)).is_err());
}

#[test]
fn the_newest_valid_subkey_signs() {
    let key = key("subkeys");
    let signing_key = |seconds| {
        let signed = sign(&key, RELEASE, seconds).unwrap();
        keyring(&key)
            .verify_inrelease(&signed.inrelease)
            .unwrap()
            .signatures[0]
            .key
    };
    let (old, new) = (signing_key(FEBRUARY), signing_key(APRIL));
    assert_ne!(old, new);
    assert_ne!(old, key.certificate().fingerprint());
    assert_eq!(signing_key(SEPTEMBER - 1), new);
    assert_eq!(signing_key(SEPTEMBER), old);
}

#[test]
fn a_key_younger_than_the_signature_is_refused_with_both_times() {
    for name in ["ed25519", "subkeys"] {
        let error = sign(&key(name), RELEASE, JANUARY - DAY)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("2024-01-01T00:00:00Z") && error.contains("2023-12-31T00:00:00Z"),
            "{error}"
        );
    }
    assert!(sign(&key("ed25519"), RELEASE, JANUARY).is_ok());
}

#[test]
fn an_expired_key_is_refused_with_its_date() {
    let key = key("expiring");
    assert!(sign(&key, RELEASE, JANUARY + 182 * DAY).is_ok());
    let error = sign(&key, RELEASE, JANUARY + 183 * DAY)
        .unwrap_err()
        .to_string();
    assert!(error.contains("expired at 2024-07-01T12:00:00Z"), "{error}");
}

#[test]
fn a_revoked_key_is_refused_from_its_date_on() {
    let key = key("revoked");
    assert!(sign(&key, RELEASE, JANUARY + DAY).is_ok());
    let error = sign(&key, RELEASE, JANUARY + 121 * DAY)
        .unwrap_err()
        .to_string();
    assert!(error.contains("revoked at 2024-05-01T00:00:00Z"), "{error}");
}

#[test]
fn weak_keys_are_refused() {
    assert_eq!(
        problem(&key("sha1"), FEBRUARY),
        KeyProblem::WeakSelfSignature
    );
    for name in ["rsa1024", "dsa"] {
        assert!(
            matches!(
                problem(&key(name), FEBRUARY),
                KeyProblem::RsaTooShort { bits: 1024 } | KeyProblem::Algorithm("DSA")
            ),
            "{name}"
        );
    }
}

#[test]
fn text_that_clients_read_differently_is_refused() {
    let key = key("ed25519");
    for (text, at, what) in [
        ("Origin: x", 1, TextProblem::NoFinalNewline),
        ("Origin: x\nLabel: \n", 2, TextProblem::TrailingWhiteSpace),
        ("Origin: x\r\n", 1, TextProblem::ControlCharacter),
        ("Origin: x\n\n", 2, TextProblem::EmptyLastLine),
    ] {
        match sign(&key, text.as_bytes(), FEBRUARY) {
            Err(Failed::Sign(SignError::Text { line, problem })) => {
                assert_eq!((line, problem), (at, what))
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
}

#[test]
fn the_longest_lines_that_are_signed_are_read_by_gpgv() {
    let key = key("ed25519");
    let release = format!("Description: {}\n", "x".repeat(18_900));
    assert_accepted_by_others(
        release.as_bytes(),
        &sign(&key, release.as_bytes(), FEBRUARY).unwrap(),
        key.certificate(),
    );
}

#[test]
fn nothing_secret_is_shown() {
    let key = key("locked");
    let shown = format!("{key:?} {:?}", sign(&key, RELEASE, 0).unwrap_err());
    assert!(
        shown.len() < 1000 && !shown.contains("sesame") && !shown.contains("Secret"),
        "{shown}"
    );
    assert_eq!(
        format!("{key:?}"),
        format!("KeyFile {{ certificate: {:?}, .. }}", key.certificate())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_release_comes_back_as_it_was(lines in proptest::collection::vec("(\\PC{0,30}[!-~]|- ?[!-~]{0,5}[!-~]|-----BEGIN PGP [A-Z]{1,9}-----| [0-9a-f]{64} [0-9]{1,9} [a-z/]{1,20})", 1..12)) {
        let release = format!("{}\n", lines.join("\n"));
        let key = key("ed25519");
        let signed = sign(&key, release.as_bytes(), FEBRUARY).unwrap();
        let verified = keyring(&key).verify_inrelease(&signed.inrelease).unwrap();
        prop_assert_eq!(&verified.release, release.as_bytes());
    }
}
