//! No error holds a piece of what was read, which may be a secret key.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use std::{collections::HashSet, error::Error};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use repo_signing::{Certificate, Fingerprint, KeyFile, Keyring, unverified_text};
use support::{FEBRUARY, RELEASE, fixture, key, keyring, sign};

/// The longest piece of the input that may be seen, in bytes.
const PIECE: usize = 7;

/// Everything that is said of `input` by whatever reads it.
fn said_of(input: &[u8]) -> Vec<String> {
    let ring = keyring(&key("ed25519"));
    let text = String::from_utf8_lossy(input);
    let mut said = Vec::new();
    let mut note = |error: Option<Box<dyn Error>>| {
        let mut next: Option<&dyn Error> = error.as_deref();
        while let Some(error) = next {
            said.extend([
                error.to_string(),
                format!("{error:?}"),
                format!("{error:#?}"),
            ]);
            next = error.source();
        }
    };
    fn boxed<T>(result: Result<T, impl Error + 'static>) -> Option<Box<dyn Error>> {
        result.err().map(|error| Box::new(error) as Box<dyn Error>)
    }
    note(boxed(KeyFile::from_bytes(input, None)));
    note(boxed(Certificate::from_bytes(input)));
    note(boxed(Keyring::from_bytes(input)));
    note(boxed(ring.verify_inrelease(input)));
    let as_signature = [
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: x\n-----BEGIN PGP SIGNATURE-----\n\n",
        input,
        b"\n-----END PGP SIGNATURE-----\n",
    ]
    .concat();
    note(boxed(ring.verify_inrelease(&as_signature)));
    note(boxed(unverified_text(input)));
    note(boxed(text.parse::<Fingerprint>()));
    if let Err(support::Failed::Sign(error)) = sign(&key("ed25519"), input, FEBRUARY) {
        note(Some(Box::new(error)));
    }
    said
}

/// Asserts that nothing said of `input` has a piece of `body` in it, as text or as a list of bytes.
fn assert_kept(input: &[u8], body: &[u8]) {
    let pieces: HashSet<&[u8]> = body.windows(PIECE + 1).collect();
    for text in said_of(input) {
        let shown = text
            .as_bytes()
            .windows(PIECE + 1)
            .find(|piece| pieces.contains(piece));
        assert_eq!(shown.map(String::from_utf8_lossy), None, "{text:?}");
        let numbers: String = text.split_whitespace().collect();
        if numbers.contains('[') {
            let is_listed = |piece: &&[u8]| {
                numbers.contains(
                    &piece
                        .iter()
                        .map(|byte| format!("{byte},"))
                        .collect::<String>(),
                )
            };
            assert_eq!(
                pieces.iter().find(|piece| is_listed(piece)),
                None,
                "{text:?}"
            );
        }
    }
}

/// Ways in which a key is damaged on its way.
fn mangled(armored: &str) -> Vec<String> {
    let middle = armored.len() / 2;
    let mut forms: Vec<String> = [" ", "\t", "\\n", "\r", "\\r\\n", ""]
        .iter()
        .map(|newline| armored.replace('\n', newline))
        .collect();
    forms.push(armored.replace("\n\n", "\n"));
    forms.push(armored.replace("-----", ""));
    forms.push(armored.replace("-----", "----"));
    forms.push(armored.replace("PGP ", ""));
    forms.push(armored.replace("PRIVATE KEY BLOCK", "SIGNED MESSAGE"));
    forms.push(armored.replace("PRIVATE KEY BLOCK", "SIGNATURE"));
    forms.push(format!("\"{}\"", armored.replace('\n', "\\n")));
    forms.push(format!("0x{}", armored.replace('\n', "")));
    // One character is lost, in the middle of the key.
    let lossy: Vec<_> = forms
        .iter()
        .chain([&armored.to_owned()])
        .flat_map(|form| {
            let (start, end) = form.split_at(middle.min(form.len()));
            [
                format!("{start}{}", end.get(1..).unwrap_or_default()),
                format!("{start}!{end}"),
                start.to_owned(),
                end.to_owned(),
            ]
        })
        .collect();
    forms.extend(lossy);
    let wrapped: Vec<_> = forms.iter().map(|form| STANDARD.encode(form)).collect();
    forms.extend(wrapped);
    forms
}

#[test]
fn a_damaged_secret_key_is_not_shown() {
    for name in ["ed25519", "offline-primary"] {
        let armored = String::from_utf8(fixture(name)).unwrap();
        let lines: Vec<_> = armored
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let body = lines.concat();
        for form in mangled(&armored) {
            assert_kept(form.as_bytes(), body.as_bytes());
            // Base64 of the body again, for the forms that are base64.
            assert_kept(form.as_bytes(), STANDARD.encode(&body).as_bytes());
        }
    }
}

#[test]
fn a_marker_is_not_shown_wherever_it_is() {
    const MARKER: &str = "sEcReTmArKeR0123456789";
    let armored = String::from_utf8(fixture("ed25519")).unwrap();
    let message = String::from_utf8(
        support::sign(&key("ed25519"), RELEASE, FEBRUARY)
            .unwrap()
            .inrelease
            .to_vec(),
    )
    .unwrap();
    for file in [&armored, &message] {
        let places = file.char_indices().map(|(place, _)| place).step_by(7);
        for place in places.chain([file.len()]) {
            let (start, end) = file.split_at(place);
            assert_kept(
                format!("{start}{MARKER}{end}").as_bytes(),
                MARKER.as_bytes(),
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_file_is_shown(
        begin in "(-----BEGIN (PGP |OPENSSH |RSA )?(PRIVATE KEY|PRIVATE KEY BLOCK|SIGNED MESSAGE|SIGNATURE|X)(-----)?)?[ \n:]{0,2}(Hash: |Comment: |ssh-)?",
        body in "[a-zA-Z0-9+/]{20,80}",
        end in "[ \n=]{0,2}(-----END PGP PRIVATE KEY BLOCK-----)?",
    ) {
        assert_kept(format!("{begin}{body}{end}").as_bytes(), body.as_bytes());
    }

    #[test]
    fn no_binary_key_is_shown(place in 0_usize..200, byte: u8, cut in 0_usize..200) {
        let armored = fixture("ed25519");
        let secret = <pgp::composed::SignedSecretKey as pgp::composed::Deserializable>::from_armor_single(armored.as_slice());
        let mut file = pgp::ser::Serialize::to_bytes(&secret.unwrap().0).unwrap();
        let place = place % file.len();
        file[place] = byte;
        file.truncate(file.len() - cut % file.len());
        assert_kept(&file, &file);
    }
}
