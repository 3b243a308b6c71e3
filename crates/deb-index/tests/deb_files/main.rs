//! Reading `.deb` files: against `dpkg-deb` on packages that it built, against apt and dpkg on fields of
//! all kinds, and on files that are cut off, damaged or made to mislead.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so"
)]

mod archive;
mod build;
mod control;
mod corpus;
mod damage;
mod dpkg;
mod pack;
mod readers;
mod strictness;
