//! A suite, as a device that updates from it would find it, and as a publisher would.

use deb_index::{fingerprint::Fingerprint, name::SuiteName, paragraph::Paragraph, suite::release};
use jiff::Timestamp;
use repo_signing::{Certificate, Keyring, SignatureTime, choose_key, keys_at};
use repository::{
    Ailing, Error, Head, HeadSignatures, Keys, PackagesSeen, Repository, Suite, Warning, key_expiry,
};

use super::report::{Check, Status};
use crate::{advice::warning_advice, error::Role, text::short};

const HEAD: &str = "head";
const KEYS: &str = "keys";
const VALIDITY: &str = "validity";
const BY_HASH: &str = "by-hash";
const FOLLOWERS: &str = "followers";
const ALIASES: &str = "aliases";
const PACKAGES: &str = "packages";
/// What depends on the head.
const BEHIND: [&str; 5] = [KEYS, VALIDITY, BY_HASH, PACKAGES, FOLLOWERS];

/// All checks of a suite, which the caller has named or which was found. What is wrong with the keys is one of them.
pub(super) async fn checks(
    repository: &Repository,
    name: &SuiteName,
    keys: Result<Keys, crate::error::Error>,
    role: Role,
    is_named: bool,
) -> Vec<Check> {
    let (keys, problem) = match keys {
        Ok(keys) => (keys, None),
        Err(error) => (Keys::Unchecked, Some(error)),
    };
    let mut suite = repository.suite(name.clone(), keys);
    let mut head = suite.require_head().await;
    if matches!(head, Err(Error::NotSigned { .. }))
        && matches!(suite.is_founded_unsigned().await, Ok(true))
    {
        suite = repository.suite(name.clone(), Keys::Unsigned);
        head = suite.require_head().await;
    }
    let of_keys = |head: &Head| match &problem {
        Some(error) => Check::failed(KEYS, error, role),
        None => judge_keys(&suite, head, role),
    };
    let checks = match head {
        Err(Error::Missing(_)) if !is_named => {
            let next = "publish into it, unless its first publish is running";
            let begun = "it was begun, and has no head yet";
            vec![Check::warn(HEAD, begun, by_publisher(role, next))]
        }
        // The suite that the alias names tells.
        Err(Error::IsAlias { .. }) if !is_named => Vec::new(),
        Err(error) => {
            let behind = BEHIND.map(|check| match &problem {
                Some(error) if check == KEYS => Check::failed(KEYS, error, role),
                _ => Check::skipped(check, "the head cannot be used"),
            });
            let head = Check::failed(HEAD, &error.into(), role);
            [head].into_iter().chain(behind).collect()
        }
        Ok(head) => {
            let (indexes, packages, followers, aliases) = futures::join!(
                suite.ailing_indexes(&head),
                suite.ailing_packages(&head),
                suite.ailing_followers(&head),
                suite.ailing_aliases(&head)
            );
            let by_hash = by_hash(&head, indexes, role);
            let packages = match packages {
                Err(Error::Damaged { .. }) if by_hash.status == Status::Fail => {
                    Check::skipped(PACKAGES, "the indexes cannot be read")
                }
                packages => judge_packages(packages, role),
            };
            let mut checks = vec![
                judge_head(&head, role),
                of_keys(&head),
                validity(&suite, &head, role),
                by_hash,
                packages,
                judge_followers(followers, role),
            ];
            if !head.commit.settings.aliases.is_empty() {
                checks.push(judge_aliases(&head, aliases, role));
            }
            checks
        }
    };
    let checks = checks.into_iter();
    checks.map(|check| check.of_suite(name)).collect()
}

/// The check of a folder that may be that of a suite or of an alias.
pub(super) fn unknown(name: &SuiteName, error: Error, role: Role) -> Check {
    Check::failed(HEAD, &error.into(), role).of_suite(name)
}

/// The record of what a garbage collection is going to delete.
pub(super) async fn garbage(repository: &Repository, role: Role) -> Check {
    const GARBAGE: &str = "garbage";
    let (found, problem) =
        futures::join!(repository.check_condemned(), repository.verify_condemned());
    match (found, problem) {
        (Err(error), _) | (_, Err(error)) => Check::failed(GARBAGE, &error.into(), role),
        (Ok(_), Ok(Some(problem))) => Check::warn(
            GARBAGE,
            problem.to_string(),
            by_publisher(role, "`debucket verify --repair` writes it anew"),
        ),
        (Ok(objects), Ok(None)) => Check::ok(GARBAGE, format!("{objects} objects condemned")),
    }
}

fn sign_anew(suite: &SuiteName) -> String {
    format!("sign it anew: `debucket refresh --suite {suite} --force`")
}

/// What only an identity that commits can do.
fn by_publisher(role: Role, what: &str) -> String {
    if role.commits() {
        what.to_owned()
    } else {
        format!("ask a publisher to do this: {what}")
    }
}

fn judge_head(head: &Head, role: Role) -> Check {
    let commit = short(&head.id());
    if let Some(why) = &head.put_back {
        let next = warning_advice(&head.commit.suite, &Warning::PutBack(why.clone()));
        let why = why.why.as_str();
        let next = by_publisher(role, &next.unwrap_or_default());
        return match role.commits() {
            // It can publish nothing.
            true => Check::fail(HEAD, why, next),
            false => Check::warn(HEAD, why, next),
        };
    }
    let signed = match &head.signatures {
        HeadSignatures::Unsigned => "unsigned: only the rights on the bucket protect it".to_owned(),
        HeadSignatures::Unchecked => {
            "whose signature is not checked: no key was given (--keyring)".to_owned()
        }
        HeadSignatures::By(by) => {
            let keys = by.iter().map(|by| by.key.to_string());
            format!("signed by {}", keys.collect::<Vec<_>>().join(", "))
        }
    };
    Check::ok(HEAD, format!("commit {commit}, {signed}"))
}

/// The keys that signed the head, as its own settings have them.
fn signed_by(head: &Head) -> Vec<(Certificate, Option<Fingerprint>)> {
    let accepted = head.commit.settings.signing_keys.iter();
    let certificates: Vec<_> = accepted
        .filter_map(|key| Certificate::from_bytes(key.certificate.as_bytes()).ok())
        .collect();
    let keyring: Keyring = certificates.iter().cloned().collect();
    let signatures = keyring
        .verify_inrelease(&head.bytes)
        .map(|it| it.signatures);
    let signatures = signatures.unwrap_or_default();
    let key_of = |certificate: &Certificate| {
        let mut signatures = signatures.iter();
        let by = signatures.find(|by| by.certificate == certificate.fingerprint());
        by.map(|by| by.key)
    };
    certificates
        .into_iter()
        .map(|certificate| {
            let key = key_of(&certificate);
            (certificate, key)
        })
        .collect()
}

fn judge_keys(suite: &Suite<'_>, head: &Head, role: Role) -> Check {
    if head.signatures.is_unsigned() {
        return Check::ok(KEYS, "none: the suite is unsigned");
    }
    if role.commits()
        && let Err(error) = suite.check_signing(head)
    {
        return Check::failed(KEYS, &error.into(), role);
    }
    let now = head.store_time.unwrap_or(head.release.date);
    let signed = signed_by(head);
    if let Some((certificate, _)) = signed.iter().find(|(_, key)| key.is_none()) {
        return Check::warn(
            KEYS,
            format!(
                "the key {} is one of the suite's, but did not sign its head",
                certificate.fingerprint()
            ),
            by_publisher(role, &sign_anew(&head.commit.suite)),
        );
    }
    let keys = signed
        .iter()
        .filter_map(|(certificate, key)| Some((certificate, (*key)?)));
    judge_expiry(keys, now, role)
}

/// Whether keys expire soon.
fn judge_expiry<'c>(
    keys: impl Iterator<Item = (&'c Certificate, Fingerprint)>,
    now: Timestamp,
    role: Role,
) -> Check {
    let keys: Vec<_> = keys.collect();
    let renew =
        "renew the key, or exchange it for another (`debucket key add`, later `key retire`)";
    let mut warnings = keys
        .iter()
        .filter_map(|(certificate, key)| key_expiry(certificate, *key, now));
    match warnings.next() {
        Some(warning @ Warning::KeyExpired { .. }) => {
            Check::fail(KEYS, warning.to_string(), by_publisher(role, renew))
        }
        Some(warning) => Check::warn(KEYS, warning.to_string(), by_publisher(role, renew)),
        None => {
            let names = keys.iter().map(|(_, key)| key.to_string());
            let names = names.collect::<Vec<_>>().join(", ");
            Check::ok(KEYS, format!("{names}: valid for 30 days at least"))
        }
    }
}

/// The keys at hand, without a suite. `None` if there are none, and none are needed.
pub(super) fn keys_alone(keys: &Keys, role: Role, now: Timestamp) -> Option<Check> {
    let Keys::Sign { signers, .. } = keys else {
        let warning = || {
            Check::warn(
                KEYS,
                "no signing key was given",
                "make one with `debucket key generate` and pass --sign-key FILE, or set DEBUCKET_SIGN_KEY; or publish with \
                 --unsigned",
            )
        };
        return role.commits().then(warning);
    };
    let time = SignatureTime::try_from(now.as_second()).ok()?;
    let mut chosen = Vec::new();
    for signer in signers {
        let known = signer.certificate().signing_keys();
        match choose_key(&keys_at(signer.as_ref(), time), &[], &known, true) {
            Ok(state) => chosen.push((signer.certificate(), state.key)),
            Err(error) => {
                return Some(Check::fail(
                    KEYS,
                    error.to_string(),
                    "sign with a key that is valid, or renew this one",
                ));
            }
        }
    }
    Some(judge_expiry(chosen.into_iter(), now, Role::Publisher))
}

fn validity(suite: &Suite<'_>, head: &Head, role: Role) -> Check {
    let warnings = suite.warnings(head);
    let is_future = |warning: &&Warning| matches!(warning, Warning::FutureDate { .. });
    if let Some(warning) = warnings.iter().find(is_future) {
        let next = warning_advice(suite.name(), warning);
        let next = by_publisher(role, &next.unwrap_or_default());
        return Check::fail(VALIDITY, warning.to_string(), next);
    }
    let until = release::valid_until(&head.commit);
    let now = head.store_time.unwrap_or(head.release.date);
    let refresh = format!(
        "run `debucket refresh --suite {}` now, and by a timer from then on",
        suite.name()
    );
    let next = by_publisher(role, &refresh);
    judge_validity(head.release.date, until, now, &next)
}

fn judge_validity(date: Timestamp, until: Option<Timestamp>, now: Timestamp, next: &str) -> Check {
    let Some(until) = until else {
        return Check::ok(VALIDITY, format!("dated {date}, without an end"));
    };
    let left = until.duration_since(now);
    if !left.is_positive() {
        Check::fail(
            VALIDITY,
            format!("it was valid until {until}: devices refuse it"),
            next,
        )
    } else if left < until.duration_since(date) / 4 {
        Check::warn(
            VALIDITY,
            format!(
                "it is valid until {until}, and nothing has refreshed it: devices refuse it from then on"
            ),
            next,
        )
    } else {
        Check::ok(VALIDITY, format!("valid until {until}"))
    }
}

const REPAIR: &str = "`debucket verify --repair` repairs what can be, and says what is lost";

const LOST: &str =
    "if `debucket verify` says that they are lost, publish the packages again, with --replace";

fn by_hash(head: &Head, found: Result<Vec<Ailing>, Error>, role: Role) -> Check {
    let paragraph = Paragraph::parse(&head.text).ok();
    let by_hash = paragraph
        .as_ref()
        .and_then(|it| it.get_str("Acquire-By-Hash"));
    if by_hash != Some("yes") {
        return Check::fail(
            BY_HASH,
            "the head does not say Acquire-By-Hash, so devices fail while a publisher is at work",
            by_publisher(role, &sign_anew(&head.commit.suite)),
        );
    }
    let count: usize = head
        .commit
        .indexes
        .values()
        .map(|index| index.files.len())
        .sum();
    match found {
        Err(error) => Check::failed(BY_HASH, &error.into(), role),
        Ok(ailing) => match ailing.first() {
            None => Check::ok(BY_HASH, format!("all {count} index files are there")),
            Some(first) => Check::fail(
                BY_HASH,
                format!(
                    "{} of {count} index files fail, so devices cannot update: {} {}",
                    ailing.len(),
                    first.key,
                    first.problem
                ),
                by_publisher(role, REPAIR),
            ),
        },
    }
}

fn judge_packages(found: Result<PackagesSeen, Error>, role: Role) -> Check {
    let PackagesSeen { all, seen, ailing } = match found {
        Ok(found) => found,
        Err(error) => return Check::failed(PACKAGES, &error.into(), role),
    };
    match ailing.first() {
        None if seen < all => Check::ok(
            PACKAGES,
            format!(
                "{seen} of {all} were looked at and are there (`debucket verify` looks at all)"
            ),
        ),
        None => Check::ok(PACKAGES, format!("all {all} are there")),
        Some(first) => Check::fail(
            PACKAGES,
            format!(
                "{} of {seen} package files cannot be installed: {} {}",
                ailing.len(),
                first.key,
                first.problem
            ),
            by_publisher(role, LOST),
        ),
    }
}

fn judge_followers(found: Result<Vec<Ailing>, Error>, role: Role) -> Check {
    let ailing = match found {
        Ok(ailing) => ailing,
        Err(error) => return Check::failed(FOLLOWERS, &error.into(), role),
    };
    let Some(first) = ailing.first() else {
        return Check::ok(FOLLOWERS, "all follow the head");
    };
    Check::warn(
        FOLLOWERS,
        format!(
            "{} do not follow the head, so clients without InRelease or by-hash fail or see an old state: {} {}",
            ailing.len(),
            first.key,
            first.problem
        ),
        by_publisher(
            role,
            "the next publish brings them up; so does `debucket verify --repair`",
        ),
    )
}

fn judge_aliases(head: &Head, found: Result<Vec<Ailing>, Error>, role: Role) -> Check {
    let ailing = match found {
        Ok(ailing) => ailing,
        Err(error) => return Check::failed(ALIASES, &error.into(), role),
    };
    let Some(first) = ailing.iter().min_by_key(|ailing| ailing.lags) else {
        let aliases = head.commit.settings.aliases.iter();
        let aliases: Vec<_> = aliases.map(ToString::to_string).collect();
        return Check::ok(ALIASES, format!("{} follow the head", aliases.join(", ")));
    };
    let detail = format!("{} objects: {} {}", ailing.len(), first.key, first.problem);
    let next = by_publisher(role, REPAIR);
    match first.lags {
        true => Check::warn(ALIASES, detail, next),
        false => Check::fail(ALIASES, detail, next),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn validity_is_judged_by_what_is_left_of_it() {
        let date = Timestamp::from_second(1_800_000_000).unwrap();
        let until = Some(date + SignedDuration::from_hours(100));
        for (hours, status) in [
            (0, Status::Ok),
            (74, Status::Ok),
            (76, Status::Warn),
            (100, Status::Fail),
        ] {
            let now = date + SignedDuration::from_hours(hours);
            let check = judge_validity(date, until, now, "refresh");
            assert_eq!(check.status, status, "{hours}");
        }
        let far = date + SignedDuration::from_hours(10_000);
        let endless = judge_validity(date, None, far, "refresh");
        assert_eq!(endless.status, Status::Ok);
    }
}
