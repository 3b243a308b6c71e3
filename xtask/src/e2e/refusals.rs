//! Bad input and missing rights: exit code 1, one clear message, and a repository that is byte for byte as before.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Needs, Scenario,
    world::{HEAD, World},
};
use crate::{
    deb::Package,
    process::{self, Outcome},
    store::Content,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "bad-packages",
        about: "truncated, damaged, foreign and empty files are refused",
        needs: Needs::Nothing,
        run: bad_packages,
    },
    Scenario {
        name: "bad-access",
        about: "wrong bucket, no, unknown or wrong keys are refused",
        needs: Needs::Nothing,
        run: bad_access,
    },
    Scenario {
        name: "bad-signing",
        about: "wrong, missing or unreadable signing keys are refused",
        needs: Needs::Nothing,
        run: bad_signing,
    },
    Scenario {
        name: "no-mixing",
        about: "signed stays signed, unsigned stays unsigned",
        needs: Needs::Nothing,
        run: no_mixing,
    },
    Scenario {
        name: "no-permission",
        about: "a publisher whose writes are denied changes nothing",
        needs: Needs::OwnStore,
        run: no_permission,
    },
    Scenario {
        name: "tampered-head",
        about: "nothing is built on a head that was tampered with",
        needs: Needs::Nothing,
        run: tampered_head,
    },
    Scenario {
        name: "unreachable-store",
        about: "a store that does not answer is told, with what to check",
        needs: Needs::Nothing,
        run: unreachable_store,
    },
];

/// A repository with one package, and what it holds.
fn repository(world: &World<'_>) -> Result<Content> {
    world.signed(&[&world.small("thing", "1")?])?;
    world.bucket.content()
}

/// Fails unless `command` is refused with exit code 1, one error that has one of `words` in it, and no change.
fn expect_refused(
    world: &World<'_>,
    command: &mut Command,
    words: &[&str],
    before: &Content,
) -> Result<Outcome> {
    let outcome = process::run(command)?.expect_code(1)?;
    let errors = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("error:"))
        .count();
    ensure!(
        errors == 1,
        "{errors} errors instead of one\n{}",
        outcome.report()
    );
    let text = outcome.stderr.to_lowercase();
    ensure!(
        words.iter().any(|word| text.contains(&word.to_lowercase())),
        "none of {words:?} is in the message\n{}",
        outcome.report()
    );
    ensure!(!outcome.text().contains("panicked"), "{}", outcome.report());
    world
        .bucket
        .expect_unchanged(before)
        .with_context(|| outcome.report())?;
    Ok(outcome)
}

fn bad_packages(world: &World<'_>) -> Result<()> {
    let before = repository(world)?;
    let good = world.package(&Package::new("good", "1").payload_of(40_000))?;
    for (name, file) in bad_files(world, &good)? {
        // Together with a good one: nothing of either may arrive.
        expect_refused(
            world,
            &mut world.publish_signed(&[&good, &file], &[]),
            &[&format!("{name}.deb")],
            &before,
        )
        .with_context(|| format!("{name}.deb"))?;
    }
    world.signed(&[&good])?;
    ensure!(world.listed()?.len() == 2, "{:?}", world.listed()?);
    Ok(())
}

fn bad_files(world: &World<'_>, good: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let bytes = fs::read(good)?;
    let folder = world.folder.join("bad");
    fs::create_dir(&folder)?;
    let mut flipped = bytes.clone();
    // Inside the compressed control member, which begins at byte 132 (deb(5): 8 + 60 + 4 + 60).
    flipped[160] ^= 0xff;
    let mut files = Vec::new();
    for (name, content) in [
        ("truncated", &bytes[..bytes.len() / 2]),
        ("truncated-by-one", &bytes[..bytes.len() - 1]),
        ("header-only", &bytes[..8]),
        ("flipped", &flipped[..]),
        ("empty", b""),
        ("text", b"This is no package.\n"),
        (
            "archive",
            b"!<arch>\nfile/           0           0     0     644     4         `\nabc\n",
        ),
    ] {
        let file = folder.join(format!("{name}.deb"));
        fs::write(&file, content)?;
        files.push((name, file));
    }
    for (name, control) in [
        (
            "no-version",
            "Package: x\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: x\n",
        ),
        (
            "bad-name",
            "Package: ../x\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: x\n",
        ),
    ] {
        files.push((name, assemble(&folder, name, control)?));
    }
    Ok(files)
}

/// A package with any control file, which dpkg-deb would refuse to build: put together with `tar` and by hand as deb(5) has it.
fn assemble(folder: &Path, name: &str, control: &str) -> Result<PathBuf> {
    let parts = folder.join(format!("{name}.parts"));
    fs::create_dir(&parts)?;
    fs::write(parts.join("control"), control)?;
    fs::create_dir(parts.join("data"))?;
    for (archive, from, what) in [
        ("control.tar.gz", parts.clone(), "./control"),
        ("data.tar.gz", parts.join("data"), "."),
    ] {
        process::run(
            Command::new("tar")
                .arg("-C")
                .arg(from)
                .arg("-czf")
                .arg(parts.join(archive))
                .arg(what),
        )?
        .success()?;
    }
    let mut bytes = b"!<arch>\n".to_vec();
    let mut member = |name: &str, content: &[u8]| {
        bytes.extend_from_slice(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                "100644",
                content.len()
            )
            .as_bytes(),
        );
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    };
    member("debian-binary", b"2.0\n");
    for archive in ["control.tar.gz", "data.tar.gz"] {
        member(archive, &fs::read(parts.join(archive))?);
    }
    let file = folder.join(format!("{name}.deb"));
    fs::write(&file, bytes)?;
    Ok(file)
}

fn bad_access(world: &World<'_>) -> Result<()> {
    let before = repository(world)?;
    let file = world.small("other", "1")?;
    let mut elsewhere = world.debucket();
    elsewhere
        .arg("publish")
        .arg(&file)
        .args(["--repo", "s3://debucket-no-such-bucket", "--sign-key"])
        .arg(&world.keys.secret);
    expect_refused(world, &mut elsewhere, &["bucket"], &before)?;

    let mut none = world.publish_signed(&[&file], &[]);
    none.env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env_remove("AWS_SESSION_TOKEN");
    expect_refused(world, &mut none, &["AWS_ACCESS_KEY_ID"], &before)?;

    let mut unknown = world.publish_signed(&[&file], &[]);
    unknown
        .env("AWS_ACCESS_KEY_ID", "AKIDNOBODYKNOWS")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2hunter2");
    expect_refused(world, &mut unknown, &["key", "credentials"], &before)?
        .expect_no_text("hunter2")?;

    let mut wrong = world.publish_signed(&[&file], &[]);
    wrong.env("AWS_SECRET_ACCESS_KEY", "hunter2hunter2");
    expect_refused(world, &mut wrong, &["signature", "credentials"], &before)?
        .expect_no_text("hunter2")?;
    Ok(())
}

fn bad_signing(world: &World<'_>) -> Result<()> {
    let before = repository(world)?;
    let file = world.small("other", "1")?;
    let with_key = |key: &Path| {
        let mut command = world.publish(&[&file], &[]);
        command.arg("--sign-key").arg(key);
        command
    };
    expect_refused(
        world,
        &mut with_key(&world.keys.stranger),
        &["sign"],
        &before,
    )?;
    expect_refused(
        world,
        &mut with_key(&world.keys.public),
        &["secret", "key"],
        &before,
    )?;
    let garbage = world.folder.join("garbage.asc");
    fs::write(
        &garbage,
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n",
    )?;
    expect_refused(world, &mut with_key(&garbage), &["key"], &before)?;
    expect_refused(world, &mut world.publish(&[&file], &[]), &["key"], &before)?;

    // A key with a passphrase: none, a wrong one, the right one.
    let (passphrase, wrong, locked) = (
        world.folder.join("pass"),
        world.folder.join("wrong"),
        world.folder.join("locked.asc"),
    );
    fs::write(&passphrase, "open sesame\n")?;
    fs::write(&wrong, "open barley\n")?;
    process::run(
        world
            .debucket()
            .args(["key", "generate", "--passphrase-file"])
            .arg(&passphrase)
            .arg("--out")
            .arg(&locked),
    )?
    .success()?;
    expect_refused(world, &mut with_key(&locked), &["passphrase"], &before)?;
    expect_refused(
        world,
        with_key(&locked)
            .arg("--sign-key-passphrase-file")
            .arg(&wrong),
        &["passphrase"],
        &before,
    )?
    .expect_no_text("barley")?;
    let mut right = with_key(&locked);
    right
        .args(["--suite", "locked", "--sign-key-passphrase-file"])
        .arg(&passphrase);
    process::run(&mut right)?
        .success()?
        .expect_no_text("sesame")?;
    Ok(())
}

fn no_mixing(world: &World<'_>) -> Result<()> {
    let file = world.small("thing", "1")?;
    let next = world.small("thing", "2")?;
    expect_refused(
        world,
        &mut world.publish(&[&file], &[]),
        &["--unsigned"],
        &Content::new(),
    )?;
    world.signed(&[&file])?;
    let before = world.bucket.content()?;
    expect_refused(
        world,
        &mut world.publish(&[&next], &["--unsigned"]),
        &["signed"],
        &before,
    )?;
    process::run(&mut world.publish(&[&file], &["--unsigned", "--suite", "open"]))?.success()?;
    let before = world.bucket.content()?;
    expect_refused(
        world,
        &mut world.publish_signed(&[&next], &["--suite", "open"]),
        &["unsigned"],
        &before,
    )?;
    Ok(())
}

fn no_permission(world: &World<'_>) -> Result<()> {
    let before = repository(world)?;
    let proxy = world.proxy()?;
    proxy.push(
        dev_s3::Rule::new(dev_s3::Fault::Answer(
            hyper::StatusCode::FORBIDDEN,
            "AccessDenied",
        ))
        .writes(),
    );
    let mut command = world.publish_signed(&[&world.small("other", "1")?], &[]);
    command.env("AWS_ENDPOINT_URL", proxy.endpoint());
    expect_refused(
        world,
        &mut command,
        &["AccessDenied", "denied", "forbidden", "permission"],
        &before,
    )?;
    Ok(())
}

fn tampered_head(world: &World<'_>) -> Result<()> {
    repository(world)?;
    let head = world.bucket.text(HEAD)?;
    ensure!(head.contains("Suite: stable"), "{head}");
    world.bucket.put(
        HEAD,
        head.replace("Suite: stable", "Suite: stabler").as_bytes(),
    )?;
    let before = world.bucket.content()?;
    let file = world.small("other", "1")?;
    expect_refused(
        world,
        &mut world.publish_signed(&[&file], &[]),
        &["signature", "trusted"],
        &before,
    )?;

    // Neither on a commit or an index that is not what its name says.
    world.bucket.put(HEAD, head.as_bytes())?;
    for part in ["/commits/", "/by-hash/"] {
        let keys = world.bucket.keys("dists/")?;
        for key in keys.iter().filter(|key| key.contains(part)) {
            let good = world.bucket.get(key)?.context("it was just listed")?;
            let mut bad = good.clone();
            let middle = bad.len() / 2;
            bad[middle] ^= 0x01;
            world.bucket.put(key, &bad)?;
            let before = world.bucket.content()?;
            let outcome = process::run(&mut world.publish_signed(&[&file], &["--dry-run"]))?;
            // An index in a form that is not read does no harm.
            if outcome.code() != 0 {
                expect_refused(
                    world,
                    &mut world.publish_signed(&[&file], &[]),
                    &["damaged", "tampered", "content"],
                    &before,
                )?;
            } else {
                ensure!(
                    part == "/by-hash/",
                    "a damaged commit was built upon: {key}"
                );
            }
            world.bucket.put(key, &good)?;
        }
    }
    world.signed(&[&file])?;
    Ok(())
}

fn unreachable_store(world: &World<'_>) -> Result<()> {
    let before = repository(world)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let mut command = world.publish_signed(&[&world.small("other", "1")?], &[]);
    command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    expect_refused(world, &mut command, &["--endpoint-url"], &before)?;
    Ok(())
}
