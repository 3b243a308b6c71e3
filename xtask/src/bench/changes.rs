//! What reading and changing a large suite costs.

use std::process::Command;

use anyhow::Result;

use super::{
    Figure, Target, median,
    memory::measure,
    publish::seed,
    server::{BUCKET, Server},
    upkeep::fill,
};
use crate::binaries::Binaries;

/// Packages in the suite.
const SIZE: usize = 63_000;
/// The command, in its run `{}`, and its target in seconds.
const COMMANDS: [(&str, &str, f64); 3] = [
    ("list", "list", 1.0),
    ("remove", "remove {}* --unsigned", 2.0),
    (
        "promote --all",
        "promote --all --from stable --to next{} --unsigned",
        2.0,
    ),
];
const MEGABYTES: f64 = 300.0;
/// What takes the place of `{}` in each run: packages that begin with it are removed.
const RUNS: [&str; 3] = ["x", "y", "z"];

pub(crate) fn figures(binaries: &Binaries, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Figure>> {
    let name = |command: &str| format!("{command}, {SIZE} packages");
    let commands: Vec<_> = COMMANDS
        .into_iter()
        .filter(|(command, ..)| wanted(&name(command)))
        .collect();
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let server = Server::start(false)?;
    seed(&server, "large", SIZE)?;
    fill(&server, "large", SIZE, SIZE)?;
    let mut figures = Vec::new();
    for (command, arguments, seconds) in commands {
        let (mut times, mut peak) = (Vec::new(), 0.0_f64);
        for run in RUNS {
            let arguments = arguments.replace("{}", run);
            let mut debucket = Command::new(&binaries.debucket);
            debucket
                .args(arguments.split(' '))
                .args(["--repo", &format!("s3://{BUCKET}/large")])
                .envs(&server.exports);
            let (seconds, megabytes) = measure(&mut debucket)?;
            times.push(seconds);
            peak = peak.max(megabytes);
        }
        for (name, value, unit, most) in [
            (name(command), median(times), "s", seconds),
            (
                format!("{}, peak memory", name(command)),
                peak,
                "MB",
                MEGABYTES,
            ),
        ] {
            figures.push(Figure {
                name,
                value,
                unit,
                target: Target::AtMost(most),
            });
        }
    }
    Ok(figures)
}
