//! Runs scenarios: picks them, makes each its surroundings, and says at the end how each went.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use clap::Args;

use super::world::{SigningKeys, World};
use crate::{
    binaries::{Binaries, Profile},
    interrupt::TempFolder,
    process, root_fs,
    store::{Choice, Store},
};

/// Which scenarios, and on what.
#[derive(Debug, Args)]
pub(crate) struct Runner {
    /// The store: embedded, minio, or the URL of one that is there (with AWS_* credentials that may create buckets)
    #[arg(long, value_name = "STORE", default_value = "embedded")]
    s3: Choice,
    /// Only scenarios with this in their name; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Name the scenarios and what each shows
    #[arg(long)]
    list: bool,
    /// Use the programs of this folder instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// Something that must hold.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&World<'_>) -> Result<()>,
}

/// Where a scenario can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Anywhere.
    Nothing,
    /// On a store that runs for us alone over plain HTTP: a proxy stands in front of it, or its buckets get policies.
    OwnStore,
    /// On the embedded store: its clock is set.
    Clock,
    /// Where this program is installed.
    Program(&'static str),
    /// As root, on the embedded store: it works in a root file system of its own, whose keys may come with a token.
    Root,
}

impl Needs {
    /// Why it cannot be shown here.
    fn missing(self, store: &Store) -> Option<&'static str> {
        let fits = match self {
            Self::Nothing | Self::Program(_) => true,
            Self::OwnStore => store.is_ours(),
            Self::Clock | Self::Root => store.embedded().is_some(),
        };
        if !fits {
            return Some("not on this store");
        }
        match self {
            Self::Root => root_fs::obstacle(),
            Self::Program(name) if !process::on_path(name) => Some("not installed"),
            _ => None,
        }
    }
}

/// How a scenario ended.
enum Verdict {
    Passed,
    Failed(String),
    NotHere(&'static str),
}

impl Runner {
    /// Runs those of `scenarios` that were asked for; fails if one of them does.
    pub(crate) fn run(&self, scenarios: Vec<&'static Scenario>) -> Result<()> {
        let chosen: Vec<_> = scenarios
            .into_iter()
            .filter(|scenario| {
                self.only.is_empty()
                    || self
                        .only
                        .iter()
                        .any(|part| scenario.name.contains(part.as_str()))
            })
            .collect();
        ensure!(
            !chosen.is_empty(),
            "no scenario has {} in its name; --list names them",
            self.only.join(" or ")
        );
        if self.list {
            for scenario in chosen {
                println!("{:<28} {}", scenario.name, scenario.about);
            }
            return Ok(());
        }
        let binaries = Binaries::provide(self.bin_dir.as_deref(), Profile::Dev)?;
        let store = Store::start(&self.s3)?;
        println!(
            "{} scenarios on {} ({})",
            chosen.len(),
            self.s3,
            store.endpoint
        );
        let folder = TempFolder::new("e2e")?;
        let keys = SigningKeys::make(&binaries, folder.path())?;
        let mut table = Vec::new();
        for (number, scenario) in chosen.iter().enumerate() {
            println!("--- {}: {}", scenario.name, scenario.about);
            let started = Instant::now();
            let verdict = play(scenario, number, &store, &binaries, &keys, &folder);
            if let Verdict::Failed(report) = &verdict {
                println!("{report}");
            }
            table.push((scenario.name, verdict, started.elapsed()));
        }
        conclude(&table)
    }
}

fn play(
    scenario: &Scenario,
    number: usize,
    store: &Store,
    binaries: &Binaries,
    keys: &SigningKeys,
    folder: &TempFolder,
) -> Verdict {
    if let Some(reason) = scenario.needs.missing(store) {
        println!("########## {} NOT RUN: {reason} ##########", scenario.name);
        return Verdict::NotHere(reason);
    }
    let outcome = World::create(scenario.name, number, store, binaries, keys, folder.path())
        .and_then(|world| {
            (scenario.run)(&world)?;
            world.close()
        });
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(error) => Verdict::Failed(
            error
                .chain()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n  because: "),
        ),
    }
}

fn conclude(table: &[(&str, Verdict, Duration)]) -> Result<()> {
    println!();
    for (name, verdict, elapsed) in table {
        let word = match verdict {
            Verdict::Passed => "ok",
            Verdict::Failed(_) => "FAILED",
            Verdict::NotHere(reason) => reason,
        };
        println!("{name:<28} {word:<20} {:>7.1} s", elapsed.as_secs_f64());
    }
    let failed = table
        .iter()
        .filter(|(_, verdict, _)| matches!(verdict, Verdict::Failed(_)))
        .count();
    let passed = table
        .iter()
        .filter(|(_, verdict, _)| matches!(verdict, Verdict::Passed))
        .count();
    println!(
        "{passed} passed, {failed} failed, {} not run",
        table.len() - passed - failed
    );
    if failed > 0 {
        bail!("{failed} scenarios failed");
    }
    Ok(())
}
