//! A repository that another program made is taken over in place, and its devices go on without a complaint.

use anyhow::{Result, ensure};

use super::{
    Needs, Scenario,
    old_tools::{Aptly, DebS3, OldTool, Reprepro, Scanner},
    upkeep::{collect, objects, pass_time},
    world::{HEAD, SUITE, World, change, expect_installed, expect_offered},
};
use crate::{
    apt_root::{AptRoot, native_architecture},
    binaries::workspace,
    deb::Package,
    process,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "adopt-deb-s3",
        about: "a repository of deb-s3's layout is taken over, published into, promoted, pruned, collected",
        needs: Needs::Program("gpg"),
        run: |world| takes_over(world, &mut DebS3::new(world)?),
    },
    Scenario {
        name: "adopt-aptly",
        about: "the same for one that aptly published into the bucket",
        needs: Needs::Program("aptly"),
        run: |world| takes_over(world, &mut Aptly::new(world)?),
    },
    Scenario {
        name: "adopt-reprepro",
        about: "the same for one of reprepro's that was synchronised",
        needs: Needs::Program("reprepro"),
        run: |world| takes_over(world, &mut Reprepro::new(world, "main")?),
    },
    Scenario {
        name: "adopt-scanned",
        about: "the same for one that dpkg-scanpackages made, of files with % in their names",
        needs: Needs::Program("dpkg-scanpackages"),
        run: |world| takes_over(world, &mut Scanner::new(world)?),
    },
    Scenario {
        name: "adopt-component-in-a-folder",
        about: "reprepro's component updates/main is taken over, published into, and configured",
        needs: Needs::Program("reprepro"),
        run: takes_over_a_component_in_a_folder,
    },
    Scenario {
        name: "adopt-with-a-new-key",
        about: "devices that have both keys follow from the old one to the new one",
        needs: Needs::Program("gpg"),
        run: takes_over_with_a_new_key,
    },
    Scenario {
        name: "migrate-from-deb-s3",
        about: "the commands of docs/migrating-from-deb-s3.md do what it says",
        needs: Needs::Program("gpg"),
        run: follows_the_guide,
    },
];

const GUIDE: &str = "docs/migrating-from-deb-s3.md";
const SHARED: &str = "shared";

fn takes_over(world: &World<'_>, old: &mut dyn OldTool) -> Result<()> {
    let own = |name: &str, version: &str| {
        let architecture = native_architecture()?;
        world.package(&Package::new(name, version).architecture(&architecture))
    };
    old.publish(&[
        world.small(SHARED, "1.0")?,
        own("own", "1.0")?,
        own("odd", "1.0+git1~2")?,
    ])?;
    let (fast, plain) = (world.device("by-hash")?, world.device("by-name")?);
    plain.configure("Acquire::By-Hash \"no\";\n")?;
    let devices = [&fast, &plain];
    let each =
        |check: &dyn Fn(&AptRoot) -> Result<()>| devices.iter().try_for_each(|apt| check(apt));
    each(&|apt| {
        apt.update()?;
        apt.install(&[SHARED])?;
        expect_installed(apt, SHARED, "1.0")
    })?;
    // A run of the old tool after the devices have been here.
    old.publish(&[own("own", "1.1")?])?;

    let pool = world.bucket.keys("pool/")?;
    change(world, &["adopt", SUITE, "--dry-run"])?.expect_text("nothing was written")?;
    change(world, &["adopt", SUITE])?.expect_text("took over suite stable")?;
    change(world, &["adopt", SUITE])?.expect_text("nothing to do")?;
    ensure!(world.bucket.keys("pool/")? == pool, "the pool has changed");
    each(&|apt| {
        apt.update()?;
        apt.install(&["own", "odd"])?;
        expect_installed(apt, "own", "1.1")?;
        expect_installed(apt, "odd", "1.0+git1~2")
    })?;

    world.signed(&[&world.small(SHARED, "2.0")?, &own("own", "2.0")?])?;
    each(&|apt| {
        apt.update()?;
        apt.install(&[SHARED, "own"])?;
        expect_installed(apt, SHARED, "2.0")?;
        expect_installed(apt, "own", "2.0")
    })?;
    change(
        world,
        &["promote", "--all", "--from", SUITE, "--to", "testing"],
    )?;
    change(world, &["prune", "--keep", "1"])?;
    let fresh = world.device("fresh")?;
    for apt in [&fast, &plain, &fresh] {
        apt.update()?;
        expect_offered(apt, "own", &["2.0"])?;
        apt.install(&[SHARED, "odd"])?;
        expect_installed(apt, SHARED, "2.0")?;
    }
    change(world, &["rollback", "--to", "@~1"])?;
    let listed = world.listed()?;
    ensure!(
        listed.iter().any(|line| line.starts_with("own 1.")),
        "{listed:?}"
    );
    each(&|apt| apt.update().map(drop))?;

    // With the versions that the suite has again, and without what only the pruned state had.
    change(world, &["rollback", "--to", "@~1"])?;
    pass_time();
    ensure!(objects(&collect(world)?, "condemned") > 0);
    pass_time();
    ensure!(objects(&collect(world)?, "deleted") > 0);
    let late = world.device("after-gc")?;
    for apt in [&fast, &plain, &late] {
        apt.update()?;
        apt.install(&[SHARED, "own", "odd"])?;
        expect_installed(apt, "own", "2.0")?;
    }
    change(world, &["verify", "--deep"]).map(drop)
}

fn takes_over_a_component_in_a_folder(world: &World<'_>) -> Result<()> {
    const COMPONENT: &str = "updates/main";
    Reprepro::new(world, COMPONENT)?.publish(&[world.small(SHARED, "1.0")?])?;
    let apt = world.device("device")?;
    let sources = apt.path("etc/apt/sources.list.d/e2e.sources");
    let main = std::fs::read_to_string(&sources)?;
    let nested = main.replace("Components: main", &format!("Components: {COMPONENT}"));
    std::fs::write(&sources, nested)?;
    apt.update()?;
    expect_offered(&apt, SHARED, &["1.0"])?;
    change(world, &["adopt", SUITE])?.expect_text("took over suite stable")?;
    apt.update()?;
    let new = world.small(SHARED, "2.0")?;
    let publish = &mut world.publish_signed(&[&new], &["--component", COMPONENT]);
    process::run(publish)?.success()?;
    apt.update()?;
    expect_offered(&apt, SHARED, &["1.0", "2.0"])?;
    change(world, &["remove", "shared=1.0", "--component", COMPONENT])?;
    // A device that is set up as the program says.
    let fresh = world.device("fresh")?;
    let mut config = world.debucket();
    config.args(["client-config", "--sources", "--repo", &world.repo()]);
    let config = process::run(config.arg("--key").arg(&world.keys.public))?.success()?;
    fresh.write("sources.list.d/e2e.sources", config.stdout)?;
    for apt in [&apt, &fresh] {
        apt.update()?;
        expect_offered(apt, SHARED, &["2.0"])?;
        apt.install(&[SHARED])?;
        expect_installed(apt, SHARED, "2.0")?;
    }
    change(world, &["rollback", "--to", "@~1"])?;
    apt.update()?;
    expect_offered(&apt, SHARED, &["1.0", "2.0"])?;
    pass_time();
    collect(world)?;
    pass_time();
    collect(world)?;
    change(world, &["verify", "--deep"]).map(drop)
}

fn takes_over_with_a_new_key(world: &World<'_>) -> Result<()> {
    let mut old = DebS3::new(world)?;
    old.publish(&[world.small(SHARED, "1.0")?])?;
    let apt = world.device("device")?;
    apt.update()?;
    let before = world.bucket.content()?;
    let adopt = |more: &[&str]| {
        let mut command = world.debucket();
        command.args(["adopt", SUITE, "--repo", &world.repo(), "--sign-key"]);
        command
            .arg(&world.keys.stranger)
            .arg("--keyring")
            .arg(&world.keys.public);
        process::run(command.args(more))
    };
    adopt(&[])?
        .expect_code(1)?
        .expect_text("--adopt-signing-key")?;
    world.bucket.expect_unchanged(&before)?;
    // The new key reaches the device before it signs.
    let mut both = std::fs::read(&world.keys.public)?;
    let new = world.keys.stranger.with_file_name("stranger.pub.asc");
    both.extend(std::fs::read(new)?);
    std::fs::write(apt.path("etc/apt/keyrings/e2e.asc"), both)?;
    apt.update()?;
    adopt(&["--adopt-signing-key"])?
        .success()?
        .expect_text("signed by the new key")?;
    ensure!(
        world.bucket.get(HEAD)? != before.get(HEAD).cloned(),
        "the head is the old one"
    );
    apt.update()?;
    apt.install(&[SHARED])?;
    expect_installed(&apt, SHARED, "1.0")
}

fn follows_the_guide(world: &World<'_>) -> Result<()> {
    let mut old = DebS3::new(world)?;
    old.publish(&[world.small(SHARED, "1.0")?])?;
    let apt = world.device("device")?;
    apt.update()?;
    let build = world.folder.join("build");
    std::fs::create_dir(&build)?;
    Package::new(SHARED, "2.0").build(&build)?;
    let guide = std::fs::read_to_string(workspace().join(GUIDE))?;
    let blocks = guide.split("```sh\n").skip(1);
    let commands: String = blocks.flat_map(|block| block.split("```").next()).collect();
    // Theirs are the names of the guide, ours those of this run.
    let mut typed = String::from("set -eu\n");
    for line in commands.lines() {
        ensure!(!line.contains("--repo"), "{GUIDE}: {line}");
        let line = line.replace("s3://acme-apt", &world.repo());
        typed.push_str(&line.replace("apt@acme.example", "e2e@example.org"));
        typed.push('\n');
    }
    ensure!(typed.matches("debucket ").count() == 4, "{typed}");
    let mut shell = world.debucket_in_shell(&typed)?;
    old.gnupg().reach(&mut shell);
    process::run(&mut shell)?
        .success()?
        .expect_text("took over suite stable")?;
    apt.update()?;
    expect_offered(&apt, SHARED, &["1.0", "2.0"])?;
    apt.install(&[SHARED])?;
    expect_installed(&apt, SHARED, "2.0")?;
    let log = world.json(&["log"])?;
    let messages = log.as_array().into_iter().flatten();
    let mut messages = messages.filter_map(|commit| commit["message"].as_str());
    ensure!(
        messages.any(|message| message == "Moved from deb-s3"),
        "{log}"
    );
    Ok(())
}
