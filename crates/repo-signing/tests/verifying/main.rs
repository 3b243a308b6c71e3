//! What is accepted as a base to build on, and what is not.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod forge;
mod frame;
mod keys;
mod revocation;
mod signatures;
#[path = "../support/mod.rs"]
mod support;
