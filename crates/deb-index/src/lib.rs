//! The model of an APT repository: control paragraphs, packages, indexes, the state of a suite, and the plan that leads from one
//! state to the next.
//!
//! Everything here is pure: no clock, no network, no async, no files beyond [`std::io::Read`] and [`std::io::Write`].

mod architecture;
pub mod change;
pub mod deb;
pub mod digest;
pub mod fingerprint;
pub mod flag;
pub mod index;
pub mod name;
pub mod package_id;
pub mod paragraph;
pub mod phase;
mod quote;
pub mod relation;
mod reserved;
pub mod stanza;
pub mod suite;
pub mod version;
