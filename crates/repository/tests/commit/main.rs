//! The commit protocol on a bucket in memory that keeps S3's rules: races, lost replies, kills, tampering.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod across;
mod adopt;
mod aliases;
mod collecting;
mod collector_time;
mod damage;
mod deletion;
mod doubt;
mod faults;
mod first;
mod followers;
mod foreign;
mod gc;
mod gc_damage;
mod gc_foreign;
mod halt;
mod held_up;
mod lost;
mod pool;
mod put_back;
mod races;
mod reborn;
mod refused_keys;
mod repairs;
mod repository;
mod requests;
mod rotation;
mod suites;
mod time;
mod trust;
mod work;
