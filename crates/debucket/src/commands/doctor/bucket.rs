//! How the bucket is set up: what the store says, and what that means for a repository.
//!
//! debucket does not manage these settings, and no role needs the rights to read them: a question that the store refuses to answer is
//! not a failure.

use futures::join;
use jiff::{SignedDuration, Timestamp};
use s3_storage::{
    AclGrants, Encryption, Error, ErrorKind, Lifecycle, PublicAccessBlock, S3, UnfinishedUpload,
    Versioning,
};

use super::report::Check;

const VERSIONING: &str = "versioning";
const LIFECYCLE: &str = "lifecycle";
const ENCRYPTION: &str = "encryption";
const PUBLIC: &str = "public-access";
const ACL: &str = "acl";
const UPLOADS: &str = "unfinished-uploads";
/// All of them, in their order.
pub(super) const NAMES: [&str; 6] = [ENCRYPTION, VERSIONING, LIFECYCLE, PUBLIC, ACL, UPLOADS];

/// An upload that is older than this was interrupted.
const STALE: SignedDuration = SignedDuration::from_hours(24);

type Answer<T> = Result<T, Error>;

/// Asks for everything at once. `prefix` is what comes before the keys of the repository, `sample` the whole key of one of its
/// objects, `now` the store's clock.
pub(super) async fn checks(
    s3: &S3,
    bucket: &str,
    prefix: &str,
    sample: Option<&str>,
    now: Option<Timestamp>,
) -> Vec<Check> {
    let object = async {
        match sample {
            Some(key) => Some((key, s3.encryption_of(key).await)),
            None => None,
        }
    };
    let (default, object, versions, lifecycle, block, policy, acls, grants, uploads) = join!(
        s3.default_encryption(),
        object,
        s3.versioning(),
        s3.lifecycle(prefix),
        s3.public_access_block(),
        s3.has_public_policy(),
        s3.has_acls(),
        s3.acl_grants(),
        s3.unfinished_uploads(prefix),
    );
    vec![
        encryption(&default, object.as_ref().map(|(key, found)| (*key, found))),
        versioning(&versions, bucket),
        self::lifecycle(&lifecycle, &versions),
        public_access(&block, &policy, &grants, bucket),
        acl(&acls, &grants, bucket),
        unfinished_uploads(&uploads, &lifecycle, now),
    ]
}

/// The check where the store gave no answer.
fn unanswered(check: &'static str, right: &str, error: &Error) -> Check {
    match error.kind() {
        ErrorKind::PermissionDenied => Check::skipped(check, may_not_ask(right)),
        // Nonsense, and no refusal.
        ErrorKind::Unexpected if error.status().is_some_and(|status| status < 300) => {
            Check::skipped(check, "the store's answer cannot be understood")
        }
        _ if error.is_unknown_operation() => Check::skipped(check, "the store does not know this"),
        _ => Check::warn(
            check,
            format!("the store did not say: {error}"),
            "run the same command again",
        ),
    }
}

fn may_not_ask(right: &str) -> String {
    format!("this identity may not ask (needs {right})")
}

/// A command for the bucket's owner.
fn owner(what: &str, command: &str, bucket: &str, options: &str) -> String {
    format!("{what}: `aws s3api {command} --bucket {bucket} {options}`")
}

fn encryption(
    default: &Answer<Option<Encryption>>,
    object: Option<(&str, &Answer<Option<Encryption>>)>,
) -> Check {
    let of_object = object.and_then(|(key, found)| Some((key, found.as_ref().ok()?)));
    let name = |found: &Encryption| match &found.kms_key {
        Some(key) => format!("{} with {key}", found.algorithm),
        None => found.algorithm.clone(),
    };
    let kms = |found: &Encryption| {
        if found.algorithm.starts_with("aws:kms") {
            "; each role needs rights on the key, too"
        } else {
            ""
        }
    };
    match (default, of_object) {
        (Ok(Some(default)), Some((key, None))) => Check::warn(
            ENCRYPTION,
            format!(
                "new objects are encrypted ({}), but {key} is not",
                name(default)
            ),
            "if it is older than the setting, the next publish replaces it; older packages stay as they are until they are copied \
             over themselves",
        ),
        (Ok(Some(default)), Some((_, Some(object)))) if object.algorithm != default.algorithm => {
            Check::ok(
                ENCRYPTION,
                format!(
                    "the bucket's default is {}, and objects have {}{}",
                    name(default),
                    name(object),
                    kms(object)
                ),
            )
        }
        (Ok(Some(default)), _) => {
            Check::ok(ENCRYPTION, format!("{}{}", name(default), kms(default)))
        }
        (_, Some((key, Some(object)))) => Check::ok(
            ENCRYPTION,
            format!("{key} is encrypted with {}{}", name(object), kms(object)),
        ),
        (Ok(None), _) => Check::warn(
            ENCRYPTION,
            "the bucket does not encrypt objects by default",
            "ask its owner to turn that on, or publish with --sse AES256",
        ),
        (Err(error), _) => unanswered(ENCRYPTION, "s3:GetEncryptionConfiguration", error),
    }
}

fn versioning(answer: &Answer<Versioning>, bucket: &str) -> Check {
    let off = |state: &str| {
        Check::warn(
            VERSIONING,
            format!(
                "{state}: what is overwritten or deleted by mistake, or by an attacker, cannot be restored"
            ),
            owner(
                "ask the bucket's owner to turn it on",
                "put-bucket-versioning",
                bucket,
                "--versioning-configuration Status=Enabled",
            ),
        )
    };
    match answer {
        Ok(Versioning::Enabled) => Check::ok(VERSIONING, "enabled"),
        Ok(Versioning::Never) => off("off"),
        Ok(Versioning::Suspended) => off("suspended"),
        Err(error) => unanswered(VERSIONING, "s3:GetBucketVersioning", error),
    }
}

fn lifecycle(answer: &Answer<Lifecycle>, versions: &Answer<Versioning>) -> Check {
    let found = match answer {
        Ok(found) => found,
        Err(error) => return unanswered(LIFECYCLE, "s3:GetLifecycleConfiguration", error),
    };
    if found.current_objects {
        return Check::fail(
            LIFECYCLE,
            "a rule deletes objects by their age: packages and indexes that suites still need",
            "ask the bucket's owner to take this prefix out of that rule; `debucket gc` deletes what no suite needs",
        );
    }
    let keeps_all = matches!(versions, Ok(Versioning::Enabled | Versioning::Suspended));
    if keeps_all && found.old_versions.is_none() {
        return Check::warn(
            LIFECYCLE,
            "no rule removes old versions: each publish leaves one of the head and of every follower, which costs storage",
            "ask the bucket's owner to add a rule with NoncurrentVersionExpiration (NoncurrentDays: 90)",
        );
    }
    let rule = |what, days: Option<u32>| days.map(|days| format!("{what} after {days} days"));
    let rules = [
        rule("old versions", found.old_versions),
        rule("unfinished uploads", found.unfinished_uploads),
    ];
    let rules: Vec<_> = rules.into_iter().flatten().collect();
    match rules.is_empty() {
        true => Check::ok(LIFECYCLE, "no rules"),
        false => Check::ok(LIFECYCLE, format!("removes {}", rules.join(", "))),
    }
}

fn public_access(
    block: &Answer<Option<PublicAccessBlock>>,
    policy: &Answer<bool>,
    grants: &Answer<AclGrants>,
    bucket: &str,
) -> Check {
    let next = || {
        owner(
            "ask the bucket's owner to block it",
            "put-public-access-block",
            bucket,
            "--public-access-block-configuration \
             BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
        )
    };
    let blocked = block.as_ref().ok().map(|block| block.unwrap_or_default());
    let is_restricted = blocked.is_some_and(|block| block.restrict_buckets);
    let ignores_acls = blocked.is_some_and(|block| block.ignore_acls);
    if matches!(policy, Ok(true)) && !is_restricted {
        return Check::fail(PUBLIC, "the bucket's policy gives everyone access", next());
    }
    if grants.as_ref().is_ok_and(|grants| grants.public) && !ignores_acls {
        return Check::fail(PUBLIC, "the bucket's ACL gives everyone access", next());
    }
    match block {
        Ok(block) => {
            let block = block.unwrap_or_default();
            let all = PublicAccessBlock {
                block_acls: true,
                ignore_acls: true,
                block_policy: true,
                restrict_buckets: true,
            };
            if block == all {
                Check::ok(PUBLIC, "blocked")
            } else {
                Check::warn(
                    PUBLIC,
                    "not blocked for the bucket: a mistake in a policy or an ACL could let everyone in",
                    next(),
                )
            }
        }
        Err(_) if matches!(policy, Ok(false)) => {
            Check::ok(PUBLIC, "the bucket's policy is not public")
        }
        Err(error) => unanswered(PUBLIC, "s3:GetBucketPublicAccessBlock", error),
    }
}

fn acl(has_acls: &Answer<bool>, grants: &Answer<AclGrants>, bucket: &str) -> Check {
    let next = || {
        owner(
            "ask the bucket's owner to disable ACLs",
            "put-bucket-ownership-controls",
            bucket,
            "--ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'",
        )
    };
    match (has_acls, grants) {
        (Ok(false), _) => Check::ok(ACL, "ACLs are disabled"),
        (_, Ok(grants)) if grants.others => Check::warn(
            ACL,
            "the bucket's ACL grants rights to others besides its owner",
            next(),
        ),
        (Ok(true), _) => Check::warn(
            ACL,
            "ACLs are in force: an object belongs to the account that wrote it, and may be closed to the others",
            next(),
        ),
        (Err(_), Ok(_)) => Check::ok(ACL, "the bucket's ACL grants rights to its owner alone"),
        (Err(error), Err(_)) => unanswered(ACL, "s3:GetBucketOwnershipControls", error),
    }
}

fn unfinished_uploads(
    answer: &Answer<Vec<UnfinishedUpload>>,
    lifecycle: &Answer<Lifecycle>,
    now: Option<Timestamp>,
) -> Check {
    let uploads = match answer {
        Ok(uploads) => uploads,
        Err(error) => return unanswered(UPLOADS, "s3:ListBucketMultipartUploads", error),
    };
    let is_stale = |upload: &&UnfinishedUpload| {
        let age = upload.begun.zip(now);
        age.is_some_and(|(begun, now)| now.duration_since(begun) > STALE)
    };
    let mut stale = uploads.iter().filter(is_stale);
    let rule = lifecycle
        .as_ref()
        .ok()
        .and_then(|rules| rules.unfinished_uploads);
    match (stale.next(), rule) {
        // Those of publishers that run now, and of the check of rights, do not matter here.
        (None, _) => Check::ok(UPLOADS, "none older than a day"),
        (Some(_), Some(days)) => Check::ok(
            UPLOADS,
            format!(
                "{}, which a lifecycle rule removes after {days} days",
                1 + stale.count()
            ),
        ),
        (Some(first), None) => Check::warn(
            UPLOADS,
            format!(
                "{} older than a day, such as {}: their parts cost storage",
                1 + stale.count(),
                first.key
            ),
            "ask the bucket's owner to add a lifecycle rule with AbortIncompleteMultipartUpload (DaysAfterInitiation: 3)",
        ),
    }
}

#[cfg(test)]
mod tests;
