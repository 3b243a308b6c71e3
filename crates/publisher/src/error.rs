//! What can go wrong, and what to do next. Each error maps to one exit code.

use deb_index::{
    commit::CommitError, deb::DebError, digest::Sha256, name::SuiteName, plan::PlanError,
    release::ReleaseError,
};
use repo_signing::{CertificateError, GenerateError, KeyFileError, SignError, VerifyError};
use s3_storage::ErrorKind;

/// A failed command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's.
    #[error(transparent)]
    Storage(#[from] s3_storage::Error),
    /// The plan's: conflicts, and wishes that cannot be met.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file that is not a package.
    #[error("{path}: {source}")]
    Deb {
        /// Of the file.
        path: String,
        /// How.
        source: DebError,
    },
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Of the file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A signing key that cannot be used.
    #[error("{path}: {source}")]
    Key {
        /// Of the file, or the variable's name.
        path: String,
        /// Why.
        source: KeyFileError,
    },
    /// A file that holds no public keys.
    #[error("{path}: {source}")]
    Keyring {
        /// Of the file.
        path: String,
        /// Why.
        source: CertificateError,
    },
    /// No key pair could be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// No file matches.
    #[error("{0}: no such file, and no .deb there")]
    NoFile(String),
    /// The head is not signed by a trusted key.
    #[error("the InRelease of suite {suite} cannot be trusted: {source}")]
    Untrusted {
        /// The suite.
        suite: SuiteName,
        /// Why.
        source: VerifyError,
    },
    /// The head is signed by a key that its own commit does not list.
    #[error("suite {suite} is signed by {key}, but accepts only {}", accepted.join(", "))]
    NotAccepted {
        /// The suite.
        suite: SuiteName,
        /// The key that signed, or is about to.
        key: String,
        /// The keys in the suite's settings.
        accepted: Vec<String>,
    },
    /// A signed suite has lost its head.
    #[error("suite {suite} is signed, but its InRelease is missing")]
    SignatureMissing {
        /// The suite.
        suite: SuiteName,
    },
    /// No key, and no word that there shall be none.
    #[error("no signing key was given for suite {suite}")]
    NoKey {
        /// The suite.
        suite: SuiteName,
        /// Whether it exists and is signed.
        is_signed: bool,
    },
    /// A key for a suite that has none.
    #[error("suite {suite} is unsigned, but a signing key was given")]
    SuiteIsUnsigned {
        /// The suite.
        suite: SuiteName,
    },
    /// The `Release` is malformed or another program's.
    #[error("suite {suite}: {source}")]
    Release {
        /// The suite.
        suite: SuiteName,
        /// How.
        source: ReleaseError,
    },
    /// A commit is damaged.
    #[error("suite {suite}, commit {id}: {source}")]
    Commit {
        /// The suite.
        suite: SuiteName,
        /// The commit.
        id: Sha256,
        /// How.
        source: CommitError,
    },
    /// Something that the head names is gone or has other content.
    #[error("suite {suite} is damaged: {reason}")]
    Damaged {
        /// The suite.
        suite: SuiteName,
        /// How.
        reason: String,
    },
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Another suite has other bytes under the same key.
    #[error("{identity} is in suite {suite} with other content: {key}")]
    Taken {
        /// Name, version and architecture.
        identity: String,
        /// The suite that uses the key.
        suite: SuiteName,
        /// The key.
        key: String,
    },
    /// The store ignores preconditions.
    #[error("the store does not support conditional writes: {0}")]
    NoConditionalWrites(s3_storage::Gap),
    /// The store's replies have no date.
    #[error("the store sends no Date header, so the repository cannot be dated")]
    NoStoreTime,
    /// The race for the head was lost too often.
    #[error(
        "other publishers won the race for suite {suite} {attempts} times; nothing was changed"
    )]
    Contention {
        /// The suite.
        suite: SuiteName,
        /// How often it was tried.
        attempts: u32,
    },
    /// The head was written, but the store never said so.
    #[error(
        "suite {suite}: the store did not answer, so it is not known whether the change took effect: {source}"
    )]
    Unknown {
        /// The suite.
        suite: SuiteName,
        /// The store's error.
        source: s3_storage::Error,
    },
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// The call makes no sense.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The program's exit code: 1 failed, 2 usage, 3 conflict, 4 not found.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(error) if error.is_conflict() => 3,
            Self::Taken { .. } => 3,
            Self::Plan(
                PlanError::DropsArchitecture(_)
                | PlanError::ForeignArchitecture { .. }
                | PlanError::AllIsNone,
            )
            | Self::Usage(_) => 2,
            Self::NotFound(_) | Self::NoFile(_) => 4,
            _ => 1,
        }
    }

    /// What to do next.
    pub fn advice(&self) -> Option<String> {
        let advice = match self {
            Self::Storage(error) => return storage_advice(error),
            Self::Plan(PlanError::Conflict { .. }) | Self::Taken { .. } => {
                "give the new build a higher version, or pass --replace if the old one must go"
            }
            Self::Plan(PlanError::Clash { .. }) => "give each version once",
            Self::Plan(PlanError::ForeignArchitecture { .. }) => {
                "add the architecture to --architectures"
            }
            Self::Deb { .. } => {
                "check that the build finished and that the file was copied whole (dpkg-deb --info FILE)"
            }
            Self::File { .. } => "check the path, and that this user may read the file",
            Self::Key { .. } => {
                "--sign-key takes the secret key that `debucket key generate` or `gpg --export-secret-keys` writes, and \
                 --sign-key-passphrase-file the file that has its passphrase"
            }
            Self::Keyring {
                source: CertificateError::Secret(_),
                ..
            } => "`debucket key export --sign-key FILE` prints the public half",
            Self::NoFile(_) => "give .deb files, folders that hold some, or quoted globs",
            Self::NotFound(_) => {
                "check --repo, --suite and the name; `debucket list` prints what a suite has"
            }
            Self::Untrusted { .. } => {
                "if another key signs this suite, give its public part with --keyring; if nobody should have written to \
                 the bucket, find out who did before you publish"
            }
            Self::NotAccepted { .. } => {
                "sign with a key that the suite accepts, or clients will refuse it"
            }
            Self::SignatureMissing { .. } => {
                "somebody deleted it: restore it from the bucket's version history, then publish again"
            }
            Self::NoKey {
                is_signed: false, ..
            } => {
                "make one with `debucket key generate` and pass --sign-key FILE (or set DEBUCKET_SIGN_KEY), or pass --unsigned"
            }
            Self::NoKey {
                is_signed: true, ..
            } => {
                "the suite is signed: pass its key with --sign-key FILE (or set DEBUCKET_SIGN_KEY)"
            }
            Self::SuiteIsUnsigned { .. } => {
                "pass --unsigned to go on like that, or publish signed into a new suite"
            }
            Self::Release {
                source: ReleaseError::NotOurs,
                ..
            } => {
                "another tool wrote this suite; publish into a new suite (--suite) or another prefix"
            }
            Self::Release { .. } | Self::Commit { .. } | Self::Damaged { .. } => {
                "restore the object from the bucket's version history"
            }
            Self::NoConditionalWrites(_) => {
                "use a store that has them (AWS S3, MinIO, R2, SeaweedFS), or pass --single-writer and make sure yourself that \
                 only one publisher ever runs at a time"
            }
            Self::Contention { .. } => "run the same command again",
            Self::Unknown { .. } => {
                "run the same command again: it changes nothing if the change is there"
            }
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

fn storage_advice(error: &s3_storage::Error) -> Option<String> {
    let advice = match error.kind() {
        ErrorKind::NoSuchBucket => {
            "check --repo (or DEBUCKET_REPO), --region and --endpoint-url; debucket does not create buckets"
        }
        ErrorKind::PermissionDenied => {
            "`debucket client-config --policy publisher` prints the least IAM policy that is needed"
        }
        ErrorKind::BadCredentials => {
            "check the credentials: `aws sts get-caller-identity` shows whose they are"
        }
        ErrorKind::NoCredentials => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile with --profile, or run where a role is attached"
        }
        ErrorKind::ClockSkew => "set this machine's clock (timedatectl set-ntp true)",
        ErrorKind::Connect(_) | ErrorKind::Timeout => {
            "check --endpoint-url, the network and the proxy; then run the same command again"
        }
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Truncated => {
            "run the same command again later"
        }
        ErrorKind::LocalFile | ErrorKind::ChecksumMismatch => {
            "the file may have changed while it was sent: run the same command again"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}
