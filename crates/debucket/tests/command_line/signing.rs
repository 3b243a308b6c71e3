//! What is known of a signing key is known before anything is sent, in a dry run, too.

use std::{path::PathBuf, process::Command, time::Duration};

use dev_s3::{Clock, DevS3};

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

/// A store whose clock shows noon of a day of 2024, the year of the fixtures.
pub(crate) fn in_2024(day: &str) -> Store {
    let noon: jiff::Timestamp = format!("2024-{day}T12:00:00Z").parse().unwrap();
    let offset = noon.as_second() - Clock::default().unix();
    Store::start_with(DevS3::builder().clock(Clock::with_offset(offset)))
}

impl Store {
    /// The certificate of a fixture, in a file.
    pub(crate) fn public_of(&self, name: &str) -> PathBuf {
        let path = self.path(&format!("{name}.pub.asc"));
        let mut export = self.debucket(&["key", "export", "--sign-key"]);
        std::fs::write(&path, run(export.arg(fixture(name))).expect(0)).unwrap();
        path
    }

    fn days_go_by(&self, days: u64) {
        self.server
            .clock()
            .advance(Duration::from_secs(days * 86_400));
    }
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
fn beside_a_good_key_one_that_ends_stops_no_device_and_can_be_taken_out() {
    let store = in_2024("06-20");
    let [ending, good] = ["expiring", "ed25519"].map(|name| fixture(name).display().to_string());
    let both = ["--sign-key", &ending, "--sign-key", &good];
    let file = |version: &str| {
        let file = package::write(store.folder.path(), "hello", version, "all", version);
        file.display().to_string()
    };
    let publish = |version: &str, keys: &[&str], more: &[&str]| {
        let file = file(version);
        run(&mut store.debucket(&[&["publish", &file], keys, more].concat()))
    };
    let warned = publish("1", &both, &[]);
    assert_eq!(
        warned.stderr.matches(" expires at ").count(),
        1,
        "{warned:#?}"
    );
    assert!(!warned.stderr.contains("devices refuse"), "{warned:#?}");
    store.days_go_by(20);
    let listed = run(store
        .debucket(&["list", "--keyring"])
        .arg(store.public_of("expiring")));
    assert!(!listed.stderr.contains("devices refuse"), "{listed:#?}");

    for suite in ["stable", "new"] {
        for more in [&["--dry-run"][..], &[]] {
            let refused = publish("2", &both, &[more, &["--suite", suite]].concat());
            assert_eq!(refused.code, 1, "{refused:#?}");
            assert!(
                refused.stderr.contains(" cannot sign: it expired")
                    && !refused.stderr.contains("no key"),
                "{refused:#?}"
            );
        }
    }
    let refused = publish("2", &both, &[]);
    let advised = refused
        .stderr
        .split('`')
        .find(|part| part.starts_with("debucket key retire"));
    let words: Vec<_> = advised.unwrap().split(' ').skip(1).collect();
    run(&mut store.debucket(&[&words[..], &both].concat())).expect(0);
    publish("2", &["--sign-key", &good], &[]).expect(0);
}

#[test]
fn an_extended_certificate_is_as_good_as_a_new_one() {
    let store = in_2024("05-20");
    let keys = ["expiring", "expiring-extended"];
    let [old, new] = keys.map(|name| fixture(name).display().to_string());
    let [old_public, new_public] = keys.map(|name| store.public_of(name).display().to_string());
    let file = |version: &str| {
        let file = package::write(store.folder.path(), "hello", version, "all", version);
        file.display().to_string()
    };
    let run = |arguments: &[&str]| run(&mut store.debucket(arguments));
    let key_of = |arguments: &[&str]| {
        let report = run(&[&["doctor", "--output", "json"], arguments].concat());
        let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let keys = checks
            .iter()
            .find(|check| check["check"] == "keys")
            .unwrap();
        keys["status"].as_str().unwrap().to_owned()
    };
    run(&["publish", &file("1"), "--sign-key", &old]).expect(0);
    store.days_go_by(50);
    run(&["publish", &file("2"), "--sign-key", &old]).expect(1);
    for trust in [&["--keyring", old_public.as_str()][..], &[]] {
        let verified = run(&[&["verify"], trust].concat());
        assert!(verified.expect(1).contains("expired at"));
        assert_eq!(key_of(&[&["--role", "reader"], trust].concat()), "fail");
    }
    // Who has the new certificate goes on.
    let trust = ["--keyring", new_public.as_str()];
    run(&[&["verify"], &trust[..]].concat()).expect(0);
    assert_eq!(key_of(&[&["--role", "reader"], &trust[..]].concat()), "ok");
    assert_eq!(key_of(&["--sign-key", &new]), "ok");
    run(&["publish", &file("2"), "--sign-key", &new]).expect(0);
    // The suite itself has it when it is told to, and gives it to those who read without one, and to the keyring package.
    run(&["verify"]).expect(1);
    run(&[
        "refresh",
        "--force",
        "--adopt-signing-key",
        "--sign-key",
        &new,
    ])
    .expect(0);
    run(&["verify"]).expect(0);
    assert_eq!(key_of(&["--role", "reader"]), "ok");
    let shown = run(&["suite", "show", "stable", "--output", "json"]).json();
    let certificate = std::fs::read_to_string(&new_public).unwrap();
    assert_eq!(
        shown["settings"]["signing_keys"][0]["certificate"],
        certificate
    );
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
        let next = "leave --unsigned out";
        assert!(refused.stderr.contains(next), "{refused:#?}");
    }
    for arguments in [&["remove", "hello"][..], &["suite", "set", "stable"]] {
        let refused = run(&mut store.debucket(arguments));
        assert!(refused.stderr.contains(&wanted), "{refused:#?}");
    }
}

/// A signature is never passed over, and what is in the way is not a key that was given.
#[test]
fn a_signed_suite_is_not_taken_for_an_unsigned_one() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &["--suite", "testing"]).expect(0);
    let promote = ["promote", "--all", "--from", "testing", "--to", "stable"];
    let promote = |more: &[&str]| {
        let mut command = store.debucket(&[&promote[..], more].concat());
        run(command.arg("--sign-key").arg(store.path("key.asc")))
    };
    for more in [&["--from-unsigned"][..], &["--from-unsigned", "--dry-run"]] {
        let refused = promote(more);
        let told = "error: suite testing is signed, so nothing is taken from it unchecked\n  \
                    next: leave --from-unsigned out: ";
        assert!(refused.stderr.starts_with(told), "{refused:#?}");
        refused.expect(1);
    }
    promote(&[]).expect(0);
}
