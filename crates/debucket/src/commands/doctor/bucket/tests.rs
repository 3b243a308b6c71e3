//! What is thought of each answer.

use super::*;
use crate::commands::doctor::report::Status;

fn refused<T>(kind: ErrorKind, status: u16) -> Answer<T> {
    Err(Error::new(kind, "Get", "", "no").with_answer(Some(status), None))
}

fn denied<T>() -> Answer<T> {
    refused(ErrorKind::PermissionDenied, 403)
}

fn unknown<T>() -> Answer<T> {
    refused(ErrorKind::Unsupported, 501)
}

#[track_caller]
fn expect(check: &Check, status: Status, words: &str) {
    let text = format!(
        "{} {}",
        check.detail,
        check.next.clone().unwrap_or_default()
    );
    assert!(check.status == status && text.contains(words), "{check:?}");
    let is_open = matches!(status, Status::Warn | Status::Fail);
    assert_eq!(check.next.is_some(), is_open, "{check:?}");
}

#[test]
fn what_may_not_be_asked_or_is_unknown_is_skipped_and_never_a_failure() {
    for check in [
        encryption(&denied(), None),
        versioning(&denied(), "b"),
        lifecycle(&denied(), &denied()),
        public_access(&denied(), &denied(), &denied(), "b"),
        acl(&denied(), &denied(), "b"),
        unfinished_uploads(&denied(), &denied(), None),
    ] {
        expect(
            &check,
            Status::Skipped,
            "this identity may not ask (needs s3:",
        );
    }
    for check in [
        encryption(&unknown(), None),
        versioning(&unknown(), "b"),
        lifecycle(&refused(ErrorKind::Unexpected, 405), &unknown()),
        public_access(&unknown(), &unknown(), &unknown(), "b"),
        acl(&unknown(), &unknown(), "b"),
        unfinished_uploads(&unknown(), &unknown(), None),
    ] {
        expect(&check, Status::Skipped, "the store does not know this");
    }
    let nonsense = versioning(&refused(ErrorKind::Unexpected, 200), "b");
    expect(&nonsense, Status::Skipped, "cannot be understood");
    let failing = versioning(&refused(ErrorKind::Unavailable, 503), "b");
    expect(&failing, Status::Warn, "the store did not say");
}

#[test]
fn encryption_is_that_of_the_bucket_and_of_what_is_in_it() {
    let with = |algorithm: &str| {
        Ok(Some(Encryption {
            algorithm: algorithm.to_owned(),
            kms_key: None,
        }))
    };
    let (aes, kms, none) = (with("AES256"), with("aws:kms"), Ok(None));
    fn judge(default: &Answer<Option<Encryption>>, object: &Answer<Option<Encryption>>) -> Check {
        encryption(default, Some(("k", object)))
    }
    expect(&encryption(&aes, None), Status::Ok, "AES256");
    expect(&judge(&kms, &kms), Status::Ok, "needs rights on the key");
    expect(&judge(&aes, &kms), Status::Ok, "objects have aws:kms");
    expect(&judge(&denied(), &aes), Status::Ok, "k is encrypted");
    expect(&judge(&aes, &none), Status::Warn, "but k is not");
    expect(&judge(&none, &none), Status::Warn, "--sse AES256");
    expect(&judge(&aes, &denied()), Status::Ok, "AES256");
}

#[test]
fn versions_are_wanted_and_not_for_ever() {
    let rules = |old_versions, current_objects| {
        Ok(Lifecycle {
            unfinished_uploads: Some(3),
            old_versions,
            current_objects,
        })
    };
    for state in [Versioning::Never, Versioning::Suspended] {
        expect(&versioning(&Ok(state), "b"), Status::Warn, "--bucket b");
    }
    let (on, off) = (Ok(Versioning::Enabled), Ok(Versioning::Never));
    expect(&versioning(&on, "b"), Status::Ok, "enabled");
    expect(
        &lifecycle(&rules(Some(90), false), &on),
        Status::Ok,
        "90 days",
    );
    expect(
        &lifecycle(&rules(None, false), &on),
        Status::Warn,
        "Noncurrent",
    );
    expect(&lifecycle(&rules(None, false), &off), Status::Ok, "3 days");
    expect(
        &lifecycle(&Ok(Lifecycle::default()), &off),
        Status::Ok,
        "no rules",
    );
    expect(
        &lifecycle(&rules(Some(90), true), &on),
        Status::Fail,
        "by their age",
    );
}

#[test]
fn who_lets_everyone_in_fails_and_who_could_is_warned() {
    let all = PublicAccessBlock {
        block_acls: true,
        ignore_acls: true,
        block_policy: true,
        restrict_buckets: true,
    };
    let open = AclGrants {
        public: true,
        others: true,
    };
    let owner = Ok(AclGrants::default());
    fn judge(
        block: &Answer<Option<PublicAccessBlock>>,
        policy: &Answer<bool>,
        grants: &Answer<AclGrants>,
    ) -> Check {
        public_access(block, policy, grants, "b")
    }
    expect(
        &judge(&Ok(Some(all)), &Ok(false), &owner),
        Status::Ok,
        "blocked",
    );
    expect(
        &judge(&Ok(Some(all)), &Ok(true), &Ok(open)),
        Status::Ok,
        "blocked",
    );
    expect(&judge(&Ok(None), &Ok(true), &owner), Status::Fail, "policy");
    expect(
        &judge(&denied(), &Ok(true), &denied()),
        Status::Fail,
        "policy",
    );
    expect(
        &judge(&Ok(None), &Ok(false), &Ok(open)),
        Status::Fail,
        "ACL gives",
    );
    let half = PublicAccessBlock {
        restrict_buckets: false,
        ..all
    };
    for block in [None, Some(half)] {
        let check = judge(&Ok(block), &Ok(false), &owner);
        expect(&check, Status::Warn, "put-public-access-block --bucket b");
    }
    expect(
        &judge(&unknown(), &Ok(false), &owner),
        Status::Ok,
        "not public",
    );
}

#[test]
fn acls_are_best_disabled() {
    let grants = |others| {
        Ok(AclGrants {
            public: false,
            others,
        })
    };
    expect(&acl(&Ok(false), &grants(true), "b"), Status::Ok, "disabled");
    expect(
        &acl(&Ok(true), &grants(false), "b"),
        Status::Warn,
        "in force",
    );
    expect(&acl(&Ok(true), &denied(), "b"), Status::Warn, "in force");
    expect(
        &acl(&unknown(), &grants(true), "b"),
        Status::Warn,
        "to others",
    );
    expect(
        &acl(&unknown(), &grants(false), "b"),
        Status::Ok,
        "owner alone",
    );
}

#[test]
fn only_old_uploads_that_nothing_removes_are_warned_of() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let upload = |hours| UnfinishedUpload {
        key: format!("pool/{hours}"),
        begun: Some(now - SignedDuration::from_hours(hours)),
    };
    let rule = |days| {
        Ok(Lifecycle {
            unfinished_uploads: days,
            ..Lifecycle::default()
        })
    };
    let judge = |uploads: Vec<_>, rules: &_| unfinished_uploads(&Ok(uploads), rules, Some(now));
    expect(&judge(vec![], &rule(None)), Status::Ok, "none older");
    expect(
        &judge(vec![upload(1)], &rule(None)),
        Status::Ok,
        "none older",
    );
    let some = || vec![upload(1), upload(25), upload(99)];
    expect(
        &judge(some(), &rule(None)),
        Status::Warn,
        "2 older than a day, such as pool/25",
    );
    expect(&judge(some(), &denied()), Status::Warn, "AbortIncomplete");
    expect(&judge(some(), &rule(Some(7))), Status::Ok, "after 7 days");
}
