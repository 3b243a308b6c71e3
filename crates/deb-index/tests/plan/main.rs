//! The plan, with a reference model beside it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod additions;
mod collisions;
mod devices;
mod drops;
mod edits;
mod phase;
mod sequences;
mod suite;
