//! The publisher dies, or does not hear from the store, at each of its writes in turn.
//!
//! A proxy in front of the store counts the writes. In round *k* the publisher is killed (SIGKILL) before the store learns of
//! write *k*, or after it has done it, or the reply of write *k* is lost. Whatever *k* is: clients see a whole suite, and the next publish succeeds.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use dev_s3::{Fault, FaultProxy, Next, RequestInfo, Rule};

use super::{
    Needs, Scenario,
    world::{World, expect_installed},
};
use crate::{apt_root::AptRoot, interrupt, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "killed-before-each-write",
        about: "SIGKILL before write k, for every k: clients and the next publish are fine",
        needs: Needs::OwnStore,
        run: killed_before,
    },
    Scenario {
        name: "killed-after-each-write",
        about: "SIGKILL after write k, for every k: clients and the next publish are fine",
        needs: Needs::OwnStore,
        run: killed_after,
    },
    Scenario {
        name: "lost-replies",
        about: "the reply to write k is lost, for every k: published once",
        needs: Needs::OwnStore,
        run: lost_replies,
    },
    Scenario {
        name: "all-replies-lost-once",
        about: "the first reply to every write is lost",
        needs: Needs::OwnStore,
        run: every_first_reply_lost,
    },
];

/// More writes than a publish of one package has.
const MOST_WRITES: u64 = 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

fn killed_before(world: &World<'_>) -> Result<()> {
    killed(world, When::Before)
}

fn killed_after(world: &World<'_>) -> Result<()> {
    killed(world, When::After)
}

fn killed(world: &World<'_>, when: When) -> Result<()> {
    // First with an empty bucket: the probe and the first head are among the writes. Then on top of what is there.
    let first = rounds(world, when, "fresh", true)?;
    let later = rounds(world, when, "later", false)?;
    println!("    killed at {first} writes of a first publish and at {later} of a later one");
    ensure!(
        first >= 5 && later >= 4,
        "so few writes cannot be a publish"
    );
    Ok(())
}

/// Kills publishers until one gets through; returns how many were killed.
fn rounds(world: &World<'_>, when: When, name: &str, fresh: bool) -> Result<u64> {
    if !fresh {
        world.signed(&[&world.small(&format!("{name}-base"), "1")?])?;
    }
    let apt = world.device(name)?;
    for k in 1..=MOST_WRITES {
        if fresh {
            world.bucket.clear()?;
            apt.forget()?;
        }
        let package = format!("{name}-{k}");
        let finished = publish_and_kill(world, when, k, &package)?;
        after_the_kill(world, &apt, &package, fresh, finished)
            .with_context(|| format!("{name}: killed at write {k}"))?;
        if finished {
            return Ok(k - 1);
        }
    }
    bail!("the publisher was still killed at its write {MOST_WRITES}")
}

/// Publishes `package` and kills the publisher at its write `k`; returns whether it had fewer and got through.
fn publish_and_kill(world: &World<'_>, when: When, k: u64, package: &str) -> Result<bool> {
    let file = world.small(package, "1")?;
    let proxy = world.proxy()?;
    let process = Arc::new(AtomicU32::new(0));
    let killed = Arc::new(AtomicBool::new(false));
    let hook = {
        let (process, killed) = (Arc::clone(&process), Arc::clone(&killed));
        move |_: &RequestInfo| {
            // The process may have sent its first request before its id was noted here.
            while process.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            killed.store(true, Ordering::SeqCst);
            interrupt::kill(process.load(Ordering::SeqCst));
            Next::Close
        }
    };
    let fault = if when == When::Before {
        Fault::before(hook)
    } else {
        Fault::after(hook)
    };
    proxy.push(Rule::new(fault).writes().nth(k));
    let mut command = world.publish_signed(&[&file], &[]);
    command.env("AWS_ENDPOINT_URL", proxy.endpoint());
    let running = process::start(&mut command)?;
    process.store(running.id(), Ordering::SeqCst);
    let outcome = running.finish(process::TIME_LIMIT)?;
    settle(&proxy);
    if killed.load(Ordering::SeqCst) {
        ensure!(
            outcome.code() == 128 + 9,
            "it outlived its kill\n{}",
            outcome.report()
        );
        return Ok(false);
    }
    outcome.success()?;
    Ok(true)
}

/// What the killed publisher had in flight besides may still be on its way to the store.
fn settle(proxy: &FaultProxy) {
    let mut ended = proxy.request_log().len();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = proxy.request_log().len();
        if now == ended {
            return;
        }
        ended = now;
    }
}

/// Clients see the old suite or the new one, and publishing goes on.
fn after_the_kill(
    world: &World<'_>,
    apt: &AptRoot,
    package: &str,
    fresh: bool,
    finished: bool,
) -> Result<()> {
    let is_there = world.bucket.get("dists/stable/InRelease")?.is_some();
    ensure!(fresh || is_there, "the head is gone");
    if is_there {
        apt.update()?;
        let offered = process::run(apt.command("apt-cache").args(["show", package]))?.code() == 0;
        ensure!(
            offered || !finished,
            "{package} was published and is not offered"
        );
        if offered {
            // What the index has can be had.
            apt.apt_get(&["install", "--yes", "--download-only", package])?
                .success()?;
        }
    }
    // The same command again, as a CI job that is retried.
    let again = world.package(&crate::deb::Package::new(package, "1"))?;
    world.signed(&[&again])?;
    apt.update()?;
    apt.install(&[package])?;
    expect_installed(apt, package, "1")?;
    expect_followers(world)
}

/// Clients without by-hash and without `InRelease` see the same state.
fn expect_followers(world: &World<'_>) -> Result<()> {
    let (head, release) = (
        world.bucket.text("dists/stable/InRelease")?,
        world.bucket.text("dists/stable/Release")?,
    );
    ensure!(
        head.contains(release.trim_end()),
        "Release is not that of InRelease"
    );
    for key in world
        .bucket
        .keys("dists/stable/main/")?
        .iter()
        .filter(|key| key.contains("/Packages"))
    {
        let path = key.trim_start_matches("dists/stable/");
        let size = world.bucket.get(key)?.unwrap_or_default().len();
        let listed = release.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some(size.to_string().as_str()) && words.next() == Some(path)
        });
        ensure!(
            listed,
            "{path} of {size} bytes is not the one of the Release"
        );
    }
    Ok(())
}

fn lost_replies(world: &World<'_>) -> Result<()> {
    let apt = world.device("device")?;
    for k in 1..=MOST_WRITES {
        let proxy = world.proxy()?;
        proxy.push(Rule::new(Fault::LoseReply).writes().nth(k));
        let package = format!("lost-{k}");
        let file = world.small(&package, "1")?;
        let mut command = world.publish_signed(&[&file], &[]);
        command.env("AWS_ENDPOINT_URL", proxy.endpoint());
        process::run(&mut command)?
            .success()
            .with_context(|| format!("the reply to write {k} was lost"))?;
        apt.update()?;
        apt.install(&[&package])
            .with_context(|| format!("the reply to write {k} was lost"))?;
        expect_followers(world).with_context(|| format!("the reply to write {k} was lost"))?;
        let commits = world.json(&["log"])?.as_array().map_or(0, Vec::len) as u64;
        ensure!(commits == k, "{commits} commits after {k} publications");
        // Fewer writes than that: no reply was lost any more.
        if proxy.writes() < k {
            println!("    {} replies were lost in turn", k - 1);
            return Ok(());
        }
    }
    bail!("a publish never ended")
}

fn every_first_reply_lost(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("base", "1")?])?;
    let proxy = world.proxy()?;
    // The first reply to each write of each key; its repetition gets through.
    let lost = Mutex::new(BTreeSet::new());
    let lose = move |request: &RequestInfo| {
        let is_first = lost
            .lock()
            .is_ok_and(|mut lost| lost.insert((request.operation, request.key.clone())));
        if is_first {
            Next::Close
        } else {
            Next::Continue
        }
    };
    proxy.push(Rule::new(Fault::after(lose)).writes());
    let mut command = world.publish_signed(&[&world.small("thing", "1")?], &[]);
    command.env("AWS_ENDPOINT_URL", proxy.endpoint());
    process::run(&mut command)?.success()?;
    let commits = world.json(&["log"])?.as_array().map_or(0, Vec::len);
    ensure!(commits == 2, "{commits} commits after 2 publications");
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_followers(world)
}
