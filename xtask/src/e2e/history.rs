//! Publishing again: nothing to do, dry run, conflict, replacement, clash; what list, show and log say; exit codes.

use anyhow::{Context as _, Result, ensure};

use super::{
    Needs, Scenario,
    world::{SUITE, World, expect_installed, expect_offered},
};
use crate::{deb::Package, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "publish-twice",
        about: "the same file again changes nothing and says so",
        needs: Needs::Nothing,
        run: publish_twice,
    },
    Scenario {
        name: "dry-run",
        about: "--dry-run shows the plan and sends nothing",
        needs: Needs::Nothing,
        run: dry_run,
    },
    Scenario {
        name: "conflict",
        about: "other bytes for a version: exit 3, and nothing changes",
        needs: Needs::Nothing,
        run: conflict,
    },
    Scenario {
        name: "replace",
        about: "--replace puts other bytes beside the old ones",
        needs: Needs::Nothing,
        run: replace,
    },
    Scenario {
        name: "clash",
        about: "PATHs that clash are refused before anything is sent",
        needs: Needs::Nothing,
        run: clash,
    },
    Scenario {
        name: "usage",
        about: "a call that makes no sense: exit 2",
        needs: Needs::Nothing,
        run: usage,
    },
    Scenario {
        name: "not-found",
        about: "a file, suite or package that is not there: exit 4",
        needs: Needs::Nothing,
        run: not_found,
    },
    Scenario {
        name: "log-list-show",
        about: "history and content, for people and as JSON",
        needs: Needs::Nothing,
        run: log_list_show,
    },
    Scenario {
        name: "folders-and-globs",
        about: "PATH may be a folder or a glob",
        needs: Needs::Nothing,
        run: folders_and_globs,
    },
    Scenario {
        name: "client-config",
        about: "what client-config prints makes a device work",
        needs: Needs::Nothing,
        run: client_config,
    },
];

fn publish_twice(world: &World<'_>) -> Result<()> {
    let file = world.small("thing", "1")?;
    world.signed(&[&file])?;
    let before = world.bucket.content()?;
    let again = world.signed(&[&file])?;
    ensure!(
        !again.text().trim().is_empty(),
        "a no-op must say that it is one\n{}",
        again.report()
    );
    world.bucket.expect_unchanged(&before)?;
    let document =
        process::run(&mut world.publish_signed(&[&file], &["--output", "json", "--quiet"]))?
            .success()?;
    let document: serde_json::Value = serde_json::from_str(&document.stdout)?;
    ensure!(
        document["changed"] == false,
        "JSON says otherwise: {document}"
    );
    world.bucket.expect_unchanged(&before)
}

fn dry_run(world: &World<'_>) -> Result<()> {
    let file = world.small("thing", "1")?;
    process::run(&mut world.publish_signed(&[&file], &["--dry-run"]))?
        .success()?
        .expect_text("thing")?;
    world.bucket.expect_unchanged(&Default::default())?;
    world.signed(&[&file])?;
    let before = world.bucket.content()?;
    let next = world.small("thing", "2")?;
    process::run(&mut world.publish_signed(&[&next], &["--dry-run"]))?
        .success()?
        .expect_text("2")?;
    world.bucket.expect_unchanged(&before)
}

fn conflict(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let before = world.bucket.content()?;
    let other = world.package(&Package::new("thing", "1").payload("another build"))?;
    let beside = world.small("beside", "1")?;
    process::run(&mut world.publish_signed(&[&beside, &other], &[]))?
        .expect_code(3)?
        .expect_text("thing")?;
    world.bucket.expect_unchanged(&before)
}

fn replace(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let apt = world.device("device")?;
    apt.update()?;
    let before = world.bucket.content()?;
    let other = world.package(&Package::new("thing", "1").payload("another build\n"))?;
    process::run(&mut world.publish_signed(&[&other], &["--replace"]))?.success()?;
    let after = world.bucket.content()?;
    for (key, bytes) in before.iter().filter(|(key, _)| key.starts_with("pool/")) {
        ensure!(after.get(key) == Some(bytes), "{key} was overwritten");
    }
    // The device still has the old index: it gets what that index says.
    apt.install(&["thing"])?;
    ensure!(
        std::fs::read_to_string(apt.path("usr/share/thing/payload"))? == "thing 1\n",
        "the old index led to other bytes"
    );

    let fresh = world.device("fresh")?;
    fresh.update()?;
    expect_offered(&fresh, "thing", &["1"])?;
    fresh.install(&["thing"])?;
    ensure!(
        std::fs::read_to_string(fresh.path("usr/share/thing/payload"))? == "another build\n",
        "the new index led to the old bytes"
    );
    Ok(())
}

fn clash(world: &World<'_>) -> Result<()> {
    let one = world.small("thing", "1")?;
    let folder = world.folder.join("other");
    std::fs::create_dir(&folder)?;
    let two = Package::new("thing", "1")
        .payload("another build")
        .build(&folder)?;
    let outcome = process::run(&mut world.publish_signed(&[&one, &two], &[]))?;
    ensure!(
        [2, 3].contains(&outcome.code()),
        "a clash is a usage error or a conflict\n{}",
        outcome.report()
    );
    outcome.expect_text("thing")?;
    world.bucket.expect_unchanged(&Default::default())?;
    // The same bytes twice are no clash.
    let same = Package::new("thing", "1").build(&folder)?;
    world.signed(&[&one, &same])?;
    ensure!(world.listed()? == ["thing 1 all"], "{:?}", world.listed()?);
    Ok(())
}

fn usage(world: &World<'_>) -> Result<()> {
    let file = world.small("thing", "1")?;
    let file = file.to_string_lossy();
    for arguments in [
        vec!["publish"],
        vec!["publish", &file],
        vec!["publish", &file, "--repo", "https://bucket"],
        vec![
            "publish",
            &file,
            "--repo",
            "s3://bucket",
            "--no-such-option",
        ],
        vec![
            "publish",
            &file,
            "--repo",
            "s3://bucket",
            "--suite",
            "../x",
            "--unsigned",
        ],
        vec!["no-such-command"],
        vec!["list", "--repo", "s3://bucket", "--output", "xml"],
    ] {
        process::run(world.debucket().args(arguments))?.expect_code(2)?;
    }
    world.bucket.expect_unchanged(&Default::default())
}

fn not_found(world: &World<'_>) -> Result<()> {
    let missing = world.folder.join("missing.deb");
    process::run(&mut world.publish_signed(&[&missing], &[]))?
        .expect_code(4)?
        .expect_text("missing.deb")?;
    let repo = world.repo();
    for command in [vec!["list"], vec!["log"], vec!["show", "thing"]] {
        process::run(
            world
                .debucket()
                .args(&command)
                .args(["--repo", &repo, "--suite", "nowhere"]),
        )?
        .expect_code(4)?
        .expect_text("nowhere")?;
    }
    world.signed(&[&world.small("thing", "1")?])?;
    process::run(world.debucket().args(["show", "other", "--repo", &repo]))?
        .expect_code(4)?
        .expect_text("other")?;
    Ok(())
}

fn log_list_show(world: &World<'_>) -> Result<()> {
    process::run(
        &mut world.publish_signed(&[&world.small("one", "1")?], &["--message", "The first"]),
    )?
    .success()?;
    process::run(
        &mut world.publish_signed(&[&world.small("two", "2")?], &["--message", "The second"]),
    )?
    .success()?;
    ensure!(
        world.listed()? == ["one 1 all", "two 2 all"],
        "{:?}",
        world.listed()?
    );

    let log = world.json(&["log"])?;
    let commits = log.as_array().context("the log is no list")?;
    ensure!(commits.len() == 2, "{} commits", commits.len());
    ensure!(
        commits[0]["message"] == "The second" && commits[1]["message"] == "The first",
        "{log}"
    );
    ensure!(
        commits[0]["parent"] == commits[1]["id"] && commits[1]["parent"].is_null(),
        "{log}"
    );
    ensure!(commits[0]["author"] == "e2e", "{log}");
    process::run(
        world
            .debucket()
            .args(["log", "--repo", &world.repo(), "--suite", SUITE]),
    )?
    .success()?
    .expect_text("The first")?
    .expect_text("The second")?;
    process::run(
        world
            .debucket()
            .args(["show", "two", "--repo", &world.repo()]),
    )?
    .success()?
    .expect_text("Version: 2")?;
    Ok(())
}

fn folders_and_globs(world: &World<'_>) -> Result<()> {
    for name in ["a-one", "a-two", "b-one"] {
        world.small(name, "1")?;
    }
    let packages = world.folder.join("packages");
    std::fs::write(packages.join("README"), "no package")?;
    process::run(&mut world.publish_signed(&[&packages.join("a-*.deb")], &[]))?.success()?;
    ensure!(
        world.listed()? == ["a-one 1 all", "a-two 1 all"],
        "{:?}",
        world.listed()?
    );
    process::run(&mut world.publish_signed(&[&packages], &[]))?.success()?;
    ensure!(world.listed()?.len() == 3, "{:?}", world.listed()?);
    process::run(&mut world.publish_signed(&[&packages.join("c-*.deb")], &[]))?.expect_code(4)?;
    Ok(())
}

fn client_config(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let repo = world.repo();
    let ask = |extra: &[&str]| {
        process::run(
            world
                .debucket()
                .args(["client-config", "--repo", &repo, "--key"])
                .arg(&world.keys.public)
                .args(extra),
        )?
        .success()
    };
    let apt = world.device("device")?;
    apt.write("sources.list.d/e2e.sources", ask(&["--sources"])?.stdout)?;
    apt.write("apt.conf.d/90store.conf", ask(&["--apt-conf"])?.stdout)?;
    // Only the keys are left to s3auth.conf: endpoint and region come from what was printed.
    let keys = &world.store.keys;
    apt.write(
        "s3auth.conf",
        format!(
            "AccessKeyId = '{}'\nSecretAccessKey = '{}'\n",
            keys.id, keys.secret
        ),
    )?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")?;
    for role in ["reader", "publisher"] {
        let policy: serde_json::Value = serde_json::from_str(&ask(&["--policy", role])?.stdout)?;
        ensure!(policy["Statement"].is_array(), "{policy}");
    }
    Ok(())
}
