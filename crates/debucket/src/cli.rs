//! The command line.

use clap::Parser;

use crate::{commands::Command, printer::OutputOptions, store_options::StoreOptions};

/// Publishes Debian packages into a private APT repository in an S3 bucket
#[derive(Debug, Parser)]
#[command(
    name = "debucket",
    version,
    propagate_version = true,
    color = clap::ColorChoice::Never
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub store: StoreOptions,
    #[command(flatten)]
    pub output: OutputOptions,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
