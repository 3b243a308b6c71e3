//! The commit protocol on a bucket in memory that keeps S3's rules: races, lost replies, kills, tampering.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adopt;
mod faults;
mod foreign;
mod pool;
mod races;
mod repository;
mod time;
mod trust;
