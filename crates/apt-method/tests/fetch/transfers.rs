//! What arrives: content, digests, date; whole, in ranges, or not at all because nothing changed.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use deb_index::digest::{Algorithm, Digests};
use dev_s3::{Fault, FaultProxy, Next, Operation, Rule};

use crate::{
    store::{MIB, against, listed, modified, noise, settled_store, sha256, store},
    support::{field, show},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_with_its_digests_and_date() {
    let store = settled_store().await;
    store.put("bucket", "dists/a+b~1/é", b"abc").unwrap();
    store.clock().advance(Duration::from_secs(100));
    let mut method = against(&store.endpoint()).configured();
    let (started, done) = method.fetch("s3://bucket/dists/a%2bb%7e1/%c3%a9", "file");
    let started = started.unwrap();
    assert_eq!(
        (field(&started, "Size"), field(&done, "Size")),
        ("3".into(), "3".into())
    );
    assert_eq!(fs::read(method.path("file")).unwrap(), b"abc");
    let digests = Digests::of(&Algorithm::ALL, b"abc");
    for (name, algorithm) in [
        ("MD5Sum", Algorithm::Md5),
        ("SHA1", Algorithm::Sha1),
        ("SHA256", Algorithm::Sha256),
        ("SHA512", Algorithm::Sha512),
    ] {
        assert_eq!(
            field(&done, &format!("{name}-Hash")),
            digests.get(algorithm).unwrap()
        );
    }
    assert_eq!(field(&done, "Checksum-FileSize-Hash"), "3");
    let date = modified(&method.path("file"))
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert_eq!(date as i64, store.clock().unix() - 100);
    assert_eq!(
        field(&done, "Last-Modified"),
        field(&started, "Last-Modified")
    );
    assert!(
        store
            .request_log()
            .iter()
            .all(|request| request.request.operation == Operation::GetObject),
        "no HEAD"
    );

    store.put("bucket", "empty", b"").unwrap();
    let (done, content) = method.content("s3://bucket/empty", "empty");
    assert_eq!(
        (
            field(&done, "Checksum-FileSize-Hash").as_str(),
            content.len()
        ),
        ("0", 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_file_is_not_sent_again() {
    let store = settled_store().await;
    store.put("bucket", "InRelease", b"first").unwrap();
    store.clock().advance(Duration::from_secs(10));
    let mut method = against(&store.endpoint()).configured();
    let (done, _) = method.content("s3://bucket/InRelease", "file");
    fs::remove_file(method.path("file")).unwrap();
    let ask = method
        .request("s3://bucket/InRelease", "file")
        .with("Last-Modified", field(&done, "Last-Modified"));
    method.send(&ask);
    let (started, hit) = method.end_of_item();
    assert_eq!(
        (hit.code, field(&hit, "IMS-Hit").as_str(), started),
        (201, "true", None)
    );
    assert_eq!(
        field(&hit, "Filename"),
        method.path("file").display().to_string()
    );
    assert_eq!(hit.get("SHA256-Hash"), None);
    assert!(!method.path("file").exists());

    store.put("bucket", "InRelease", b"second").unwrap();
    method.send(&ask);
    assert_eq!(method.end_of_item().1.get("IMS-Hit"), None);
    assert_eq!(fs::read(method.path("file")).unwrap(), b"second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_within_the_same_second_is_seen() {
    let store = settled_store().await;
    store.put("bucket", "InRelease", b"first").unwrap();
    let mut method = against(&store.endpoint()).configured();
    let (done, _) = method.content("s3://bucket/InRelease", "file");
    store.put("bucket", "InRelease", b"second").unwrap();
    fs::remove_file(method.path("file")).unwrap();
    let ask = method
        .request("s3://bucket/InRelease", "file")
        .with("Last-Modified", field(&done, "Last-Modified"));
    method.send(&ask);
    assert_eq!(method.end_of_item().1.get("IMS-Hit"), None);
    assert_eq!(fs::read(method.path("file")).unwrap(), b"second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_comes_in_ranges() {
    let store = store().await;
    let content = noise(43 * MIB + 7);
    store.put("bucket", "deb", &content).unwrap();
    let mut method = against(&store.endpoint()).configured();
    for expected in [true, false] {
        store.clear_request_log();
        let ask = if expected {
            listed(&method, "s3://bucket/deb", "file", &content)
        } else {
            method.request("s3://bucket/deb", "file")
        };
        method.send(&ask);
        let (_, done) = method.end_of_item();
        assert_eq!(done.code, 201, "{}", show(&done));
        assert_eq!(field(&done, "SHA256-Hash"), sha256(&content));
        assert!(fs::read(method.path("file")).unwrap() == content);
        let ranges = store
            .request_log()
            .iter()
            .filter(|logged| logged.request.range.is_some())
            .count();
        assert!(ranges >= 5, "{ranges}");
        fs::remove_file(method.path("file")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_are_never_mixed() {
    let store = Arc::new(store().await);
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    let first = noise(40 * MIB);
    let second: Vec<u8> = first.iter().map(|byte| byte ^ 0xff).collect();
    store.put("bucket", "deb", &first).unwrap();
    let (changing, replacement) = (Arc::clone(&store), second.clone());
    // When the third request comes, the object has changed.
    let change = Fault::before(move |_| {
        changing.put("bucket", "deb", &replacement).unwrap();
        Next::Continue
    });
    proxy.push(Rule::new(change).nth(3));
    let mut method = against(&proxy.endpoint()).configured();
    let (done, content) = method.content("s3://bucket/deb", "file");
    assert!(content == second);
    assert_eq!(field(&done, "SHA256-Hash"), sha256(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_rate_is_kept() {
    let store = store().await;
    let content = noise(300 << 10);
    store.put("bucket", "file", &content).unwrap();
    let mut method = against(&store.endpoint())
        .item("Acquire::s3::Dl-Limit", "400")
        .configured();
    let begin = Instant::now();
    assert!(method.content("s3://bucket/file", "file").1 == content);
    // A lower bound only: a slow machine takes longer.
    assert!(
        begin.elapsed() >= Duration::from_millis(700),
        "{:?}",
        begin.elapsed()
    );
}
