//! `debucket`, the publisher: manages APT repositories directly in S3, with no server, no database and no local copy.
//!
//! The binary is a thin shell around this library. [`snapshot`] reads a suite, [`commit`] is the one place that changes one;
//! [`publish`] puts the steps of a publication in order, and [`commands`] turns command lines into them.

pub mod authorship;
pub mod catalogue;
pub mod cli;
pub mod commands;
pub mod commit;
pub mod error;
pub mod followers;
pub mod iam;
pub mod inputs;
pub mod options;
pub mod output;
pub mod progress;
pub mod publish;
pub mod repository;
pub mod signing_options;
pub mod snapshot;
pub mod suites;
pub mod upload;
