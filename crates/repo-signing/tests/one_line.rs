//! Keys that lost their newlines are read as what they were, by every function that reads keys.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use repo_signing::{Certificate, KeyFile, Keyring, Signer as _, looks_like_key};
use support::{fixture, key};

/// The forms that an armored file takes on its way through variables, secrets and web forms.
fn one_line_forms(armored: &str) -> Vec<String> {
    let mut forms: Vec<String> = [" ", "\t", "\\n", "\\r\\n", "\r", "\r\n", "\\r", ""]
        .iter()
        .flat_map(|newline| {
            let form = armored.replace('\n', newline);
            [
                form.clone(),
                form.trim_end().to_owned(),
                format!("{form}\n"),
            ]
        })
        .collect();
    // With a byte order mark, and with the newlines of Windows.
    forms.push(format!("\u{feff}{}", armored.replace('\n', "\r\n")));
    // Indented, as in YAML, and with the empty lines dropped.
    forms.push(
        armored
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect(),
    );
    forms.push(armored.replace("\n\n", "\n"));
    forms.push(armored.split_whitespace().collect::<Vec<_>>().join(" "));
    forms
}

fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        let line = engine.encode(bytes);
        for width in [64, 76] {
            let chunks: Vec<_> = line.as_bytes().chunks(width).collect();
            for newline in ["\n", "\r\n", " ", "\\n"] {
                forms.push(String::from_utf8(chunks.join(newline.as_bytes())).unwrap());
            }
        }
        forms.extend([format!("{line}\n"), line]);
    }
    forms
}

fn forms(armored: &str, binary: &[u8]) -> Vec<String> {
    let mut forms = one_line_forms(armored);
    forms.extend(base64_forms(binary));
    forms.extend(base64_forms(armored.as_bytes()));
    forms.extend(base64_forms(armored.replace('\n', "\r\n").as_bytes()));
    // Base64 of a secret that was on one line before.
    forms.extend(
        one_line_forms(armored)
            .iter()
            .map(|form| STANDARD.encode(form)),
    );
    // Encoded by people, and once more by the CI system.
    forms.push(STANDARD.encode(STANDARD.encode(armored)));
    forms.push(STANDARD.encode(format!("{}\n", STANDARD.encode(binary))));
    // With their quotes, and as JSON.
    for form in [
        armored.to_owned(),
        armored.trim().replace('\n', "\\n"),
        armored.replace('\n', "\\n").replace('/', "\\/"),
        STANDARD.encode(armored),
    ] {
        forms.extend(["\"", "'"].map(|quote| format!("{quote}{form}{quote}\n")));
    }
    forms
}

/// A text in UTF-16, of both orders of bytes, with and without a mark.
fn in_utf16(text: &str) -> Vec<Vec<u8>> {
    let units = || text.encode_utf16();
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let marked = [
        [&b"\xff\xfe"[..], &little].concat(),
        [&b"\xfe\xff"[..], &big].concat(),
    ];
    marked.into_iter().chain([little, big]).collect()
}

#[test]
fn a_key_in_utf_16_is_the_same_key() {
    let expected = key("ed25519");
    let armored = String::from_utf8(fixture("ed25519")).unwrap();
    for text in [
        armored.clone(),
        armored.replace('\n', "\r\n"),
        armored.replace('\n', " "),
        STANDARD.encode(&armored),
    ] {
        for form in in_utf16(&text) {
            let read = KeyFile::from_bytes(&form, None).unwrap();
            assert_eq!(read.certificate(), expected.certificate());
            let base64 = STANDARD.encode(form);
            assert!(KeyFile::from_bytes(base64.as_bytes(), None).is_ok());
        }
    }
    for other in [
        "not a key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "\u{434}",
    ] {
        for form in in_utf16(other) {
            assert!(KeyFile::from_bytes(&form, None).is_err());
        }
    }
}

/// The same armor without its checksum, as newer programs write it, and with headers.
fn variants(armored: &str) -> [String; 4] {
    let lines: Vec<_> = armored
        .lines()
        .filter(|line| !line.starts_with('='))
        .collect();
    let with = |headers: &str| armored.replacen("-----\n\n", &format!("-----\n{headers}\n\n"), 1);
    [
        armored.to_owned(),
        format!("{}\n", lines.join("\n")),
        with("Version: GnuPG v2"),
        with("Version: GnuPG/MacGPG2 v2.2\nComment: https://gpgtools.org is: a comment"),
    ]
}

#[test]
fn a_secret_key_on_one_line_is_the_same_key() {
    // Not the locked ones and RSA: in a test build they take long to open.
    for name in ["ed25519", "nistp256", "subkeys"] {
        let expected = key(name);
        let armored = String::from_utf8(fixture(name)).unwrap();
        let secret = <pgp::composed::SignedSecretKey as pgp::composed::Deserializable>::from_string(
            &armored,
        );
        let binary = pgp::ser::Serialize::to_bytes(&secret.unwrap().0).unwrap();
        for form in forms(&armored, &binary) {
            let read = KeyFile::from_bytes(form.as_bytes(), None);
            assert_eq!(
                read.unwrap_or_else(|error| panic!("{name}, {form:?}: {error}"))
                    .certificate(),
                expected.certificate()
            );
        }
    }
}

#[test]
fn armor_with_headers_and_without_a_checksum_too() {
    let expected = key("ed25519");
    let armored = String::from_utf8(fixture("ed25519")).unwrap();
    for variant in variants(&armored) {
        for form in one_line_forms(&variant) {
            let read = KeyFile::from_bytes(form.as_bytes(), None)
                .unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert_eq!(read.certificate(), expected.certificate());
        }
    }
}

#[test]
fn certificates_and_keyrings_on_one_line_are_the_same() {
    let (one, two) = (
        key("ed25519").certificate().clone(),
        key("subkeys").certificate().clone(),
    );
    for form in forms(one.armored(), one.binary()) {
        assert_eq!(
            Certificate::from_bytes(form.as_bytes()),
            Ok(one.clone()),
            "{form:?}"
        );
    }
    let armored = format!("{}{}", one.armored(), two.armored());
    let binary = [one.binary(), two.binary()].concat();
    let mixed = format!("{}\n{}", one.armored().replace('\n', " "), two.armored());
    let both = Keyring::from_iter([one, two]);
    for form in forms(&armored, &binary).into_iter().chain([mixed]) {
        assert_eq!(
            Keyring::from_bytes(form.as_bytes()),
            Ok(both.clone()),
            "{form:?}"
        );
    }
}

#[test]
fn a_key_is_not_taken_for_the_path_of_one() {
    let key = key("ed25519");
    for form in forms(key.certificate().armored(), key.certificate().binary()) {
        assert!(looks_like_key(form.as_bytes()), "{form:?}");
    }
    assert!(looks_like_key(b"-----BEGIN OPENSSH PRIVATE KEY-----"));
    for path in [
        "",
        "key",
        "key.asc",
        "/run/secrets/key",
        "lQOY/keys/a",
        "C:\\new\\report",
        "mQENBGWSAIABCADA",
    ] {
        assert!(!looks_like_key(path.as_bytes()), "{path:?}");
    }
}

#[test]
fn what_is_more_or_less_than_a_key_is_not_restored() {
    let line = String::from_utf8(fixture("ed25519"))
        .unwrap()
        .replace('\n', " ");
    let line = line.trim();
    let middle = line.len() / 2;
    for damaged in [
        format!("export KEY={line}"),
        format!("{line} export"),
        format!("{line}{line}x"),
        line.replace("END PGP PRIVATE", "END PGP PUBLIC"),
        line.replace("PRIVATE KEY BLOCK", "MESSAGE"),
        line.chars()
            .enumerate()
            .filter(|(i, _)| *i != middle)
            .map(|(_, c)| c)
            .collect(),
        line.chars()
            .enumerate()
            .filter(|(i, _)| *i != middle && *i != middle + 1)
            .map(|(_, c)| c)
            .collect(),
        line.chars()
            .enumerate()
            .map(|(i, c)| if i == middle { '!' } else { c })
            .collect(),
        line.chars().take(middle).collect(),
        STANDARD.encode(STANDARD.encode(STANDARD.encode(line))),
        format!("\"{line}'"),
        STANDARD.encode("hello"),
        "aGVsbG8=".to_owned(),
    ] {
        assert!(
            KeyFile::from_bytes(damaged.as_bytes(), None).is_err(),
            "{damaged:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_mix_of_white_space_between_the_lines_is_read(
        seed in proptest::collection::vec("[ \t\r\n]{0,3}|\\\\n|\\\\r\\\\n|\\\\t", 1..12),
    ) {
        let armored = String::from_utf8(fixture("ed25519")).unwrap();
        let mut gaps = seed.iter().cycle();
        let mut form = String::new();
        for line in armored.lines() {
            form.push_str(line);
            form.push_str(gaps.next().unwrap());
        }
        let read = KeyFile::from_bytes(form.as_bytes(), None);
        prop_assert!(read.is_ok(), "{:?}: {}", form, read.unwrap_err());
    }
}
