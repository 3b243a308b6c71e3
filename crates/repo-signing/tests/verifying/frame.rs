//! The clear-signed frame: only what is signed is given, and nothing stands around it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use repo_signing::{Signer as _, VerifyError};

use crate::forge::{inrelease, replaced};
use crate::support::{FEBRUARY, RELEASE, key, keyring, sign};

#[test]
fn no_change_of_a_byte_gives_another_text() {
    let key = key("ed25519");
    let ring = keyring(&key);
    let release = b"Origin: x\n-a: b\nSHA256:\n 00 1 P\n";
    let file = sign(&key, release, FEBRUARY).unwrap().inrelease.to_vec();
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
    let public = STANDARD.encode(key("ed25519").certificate().binary());
    for inside in ["", "hello", "\n", "\nhello!", &format!("\n{public}")] {
        let file = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: x\n\
             -----BEGIN PGP SIGNATURE-----\n{inside}\n-----END PGP SIGNATURE-----\n"
        );
        assert_eq!(
            ring.verify_inrelease(file.as_bytes()),
            Err(VerifyError::Unreadable),
            "{inside:?}"
        );
    }
}
