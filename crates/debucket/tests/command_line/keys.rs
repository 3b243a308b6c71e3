//! `debucket key` and what of `debucket client-config` needs no store.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use repo_signing::{Certificate, KeyFile, Passphrase, Signer as _};

use crate::run::{debucket, run};

#[test]
fn a_folder_that_is_not_there_is_named_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no such");
    let [inside, good] = [missing.join("key.asc"), folder.path().join("good.asc")];
    let key = folder.path().join("key.asc");
    run(debucket().args(["key", "generate", "--out"]).arg(&key)).expect(0);
    let generate = |out: &Path, public: &Path| {
        let mut generate = debucket();
        generate.args(["key", "generate", "--out"]).arg(out);
        run(generate.arg("--public-out").arg(public))
    };
    for refused in [
        generate(&inside, &good),
        generate(&good, &inside),
        run(debucket()
            .args(["key", "export", "--sign-key"])
            .arg(&key)
            .arg("--out")
            .arg(&inside)),
    ] {
        assert_eq!(refused.code, 1, "{refused:#?}");
        let missing = missing.display();
        let told = format!(
            "error: {missing}: no such folder\n  next: make the folder first (mkdir -p '{missing}')\n"
        );
        assert_eq!(refused.stderr, told);
        assert!(!good.exists(), "{refused:#?}");
    }
}

#[test]
fn a_key_is_made_exported_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, public) = (
        folder.path().join("key.asc"),
        folder.path().join("public.asc"),
    );
    let generate = || {
        let mut command = debucket();
        command.args([
            "key",
            "generate",
            "--user-id",
            "Acme <apt@acme.example>",
            "--output",
            "json",
            "--out",
        ]);
        command.arg(&secret);
        command
    };
    let document = run(generate().arg("--public-out").arg(&public)).json();
    let key = KeyFile::from_bytes(&fs::read(&secret).unwrap(), None).unwrap();
    let certificate = Certificate::from_bytes(&fs::read(&public).unwrap()).unwrap();
    assert_eq!(key.certificate(), &certificate);
    assert_eq!(certificate.user_ids(), ["Acme <apt@acme.example>"]);
    assert_eq!(
        document["fingerprint"],
        certificate.fingerprint().to_string()
    );
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&secret), mode(&public)), (0o600, 0o644));

    let before = fs::read(&secret).unwrap();
    let again = run(&mut generate());
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("never overwritten"),
        "{}",
        again.stderr
    );
    assert_eq!(fs::read(&secret).unwrap(), before);

    let export = |more: &[&str]| {
        run(debucket()
            .args(["key", "export", "--sign-key"])
            .arg(&secret)
            .args(more))
    };
    assert_eq!(export(&[]).expect(0), certificate.armored());
    let binary = folder.path().join("public.gpg");
    export(&["--binary", "--out", binary.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(&binary).unwrap(), certificate.binary());
}

#[test]
fn a_locked_key_opens_with_its_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    let (key, passphrase) = (
        folder.path().join("key.asc"),
        folder.path().join("passphrase"),
    );
    fs::write(&passphrase, "sesame\n").unwrap();
    run(debucket()
        .args(["key", "generate", "--passphrase-file"])
        .arg(&passphrase)
        .arg("--out")
        .arg(&key))
    .expect(0);
    assert!(
        KeyFile::from_bytes(&fs::read(&key).unwrap(), Some(&Passphrase::new("sesame"))).is_ok()
    );
    let export = || {
        let mut command = debucket();
        command.args(["key", "export", "--sign-key"]).arg(&key);
        command
    };
    assert_eq!(run(&mut export()).code, 1);
    assert_eq!(
        run(export().env("DEBUCKET_SIGN_KEY_PASSPHRASE", "wrong")).code,
        1
    );
    run(export().env("DEBUCKET_SIGN_KEY_PASSPHRASE", "sesame")).expect(0);
    run(export().arg("--sign-key-passphrase-file").arg(&passphrase)).expect(0);
}

#[test]
fn a_policy_needs_neither_key_nor_store() {
    for role in ["reader", "publisher"] {
        let run = run(debucket().args([
            "client-config",
            "--repo",
            "s3://acme-apt/robots",
            "--policy",
            role,
        ]));
        insta::assert_snapshot!(format!("policy-{role}"), run.expect(0));
    }
}
