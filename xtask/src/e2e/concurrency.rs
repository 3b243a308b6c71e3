//! Many publishers at once into one suite, with a client that updates all the while.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::{
    Needs, Scenario,
    world::{HEAD, World, expect_installed},
};
use crate::{apt_root::AptRoot, process};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "sixteen-publishers",
    about: "16 processes of 4 packages each: all 64 in one chain, no mismatch at any time",
    needs: Needs::Nothing,
    run: sixteen_publishers,
}];

const PUBLISHERS: usize = 16;
const PACKAGES: usize = 4;

fn sixteen_publishers(world: &World<'_>) -> Result<()> {
    let mut folders = Vec::new();
    let mut names = BTreeSet::new();
    for publisher in 0..PUBLISHERS {
        let folder = world.folder.join(format!("job-{publisher}"));
        std::fs::create_dir(&folder)?;
        for package in 0..PACKAGES {
            let name = format!("job{publisher:02}-part{package}");
            crate::deb::Package::new(&name, "1")
                .payload_of(20_000)
                .build(&folder)?;
            names.insert(name);
        }
        folders.push(folder);
    }
    let apt = world.device("watcher")?;
    let done = AtomicBool::new(false);
    let updates = std::thread::scope(|scope| -> Result<usize> {
        let watcher = scope.spawn(|| watch(world, &apt, &done));
        let outcome = publish_all(world, &folders);
        done.store(true, Ordering::SeqCst);
        let updates = watcher
            .join()
            .map_err(|_| anyhow!("the watcher panicked"))?;
        outcome?;
        updates
    })?;
    println!("    {updates} updates ran beside the publishers");

    let listed: BTreeSet<_> = world
        .listed()?
        .into_iter()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    ensure!(
        listed == names,
        "missing: {:?}",
        names.difference(&listed).collect::<Vec<_>>()
    );
    expect_one_chain(world)?;
    apt.update()?;
    apt.install(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    for name in &names {
        expect_installed(&apt, name, "1")?;
    }
    Ok(())
}

fn publish_all(world: &World<'_>, folders: &[std::path::PathBuf]) -> Result<()> {
    let running = folders
        .iter()
        .map(|folder| process::start(&mut world.publish_signed(&[folder], &[])))
        .collect::<Result<Vec<_>>>()?;
    for publisher in running {
        publisher.finish(Duration::from_secs(600))?.success()?;
    }
    Ok(())
}

/// Updates until the publishers are done; returns how often.
fn watch(world: &World<'_>, apt: &AptRoot, done: &AtomicBool) -> Result<usize> {
    let mut updates = 0;
    while !done.load(Ordering::SeqCst) {
        if world.bucket.get(HEAD)?.is_none() {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        apt.update()
            .with_context(|| format!("update {updates} beside the publishers"))?;
        updates += 1;
    }
    ensure!(updates > 0, "no update ran beside the publishers");
    Ok(updates)
}

/// The history is one chain of as many commits as publishers, each of which brought its packages; and it is the one that the bucket has.
fn expect_one_chain(world: &World<'_>) -> Result<()> {
    let log = world.json(&["log"])?;
    let commits = log.as_array().context("the log is no list")?;
    ensure!(
        commits.len() == PUBLISHERS,
        "{} commits instead of {PUBLISHERS}",
        commits.len()
    );
    for pair in commits.windows(2) {
        ensure!(
            pair[0]["parent"] == pair[1]["id"],
            "the chain breaks between {} and {}",
            pair[0]["id"],
            pair[1]["id"]
        );
        ensure!(
            pair[0]["time"].as_str() >= pair[1]["time"].as_str(),
            "the time falls: {}",
            pair[0]
        );
    }
    ensure!(
        commits
            .last()
            .is_some_and(|first| first["parent"].is_null()),
        "the first commit has a parent"
    );
    let brought: usize = commits
        .iter()
        .map(|commit| commit["changes"].as_array().map_or(0, Vec::len))
        .sum();
    ensure!(
        brought == PUBLISHERS * PACKAGES,
        "the commits brought {brought} packages"
    );
    let head = world.bucket.text(HEAD)?;
    let named = head
        .lines()
        .find_map(|line| line.strip_prefix("X-Debucket-Commit: "))
        .unwrap_or_default();
    ensure!(
        commits[0]["id"] == named,
        "the head names {named}, the log begins with {}",
        commits[0]["id"]
    );
    let stored = world.bucket.keys("dists/stable/commits/")?;
    for commit in commits {
        let key = format!(
            "dists/stable/commits/{}.json",
            commit["id"].as_str().unwrap_or_default()
        );
        ensure!(stored.contains(&key), "{key} is not in the bucket");
    }
    Ok(())
}
