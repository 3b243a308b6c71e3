//! Reading `.deb` files: against `dpkg-deb` on packages that it built, and on files that are cut
//! off, damaged or made to mislead.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so"
)]

mod archive;
mod control;
mod damage;
mod dpkg;
mod pack;
