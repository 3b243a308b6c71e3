//! The proxy in apt's configuration is for the store: the services that give the credentials of the
//! container or the instance are asked directly.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dev_s3::{AccessKey, FaultProxy, Grants, Operation};

use crate::{
    store::store,
    support::{Start, show},
};

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"role","SecretAccessKey":"of-the-role",
    "Token":"token-of-the-role","Expiration":"2099-01-01T00:00:00Z"}"#;

/// A service that gives credentials, as in a container and on an instance; its port, and how often
/// it was asked.
fn credentials() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            let mut head = String::new();
            let mut reader = BufReader::new(&stream);
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let body = if head.contains("/latest/api/token") {
                "a-token"
            } else if head.contains("security-credentials/ ") {
                "role"
            } else {
                KEYS
            };
            let length = body.len();
            let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{ttl}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_store_is_asked_through_the_proxy() {
    let store = store().await;
    let role = AccessKey::new("role", "of-the-role", Grants::All);
    store.set_access_keys(vec![role.with_session_token("token-of-the-role")]);
    store.put("bucket", "file", b"abc").unwrap();
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    let (port, asked) = credentials();
    for (variable, service) in [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://127.0.0.1:{port}/creds"),
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://localhost:{port}/creds"),
        ),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://127.0.0.1:{port}"),
        ),
    ] {
        for way in [
            "Acquire::http::Proxy",
            "Acquire::s3::Proxy",
            "Acquire::s3::Proxy::bucket",
            "http_proxy",
            "header",
        ] {
            asked.store(0, Ordering::Relaxed);
            proxy.clear_request_log();
            let start = Start::default()
                .item("Acquire::s3::Endpoint", "http://store.invalid")
                .variable("AWS_EC2_METADATA_DISABLED", "false")
                .variable(variable, &service);
            let start = match way {
                "header" => start,
                "http_proxy" => start.variable(way, proxy.endpoint()),
                item => start.item(item, &proxy.endpoint()),
            };
            let mut method = start.configured();
            let mut ask = method.request("s3://bucket/file", "file");
            if way == "header" {
                ask = ask.with("Proxy", proxy.endpoint());
            }
            method.send(&ask);
            let (_, done) = method.end_of_item();
            assert_eq!(done.code, 201, "{service}, {way}: {}", show(&done));
            assert!(asked.load(Ordering::Relaxed) > 0, "{service}, {way}");
            let seen: Vec<_> = proxy
                .request_log()
                .into_iter()
                .map(|logged| (logged.request.operation, logged.request.key))
                .collect();
            let read = (Operation::GetObject, "file".to_owned());
            assert_eq!(seen, [read], "{service}, {way}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_fails_is_named_with_what_named_it() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let failure = |start: Start| {
        let start = start.store("http://store.example.org", "key", "secret");
        show(&start.configured().failure("s3://bucket/file", "file"))
    };
    for item in ["Acquire::http::Proxy", "Acquire::s3::Proxy::bucket"] {
        let failed = failure(Start::default().item(item, &url));
        let named = format!("the proxy is that of {item})");
        assert!(
            failed.contains(&named) && failed.contains(url.trim_end_matches('/')),
            "{failed}"
        );
    }
    let failed = failure(Start::default().variable("http_proxy", &url));
    assert!(
        failed.contains("the proxy is that of http_proxy)"),
        "{failed}"
    );
}
