//! The method with the real apt, on a good day: what is fetched, what is not fetched again, and that it is the right bytes.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result, ensure};
use dev_s3::{Fault, Hook, Next, Rule};

use super::{
    Needs, Scenario,
    world::{World, expect_installed, expect_offered},
};
use crate::{apt_root::AptRoot, deb::Package, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "unchanged",
        about: "a second update fetches nothing and is told 304",
        needs: Needs::Nothing,
        run: unchanged,
    },
    Scenario {
        name: "same-second",
        about: "two heads within one second: a client of the first sees the second",
        needs: Needs::Nothing,
        run: same_second,
    },
    Scenario {
        name: "by-hash-race",
        about: "the head moves while a client is between it and the indexes",
        needs: Needs::OwnStore,
        run: by_hash_race,
    },
    Scenario {
        name: "large-file",
        about: "a package of 100 MB, byte for byte",
        needs: Needs::Nothing,
        run: large_file,
    },
    Scenario {
        name: "many-packages",
        about: "150 small packages in one go",
        needs: Needs::Nothing,
        run: many_packages,
    },
    Scenario {
        name: "healthy-beside-broken",
        about: "a broken s3 source leaves another source alone",
        needs: Needs::Nothing,
        run: healthy_beside_broken,
    },
];

/// Publishes one package of a few bytes and gives a device behind a proxy that has updated.
pub(super) fn behind_proxy(world: &World<'_>) -> Result<(dev_s3::FaultProxy, AptRoot)> {
    world.signed(&[&world.small("thing", "1")?])?;
    let proxy = world.proxy()?;
    let apt = world.device_at("device", &proxy.endpoint(), Some(&world.store.keys))?;
    apt.update()?;
    proxy.clear_request_log();
    Ok((proxy, apt))
}

fn unchanged(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    // A head is only believed to be the same when a second has passed since it was written.
    world.bucket.next_second();
    world.bucket.next_second();
    let apt = world.device("device")?;
    let first = apt.update()?;
    ensure!(
        !first.transcript.contains("IMS-Hit: true"),
        "{}",
        first.report()
    );
    let second = apt.update()?;
    ensure!(
        second.transcript.contains("IMS-Hit: true"),
        "{}",
        second.report()
    );
    ensure!(
        second.outcome.stdout.contains("Hit:1 ") && !second.outcome.stdout.contains("Get:"),
        "{}",
        second.report()
    );
    expect_offered(&apt, "thing", &["1"])
}

fn same_second(world: &World<'_>) -> Result<()> {
    let apt = world.device("device")?;
    let mut known: Vec<String> = Vec::new();
    for version in 1..=6 {
        let version = version.to_string();
        world.signed(&[&world.small("thing", &version)?])?;
        known.push(version);
        apt.update()?;
        expect_offered(
            &apt,
            "thing",
            &known.iter().map(String::as_str).collect::<Vec<_>>(),
        )?;
    }
    Ok(())
}

fn by_hash_race(world: &World<'_>) -> Result<()> {
    let (proxy, apt) = behind_proxy(world)?;
    apt.forget()?;
    // The client has the head; before it asks for an index, the next head is there, with its followers.
    let second = Mutex::new(Some(
        world.publish_signed(&[&world.small("thing", "2")?], &[]),
    ));
    let published = Arc::new(Mutex::new(None));
    let outcome = Arc::clone(&published);
    let publish: Hook = Arc::new(move |_| {
        let command = second.lock().ok().and_then(|mut command| command.take());
        let outcome = Arc::clone(&outcome);
        Box::pin(async move {
            // The store may run on the same threads: they must not wait for the publisher.
            let run = move || {
                command.map(|mut command| {
                    process::run(&mut command).and_then(process::Outcome::success)
                })
            };
            let ended = tokio::task::spawn_blocking(run).await;
            if let (Ok(ended), Ok(mut outcome)) = (ended, outcome.lock()) {
                *outcome = ended;
            }
            Next::Continue
        })
    });
    proxy.push(
        Rule::new(Fault::Before(publish))
            .key_contains("/by-hash/")
            .first(1),
    );
    apt.update()?;
    published
        .lock()
        .ok()
        .and_then(|mut outcome| outcome.take())
        .context("no index was asked for by hash")??;
    expect_offered(&apt, "thing", &["1"])?;
    apt.install(&["thing"])?;
    apt.update()?;
    expect_offered(&apt, "thing", &["1", "2"])
}

pub(super) fn expect_payload(
    apt: &AptRoot,
    package: &str,
    version: &str,
    size: usize,
) -> Result<()> {
    let found = fs::read(apt.path(&format!("usr/share/{package}/payload")))?;
    ensure!(
        found == crate::deb::noise(&format!("{package} {version}"), size),
        "{package} arrived with other bytes"
    );
    Ok(())
}

fn large_file(world: &World<'_>) -> Result<()> {
    let size = 100_000_000;
    world.signed(&[&world.package(&Package::new("large", "1").payload_of(size))?])?;
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&["large"])?;
    expect_payload(&apt, "large", "1", size)
}

fn many_packages(world: &World<'_>) -> Result<()> {
    let names: Vec<_> = (0..150).map(|number| format!("many-{number:03}")).collect();
    for name in &names {
        world.small(name, "1")?;
    }
    world.signed(&[&world.folder.join("packages")])?;
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    for name in &names {
        expect_installed(&apt, name, "1")?;
    }
    Ok(())
}

fn healthy_beside_broken(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let apt = world.device("device")?;
    let local = world.folder.join("local");
    fs::create_dir(&local)?;
    let package = Package::new("local", "1").build(&local)?;
    let index = format!(
        "{}Filename: ./{}\nSize: {}\nMD5sum: {}\n\n",
        process::run(
            std::process::Command::new("dpkg-deb")
                .arg("--field")
                .arg(&package)
        )?
        .success()?
        .stdout,
        file_name(&package),
        fs::metadata(&package)?.len(),
        process::run(std::process::Command::new("md5sum").arg(&package))?
            .success()?
            .stdout
            .split(' ')
            .next()
            .unwrap_or_default(),
    );
    fs::write(local.join("Packages"), index)?;
    apt.write("sources.list", format!("deb [trusted=yes] copy:{} ./\ndeb [trusted=yes] s3://debucket-no-such-bucket stable main\n", local.display()))?;
    apt.apt_get(&["update"])?.failure()?;
    expect_offered(&apt, "thing", &["1"])?;
    expect_offered(&apt, "local", &["1"])
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
