//! The program as its users see it: arguments, exit codes, what is printed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod advice;
mod arguments;
mod changes;
mod documents;
mod guards;
mod keys;
mod package;
mod replies;
mod run;
mod secrets;
mod signals;
mod signing;
mod store;
mod terminal;
mod usage;
