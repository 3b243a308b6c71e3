//! The `s3` acquire method of APT, as modules that tests can reach. `main` joins them: standard
//! input → [`message`] → [`protocol`] → [`fetch`] → [`protocol`] → standard output.

#![deny(clippy::print_stdout)]

/// What this program is called in `User-Agent` and in the sessions of assumed roles.
const APP_NAME: &str = "apt-method-s3";

pub mod authconf;
pub mod check;
pub mod clients;
pub mod config;
pub mod credentials;
pub mod environment;
pub mod failure;
pub mod fetch;
pub mod files;
pub mod helper;
pub mod iot;
pub mod message;
pub mod misspelt;
pub mod partial;
pub mod protocol;
pub mod sandbox;
pub mod settings;
pub mod uri;
