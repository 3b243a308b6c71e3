//! The program as its users see it: arguments, exit codes, what is printed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod adopt;
mod changes;
mod documents;
mod guards;
mod keys;
mod package;
mod parity;
mod run;
mod store;
mod usage;
