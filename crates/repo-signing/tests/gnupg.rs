//! Keys that the installed `gpg` makes, locked as it locks them, and what it says of our files.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use std::process::{Command, Output, Stdio};

use repo_signing::{KeyAlgorithm, KeyFile, Keyring, Signer, generate};
use support::{
    FEBRUARY, JANUARY, RELEASE, assert_accepted_by_others, left_out, sesame, sign, time,
};

/// A home of `gpg` of its own, whose agent ends with it.
struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    fn new() -> Option<Self> {
        if Command::new("gpg")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            left_out("gpg");
            return None;
        }
        // The agent's socket needs a short path.
        Some(Self {
            home: tempfile::Builder::new()
                .prefix("g")
                .tempdir_in("/tmp")
                .unwrap(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command.args([
            "--batch",
            "--quiet",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--homedir",
        ]);
        command
            .arg(self.home.path())
            .args(["--faked-system-time", "20240101T000000!"])
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "gpg {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .status();
    }
}

#[test]
fn keys_that_gpg_makes_and_locks_sign() {
    let Some(gpg) = Gpg::new() else { return };
    for (passphrase, algorithm) in [
        ("", "ed25519"),
        ("sesame", "ed25519"),
        ("sesame", "rsa3072"),
    ] {
        let user = format!("{algorithm}{passphrase}@test.invalid");
        gpg.run(&[
            "--passphrase",
            passphrase,
            "--quick-generate-key",
            &user,
            algorithm,
            "sign",
            "never",
        ]);
        let secret = gpg
            .run(&["--passphrase", passphrase, "--export-secret-keys", &user])
            .stdout;
        assert_eq!(
            KeyFile::from_bytes(&secret, None).is_err(),
            !passphrase.is_empty()
        );
        let key = KeyFile::from_bytes(&secret, Some(&sesame())).unwrap();
        assert_accepted_by_others(
            RELEASE,
            &sign(&key, RELEASE, FEBRUARY).unwrap(),
            key.certificate(),
        );
    }
}

#[test]
fn what_gpg_signs_is_verified() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.run(&[
        "--passphrase",
        "",
        "--quick-generate-key",
        "a@test.invalid",
        "ed25519",
        "sign",
        "never",
    ]);
    let ring = Keyring::from_bytes(&gpg.run(&["--export"]).stdout).unwrap();
    let release = gpg.home.path().join("Release");
    std::fs::write(&release, RELEASE).unwrap();
    let signed = gpg.run(&["--output", "-", "--clearsign", release.to_str().unwrap()]);
    let verified = ring.verify_inrelease(&signed.stdout).unwrap();
    assert_eq!(verified.release, RELEASE);
    assert_eq!(verified.signatures[0].created, time(JANUARY));
    for form in ["--armor", "--no-armor"] {
        let detached = [
            "--output",
            "-",
            form,
            "--detach-sign",
            release.to_str().unwrap(),
        ];
        let detached = gpg.run(&detached).stdout;
        let verified = ring.verify_detached(RELEASE, &detached).unwrap();
        assert_eq!(verified[0].created, time(JANUARY));
        assert!(ring.verify_detached(b"other", &detached).is_err());
        assert!(
            Keyring::default()
                .verify_detached(RELEASE, &detached)
                .is_err()
        );
    }
}

#[test]
fn gpg_imports_a_generated_key_and_opens_its_lock() {
    let Some(gpg) = Gpg::new() else { return };
    let made = generate(
        "a@test.invalid",
        KeyAlgorithm::Ed25519,
        time(JANUARY),
        Some(&sesame()),
    )
    .unwrap();
    let file = gpg.home.path().join("key.asc");
    std::fs::write(&file, made.secret.as_bytes()).unwrap();
    gpg.run(&["--passphrase", "sesame", "--import", file.to_str().unwrap()]);
    let release = gpg.home.path().join("Release");
    std::fs::write(&release, RELEASE).unwrap();
    let signed = gpg
        .run(&[
            "--passphrase",
            "sesame",
            "--output",
            "-",
            "--clearsign",
            release.to_str().unwrap(),
        ])
        .stdout;
    assert_eq!(
        Keyring::from(made.certificate)
            .verify_inrelease(&signed)
            .unwrap()
            .release,
        RELEASE
    );
}

#[test]
fn gpg_accepts_what_is_signed() {
    let Some(gpg) = Gpg::new() else { return };
    let key = support::key("offline-primary");
    let (public, inrelease) = (
        gpg.home.path().join("public.asc"),
        gpg.home.path().join("InRelease"),
    );
    std::fs::write(&public, key.certificate().armored()).unwrap();
    std::fs::write(&inrelease, sign(&key, RELEASE, JANUARY).unwrap().inrelease).unwrap();
    gpg.run(&["--import", public.to_str().unwrap()]);
    let status = gpg
        .run(&["--status-fd", "1", "--verify", inrelease.to_str().unwrap()])
        .stdout;
    let status = String::from_utf8_lossy(&status).into_owned();
    let signer = key.certificate().fingerprint().to_string();
    assert!(
        status.contains("VALIDSIG") && status.contains(&signer),
        "{status}"
    );
}
