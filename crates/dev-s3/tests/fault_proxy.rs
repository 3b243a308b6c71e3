//! Each fault, as the real client meets it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{BUCKET, admin, config};
use dev_s3::{DevS3, Fault, FaultProxy, Next, Operation, Rule};
use futures::StreamExt as _;
use s3_storage::{
    ConnectProblem, ErrorKind, GetOptions, GetReply, Payload, PutMode, PutOptions, S3, Storage,
};

/// A store, the proxy before it, and a client that tries each request once.
async fn set_up(attempts: u32) -> (DevS3, FaultProxy, S3) {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let proxy = FaultProxy::start(&server.endpoint()).await.unwrap();
    let config = config(&proxy.endpoint(), admin());
    let config = config.with_access(|access| access.max_attempts = attempts);
    let store = S3::connect(config).await.unwrap();
    (server, proxy, store)
}

async fn put(store: &S3, key: &str, mode: PutMode) -> Result<(), ErrorKind> {
    let put = store
        .put(
            key,
            Payload::Bytes(Bytes::from_static(b"content")),
            PutOptions::new(mode),
        )
        .await;
    put.map(|_| ()).map_err(|error| error.kind())
}

#[tokio::test]
async fn hooks_run_before_and_after_the_kth_write() {
    let (server, proxy, store) = set_up(1).await;
    let server = Arc::new(server);
    let seen: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let note = |next: Next| {
        let (seen, server) = (Arc::clone(&seen), Arc::clone(&server));
        move |request: &dev_s3::RequestInfo| {
            let there = server.keys(BUCKET).contains(&request.key);
            seen.lock().unwrap().push((request.key.clone(), there));
            next
        }
    };
    proxy.push(
        Rule::new(Fault::before(note(Next::Continue)))
            .writes()
            .nth(1),
    );
    proxy.push(Rule::new(Fault::before(note(Next::Close))).writes().nth(2));
    proxy.push(
        Rule::new(Fault::after(note(Next::Continue)))
            .writes()
            .nth(3),
    );
    proxy.push(Rule::new(Fault::after(note(Next::Close))).writes().nth(4));
    assert_eq!(put(&store, "1", PutMode::Create).await, Ok(()));
    store.head("1").await.unwrap();
    assert!(put(&store, "2", PutMode::Create).await.is_err());
    assert_eq!(put(&store, "3", PutMode::Create).await, Ok(()));
    assert!(put(&store, "4", PutMode::Create).await.is_err());
    assert_eq!(put(&store, "5", PutMode::Create).await, Ok(()));
    let expected = [("1", false), ("2", false), ("3", true), ("4", true)]
        .map(|(key, there)| (key.to_owned(), there));
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(server.keys(BUCKET), ["1", "3", "4", "5"]);
    assert_eq!(proxy.writes(), 5);
    let statuses: Vec<u16> = proxy
        .request_log()
        .iter()
        .map(|logged| logged.status)
        .collect();
    assert_eq!(statuses, [200, 200, 0, 200, 0, 200]);
}

#[tokio::test]
async fn a_lost_reply_has_taken_effect_and_a_refused_request_has_not() {
    let (server, proxy, store) = set_up(1).await;
    proxy.push(
        Rule::new(Fault::LoseReply)
            .operation(Operation::PutObject)
            .key_contains("lost"),
    );
    proxy.push(Rule::new(Fault::Refuse).key_contains("refused"));
    for key in ["lost", "refused"] {
        let kind = put(&store, key, PutMode::Create).await.unwrap_err();
        assert_eq!(kind, ErrorKind::Connect(ConnectProblem::Other), "{key}");
    }
    assert_eq!(server.keys(BUCKET), ["lost"]);
    proxy.clear_rules();
    assert_eq!(
        put(&store, "lost", PutMode::Create).await,
        Err(ErrorKind::PreconditionFailed)
    );
}

#[tokio::test]
async fn a_store_that_asks_to_slow_down_is_asked_again() {
    let (server, proxy, store) = set_up(3).await;
    proxy.push(Rule::new(Fault::slow_down()).first(2));
    assert_eq!(put(&store, "key", PutMode::Create).await, Ok(()));
    let statuses: Vec<u16> = proxy
        .request_log()
        .iter()
        .map(|logged| logged.status)
        .collect();
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(server.request_log().len(), 1);
    proxy.push(Rule::new(Fault::slow_down()));
    assert_eq!(
        put(&store, "other", PutMode::Create).await,
        Err(ErrorKind::Throttled)
    );
}

#[tokio::test]
async fn a_body_is_cut_after_exactly_so_many_bytes() {
    let (server, proxy, store) = set_up(1).await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect();
    server.put(BUCKET, "key", &content).unwrap();
    for after in [0, 1, 1_000, 700_000, 2_999_999] {
        proxy.clear_rules();
        proxy.push(Rule::new(Fault::CutBody(after)).operation(Operation::GetObject));
        let GetReply::Found(mut object) = store.get("key", GetOptions::default()).await.unwrap()
        else {
            panic!("304")
        };
        let mut received = Vec::new();
        let error = loop {
            match object.body.next().await.expect("an error ends the body") {
                Ok(piece) => received.extend_from_slice(&piece),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Truncated);
        assert!(
            received == content[..usize::try_from(after).unwrap()],
            "{} of {after}",
            received.len()
        );
    }
    // One that is shorter than that is whole.
    server.put(BUCKET, "short", b"short").unwrap();
    proxy.clear_rules();
    proxy.push(Rule::new(Fault::CutBody(6)));
    let store: &dyn Storage = &store;
    assert_eq!(store.get_bytes("short", 100).await.unwrap().1, "short");
}

#[tokio::test]
async fn a_black_hole_is_given_up() {
    let (_server, proxy, _) = set_up(1).await;
    proxy.push(Rule::new(Fault::BlackHole));
    let config = config(&proxy.endpoint(), admin()).with_access(|access| {
        access.max_attempts = 1;
        access.silence_timeout = Duration::from_millis(200);
    });
    let store = S3::connect(config).await.unwrap();
    assert_eq!(
        put(&store, "key", PutMode::Create).await,
        Err(ErrorKind::Timeout)
    );
    assert_eq!(proxy.request_log().len(), 1);
}

#[tokio::test]
async fn a_delay_comes_before_the_store() {
    let (server, proxy, store) = set_up(1).await;
    let delay = Duration::from_millis(100);
    proxy.push(Rule::new(Fault::Delay(delay)).writes());
    let waited: Arc<Mutex<Option<Duration>>> = Arc::default();
    let (noted, started) = (Arc::clone(&waited), Instant::now());
    proxy.push(Rule::new(Fault::before(move |_| {
        *noted.lock().unwrap() = Some(started.elapsed());
        Next::Continue
    })));
    assert_eq!(put(&store, "key", PutMode::Create).await, Ok(()));
    assert!(waited.lock().unwrap().unwrap() >= delay);
    assert_eq!(server.keys(BUCKET), ["key"]);
}

#[tokio::test]
async fn only_http_can_be_behind_it() {
    for upstream in [
        "https://127.0.0.1:1",
        "127.0.0.1:1",
        "http://127.0.0.1:1/path",
        "",
    ] {
        assert!(
            matches!(
                FaultProxy::start(upstream).await,
                Err(dev_s3::Error::Upstream(_))
            ),
            "{upstream}"
        );
    }
}
