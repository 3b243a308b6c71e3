//! The commands, a file each: its arguments, `run`, the words and the JSON that it prints.
//!
//! A new command is a file, its `mod` line, and a line in `enum Command`. Its help is the documentation of its type.

use clap::Subcommand;

use crate::{context::Context, error::Error};

mod adopt;
mod client_config;
mod diff;
mod doctor;
mod exists;
mod gc;
mod key;
mod list;
mod log;
mod phase;
mod promote;
mod prune;
mod publish;
mod refresh;
mod remove;
mod rollback;
mod search;
mod show;
mod suite;
mod verify;
mod verify_report;

macro_rules! commands {
    (pub enum Command { $($name:ident($arguments:path),)* }) => {
        /// A command and its arguments.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($name($arguments),)*
        }

        impl Command {
            pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
                match self {
                    $(Self::$name(command) => command.run(context).await,)*
                }
            }
        }
    };
}

commands! {
    pub enum Command {
        Publish(publish::Publish),
        Remove(remove::Remove),
        Promote(promote::Promote),
        Prune(prune::Prune),
        Phase(phase::Phase),
        Rollback(rollback::Rollback),
        Refresh(refresh::Refresh),
        Suite(suite::Suite),
        Adopt(adopt::Adopt),
        List(list::List),
        Show(show::Show),
        Exists(exists::Exists),
        Search(search::Search),
        Diff(diff::Diff),
        Log(log::Log),
        Verify(verify::Verify),
        Doctor(doctor::Doctor),
        Gc(gc::Gc),
        ClientConfig(client_config::ClientConfig),
        Key(key::Key),
    }
}
