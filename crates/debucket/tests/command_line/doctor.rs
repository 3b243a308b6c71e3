//! What works and what does not is told apart, with what to do; one failure hides nothing that can still be known.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpListener,
};

use assert_cmd::Command;
use dev_s3::{DevS3, Fault, Operation, Rule, WrongRegion};

use crate::{
    package,
    run::{BUCKET, Store, run},
};

/// The checks of a run by name (`stable: head`), and its exit code.
struct Report {
    code: i32,
    checks: BTreeMap<String, serde_json::Value>,
}

impl Report {
    fn of(command: &mut Command) -> Self {
        let run = run(command.args(["--output", "json"]));
        assert!(run.code < 2, "{run:#?}");
        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let name = |check: &serde_json::Value| {
            let name = check["check"].as_str().unwrap();
            match check["suite"].as_str() {
                Some(suite) => format!("{suite}: {name}"),
                None => name.to_owned(),
            }
        };
        let checks = document["checks"].as_array().unwrap();
        let report = Self {
            code: run.code,
            checks: checks
                .iter()
                .map(|check| (name(check), check.clone()))
                .collect(),
        };
        assert_eq!(report.checks.len(), checks.len(), "{document:#}");
        let failed = !report.with_status("fail").is_empty();
        assert_eq!(run.code, i32::from(failed), "{document:#}");
        report
    }

    fn with_status(&self, status: &str) -> Vec<&str> {
        let checks = self.checks.iter();
        let checks = checks.filter(|(_, check)| check["status"] == status);
        checks.map(|(name, _)| name.as_str()).collect()
    }

    /// That a check has this status, and says both of these: what is, and what to do.
    #[track_caller]
    fn expect(&self, name: &str, status: &str, detail: &str, next: &str) -> &Self {
        let check = self
            .checks
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {:#?}", self.checks));
        let text = |field: &str| check[field].as_str().unwrap_or_default();
        assert!(
            text("status") == status
                && text("detail").contains(detail)
                && text("next").contains(next),
            "{check:#}"
        );
        self
    }

    /// The checks that neither passed nor were skipped.
    #[track_caller]
    fn expect_open(&self, names: &[&str]) -> &Self {
        let mut open = self.with_status("fail");
        open.extend(self.with_status("warn"));
        open.sort_unstable();
        assert_eq!(open, names, "{:#?}", self.checks);
        self
    }
}

impl Store {
    fn doctor(&self, more: &[&str]) -> Report {
        Report::of(&mut self.debucket(&[&["doctor"], more].concat()))
    }

    fn doctor_with_key(&self, more: &[&str]) -> Report {
        let key = self.path("key.asc").display().to_string();
        self.doctor(&[more, &["--sign-key", &key]].concat())
    }

    fn published() -> Self {
        let store = Self::start();
        let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
        store.publish(&file, &[]).expect(0);
        store
    }

    fn whole(&self, part: &str) -> String {
        let keys = self.server.keys(BUCKET);
        keys.into_iter().find(|key| key.contains(part)).unwrap()
    }
}

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
        text.contains("\n  next: let the bucket's owner turn it on: "),
        "{text}"
    );
    assert!(text.ends_with(" ok, 1 warn, 0 fail, 1 skipped\n"), "{text}");
}

#[test]
fn an_empty_bucket_and_an_unsigned_suite_need_no_key() {
    let store = Store::start();
    let empty = store.doctor(&[]);
    empty.expect_open(&["versioning"]);
    empty
        .expect("suites", "ok", "none yet", "")
        .expect("read", "ok", "", "");
    assert!(!empty.checks.contains_key("keys"));
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

    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    run(store.debucket(&["publish", "--unsigned"]).arg(file)).expect(0);
    for report in [store.doctor(&[]), store.doctor_with_key(&["stable"])] {
        report.expect_open(&["versioning"]);
        report.expect("stable: head", "ok", "unsigned", "");
    }
}

#[test]
fn the_printed_policies_pass_and_what_they_leave_out_is_skipped() {
    let store = Store::published();
    let before = store.server.keys(BUCKET);
    for role in ["publisher", "collector", "reader"] {
        store.allow(role);
        let more = ["stable", "--role", role];
        let report = if role == "publisher" {
            store.doctor_with_key(&more)
        } else {
            store.doctor(&more)
        };
        report.expect_open(&[]);
        assert_eq!(report.code, 0);
        for (name, right) in [
            ("versioning", "s3:GetBucketVersioning"),
            ("lifecycle", "s3:GetLifecycleConfiguration"),
            ("public-access", "s3:GetBucketPublicAccessBlock"),
            ("acl", "s3:GetBucketOwnershipControls"),
            ("unfinished-uploads", "s3:ListBucketMultipartUploads"),
        ] {
            let why = format!("this identity may not ask (needs {right})");
            report.expect(name, "skipped", &why, "");
        }
        assert_eq!(store.server.keys(BUCKET), before, "{role}");
    }
    let unnamed = store.doctor(&["--role", "reader"]);
    unnamed.expect_open(&[]);
    unnamed.expect("suites", "skipped", "name the suites", "");
}

#[test]
fn a_right_that_the_role_needs_and_one_that_it_does_not_are_told() {
    let store = Store::published();
    let wide = store.doctor(&["--role", "reader"]);
    wide.expect("no-write", "warn", "may write", "--policy reader");
    store.allow("reader");
    let policy = "`debucket client-config --policy publisher` prints";
    store
        .doctor(&[])
        .expect("bucket", "ok", "", "")
        .expect("list", "fail", "AccessDenied", policy)
        .expect("create", "fail", "AccessDenied", policy)
        .expect("replace", "skipped", "", "")
        .expect("upload-in-parts", "fail", "AccessDenied", policy);
    let policy = "`debucket client-config --policy collector` prints";
    store
        .doctor(&["--role", "collector"])
        .expect("delete", "fail", "AccessDenied", policy)
        .expect("record", "fail", "AccessDenied", policy);
    store.allow("collector");
    store
        .doctor(&[])
        .expect("create", "fail", "AccessDenied", "");
    store.allow("publisher");
    let collector = store.doctor(&["--role", "collector"]);
    collector.expect("delete", "fail", "AccessDenied", policy);
}

#[test]
fn a_bucket_that_cannot_be_reached_is_one_failure_and_hides_nothing_else() {
    let store = Store::published();
    let depends = ["region", "create", "encryption", "suites"];
    let with = |endpoint: &str, variables: &[(&str, &str)]| {
        let key = store.path("key.asc");
        let mut command = store.debucket(&["doctor", "--sign-key"]);
        command.arg(key).env("AWS_ENDPOINT_URL", endpoint);
        command.envs(variables.iter().copied());
        Report::of(&mut command)
    };
    let endpoint = store.server.endpoint();
    for (endpoint, variables, why, detail, next) in [
        (
            "http://127.0.0.1:9",
            &[][..],
            "the bucket cannot be reached",
            "",
            "--endpoint-url",
        ),
        (
            "http://debucket.invalid",
            &[],
            "the bucket cannot be reached",
            "",
            "check the",
        ),
        (
            endpoint.as_str(),
            &[("AWS_SECRET_ACCESS_KEY", "wrong")],
            "the store does not accept the credentials",
            "SignatureDoesNotMatch",
            "secret access key",
        ),
        (
            endpoint.as_str(),
            &[("DEBUCKET_REPO", "s3://nowhere")],
            "there is no such bucket",
            "NoSuchBucket",
            "--repo",
        ),
    ] {
        let report = with(endpoint, variables);
        report.expect_open(&["bucket"]);
        report.expect("bucket", "fail", detail, next);
        for name in depends {
            report.expect(name, "skipped", why, "");
        }
        // The key does not depend on the bucket, nor does the clock if there was an answer.
        report.expect("keys", "ok", &store.fingerprint(), "");
        let answered = endpoint == store.server.endpoint();
        report.expect("clock", if answered { "ok" } else { "skipped" }, "", "");
    }
    let mut nobody = store.debucket(&["doctor"]);
    nobody
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let nobody = Report::of(&mut nobody);
    nobody
        .expect("bucket", "fail", "no credentials", "AWS_ACCESS_KEY_ID")
        .expect("identity", "skipped", "there are no credentials", "")
        .expect("create", "skipped", "there are no credentials", "");
}

#[test]
fn what_a_store_does_not_know_is_skipped() {
    let store = Store::start();
    let proxy = store.proxy();
    for (operation, answer) in [
        (
            Operation::GetBucketVersioning,
            Fault::answer(501, "NotImplemented"),
        ),
        (
            Operation::GetBucketEncryption,
            Fault::answer(405, "MethodNotAllowed"),
        ),
        (
            Operation::GetPublicAccessBlock,
            Fault::answer(501, "NotImplemented"),
        ),
        (
            Operation::GetBucketPolicyStatus,
            Fault::answer(501, "NotImplemented"),
        ),
        (
            Operation::GetBucketAcl,
            Fault::answer(501, "NotImplemented"),
        ),
        (
            Operation::GetBucketOwnershipControls,
            Fault::answer(501, "NotImplemented"),
        ),
        (
            Operation::GetBucketLifecycleConfiguration,
            Fault::answer(501, "NotImplemented"),
        ),
        (
            Operation::ListMultipartUploads,
            Fault::answer(501, "NotImplemented"),
        ),
    ] {
        proxy.push(Rule::new(answer).operation(operation));
    }
    let mut command = store.debucket(&["doctor"]);
    let report = Report::of(command.env("AWS_ENDPOINT_URL", proxy.endpoint()));
    report.expect_open(&[]);
    for name in [
        "encryption",
        "versioning",
        "lifecycle",
        "public-access",
        "acl",
        "unfinished-uploads",
    ] {
        report.expect(name, "skipped", "the store does not know this", "");
    }
}

#[test]
fn a_store_that_ignores_conditions_fails_unless_there_is_a_single_writer() {
    let store = Store::start();
    let proxy = store.proxy();
    let refuse = Fault::answer(501, "NotImplemented");
    // It takes the first write, and knows no If-Match.
    proxy.push(Rule::new(refuse).operation(Operation::PutObject).nth(2));
    let mut command = store.debucket(&["doctor"]);
    let report = Report::of(command.env("AWS_ENDPOINT_URL", proxy.endpoint()));
    report.expect("replace", "fail", "NotImplemented", "");
}

#[test]
fn a_wrong_region_and_a_wrong_clock_are_told() {
    let builder = DevS3::builder().region("eu-north-1", WrongRegion::Malformed);
    let store = Store::start_with(builder);
    let report = store.doctor(&[]);
    report.expect_open(&["region", "versioning"]).expect(
        "region",
        "warn",
        "in eu-north-1, and not in eu-west-1",
        "--region eu-north-1",
    );
    let mut right = store.debucket(&["doctor", "--region", "eu-north-1"]);
    Report::of(&mut right).expect("region", "ok", "eu-north-1", "");

    for (hours, status, next) in [
        (2, "warn", "timedatectl"),
        (-2, "warn", "timedatectl"),
        (72, "fail", "--trust-store-clock"),
    ] {
        store.server.clock().set_offset(hours * 3600);
        let report = store.doctor(&[]);
        report.expect("clock", status, "store", next);
        report.expect("create", "ok", "", "");
    }
}

#[test]
fn a_suite_that_is_ill_is_told_with_the_remedy() {
    let store = Store::published();
    let head = "robots/dists/stable/InRelease";
    let put = |key: &str, bytes: &[u8]| store.server.put(BUCKET, key, bytes).map(drop).unwrap();
    let get = |key: &str| store.server.get(BUCKET, key).unwrap().unwrap();
    let repair = "debucket verify --repair";

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
        "let a publisher",
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
fn keys_are_told_from_those_that_the_suite_wants() {
    let store = Store::published();
    let (other, public) = (store.path("other.asc"), store.path("other-public.asc"));
    run(crate::run::debucket()
        .args(["key", "generate", "--out"])
        .arg(&other)
        .arg("--public-out")
        .arg(&public))
    .expect(0);
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
fn the_service_that_knows_says_who_asks() {
    let store = Store::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
            <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/ci</Arn><UserId>U</UserId>\
            <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut read = Vec::new();
            let mut piece = [0; 1024];
            while !read.ends_with(b"Version=2011-06-15") {
                let length = stream.read(&mut piece).unwrap();
                assert!(length > 0);
                read.extend_from_slice(&piece[..length]);
            }
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        }
    });
    let mut command = store.debucket(&["doctor"]);
    let report = Report::of(command.env("AWS_ENDPOINT_URL_STS", endpoint));
    report.expect("identity", "ok", "arn:aws:iam::123456789012:user/ci", "");
    // Keys of a store that is not AWS are not shown to AWS.
    let mut command = store.debucket(&["doctor"]);
    let command = command.env("AWS_ENDPOINT_URL_S3", store.server.endpoint());
    let report = Report::of(command.env_remove("AWS_ENDPOINT_URL"));
    report.expect("identity", "skipped", "the store is not of AWS", "");
}
