//! Conversations with the real program in which no store answers, or only a false one.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use apt_method_s3::message::Message;
use nix::sys::signal::{Signal, kill};

use crate::support::{Start, expect_reason, field, read_request, show};

const CAPABILITIES: &str =
    "100 Capabilities\nVersion: 1.2\nPipeline: true\nSend-Config: true\nSend-URI-Encoded: true\n\n";

/// An address at which nothing listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A store that takes connections and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// A store that gives the same answer to every request. `{token}` in it is what the client sent as
/// its session token.
fn parrot(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let request = read_request(&mut stream);
            let token = request
                .lines()
                .find_map(|line| line.strip_prefix("x-amz-security-token: "))
                .unwrap_or_default();
            let body = body.replace("{token}", token);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    endpoint
}

#[test]
fn says_what_it_can_do_and_ends_with_its_input() {
    let output = Command::new(env!("CARGO_BIN_EXE_apt-method-s3"))
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), CAPABILITIES);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{:?}",
        output.status
    );
}

#[test]
fn a_probe_that_interrupts_ends_it_at_once() {
    let method = Start::default().start();
    kill(method.id(), Signal::SIGINT).unwrap();
    let (_, messages) = method.end();
    assert_eq!(messages.len(), 0);
}

#[test]
fn ends_at_once_while_a_store_keeps_it_waiting() {
    for interrupt in [true, false] {
        let (_listener, endpoint) = silent();
        let mut method = Start::default()
            .item("Acquire::s3::Timeout", "600")
            .store(&endpoint, "id", "secret")
            .configured();
        method.acquire("s3://bucket/file", "file");
        assert_eq!(method.next().code, 102);
        if interrupt {
            kill(method.id(), Signal::SIGINT).unwrap();
        } else {
            method.close();
        }
        let (status, messages) = method.end();
        assert!(status.success(), "{status:?}");
        assert!(messages.is_empty());
    }
}

#[test]
fn a_store_that_says_nothing_is_given_up() {
    let (_listener, endpoint) = silent();
    let mut method = Start::default()
        .item("Acquire::s3::Timeout", "1")
        .store(&endpoint, "id", "secret")
        .configured();
    let failed = method.failure("s3://bucket/file", "file");
    assert_eq!(
        (
            field(&failed, "FailReason").as_str(),
            field(&failed, "Transient-Failure").as_str()
        ),
        ("Timeout", "true")
    );
}

#[test]
fn what_it_does_not_know_is_ignored() {
    let mut method = Start::default().configured();
    method.send_raw(b"602 Authorization Credentials\nUser: x\n\n603 Media Changed\n\n999 New\n\n");
    method.send_raw(b"not a message\n\n600 URI Acquire\nno colon\n\n\n\n\n600 URI Acquire\nFilename: /x\n\n600 URI Acquire\nURI: s3://bucket/k\n\n");
    let answers: Vec<_> = (0..2).map(|_| method.answer()).collect();
    assert_eq!(
        answers.iter().map(|answer| answer.code).collect::<Vec<_>>(),
        [400, 400]
    );
    assert_eq!(
        (
            field(&answers[0], "URI").as_str(),
            field(&answers[1], "URI").as_str()
        ),
        ("<UNKNOWN>", "s3://bucket/k")
    );
    method.close();
    let (status, rest) = method.end();
    assert!(status.success() && rest.is_empty(), "{status:?}");
}

#[test]
fn a_uri_comes_back_byte_for_byte() {
    let mut method = Start::default()
        .store(&nobody(), "id", "secret")
        .configured();
    let uris: [&[u8]; 5] = [
        b"s3://bucket/a%2bb%7e/%C3%A9",
        b"s3://id:se%2Fcret@bucket/x",
        b"s3://bucket/\xff\xfe raw + ~ %",
        b"s3:nonsense",
        b"S3://BUCKET//x/./y",
    ];
    for uri in uris {
        let path = method.path("file").display().to_string();
        let request = Message::new(600, "URI Acquire")
            .with_raw("URI", uri)
            .with("Filename", path);
        method.send(&request);
        let (_, failed) = method.end_of_item();
        assert_eq!(failed.get_raw("URI"), Some(uri), "{}", show(&failed));
    }
}

#[test]
fn an_unreachable_store_fails_the_item_and_nothing_else() {
    let parrot = parrot(
        "404 Not Found",
        "<Error><Code>NoSuchKey</Code><Message>The key is not there.</Message></Error>",
    );
    let mut method = Start::default()
        .store(&nobody(), "id", "secret")
        .item("Acquire::s3::other::Endpoint", &parrot)
        .configured();
    let failed = method.failure("s3://bucket/file", "file");
    expect_reason(&failed, "ConnectionRefused");
    assert_eq!(field(&failed, "Transient-Failure"), "true");
    let failed = method.failure("s3://other/file", "file");
    expect_reason(&failed, "HttpError404");
    assert_eq!(failed.get("Transient-Failure"), None);
    let failed = method.failure("s3://unresolvable.invalid:1/bucket/file", "file");
    expect_reason(&failed, "ResolveFailure");
}

#[test]
fn an_item_may_come_before_the_configuration() {
    let mut method = Start::default()
        .variable("AWS_ENDPOINT_URL", nobody())
        .variable("AWS_ACCESS_KEY_ID", "id")
        .variable("AWS_SECRET_ACCESS_KEY", "secret")
        .start();
    let failed = method.failure("s3://bucket/a%2bb", "file");
    expect_reason(&failed, "ConnectionRefused");
    assert!(
        field(&failed, "Message").contains("s3://bucket/a%2bb"),
        "without the configuration the path is not encoded"
    );
    method.configure(&[("Acquire::Send-URI-Encoded".into(), "1".into())]);
    assert!(
        field(&method.failure("s3://bucket/a%2bb", "file"), "Message").contains("s3://bucket/a+b")
    );
}

#[test]
fn a_proxy_is_used_where_one_is_named() {
    let proxy = parrot(
        "404 Not Found",
        "<Error><Code>NoSuchKey</Code><Message>said by the proxy</Message></Error>",
    );
    let start = || Start::default().store("http://store.invalid", "id", "secret");
    let reason = |start: Start| {
        field(
            &start.configured().failure("s3://bucket/k", "file"),
            "FailReason",
        )
    };
    assert_eq!(reason(start()), "ResolveFailure");
    assert_eq!(
        reason(start().item("Acquire::s3::Proxy", &proxy)),
        "HttpError404"
    );
    assert_eq!(
        reason(start().item("Acquire::http::Proxy", &proxy)),
        "HttpError404"
    );
    assert_eq!(
        reason(start().variable("http_proxy", &proxy)),
        "HttpError404"
    );
    let direct = start()
        .variable("http_proxy", &proxy)
        .item("Acquire::s3::Proxy::bucket", "DIRECT");
    assert_eq!(reason(direct), "ResolveFailure");
    let excepted = start()
        .variable("no_proxy", ".invalid")
        .item("Acquire::s3::Proxy", &proxy);
    assert_eq!(reason(excepted), "ResolveFailure");
}

#[test]
fn a_server_cannot_speak_to_apt() {
    let endpoint = parrot(
        "403 Forbidden",
        "<Error><Code>AccessDenied</Code><Message>no\r\n\r\n201 URI Done\nURI: s3://bucket/InRelease\nFilename: /etc/passwd\n\n&#10;&#10;100 Capabilities&#13;</Message></Error>",
    );
    let mut method = Start::default()
        .store(&endpoint, "id", "secret")
        .configured();
    let failed = method.failure("s3://bucket/InRelease", "file");
    let message = field(&failed, "Message");
    assert!(
        message.contains("201 URI Done") && message.chars().all(|c| !c.is_control()),
        "{message:?}"
    );
    expect_reason(&failed, "HttpError403");
    method.close();
    assert_eq!(method.end().1.len(), 0);
}

#[test]
fn no_secret_comes_out() {
    let body = "<Error><Code>InvalidToken</Code><Message>your token was {token}</Message></Error>";
    let endpoint = parrot("400 Bad Request", body);
    let mut method = Start::default()
        .store(&endpoint, "the-id", "hunter2-secret")
        .item("Acquire::s3::Token", "hunter3-token")
        .item("Acquire::s3::Proxy", "http://user:hunter4-proxy@")
        .item("Acquire::s3::other::Proxy", "DIRECT")
        .configured();
    let failures = [
        method.failure("s3://other/file", "file"),
        method.failure("s3://bucket/file", "file"),
        method.failure("s3://x:hunter5%2fsecret@", "file"),
        method.failure("s3://x:hunter6/secret@other/file", "file"),
    ];
    assert!(
        field(&failures[0], "Message").contains("your token was ***"),
        "{}",
        show(&failures[0])
    );
    for failed in &failures {
        assert!(
            !field(failed, "Message").contains("hunter"),
            "{}",
            show(failed)
        );
        assert!(
            field(failed, "FailReason").starts_with("HttpError4"),
            "{}",
            show(failed)
        );
        assert_eq!(failed.get("Transient-Failure"), None);
    }
}

#[test]
fn a_broken_credential_file_is_named() {
    let start = Start::default();
    let path = start.folder().join("s3auth.conf");
    std::fs::write(&path, "Region = 'eu-west-1'\nhunter2\n").unwrap();
    let mut method = start
        .item("Acquire::s3::AuthConf", path.to_str().unwrap())
        .configured();
    let failed = method.failure("s3://bucket/file", "file");
    let message = field(&failed, "Message");
    assert!(
        message.contains("s3auth.conf:2: ") && !message.contains("hunter2"),
        "{message}"
    );
    expect_reason(&failed, "HttpError400");
}

#[test]
fn without_credentials_every_source_is_named() {
    let endpoint = parrot(
        "403 Forbidden",
        "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    );
    let mut method = Start::default()
        .item("Acquire::s3::Endpoint", &endpoint)
        .item("Acquire::s3::Region", "us-east-1")
        .configured();
    for name in ["one", "two"] {
        let failed = method.failure(&format!("s3://bucket/{name}"), name);
        let message = field(&failed, "Message");
        for source in [
            "Acquire::s3::bucket",
            "no-s3auth.conf: does not exist",
            "auth.conf",
            "environment",
            "profile",
            "web identity",
            "container",
            "instance metadata",
        ] {
            assert!(message.contains(source), "{source} in {message}");
        }
        expect_reason(&failed, "HttpError403");
        assert_eq!(failed.get("Transient-Failure"), None);
    }
}

#[test]
fn rights_are_given_up() {
    let root = nix::unistd::getuid().is_root();
    let status = |method: &support::Method| {
        std::fs::read_to_string(format!("/proc/{}/status", method.id())).unwrap()
    };
    let line = |status: &str, key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let configured = |items: &[(&str, &str)]| {
        let mut method = items
            .iter()
            .fold(
                Start::default().store(&nobody(), "id", "secret"),
                |start, (key, value)| start.item(key, value),
            )
            .configured();
        // The answer shows that the configuration was taken.
        method.failure("s3://bucket/k", "file");
        method
    };
    let nobody_user = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let dropped = vec![
        if root {
            nobody_user.uid
        } else {
            nix::unistd::getuid()
        }
        .to_string();
        4
    ];
    let kept = vec![nix::unistd::getuid().to_string(); 4];
    for (items, expected) in [
        (&[("APT::Sandbox::User", "nobody")][..], &dropped),
        (&[("APT::Sandbox::User", "root")], &kept),
        (
            &[
                ("APT::Sandbox::User", "nobody"),
                ("Debug::NoDropPrivs", "true"),
            ],
            &kept,
        ),
        (&[], &kept),
    ] {
        let status = status(&configured(items));
        assert_eq!(&line(&status, "Uid:"), expected, "{items:?}");
        assert_eq!(line(&status, "NoNewPrivs:"), ["1"]);
        if root && expected == &dropped {
            assert_eq!(line(&status, "Gid:"), vec![nobody_user.gid.to_string(); 4]);
            assert_eq!(line(&status, "Groups:"), [nobody_user.gid.to_string()]);
        }
    }
    if root {
        let method = Start::default()
            .item("APT::Sandbox::User", "no-such-user")
            .configured();
        let (status, messages) = method.end();
        assert_eq!(status.code(), Some(112));
        assert_eq!(messages[0].code, 400);
        assert!(field(&messages[0], "Message").contains("no-such-user"));
    }
}
