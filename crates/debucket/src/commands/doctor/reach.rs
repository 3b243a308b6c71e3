//! Whether the bucket can be reached, as whom, where, and at what time.

use deb_index::name::SuiteName;
use jiff::SignedDuration;
use repository::Repository;
use s3_storage::{Caller, Clocks, ErrorKind, Greeting, S3, Unidentified};

use super::report::Check;
use crate::error::{Error, Role, list};

/// A difference between two clocks that does no harm.
const UNNOTICED: SignedDuration = SignedDuration::from_secs(60);
/// How far a `Release` may be ahead of a device's clock (`Acquire::Max-FutureTime` of apt).
const NOTICED_BY_APT: SignedDuration = SignedDuration::from_secs(10);

/// Why nothing in the bucket can be checked; none if something can.
pub(super) fn obstacle(greeting: &Greeting) -> Option<&'static str> {
    let error = greeting.listing.as_ref().err()?;
    match error.kind() {
        ErrorKind::PermissionDenied => None,
        ErrorKind::NoSuchBucket => Some("there is no such bucket"),
        ErrorKind::NoCredentials => Some("there are no credentials"),
        ErrorKind::BadCredentials => Some("the store does not accept the credentials"),
        ErrorKind::ClockSkew => Some("the store does not accept the time of requests"),
        _ => Some("the bucket cannot be reached"),
    }
}

pub(super) fn bucket(greeting: &Greeting, s3: &S3, bucket: &str, role: Role) -> Check {
    const NAME: &str = "bucket";
    match &greeting.listing {
        Err(error) if error.kind() != ErrorKind::PermissionDenied => {
            Check::failed_request(NAME, error, role)
        }
        _ => {
            let store = s3.endpoint().unwrap_or("AWS");
            Check::ok(NAME, format!("{bucket} answers ({store})"))
        }
    }
}

pub(super) fn identity(caller: &Result<Caller, Unidentified>) -> Check {
    const NAME: &str = "identity";
    match caller {
        Ok(Caller { arn }) if arn.ends_with(":root") => Check::warn(
            NAME,
            format!("{arn}, the root user of the account"),
            "use a role or user with the least policy (`debucket client-config --policy publisher`)",
        ),
        Ok(Caller { arn }) => Check::ok(NAME, arn),
        Err(Unidentified::Credentials(_)) => Check::skipped(NAME, "there are no credentials"),
        Err(error) => Check::skipped(NAME, error.to_string()),
    }
}

pub(super) fn suites(names: &[SuiteName], others: &[SuiteName]) -> Check {
    const NAME: &str = "suites";
    if !others.is_empty() {
        let detail = format!("of another tool, so not looked at: {}", list(others));
        let next = others
            .iter()
            .map(|other| format!("`debucket adopt {other}`"));
        let next = format!(
            "{} takes it over in place",
            next.collect::<Vec<_>>().join(", ")
        );
        return Check::warn(NAME, detail, next);
    }
    match names {
        [] => Check::ok(NAME, "none yet: the first publish makes one"),
        names => Check::ok(NAME, list(names)),
    }
}

/// The check where suites cannot be listed.
pub(super) fn no_suites(error: repository::Error, role: Role) -> Check {
    const NAME: &str = "suites";
    match error {
        repository::Error::Storage(error) if error.kind() == ErrorKind::PermissionDenied => {
            let why = "keys may not be listed: name the suites, as in `debucket doctor stable`";
            Check::skipped(NAME, why)
        }
        error => Check::failed(NAME, &error.into(), role),
    }
}

pub(super) fn region(configured: &str, bucket: &str, role: Role) -> Check {
    const NAME: &str = "region";
    if configured == bucket {
        return Check::ok(NAME, bucket);
    }
    let next = if role == Role::Reader {
        format!("set AWS_REGION={bucket}, or Acquire::s3::Region \"{bucket}\"; for apt")
    } else {
        format!("set AWS_REGION={bucket}, or pass --region {bucket}")
    };
    Check::warn(
        NAME,
        format!(
            "the bucket is in {bucket}, and not in {configured}, so each run begins with a refusal"
        ),
        next,
    )
}

pub(super) fn clock(clocks: Option<Clocks>, repository: &Repository, role: Role) -> Check {
    const NAME: &str = "clock";
    let Some(clocks) = clocks else {
        return Check::skipped(NAME, "no answer of the store had a date");
    };
    if role.commits()
        && let Err(error) = repository.check_store_clock(clocks.store)
    {
        return Check::failed(NAME, &Error::Repository(error), role);
    }
    judge_clock(clocks, role)
}

fn judge_clock(Clocks { store, own }: Clocks, role: Role) -> Check {
    const NAME: &str = "clock";
    let ahead = store.duration_since(own);
    let is_refused = role == Role::Reader && ahead > NOTICED_BY_APT;
    if ahead.abs() <= UNNOTICED && !is_refused {
        return Check::ok(NAME, "within a minute of the store's");
    }
    let seconds = ahead.as_secs().unsigned_abs();
    let side = if ahead.is_positive() {
        "behind"
    } else {
        "ahead of"
    };
    let detail = format!("{seconds} s {side} the store's");
    let follows = if is_refused {
        "; apt refuses what was published in this time as not valid yet"
    } else {
        "; requests are signed by the store's clock, as other programs do not"
    };
    Check::warn(
        NAME,
        format!("{detail}{follows}"),
        "set this machine's clock (timedatectl set-ntp true)",
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::commands::doctor::report::Status;

    #[test]
    fn a_clock_matters_to_a_device_before_it_matters_to_others() {
        for (ahead, role, status, words) in [
            (0, Role::Publisher, Status::Ok, "within a minute"),
            (59, Role::Publisher, Status::Ok, "within a minute"),
            (30, Role::Reader, Status::Warn, "not valid yet"),
            (-30, Role::Reader, Status::Ok, "within"),
            (-3600, Role::Collector, Status::Warn, "3600 s ahead"),
            (3600, Role::Publisher, Status::Warn, "signed by the store's"),
        ] {
            let own = Timestamp::from_second(1_800_000_000).unwrap();
            let store = own + SignedDuration::from_secs(ahead);
            let check = judge_clock(Clocks { store, own }, role);
            assert_eq!(check.status, status, "{ahead} {role:?}");
            assert!(check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn another_region_is_told_in_the_words_of_the_role() {
        assert_eq!(region("a", "a", Role::Reader).status, Status::Ok);
        for (role, words) in [
            (Role::Reader, "Acquire::s3::Region \"eu-west-1\";"),
            (Role::Publisher, "--region eu-west-1"),
        ] {
            let check = region("us-east-1", "eu-west-1", role);
            assert_eq!(check.status, Status::Warn);
            assert!(check.next.unwrap().contains(words));
        }
    }

    #[test]
    fn the_root_user_is_warned_of() {
        let caller = |arn: &str| {
            let arn = arn.to_owned();
            identity(&Ok(Caller { arn })).status
        };
        assert_eq!(caller("arn:aws:iam::123456789012:root"), Status::Warn);
        assert_eq!(caller("arn:aws:iam::123456789012:user/ci"), Status::Ok);
        let nobody = identity(&Err(Unidentified::NoService));
        assert_eq!(nobody.status, Status::Skipped);
    }
}
