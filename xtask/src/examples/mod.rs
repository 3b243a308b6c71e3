//! `cargo xtask examples`: what lies in `examples/`, run as a user would run it.
//!
//! Each example is first checked by the linter of its trade, then used: the playbook by `ansible-playbook` against a root file
//! system, the pipelines step by step as their YAML has them, the user-data by cloud-init, and so on, against the same store and with
//! the same programs as `cargo xtask e2e`. What is shown is the files as they stand there; only names and addresses are
//! put in.
//!
//! The tools are looked for on `PATH`; `requirements.txt` beside this file has those of PyPI, pinned.

mod ansible;
mod cloud_init;
mod device;
mod docker;
mod github;
mod github_job;
mod gitlab;
mod lint;
mod mmdebstrap;
mod packages;
mod pipelines;
mod token_service;
mod tools;
mod yaml;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::{
    binaries::workspace,
    e2e::runner::{Needs, Runner, Scenario},
};

/// Runs what lies in examples/, each as its users would.
#[derive(Debug, Args)]
pub(crate) struct Examples {
    #[command(flatten)]
    runner: Runner,
}

fn scenarios() -> Vec<&'static Scenario> {
    let groups: [&'static [Scenario]; 7] = [
        lint::SCENARIOS,
        ansible::SCENARIOS,
        github::SCENARIOS,
        gitlab::SCENARIOS,
        cloud_init::SCENARIOS,
        docker::SCENARIOS,
        mmdebstrap::SCENARIOS,
    ];
    groups.into_iter().flatten().collect()
}

impl Examples {
    /// Runs them; fails if one of them does.
    pub(crate) fn run(&self) -> Result<()> {
        self.runner.run(scenarios())
    }
}

/// The folder of an example.
fn example(name: &str) -> PathBuf {
    workspace().join("examples").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_example_has_a_readme_and_a_scenario() {
        let folders = std::fs::read_dir(workspace().join("examples")).unwrap();
        for folder in folders.map(|entry| entry.unwrap().path()) {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            // helloworld is what the others install.
            if !folder.is_dir() || name == "helloworld" {
                continue;
            }
            assert!(folder.join("README.md").is_file(), "{name} has no README");
            assert!(
                scenarios().iter().any(|scenario| scenario.name == name),
                "{name} has no scenario"
            );
        }
    }
}
