//! Items fetched by the real program from the embedded store.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod access;
mod bodies;
mod failures;
mod iot;
mod iot_service;
mod partial_files;
mod proxies;
mod rights;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod transfers;
