//! What is wrong with a suite: which object, how bad it is, and what can be done about it.

use std::fmt;

use bytes::Bytes;
use deb_index::{digest::Sha256, index::IndexPath, name::SuiteName};

/// Something that is not as it has to be.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The suite; none if it is about the repository.
    pub suite: Option<SuiteName>,
    pub part: Part,
    /// The object that it is about.
    pub key: String,
    /// What is wrong, to be read after the key: `is missing`.
    pub text: String,
    pub severity: Severity,
    pub remedy: Remedy,
    pub(crate) fix: Option<Fix>,
}

/// What an object is to a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// `InRelease`, or the `Release` of an unsigned suite.
    Head,
    /// A key that signs the head.
    Key,
    /// The date of the head, or the end of its validity.
    Date,
    /// The commit that the head names.
    Commit,
    /// An index file that the head names.
    Index,
    /// A file in the pool that an index names.
    Package,
    /// An earlier commit, or what it names.
    History,
    /// What clients without `InRelease`, or without fetching by hash, read.
    Follower,
    /// `suite.json`.
    Founding,
    /// The record of what a garbage collection is going to delete.
    Condemned,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Devices or publishers fail.
    Error,
    /// What the suite is now is whole.
    Warning,
}

/// What can be done about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// [`Repository::repair`](crate::Repository::repair) does it.
    Repair,
    /// As [`Remedy::Repair`], but no signature vouches for what would be signed, so the caller has to allow it.
    RepairUnproven,
    /// As [`Remedy::RepairUnproven`], but any of several commits may be the newest, so the caller has to name one.
    NameCommit,
    /// The suite's key has to be given first: a signature may vouch for what would be signed, and nobody has checked it.
    GiveKey,
    /// Another command, or the store's own settings.
    Manual,
    /// The name in whose folder the object is has to be deleted, or its deletion brought to an end.
    Delete,
    /// The content is nowhere in the repository.
    Lost,
}

/// How a problem is repaired.
#[derive(Debug, Clone)]
pub(crate) enum Fix {
    /// An index file whose content was found elsewhere.
    Index {
        sha256: Sha256,
        bytes: Bytes,
    },
    /// The head is to name this commit.
    Head {
        commit: Sha256,
        is_proven: bool,
    },
    /// A commit is to be built on the head, whose own is lost, or which is not known to be the newest.
    Commit {
        is_proven: bool,
    },
    /// A commit is to be built on the head that has this index, whose files cannot be had as the head names them.
    Rewrite {
        path: IndexPath,
        plain: Bytes,
        is_proven: bool,
    },
    /// The suite is to begin anew with what is in the pool.
    Pool,
    /// A follower that is to be written, whatever it says that it follows.
    Follower,
    /// The record that one commit took the place of another.
    Succession {
        parent: Option<Sha256>,
        id: Sha256,
    },
    Founding {
        signed: bool,
    },
    /// The folder of an alias that is to be said to be the suite's.
    Alias(SuiteName),
}

impl Problem {
    pub(crate) fn fixed_by(mut self, fix: Option<Fix>) -> Self {
        if let Some(fix) = &fix {
            self.remedy = match fix {
                Fix::Head {
                    is_proven: false, ..
                }
                | Fix::Commit { is_proven: false }
                | Fix::Rewrite {
                    is_proven: false, ..
                }
                | Fix::Pool => Remedy::RepairUnproven,
                _ => Remedy::Repair,
            };
        }
        self.fix = fix;
        self
    }
}

impl Problem {
    /// Whether nothing can be done about it, and nothing has to be: devices and publishers miss nothing.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.severity == Severity::Warning && self.remedy == Remedy::Lost
    }

    /// Whether only [`Depth::Content`](crate::Depth::Content) finds it again, and no repair helps.
    #[must_use]
    pub fn needs_content(&self) -> bool {
        let may_be_content = matches!(self.part, Part::Package | Part::Index | Part::History);
        self.fix.is_none() && may_be_content
    }
}

impl Part {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Key => "key",
            Self::Date => "date",
            Self::Commit => "commit",
            Self::Index => "index",
            Self::Package => "package",
            Self::History => "history",
            Self::Follower => "follower",
            Self::Founding => "founding",
            Self::Condemned => "condemned",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.text)
    }
}
