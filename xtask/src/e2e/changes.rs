//! A suite is changed after its first publish, and devices see each state whole.

use anyhow::{Result, ensure};
use dev_s3::{Fault, Operation, Rule};

use super::{
    Needs, Scenario,
    world::{HEAD, SUITE, World, change, expect_installed, expect_offered},
};
use crate::{apt_root::AptRoot, deb::Package, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "remove-and-rollback",
        about: "a version that is taken out is no longer offered, and a rollback brings it back",
        needs: Needs::Nothing,
        run: remove_and_rollback,
    },
    Scenario {
        name: "promote-and-prune",
        about: "testing's packages reach stable without an upload; old versions go",
        needs: Needs::Nothing,
        run: promote_and_prune,
    },
    Scenario {
        name: "promote-across",
        about: "packages of another bucket reach devices, copied by the store or read and sent",
        needs: Needs::Nothing,
        run: promote_across,
    },
    Scenario {
        name: "valid-until",
        about: "devices refuse a suite whose validity is over, until it is refreshed",
        needs: Needs::Nothing,
        run: valid_until,
    },
    Scenario {
        name: "dropped-architecture",
        about: "devices of an architecture that a suite drops are told so; all others go on",
        needs: Needs::Nothing,
        run: dropped_architecture,
    },
];

fn expect_update(apt: &AptRoot, package: &str, versions: &[&str]) -> Result<()> {
    apt.update()?;
    expect_offered(apt, package, versions)
}

fn remove_and_rollback(world: &World<'_>) -> Result<()> {
    for version in ["1.0", "1.0-1", "2.0"] {
        world.signed(&[&world.small("thing", version)?])?;
    }
    let (fast, plain) = (world.device("by-hash")?, world.device("by-name")?);
    plain.configure("Acquire::By-Hash \"no\";\n")?;
    let both = |versions: &[&str]| {
        expect_update(&fast, "thing", versions)?;
        expect_update(&plain, "thing", versions)
    };
    both(&["1.0", "1.0-1", "2.0"])?;
    change(world, &["remove", "thing=2.0"])?;
    both(&["1.0", "1.0-1"])?;
    change(world, &["remove", "thing=1.0"])?;
    both(&["1.0-1"])?;
    change(world, &["rollback", "--to", "@~1"])?;
    both(&["1.0", "1.0-1"])?;
    change(world, &["rollback", "--to", "@~3"])?;
    both(&["1.0", "1.0-1", "2.0"])?;
    fast.install(&["thing"])?;
    expect_installed(&fast, "thing", "2.0")
}

fn promote_and_prune(world: &World<'_>) -> Result<()> {
    for version in ["1", "2", "3"] {
        let file = world.small("thing", version)?;
        let mut publish = world.publish_signed(&[&file], &["--suite", "testing"]);
        process::run(&mut publish)?.success()?;
    }
    let pool = world.bucket.keys("pool/")?;
    change(
        world,
        &["promote", "--all", "--from", "testing", "--to", SUITE],
    )?;
    ensure!(
        world.bucket.keys("pool/")? == pool,
        "a package was sent again"
    );
    let apt = world.device("device")?;
    expect_update(&apt, "thing", &["1", "2", "3"])?;
    change(world, &["prune", "--keep", "1"])?;
    expect_update(&apt, "thing", &["3"])?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "3")?;
    change(world, &["suite", "set", SUITE, "--keep", "2"])?;
    for version in ["4", "5"] {
        world.signed(&[&world.small("thing", version)?])?;
    }
    expect_update(&apt, "thing", &["4", "5"])
}

fn dropped_architecture(world: &World<'_>) -> Result<()> {
    let s390x = Package::new("thing", "2").architecture("s390x");
    world.signed(&[&world.small("thing", "1")?, &world.package(&s390x)?])?;
    let (native, other) = (world.device("native")?, world.device("other")?);
    other.configure("APT::Architecture \"s390x\";\n#clear APT::Architectures;\nAPT::Architectures { \"s390x\"; };\n")?;
    expect_update(&native, "thing", &["1"])?;
    expect_update(&other, "thing", &["1", "2"])?;
    let drop = ["suite", "set", SUITE, "--architectures", "amd64,arm64"];
    let allow = ["--allow-release-info-change"];
    change(world, &[&drop[..], &allow].concat())?;
    expect_update(&native, "thing", &["1"])?;
    // Notices are for people.
    let update = other.apt_get(&["update", "-q=0"])?.success()?;
    update.expect_text("doesn't support architecture 's390x'")?;
    expect_offered(&other, "thing", &[])
}

fn promote_across(world: &World<'_>) -> Result<()> {
    let other = world
        .store
        .create_bucket(&format!("{}-other", world.bucket.name))?;
    let from = format!("s3://{}/beta", other.name);
    // Its digest is not known to the store as a whole.
    let large = Package::new("large", "1").payload_of(17 << 20);
    for file in [
        world.small("thing", "1")?,
        world.small("thing", "2")?,
        world.package(&large)?,
    ] {
        let mut publish = world.debucket();
        publish
            .arg("publish")
            .arg(&file)
            .args(["--repo", &from, "--unsigned"]);
        process::run(&mut publish)?.success()?;
    }
    let promote = [
        "promote",
        "--from-repo",
        &from,
        "--from",
        SUITE,
        "--to",
        SUITE,
        "--from-unsigned",
    ];
    change(world, &[&promote[..], &["thing=1"]].concat())?;
    let apt = world.device("device")?;
    expect_update(&apt, "thing", &["1"])?;
    apt.install(&["thing"])?;
    // What the store does not copy.
    let proxy = world.proxy()?;
    proxy.push(Rule::new(Fault::answer(403, "AccessDenied")).operation(Operation::UploadPartCopy));
    let mut all = world.debucket();
    world.store.reach_at(&proxy.endpoint(), &mut all);
    all.args(promote)
        .args(["--all", "--repo", &world.repo(), "--sign-key"]);
    process::run(all.arg(&world.keys.secret))?.success()?;
    expect_update(&apt, "thing", &["1", "2"])?;
    apt.install(&["thing", "large"])?;
    expect_installed(&apt, "thing", "2")?;
    expect_installed(&apt, "large", "1")?;
    // And the large one where the store may copy it.
    change(world, &["remove", "large"])?;
    for key in world.bucket.keys("pool/main/l/")? {
        world.bucket.delete(&key)?;
    }
    change(world, &[&promote[..], &["large"]].concat())?;
    world.json(&["verify", "--deep"])?;
    other.clear()
}

fn valid_until(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    change(world, &["suite", "set", SUITE, "--valid-for", "14d"])?;
    let apt = world.device("device")?;
    apt.update()?;
    // Over before apt asks.
    change(world, &["suite", "set", SUITE, "--valid-for", "1s"])?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    apt.apt_get(&["update"])?
        .failure()?
        .expect_text("is expired")?;
    change(world, &["suite", "set", SUITE, "--valid-for", "14d"])?;
    apt.update()?;
    let before = world.bucket.text(HEAD)?;
    change(world, &["refresh"])?;
    ensure!(
        world.bucket.text(HEAD)? == before,
        "a refresh with time left changed the head"
    );
    change(world, &["refresh", "--within", "15d"])?;
    ensure!(
        world.bucket.text(HEAD)? != before,
        "a refresh that was due changed nothing"
    );
    apt.update()?;
    Ok(())
}
