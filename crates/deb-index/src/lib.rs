//! The model of an APT repository, pure: no network, no clock, no files beyond `Read` and `Write`.
//!
//! What exists: control [`paragraph`]s, [`name`]s, [`version`]s and [`relation`]s, [`deb`] files, [`packages`] indexes and their
//! [`compression`], [`release`] files, [`commit`]s, and [`pool`], which says where each of them lies. What happens: a
//! [`plan`] turns a suite and an intent into the suite as it shall be, [`indexes`] turns the plan into files.

mod architecture;
pub mod commit;
pub mod compression;
pub mod deb;
pub mod digest;
pub mod indexes;
pub mod name;
pub mod packages;
pub mod paragraph;
pub mod plan;
pub mod pool;
mod quote;
pub mod relation;
pub mod release;
pub mod settings;
pub mod version;
