//! What can go wrong. Each error maps to one exit code; [`Error::advice`] says what to do next.

use clap::ValueEnum;
use deb_index::{
    change::PlanError,
    deb::{
        DebError,
        changes::{ChangesError, Differs},
    },
    fingerprint::Fingerprint,
    name::SuiteName,
    package_id::PackageId,
};
use repo_signing::{CertificateError, GenerateError, KeyFileError};
use repository::Stage;
use serde::Serialize;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// A file that is not a package.
    #[error("{path}: {problem}")]
    Deb { path: String, problem: DebError },
    /// A file that is not a `.changes`.
    #[error("{path}")]
    Changes { path: String, source: ChangesError },
    /// A package that is not the one that a `.changes` lists.
    #[error("{path}: {problem}")]
    Differs { path: String, problem: Differs },
    /// A `.changes` of a package that its maintainer has not finished.
    #[error(
        "the .changes file is for UNRELEASED, which is no suite but a mark for what is not finished"
    )]
    Unreleased,
    /// A file that cannot be read or written.
    #[error("{path}")]
    File {
        path: String,
        source: std::io::Error,
    },
    /// A file that is not written because it exists.
    #[error("{0}: the file exists, and is never overwritten")]
    Exists(String),
    /// A folder that a file was to be written into.
    #[error("{0}: no such folder")]
    NoFolder(String),
    /// A signing key that cannot be used; the path is that of the file, or the variable's name.
    #[error("{path}")]
    Key { path: String, source: KeyFileError },
    /// A file that holds no public keys.
    #[error("{path}")]
    Keyring {
        path: String,
        source: CertificateError,
    },
    /// The variable holds neither a key nor the path of a file that can be read.
    #[error("{name} holds neither a key nor the path of a file that can be read ({problem})")]
    KeyVariable {
        name: &'static str,
        problem: std::io::ErrorKind,
    },
    /// The file with the passphrase cannot be read. Its path may be the passphrase itself, so it is not shown.
    #[error("the passphrase's file cannot be read")]
    Passphrase(#[source] std::io::Error),
    /// An argument or a variable, by its place, looks like a key.
    #[error("{0} looks like a key or a piece of one, so nothing of it is shown")]
    Secret(String),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// No file matches a path.
    #[error("{0}: no such file")]
    NoFile(String),
    /// A folder without packages.
    #[error("{0}: no .deb in this folder; what is in folders below it is not looked at")]
    NoPackage(String),
    /// A package that was asked for is not there.
    #[error("suite {suite}{} has no {what}", of(.repository.as_ref()))]
    NotFound {
        suite: SuiteName,
        what: String,
        /// Where it is not in the repository that is changed.
        repository: Option<String>,
    },
    /// Versions that were to be taken back, and no other is left.
    #[error("suite {suite} had no version before {}", list(.packages))]
    NoEarlierVersion {
        suite: SuiteName,
        packages: Vec<PackageId>,
    },
    /// The same, because the versions before are damaged or were collected.
    #[error("what suite {suite} had before {} is lost", list(.packages))]
    EarlierLost {
        suite: SuiteName,
        packages: Vec<PackageId>,
        source: Box<repository::Error>,
    },
    /// A suite that packages were to be taken from unchecked.
    #[error("suite {0} is signed, so nothing is taken from it unchecked")]
    SourceIsSigned(SuiteName),
    /// A key that was to be taken out.
    #[error("suite {suite} is not signed by the key {key}")]
    NoKey { suite: SuiteName, key: Fingerprint },
    /// The head of a suite that gets new keys is lost, and with it what the old ones signed.
    #[error(
        "the head of suite {0} is lost, and no signature by a key in --keyring vouches for its newest commit"
    )]
    ResetUnproven(SuiteName),
    /// The same, and any of several commits may be the newest.
    #[error("{0}")]
    NameCommit(String),
    /// A suite that was to be created.
    #[error("suite {0} exists already, with other settings")]
    SuiteExists(SuiteName),
    /// Another build of a package is in a suite.
    #[error("suite {suite} has {id} in {} already, with other content: {key}", .id.component)]
    OtherBuild {
        suite: SuiteName,
        id: PackageId,
        key: String,
    },
    /// A package was taken back, so it does not come in again in passing.
    #[error("{id} (component {}) was taken back from suite {suite}", .id.component)]
    TakenBack { suite: SuiteName, id: PackageId },
    /// Devices would take neither of two packages for newer. The second one is in the suite, or is given too.
    #[error(
        "for devices of suite {suite}, {} (component {}) would be neither newer nor older than {} (component {}), which is another file",
        .ids.0, .ids.0.component, .ids.1, .ids.1.component
    )]
    Collision {
        suite: SuiteName,
        ids: Box<(PackageId, PackageId)>,
    },
    /// A verification found something, and reported it.
    #[error("problems were found: {0}")]
    Problems(usize),
    /// Checks failed, and were reported.
    #[error("checks failed: {failed}")]
    Unhealthy {
        failed: usize,
        /// Whether each of them failed because a suite that was named is not there.
        are_missing: bool,
    },
    /// The call makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Standard output cannot be written.
    #[error("the result could not be written to standard output")]
    Output(#[source] std::io::Error),
    /// The change took effect, but its result could not be printed.
    #[error("{result}, but this could not be written to standard output")]
    Unprinted {
        result: String,
        source: std::io::Error,
    },
    #[error("{}", interrupted(*.stage, *.goes_on))]
    Interrupted {
        signal: i32,
        stage: Stage,
        /// Whether it was in the middle of work of which the same command does the rest.
        goes_on: bool,
    },
    #[error("the program could not start its threads")]
    Runtime(#[source] std::io::Error),
}

fn of(repository: Option<&String>) -> String {
    repository.map_or_else(String::new, |repository| format!(" of {repository}"))
}

fn interrupted(stage: Stage, goes_on: bool) -> String {
    match stage {
        _ if goes_on => "interrupted before all was done".to_owned(),
        Stage::Preparing => "interrupted; nothing was changed".to_owned(),
        Stage::MovingHead => {
            "interrupted while the change was taking effect, so it is not known whether it did"
                .to_owned()
        }
        Stage::Committed(id) => {
            format!(
                "interrupted after the change took effect as commit {}",
                crate::text::short(&id)
            )
        }
    }
}

/// Who uses a repository, and with which rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A device that installs
    Reader,
    /// A CI job that publishes
    Publisher,
    /// A timer that collects garbage
    Collector,
    /// An administrator who deletes suites, and may also publish
    Deleter,
}

impl Role {
    /// Whether it commits to suites, and so signs them.
    pub(crate) fn commits(self) -> bool {
        matches!(self, Self::Publisher | Self::Deleter)
    }
}

impl Error {
    /// The program's exit code: 1 failed, 2 usage, 3 conflict, 4 not found; 128 and the signal's number if it was interrupted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Repository(repository::Error::Source { source, .. })
                if matches!(**source, repository::Error::Missing(_)) =>
            {
                4
            }
            Self::Repository(repository::Error::Plan(error)) if error.is_conflict() => 3,
            Self::SuiteExists(_)
            | Self::OtherBuild { .. }
            | Self::Collision { .. }
            | Self::TakenBack { .. }
            | Self::Repository(
                repository::Error::ChangedMeanwhile { .. }
                | repository::Error::IsAlias { .. }
                | repository::Error::AliasTaken { .. }
                | repository::Error::AliasLags { .. }
                | repository::Error::Deleting { .. }
                | repository::Error::Nested { .. }
                | repository::Error::Reserved { .. }
                | repository::Error::BeingFounded { .. }
                | repository::Error::Replaced { .. }
                | repository::Error::Deleted { .. },
            ) => 3,
            Self::Repository(repository::Error::Plan(
                PlanError::DropsArchitecture(_)
                | PlanError::NoComponent
                | PlanError::ForeignArchitecture(_)
                | PlanError::NoIndex { .. },
            ))
            | Self::Usage(_)
            | Self::Unreleased
            | Self::Secret(_) => 2,
            Self::Repository(repository::Error::Missing(_))
            | Self::NotFound { .. }
            | Self::Unhealthy {
                are_missing: true, ..
            }
            | Self::NoEarlierVersion { .. }
            | Self::NoKey { .. }
            | Self::NoFile(_)
            | Self::NoPackage(_) => 4,
            Self::Interrupted { signal, .. } => u8::try_from(128 + signal).unwrap_or(1),
            _ => 1,
        }
    }
}

/// What was asked for and a suite does not have.
pub(crate) fn not_found(suite: &SuiteName, packages: &[impl ToString]) -> Error {
    Error::NotFound {
        suite: suite.clone(),
        what: format!("package {}", list(packages)),
        repository: None,
    }
}

/// Names in a sentence.
pub(crate) fn list(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

/// An error and what caused it, on one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_races_a_deletion_has_a_conflict() {
        let suite = || "stable".parse().unwrap();
        for error in [
            repository::Error::Deleting { suite: suite() },
            repository::Error::Deleted { suite: suite() },
        ] {
            let error = Error::from(error);
            assert_eq!(error.exit_code(), 3);
            assert!(error.advice(Role::Publisher).is_some());
        }
    }
}
