//! A version reaches a part of the devices first, as apt draws it from their machine's ids.

use anyhow::{Result, ensure};

use super::{
    Needs, Scenario,
    world::{World, change, expect_installed, expect_offered},
};
use crate::{apt_root::AptRoot, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "phased-update",
        about: "a version reaches a part of the devices, then all",
        needs: Needs::Nothing,
        run: phased_update,
    },
    Scenario {
        name: "phased-update-halted",
        about: "a version that is taken back is offered no more; devices that have it keep it",
        needs: Needs::Nothing,
        run: halted,
    },
];

/// Machine ids that draw numbers above 10 and up to 50, and above 50, for version 2.0 of `thing`.
const EARLY: &str = "device-1";
const LATE: &str = "device-5";

/// A device with this machine id, on which version 1.0 of `thing` is installed.
fn device(world: &World<'_>, name: &str, machine: &str) -> Result<AptRoot> {
    let apt = world.device(name)?;
    apt.configure(&format!("APT::Machine-ID \"{machine}\";\n"))?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1.0")?;
    Ok(apt)
}

/// Updates a device and upgrades all that it has; `thing` is then installed in this version.
fn expect_upgrade(apt: &AptRoot, version: &str) -> Result<()> {
    apt.update()?;
    apt.apt_get(&["upgrade", "--yes"])?.success()?;
    expect_installed(apt, "thing", version)
}

fn publish(world: &World<'_>, version: &str, phase: &[&str]) -> Result<()> {
    let file = world.small("thing", version)?;
    process::run(&mut world.publish_signed(&[&file], phase))?.success()?;
    Ok(())
}

fn phased_update(world: &World<'_>) -> Result<()> {
    publish(world, "1.0", &[])?;
    let (early, late) = (device(world, "early", EARLY)?, device(world, "late", LATE)?);
    publish(world, "2.0", &["--phase", "10"])?;
    for apt in [&early, &late] {
        expect_upgrade(apt, "1.0")?;
        expect_offered(apt, "thing", &["1.0", "2.0"])?;
    }
    change(world, &["phase", "thing", "50"])?;
    early.update()?;
    let never = "APT::Get::Never-Include-Phased-Updates=true";
    early
        .apt_get(&["upgrade", "--yes", "-o", never])?
        .success()?;
    expect_installed(&early, "thing", "1.0")?;
    expect_upgrade(&early, "2.0")?;
    expect_upgrade(&late, "1.0")?;
    change(world, &["phase", "thing", "100"])?;
    expect_upgrade(&late, "2.0")
}

fn halted(world: &World<'_>) -> Result<()> {
    publish(world, "1.0", &[])?;
    let (early, late) = (device(world, "early", EARLY)?, device(world, "late", LATE)?);
    // Retention takes 1.0 out.
    publish(world, "2.0", &["--phase", "50", "--keep", "1"])?;
    expect_upgrade(&early, "2.0")?;
    let before = world.bucket.keys("pool/")?;
    change(world, &["phase", "thing", "--halt"])?;
    ensure!(
        world.bucket.keys("pool/")? == before,
        "a package was sent again"
    );
    expect_upgrade(&early, "2.0")?;
    expect_upgrade(&late, "1.0")?;
    expect_offered(&late, "thing", &["1.0"])?;
    let all = late.apt_get(&[
        "upgrade",
        "--yes",
        "-o",
        "APT::Get::Always-Include-Phased-Updates=true",
    ]);
    all?.success()?;
    expect_installed(&late, "thing", "1.0")?;
    publish(world, "2.1", &[])?;
    expect_upgrade(&early, "2.1")?;
    expect_upgrade(&late, "2.1")
}
