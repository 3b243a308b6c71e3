//! Suites, and the bucket that they are in.

use std::{path::PathBuf, time::Duration};

use dev_s3::{Fault, Operation, Rule};
use repo_signing::{KeyFile, KeyProblem, SignatureTime, Signer as _};

use super::Report;
use crate::{
    package,
    run::{BUCKET, Store, run},
    signing::{fixture, in_2024},
};

#[test]
fn a_repository_in_order_has_a_line_for_each_check_and_is_left_as_it_was() {
    let store = Store::published();
    let before = store.server.keys(BUCKET);
    let report = store.doctor_with_key(&[]);
    // A new bucket keeps no versions.
    report.expect_open(&["versioning"]);
    assert_eq!(report.with_status("skipped"), ["identity"]);
    report
        .expect("bucket", "ok", "acme-apt answers (http://127.0.0.1:", "")
        .expect("identity", "skipped", "does not say who this is", "")
        .expect("upload-in-parts", "ok", "", "")
        .expect("conditional-writes", "ok", "", "")
        .expect("encryption", "ok", "AES256", "")
        .expect("suites", "ok", "stable", "")
        .expect(
            "stable: head",
            "ok",
            &format!("signed by {}", store.fingerprint()),
            "",
        )
        .expect("stable: by-hash", "ok", "all 4 index files", "")
        .expect("stable: validity", "ok", "without an end", "")
        .expect(
            "versioning",
            "warn",
            "off",
            "put-bucket-versioning --bucket acme-apt",
        );
    assert_eq!(store.server.keys(BUCKET), before);
    assert!(store.server.uploads(BUCKET).is_empty());

    let key = store.path("key.asc");
    let text = run(store.debucket(&["doctor", "--sign-key"]).arg(key)).expect(0);
    assert!(text.starts_with("ok       bucket "), "{text}");
    assert!(text.contains("\nwarn     versioning "), "{text}");
    assert!(
        text.contains("\n  next: ask the bucket's owner to turn it on: "),
        "{text}"
    );
    assert!(text.ends_with(" ok, 1 warn, 0 fail, 1 skipped\n"), "{text}");
}

#[test]
fn an_empty_bucket_wants_a_key_and_an_unsigned_suite_needs_none() {
    let store = Store::start();
    let empty = store.doctor(&[]);
    empty.expect_open(&["keys", "versioning"]);
    empty
        .expect("suites", "ok", "none yet", "")
        .expect("read", "ok", "", "")
        .expect("keys", "warn", "no signing key", "debucket key generate");
    // With a key, it is looked at.
    let fingerprint = store.fingerprint();
    store
        .doctor_with_key(&[])
        .expect("keys", "ok", &fingerprint, "");
    let named = store.doctor(&["stable"]);
    named.expect(
        "stable: head",
        "fail",
        "there is no suite stable",
        "--suites",
    );

    for suites in [&["stable"][..], &["stable", "testing"]] {
        run(&mut store.debucket(&[&["doctor"], suites].concat())).expect(4);
    }

    let founding = "robots/dists/begun/suite.json";
    store
        .server
        .put(BUCKET, founding, b"{\"signed\": true}")
        .unwrap();
    let begun = store.doctor(&[]);
    begun.expect("begun: head", "warn", "has no head yet", "publish into it");
    store.server.delete(BUCKET, founding).unwrap();

    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    run(store.debucket(&["publish", "--unsigned"]).arg(file)).expect(0);
    for report in [store.doctor(&[]), store.doctor_with_key(&["stable"])] {
        report.expect_open(&["versioning"]);
        report.expect("stable: head", "ok", "unsigned", "");
    }
}

#[test]
fn a_suite_that_is_ill_is_told_with_the_remedy() {
    let store = Store::published();
    let head = "robots/dists/stable/InRelease";
    let put = |key: &str, bytes: &[u8]| store.server.put(BUCKET, key, bytes).map(drop).unwrap();
    let get = |key: &str| store.server.get(BUCKET, key).unwrap().unwrap();
    let repair = "debucket verify stable --repair";

    let (by_hash, follower) = (store.whole("/by-hash/"), store.whole("/Packages.gz"));
    let bytes = get(&by_hash);
    store.server.delete(BUCKET, &by_hash).unwrap();
    let report = store.doctor_with_key(&[]);
    report.expect_open(&["stable: by-hash", "versioning"]);
    report.expect("stable: by-hash", "fail", "1 of 4 index files", repair);
    // A device may not list, so what is missing looks forbidden to it.
    store.allow("reader");
    let report = store.doctor(&["stable", "--role", "reader"]);
    report.expect(
        "stable: by-hash",
        "fail",
        "is missing or may not be read",
        "ask a publisher",
    );
    store.allow_all();
    put(&by_hash, &bytes);

    store.server.delete(BUCKET, &follower).unwrap();
    let report = store.doctor_with_key(&[]);
    report.expect("stable: followers", "warn", "1 do not follow", repair);
    let file = package::write(store.folder.path(), "hello", "2.0", "all", "second");
    let old = get(head);
    store.publish(&file, &[]).expect(0);
    store.doctor_with_key(&[]).expect_open(&["versioning"]);

    put(head, &old);
    let report = store.doctor_with_key(&[]);
    report.expect("stable: head", "fail", "was put back", "--accept-rollback");
    store.server.delete(BUCKET, head).unwrap();
    let report = store.doctor_with_key(&[]);
    report
        .expect(
            "stable: head",
            "fail",
            "its InRelease is missing",
            "verify stable --repair",
        )
        .expect("stable: keys", "skipped", "the head cannot be used", "");
}

#[test]
fn a_deletion_that_was_interrupted_is_told_and_no_repair_is_advised() {
    let store = Store::published();
    let proxy = store.proxy();
    for operation in [Operation::DeleteObject, Operation::DeleteObjects] {
        let refusal = Fault::answer(403, "AccessDenied");
        proxy.push(Rule::new(refusal).operation(operation));
    }
    let stopped = run(store
        .debucket(&["suite", "delete", "stable", "--yes", "--sign-key"])
        .arg(store.path("key.asc"))
        .env("AWS_ENDPOINT_URL", proxy.endpoint()));
    assert_eq!(stopped.code, 1, "{stopped:#?}");
    // With the head still there, then without it.
    for gone in [&[][..], &["Release", "Release.gpg", "InRelease"]] {
        for name in gone {
            let key = format!("robots/dists/stable/{name}");
            store.server.delete(BUCKET, &key).unwrap();
        }
        let report = store.doctor_with_key(&[]);
        report.expect_open(&["stable: head", "versioning"]);
        let next = "` brings the deletion to its end";
        report.expect("stable: head", "fail", "is being deleted", next);
    }
}

#[test]
fn keys_are_told_from_those_that_the_suite_wants() {
    let store = Store::published();
    let (other, public) = (store.path("other.asc"), store.path("other-public.asc"));
    run(crate::run::debucket()
        .args(["key", "generate", "--out"])
        .arg(&other)
        .arg("--public-out")
        .arg(&public))
    .expect(0);
    // Without a key, a suite can be looked at, and neither changed nor deleted.
    for role in ["publisher", "deleter"] {
        let mut command = store.debucket(&["doctor", "--role", role, "--keyring"]);
        let report = Report::of(command.arg(store.path("public.asc")));
        report.expect_open(&["stable: keys", "versioning"]);
        let wanted = format!("which is signed by {}", store.fingerprint());
        report.expect("stable: keys", "fail", &wanted, "--sign-key FILE");
    }
    for (option, file) in [("--sign-key", &other), ("--keyring", &public)] {
        let mut command = store.debucket(&["doctor", option]);
        let report = Report::of(command.arg(file));
        report.expect("stable: head", "fail", "cannot be trusted", "--keyring");
    }
    // It may read the suite, but not sign it.
    let mut command = store.debucket(&["doctor", "--sign-key"]);
    command
        .arg(&other)
        .arg("--keyring")
        .arg(store.path("public.asc"));
    let report = Report::of(&mut command);
    report.expect("stable: head", "ok", "signed by", "");
    report.expect("stable: keys", "fail", "accepts only", "debucket key add");
    let missing = store.doctor(&["--sign-key", "/nonexistent"]);
    missing.expect("stable: keys", "fail", "/nonexistent", "check the path");
    missing.expect("stable: head", "ok", "not checked", "");

    let refresh = store.path("key.asc").display().to_string();
    let set = [
        "suite",
        "set",
        "stable",
        "--valid-for",
        "8d",
        "--sign-key",
        &refresh,
    ];
    run(&mut store.debucket(&set)).expect(0);
    for (days, status) in [(1, "ok"), (6, "warn"), (2, "fail")] {
        let day = std::time::Duration::from_secs(86_400);
        store.server.clock().advance(day * days);
        let next = if status == "ok" {
            ""
        } else {
            "debucket refresh"
        };
        let report = store.doctor_with_key(&[]);
        report.expect("stable: validity", status, "valid until", next);
    }
}

#[test]
fn a_key_is_told_before_and_after_its_end() {
    let path = fixture("expiring");
    let file = KeyFile::from_bytes(&std::fs::read(&path).unwrap(), &[]).unwrap();
    let certificate = file.certificate();
    let key = certificate.signing_keys()[0];
    let store = Store::start();
    let now = store.server.clock().unix();
    let at = SignatureTime::from_seconds(u32::try_from(now).unwrap());
    let Err(KeyProblem::Expired { at: end, .. }) = certificate.check(key, at) else {
        panic!("it does not expire")
    };
    let doctor = || {
        let mut command = store.debucket(&["doctor", "--sign-key"]);
        Report::of(command.arg(&path))
    };
    doctor().expect("keys", "fail", "expired", "sign with a key that is valid");
    let ago = i64::from(end.seconds()) - now;
    let day = 86_400;
    store.server.clock().set_offset(ago - 10 * day);
    doctor().expect("keys", "warn", "expires at", "renew the key");
    let package = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let mut publish = store.debucket(&["publish", "--sign-key"]);
    run(publish.arg(&path).arg(&package)).expect(0);
    doctor().expect("stable: keys", "warn", "expires at", "renew the key");
    store.server.clock().set_offset(ago + day);
    doctor().expect("stable: keys", "fail", "expired", "key that is valid");
    let mut reader = store.debucket(&["doctor", "--role", "reader"]);
    let reader = Report::of(&mut reader);
    reader.expect(
        "stable: keys",
        "fail",
        "devices that know no other key of the suite refuse it",
        "ask a publisher",
    );
}

#[test]
fn a_revoked_key_is_told_to_those_who_have_its_certificate() {
    let store = in_2024("04-20");
    let public = store.public_of("revoked");
    let [revoked, second] = ["revoked", "ed25519"].map(fixture);
    let file =
        |version: &str| package::write(store.folder.path(), "hello", version, "all", version);
    let publish = |version: &str, keys: &[&PathBuf], suite: &str| {
        let mut publish = store.debucket(&["publish", "--suite", suite]);
        for key in keys {
            publish.arg("--sign-key").arg(key);
        }
        run(publish.arg(file(version))).expect(0);
    };
    publish("1", &[&revoked], "stable");
    publish("1", &[&revoked, &second], "double");
    let doctor = |role: &str| {
        let mut doctor = store.debucket(&["doctor", "--role", role, "--keyring"]);
        Report::of(doctor.arg(&public))
    };
    for suite in ["stable", "double"] {
        doctor("reader").expect(&format!("{suite}: keys"), "ok", "", "");
    }
    store
        .server
        .clock()
        .advance(Duration::from_secs(20 * 86_400));
    for role in ["reader", "collector"] {
        let told = "was revoked at 2024-05-01";
        let report = doctor(role);
        report.expect("stable: keys", "fail", told, "ask a publisher");
        // Devices that have the other key go on.
        report.expect("double: keys", "warn", told, "key retire double");
    }
}

/// A key that is only among those of the suite is not said to have signed it.
#[test]
fn a_key_that_did_not_sign_is_told() {
    let store = Store::published();
    let idle = fixture("expiring");
    let idle = KeyFile::from_bytes(&std::fs::read(idle).unwrap(), &[]).unwrap();
    let certificate = idle.certificate();
    store.forge(|commit| {
        let keys = commit["settings"]["signing_keys"].as_array_mut().unwrap();
        keys.push(serde_json::json!({
            "fingerprint": certificate.fingerprint(), "keys": certificate.signing_keys(), "certificate": certificate.armored(),
        }));
    });
    let told = format!("has no good signature by {}", certificate.fingerprint());
    for role in ["reader", "collector"] {
        let public = store.path("public.asc").display().to_string();
        for trust in [&["--keyring", &public][..], &[]] {
            let report = store.doctor(&[&["--role", role], trust].concat());
            report.expect(
                "stable: keys",
                "warn",
                &told,
                "refresh --suite stable --force",
            );
        }
    }
    let verified = store.read(&["verify", "stable"]).expect(1);
    assert!(
        verified.contains(&told) && !verified.contains("is signed by"),
        "{verified}"
    );
}

#[test]
fn a_suite_that_was_taken_over_is_in_order() {
    let store = Store::start();
    store.make_foreign_suite();
    let foreign = store.doctor(&[]);
    foreign.expect("suites", "warn", "of another tool", "debucket adopt");
    store.adopt(&["--unverified", "--accept-damage"]).expect(0);
    store
        .doctor(&["--role", "reader"])
        .expect_open(&["no-write", "versioning"]);
}
