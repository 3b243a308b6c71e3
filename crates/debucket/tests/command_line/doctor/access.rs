//! Whether the bucket can be reached, as whom, and what may be done and asked there.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use dev_s3::{DevS3, Fault, Operation, Rule, WrongRegion};

use super::Report;
use crate::run::{BUCKET, Store};

#[test]
fn the_printed_policies_pass_and_what_they_leave_out_is_skipped() {
    let store = Store::published();
    let before = store.server.keys(BUCKET);
    for role in ["publisher", "deleter", "collector", "reader"] {
        store.allow(role);
        let more = ["stable", "--role", role];
        let report = match role {
            "publisher" | "deleter" => store.doctor_with_key(&more),
            _ => store.doctor(&more),
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
        .expect("replace", "fail", "AccessDenied", policy)
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
    report.expect_open(&["keys"]);
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
fn one_refusal_does_not_end_the_checks() {
    let store = Store::start();
    let proxy = store.proxy();
    // The object is created, and cannot be replaced.
    let refusal = Rule::new(Fault::answer(403, "AccessDenied")).operation(Operation::PutObject);
    proxy.push(refusal.key_contains("/object").nth(2));
    let mut command = store.debucket(&["doctor"]);
    let report = Report::of(command.env("AWS_ENDPOINT_URL", proxy.endpoint()));
    report.expect_open(&["keys", "replace", "versioning"]);
    report.expect("replace", "fail", "AccessDenied", "--policy publisher");
    assert!(store.server.keys(BUCKET).is_empty());
}

#[test]
fn a_wrong_region_and_a_wrong_clock_are_told() {
    let builder = DevS3::builder().region("eu-north-1", WrongRegion::Malformed);
    let store = Store::start_with(builder);
    let report = store.doctor(&[]);
    report
        .expect_open(&["keys", "region", "versioning"])
        .expect(
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
