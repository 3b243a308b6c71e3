//! `cargo xtask e2e`: what the two programs promise, as scenarios with the real apt against a real S3 protocol.
//!
//! A scenario is a function with a name and a bucket of its own. It returns an error that holds what was run and what it said,
//! the conversation between apt and the method included, so that a failure in CI can be understood from its log.

mod acquire;
mod broken_transfers;
mod compatibility;
mod concurrency;
mod conformance;
mod faults;
mod flow;
mod history;
mod refusals;
mod signatures;
mod time;
mod world;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use clap::Args;

use self::world::{SigningKeys, World};
use crate::{
    binaries::{Binaries, Profile},
    interrupt::TempFolder,
    store::{Choice, Store},
};

/// Runs the end-to-end scenarios with the real apt.
#[derive(Debug, Args)]
pub(crate) struct E2e {
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
struct Scenario {
    name: &'static str,
    about: &'static str,
    needs: Needs,
    run: fn(&World<'_>) -> Result<()>,
}

/// Which stores a scenario can be shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Any.
    Nothing,
    /// One that runs for us alone over plain HTTP: a proxy stands in front of it, or its buckets get policies.
    OwnStore,
    /// The embedded one: its clock is set.
    Clock,
}

impl Needs {
    fn are_met_by(self, store: &Store) -> bool {
        match self {
            Self::Nothing => true,
            Self::OwnStore => store.is_ours(),
            Self::Clock => store.embedded().is_some(),
        }
    }
}

/// How a scenario ended.
enum Verdict {
    Passed,
    Failed(String),
    NotHere,
}

fn scenarios() -> Vec<&'static Scenario> {
    let groups: [&'static [Scenario]; 11] = [
        flow::SCENARIOS,
        history::SCENARIOS,
        refusals::SCENARIOS,
        signatures::SCENARIOS,
        compatibility::SCENARIOS,
        acquire::SCENARIOS,
        broken_transfers::SCENARIOS,
        time::SCENARIOS,
        faults::SCENARIOS,
        concurrency::SCENARIOS,
        conformance::SCENARIOS,
    ];
    groups.into_iter().flatten().collect()
}

impl E2e {
    /// Runs the scenarios; fails if one of them does.
    pub(crate) fn run(&self) -> Result<()> {
        let chosen: Vec<_> = scenarios()
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
    if !scenario.needs.are_met_by(store) {
        return Verdict::NotHere;
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
            Verdict::NotHere => "not on this store",
        };
        println!("{name:<28} {word:<18} {:>7.1} s", elapsed.as_secs_f64());
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
        "{passed} passed, {failed} failed, {} not on this store",
        table.len() - passed - failed
    );
    if failed > 0 {
        bail!("{failed} scenarios failed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_bucket() {
        let names: Vec<_> = scenarios().iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for name in names {
            assert!(
                name.len() <= 28
                    && name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{name}"
            );
        }
    }
}
