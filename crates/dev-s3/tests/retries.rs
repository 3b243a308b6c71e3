//! What the client tries again by itself, and how often.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bytes::Bytes;
use common::{BUCKET, admin, config};
use dev_s3::{DevS3, Fault, FaultProxy, Operation, Rule};
use s3_storage::{ErrorKind, Payload, PutMode, PutOptions, S3, Storage};

async fn set_up() -> (DevS3, FaultProxy, S3) {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let proxy = FaultProxy::start(&server.endpoint()).await.unwrap();
    let store = S3::connect(config(&proxy.endpoint(), admin()))
        .await
        .unwrap();
    (server, proxy, store)
}

async fn put(store: &S3, key: &str, mode: PutMode) -> Result<(), s3_storage::Error> {
    let content = Payload::Bytes(Bytes::from_static(b"content"));
    let put = store.put(key, content, PutOptions::new(mode)).await;
    put.map(drop)
}

#[tokio::test]
async fn a_store_that_asks_to_wait_is_asked_again() {
    let (server, proxy, store) = set_up().await;
    for (number, (status, code)) in [
        (429, "TooManyRequests"),
        (429, "Whatever"),
        (503, "SlowDown"),
        (503, "Whatever"),
        (520, "Whatever"),
        (408, "RequestTimeout"),
    ]
    .into_iter()
    .enumerate()
    {
        proxy.clear_rules();
        proxy.push(Rule::new(Fault::answer(status, code)).nth(1));
        let key = format!("key{number}");
        put(&store, &key, PutMode::Create).await.unwrap();
        assert!(
            server.get(BUCKET, &key).unwrap().is_some(),
            "{status} {code}"
        );
        proxy.clear_rules();
        proxy.push(Rule::new(Fault::answer(status, code)).nth(1));
        store.head(&key).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_race_is_told_at_once() {
    let (_server, proxy, store) = set_up().await;
    for code in ["ConditionalRequestConflict", "OperationAborted"] {
        proxy.clear_rules();
        proxy.push(Rule::new(Fault::answer(409, code)).nth(1));
        let before = proxy.writes();
        let error = put(&store, "key", PutMode::Create).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(!error.is_ambiguous());
        assert_eq!(proxy.writes(), before + 1);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again_a_few_times() {
    let (server, proxy, store) = set_up().await;
    server.put(BUCKET, "key", &[7; 100_000]).unwrap();
    let store: &dyn Storage = &store;
    let cut = || Rule::new(Fault::CutBody(10_000)).operation(Operation::GetObject);
    proxy.push(cut().first(2));
    let (_, bytes) = store.get_bytes("key", 1 << 20).await.unwrap();
    assert_eq!(bytes.len(), 100_000);
    proxy.clear_rules();
    proxy.push(cut());
    let error = store.get_bytes("key", 1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
}

#[tokio::test]
async fn the_answer_that_something_is_missing_tells_the_time() {
    let (_server, _proxy, store) = set_up().await;
    let error = store.head("missing").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.date().is_some());
}

/// Sent again, it could take away what another client has written meanwhile.
#[tokio::test]
async fn a_deletion_is_sent_once() {
    let (server, proxy, store) = set_up().await;
    for keys in [&["one"][..], &["one", "two"]] {
        for (fault, is_left) in [
            (Fault::answer(503, "SlowDown"), true),
            (Fault::LoseReply, false),
        ] {
            server.put(BUCKET, "one", b"content").unwrap();
            proxy.clear_rules();
            proxy.push(Rule::new(fault).nth(1));
            let before = proxy.writes();
            let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
            store.delete(&keys).await.unwrap_err();
            assert_eq!(proxy.writes(), before + 1);
            assert_eq!(server.get(BUCKET, "one").unwrap().is_some(), is_left);
        }
    }
}
