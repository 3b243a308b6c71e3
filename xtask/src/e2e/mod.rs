//! `cargo xtask e2e`: what the two programs promise, as scenarios with the real apt against a real S3 protocol.
//!
//! A scenario is a function with a name and a bucket of its own. It returns an error that holds what was run and what it said,
//! the conversation between apt and the method included, so that a failure in CI can be understood from its log.

mod acquire;
mod adopt;
mod aliases;
mod broken_transfers;
mod changes;
mod compatibility;
mod concurrency;
mod conformance;
mod faults;
mod flow;
mod history;
mod keys;
mod old_tools;
mod phases;
mod refusals;
pub(crate) mod runner;
mod signatures;
mod time;
mod upkeep;
pub(crate) mod world;

use anyhow::Result;
use clap::Args;

use self::runner::{Needs, Runner, Scenario};

/// Runs the end-to-end scenarios with the real apt.
#[derive(Debug, Args)]
pub(crate) struct E2e {
    #[command(flatten)]
    runner: Runner,
}

pub(crate) fn scenarios() -> Vec<&'static Scenario> {
    let groups: [&'static [Scenario]; 17] = [
        flow::SCENARIOS,
        history::SCENARIOS,
        changes::SCENARIOS,
        phases::SCENARIOS,
        upkeep::SCENARIOS,
        aliases::SCENARIOS,
        adopt::SCENARIOS,
        refusals::SCENARIOS,
        signatures::SCENARIOS,
        keys::SCENARIOS,
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
        self.runner.run(scenarios())
    }
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
