//! The keys of a suite change, and devices that have the right one notice nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Needs, Scenario,
    world::{HEAD, SUITE, World, expect_installed, expect_offered},
};
use crate::{
    apt_root::AptRoot,
    process::{self, Outcome},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "key-rotation",
        about: "devices with the old key, the new one or both through a whole rotation",
        needs: Needs::Nothing,
        run: key_rotation,
    },
    Scenario {
        name: "key-package",
        about: "devices get the next key as a package, signed by the old one",
        needs: Needs::Nothing,
        run: key_package,
    },
    Scenario {
        name: "key-lost",
        about: "a suite whose key is lost goes on with another, for devices that have it",
        needs: Needs::Nothing,
        run: key_lost,
    },
    Scenario {
        name: "key-in-release",
        about: "Signed-By in Release: a device without its own follows a rotation, unless it sleeps through it",
        needs: Needs::Nothing,
        run: key_in_release,
    },
];

/// The next key of a suite.
struct Next {
    secret: PathBuf,
    public: PathBuf,
    fingerprint: String,
}

impl Next {
    fn make(world: &World<'_>) -> Result<Self> {
        let (secret, public) = (
            world.folder.join("next.asc"),
            world.folder.join("next.pub.asc"),
        );
        let mut command = world.debucket();
        command
            .args(["key", "generate", "--output", "json", "--out"])
            .arg(&secret);
        let made = process::run(command.arg("--public-out").arg(&public))?.success()?;
        let made: serde_json::Value = serde_json::from_str(&made.stdout)?;
        let fingerprint = made["fingerprint"].as_str().context("no fingerprint")?;
        Ok(Self {
            secret,
            public,
            fingerprint: fingerprint.to_owned(),
        })
    }
}

/// Runs a command that changes the suite, signed with these keys.
fn change(world: &World<'_>, arguments: &[&str], keys: &[&Path]) -> Result<Outcome> {
    let mut command = world.debucket();
    command.args(arguments).args(["--repo", &world.repo()]);
    for key in keys {
        command.arg("--sign-key").arg(key);
    }
    process::run(&mut command)
}

/// Publishes a version of the package `thing`.
fn publish(world: &World<'_>, version: &str, keys: &[&Path]) -> Result<Outcome> {
    let file = world.small("thing", version)?;
    let file = file.to_str().context("the path is not UTF-8")?;
    change(world, &["publish", file], keys)
}

/// The fingerprint of the suite's only key.
fn only_key(world: &World<'_>) -> Result<String> {
    let list = world.json(&["key", "list", SUITE])?;
    let key = list["keys"][0]["fingerprint"].as_str();
    Ok(key.context("the suite has no key")?.to_owned())
}

/// A device that has these keys.
fn device(world: &World<'_>, name: &str, keys: &[&Path]) -> Result<AptRoot> {
    let apt = world.device(name)?;
    let keyring = world.folder.join(format!("{name}.gpg"));
    let mut packets = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let part = world.folder.join(format!("{name}-{number}.gpg"));
        let mut export = world.debucket();
        export
            .args(["key", "export", "--binary", "--sign-key"])
            .arg(key);
        process::run(export.arg("--out").arg(&part))?.success()?;
        packets.extend(fs::read(part)?);
    }
    fs::write(&keyring, packets)?;
    let armored = apt.path("etc/apt/keyrings/e2e.asc");
    fs::remove_file(&armored)?;
    fs::copy(&keyring, apt.path("etc/apt/keyrings/e2e.gpg"))?;
    let sources = apt.path("etc/apt/sources.list.d/e2e.sources");
    let text = fs::read_to_string(&sources)?.replace("e2e.asc", "e2e.gpg");
    fs::write(&sources, text)?;
    Ok(apt)
}

/// That the device sees this version, or refuses the suite if there is none.
fn expect(apt: &AptRoot, version: Option<&str>) -> Result<()> {
    match version {
        Some(version) => {
            apt.update()?;
            expect_offered(apt, "thing", &[version])
        }
        None => {
            // An earlier list stays in use, with a warning.
            let run = apt.apt_get(&["update"])?;
            ensure!(
                run.has_complaint(),
                "the device accepts the suite\n{}",
                run.report()
            );
            Ok(())
        }
    }
}

/// That `sqv` accepts the suite with this key, or does not.
fn expect_of_sqv(world: &World<'_>, public: &Path, accepts: bool) -> Result<()> {
    let file = |name: &str| -> Result<PathBuf> {
        let path = world.folder.join(name);
        fs::write(&path, world.bucket.text(&format!("dists/{SUITE}/{name}"))?)?;
        Ok(path)
    };
    let mut sqv = Command::new("sqv");
    sqv.arg("--keyring").arg(public);
    let run = process::run(sqv.arg(file("Release.gpg")?).arg(file("Release")?))?;
    ensure!((run.code() == 0) == accepts, "sqv\n{}", run.report());
    Ok(())
}

fn key_rotation(world: &World<'_>) -> Result<()> {
    let next = Next::make(world)?;
    let (old, new) = (world.keys.secret.as_path(), next.secret.as_path());
    let retention = ["suite", "set", SUITE, "--keep", "1"];
    publish(world, "1", &[old])?.success()?;
    change(world, &retention, &[old])?.success()?;
    let knows_old = device(world, "old", &[old])?;
    let knows_both = device(world, "both", &[old, new])?;
    let knows_new = device(world, "new", &[new])?;
    let see = |by_old: Option<&str>, by_both: &str, by_new: Option<&str>| {
        expect(&knows_old, by_old)?;
        expect(&knows_both, Some(by_both))?;
        expect(&knows_new, by_new)?;
        expect_of_sqv(world, &world.keys.public, by_old.is_some())?;
        expect_of_sqv(world, &next.public, by_new.is_some())
    };
    see(Some("1"), "1", None)?;

    // One more device updates all the time.
    let restless = device(world, "restless", &[old, new])?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let updates = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                restless.update()?;
            }
            anyhow::Ok(())
        });
        let steps = || {
            let first = only_key(world)?;
            let add = ["key", "add", SUITE, &next.fingerprint];
            change(world, &add, &[old, new])?.success()?;
            see(Some("1"), "1", Some("1"))?;
            let head = world.bucket.text(HEAD)?;
            for alone in [old, new] {
                publish(world, "2", &[alone])?.expect_code(1)?;
            }
            ensure!(
                world.bucket.text(HEAD)? == head,
                "a publish with one key changed the head"
            );
            publish(world, "2", &[new, old])?.success()?;
            see(Some("2"), "2", Some("2"))?;
            knows_old.install(&["thing"])?;
            knows_new.install(&["thing"])?;
            let retire = ["key", "retire", SUITE, &first];
            change(world, &retire, &[old])?.expect_code(1)?;
            see(Some("2"), "2", Some("2"))?;
            change(world, &retire, &[new])?.success()?;
            see(None, "2", Some("2"))?;
            publish(world, "3", &[old])?.expect_code(1)?;
            publish(world, "3", &[new])?.success()?;
            see(None, "3", Some("3"))
        };
        let result = steps();
        is_over.store(true, Ordering::Relaxed);
        let updates = updates.join();
        result?;
        updates.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    expect_installed(&knows_old, "thing", "2")?;
    knows_new.install(&["thing"])?;
    expect_installed(&knows_new, "thing", "3")
}

fn key_package(world: &World<'_>) -> Result<()> {
    let next = Next::make(world)?;
    let (old, new) = (world.keys.secret.as_path(), next.secret.as_path());
    let built = || {
        let mut arguments = vec![
            "key",
            "package",
            SUITE,
            "--name",
            "e2e-archive-keyring",
            "--out-dir",
        ];
        arguments.push(world.folder.to_str().context("the path is not UTF-8")?);
        let document = world.json(&arguments)?;
        let file = document["file"].as_str().context("no file")?;
        anyhow::Ok(file.to_owned())
    };
    publish(world, "1", &[old])?.success()?;
    let first = only_key(world)?;
    change(world, &["publish", &built()?], &[old])?.success()?;
    let apt = device(world, "device", &[old])?;
    apt.update()?;
    apt.install(&["e2e-archive-keyring"])?;
    let sources = apt.path("etc/apt/sources.list.d/e2e.sources");
    let by_hand = apt.path("etc/apt/keyrings/e2e.gpg");
    let text = fs::read_to_string(&sources)?;
    let packaged = apt.path("usr/share/keyrings/e2e-archive-keyring.gpg");
    let (from, to) = (
        by_hand.display().to_string(),
        packaged.display().to_string(),
    );
    fs::write(&sources, text.replace(&from, &to))?;
    fs::remove_file(by_hand)?;
    expect(&apt, Some("1"))?;

    let add = ["key", "add", SUITE, &next.fingerprint];
    change(world, &add, &[old, new])?.success()?;
    change(world, &["publish", &built()?], &[old, new])?.success()?;
    apt.update()?;
    let upgrade = apt.apt_get(&["upgrade", "--yes"])?.success()?;
    ensure!(
        upgrade.outcome.text().contains("e2e-archive-keyring"),
        "{}",
        upgrade.report()
    );
    change(world, &["key", "retire", SUITE, &first], &[new])?.success()?;
    expect(&apt, Some("1"))?;

    // A new device needs no more than the package, which brings its sources.
    let other = world.device("other")?;
    fs::remove_file(other.path("etc/apt/sources.list.d/e2e.sources"))?;
    let mut package = world.debucket();
    package
        .args([
            "key",
            "package",
            SUITE,
            "--sources",
            "--name",
            "other-keyring",
        ])
        .args(["--output", "json", "--repo", &world.repo()]);
    let run = process::run(package.arg("--keyring").arg(&next.public))?.success()?;
    let document: serde_json::Value = serde_json::from_str(&run.stdout)?;
    let file = document["file"].as_str().context("no file")?;
    let file = world.folder.join(file);
    other.install(&[file.to_str().context("the path is not UTF-8")?])?;
    let listed = other.path("etc/apt/sources.list.d/other-keyring.sources");
    let text = fs::read_to_string(&listed)?;
    let inside = "Signed-By: /usr/share/keyrings/other-keyring.gpg";
    ensure!(text.contains(inside), "{text}");
    let root = other.folder().display().to_string();
    fs::write(
        &listed,
        text.replace(inside, &inside.replace(" /", &format!(" {root}/"))),
    )?;
    expect(&other, Some("1"))
}

fn key_lost(world: &World<'_>) -> Result<()> {
    let next = Next::make(world)?;
    publish(world, "1", &[&world.keys.secret])?.success()?;
    let (before, after) = (
        world.device("before")?,
        device(world, "after", &[&next.secret])?,
    );
    expect(&before, Some("1"))?;
    let public = world
        .keys
        .public
        .to_str()
        .context("the path is not UTF-8")?;
    let reset = [
        "key",
        "reset",
        SUITE,
        "--keyring",
        public,
        "--i-lost-the-keys-of",
    ];
    let named = |name| [&reset[..], &[name]].concat();
    change(world, &named("testing"), &[&next.secret])?.expect_code(2)?;
    expect(&before, Some("1"))?;
    change(world, &named(SUITE), &[&next.secret])?.success()?;
    expect(&before, None)?;
    expect(&after, Some("1"))?;
    fs::copy(&next.public, before.path("etc/apt/keyrings/e2e.asc"))?;
    publish(world, "2", &[&next.secret])?.success()?;
    before.update()?;
    before.install(&["thing"])?;
    expect_installed(&before, "thing", "2")
}

fn key_in_release(world: &World<'_>) -> Result<()> {
    let next = Next::make(world)?;
    let (old, new) = (world.keys.secret.as_path(), next.secret.as_path());
    publish(world, "1", &[old])?.success()?;
    let named = [
        "suite",
        "set",
        SUITE,
        "--signed-by",
        "yes",
        "--valid-for",
        "14d",
    ];
    change(world, &named, &[old])?.success()?;
    // Both keys are trusted for all repositories; which of them this one has is what its Release says.
    let trusting = |name: &str| {
        let apt = device(world, name, &[old, new])?;
        let (ring, trusted) = (
            apt.path("etc/apt/keyrings/e2e.gpg"),
            apt.path("etc/apt/trusted.gpg.d/e2e.gpg"),
        );
        fs::rename(ring, trusted)?;
        let sources = apt.path("etc/apt/sources.list.d/e2e.sources");
        let text = fs::read_to_string(&sources)?;
        let lines = text.lines().filter(|line| !line.starts_with("Signed-By"));
        fs::write(
            &sources,
            lines.map(|line| format!("{line}\n")).collect::<String>(),
        )?;
        apt.update()?;
        anyhow::Ok(apt)
    };
    let (awake, asleep) = (trusting("awake")?, trusting("asleep")?);
    let first = only_key(world)?;
    change(
        world,
        &["key", "add", SUITE, &next.fingerprint],
        &[old, new],
    )?
    .success()?;
    awake.update()?;
    change(world, &["key", "retire", SUITE, &first], &[new])?.success()?;
    awake.update()?;
    expect(&asleep, None)?;
    // What helps is to forget the Release that named the old key.
    asleep.forget()?;
    asleep.update()?;
    Ok(())
}
