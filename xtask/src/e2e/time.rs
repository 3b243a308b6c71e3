//! Dates: by the store's clock, never falling, never ahead; and publishers whose own clock is wrong.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{
    Needs, Scenario,
    world::{HEAD, World, expect_installed, expect_offered},
};
use crate::process;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "forty-commits",
        about: "40 commits in a few seconds: Date within 2 s, apt accepts each",
        needs: Needs::Nothing,
        run: forty_commits,
    },
    Scenario {
        name: "publisher-clock",
        about: "a publisher whose clock is a day off changes nothing",
        needs: Needs::Nothing,
        run: publisher_clock,
    },
    Scenario {
        name: "store-clock",
        about: "a store whose clock is a day ahead or falls back",
        needs: Needs::Clock,
        run: store_clock,
    },
];

/// `Date` of the head, in seconds since 1970.
fn date(world: &World<'_>) -> Result<i64> {
    let head = world.bucket.text(HEAD)?;
    let text = head
        .lines()
        .find_map(|line| line.strip_prefix("Date: "))
        .context("the head has no Date")?;
    seconds(text)
}

/// Reads a date as `date` does.
fn seconds(text: &str) -> Result<i64> {
    let outcome =
        process::run(Command::new("date").args(["--utc", "+%s", "--date", text]))?.success()?;
    Ok(outcome.stdout.trim().parse()?)
}

fn forty_commits(world: &World<'_>) -> Result<()> {
    let apt = world.device("device")?;
    let mut last = i64::MIN;
    let files = (1..=40)
        .map(|version| world.small("thing", &version.to_string()))
        .collect::<Result<Vec<_>>>()?;
    for (index, file) in files.iter().enumerate() {
        world.signed(&[file])?;
        let date = date(world)?;
        // The local stores have this machine's clock.
        let ahead = date - seconds("now")?;
        ensure!(
            ahead <= 2,
            "commit {} is {ahead} s ahead of the clock",
            index + 1
        );
        ensure!(
            ahead >= -2,
            "commit {} is {} s behind the clock",
            index + 1,
            -ahead
        );
        ensure!(date >= last, "the Date of commit {} fell", index + 1);
        last = date;
        if index % 4 == 0 {
            let version = (index + 1).to_string();
            apt.update()?;
            apt.install(&[&format!("thing={version}")])?;
            expect_installed(&apt, "thing", &version)?;
        }
    }
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "40")
}

fn publisher_clock(world: &World<'_>) -> Result<()> {
    if !process::on_path("faketime") {
        let Some(server) = world.store.embedded() else {
            anyhow::bail!("`faketime` is missing: Debian has it in the package faketime");
        };
        // As seen from the store, the publisher's clock is off all the same.
        server.clock().set_offset(86_400);
        let outcome = world.signed(&[&world.small("thing", "1")?]);
        let date = date(world);
        server.clock().set_offset(0);
        outcome?;
        ensure!(
            (date? - seconds("now + 1 day")?).abs() <= 2,
            "the Date is not the store's"
        );
        return Ok(());
    }
    let apt = world.device("device")?;
    for (version, shift) in [("1", "+1d"), ("2", "-1d"), ("3", "+0d")] {
        let command = world.publish_signed(&[&world.small("thing", version)?], &[]);
        let mut shifted = Command::new("faketime");
        shifted
            .args(["-f", shift])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&world.folder);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shifted.env(name, value),
                None => shifted.env_remove(name),
            };
        }
        process::run(&mut shifted)?.success()?;
        let off = date(world)? - seconds("now")?;
        ensure!(
            off.abs() <= 2,
            "the Date is {off} s off after a publisher of {shift}"
        );
        apt.update()?;
        apt.install(&["thing"])?;
        expect_installed(&apt, "thing", version)?;
    }
    Ok(())
}

fn store_clock(world: &World<'_>) -> Result<()> {
    let server = world
        .store
        .embedded()
        .context("the embedded store is needed")?;
    world.signed(&[&world.small("thing", "1")?])?;
    let apt = world.device("device")?;
    apt.update()?;
    let first = date(world)?;
    // A store that falls back: the Date stays, so that no client is told to keep its old data.
    server.clock().set_offset(-600);
    let outcome = world.signed(&[&world.small("thing", "2")?]);
    server.clock().set_offset(0);
    outcome?;
    ensure!(
        date(world)? == first,
        "the Date did not stay while the store's clock was behind"
    );
    std::thread::sleep(Duration::from_millis(1100));
    world.signed(&[&world.small("thing", "3")?])?;
    ensure!(date(world)? > first, "the Date did not go on");
    apt.update()?;
    expect_offered(&apt, "thing", &["1", "2", "3"])
}
