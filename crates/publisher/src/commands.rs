//! The commands: a file each, with its arguments and its `run`.

pub mod client_config;
pub mod key;
pub mod list;
pub mod log;
pub mod publish;
pub mod show;
