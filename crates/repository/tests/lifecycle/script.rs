//! What happens in a test, as data: a list of steps that shrinks well.

use crate::shelf::{COPIED, Package, SIGNED, SUITES};

/// How a life begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Empty,
    /// All suites have a package.
    Founded,
    /// So they have, and the first one was another program's. What goes wrong when it is taken over?
    Adopted(Mishap),
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A process begins. If the actor has one in flight, that ends first.
    Run {
        actor: usize,
        suite: usize,
        operation: Operation,
        mishap: Mishap,
    },
    /// A process that waits goes on, to where it waits again or to its end.
    Resume(usize),
    /// A process that waits is killed.
    Abandon(usize),
    /// Time goes on by one of [`SPANS`].
    Wait(usize),
    /// The store answers from a machine whose clock is a little behind.
    Lag,
    /// Time until what is not named any more is garbage, a collection, and time until what it has condemned may be deleted.
    Age { keep_days: i64 },
    /// A device begins an update.
    Update(usize),
}

impl Step {
    /// The same, with another history that a collection keeps.
    pub(crate) fn keeping(mut self, days: i64) -> Self {
        match &mut self {
            Self::Age { keep_days }
            | Self::Run {
                operation: Operation::Collect { keep_days },
                ..
            } => *keep_days = days,
            _ => {}
        }
        self
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Publish {
        component: usize,
        packages: Vec<File>,
        replace: bool,
        phase: Option<u8>,
        keep: Option<u32>,
        has_all_keys: bool,
        /// Another suite of the repository that it publishes into, after the first.
        also: Option<usize>,
    },
    Remove {
        selector: usize,
    },
    Promote {
        from: usize,
        selector: usize,
        mirror: bool,
        replace: bool,
        phase: Option<u8>,
        /// The component that all go to.
        to: Option<usize>,
    },
    Prune {
        selector: usize,
        newest: u32,
        /// Only what is below this version.
        below: Option<usize>,
        /// Only what has been there for longer than this one of [`SPANS`].
        older_than: Option<usize>,
    },
    /// To so many commits before, or to how it was so long ago, by one of [`SPANS`].
    Rollback {
        back: usize,
        ago: Option<usize>,
    },
    Phase {
        selector: usize,
        percent: u8,
    },
    Halt {
        selector: usize,
    },
    Refresh,
    /// With or without leave to change what devices have to accept.
    Set(Setting, bool),
    /// An empty suite with this setting.
    Create(Setting),
    AddKey(usize),
    RetireKey(usize),
    /// A key takes the place of all that were lost. Whether their certificates are at hand.
    ResetKeys(usize, bool),
    /// Takes the suite over from another program.
    Adopt,
    Delete,
    /// Deletes what the alias showed last.
    DeleteAlias,
    Repair,
    Collect {
        keep_days: i64,
    },
}

impl Operation {
    /// Whether the publisher has all keys, and not only the first.
    pub(crate) fn has_all_keys(&self) -> bool {
        match self {
            Self::Publish { has_all_keys, .. } => *has_all_keys,
            Self::Adopt => false,
            _ => true,
        }
    }

    /// The suites that it changes, in this order, if it is about a suite.
    pub(crate) fn suites(&self, suite: usize) -> Vec<usize> {
        let also = match self {
            Self::Publish { also, .. } => *also,
            _ => None,
        };
        let is_other = |also: &usize| *also != suite && suite != COPIED;
        [suite].into_iter().chain(also.filter(is_other)).collect()
    }

    /// The suite that packages are promoted from, into a suite.
    pub(crate) fn source(&self, into: usize) -> Option<usize> {
        match self {
            Self::Promote { from, to, .. } if *from == into && to.is_none() => {
                Some((from + 1) % SUITES.len())
            }
            Self::Promote { from, .. } => Some(*from),
            _ => None,
        }
    }

    pub(crate) fn takes_alias(&self) -> bool {
        let (Self::Set(setting, _) | Self::Create(setting)) = self else {
            return false;
        };
        matches!(setting, Setting::Alias(true))
    }

    /// The suite that it is about in place of another, where that makes no sense.
    pub(crate) fn own_suite(&self, suite: usize) -> usize {
        match self {
            Self::AddKey(_) | Self::RetireKey(_) | Self::ResetKeys(..) | Self::DeleteAlias => {
                SIGNED
            }
            Self::Set(Setting::Alias(_), _) | Self::Create(Setting::Alias(_)) => suite % COPIED,
            _ => suite,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    pub(crate) name: usize,
    pub(crate) version: usize,
    pub(crate) architecture: usize,
    pub(crate) build: usize,
}

impl File {
    pub(crate) fn package(self, component: usize) -> Package {
        Package {
            component,
            name: self.name,
            architecture: self.architecture,
            version: self.version,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Setting {
    NotAutomatic(bool),
    Label(Option<usize>),
    Keep(Option<u32>),
    /// Valid for a week, or for ever.
    Valid(bool),
    /// One of [`ARCHITECTURE_LISTS`]; and whether others may be dropped.
    Architectures(usize, bool),
    /// One of [`FORMAT_LISTS`].
    Formats(usize),
    Component(usize),
    DropComponent(usize),
    /// Whether the suite has the alias.
    Alias(bool),
}

/// What goes wrong, counted from the first request of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    Nothing,
    Kill {
        write: u64,
        after: bool,
    },
    LoseReply {
        write: u64,
    },
    Refuse {
        write: u64,
    },
    /// It waits before it deletes anything.
    PauseBeforeDeleting,
    /// It waits, and again so many requests later.
    Pause {
        request: u64,
        again: Option<u64>,
    },
}

pub(crate) const LABELS: [&str; 2] = ["One", "Two"];
pub(crate) const FORMAT_LISTS: [&[&str]; 4] = [&["gz", "zst"], &["gz"], &["zst"], &["gz", "xz"]];
pub(crate) const ARCHITECTURE_LISTS: [&[&str]; 4] = [
    &["amd64", "arm64"],
    &["amd64", "arm64", "riscv64"],
    &["riscv64", "amd64", "arm64"],
    &["amd64"],
];
/// In seconds.
pub(crate) const SPANS: [u64; 6] = [1, 1200, 4000, 11 * 3600, 25 * 3600, 4 * 24 * 3600];
/// Which packages each means is in the model.
pub(crate) const SELECTORS: [&str; 6] = [
    "*",
    "alpha",
    "lib*:amd64",
    "alpha=1.0",
    "*b* (>= 1.0-1)",
    "alpha:all",
];

/// Two publishers and the collector.
pub(crate) const ACTORS: usize = 3;
pub(crate) const COLLECTOR: usize = 2;
