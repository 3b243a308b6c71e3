//! What does not stop an operation, but will hurt later.

use std::fmt::Display;

use deb_index::{digest::Sha256, fingerprint::Fingerprint, name::SuiteName};
use jiff::{SignedDuration, Timestamp};
use repo_signing::{Certificate, KeyProblem, SignatureTime};

use crate::{
    commit::keys::HeadSignatures,
    read::head::{Head, PutBack},
    suite::Suite,
};

/// How long before a key expires the warning begins.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far a date may be ahead of the store's clock, which may run on several machines.
const LEEWAY: SignedDuration = SignedDuration::from_mins(1);

/// Pairs of packages that are named in a warning.
const NAMED: usize = 5;

/// A problem that does not stop an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    #[error(
        "the signing key {key} expires at {at}; devices that know no other key of the suite refuse it from then on"
    )]
    KeyExpires { key: Fingerprint, at: Timestamp },
    #[error(
        "the signing key {key} expired at {at}; devices that know no other key of the suite refuse it"
    )]
    KeyExpired { key: Fingerprint, at: Timestamp },
    /// A signer was given whose key the suite does not have.
    #[error("the key {key} does not sign: suite {suite} does not have it")]
    KeyIdle { suite: String, key: Fingerprint },
    /// apt refuses a `Release` from the future.
    #[error("suite {suite} is dated {date}, which is in the future: devices refuse it until then")]
    FutureDate { suite: String, date: Timestamp },
    /// Something says that the head is not the newest that the suite has had.
    #[error("{}", .0.why)]
    PutBack(PutBack),
    /// A commit of the history that is missing or damaged.
    #[error(
        "commit {commit} of suite {suite} is lost: no signature vouches for what the history has before it"
    )]
    CommitLost { suite: String, commit: Sha256 },
    /// Pairs of packages of which devices take neither for newer. Other programs make them. Only the first few are named.
    #[error("suite {suite} has equal versions with other content ({count}), of which devices get either: {}", .first.join("; "))]
    Collisions {
        suite: String,
        count: usize,
        first: Vec<String>,
    },
    /// A package that the suite has is not in the pool.
    #[error("{key} was missing from the pool, although the suite has it: it is sent again")]
    FileMissing { key: String },
    /// A package that the suite has is in the pool with other content.
    #[error("{key} has other content than the suite's index says: the package is sent again")]
    FileDamaged { key: String },
}

impl Warning {
    /// About pairs of package files, by their keys.
    pub(crate) fn of_collisions<K: Display>(suite: &SuiteName, pairs: &[(K, K)]) -> Option<Self> {
        let first = pairs.iter().take(NAMED);
        let first = first.map(|(one, other)| format!("{one} and {other}"));
        (!pairs.is_empty()).then(|| Self::Collisions {
            suite: suite.to_string(),
            count: pairs.len(),
            first: first.collect(),
        })
    }
}

/// Whether the key of a certificate expires soon, or has expired.
#[must_use]
pub fn key_expiry(certificate: &Certificate, key: Fingerprint, now: Timestamp) -> Option<Warning> {
    let time = SignatureTime::try_from(now.as_second()).ok()?;
    let timestamp = |time: SignatureTime| Timestamp::from_second(time.seconds().into()).ok();
    match certificate.check(key, time) {
        Ok(state) => {
            let at = timestamp(state.expires?)?;
            (at.duration_since(now) < NOTICE).then_some(Warning::KeyExpires { key, at })
        }
        Err(KeyProblem::Expired { at, .. }) => Some(Warning::KeyExpired {
            key,
            at: timestamp(at)?,
        }),
        Err(_) => None,
    }
}

impl Suite<'_> {
    /// What is known to go wrong with this head: keys that expire, a date that devices refuse, and that it was put back.
    #[must_use]
    pub fn warnings(&self, head: &Head) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.is_from_the_future(head) {
            warnings.push(Warning::FutureDate {
                suite: self.name.to_string(),
                date: head.release.date,
            });
        }
        warnings.extend(head.put_back.clone().map(Warning::PutBack));
        if let HeadSignatures::By(signatures) = &head.signatures {
            let now = self.now(head);
            warnings.extend(signatures.iter().filter_map(|by| {
                let certificate = self.keys.certificate_of(by.key)?;
                key_expiry(&certificate, by.key, now)
            }));
        }
        warnings
    }

    /// Whether apt refuses the head because of its date.
    pub(crate) fn is_from_the_future(&self, head: &Head) -> bool {
        let date = head.release.date;
        let is_ahead = |now| date.duration_since(now) > LEEWAY;
        self.repository.clock.is_absurd(date) || head.store_time.is_some_and(is_ahead)
    }

    /// The time when a head was read.
    pub(crate) fn now(&self, head: &Head) -> Timestamp {
        let own = || self.repository.clock.now();
        head.store_time.unwrap_or_else(own)
    }
}
