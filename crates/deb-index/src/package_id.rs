//! The identity of a package in a suite.

use std::fmt;

use crate::{
    name::{Architecture, Component, PackageName},
    version::Version,
};

/// What tells one package of a suite from another. Displayed as dpkg names its files: `hello_1.0-1_amd64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageId {
    pub component: Component,
    pub name: PackageName,
    pub version: Version,
    /// A single architecture, or `all`.
    pub architecture: Architecture,
}

impl PackageId {
    /// Whether the package is in the index of a component and an architecture.
    #[must_use]
    pub fn is_in(&self, component: &Component, architecture: &Architecture) -> bool {
        let own = &self.architecture;
        self.component == *component && (own.is_all() || own == architecture)
    }

    /// Whether devices that read the index of an architecture see the package too, in that index or another.
    #[must_use]
    pub fn meets(&self, architecture: &Architecture) -> bool {
        let own = &self.architecture;
        own.is_all() || architecture.is_all() || own == architecture
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.name, self.version, self.architecture)
    }
}
