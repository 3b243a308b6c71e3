//! Transfers that go wrong, with the real apt: cut, missing, forbidden, damaged, or not answered at all. One failing item never harms another.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use dev_s3::{Fault, Next, Operation, Rule};
use hyper::StatusCode;

use super::{
    Needs, Scenario,
    acquire::{behind_proxy, expect_payload},
    world::{HEAD, World, expect_installed, expect_offered},
};
use crate::{apt_root::AptRoot, deb::Package, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "resume",
        about: "a partial package is continued, not fetched again",
        needs: Needs::OwnStore,
        run: resume,
    },
    Scenario {
        name: "body-cut-short",
        about: "a body that ends early is continued",
        needs: Needs::OwnStore,
        run: body_cut_short,
    },
    Scenario {
        name: "missing-among-others",
        about: "one package is missing; the others are fetched",
        needs: Needs::Nothing,
        run: missing_among_others,
    },
    Scenario {
        name: "forbidden-package",
        about: "403 for one package is told, and harms no other",
        needs: Needs::OwnStore,
        run: forbidden_package,
    },
    Scenario {
        name: "server-down",
        about: "a store that is down fails in bounded time and keeps the old lists",
        needs: Needs::OwnStore,
        run: server_down,
    },
    Scenario {
        name: "slow-down",
        about: "503 SlowDown is retried",
        needs: Needs::OwnStore,
        run: slow_down,
    },
    Scenario {
        name: "silent-store",
        about: "a store that never answers is given up",
        needs: Needs::OwnStore,
        run: silent_store,
    },
    Scenario {
        name: "hash-mismatch",
        about: "damaged packages and indexes are refused",
        needs: Needs::Nothing,
        run: hash_mismatch,
    },
    Scenario {
        name: "bucket-missing",
        about: "a bucket that does not exist fails the update",
        needs: Needs::Nothing,
        run: bucket_missing,
    },
];

/// A package of some MB that is in the pool, and a device that knows it.
fn with_large_package(
    world: &World<'_>,
    size: usize,
) -> Result<(dev_s3::FaultProxy, AptRoot, std::path::PathBuf)> {
    let file = world.package(&Package::new("large", "1").payload_of(size))?;
    world.signed(&[&file])?;
    let proxy = world.proxy()?;
    let apt = world.device_at("device", &proxy.endpoint(), Some(&world.store.keys))?;
    apt.update()?;
    proxy.clear_request_log();
    Ok((proxy, apt, file))
}

fn resume(world: &World<'_>) -> Result<()> {
    let (proxy, apt, _) = with_large_package(world, 3_000_000)?;
    let partial = apt.path("var/cache/apt/archives/partial/large_1_all.deb");
    // What is left after the cut never comes.
    proxy.push(
        Rule::new(Fault::CutBody(200_000))
            .operation(Operation::GetObject)
            .key_contains(".deb"),
    );
    proxy.push(Rule::new(Fault::before(|request| {
        if request.range.is_some() {
            Next::Close
        } else {
            Next::Continue
        }
    })));
    apt.apt_get(&["install", "--yes", "-o", "Acquire::Retries=0", "large"])?
        .failure()?;
    let kept = fs::metadata(&partial)
        .context("nothing was kept of the download")?
        .len();
    ensure!(kept >= 200_000, "only {kept} bytes were kept");

    proxy.clear_rules();
    proxy.clear_request_log();
    apt.install(&["large"])?;
    let log = proxy
        .request_log()
        .into_iter()
        .filter(|entry| entry.request.key.ends_with(".deb"));
    let ranges: Vec<_> = log
        .map(|entry| entry.request.range.unwrap_or_default())
        .collect();
    ensure!(
        !ranges.is_empty() && ranges.iter().all(|range| first_byte(range) >= kept),
        "of {kept} bytes, some were fetched again: {ranges:?}"
    );
    expect_payload(&apt, "large", "1", 3_000_000)?;

    // A partial that holds something else must not end up in the package.
    process::run(apt.command("apt-get").args(["remove", "--yes", "large"]))?.success()?;
    fs::remove_file(apt.path("var/cache/apt/archives/large_1_all.deb")).ok();
    fs::write(&partial, vec![b'x'; 1_000_000])?;
    let first = apt.apt_get(&["install", "--yes", "large"])?;
    if first.outcome.code() != 0 {
        // apt itself drops the damaged file and asks for another run.
        apt.install(&["large"])?;
    }
    expect_payload(&apt, "large", "1", 3_000_000)
}

/// The offset at which a `Range` header begins.
fn first_byte(range: &str) -> u64 {
    range
        .strip_prefix("bytes=")
        .and_then(|range| range.split('-').next()?.parse().ok())
        .unwrap_or(0)
}

fn body_cut_short(world: &World<'_>) -> Result<()> {
    let (proxy, apt, _) = with_large_package(world, 3_000_000)?;
    proxy.push(
        Rule::new(Fault::CutBody(500_000))
            .operation(Operation::GetObject)
            .key_contains(".deb")
            .first(2),
    );
    apt.install(&["large"])?;
    expect_payload(&apt, "large", "1", 3_000_000)?;
    // The head, too.
    apt.forget()?;
    proxy.clear_rules();
    proxy.push(
        Rule::new(Fault::CutBody(100))
            .operation(Operation::GetObject)
            .key_contains("InRelease")
            .first(1),
    );
    apt.update()?;
    expect_offered(&apt, "large", &["1"])
}

fn three(world: &World<'_>) -> Result<()> {
    let files = ["one", "two", "three"]
        .map(|name| world.package(&Package::new(name, "1").payload_of(50_000)));
    let files = files.into_iter().collect::<Result<Vec<_>>>()?;
    world.signed(
        &files
            .iter()
            .map(std::path::PathBuf::as_path)
            .collect::<Vec<_>>(),
    )?;
    Ok(())
}

fn downloaded(apt: &AptRoot) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(apt.path("var/cache/apt/archives"))?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".deb"))
        .collect())
}

fn expect_others_only(apt: &AptRoot) -> Result<()> {
    let found = downloaded(apt)?;
    ensure!(
        found
            .iter()
            .map(String::as_str)
            .eq(["one_1_all.deb", "three_1_all.deb"]),
        "downloaded: {found:?}"
    );
    Ok(())
}

/// Where the second package of [`three`] lies.
fn key_of_two(world: &World<'_>) -> Result<String> {
    let keys = world.bucket.keys("pool/")?;
    keys.into_iter()
        .find(|key| key.contains("two_1_all"))
        .context("the pool has no package two")
}

fn missing_among_others(world: &World<'_>) -> Result<()> {
    three(world)?;
    let apt = world.device("device")?;
    apt.update()?;
    let key = key_of_two(world)?;
    world.bucket.delete(&key)?;
    apt.apt_get(&["install", "--yes", "one", "two", "three"])?
        .failure()?
        .expect_text("404")?;
    expect_others_only(&apt)?;
    apt.install(&["one", "three"])?;
    expect_installed(&apt, "three", "1")
}

fn forbidden_package(world: &World<'_>) -> Result<()> {
    three(world)?;
    let proxy = world.proxy()?;
    let apt = world.device_at("device", &proxy.endpoint(), Some(&world.store.keys))?;
    apt.update()?;
    proxy.push(
        Rule::new(Fault::Answer(StatusCode::FORBIDDEN, "AccessDenied")).key_contains("two_1_all"),
    );
    apt.apt_get(&["install", "--yes", "one", "two", "three"])?
        .failure()?
        .expect_text("403")?;
    expect_others_only(&apt)
}

fn server_down(world: &World<'_>) -> Result<()> {
    let (proxy, apt) = behind_proxy(world)?;
    world.store.runtime.block_on(proxy.stop());
    let started = Instant::now();
    let update = apt.apt_get(&["update"])?;
    ensure!(
        started.elapsed() < Duration::from_secs(60),
        "it took {} s",
        started.elapsed().as_secs()
    );
    // After its retries apt itself ends with 0 here, and warns that it goes on with old data.
    ensure!(
        update.has_complaint(),
        "apt does not say that the store is down\n{}",
        update.report()
    );
    expect_offered(&apt, "thing", &["1"])
}

fn slow_down(world: &World<'_>) -> Result<()> {
    let (proxy, apt) = behind_proxy(world)?;
    proxy.push(Rule::new(Fault::slow_down()).first(2));
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")
}

fn silent_store(world: &World<'_>) -> Result<()> {
    let (proxy, apt) = behind_proxy(world)?;
    apt.configure("Acquire::s3::Timeout \"1\";\nAcquire::Retries \"0\";")?;
    proxy.push(Rule::new(Fault::BlackHole));
    let started = Instant::now();
    let update = apt.apt_get(&["update"])?;
    ensure!(
        started.elapsed() < Duration::from_secs(30),
        "it took {} s",
        started.elapsed().as_secs()
    );
    ensure!(update.has_complaint(), "{}", update.report());
    proxy.clear_rules();
    apt.update()?;
    Ok(())
}

fn hash_mismatch(world: &World<'_>) -> Result<()> {
    three(world)?;
    let apt = world.device("device")?;
    apt.update()?;
    let key = key_of_two(world)?;
    let Some(good) = world.bucket.get(&key)? else {
        bail!("{key} is missing")
    };
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 0x01;
    world.bucket.put(&key, &bad)?;
    apt.apt_get(&["install", "--yes", "two"])?
        .failure()?
        .expect_text("Hash Sum mismatch")?;
    ensure!(
        apt.installed("two")?.is_none(),
        "a damaged package was installed"
    );
    world.bucket.put(&key, &good)?;
    apt.install(&["two"])?;

    // An index in every form.
    for key in world
        .bucket
        .keys("dists/")?
        .iter()
        .filter(|key| key.contains("Packages") || key.contains("by-hash"))
    {
        let mut bytes = world.bucket.get(key)?.unwrap_or_default();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x01;
        world.bucket.put(key, &bytes)?;
    }
    let fresh = world.device("fresh")?;
    let update = fresh.apt_get(&["update"])?.failure()?;
    ensure!(
        update.outcome.text().contains("Hash Sum mismatch"),
        "{}",
        update.report()
    );
    expect_offered(&fresh, "one", &[])?;

    // A head that was changed after it was signed.
    let head = world.bucket.text(HEAD)?;
    world.bucket.put(
        HEAD,
        head.replace("Suite: stable", "Suite: stablf").as_bytes(),
    )?;
    let fresh = world.device("forged")?;
    fresh.apt_get(&["update"])?.failure()?;
    expect_offered(&fresh, "one", &[])
}

fn bucket_missing(world: &World<'_>) -> Result<()> {
    let apt = world.device("device")?;
    let keyring = apt.path("etc/apt/keyrings/e2e.asc");
    apt.write("sources.list.d/e2e.sources", format!("Types: deb\nURIs: s3://debucket-no-such-bucket\nSuites: stable\nComponents: main\nSigned-By: {}\n", keyring.display()))?;
    let update = apt.apt_get(&["update"])?.failure()?;
    ensure!(
        update.outcome.text().contains("bucket"),
        "{}",
        update.report()
    );
    Ok(())
}
