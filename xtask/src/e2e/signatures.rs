//! Signatures as Debian's own verifiers see them: `gpgv` and `sqv`, on `InRelease` and on `Release` with `Release.gpg`.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};

use super::{
    Needs, Scenario,
    world::{World, expect_installed},
};
use crate::process;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "verifiers",
        about: "gpgv and sqv accept InRelease and Release.gpg, and no other key's",
        needs: Needs::Nothing,
        run: verifiers,
    },
    Scenario {
        name: "rsa",
        about: "an RSA 4096 key: gpgv, sqv and apt",
        needs: Needs::Nothing,
        run: rsa,
    },
    Scenario {
        name: "gpg-key",
        about: "a key made by gpg, its signing subkey included",
        needs: Needs::Nothing,
        run: gpg_key,
    },
    Scenario {
        name: "key-from-environment",
        about: "DEBUCKET_SIGN_KEY signs",
        needs: Needs::Nothing,
        run: key_from_environment,
    },
    Scenario {
        name: "release-gpg-only",
        about: "a client without InRelease uses Release and Release.gpg",
        needs: Needs::Nothing,
        run: release_gpg_only,
    },
];

fn verifiers(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let folder = download(world)?;
    let binary = dearmored(world, &world.keys.secret, "key.gpg")?;
    verify(&folder, &binary, &world.keys.public)?;

    let stranger = dearmored(world, &world.keys.stranger, "stranger.gpg")?;
    ensure!(
        process::run(
            Command::new("gpgv")
                .arg("--keyring")
                .arg(&stranger)
                .arg(folder.join("InRelease"))
        )?
        .code()
            != 0,
        "gpgv accepted another key"
    );
    // Both forms say the same, so that clients of either see one repository.
    let inner = fs::read_to_string(folder.join("InRelease"))?;
    let release = fs::read_to_string(folder.join("Release"))?;
    ensure!(
        inner.contains(release.trim_end()),
        "InRelease and Release differ"
    );
    Ok(())
}

fn rsa(world: &World<'_>) -> Result<()> {
    let (secret, public) = (
        world.folder.join("rsa.asc"),
        world.folder.join("rsa.pub.asc"),
    );
    process::run(
        world
            .debucket()
            .args(["key", "generate", "--algorithm", "rsa4096", "--out"])
            .arg(&secret)
            .arg("--public-out")
            .arg(&public),
    )?
    .success()?;
    publish_and_install(world, &secret, &public)
}

fn gpg_key(world: &World<'_>) -> Result<()> {
    let home = world.folder.join("gnupg");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    // A home's path may be too long for the socket of the agent, which is then put elsewhere by gpg itself.
    let gpg = |arguments: &[&str]| {
        process::run(
            Command::new("gpg")
                .env("GNUPGHOME", &home)
                .args([
                    "--batch",
                    "--quiet",
                    "--pinentry-mode",
                    "loopback",
                    "--passphrase",
                    "",
                ])
                .args(arguments),
        )?
        .success()
    };
    gpg(&[
        "--quick-generate-key",
        "Acme <apt@acme.example>",
        "rsa3072",
        "cert",
        "never",
    ])?;
    let listing = gpg(&["--list-keys", "--with-colons"])?.stdout;
    let fingerprint = listing
        .lines()
        .find_map(|line| line.strip_prefix("fpr:"))
        .map(|rest| rest.trim_matches(':').to_owned())
        .unwrap_or_default();
    gpg(&["--quick-add-key", &fingerprint, "ed25519", "sign", "never"])?;
    let (secret, public) = (
        world.folder.join("gpg.asc"),
        world.folder.join("gpg.pub.asc"),
    );
    fs::write(
        &secret,
        gpg(&["--armor", "--export-secret-keys", &fingerprint])?.stdout,
    )?;
    fs::write(&public, gpg(&["--armor", "--export", &fingerprint])?.stdout)?;
    let _ = process::run(
        Command::new("gpgconf")
            .env("GNUPGHOME", &home)
            .args(["--kill", "all"]),
    );
    publish_and_install(world, &secret, &public)
}

fn key_from_environment(world: &World<'_>) -> Result<()> {
    let armored = fs::read_to_string(&world.keys.secret)?;
    let file = world.small("thing", "1")?;
    process::run(
        world
            .publish(&[&file], &[])
            .env("DEBUCKET_SIGN_KEY", &armored),
    )?
    .success()?;
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")
}

fn release_gpg_only(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    world.bucket.delete("dists/stable/InRelease")?;
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")
}

/// Publishes with this key, has the verifiers look at it, and installs with it.
fn publish_and_install(world: &World<'_>, secret: &Path, public: &Path) -> Result<()> {
    let mut command = world.publish(&[&world.small("thing", "1")?], &[]);
    process::run(command.arg("--sign-key").arg(secret))?.success()?;
    verify(
        &download(world)?,
        &dearmored(world, secret, "own.gpg")?,
        public,
    )?;
    let apt = world.device("device")?;
    fs::copy(public, apt.path("etc/apt/keyrings/e2e.asc"))?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")
}

/// The signed files of the suite, in a folder.
fn download(world: &World<'_>) -> Result<std::path::PathBuf> {
    let folder = world.folder.join("signed");
    fs::create_dir_all(&folder)?;
    for name in ["InRelease", "Release", "Release.gpg"] {
        fs::write(
            folder.join(name),
            world.bucket.text(&format!("dists/stable/{name}"))?,
        )?;
    }
    Ok(folder)
}

/// The public half as packets, which is what gpgv takes.
fn dearmored(world: &World<'_>, secret: &Path, name: &str) -> Result<std::path::PathBuf> {
    let file = world.folder.join(name);
    process::run(
        world
            .debucket()
            .args(["key", "export", "--binary", "--sign-key"])
            .arg(secret)
            .arg("--out")
            .arg(&file),
    )?
    .success()?;
    Ok(file)
}

fn verify(folder: &Path, binary: &Path, armored: &Path) -> Result<()> {
    let (inrelease, release, detached) = (
        folder.join("InRelease"),
        folder.join("Release"),
        folder.join("Release.gpg"),
    );
    process::run(
        Command::new("gpgv")
            .arg("--keyring")
            .arg(binary)
            .arg(&inrelease),
    )?
    .success()?;
    process::run(
        Command::new("gpgv")
            .arg("--keyring")
            .arg(binary)
            .arg(&detached)
            .arg(&release),
    )?
    .success()?;
    ensure!(
        process::on_path("sqv"),
        "`sqv` is missing: Debian has it in the package sqv"
    );
    process::run(
        Command::new("sqv")
            .arg("--keyring")
            .arg(armored)
            .arg(&detached)
            .arg(&release),
    )?
    .success()?;
    // The first sqv knows only detached signatures.
    let help = process::run(Command::new("sqv").arg("--help"))?;
    if help.text().contains("--cleartext") || help.text().contains("--message") {
        let output = folder.join("verified");
        let option = if help.text().contains("--cleartext") {
            "--cleartext"
        } else {
            "--message"
        };
        process::run(
            Command::new("sqv")
                .arg("--keyring")
                .arg(armored)
                .arg(option)
                .arg("--output")
                .arg(&output)
                .arg(&inrelease),
        )?
        .success()?;
    }
    Ok(())
}
