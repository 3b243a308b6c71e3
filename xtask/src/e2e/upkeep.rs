//! A repository is looked after: damage is found and repaired, garbage is collected, and devices go on.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    Needs, Scenario,
    world::{HEAD, World, expect_installed, expect_offered},
};
use crate::process::{self, Outcome};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "verify-and-gc",
        about: "damage is found and repaired; garbage goes, and nothing that a device needs",
        needs: Needs::Nothing,
        run: verify_and_gc,
    },
    Scenario {
        name: "doctor",
        about: "what works and what does not is told, on an empty bucket and on a damaged suite, and nothing is left behind",
        needs: Needs::Nothing,
        run: doctor,
    },
];

fn run(world: &World<'_>, arguments: &[&str]) -> Result<Outcome> {
    let mut command = world.debucket();
    command.args(arguments).args(["--repo", &world.repo()]);
    process::run(&mut command)
}

fn verify(world: &World<'_>, more: &[&str]) -> Result<Outcome> {
    let public = world.keys.public.display().to_string();
    run(world, &[&["verify", "--keyring", &public], more].concat())
}

fn repair(world: &World<'_>) -> Result<Outcome> {
    let secret = world.keys.secret.display().to_string();
    run(world, &["verify", "--repair", "--sign-key", &secret])
}

/// Collects garbage with the shortest spans; the result.
pub(super) fn collect(world: &World<'_>) -> Result<Value> {
    let public = world.keys.public.display().to_string();
    let spans = ["--grace", "1s", "--keep-history", "1s"];
    let arguments = [
        &["gc", "--keyring", &public, "--output", "json"],
        &spans[..],
    ]
    .concat();
    Ok(serde_json::from_str(
        &run(world, &arguments)?.success()?.stdout,
    )?)
}

pub(super) fn objects(collected: &Value, what: &str) -> u64 {
    collected[what]["objects"].as_u64().unwrap_or_default()
}

pub(super) fn pass_time() {
    // Two of the store's whole seconds, and the grace period.
    std::thread::sleep(std::time::Duration::from_secs(4));
}

fn verify_and_gc(world: &World<'_>) -> Result<()> {
    for version in ["1", "2", "3"] {
        world.signed(&[&world.small("thing", version)?])?;
    }
    let (fast, plain) = (world.device("by-hash")?, world.device("by-name")?);
    plain.configure("Acquire::By-Hash \"no\";\n")?;
    verify(world, &[])?.success()?;
    verify(world, &["--deep"])?.success()?;

    // An index is damaged, and a follower is gone: devices fail, until both are repaired.
    let index = |part: &str, end: &str| -> Result<Vec<String>> {
        let keys = world.bucket.keys("dists/")?.into_iter();
        Ok(keys
            .filter(|key| key.contains(part) && key.ends_with(end))
            .collect())
    };
    let followers = index("/Packages.", "")?;
    for key in &followers {
        if key.ends_with(".gz") {
            world.bucket.delete(key)?;
        } else {
            world.bucket.put(key, b"damaged")?;
        }
    }
    verify(world, &[])?
        .expect_code(1)?
        .expect_text("Packages.gz is missing")?;
    plain.apt_get(&["update"])?.failure()?;
    repair(world)?.success()?;
    plain.update()?;

    // The head is gone, and comes back as it was.
    let text = world.bucket.text(HEAD)?;
    fast.update()?;
    world.bucket.delete(HEAD)?;
    verify(world, &[])?
        .expect_code(1)?
        .expect_text("its InRelease is missing")?;
    repair(world)?.success()?;
    let before_signature = |text: &str| {
        text.split("-----BEGIN PGP SIGNATURE")
            .next()
            .map(ToOwned::to_owned)
    };
    ensure!(before_signature(&world.bucket.text(HEAD)?) == before_signature(&text));
    for apt in [&fast, &plain] {
        apt.update()?;
        expect_offered(apt, "thing", &["1", "2", "3"])?;
    }

    // The commit, and every file of the index, are gone, and come back without a change that devices notice.
    let by_hash = index("/by-hash/", "")?;
    let commit = text
        .lines()
        .find_map(|line| line.strip_prefix("X-Debucket-Commit: "));
    let commit = format!("dists/stable/commits/{}.json", commit.unwrap_or_default());
    for key in followers.iter().chain(&by_hash).chain([&commit]) {
        world.bucket.delete(key)?;
    }
    // What only the history named is lost for good.
    repair(world)?.success()?;
    for apt in [&fast, &plain] {
        apt.update()?;
        expect_offered(apt, "thing", &["1", "2", "3"])?;
    }
    fast.install(&["thing=1"])?;
    expect_installed(&fast, "thing", "1")?;
    // A package file that was damaged is put right by publishing it again.
    let file = world.small("thing", "3")?;
    let pool = world.bucket.keys("pool/")?.into_iter();
    for key in pool.filter(|key| key.contains("thing_3")) {
        world.bucket.put(&key, b"damaged")?;
    }
    fast.apt_get(&["install", "-y", "thing=3"])?.failure()?;
    verify(world, &[])?
        .expect_code(1)?
        .expect_text("publish the same file again")?;
    world.signed(&[&file])?;
    fast.update()?;
    fast.install(&["thing=3"])?;

    // Two versions go, and with them what only the history names.
    let secret = world.keys.secret.display().to_string();
    run(world, &["prune", "--keep", "1", "--sign-key", &secret])?.success()?;
    pass_time();
    let condemned = collect(world)?;
    ensure!(objects(&condemned, "condemned") > 0 && objects(&condemned, "deleted") == 0);
    ensure!(world.bucket.keys("pool/")?.len() == 4);
    // One of them is published again, and must stay.
    world.signed(&[&world.small("thing", "2")?])?;
    pass_time();
    let deleted = collect(world)?;
    ensure!(
        objects(&deleted, "deleted") > 0,
        "nothing was deleted: {deleted}"
    );
    ensure!(world.bucket.keys("pool/")?.len() == 2, "{deleted}");
    verify(world, &["--deep"])?.success()?;
    for apt in [&fast, &plain] {
        apt.update()?;
        expect_offered(apt, "thing", &["2", "3"])?;
    }
    fast.install(&["thing"])?;
    expect_installed(&fast, "thing", "3")
}

/// The checks of `debucket doctor` with this status, by name, and all that it printed.
fn checks(world: &World<'_>, role: &str, status: &str) -> Result<(Vec<String>, String)> {
    let secret = world.keys.secret.display().to_string();
    let arguments = ["--output", "json", "--sign-key", &secret, "--role", role];
    let text = run(world, &[&["doctor"], &arguments[..]].concat())?.stdout;
    let document: Value = serde_json::from_str(&text)?;
    let checks = document["checks"].as_array().into_iter().flatten();
    let found = checks.filter(|check| check["status"] == status);
    let names = found.filter_map(|check| Some(check["check"].as_str()?.to_owned()));
    Ok((names.collect(), text))
}

/// Fails unless these checks fail, and no others.
fn expect_failed(world: &World<'_>, role: &str, expected: &[&str]) -> Result<()> {
    let (failed, text) = checks(world, role, "fail")?;
    ensure!(failed == expected, "as {role}, {failed:?} failed:\n{text}");
    Ok(())
}

/// Fails unless there is a warning of this check.
fn expect_warning(world: &World<'_>, role: &str, check: &str) -> Result<()> {
    let (warned, text) = checks(world, role, "warn")?;
    ensure!(warned.iter().any(|name| name == check), "{text}");
    Ok(())
}

fn doctor(world: &World<'_>) -> Result<()> {
    expect_failed(world, "publisher", &[])?;
    ensure!(
        world.bucket.keys("")?.is_empty(),
        "something was left behind"
    );
    world.signed(&[&world.small("thing", "1")?])?;
    let before = world.bucket.content()?;
    for role in ["publisher", "collector", "reader"] {
        expect_failed(world, role, &[])?;
        world.bucket.expect_unchanged(&before)?;
    }
    // Whoever may do everything may write as a reader, too.
    expect_warning(world, "reader", "no-write")?;

    let indexes = world.bucket.keys("dists/")?.into_iter();
    for key in indexes.filter(|key| key.contains("/by-hash/") || key.ends_with("/Packages.gz")) {
        world.bucket.delete(&key)?;
    }
    expect_failed(world, "publisher", &["by-hash"])?;
    expect_warning(world, "publisher", "followers")?;
    let secret = world.keys.secret.display().to_string();
    let mut wrong = world.debucket();
    wrong
        .args(["doctor", "--repo", &world.repo(), "--sign-key", &secret])
        .env("AWS_SECRET_ACCESS_KEY", "wrong");
    process::run(&mut wrong)?
        .expect_code(1)?
        .expect_text("the store does not accept the credentials")?;
    Ok(())
}
