//! `cargo xtask bench`: the project's figures, measured on release builds and printed beside their targets.
//!
//! The store is the embedded server in a process of its own, on loopback. Each figure is the median of several runs.
//! Memory is the peak of a single process. What depends on the distance to the store is in a table of its own, for the store that
//! `--s3` names.

mod changes;
mod memory;
mod method;
mod network;
mod publish;
mod requests;
mod server;
mod stanzas;
mod upkeep;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    binaries::{Binaries, Profile, build_all},
    process,
    store::Choice,
};

/// Measures speed, memory and size, and prints them beside their targets.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Fail if a target is missed
    #[arg(long)]
    check: bool,
    /// Only figures whose name contains this: `publish`, `method`
    #[arg(value_name = "TEXT", default_value = "")]
    only: String,
    /// Where to publish at a distance and in bulk: `embedded`, `minio`, or a URL http://ADDRESS:PORT
    #[arg(long, value_name = "STORE", default_value = "embedded")]
    s3: Choice,
    /// How many packages are published at once
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    bulk: usize,
    /// Use the release programs of this folder instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// A figure and its target.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
}

/// What a figure shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// No target: shown for comparison.
    None,
}

impl Figure {
    fn is_met(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
            Target::None => true,
        }
    }
}

impl Bench {
    /// Builds for release, and measures with the xtask that was built: seeding a large suite takes long otherwise.
    pub(crate) fn run(&self) -> Result<()> {
        let Some(folder) = &self.bin_dir else {
            let programs = build_all(Profile::Release)?;
            let folder = programs
                .first()
                .and_then(|program| program.parent())
                .context("cargo built nothing")?;
            let mut again = std::process::Command::new(folder.join("xtask"));
            again.arg("bench").arg("--bin-dir").arg(folder);
            again
                .args([&self.only, "--s3", &self.s3.to_string()])
                .args(["--bulk", &self.bulk.to_string()])
                .args(self.check.then_some("--check"));
            if !again.status()?.success() {
                bail!("{} failed", process::render(&again));
            }
            return Ok(());
        };
        let binaries = Binaries::provide(Some(folder), Profile::Release)?;
        let wanted = |name: &str| name.contains(&self.only);
        let mut figures = Vec::new();
        for group in [
            publish::figures,
            changes::figures,
            upkeep::figures,
            method::figures,
        ] {
            figures.extend(group(&binaries, &wanted)?);
        }
        let rows = network::rows(&binaries, &self.s3, self.bulk, &wanted)?;
        if !figures.is_empty() {
            print(&figures);
        }
        network::print(&rows);
        if self.check && figures.iter().any(|figure| !figure.is_met()) {
            bail!("a target was missed");
        }
        Ok(())
    }
}

fn print(figures: &[Figure]) {
    let width = figures
        .iter()
        .map(|figure| figure.name.chars().count())
        .max()
        .unwrap_or(0);
    println!("{:width$}  {:>10}  {:>12}", "figure", "measured", "target");
    for figure in figures {
        let target = match figure.target {
            Target::AtMost(most) => format!("≤ {most} {}", figure.unit),
            Target::AtLeast(least) => format!("≥ {least:.0} {}", figure.unit),
            Target::None => String::new(),
        };
        let measured = format!("{:.3} {}", figure.value, figure.unit);
        let mark = if figure.is_met() { "" } else { "  MISSED" };
        println!("{:width$}  {measured:>10}  {target:>12}{mark}", figure.name);
    }
}

/// The middle one of several measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
