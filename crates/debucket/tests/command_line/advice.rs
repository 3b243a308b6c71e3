//! What is advised follows from what the store answered.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use dev_s3::{Fault, FaultProxy, Rule};
use hyper::StatusCode;

use crate::{
    package,
    run::{Run, Store, run},
};

/// Publishes into a store that answers like this to what a rule says.
fn publish(store: &Store, proxy: &FaultProxy, rule: Rule, more: &[&str]) -> Run {
    proxy.clear_rules();
    proxy.push(rule);
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    run(store
        .debucket(&["publish", "--sign-key"])
        .arg(store.path("key.asc"))
        .arg(file)
        .args(more)
        .env("AWS_ENDPOINT_URL", proxy.endpoint()))
}

/// The advice of a failed run, in lower case; empty if there is none.
#[track_caller]
fn advice(run: &Run) -> String {
    assert_eq!(run.code, 1, "{run:#?}");
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{run:#?}");
    let next = run.stderr.split_once("next: ").map(|(_, next)| next);
    next.unwrap_or_default().to_lowercase()
}

#[test]
fn advice_follows_from_the_answer() {
    let store = Store::start();
    let proxy = store.proxy();
    let (acl, sse) = (["--acl", "private"], ["--sse", "AES256"]);
    let kms = ["--sse", "aws:kms", "--sse-kms-key-id", "alias/apt"];
    let none: [&str; 0] = [];
    for (status, code, options, expected, forbidden) in [
        (
            501,
            "NotImplemented",
            &acl[..],
            "without --acl",
            "single-writer",
        ),
        (
            501,
            "NotImplemented",
            &sse[..],
            "without --sse",
            "single-writer",
        ),
        (
            400,
            "AccessControlListNotSupported",
            &acl[..],
            "without --acl",
            "iam",
        ),
        (400, "InvalidArgument", &kms[..], "--sse", "network"),
        (
            400,
            "KMS.NotFoundException",
            &kms[..],
            "--sse-kms-key-id",
            "again",
        ),
        (
            400,
            "KMS.DisabledException",
            &none[..],
            "kms:generatedatakey",
            "again",
        ),
        (403, "AccessDenied", &none[..], "--policy publisher", "kms"),
        (403, "AccessDenied", &acl[..], "s3:putobjectacl", "kms"),
        (
            403,
            "AccessDenied",
            &kms[..],
            "kms:generatedatakey",
            "putobjectacl",
        ),
        (403, "InvalidTokenId", &none[..], "access key", "policy"),
        (403, "InvalidAccessKeyId", &none[..], "access key", "policy"),
        (
            403,
            "SignatureDoesNotMatch",
            &none[..],
            "secret access key",
            "policy",
        ),
        (400, "ExpiredToken", &none[..], "new credentials", "policy"),
        (403, "RequestTimeTooSkewed", &none[..], "clock", "policy"),
        (404, "NoSuchBucket", &none[..], "--repo", "policy"),
        (301, "PermanentRedirect", &none[..], "--region", "policy"),
        (
            400,
            "AuthorizationHeaderMalformed",
            &none[..],
            "--region",
            "secret",
        ),
        (
            405,
            "MethodNotAllowed",
            &none[..],
            "--endpoint-url",
            "again",
        ),
        (507, "XMinioStorageFull", &none[..], "room", "again"),
        (429, "TooManyRequests", &none[..], "again later", "policy"),
        (503, "SlowDown", &none[..], "again later", "policy"),
    ] {
        let answer = Fault::Answer(StatusCode::from_u16(status).unwrap(), code);
        let everywhere = Rule::new(answer.clone());
        let rules = if options.is_empty() {
            vec![
                everywhere.clone(),
                Rule::new(answer).writes().key_contains("pool/"),
            ]
        } else {
            // What reads has no options.
            vec![Rule::new(answer).writes().key_contains("pool/")]
        };
        for rule in rules {
            let run = publish(&store, &proxy, rule, options);
            let advice = advice(&run);
            assert!(
                advice.contains(expected) && !advice.contains(forbidden),
                "{status} {code} {options:?}: {run:#?}"
            );
            assert!(run.stderr.contains(code), "{run:#?}");
        }
    }
    assert!(
        store
            .server
            .get(crate::run::BUCKET, "robots/dists/stable/InRelease")
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_text_is_not_repeated_as_its_own_cause() {
    let store = Store::start();
    let proxy = store.proxy();
    let answer = Fault::Answer(StatusCode::FORBIDDEN, "AccessDenied");
    let missing = store.path("missing.asc");
    let notes = store.path("notes.deb");
    std::fs::write(&notes, "just some notes").unwrap();
    let good = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    for run in [
        publish(&store, &proxy, Rule::new(answer), &[]),
        store.publish(&notes, &[]),
        store.publish(&missing, &[]),
        store.publish(&good, &["--keyring", missing.to_str().unwrap()]),
        store.publish(&good, &["--keyring", notes.to_str().unwrap()]),
        store.publish(&good, &["--endpoint-url", "ftp://x"]),
        store.publish(&good, &["--endpoint-url", "http://127.0.0.1:9"]),
        store.publish(&good, &["--endpoint-url", "https://127.0.0.1:9"]),
        store.publish(&good, &["--ca-bundle", missing.to_str().unwrap()]),
        run(store
            .debucket(&["publish", "--sign-key"])
            .arg(&notes)
            .arg(&good)),
        run(store
            .debucket(&["publish", "--sign-key"])
            .arg(&missing)
            .arg(&good)),
    ] {
        assert_ne!(run.code, 0);
        let lines = run.stderr.lines().map(|line| {
            let line = line.trim_start_matches("error: ");
            line.trim_start_matches("  caused by: ")
        });
        let parts: Vec<_> = lines.flat_map(|line| line.split(": ")).collect();
        for (at, part) in parts.iter().enumerate() {
            assert!(!parts[at + 1..].contains(part), "{part}: {run:#?}");
        }
        assert!(
            !run.stderr.contains("os error") || run.stderr.contains("caused by"),
            "{run:#?}"
        );
    }
}

/// A server that answers everything with a page. Returns its address.
fn website(status: u16, header: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
                    _ => break,
                }
            }
            let page = "<!DOCTYPE html><html><body><p>Sign in<br></body></html>";
            let length = page.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n"
            );
            if !request.starts_with(b"HEAD") {
                let _ = stream.write_all(page.as_bytes());
            }
        }
    });
    endpoint
}

#[test]
fn what_is_not_the_api_of_a_store_is_told_from_it() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let file = file.to_str().unwrap();
    for (status, header) in [
        (200, ""),
        (200, "ETag: \"page\"\r\n"),
        (302, "Location: /login\r\n"),
        (400, ""),
        (403, ""),
        (404, ""),
    ] {
        let endpoint = website(status, header);
        for command in [
            &["list"][..],
            &["suite", "list"],
            &["publish", file],
            &["publish", file, "--dry-run"],
            &["suite", "delete", "stable", "--yes"],
            &["adopt", "stable"],
            &["gc"],
            &["verify"],
        ] {
            let mut command = store.debucket(command);
            let failed = run(command
                .env("AWS_ENDPOINT_URL", &endpoint)
                .env("DEBUCKET_SIGN_KEY", store.path("key.asc")));
            assert!([1, 4].contains(&failed.code), "{failed:#?}");
            assert!(
                failed.stderr.contains("next: "),
                "{status} {header}: {failed:#?}"
            );
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    let store = Store::start();
    let elsewhere = ["--repo", "s3://no-such-bucket/robots"];
    for command in [&["list"][..], &["suite", "list"]] {
        let missing = run(&mut store.debucket(&[command, &elsewhere].concat()));
        assert_eq!(missing.code, 1, "{missing:#?}");
        let words = "there is no bucket no-such-bucket";
        assert!(missing.stderr.contains(words), "{}", missing.stderr);
    }
    for command in [&["suite", "list"][..], &["list", "--suites"]] {
        let empty = run(&mut store.debucket(command));
        assert!(
            empty
                .stderr
                .starts_with("note: there is no suite yet in s3://acme-apt/robots"),
            "{}",
            empty.stderr
        );
        assert_eq!(empty.expect(0), "");
    }
}
