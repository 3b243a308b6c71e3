//! Development tasks, as `cargo xtask TASK` (<https://github.com/matklad/cargo-xtask>).

mod apt_root;
mod bench;
mod binaries;
mod deb;
mod demo;
mod demo_deb;
mod dist;
mod e2e;
mod examples;
mod image;
mod interop;
mod interrupt;
mod loopback;
mod minio;
mod narrate;
mod process;
mod root_fs;
mod s3;
mod store;
mod terraform;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Development tasks of debucket.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Bench(bench::Bench),
    Demo(demo::Demo),
    DemoDeb(demo_deb::DemoDeb),
    Dist(dist::Dist),
    E2e(e2e::E2e),
    Examples(examples::Examples),
    Interop(interop::Interop),
    S3(s3::S3),
    Terraform(terraform::Terraform),
    Tidy(tidy::Tidy),
}

fn main() -> ExitCode {
    match Cli::parse().task.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Task {
    fn run(self) -> Result<()> {
        interrupt::watch()?;
        match self {
            Self::Bench(task) => task.run(),
            Self::Demo(task) => task.run(),
            Self::DemoDeb(task) => task.run(),
            Self::Dist(task) => task.run(),
            Self::E2e(task) => task.run(),
            Self::Examples(task) => task.run(),
            Self::Interop(task) => task.run(),
            Self::S3(task) => task.run(),
            Self::Terraform(task) => task.run(),
            Self::Tidy(task) => task.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
