//! The plan of a change: the suite as it will be, or why it cannot be.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::{
    index::IndexPath,
    name::Architecture,
    package_id::PackageId,
    phase::Percentage,
    stanza::{Stanza, StanzaError},
    suite::{
        commit::{Change, Commit, Index},
        settings::Settings,
    },
};

/// The plain indexes that were read of a suite.
pub type PlainIndexes = BTreeMap<IndexPath, Bytes>;

/// A suite as it will be.
#[derive(Debug, PartialEq)]
pub struct Plan {
    pub settings: Settings,
    /// What changes, index by index.
    pub changes: Arc<Vec<Change>>,
    /// Packages to add that the suite has already, at the keys that its indexes give them.
    pub there: Vec<Stanza>,
    /// For each of those, the part of the devices that it was for.
    pub phases: Vec<(PackageId, Percentage)>,
    /// All indexes of the suite.
    pub indexes: BTreeMap<IndexPath, IndexPlan>,
    /// Packages that were named and are not there, as the selectors are written.
    pub unmatched: Vec<String>,
    /// Whether the suite gets a later date even if nothing else changes.
    pub refreshes: bool,
    /// Whether nobody may build on the suite from now on, which somebody may now.
    pub closes: bool,
}

/// What becomes of an index.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexPlan {
    /// It stays as the base has it.
    Keep,
    /// It has this plain content.
    Write(Bytes),
    /// It is as an earlier commit had it, whose files are stored.
    Restore(Index),
}

/// Why an intent cannot be carried out on a base.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An intent adds two files for one package.
    #[error("two files are given for {0}, with different content")]
    Clash(PackageId),
    /// The suite has other content for the package, under this key.
    #[error("{id} is in {} already, with other content: {key}", .id.component)]
    Conflict { id: PackageId, key: String },
    /// Devices would take neither of two packages for newer: one that comes into the suite, and another file that it has or that
    /// comes with it. See [`collisions`](super::collisions).
    #[error(
        "for devices, {} (component {}) would be neither newer nor older than {} (component {}), which is another file",
        .0.0, .0.0.component, .0.1, .0.1.component
    )]
    Collision(Box<(PackageId, PackageId)>),
    /// The suite had the package and took it back.
    #[error("{0} was taken back")]
    TakenBack(PackageId),
    /// The suite was to be new.
    #[error("the suite exists already, and is not like that")]
    Exists,
    /// The given architectures lack one that the suite has.
    #[error("the suite has packages for {0}, which is not one of the given architectures")]
    DropsArchitecture(Architecture),
    /// All components were to be removed.
    #[error("the suite would have no component left")]
    NoComponent,
    /// The given architectures lack that of a package.
    #[error("{0} is not for one of the given architectures")]
    ForeignArchitecture(PackageId),
    /// It has no index of its own.
    #[error("“{name}” cannot be one of a suite's architectures: {}", no_index(.name))]
    NoIndex { name: Architecture },
    /// Indexes of the suite are stored in none of the formats that this program knows.
    #[error("this version of debucket knows none of the formats of the suite's indexes: {}", .0.join(", "))]
    NoKnownFormat(Vec<String>),
    /// An index of the base was not given to the plan.
    #[error("the index {0} was not read")]
    NotRead(IndexPath),
    #[error("the repository's index {0} is broken")]
    Broken(IndexPath, #[source] StanzaError),
}

fn no_index(of: &Architecture) -> &'static str {
    if of.is_all() {
        "packages for it are in the index of each"
    } else {
        "no package is built for it"
    }
}

impl PlanError {
    /// Whether it is about other content, as opposed to a wrong call or a broken repository.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Clash(_)
                | Self::Conflict { .. }
                | Self::Collision(_)
                | Self::TakenBack(_)
                | Self::Exists
        )
    }
}

impl Plan {
    /// Whether the suite stays as it is.
    #[must_use]
    pub fn is_empty(&self, base: Option<&Commit>) -> bool {
        base.is_some_and(|base| {
            base.settings == self.settings && base.indexes.len() == self.indexes.len()
        }) && !self.refreshes
            && !self.closes
            && self.indexes.values().all(|index| *index == IndexPlan::Keep)
    }
}
