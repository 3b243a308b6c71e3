//! The program as its users see it: arguments, exit codes, what is printed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod advice;
mod changes;
mod documents;
mod guards;
mod keys;
mod package;
mod rotation;
mod run;
mod secrets;
mod store;
mod usage;
