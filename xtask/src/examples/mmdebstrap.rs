//! `examples/mmdebstrap`: a root file system in which Debian comes from its mirror and helloworld from the bucket.

use std::fs;

use anyhow::{Result, ensure};

use super::{Needs, Scenario, example, packages};
use crate::{
    apt_root::AptRoot,
    demo_deb,
    e2e::world::World,
    image::{Base, in_memory},
    process,
    root_fs::RootFs,
};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "mmdebstrap",
    about: "a root file system straight from an s3:// source: helloworld runs, the method is in it, no secret is",
    needs: Needs::Root,
    run: mmdebstrap,
}];

const LIMIT: std::time::Duration = std::time::Duration::from_secs(900);

fn mmdebstrap(world: &World<'_>) -> Result<()> {
    let hello = demo_deb::build("0.1", &world.folder)?;
    let method = packages::method(world)?;
    world.signed(&[&hello, &method])?;
    let sources = world.folder.join("acme.sources");
    let mut config = world.debucket();
    config
        .args([
            "client-config",
            "--sources",
            "--quiet",
            "--repo",
            &world.repo(),
            "--key",
        ])
        .arg(&world.keys.public);
    fs::write(&sources, process::run(&mut config)?.success()?.stdout)?;

    // This machine's apt has no method for S3, so it is shown a folder that has one.
    let methods =
        AptRoot::create(&world.folder, "apt", &world.binaries.method)?.path("usr/lib/apt/methods");
    let base = Base::of_this_machine()?;
    let tarball = world.folder.join("root.tar");
    let mut command = in_memory(&world.folder, &example("mmdebstrap").join("build.sh"))?;
    world
        .store
        .reach(&mut command)
        .env("SUITE", &base.suite)
        .env("MIRROR", &base.mirror)
        .env("METHODS", &methods)
        .arg(&tarball)
        .arg(&sources)
        .arg("helloworld");
    process::run_within(&mut command, LIMIT)?.success()?;

    let root = RootFs::unpack(&tarball, world.folder.join("root"))?;
    root.expect_greeting("0.1")?;
    ensure!(
        root.path("usr/lib/apt/methods/s3").is_file(),
        "the method is not in the new root"
    );
    ensure!(
        !root.path("etc/apt/apt.conf.d/99mmdebstrap").exists(),
        "options of the build stayed"
    );
    root.expect_nowhere(&world.store.keys.secret)?;
    // What a machine with this root does for its updates.
    root.write(
        "etc/apt/s3auth.conf",
        &world
            .store
            .s3auth(&world.store.endpoint, Some(&world.store.keys)),
    )?;
    let update =
        process::run(root.command("apt-get").args(["update", "--error-on=any"]))?.success()?;
    ensure!(
        update.text().contains("s3://"),
        "the source is not in the new root\n{}",
        update.report()
    );
    Ok(())
}
