//! The main job: publish, install, publish, upgrade; and what becomes of architectures.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{
    Needs, Scenario,
    world::{World, expect_installed, expect_offered},
};
use crate::{apt_root::native_architecture, deb::Package, demo_deb, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "demo-flow",
        about: "publish, install, run, publish again, upgrade, run",
        needs: Needs::Nothing,
        run: demo_flow,
    },
    Scenario {
        name: "unsigned-flow",
        about: "the same with an unsigned suite and a trusting device",
        needs: Needs::Nothing,
        run: unsigned_flow,
    },
    Scenario {
        name: "prefix",
        about: "two repositories below two prefixes of one bucket",
        needs: Needs::Nothing,
        run: prefix,
    },
    Scenario {
        name: "all-in-every-index",
        about: "an `all` package stands in each architecture's index",
        needs: Needs::Nothing,
        run: all_in_every_index,
    },
    Scenario {
        name: "later-architecture",
        about: "an architecture that comes later gets the `all` packages",
        needs: Needs::Nothing,
        run: later_architecture,
    },
    Scenario {
        name: "odd-versions",
        about: "epochs, `~` and `+` survive key, index, request and install",
        needs: Needs::Nothing,
        run: odd_versions,
    },
    Scenario {
        name: "old-versions-stay",
        about: "a device can go back to an older version",
        needs: Needs::Nothing,
        run: old_versions_stay,
    },
];

fn demo_flow(world: &World<'_>) -> Result<()> {
    let packages = world.folder.join("packages");
    world.signed(&[&demo_deb::build("0.1", &packages)?])?;
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&["helloworld"])?;
    let greet = |version: &str| {
        process::run(&mut Command::new(apt.path("usr/bin/helloworld")))?
            .success()?
            .expect_text(&format!("helloworld {version}"))
    };
    greet("0.1")?;

    world.bucket.next_second();
    world.signed(&[&demo_deb::build("0.2", &packages)?])?;
    apt.update()?;
    apt.apt_get(&["upgrade", "--yes"])?.success()?;
    greet("0.2")?;
    expect_installed(&apt, "helloworld", "0.2")
}

fn unsigned_flow(world: &World<'_>) -> Result<()> {
    world.unsigned(&[&world.small("thing", "1")?])?;
    ensure!(
        world.bucket.get("dists/stable/InRelease")?.is_none(),
        "an unsigned suite has no InRelease"
    );
    let apt = world.trusting_device("device", Some(&world.store.keys))?;
    apt.update()?;
    apt.install(&["thing"])?;
    world.bucket.next_second();
    world.unsigned(&[&world.small("thing", "2")?])?;
    apt.update()?;
    apt.apt_get(&["upgrade", "--yes"])?.success()?;
    expect_installed(&apt, "thing", "2")
}

fn prefix(world: &World<'_>) -> Result<()> {
    for team in ["a", "b"] {
        let package = world.small(&format!("from-{team}"), "1")?;
        let mut command = world.debucket();
        command
            .arg("publish")
            .arg(package)
            .args([
                "--bucket",
                &world.bucket.name,
                "--prefix",
                &format!("teams/{team}"),
                "--sign-key",
            ])
            .arg(&world.keys.secret);
        process::run(&mut command)?.success()?;
    }
    ensure!(
        world
            .bucket
            .keys("")?
            .iter()
            .all(|key| key.starts_with("teams/a/") || key.starts_with("teams/b/")),
        "something lies beside the prefixes"
    );
    let apt = world.device("device")?;
    let keyring = apt.path("etc/apt/keyrings/e2e.asc");
    apt.write("sources.list.d/e2e.sources", format!("Types: deb\nURIs: {0}/teams/a {0}/teams/b/\nSuites: stable\nComponents: main\nSigned-By: {1}\n", world.repo(), keyring.display()))?;
    apt.update()?;
    apt.install(&["from-a", "from-b"])?;
    expect_installed(&apt, "from-a", "1")?;
    expect_installed(&apt, "from-b", "1")
}

fn all_in_every_index(world: &World<'_>) -> Result<()> {
    let native = native_architecture()?;
    let foreign = if native == "arm64" { "amd64" } else { "arm64" };
    let everywhere = world.small("everywhere", "1")?;
    let here = world.package(&Package::new("here", "1").architecture(&native))?;
    let architectures = format!("{native},{foreign}");
    process::run(
        &mut world.publish_signed(&[&everywhere, &here], &["--architectures", &architectures]),
    )?
    .success()?;

    let apt = world.device("native")?;
    apt.update()?;
    expect_offered(&apt, "everywhere", &["1"])?;
    expect_offered(&apt, "here", &["1"])?;
    let other = device_of(world, "foreign", foreign)?;
    other.update()?;
    expect_offered(&other, "everywhere", &["1"])?;
    expect_offered(&other, "here", &[])
}

fn later_architecture(world: &World<'_>) -> Result<()> {
    let native = native_architecture()?;
    process::run(&mut world.publish_signed(
        &[&world.small("everywhere", "1")?],
        &["--architectures", &native],
    ))?
    .success()?;
    let riscv = device_of(world, "riscv", "riscv64")?;
    riscv.apt_get(&["update"])?;
    expect_offered(&riscv, "everywhere", &[])?;

    world.bucket.next_second();
    let architectures = format!("{native},riscv64");
    let board = world.package(&Package::new("board", "1").architecture("riscv64"))?;
    process::run(&mut world.publish_signed(&[&board], &["--architectures", &architectures]))?
        .success()?;
    riscv.update()?;
    expect_offered(&riscv, "everywhere", &["1"])?;
    expect_offered(&riscv, "board", &["1"])
}

/// A device that only says that it has this architecture: it looks at indexes and installs nothing.
fn device_of(
    world: &World<'_>,
    name: &str,
    architecture: &str,
) -> Result<crate::apt_root::AptRoot> {
    let apt = world.device(name)?;
    apt.configure(&format!("#clear APT::Architectures;\nAPT::Architecture \"{architecture}\";\nAPT::Architectures {{ \"{architecture}\"; }};"))?;
    Ok(apt)
}

fn odd_versions(world: &World<'_>) -> Result<()> {
    let versions = [
        ("libodd++", "1:2.0~rc1+dfsg-3"),
        ("odd-plus", "1.0+b1"),
        ("odd-tilde", "1.0~~x"),
        ("odd-caret", "0.0.1-0ubuntu1~22.04.1"),
    ];
    let mut files = Vec::new();
    for (name, version) in versions {
        files.push(world.small(name, version)?);
    }
    world.signed(
        &files
            .iter()
            .map(std::path::PathBuf::as_path)
            .collect::<Vec<_>>(),
    )?;
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&versions.map(|(name, _)| name))?;
    for (name, version) in versions {
        expect_installed(&apt, name, version)?;
    }
    Ok(())
}

fn old_versions_stay(world: &World<'_>) -> Result<()> {
    for version in ["1.0", "1.1", "1.0-1"] {
        world.signed(&[&world.small("thing", version)?])?;
    }
    let apt = world.device("device")?;
    apt.update()?;
    expect_offered(&apt, "thing", &["1.0", "1.1", "1.0-1"])?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1.1")?;
    apt.install(&["thing=1.0"])?;
    expect_installed(&apt, "thing", "1.0")
}
