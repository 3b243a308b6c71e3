//! The commit: one step in the history of a suite, stored as `dists/<suite>/commits/<sha256>.json`.
//!
//! A commit is named by the digest of its bytes, and it names its parent; the signed head names the newest one. So whoever
//! has verified the head can trust the whole chain. It holds all that a publisher must know to build on it: the suite's
//! settings and the index files, so that publishers agree without a shared configuration.
//!
//! Unknown fields are ignored, so that later programs may add some (the digests' saved states of a growing index, say);
//! a change that older programs must not build on raises [`Commit::FORMAT`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    compression::Format,
    digest::Sha256,
    name::{Architecture, Component, PackageName},
    settings::Settings,
    version::Version,
};

/// A step in the history of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this format.
    pub format: u32,
    /// The commit that this one was built on; none for the first.
    pub parent: Option<Sha256>,
    /// The `Date` of its `Release`, by the store's clock.
    pub time: Timestamp,
    /// Who made it: `user@host`, or the CI job.
    pub author: String,
    /// The program that made it: `debucket 0.1.0`.
    pub tool: String,
    /// Why it was made, in the author's words; may be empty.
    pub message: String,
    /// How the suite is set up from here on.
    pub settings: Settings,
    /// What it changed.
    pub changes: Vec<Change>,
    /// All the suite's indexes as it leaves them, ordered by component and architecture.
    pub indexes: Vec<Index>,
}

/// What happened to one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was done.
    pub action: Action,
    /// Where.
    pub component: Component,
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Its architecture, `all` included.
    pub architecture: Architecture,
    /// Digest of the `.deb`.
    pub sha256: Sha256,
    /// Its key, relative to the repository.
    pub filename: String,
}

/// What was done to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Add,
    /// It took the place of other bytes of the same name, version and architecture.
    Replace,
}

/// A `Packages` index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its component.
    pub component: Component,
    /// Its architecture.
    pub architecture: Architecture,
    /// Number of its stanzas.
    pub stanzas: u64,
    /// The plain index, which is not stored.
    #[serde(flatten)]
    pub plain: Stored,
    /// Its stored forms.
    pub files: BTreeMap<Format, Stored>,
}

/// Length and digest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// Digest.
    pub sha256: Sha256,
}

impl Stored {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            size: bytes.len() as u64,
            sha256: Sha256::of(bytes),
        }
    }
}

/// Why a commit cannot be built upon.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Not the bytes that its name says.
    #[error(
        "the commit {expected} has other content ({found}): the repository is damaged or was tampered with"
    )]
    Tampered {
        /// Its name.
        expected: Sha256,
        /// The digest of what was found.
        found: Sha256,
    },
    /// Not a commit.
    #[error("the commit is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A later program's.
    #[error("the commit has format {0}, which this version does not know: use a newer debucket")]
    TooNew(u32),
}

impl Commit {
    /// The format that is written, and the newest that is understood.
    pub const FORMAT: u32 = 1;

    /// Its bytes, as they are stored, and their digest: its name.
    pub fn to_bytes(&self) -> (Vec<u8>, Sha256) {
        // Strings, numbers and lists of them: there is nothing that JSON could refuse.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        let id = Sha256::of(&bytes);
        (bytes, id)
    }

    /// Reads the commit `id`.
    ///
    /// # Errors
    /// [`CommitError`]: other bytes than the name says, malformed, or too new.
    pub fn parse(id: &Sha256, bytes: &[u8]) -> Result<Self, CommitError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let found = Sha256::of(bytes);
        if found != *id {
            return Err(CommitError::Tampered {
                expected: *id,
                found,
            });
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format > Self::FORMAT {
            return Err(CommitError::TooNew(head.format));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The index of a component and an architecture.
    pub fn index(&self, component: &Component, architecture: &Architecture) -> Option<&Index> {
        self.indexes
            .iter()
            .find(|index| index.component == *component && index.architecture == *architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first() -> Commit {
        Commit {
            format: Commit::FORMAT,
            parent: None,
            time: Timestamp::from_second(1_764_000_000).unwrap(),
            author: "ci@build".into(),
            tool: "debucket 0.1.0".into(),
            message: String::new(),
            settings: Settings {
                components: vec!["main".parse().unwrap()],
                ..Settings::default()
            },
            changes: Vec::new(),
            indexes: vec![Index {
                component: "main".parse().unwrap(),
                architecture: "amd64".parse().unwrap(),
                stanzas: 0,
                plain: Stored::of(b""),
                files: BTreeMap::from([(Format::Gz, Stored::of(b"gz"))]),
            }],
        }
    }

    #[test]
    fn is_read_as_it_was_written() {
        let (bytes, id) = first().to_bytes();
        assert_eq!(Commit::parse(&id, &bytes).unwrap(), first());
    }

    #[test]
    fn other_bytes_are_tampering() {
        let (mut bytes, id) = first().to_bytes();
        bytes.push(b' ');
        assert!(matches!(
            Commit::parse(&id, &bytes),
            Err(CommitError::Tampered { .. })
        ));
    }

    #[test]
    fn fields_of_later_programs_are_ignored_but_not_a_later_format() {
        let (bytes, _) = first().to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        let more = text.replacen('{', "{\"midstates\": [1],", 1);
        assert_eq!(
            Commit::parse(&Sha256::of(more.as_bytes()), more.as_bytes()).unwrap(),
            first()
        );
        let later = text.replacen("\"format\": 1", "\"format\": 2", 1);
        assert!(matches!(
            Commit::parse(&Sha256::of(later.as_bytes()), later.as_bytes()),
            Err(CommitError::TooNew(2))
        ));
    }
}
