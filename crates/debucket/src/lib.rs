//! `debucket`, the publisher: the command line around the crate `repository`.
//!
//! Each command is a file in `commands`: its arguments, what it does, the words and the JSON that it prints. Everything that
//! several of them need is in a [`context::Context`].

mod adopt_advice;
mod advice;
pub mod authorship;
pub mod change;
pub mod change_report;
pub mod cli;
pub mod commands;
pub mod context;
pub mod duration;
mod environment;
pub mod error;
pub mod failure;
pub mod given;
pub mod iam;
pub mod inputs;
mod key_advice;
pub mod key_options;
mod package_changes;
pub mod printer;
pub mod progress;
pub mod run;
pub mod secrets;
pub mod settings_text;
pub mod source;
mod source_advice;
mod storage_advice;
pub mod store_options;
pub mod text;
mod uploads;
mod version_advice;
mod warning_advice;
