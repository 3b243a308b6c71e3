//! The command line: which commands there are, and what they share.

use clap::{Parser, Subcommand, ValueEnum};

use crate::{commands, options::StoreOptions};

/// Publishes Debian packages into a private APT repository in an S3 bucket
#[derive(Debug, Parser)]
#[command(
    name = "debucket",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The repository.
    #[command(flatten)]
    pub store: StoreOptions,
    /// How results are shown.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// How results are shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Form of the result
    #[arg(long, value_enum, default_value_t, global = true)]
    pub output: OutputFormat,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more: lost races, where credentials come from, what was corrected
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

impl OutputOptions {
    /// Whether a person reads along who wants to be told things.
    pub fn is_talkative(&self) -> bool {
        !self.quiet && self.output == OutputFormat::Human
    }
}

/// Form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON document
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put packages into a suite
    Publish(commands::publish::Publish),
    /// List the packages of a suite
    List(commands::list::List),
    /// Show all that is known of a package
    Show(commands::show::Show),
    /// Show the history of a suite
    Log(commands::log::Log),
    /// Print what a device or a publisher needs: sources, key, IAM policy
    ClientConfig(commands::client_config::ClientConfig),
    /// Make and export signing keys
    Key(commands::key::Key),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
