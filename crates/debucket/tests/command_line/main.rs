//! The program as its users see it: arguments, exit codes, what is printed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod across;
mod adopt;
mod advice;
mod again;
mod aliases;
mod arguments;
mod changes;
mod collisions;
mod costs;
mod depth;
mod doctor;
mod documents;
mod drops;
mod dry_run;
mod earlier_states;
mod forge;
mod gc;
mod guards;
mod history;
mod inputs;
mod keys;
mod later_version;
mod lost_replies;
mod messages;
mod package;
mod parity;
mod phase;
mod printed;
mod reading;
mod readme;
mod rehearsal;
mod replies;
mod rotation;
mod run;
mod secrets;
mod settings;
mod signals;
mod signing;
mod store;
mod terminal;
mod usage;
mod verify;
mod walk;
mod way_on;
