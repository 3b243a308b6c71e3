//! The commit protocol on a bucket in memory that keeps S3's rules: races, lost replies, kills, tampering.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adopt;
mod damage;
mod doubt;
mod faults;
mod followers;
mod foreign;
mod gc;
mod gc_damage;
mod lost;
mod pool;
mod put_back;
mod races;
mod repository;
mod requests;
mod rotation;
mod time;
mod trust;
