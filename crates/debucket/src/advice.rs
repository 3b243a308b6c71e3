//! What to do next after an error, where its cause says so. Where it does not, nothing is advised.

use deb_index::{
    change::{
        PlanError,
        client_view::{Effect, ViewChange},
    },
    deb::DebError,
    name::SuiteName,
    suite::{commit::CommitError, layout, release::ReleaseError},
};
use repo_signing::{CertificateError, ChooseError, VerifyError};
use repository::{Loss, Missing, Stage};

use crate::{
    adopt_advice::adopt_advice,
    context::Source,
    error::{Error, Role},
    given::Given,
    key_advice::key_advice,
    source_advice::source_advice,
    storage_advice::storage_advice,
    text::shell_word,
    version_advice,
};

impl Error {
    /// What to do next, where the cause says so.
    #[must_use]
    pub fn advice(&self, role: Role) -> Option<String> {
        self.advice_of(role, None)
    }

    /// The same. `source`: how the repository is reached that packages come from.
    pub(crate) fn advice_of(&self, role: Role, source: Option<&Source>) -> Option<String> {
        let at_source = |advice: &str, repository: &str| match source {
            Some(source) => source.complete(advice, repository),
            None => {
                let given = Given::default().reaching(format!(" --repo {repository}"));
                given.complete(advice)
            }
        };
        let is_elsewhere = source.is_some_and(|source| source.is_elsewhere);
        let advice = match self {
            Self::Repository(repository::Error::Source {
                repository,
                source: error,
            }) => {
                let advice = source_advice(error, is_elsewhere)
                    .or_else(|| repository_advice(error, Role::Reader));
                return advice.map(|advice| at_source(&advice, repository));
            }
            Self::Repository(error) => return repository_advice(error, role),
            Self::Deb {
                problem: DebError::NotADeb(_),
                ..
            } => "give .deb files only; if this is one, it is damaged (dpkg-deb --info FILE tells)",
            Self::Deb { .. } => {
                "correct the package and build it again (dpkg-deb --info FILE shows what is in it)"
            }
            Self::Differs { .. } => "build the package and its .changes file again",
            Self::Unreleased => {
                "finish the changelog (dch --release) and build again, or name the suite with --suite"
            }
            Self::File { source, .. } => return file_advice(source).map(ToOwned::to_owned),
            Self::NoFolder(folder) => {
                return Some(format!(
                    "make the folder first (mkdir -p {})",
                    shell_word(folder)
                ));
            }
            Self::Exists(_) => "choose another path, or move the file away",
            Self::Key { source, .. } => return key_advice(source).map(ToOwned::to_owned),
            Self::KeyVariable { .. } => {
                "set it to the armored key (on one line or several, or in base64), or to the path of its file"
            }
            Self::Passphrase(_) => {
                "give the path of a file whose first line is the passphrase, or set DEBUCKET_SIGN_KEY_PASSPHRASE"
            }
            Self::Secret(_) => {
                "options take the path of a key's file; a key itself belongs in DEBUCKET_SIGN_KEY, where no other user sees it"
            }
            Self::Keyring {
                source: CertificateError::Secret(_),
                ..
            } => "`debucket key export --sign-key FILE` prints the public half",
            Self::SuiteExists(suite) => {
                return Some(format!(
                    "`debucket suite show {suite}` prints them, and `suite set` changes them"
                ));
            }

            Self::OtherBuild { .. }
            | Self::Collision { .. }
            | Self::TakenBack { .. }
            | Self::NoEarlierVersion { .. }
            | Self::EarlierLost { .. } => return version_advice::advice(self),
            Self::NoFile(_) | Self::NoPackage(_) => {
                "give .deb files, folders that hold some, or quoted globs"
            }
            Self::Problems(_) => "follow the advice for each problem, then verify again",
            Self::Unhealthy { .. } => {
                "follow the advice for each check, then run the same command again"
            }
            Self::SourceIsSigned(_) => {
                "leave --from-unsigned out: the suite is checked with --sign-key and --keyring, or with --from-keyring alone"
            }
            Self::ResetUnproven(_) => {
                "give the old certificate with --keyring, if it was not given; otherwise look at the suite's commits, then pass \
                 --accept-unproven to bring the newest back"
            }
            Self::NameCommit(_) => {
                "look at these commits; then pass --accept-unproven, and name the newest of them with --commit"
            }
            Self::NoKey { suite, .. } => {
                return Some(format!(
                    "`debucket key list {suite}` prints the keys that sign it"
                ));
            }
            Self::NotFound {
                repository: Some(repository),
                suite,
                ..
            } => return Some(at_source(&lists(suite), repository)),
            Self::NotFound { suite, .. } => return Some(lists(suite)),
            Self::Interrupted { goes_on: true, .. } => {
                "run the same command again: it goes on from what is done"
            }
            Self::Interrupted {
                stage: Stage::MovingHead,
                ..
            } => "run the same command again: it changes nothing if the change is there",
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

fn lists(suite: &SuiteName) -> String {
    format!("`debucket list --suite {suite}` prints what the suite has")
}

fn file_advice(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Some("check the path"),
        std::io::ErrorKind::PermissionDenied => Some("make sure that this user may access it"),
        _ => None,
    }
}

fn repository_advice(error: &repository::Error, role: Role) -> Option<String> {
    use repository::Error as E;
    let advice = match error {
        E::Storage(error) => return storage_advice(error, role),
        E::NotChecked { .. } => "give the public key that signs it with --from-keyring",
        E::Plan(PlanError::Clash(_)) => "give each version once",
        E::Plan(PlanError::DropsArchitecture(_)) => {
            "name all of the suite's architectures: only --architectures of `suite set` takes one away"
        }
        E::Plan(PlanError::ForeignArchitecture(_)) => "add its architecture to --architectures",
        E::Plan(PlanError::NoKnownFormat(_)) => "use a newer debucket",
        E::Missing(Missing::Suite { .. }) => {
            "check --repo and the name of the suite; `debucket list --suites` prints what there is"
        }
        E::Missing(Missing::Revision { suite, .. }) => {
            return Some(format!("`debucket log --suite {suite}` prints the history"));
        }
        E::Missing(Missing::Time { suite, .. }) => {
            return Some(format!(
                "give a later time, where a date means its first moment in UTC, or a commit: `debucket log --suite {suite}` prints \
                 the history"
            ));
        }
        E::AmbiguousRevision(_) => "give more digits of the commit",
        E::Missing(Missing::Alias { suite, alias }) => {
            return Some(format!(
                "name a suite; `debucket suite set {suite} --alias {alias}` makes it an alias again, and `debucket suite delete \
                 {alias}` deletes what it shows"
            ));
        }
        E::IsAlias { alias, suite } => {
            return Some(format!(
                "name the suite, {suite}; to free the name, drop it (`debucket suite set {suite} --no-alias {alias}`), then \
                 `debucket suite delete {alias}`"
            ));
        }
        E::AliasTaken {
            suite,
            alias,
            by: Some(by),
        } => {
            return Some(format!(
                "drop it there first: `debucket suite set {by} --no-alias {alias}`; or, if both list it, here: `debucket suite set \
                 {suite} --no-alias {alias}`"
            ));
        }
        E::AliasTaken { .. } => "choose another name",
        E::Nested { .. } => "choose another name for one of them",
        E::AliasIsSigned { alias, .. } => {
            return Some(format!(
                "choose another name, or delete what this one shows: `debucket suite delete {alias}`"
            ));
        }
        E::AliasLags { holder, .. } => {
            return Some(format!(
                "bring it up first: `debucket verify {holder} --repair`"
            ));
        }
        E::Deleting { suite } => {
            return Some(format!(
                "`debucket suite delete {suite} --yes` brings the deletion to its end; then the name can be used again"
            ));
        }
        E::Reserved { .. } => "choose another name, or run the same command again after that",
        E::BeingFounded { .. } => "run the same command again after that",
        E::Replaced { .. } => {
            "see what is there now: `debucket suite list`; if that is to be deleted, run the same command again"
        }
        E::Deleted { .. } => {
            "if there is to be a new suite of this name, run the same command again"
        }
        E::Unproven { suite, commit, .. } => {
            return Some(format!(
                "look at it (`debucket list --suite {suite} --commit {commit}`); if it is what it should be, name it by all of its \
                 digits"
            ));
        }
        E::BeingCollected { .. } | E::CollectorContention => {
            "run the same command again in a few minutes; if a collector was killed, in an hour"
        }
        E::CollectorRuns { .. } => "wait until it has ended; if it was killed, for an hour",
        E::NotVerified { .. } => "give the public key that signs it with --keyring",
        E::OtherTools { .. } => {
            "pass --leave-pool to collect only what is in debucket's own suites"
        }
        E::CondemnedTooNew => "use a newer debucket",
        E::CondemnedMalformed { .. } => {
            "run the same command again after that time: objects are then condemned anew"
        }
        E::CommitLost { suite, .. } => {
            return Some(format!(
                "choose another commit (`debucket log --suite {suite}`); this one cannot be repaired, only restored from the \
                 bucket's version history"
            ));
        }
        E::FileLost { suite, .. } => {
            return Some(format!(
                "publish the package's file again: `debucket publish --replace FILE --suite {suite}`; then run the same command again"
            ));
        }
        E::AliasUnreadable { alias, suite, .. } => {
            return Some(format!(
                "if the suite has this alias, `debucket verify {suite} --repair` brings it up; otherwise `debucket suite delete \
                 {alias}` deletes what it shows"
            ));
        }
        E::NotWhole {
            suite, key, loss, ..
        } => {
            let other = format!(
                "choose another commit: `debucket log --suite {suite} --verify` names the newest that is whole"
            );
            return Some(match loss {
                _ if key.starts_with(layout::SUITES) => {
                    format!("{other}; or restore the object from the bucket's version history")
                }
                Loss::Missing => format!(
                    "publish the very same file again (`debucket publish --replace FILE --suite {suite}`), then run the same \
                     command again; or {other}"
                ),
                // Restored, it might take the place of what another suite has there by now.
                Loss::Changed => format!("{other}; or publish the packages that you want back"),
            });
        }
        E::Missing(Missing::Part { suite, .. }) => return Some(lists(suite)),
        E::Untrusted {
            source: VerifyError::UnknownKey(_) | VerifyError::Unusable { .. },
            ..
        } => {
            "if another key signs this suite, give its public part with --keyring; otherwise find out who wrote to the \
             bucket before you publish"
        }
        E::Untrusted { suite, .. } => {
            return Some(format!(
                "find out who wrote to the bucket; then `debucket verify {suite} --repair` brings the head back, if it can be \
                 proven; otherwise restore dists/{suite}/InRelease from the bucket's version history"
            ));
        }
        E::NotAccepted { suite, key, .. } => {
            return Some(format!(
                "sign with a key that the suite accepts (`debucket key list {suite}` prints them), or add this one with \
                 `debucket key add {suite} {key}`"
            ));
        }
        E::KeysOfLost { suite, .. } => {
            return Some(format!(
                "give it with --sign-key; if it is lost, `debucket key reset {suite} --i-lost-the-keys-of {suite} --keyring FILE \
                 --sign-key FILE` brings the head back, checked by the old certificate and signed by the new key"
            ));
        }
        E::SignerMissing { suite, .. } => {
            return Some(format!(
                "give the secret key of each with --sign-key, which can be repeated; take one that is lost or no longer needed \
                 out with `debucket key retire {suite} FINGERPRINT`"
            ));
        }
        E::SignaturesDropped { .. } => {
            "give the secret key of each with --sign-key, which can be repeated; or pass --adopt-signing-key if no device knows \
             only that one"
        }
        E::LastKey { suite } => {
            return Some(format!(
                "add the next key first (`debucket key add {suite} FINGERPRINT`)"
            ));
        }
        E::SignatureMissing { suite } => {
            return Some(format!(
                "`debucket verify {suite} --repair` brings it back, if it can be proven; otherwise restore \
                 dists/{suite}/InRelease from the bucket's version history"
            ));
        }
        E::NoSigner {
            is_signed: false, ..
        } => {
            "make a key with `debucket key generate` and pass --sign-key FILE (or set DEBUCKET_SIGN_KEY), or pass --unsigned"
        }
        E::NoSigner {
            is_signed: true, ..
        } => {
            "pass the secret key with --sign-key FILE, once for each key of the suite, or set DEBUCKET_SIGN_KEY; and leave \
             --unsigned out: a signed suite stays signed"
        }
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
        E::Overwritten { suite } => {
            return Some(format!(
                "stop the other program; then `debucket verify {suite} --repair --accept-unproven` brings back what debucket had \
                 published; to take over what the other program wrote instead, delete dists/{suite}/commits/ and \
                 dists/{suite}/succession/, then adopt the suite"
            ));
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
                "`debucket verify {suite} --repair` brings the head back from the newest commit, if it can be proven; otherwise \
                 restore dists/{suite}/InRelease (or Release, if it was unsigned) from the bucket's version history"
            ));
        }
        E::NotSigned { .. } => {
            "find out why it is not signed; to read it all the same, give no key: neither --keyring nor --key, \
             DEBUCKET_KEYRING nor DEBUCKET_SIGN_KEY"
        }
        E::Damaged { suite, key, .. } if key.starts_with(&layout::succession(suite)) => {
            return Some(format!(
                "find out who wrote {key}; then restore it from the bucket's version history, or {} to go on from the head that \
                 is there",
                accept_rollback(role)
            ));
        }
        E::Damaged { suite, key, .. } if key.ends_with("/suite.json") => {
            return Some(format!(
                "`debucket verify {suite} --repair` writes it again; if it cannot, ask the bucket's owner to delete {key} first"
            ));
        }
        E::PutBack {
            suite,
            is_vouched: false,
            ..
        } => {
            return Some(format!(
                "no signature vouches for the newer commit any more: if it was published by you, `debucket verify {suite} --repair \
                 --accept-unproven` brings it back; or {} to go on from the older one",
                accept_rollback(role)
            ));
        }
        E::PutBack { suite, .. } | E::MayBePutBack { suite, .. } => {
            return Some(format!(
                "`debucket verify {suite} --repair` brings the newest commit back; or {} to go on from the older one",
                accept_rollback(role)
            ));
        }
        E::Commit { suite, .. } | E::Damaged { suite, .. } => {
            return Some(format!(
                "`debucket verify {suite}` says what is damaged, and `debucket verify {suite} --repair` repairs what can be"
            ));
        }
        E::Release { .. } | E::MalformedIndex { .. } => {
            "restore the object from the bucket's version history"
        }
        E::Key {
            source: ChooseError::NewKey { .. },
            ..
        } => {
            "install the new certificate on the devices first; when they have it, pass --adopt-signing-key"
        }
        E::Key {
            suite, certificate, ..
        } => {
            return Some(format!(
                "sign with a key that is valid, or renew this one; if the suite has another key, \
                 `debucket key retire {suite} {certificate}` takes this one out"
            ));
        }
        E::ReleaseInfo { changes, .. } => {
            let is_refused = |change: &ViewChange| change.effect() == Effect::Refused;
            if changes.iter().any(is_refused) {
                "leave it as it is; or pass --allow-release-info-change, and run `apt update --allow-releaseinfo-change` on \
                 each device"
            } else {
                "leave it as it is; or pass --allow-release-info-change"
            }
        }
        E::StoreClock { .. } => {
            "set the clock that is wrong; if the store's is right, pass --trust-store-clock"
        }
        E::NoConditionalWrites(_) => {
            "use a store that has them (AWS S3, MinIO, R2, SeaweedFS), or pass --single-writer and make sure that only one \
             publisher ever runs at a time"
        }
        E::TagRefused { .. } | E::WeakTag { .. } => {
            "talk to the store directly, without a proxy or cache in between (--endpoint-url)"
        }
        E::Contention { .. } | E::FollowersContention { .. } => "run the same command again",
        E::Unknown { suite, .. } => {
            return Some(format!(
                "run the same command again: it changes nothing if the change is there; `debucket log --suite {suite}` shows \
                 whether it is"
            ));
        }
        error => return adopt_advice(error),
    };
    Some(advice.to_owned())
}

/// How a head that is not the newest is accepted: only what changes a suite has the option.
fn accept_rollback(role: Role) -> &'static str {
    match role {
        Role::Publisher | Role::Deleter => "pass --accept-rollback",
        Role::Reader | Role::Collector => "ask a publisher to pass --accept-rollback",
    }
}
