//! The indexes of a suite: how one is identified, what a `Packages` index holds, and how it is compressed.

pub mod compression;
pub mod packages;
mod path;

pub use path::{IndexPath, InvalidIndexPath};
