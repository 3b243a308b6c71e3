//! The folders below `dists/`: of suites, their aliases, and what is left of deleted ones.

pub(crate) mod alias;
pub(crate) mod delete;
pub(crate) mod folder;
pub(crate) mod nesting;
