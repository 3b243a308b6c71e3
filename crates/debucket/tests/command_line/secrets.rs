//! A secret that is given where something else is expected is not shown, in whatever form, by whatever complains about it.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::run::{Run, debucket, run};

/// An armored secret key.
fn key() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.asc");
    run(debucket().args(["key", "generate", "--out"]).arg(&path)).expect(0);
    fs::read_to_string(path).unwrap()
}

/// The forms in which people have a key.
fn forms(key: &str) -> Vec<String> {
    let base64 = STANDARD.encode(key);
    let wrapped: Vec<_> = base64.as_bytes().chunks(76).collect();
    let wrapped = String::from_utf8(wrapped.join(&b'\n')).unwrap();
    let body = key.lines().filter(|line| line.len() == 64);
    let hex = key.bytes().map(|byte| format!("{byte:02x}"));
    vec![
        key.to_owned(),
        key.replace('\n', " "),
        key.replace('\n', ""),
        key.replace('\n', "\\n"),
        serde_json::to_string(key).unwrap(),
        body.clone().next().unwrap().to_owned(),
        body.collect(),
        hex.collect(),
        base64.trim_end_matches('=').to_owned(),
        STANDARD.encode(&base64),
        base64,
        wrapped,
    ]
}

/// That nothing of the secret is in what a run printed.
#[track_caller]
fn expect_hidden(run: &Run, secret: &str, call: &str) {
    let printed = format!("{}{}", run.stdout, run.stderr);
    let characters: Vec<char> = secret.chars().filter(|c| !c.is_whitespace()).collect();
    // What is in every key, and its escapes.
    let is_known = |piece: &str| piece.contains('-') || piece.contains('\\');
    for piece in characters.windows(10) {
        let piece: String = piece.iter().collect();
        assert!(
            is_known(&piece) || !printed.contains(&piece),
            "{call}: {piece} is shown\n{printed}"
        );
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_shown() {
    let key = key();
    let calls: &[&[&str]] = &[
        &["%"],
        &["%", "--help"],
        &["list", "%"],
        &["list", "--%"],
        &["list", "--repo", "%"],
        &["list", "--repo", "s3://acme-apt/%"],
        &["list", "--bucket", "%"],
        &["list", "--suite=%"],
        &["list", "--keyring", "%"],
        &["list", "--profile", "%"],
        &["list", "--endpoint-url", "%"],
        &["list", "--region", "%"],
        &["list", "--ca-bundle", "%"],
        &["list", "--output", "%"],
        &["show", "%"],
        &["show", "hello", "%"],
        &["exists", "hello=%"],
        &["log", "-n", "%"],
        &["publish", "%", "--unsigned"],
        &["publish", "x.deb", "--sign-key", "%"],
        &["publish", "x.deb", "--sign-key=%"],
        &["publish", "x.deb", "--sign-key-passphrase-file", "%"],
        &["publish", "x.deb", "--message", "%"],
        &["publish", "x.deb", "-m%"],
        &["publish", "x.deb", "--sse-kms-key-id", "%"],
        &["publish", "x.deb", "--acl", "%"],
        &["client-config", "--key", "%"],
        &["client-config", "--signed-by", "%"],
        &["key", "%"],
        &["key", "generate", "--out", "%"],
        &["key", "generate", "--algorithm", "%"],
        &["key", "export", "%"],
        &["key", "export", "--sign-key", "%"],
    ];
    for form in forms(&key) {
        for call in calls {
            let arguments = call.iter().map(|part| part.replace('%', &form));
            let run = run(debucket().args(arguments));
            assert_eq!(run.code, 2, "{call:?}: {run:#?}");
            expect_hidden(&run, &form, &format!("{call:?}"));
        }
        for name in [
            "DEBUCKET_REPO",
            "DEBUCKET_SUITE",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_ENDPOINT_URL",
        ] {
            let run = run(debucket().args(["list"]).env(name, &form));
            assert_eq!(run.code, 2, "{name}: {run:#?}");
            expect_hidden(&run, &form, name);
        }
    }
    // Without quotes, the shell makes an argument of each word.
    let words: Vec<_> = key.split_whitespace().collect();
    for option in ["--sign-key", "--message", "--", "--suite"] {
        let run = run(debucket().args(["publish", option]).args(&words));
        assert_eq!(run.code, 2, "{run:#?}");
        expect_hidden(&run, &key, option);
    }
}

#[test]
fn variables_for_keys_take_them_or_say_nothing_of_them() {
    let key = key();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.asc");
    fs::write(&path, &key).unwrap();
    let public = run(debucket().args(["key", "export", "--sign-key"]).arg(&path)).expect(0);
    let list = |name: &str, value: &str| {
        run(debucket()
            .args(["list", "--repo", "s3://acme-apt"])
            .env(name, value)
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env("AWS_ACCESS_KEY_ID", "AKIA")
            .env("AWS_SECRET_ACCESS_KEY", "secret"))
    };
    for value in forms(&public).into_iter().chain(forms(&key)) {
        for name in ["DEBUCKET_KEYRING", "DEBUCKET_SIGN_KEY"] {
            let run = list(name, &value);
            assert_eq!(run.code, 1, "{run:#?}");
            expect_hidden(&run, &value, name);
        }
    }
    // It got as far as the store.
    let run = list("DEBUCKET_KEYRING", &public);
    assert!(run.stderr.contains("127.0.0.1:9"), "{run:#?}");
}

#[test]
fn a_passphrase_in_place_of_its_file_is_not_shown() {
    for arguments in [
        &["key", "generate", "--passphrase-file", "correct horse"][..],
        &[
            "key",
            "export",
            "--sign-key",
            "%",
            "--sign-key-passphrase-file",
            "correct horse",
        ],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.asc");
        fs::write(&path, key()).unwrap();
        let arguments = arguments
            .iter()
            .map(|part| part.replace('%', path.to_str().unwrap()));
        let run = run(debucket().args(arguments).current_dir(&folder));
        assert_eq!(run.code, 1, "{run:#?}");
        assert!(!run.stderr.contains("correct"), "{run:#?}");
    }
}

#[test]
fn logs_hold_no_token() {
    let run = run(debucket()
        .args(["list", "-vv", "--repo", "s3://acme-apt"])
        .env("RUST_LOG", "trace")
        .env("DEBUCKET_SIGN_KEY", key())
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "AKIA")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2secret")
        .env("AWS_SESSION_TOKEN", "hunter2token"));
    assert!(!run.stderr.contains("hunter2"), "{run:#?}");
}
