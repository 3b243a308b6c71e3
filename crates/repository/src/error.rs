//! What can go wrong, sorted by what the caller can do about it. What to do next is for the caller to say, in the words of
//! its users.

use std::fmt;

use deb_index::{
    change::{PlanError, client_view::ViewChange},
    digest::Sha256,
    fingerprint::Fingerprint,
    name::SuiteName,
    stanza::StanzaError,
    suite::{commit::CommitError, foreign::ForeignError, release::ReleaseError},
};
use jiff::Timestamp;
use repo_signing::{ChooseError, Issuer, SignError, VerifyError};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] s3_storage::Error),
    /// Conflicts, and changes that are impossible.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What was asked for does not exist.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The `InRelease` of another program.
    #[error("the InRelease of suite {suite}, which another program wrote, cannot be trusted")]
    ForeignUntrusted {
        suite: SuiteName,
        source: VerifyError,
    },
    #[error("the InRelease of suite {suite} cannot be trusted")]
    Untrusted {
        suite: SuiteName,
        source: VerifyError,
    },
    /// The key that signed, or is about to, is not one that the suite accepts.
    #[error("suite {suite} is signed by {key}, but accepts only {}", list(.accepted))]
    NotAccepted {
        suite: SuiteName,
        key: Fingerprint,
        accepted: Vec<Fingerprint>,
    },
    /// Each of a suite's keys signs it, or devices that know only one of the others would refuse it.
    #[error("suite {suite} is also signed by {}, which was not given", list(.missing))]
    SignerMissing {
        suite: SuiteName,
        missing: Vec<Fingerprint>,
    },
    /// The head is lost, and so may be the keys that signed it.
    #[error("the lost head of suite {suite} was signed by {}, whose secret key was not given", list(.keys))]
    KeysOfLost {
        suite: SuiteName,
        keys: Vec<Fingerprint>,
    },
    /// It would be taken over without the signatures of keys that sign it now.
    #[error("suite {suite} is also signed by {}, and would be no longer", list(.keys))]
    SignaturesDropped { suite: SuiteName, keys: Vec<Issuer> },
    /// The last key was to be retired.
    #[error("suite {suite} would have no key left")]
    LastKey { suite: SuiteName },
    #[error("suite {suite} is signed, but its InRelease is missing")]
    SignatureMissing { suite: SuiteName },
    /// Keys were given to check the suite with, and there is nothing that they could check.
    #[error("suite {suite} is not signed, so no key vouches for it")]
    NotSigned { suite: SuiteName },
    /// No signer was given for a suite that has to be signed, or to one that does not exist yet.
    #[error(
        "no signing key was given for suite {suite}{}",
        if .keys.is_empty() { String::new() } else { format!(", which is signed by {}", list(.keys)) }
    )]
    NoSigner {
        suite: SuiteName,
        is_signed: bool,
        /// The keys that sign it, where that is known.
        keys: Vec<Fingerprint>,
    },
    #[error("suite {suite} is unsigned, but a signing key was given")]
    SuiteIsUnsigned { suite: SuiteName },
    /// The first publish of the suite, which may still run or was killed, decided otherwise about signing.
    #[error(
        "suite {suite} was begun as {} suite by another publish", if *.is_signed { "a signed" } else { "an unsigned" }
    )]
    FoundedOtherwise { suite: SuiteName, is_signed: bool },
    #[error("the Release file of suite {suite} cannot be used")]
    Release {
        suite: SuiteName,
        source: ReleaseError,
    },
    /// Another program's `Release`.
    #[error("suite {suite} cannot be taken over from its Release file")]
    Foreign {
        suite: SuiteName,
        source: ForeignError,
    },
    /// A suite to take over has no signature.
    #[error(
        "suite {suite} is not signed, so it may have been changed by anyone who can write to it"
    )]
    Unverified { suite: SuiteName },
    /// Something is broken in a suite to take over, and was not accepted.
    #[error("suite {suite} is broken: {problems} problems were found")]
    Broken { suite: SuiteName, problems: usize },
    /// Another program wrote what is at the key of the head, but the suite has commits of its own.
    #[error("suite {suite} has a history of its own, but another program wrote over its head")]
    Overwritten { suite: SuiteName },
    #[error("another program changed suite {suite} meanwhile; nothing was taken over")]
    ChangedMeanwhile { suite: SuiteName },
    #[error("commit {id} of suite {suite} cannot be used")]
    Commit {
        suite: SuiteName,
        id: Sha256,
        source: CommitError,
    },
    /// The files of one suite were copied over those of another.
    #[error("the head of suite {suite} is that of suite {found}")]
    OtherSuite { suite: SuiteName, found: SuiteName },
    /// The name is not that of a suite, but another name of one.
    #[error("{alias} is an alias of suite {suite}")]
    IsAlias { alias: SuiteName, suite: SuiteName },
    /// A name cannot be an alias, because it is that of a suite, or the alias of another one.
    #[error("{alias} cannot be an alias of suite {suite}: {}", taken(.by.as_ref()))]
    AliasTaken {
        suite: SuiteName,
        alias: SuiteName,
        by: Option<SuiteName>,
    },
    #[error("the folder of suite {suite} would overlap with {folder}, which is a component's")]
    Nested {
        /// Folder of the component.
        folder: String,
        suite: String,
    },
    /// Devices would go on with the signed head of the suite that had the alias before.
    #[error("devices of {alias} expect a signature, but suite {suite} is unsigned")]
    AliasIsSigned { suite: SuiteName, alias: SuiteName },
    /// An alias shows a suite, but another suite holds it now.
    #[error("{alias} still shows suite {suite}, although it is an alias of {holder} now")]
    AliasLags {
        suite: SuiteName,
        alias: SuiteName,
        holder: SuiteName,
    },
    #[error("suite {suite} is being deleted")]
    Deleting { suite: SuiteName },
    /// An interrupted deletion may still delete what is written under the name.
    #[error("suite {suite} was deleted, and its name is reserved until {until}")]
    Reserved { suite: SuiteName, until: Timestamp },
    /// It is closed, and not deleted: a first head that lost the race may still arrive where there is none.
    #[error(
        "suite {suite} cannot be deleted before {until}: another publisher that began it may not have ended"
    )]
    BeingFounded { suite: SuiteName, until: Timestamp },
    /// It was deleted meanwhile, and its name may be that of a new suite by now.
    #[error("suite {suite} was deleted meanwhile, and another one may have its name")]
    Replaced { suite: SuiteName },
    /// What was read of it before is gone.
    #[error("suite {suite} was deleted meanwhile")]
    Deleted { suite: SuiteName },
    /// There is no head, but there are commits that had one.
    #[error(
        "suite {suite} has a history, but its head is missing: InRelease or Release was deleted"
    )]
    HeadVanished { suite: SuiteName },
    /// The head is an older commit than the suite has already had.
    #[error(
        "suite {suite} was put back: its head is commit {head}, but {newer} already took its place"
    )]
    PutBack {
        suite: SuiteName,
        head: Sha256,
        newer: Sha256,
        /// Whether something signed may still show the newer one.
        is_vouched: bool,
    },
    /// `Release` shows a commit that the head does not lead to.
    #[error(
        "suite {suite} may have been put back: its head is commit {head}, but its Release shows {shown}, which is not in \
         the head's history"
    )]
    MayBePutBack {
        suite: SuiteName,
        head: Sha256,
        shown: Sha256,
    },
    /// An object that the head names is missing or has other content.
    #[error("suite {suite} is damaged: {key} {problem}")]
    Damaged {
        suite: SuiteName,
        key: String,
        problem: &'static str,
    },
    #[error("suite {suite} is damaged: its index {path} is malformed")]
    MalformedIndex {
        suite: SuiteName,
        path: String,
        source: StanzaError,
    },
    /// A commit lies before one that is lost.
    #[error(
        "no signature vouches for commit {commit} of suite {suite}, because commit {lost}, which came later, is lost"
    )]
    Unproven {
        suite: SuiteName,
        commit: Sha256,
        lost: Sha256,
    },
    /// A commit that was named is missing or damaged.
    #[error("commit {commit} of suite {suite} is lost: it is missing or damaged")]
    CommitLost { suite: SuiteName, commit: Sha256 },
    /// A package that the suite has is not in the pool as it was, and its file is not at hand.
    #[error("{key} is missing from the pool or damaged, although suite {suite} has it")]
    FileLost { suite: SuiteName, key: String },
    /// What an alias shows cannot be read.
    #[error("what {alias} shows, which is or was an alias of suite {suite}, cannot be read")]
    AliasUnreadable {
        alias: SuiteName,
        suite: SuiteName,
        source: Box<Error>,
    },
    /// An object that the state of an earlier commit needs is lost.
    #[error("commit {commit} of suite {suite} is no longer whole: {key} {loss}")]
    NotWhole {
        suite: SuiteName,
        commit: Sha256,
        key: String,
        loss: Loss,
    },
    /// A garbage collection is deleting an object that a publisher needs.
    #[error("{key} is being deleted by a garbage collection")]
    BeingCollected { key: String },
    #[error("another garbage collection has been running since {since}")]
    CollectorRuns { since: Timestamp },
    #[error("publishers kept changing what was to be deleted; nothing was deleted")]
    CollectorContention,
    /// The suite is signed, and no key was given to verify it with.
    #[error("suite {suite} was not verified, so what it does not name cannot be deleted")]
    NotVerified { suite: SuiteName },
    /// Its packages cannot be taken over into another suite without knowing that they are its own.
    #[error("suite {suite} is signed, but no key was given to check it with")]
    NotChecked { suite: SuiteName },
    /// The repository that packages are to come from.
    #[error("packages cannot be taken from {repository}")]
    Source {
        repository: String,
        source: Box<Error>,
    },
    /// Suites whose package files may be in the pool, and cannot be told from garbage.
    #[error("another tool wrote {}, whose package files cannot be told from garbage", list(.suites))]
    OtherTools { suites: Vec<SuiteName> },
    #[error("gc/condemned.json was written by a later version of debucket")]
    CondemnedTooNew,
    /// It was changed so recently that a collector may still be deleting what it had doomed.
    #[error(
        "gc/condemned.json is malformed; until {until} a garbage collection may still delete what was on it"
    )]
    CondemnedMalformed { until: Timestamp },
    #[error("{0} could be any of several commits")]
    AmbiguousRevision(String),
    #[error("signing failed")]
    Sign(#[from] SignError),
    /// No key can sign, or only one that devices do not know.
    #[error("suite {suite} cannot be signed")]
    Key {
        suite: SuiteName,
        /// Fingerprint of its primary key.
        certificate: Fingerprint,
        source: ChooseError,
    },
    /// Devices would notice, and may refuse the suite until their users accept the change.
    #[error("devices that use suite {suite} would notice this change: {}", with_effects(.changes))]
    ReleaseInfo {
        suite: SuiteName,
        changes: Vec<ViewChange>,
    },
    #[error("the store's clock is far ahead: the store says {store}, this machine {own}")]
    StoreClock { store: Timestamp, own: Timestamp },
    #[error("the store does not support conditional writes: {0}")]
    NoConditionalWrites(s3_storage::Gap),
    #[error("the store sends no Date header, so the repository cannot be dated")]
    NoStoreTime,
    /// The store refuses the version tag that it gave for the same object.
    #[error(
        "the store refuses to replace the head of suite {suite}, although it is unchanged since it was read: a cache or proxy may alter ETags or serve old objects"
    )]
    TagRefused { suite: SuiteName },
    /// No write can name what it would replace.
    #[error(
        "the head of suite {suite} has the version tag {tag}, which no conditional write can name: a cache or proxy may alter ETags"
    )]
    WeakTag { suite: SuiteName, tag: String },
    #[error(
        "other publishers won the race for suite {suite} {attempts} times; nothing was changed"
    )]
    Contention { suite: SuiteName, attempts: u32 },
    /// The head was moved, and some of what follows it may show an earlier one.
    #[error("other publishers kept changing what follows the head of suite {suite}")]
    FollowersContention { suite: SuiteName },
    /// The head was sent, but whether the store took it is not known.
    #[error("it is not known whether the change of suite {suite} took effect")]
    Unknown {
        suite: SuiteName,
        source: Box<Error>,
    },
}

impl Error {
    /// Whether something signed may still show the newest head.
    pub(crate) fn is_vouched(&self) -> bool {
        !matches!(
            self,
            Self::PutBack {
                is_vouched: false,
                ..
            }
        )
    }

    /// Whether it says that the head is not, or may not be, the newest that the suite has had.
    pub(crate) fn is_put_back(&self) -> bool {
        matches!(
            self,
            Self::PutBack { .. } | Self::MayBePutBack { .. } | Self::Damaged { .. }
        )
    }
}

/// How an object is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Missing,
    /// It is damaged, or another one took its key.
    Changed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Changed => "has other content",
        })
    }
}

/// What does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("there is no suite {suite} in {repository}")]
    Suite {
        suite: SuiteName,
        repository: String,
    },
    /// There are package indexes without suites and components.
    #[error("there is no suite {suite} in {repository}, but a flat repository: {index}")]
    Flat {
        suite: SuiteName,
        repository: String,
        index: String,
    },
    /// It was one. What the alias shows stays as it was.
    #[error("suite {suite} no longer has the alias {alias}")]
    Alias { suite: SuiteName, alias: SuiteName },
    #[error("suite {suite} has no commit {revision} in its history")]
    Revision { suite: SuiteName, revision: String },
    #[error("suite {suite} has no commit of {time} or before: its oldest is of {oldest}")]
    Time {
        suite: SuiteName,
        time: Timestamp,
        oldest: Timestamp,
    },
    #[error("suite {suite} has no {what} {name}; it has {}", .there.join(", "))]
    Part {
        suite: SuiteName,
        /// `component` or `architecture`.
        what: &'static str,
        name: String,
        there: Vec<String>,
    },
}

fn taken(by: Option<&SuiteName>) -> String {
    by.map_or_else(
        || "there is a suite of this name".to_owned(),
        |by| format!("it is already an alias of suite {by}"),
    )
}

fn with_effects(changes: &[ViewChange]) -> String {
    let changes = changes.iter();
    let changes = changes.map(|change| format!("{change} ({})", change.effect()));
    changes.collect::<Vec<_>>().join(", ")
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
