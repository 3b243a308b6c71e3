//! What can go wrong, and what to do next. Each error maps to one exit code.

use deb_index::{
    change::PlanError,
    deb::DebError,
    name::SuiteName,
    suite::{commit::CommitError, release::ReleaseError},
};
use repo_signing::{CertificateError, ChooseError, GenerateError, KeyFileError};
use repository::{Missing, Stage};
use s3_storage::{ConnectProblem, ErrorKind, Refusable};

/// A failed command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// A file that is not a package.
    #[error("{path}: {source}")]
    Deb { path: String, source: DebError },
    /// A file that cannot be read or written.
    #[error("{path}")]
    File {
        path: String,
        source: std::io::Error,
    },
    /// A key file that is not written because it exists.
    #[error("{0}: the file exists, and keys are never overwritten")]
    Exists(String),
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
    #[error("DEBUCKET_SIGN_KEY holds neither a key nor the path of a file that can be read ({0})")]
    KeyVariable(std::io::ErrorKind),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// No file matches a path.
    #[error("{0}: no such file, and no .deb there")]
    NoFile(String),
    /// A package that was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// A suite that was to be created.
    #[error("suite {0} exists already, with other settings")]
    SuiteExists(SuiteName),
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
    #[error("{}", interrupted(*.stage))]
    Interrupted { signal: i32, stage: Stage },
    #[error("the program could not start its threads")]
    Runtime(#[source] std::io::Error),
}

fn interrupted(stage: Stage) -> String {
    match stage {
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

/// What the program was about to do in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Reader,
    Publisher,
}

impl Error {
    /// The program's exit code: 1 failed, 2 usage, 3 conflict, 4 not found; 128 and the signal's number if it was interrupted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Repository(repository::Error::Plan(error)) if error.is_conflict() => 3,
            Self::SuiteExists(_) | Self::Repository(repository::Error::ChangedMeanwhile { .. }) => {
                3
            }
            Self::Repository(repository::Error::Plan(
                PlanError::DropsArchitecture(_)
                | PlanError::ForeignArchitecture(_)
                | PlanError::ArchitectureAll,
            ))
            | Self::Usage(_) => 2,
            Self::Repository(repository::Error::Missing(_))
            | Self::NotFound(_)
            | Self::NoFile(_) => 4,
            Self::Interrupted { signal, .. } => u8::try_from(128 + signal).unwrap_or(1),
            _ => 1,
        }
    }

    /// What to do next, where the cause says so.
    #[must_use]
    pub fn advice(&self, role: Role) -> Option<String> {
        let advice = match self {
            Self::Repository(error) => return repository_advice(error, role),
            Self::Deb { .. } => {
                "correct the package and build it again (dpkg-deb --info FILE shows what is in it)"
            }
            Self::File { source, .. } => return file_advice(source).map(ToOwned::to_owned),
            Self::Exists(_) => "choose another path, or move the file away",
            Self::Key { source, .. } => return key_advice(source).map(ToOwned::to_owned),
            Self::KeyVariable(_) => {
                "set it to the armored secret key (on one line or several, or in base64), or to the path of its file"
            }
            Self::Keyring {
                source: CertificateError::Secret(_),
                ..
            } => "`debucket key export --sign-key FILE` prints the public half",
            Self::NoFile(_) => "give .deb files, folders that hold some, or quoted globs",
            Self::SuiteExists(_) => "change them with `debucket suite set`",
            Self::NotFound(_) => "`debucket list` prints what a suite has",
            Self::Interrupted {
                stage: Stage::MovingHead,
                ..
            } => "run the same command again: it changes nothing if the change is there",
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

fn file_advice(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Some("check the path"),
        std::io::ErrorKind::PermissionDenied => Some("make sure that this user may access it"),
        _ => None,
    }
}

fn key_advice(error: &KeyFileError) -> Option<&'static str> {
    match error {
        KeyFileError::PassphraseMissing(_) => Some(
            "give the file with its passphrase with --sign-key-passphrase-file, or set DEBUCKET_SIGN_KEY_PASSPHRASE",
        ),
        KeyFileError::PassphraseWrong(_) => Some(
            "check --sign-key-passphrase-file or DEBUCKET_SIGN_KEY_PASSPHRASE, whichever is given",
        ),
        KeyFileError::Public(_) | KeyFileError::NoSecret(_) => {
            Some("export the secret key (gpg --export-secret-keys --armor FINGERPRINT)")
        }
        KeyFileError::Several(_) => Some(
            "export the one that signs into a file of its own (gpg --export-secret-keys --armor FINGERPRINT)",
        ),
        _ => Some(
            "give the secret key that `debucket key generate` or `gpg --export-secret-keys` writes",
        ),
    }
}

fn repository_advice(error: &repository::Error, role: Role) -> Option<String> {
    use repository::Error as E;
    let advice = match error {
        E::Storage(error) => return storage_advice(error, role).map(ToOwned::to_owned),
        E::Plan(PlanError::Conflict { .. }) => {
            "give the new build a higher version, or pass --replace to replace the old one"
        }
        E::Plan(PlanError::Clash(_)) => "give each version once",
        E::Plan(PlanError::ForeignArchitecture(_)) => "add its architecture to --architectures",
        E::Plan(PlanError::NoKnownFormat(_)) => "use a newer debucket",
        E::Missing(Missing::Suite { .. }) => {
            "check --repo and --suite; `debucket list --suites` prints what there is"
        }
        E::Missing(Missing::Revision { .. }) => "`debucket log` prints the history",
        E::AmbiguousRevision(_) => "give more digits of the commit",
        E::Collected { .. } => "choose a later commit (`debucket log`)",
        E::Missing(_) => "`debucket list` prints what the suite has",
        E::Untrusted { .. } => {
            "if another key signs this suite, give its public part with --keyring; otherwise find out who wrote to the \
             bucket before you publish"
        }
        E::NotAccepted { .. } => {
            "sign with a key that the suite accepts, or devices will refuse it"
        }
        E::SignatureMissing { suite } => {
            return Some(format!(
                "restore dists/{suite}/InRelease from the bucket's version history, then run the command again"
            ));
        }
        E::NoSigner {
            is_signed: false, ..
        } => {
            "make a key with `debucket key generate` and pass --sign-key FILE (or set DEBUCKET_SIGN_KEY), or pass --unsigned"
        }
        E::NoSigner {
            is_signed: true, ..
        } => "the suite is signed: pass its key with --sign-key FILE (or set DEBUCKET_SIGN_KEY)",
        E::SuiteIsUnsigned { .. } => {
            "pass --unsigned to go on like that, or publish signed into a new suite"
        }
        E::FoundedOtherwise { suite, .. } => {
            return Some(format!(
                "publish like that; if that other publish was a mistake and left nothing, delete dists/{suite}/suite.json"
            ));
        }
        E::Release {
            suite,
            source: ReleaseError::NotOurs,
        } => {
            return Some(format!(
                "another tool wrote this suite: stop that tool, then `debucket adopt {suite}` takes the suite over in place"
            ));
        }
        E::Foreign { .. } => {
            "publish with the old tool once more, with SHA-256 in its Release file; or publish into a new suite"
        }
        E::Unverified { .. } => "if you trust what is in the bucket, pass --unverified",
        E::Broken { .. } => {
            "repair it with the tool that made it; or pass --accept-damage to leave the broken packages out (a Packages index \
             that cannot be read has to be repaired)"
        }
        E::Overwritten { suite } => {
            return Some(format!(
                "stop the other program, and restore the newest dists/{suite}/InRelease (or Release, if it is unsigned) of \
                 debucket from the bucket's version history; to give that history up, delete dists/{suite}/commits/ and \
                 dists/{suite}/succession/"
            ));
        }
        E::ChangedMeanwhile { .. } => {
            "stop the other program for good, then run the same command again"
        }
        E::Commit {
            source: CommitError::TooNew(_),
            ..
        } => "use a newer debucket",
        E::OtherSuite { suite, .. } => {
            return Some(format!(
                "restore dists/{suite}/InRelease (or Release, if it is unsigned) from the bucket's version history; \
                 to publish the same packages into both suites, publish them twice"
            ));
        }
        E::HeadVanished { suite } => {
            return Some(format!(
                "restore dists/{suite}/InRelease (or Release, if it was unsigned) from the bucket's version history; \
                 to give the suite's packages up, delete dists/{suite}/ and publish again"
            ));
        }
        E::PutBack { suite, .. } => {
            return Some(format!(
                "restore the newest dists/{suite}/InRelease from the bucket's version history, or pass --accept-rollback \
                 to go on from the older commit"
            ));
        }
        E::Release { .. } | E::Commit { .. } | E::Damaged { .. } | E::MalformedIndex { .. } => {
            "restore the object from the bucket's version history"
        }
        E::Key {
            source: ChooseError::NewKey { .. },
            ..
        } => {
            "install the new certificate on the devices first; when they have it, pass --adopt-signing-key"
        }
        E::Key { .. } => "sign with a key that is valid, or renew this one",
        E::ReleaseInfo { .. } => {
            "leave it as it is; or pass --allow-release-info-change, and run `apt update --allow-releaseinfo-change` on \
             each device"
        }
        E::StoreClock { .. } => {
            "set the clock that is wrong; if the store's is right, pass --trust-store-clock"
        }
        E::NoConditionalWrites(_) => {
            "use a store that has them (AWS S3, MinIO, R2, SeaweedFS), or pass --single-writer and make sure that only one \
             publisher ever runs at a time"
        }
        E::TagRefused { .. } => {
            "talk to the store directly, without a proxy or cache in between (--endpoint-url)"
        }
        E::Contention { .. } => "run the same command again",
        E::Unknown { .. } => {
            "run the same command again: it changes nothing if the change is there"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

fn storage_advice(error: &s3_storage::Error, role: Role) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::NoSuchBucket => Some(
            "check --repo (or DEBUCKET_REPO), --region and --endpoint-url; debucket does not create buckets",
        ),
        ErrorKind::PermissionDenied => Some(match role {
            Role::Reader => {
                "`debucket client-config --policy reader` prints the least IAM policy for reading; to tell a missing suite \
                 from a forbidden one, s3:ListBucket is needed too"
            }
            Role::Publisher => {
                "`debucket client-config --policy publisher` prints the least IAM policy that is needed"
            }
        }),
        ErrorKind::BadCredentials => Some(
            "check the access key, the secret key and, for temporary credentials, the session token and whether it has \
             expired",
        ),
        ErrorKind::NoCredentials => Some(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile with --profile, or run where a role is \
             attached",
        ),
        ErrorKind::ClockSkew => Some("set this machine's clock (timedatectl set-ntp true)"),
        ErrorKind::Connect(problem) => Some(match problem {
            ConnectProblem::Unresolved => "check the host in --endpoint-url, and --region",
            ConnectProblem::Refused => "check the host and port in --endpoint-url, and the proxy",
            ConnectProblem::Untrusted => {
                "give the certificate authority of the store with --ca-bundle, if you trust it"
            }
            _ => "check --endpoint-url, the network and the proxy; then run the same command again",
        }),
        ErrorKind::Timeout => Some("check the network; then run the same command again"),
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Truncated => {
            Some("run the same command again later")
        }
        ErrorKind::LocalFile | ErrorKind::ChecksumMismatch => {
            Some("the file may have changed while it was sent: run the same command again")
        }
        ErrorKind::Unsupported => match error.refused()? {
            Refusable {
                acl: true,
                encryption: true,
                ..
            } => Some("leave out --acl or --sse: the store does not support one of them"),
            Refusable { acl: true, .. } => Some("leave out --acl: the store does not support it"),
            Refusable {
                encryption: true, ..
            } => Some("leave out --sse: the store does not support it"),
            _ => None,
        },
        _ => None,
    }
}
