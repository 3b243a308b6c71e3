//! What an earlier run left of a file, and what this one leaves.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use dev_s3::{Fault, FaultProxy, Next, Rule};

use crate::{
    store::{MIB, against, listed, modified, noise, settled_store, sha256, store},
    support::{Method, field, show},
};

/// Leaves a partial file as the method leaves one: `content`, dated as the object `key`.
fn leave(method: &mut Method, key: &str, name: &str, content: &[u8]) {
    let date = {
        method.content(&format!("s3://bucket/{key}"), "for-its-date");
        modified(&method.path("for-its-date"))
    };
    let path = method.path(name);
    fs::write(&path, content).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(date)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_file_is_resumed() {
    let store = settled_store().await;
    let content = noise(300_000);
    store.put("bucket", "deb", &content).unwrap();
    store.clock().advance(Duration::from_secs(10));
    let mut method = against(&store.endpoint()).configured();
    leave(&mut method, "deb", "file", &content[..100_000]);
    store.clear_request_log();
    let ask = listed(&method, "s3://bucket/deb", "file", &content);
    method.send(&ask);
    let (started, done) = method.end_of_item();
    assert_eq!(field(&started.unwrap(), "Resume-Point"), "100000");
    assert_eq!(
        (field(&done, "SHA256-Hash"), field(&done, "Resume-Point")),
        (sha256(&content), "100000".into())
    );
    assert_eq!(fs::read(method.path("file")).unwrap(), content);
    assert_eq!(
        store.request_log()[0].request.range.as_deref(),
        Some("bytes=100000-")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_file_needs_no_request() {
    let store = store().await;
    let mut method = against(&store.endpoint()).configured();
    fs::write(method.path("file"), b"abc").unwrap();
    let ask = listed(&method, "s3://bucket/never-asked", "file", b"abc");
    method.send(&ask);
    let (started, done) = method.end_of_item();
    assert!(started.is_some() && done.code == 201, "{}", show(&done));
    assert_eq!(field(&done, "SHA256-Hash"), sha256(b"abc"));
    assert!(store.request_log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_beginning_of_the_object_is_replaced() {
    let store = settled_store().await;
    let content = noise(300_000);
    store.put("bucket", "deb", &content).unwrap();
    store.clock().advance(Duration::from_secs(10));
    let mut method = against(&store.endpoint()).configured();
    let mut wrong = content.clone();
    wrong[5] ^= 1;
    let longer = [content.clone(), vec![0]].concat();
    // Right length; longer; right date and wrong bytes; the date of a write that was cut off.
    for (case, left, dated) in [
        (0, &wrong[..], true),
        (1, &longer, true),
        (2, &wrong[..1000], true),
        (3, &content[..1000], false),
    ] {
        for expected in [true, false] {
            if case == 2 && !expected {
                continue;
            }
            if dated {
                leave(&mut method, "deb", "file", left);
            } else {
                fs::write(method.path("file"), left).unwrap();
            }
            let ask = if expected {
                listed(&method, "s3://bucket/deb", "file", &content)
            } else {
                method.request("s3://bucket/deb", "file")
            };
            method.send(&ask);
            let (_, done) = method.end_of_item();
            assert_eq!(done.code, 201, "{case} {}", show(&done));
            assert_eq!(
                field(&done, "SHA256-Hash"),
                sha256(&content),
                "{case} {expected}"
            );
            assert_eq!(fs::read(method.path("file")).unwrap(), content);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_object_under_the_key_is_not_appended() {
    let store = settled_store().await;
    store.put("bucket", "deb", &noise(200_000)).unwrap();
    store.clock().advance(Duration::from_secs(10));
    let mut method = against(&store.endpoint()).configured();
    leave(&mut method, "deb", "file", &noise(1000));
    let second = [b"another".to_vec(), noise(200_000)].concat();
    store.put("bucket", "deb", &second).unwrap();
    store.clock().advance(Duration::from_secs(10));
    let (done, content) = method.content("s3://bucket/deb", "file");
    assert!(content == second && done.get("Resume-Point").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_short_is_transient_and_its_beginning_is_kept() {
    let store = settled_store().await;
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    for (length, cut) in [(400_000, 150_000), (40 * MIB, 1_000_000)] {
        let content = noise(length);
        store.put("bucket", "deb", &content).unwrap();
        store.clock().advance(Duration::from_secs(10));
        let mut method = against(&proxy.endpoint()).configured();
        // What remains is asked for, and nothing comes of it.
        proxy.push(Rule::new(Fault::CutBody(cut)).nth(1));
        proxy.push(Rule::new(Fault::before(move |request| {
            let range = request.range.as_deref().unwrap_or_default();
            if range.starts_with(&format!("bytes={cut}-")) {
                Next::Close
            } else {
                Next::Continue
            }
        })));
        let ask = listed(&method, "s3://bucket/deb", "file", &content);
        method.send(&ask);
        let (_, failed) = method.end_of_item();
        assert_eq!(
            (failed.code, field(&failed, "Transient-Failure").as_str()),
            (400, "true"),
            "{}",
            show(&failed)
        );
        let left = fs::read(method.path("file")).unwrap();
        assert!(
            !left.is_empty() && left.len() < length && content.starts_with(&left),
            "{}",
            left.len()
        );
        proxy.clear_rules();
        method.send(&ask);
        let (started, done) = method.end_of_item();
        assert_eq!(
            field(&started.unwrap(), "Resume-Point"),
            left.len().to_string()
        );
        assert_eq!(field(&done, "SHA256-Hash"), sha256(&content));
        assert!(fs::read(method.path("file")).unwrap() == content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_short_again_and_again_arrives() {
    let store = settled_store().await;
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    proxy.push(Rule::new(Fault::CutBody(1_000_000)));
    for length in [7 * MIB, 20 * MIB] {
        let content = noise(length);
        store.put("bucket", "deb", &content).unwrap();
        store.clock().advance(Duration::from_secs(10));
        let mut method = against(&proxy.endpoint()).configured();
        method.send(&listed(&method, "s3://bucket/deb", "file", &content));
        let (_, done) = method.end_of_item();
        assert_eq!(
            field(&done, "SHA256-Hash"),
            sha256(&content),
            "{}",
            show(&done)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_transfer_leaves_a_beginning() {
    let store = settled_store().await;
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    let content = noise(40 * MIB);
    store.put("bucket", "deb", &content).unwrap();
    store.clock().advance(Duration::from_secs(10));
    // The second range never comes, so everything behind it lies behind a gap.
    proxy.push(Rule::new(Fault::Before(Arc::new(|request| {
        let second = request.range.as_deref() == Some("bytes=8388608-16777215");
        Box::pin(async move {
            if second {
                std::future::pending::<()>().await;
            }
            Next::Continue
        })
    }))));
    let mut method = against(&proxy.endpoint())
        .item("Acquire::s3::Timeout", "600")
        .configured();
    let ask = listed(&method, "s3://bucket/deb", "file", &content);
    method.send(&ask);
    assert_eq!(method.answer().code, 200);
    let path = method.path("file");
    while fs::metadata(&path).map_or(0, |metadata| metadata.len()) < 20 * MIB as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    method.close();
    // The folder goes with the method: look before that.
    let begin = Instant::now();
    while fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= 20 * MIB as u64) {
        assert!(begin.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left = fs::read(&path).unwrap();
    assert!(
        left.len() <= 8 * MIB && content.starts_with(&left),
        "{}",
        left.len()
    );
    assert!(method.end().0.success());
}
