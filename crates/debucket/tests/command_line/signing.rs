//! What is known of a signing key is known before anything is sent, in a dry run, too.

use std::{path::PathBuf, process::Command};

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

/// A secret key that something is wrong with.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../repo-signing/tests/fixtures")
        .join(format!("{name}.sec.asc"))
}

#[test]
fn a_key_that_cannot_sign_is_refused_before_anything_is_sent() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    for (name, words) in [
        ("expiring", "expired"),
        ("expiring-primary", "expired"),
        ("revoked", "revoked"),
        ("rsa1024", "1024 bits"),
        ("weak-primary", "1024 bits"),
        ("sha1", "SHA-1"),
        ("dsa", "DSA"),
        ("brainpool", "brainpool"),
        ("brainpool-primary", "brainpool"),
        ("brainpool-locked", "brainpool"),
        ("secp256k1", "secp256k1"),
        ("encrypting", "no part that may sign"),
        ("locked", "locked with a passphrase"),
    ] {
        for more in [&["--dry-run"][..], &[]] {
            let publish = |key: &str| -> Run {
                let mut command = store.debucket(&["publish", "--sign-key", key]);
                run(command.arg(&file).args(more))
            };
            let run = publish(fixture(name).to_str().unwrap());
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{name}: {run:#?}");
            assert!(run.stderr.contains(words), "{name}: {run:#?}");
            assert!(run.stderr.contains("next: "), "{name}: {run:#?}");
            assert!(store.server.keys(BUCKET).is_empty(), "{name}");
        }
    }
    // A public key is not a secret one, and the reverse is said, too.
    let public = store.path("public.asc");
    let run_of = |arguments: &[&str]| run(store.debucket(arguments).arg(&file));
    let run = run_of(&["publish", "--sign-key", public.to_str().unwrap()]);
    assert!(run.stderr.contains("only the public key"), "{run:#?}");
    let secret = store.path("key.asc");
    let keyring = store.publish(&file, &["--keyring", secret.to_str().unwrap()]);
    assert!(
        keyring.code == 1 && keyring.stderr.contains("key export"),
        "{keyring:#?}"
    );
}

/// Makes a key that expires in twenty days; `None` without `gpg`.
fn expiring(store: &Store) -> Option<PathBuf> {
    let home = tempfile::Builder::new()
        .prefix("gpg")
        .tempdir_in("/tmp")
        .unwrap();
    let gpg = |arguments: &[&str]| {
        let output = Command::new("gpg")
            .args([
                "--batch",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .args(arguments)
            .env("GNUPGHOME", home.path())
            .output()
            .ok()?;
        assert!(output.status.success(), "{output:#?}");
        Some(output.stdout)
    };
    gpg(&["--quick-generate-key", "Tester", "ed25519", "sign", "20d"])?;
    let path = store.path("expiring.asc");
    std::fs::write(&path, gpg(&["--armor", "--export-secret-keys"])?).unwrap();
    // The agent would outlive the folder.
    let _ = Command::new("gpgconf")
        .args(["--kill", "all"])
        .env("GNUPGHOME", home.path())
        .output();
    Some(path)
}

#[test]
fn every_command_that_sees_a_key_warns_of_its_end() {
    let store = Store::start();
    let Some(key) = expiring(&store) else {
        eprintln!("SKIPPED: no gpg on this machine");
        return;
    };
    let key = key.to_str().unwrap();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let file = file.to_str().unwrap();
    let again = package::write(store.folder.path(), "hello", "2.0", "all", "second");
    let again = again.to_str().unwrap();
    for arguments in [
        &["publish", file, "--dry-run", "--sign-key", key][..],
        &["publish", file, "--sign-key", key, "--output", "json"],
        &["publish", file, "--sign-key", key],
        &["publish", again, "--sign-key", key],
        &["list"],
        &["show", "hello"],
        &["exists", "hello"],
        &["log"],
        &["client-config"],
        &["client-config", "--key", key, "--key-only"],
        &["key", "export"],
    ] {
        let run = run(store.debucket(arguments).env("DEBUCKET_SIGN_KEY", key));
        assert_eq!(run.code, 0, "{arguments:?}: {run:#?}");
        assert_eq!(
            run.stderr.matches(" expires at ").count(),
            1,
            "{arguments:?}: {run:#?}"
        );
        if arguments.contains(&"json") {
            assert!(run.stdout.contains(" expires at "), "{run:#?}");
        }
    }
}

#[test]
fn who_gives_no_key_is_told_which_the_suite_wants() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let without = |arguments: &[&str]| run(store.debucket(arguments).arg(&file));
    let first = without(&["publish"]);
    assert_eq!(first.code, 1, "{first:#?}");
    assert!(first.stderr.contains("debucket key generate"), "{first:#?}");
    store.publish(&file, &[]).expect(0);
    let wanted = format!("which is signed by {}", store.fingerprint());
    for arguments in [&["publish"][..], &["publish", "--unsigned"]] {
        let refused = without(arguments);
        assert_eq!(refused.code, 1, "{refused:#?}");
        let next = "next: pass the secret key with --sign-key";
        assert!(
            refused.stderr.contains(&wanted) && refused.stderr.contains(next),
            "{refused:#?}"
        );
    }
    for arguments in [&["remove", "hello"][..], &["suite", "set", "stable"]] {
        let refused = run(&mut store.debucket(arguments));
        assert!(refused.stderr.contains(&wanted), "{refused:#?}");
    }
}
