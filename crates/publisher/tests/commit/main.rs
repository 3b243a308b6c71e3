//! The commit protocol on a bucket in memory that keeps S3's rules: races, lost replies, kills, tampering.

mod faults;
mod pool;
mod races;
mod repository;
mod time;
mod trust;
