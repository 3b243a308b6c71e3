//! A suite has another name, which moves on to the next suite, and is deleted: devices of both names see each state whole.

use std::fs;

use anyhow::{Result, ensure};

use super::{
    Needs, Scenario,
    world::{World, change, expect_installed, expect_offered},
};
use crate::{apt_root::AptRoot, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "alias",
        about: "stable and trixie name one suite; then stable is forky, which its devices have to accept",
        needs: Needs::Nothing,
        run: alias,
    },
    Scenario {
        name: "suite-delete",
        about: "a suite is gone for its devices, and another takes its name",
        needs: Needs::Nothing,
        run: delete,
    },
];

/// A device of this suite, or alias.
fn device(world: &World<'_>, name: &str, suite: &str) -> Result<AptRoot> {
    let apt = world.device(name)?;
    let sources = "sources.list.d/e2e.sources";
    let text = fs::read_to_string(apt.path("etc/apt").join(sources))?;
    apt.write(
        sources,
        text.replace("Suites: stable", &format!("Suites: {suite}")),
    )?;
    Ok(apt)
}

fn publish(world: &World<'_>, suite: &str, version: &str) -> Result<()> {
    let file = world.small("thing", version)?;
    let mut publish = world.publish_signed(&[&file], &["--suite", suite]);
    process::run(&mut publish)?.success()?;
    Ok(())
}

fn expect_update(apt: &AptRoot, versions: &[&str]) -> Result<()> {
    let outcome = apt.update()?;
    ensure!(!outcome.has_complaint(), "{}", outcome.report());
    expect_offered(apt, "thing", versions)
}

fn collect(world: &World<'_>) -> Result<()> {
    for _ in 0..2 {
        // Two of the store's whole seconds, and the grace period.
        std::thread::sleep(std::time::Duration::from_secs(4));
        world.json(&["gc", "--grace", "1s", "--keep-history", "1s"])?;
    }
    Ok(())
}

fn alias(world: &World<'_>) -> Result<()> {
    let names = ["--alias", "stable", "--field", "Suite=stable"];
    change(
        world,
        &[&["suite", "create", "trixie"], &names[..]].concat(),
    )?;
    publish(world, "trixie", "1")?;
    let trixie = device(world, "of-trixie", "trixie")?;
    let stable = device(world, "of-stable", "stable")?;
    let plain = device(world, "of-stable-by-name", "stable")?;
    plain.configure("Acquire::By-Hash \"no\";\n")?;
    let all = |versions: &[&str]| {
        for apt in [&trixie, &stable, &plain] {
            expect_update(apt, versions)?;
        }
        Ok::<_, anyhow::Error>(())
    };
    all(&["1"])?;
    for apt in [&trixie, &stable, &plain] {
        apt.install(&["thing"])?;
        expect_installed(apt, "thing", "1")?;
    }
    publish(world, "trixie", "2")?;
    all(&["1", "2"])?;
    change(world, &["prune", "--keep", "1", "--suite", "trixie"])?;
    collect(world)?;
    all(&["2"])?;
    for apt in [&trixie, &stable, &plain] {
        apt.forget()?;
    }
    all(&["2"])?;

    // The name moves on. In between it shows what it did.
    publish(world, "forky", "3")?;
    change(world, &["suite", "set", "trixie", "--no-alias", "stable"])?;
    publish(world, "trixie", "4")?;
    collect(world)?;
    expect_update(&stable, &["2"])?;
    expect_update(&plain, &["2"])?;
    expect_update(&trixie, &["2", "4"])?;
    let allow = ["--allow-release-info-change"];
    let take = [&["suite", "set", "forky"], &names[..], &allow].concat();
    change(world, &take)?;
    for apt in [&stable, &plain] {
        apt.apt_get(&["update"])?
            .failure()?
            .expect_text("changed its 'Codename' value")?;
        apt.apt_get(&["update", "--allow-releaseinfo-change"])?
            .success()?;
        expect_update(apt, &["3"])?;
        apt.install(&["thing"])?;
        expect_installed(apt, "thing", "3")?;
    }
    expect_update(&trixie, &["2", "4"])
}

fn delete(world: &World<'_>) -> Result<()> {
    publish(world, "trixie", "1")?;
    change(world, &["suite", "set", "trixie", "--alias", "stable"])?;
    publish(world, "forky", "3")?;
    let trixie = device(world, "of-trixie", "trixie")?;
    let forky = device(world, "of-forky", "forky")?;
    expect_update(&trixie, &["1"])?;
    change(world, &["suite", "delete", "trixie", "--yes"])?;
    trixie.apt_get(&["update"])?.failure()?;
    device(world, "of-stable", "stable")?
        .apt_get(&["update"])?
        .failure()?;
    // It goes on with what it has.
    trixie.install(&["thing"])?;
    expect_update(&forky, &["3"])?;
    collect(world)?;
    ensure!(world.bucket.keys("pool/")?.len() == 1);
    expect_update(&forky, &["3"])?;
    publish(world, "trixie", "5")?;
    expect_update(&trixie, &["5"])
}
