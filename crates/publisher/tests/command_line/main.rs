//! The program as its users see it: arguments, exit codes, what is printed.

mod documents;
mod keys;
mod package;
mod run;
mod store;
mod usage;
