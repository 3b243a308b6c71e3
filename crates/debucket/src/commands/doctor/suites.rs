//! A suite, as a device that updates from it would find it, and as a publisher would.

use deb_index::{fingerprint::Fingerprint, name::SuiteName, paragraph::Paragraph, suite::release};
use jiff::Timestamp;
use repo_signing::{SignatureTime, choose_key, keys_at};
use repository::{
    Error, Head, HeadSignatures, Keys, Problem, Remedy, Repository, Severity, Suite, Unhealthy,
    Warning, key_expiry,
};

use super::report::{Check, Status};
use crate::{
    commands::verify_report::Found,
    error::{Role, list},
    text::short,
    warning_advice::warning_advice,
};

/// Times that a suite is looked at which is deleted and begun again meanwhile.
const TRIES: usize = 5;
const HEAD: &str = "head";
const KEYS: &str = "keys";
const VALIDITY: &str = "validity";
const BY_HASH: &str = "by-hash";
const FOLLOWERS: &str = "followers";
const ALIASES: &str = "aliases";
const FOUNDING: &str = "founding";
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
    let mut read = suite.require_head().await;
    if matches!(read, Err(Error::NotSigned { .. }))
        && matches!(suite.recognize_unsigned().await, Ok(true))
    {
        read = suite.require_head().await;
    }
    let of_keys = |head: &Head| match &problem {
        Some(error) => Check::failed(KEYS, error, role),
        None => judge_keys(&suite, head, role),
    };
    let mut left = TRIES;
    let checks = loop {
        left -= 1;
        break match read {
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
                let is_missing = matches!(error, Error::Missing(_));
                let head = Check {
                    is_missing,
                    ..Check::failed(HEAD, &error.into(), role)
                };
                [head].into_iter().chain(behind).collect()
            }
            Ok(head) => {
                let checks = of_head(&suite, &head, of_keys(&head), role).await;
                let is_ill = checks.iter().any(|check| check.status != Status::Ok);
                if is_ill && left > 0 && suite.is_gone(&head).await {
                    read = suite.require_head().await;
                    continue;
                }
                checks
            }
        };
    };
    let checks = checks.into_iter();
    checks.map(|check| check.of_suite(name)).collect()
}

/// The checks of a suite whose head can be used; `keys` is the one of its keys.
async fn of_head(suite: &Suite<'_>, head: &Head, keys: Check, role: Role) -> Vec<Check> {
    let name = suite.name();
    let (indexes, packages, followers, aliases, founding) = futures::join!(
        suite.unhealthy_indexes(head),
        suite.unhealthy_packages(head),
        suite.unhealthy_followers(head),
        suite.unhealthy_aliases(head),
        suite.verify_founding(head),
    );
    let by_hash = judge_by_hash(head, indexes, role);
    let packages = match packages {
        Err(Error::Damaged { .. }) if by_hash.status == Status::Fail => {
            Check::skipped(PACKAGES, "the indexes cannot be read")
        }
        Err(error) => Check::failed(PACKAGES, &error.into(), role),
        Ok(found) => {
            let (all, seen) = (found.all, found.seen);
            let sound = if seen < all {
                format!(
                    "{seen} of {all} were looked at and are there (`debucket verify {name}` looks at all)"
                )
            } else {
                format!("all {all} are there")
            };
            let ill = format!("of {seen} package files cannot be installed");
            let next = format!(
                "if `debucket verify {name}` says that they are lost, publish the packages again, with --replace"
            );
            judge(PACKAGES, Ok(found.unhealthy), (sound, &ill, &next), role)
        }
    };
    let follow = "all follow the head".to_owned();
    let lag =
        "do not follow the head, so clients without InRelease or by-hash fail or see an old state";
    let next =
        format!("the next publish brings them up; so does `debucket verify {name} --repair`");
    let mut checks = vec![
        judge_head(head, role),
        keys,
        validity(suite, head, role),
        by_hash,
        packages,
        judge(FOLLOWERS, followers, (follow, lag, &next), role),
    ];
    let names = Vec::from_iter(&head.commit.settings.aliases);
    if !names.is_empty() {
        let sound = format!("{} follow the head", list(&names));
        checks.push(judge(
            ALIASES,
            aliases,
            (sound, "objects", &repair(name)),
            role,
        ));
    }
    // No device reads it.
    if role != Role::Reader {
        checks.push(match founding {
            Ok(None) => Check::ok(FOUNDING, "suite.json is as it has to be"),
            Ok(Some(problem)) => of_problem(FOUNDING, Status::Warn, &problem, role),
            Err(error) => Check::failed(FOUNDING, &error.into(), role),
        });
    }
    checks
}

/// The check of a folder that may be that of a suite or of an alias.
pub(super) fn unknown(name: &SuiteName, error: Error, role: Role) -> Check {
    Check::failed(HEAD, &error.into(), role).of_suite(name)
}

/// The record of what a garbage collection is going to delete.
pub(super) async fn garbage(repository: &Repository, role: Role) -> Check {
    const GARBAGE: &str = "garbage";
    match repository.verify_condemned().await {
        Ok(Ok(objects)) => Check::ok(GARBAGE, format!("{objects} objects condemned")),
        Ok(Err(problem)) => {
            let status = match problem.remedy {
                Remedy::Repair => Status::Warn,
                _ => Status::Fail,
            };
            of_problem(GARBAGE, status, &problem, role)
        }
        Err(error) => Check::failed(GARBAGE, &error.into(), role),
    }
}

/// The check that comes upon what a verification finds, too.
fn of_problem(check: &'static str, status: Status, problem: &Problem, role: Role) -> Check {
    let Found { means, next, .. } = Found::of(problem, false);
    let next = by_publisher(role, &next);
    Check::new(check, status, format!("{problem}: {means}"), Some(next))
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
            let keys: Vec<_> = by.iter().map(|by| by.key).collect();
            format!("signed by {}", list(&keys))
        }
    };
    Check::ok(HEAD, format!("commit {commit}, {signed}"))
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
    let (problems, warnings) = suite.check_keys(head);
    if let Some(problem) = problems.first() {
        let status = match problem.severity {
            Severity::Error => Status::Fail,
            Severity::Warning => Status::Warn,
        };
        return of_problem(KEYS, status, problem, role);
    }
    let keys = head.commit.settings.signing_keys.iter();
    let keys: Vec<_> = keys.map(|key| key.fingerprint).collect();
    judge_expiry(&keys, &warnings, role)
}

/// Whether keys expire soon.
fn judge_expiry(keys: &[Fingerprint], warnings: &[Warning], role: Role) -> Check {
    let renew =
        "renew the key, or exchange it for another: add that one, and later retire this one";
    match warnings.first() {
        Some(warning) => Check::warn(KEYS, warning.to_string(), by_publisher(role, renew)),
        None => Check::ok(KEYS, format!("{}: valid for 30 days at least", list(keys))),
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
    let (mut keys, mut warnings) = (Vec::new(), Vec::new());
    for signer in signers {
        let certificate = signer.certificate();
        let known = certificate.signing_keys();
        match choose_key(&keys_at(signer.as_ref(), time), &[], &known, true) {
            Ok(state) => {
                keys.push(state.key);
                warnings.extend(key_expiry(certificate, state.key, now));
            }
            Err(error) => {
                return Some(Check::fail(
                    KEYS,
                    error.to_string(),
                    "sign with a key that is valid, or renew this one",
                ));
            }
        }
    }
    Some(judge_expiry(&keys, &warnings, Role::Publisher))
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

fn repair(suite: &SuiteName) -> String {
    format!("`debucket verify {suite} --repair` repairs what can be, and says what is lost")
}

fn judge_by_hash(head: &Head, found: Result<Vec<Unhealthy>, Error>, role: Role) -> Check {
    let paragraph = Paragraph::parse(&head.text).ok();
    let by_hash = paragraph
        .as_ref()
        .and_then(|it| it.get_str("Acquire-By-Hash"));
    if by_hash != Some("yes") {
        let next = format!(
            "sign it anew: `debucket refresh --suite {} --force`",
            head.commit.suite
        );
        return Check::fail(
            BY_HASH,
            "the head does not say Acquire-By-Hash, so devices fail while a publisher is at work",
            by_publisher(role, &next),
        );
    }
    let count = head.commit.files().count();
    let sound = format!("all {count} index files are there");
    let ill = format!("of {count} index files fail, so devices cannot update");
    judge(
        BY_HASH,
        found,
        (sound, &ill, &repair(&head.commit.suite)),
        role,
    )
}

/// The check of objects that clients fetch: what to say if all are sound, how to go on after the number of those that are not, and
/// what to do about these.
fn judge(
    check: &'static str,
    found: Result<Vec<Unhealthy>, Error>,
    (sound, ill, next): (String, &str, &str),
    role: Role,
) -> Check {
    let unhealthy = match found {
        Ok(unhealthy) => unhealthy,
        Err(error) => return Check::failed(check, &error.into(), role),
    };
    let Some(first) = unhealthy.iter().min_by_key(|unhealthy| unhealthy.lags) else {
        return Check::ok(check, sound);
    };
    let detail = format!("{} {ill}: {} {}", unhealthy.len(), first.key, first.problem);
    let status = match check {
        FOLLOWERS => Status::Warn,
        _ if first.lags => Status::Warn,
        _ => Status::Fail,
    };
    Check::new(check, status, detail, Some(by_publisher(role, next)))
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
