//! The model of an APT repository.

pub mod compression;
pub mod deb;
pub mod digest;
pub mod name;
pub mod paragraph;
pub mod version;
