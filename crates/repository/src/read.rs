//! What a suite has: its head, commits, indexes and packages, and its history.

pub(crate) mod copies;
pub(crate) mod differences;
pub(crate) mod explained;
pub(crate) mod head;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod indexes;
pub(crate) mod loss;
pub(crate) mod packages;
pub(crate) mod revision;
pub(crate) mod succession;
pub(crate) mod warning;
