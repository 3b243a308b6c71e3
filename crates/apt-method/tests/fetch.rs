//! Items fetched by the real program from the embedded store.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apt_method_s3::message::Message;
use deb_index::digest::{Algorithm, Digests};
use dev_s3::{AccessKey, Clock, DevS3, Fault, FaultProxy, Grants, Next, Rule, WrongRegion};

use crate::support::{Method, Start, field, show};

const MIB: usize = 1 << 20;

async fn store() -> DevS3 {
    DevS3::builder().bucket("bucket").start().await.unwrap()
}

/// A store whose objects are old enough to keep their date.
async fn settled_store() -> DevS3 {
    let store = store().await;
    store.clock().freeze();
    store
}

fn against(endpoint: &str) -> Start {
    Start::default().store(endpoint, DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET)
}

/// Bytes that do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(length)
    .collect()
}

fn sha256(bytes: &[u8]) -> String {
    Digests::of(&[Algorithm::Sha256], bytes)
        .get(Algorithm::Sha256)
        .unwrap()
}

/// A request as apt makes it for a file that an index lists.
fn listed(method: &Method, uri: &str, name: &str, content: &[u8]) -> Message {
    method
        .request(uri, name)
        .with("Expected-SHA256", sha256(content))
        .with("Expected-Checksum-FileSize", content.len().to_string())
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

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
            .all(|request| request.request.operation == "GetObject"),
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
async fn a_body_that_is_cut_short_is_transient_and_its_beginning_is_kept() {
    let store = settled_store().await;
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    for (length, cut) in [(400_000, 150_000), (40 * MIB, 9_000_000)] {
        let content = noise(length);
        store.put("bucket", "deb", &content).unwrap();
        store.clock().advance(Duration::from_secs(10));
        let mut method = against(&proxy.endpoint()).configured();
        // Of a large file, one range in the middle.
        let rule = Rule::new(Fault::CutBody(cut.min(1_000_000)));
        proxy.push(if length > MIB {
            rule.nth(3)
        } else {
            rule.nth(1)
        });
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
    let begin = std::time::Instant::now();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_harms_no_other() {
    let store = store().await;
    let mut method = against(&store.endpoint()).configured();
    for number in 0..30 {
        if number % 3 != 0 {
            store
                .put(
                    "bucket",
                    &format!("{number}"),
                    format!("content {number}").as_bytes(),
                )
                .unwrap();
        }
        method.acquire(&format!("s3://bucket/{number}"), &format!("{number}"));
    }
    let mut codes: Vec<(String, u16)> = (0..30)
        .map(|_| method.end_of_item().1)
        .map(|end| (field(&end, "URI"), end.code))
        .collect();
    codes.sort();
    for number in 0..30 {
        let code = if number % 3 == 0 { 400 } else { 201 };
        assert!(
            codes
                .binary_search(&(format!("s3://bucket/{number}"), code))
                .is_ok(),
            "{number}"
        );
    }
    assert_eq!(
        field(&method.failure("s3://bucket/none", "none"), "FailReason"),
        "HttpError404"
    );
    assert!(!method.path("none").exists());
    let failed = method.failure("s3://no-such-bucket/InRelease", "none");
    assert_eq!(
        field(&failed, "FailReason"),
        "HttpError400",
        "{}",
        show(&failed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_item_does_not_hold_up_the_next() {
    let store = store().await;
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    store.put("bucket", "fast", b"fast").unwrap();
    proxy.push(Rule::new(Fault::BlackHole).key_contains("slow"));
    let mut method = against(&proxy.endpoint())
        .item("Acquire::s3::Timeout", "600")
        .configured();
    method.acquire("s3://bucket/slow", "slow");
    let (_, done) = method.fetch("s3://bucket/fast", "fast");
    assert_eq!(
        (done.code, field(&done, "URI").as_str()),
        (201, "s3://bucket/fast")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_file_is_refused() {
    let store = store().await;
    store.put("bucket", "file", &noise(50_000)).unwrap();
    let mut method = against(&store.endpoint()).configured();
    for limit in ["Maximum-Size", "Expected-Checksum-FileSize"] {
        let ask = method
            .request("s3://bucket/file", "file")
            .with(limit, "49999");
        method.send(&ask);
        let (_, failed) = method.end_of_item();
        assert_eq!(field(&failed, "FailReason"), "MaximumSizeExceeded");
        assert_eq!(failed.get("Transient-Failure"), None);
        assert!(!method.path("file").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_request_is_retried_and_then_transient() {
    let store = store().await;
    let proxy = FaultProxy::start(&store.endpoint()).await.unwrap();
    store.put("bucket", "file", b"abc").unwrap();
    proxy.push(Rule::new(Fault::slow_down()).first(1));
    let mut method = against(&proxy.endpoint()).configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
    proxy.clear_rules();
    proxy.push(Rule::new(Fault::slow_down()));
    let failed = method.failure("s3://bucket/file", "other");
    assert_eq!(
        (
            field(&failed, "FailReason").as_str(),
            field(&failed, "Transient-Failure").as_str()
        ),
        ("TooManyRequests", "true")
    );
}

/// A store whose only key may read objects and nothing else: a missing one is forbidden.
async fn forbidding_store() -> DevS3 {
    let reader = AccessKey::new("reader", "reader-secret", Grants::GetObjectOnly);
    DevS3::builder()
        .bucket("bucket")
        .access_key(reader)
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_inrelease_beside_a_readable_release_is_missing() {
    let store = forbidding_store().await;
    store
        .put("bucket", "dists/stable/Release", b"Suite: stable\n")
        .unwrap();
    let mut method = Start::default()
        .store(&store.endpoint(), "reader", "reader-secret")
        .configured();
    let failed = method.failure("s3://bucket/dists/stable/InRelease", "file");
    assert_eq!(
        field(&failed, "FailReason"),
        "HttpError404",
        "{}",
        show(&failed)
    );
    let failed = method.failure("s3://bucket/dists/other/InRelease", "file");
    assert_eq!(
        field(&failed, "FailReason"),
        "HttpError403",
        "{}",
        show(&failed)
    );
    assert!(field(&failed, "Message").contains("AccessDenied"));
    assert_eq!(failed.get("Transient-Failure"), None);
    let failed = method.failure("s3://bucket/dists/stable/Release.gpg", "file");
    assert_eq!(field(&failed, "FailReason"), "HttpError403");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_never_a_missing_file() {
    let store = store().await;
    store
        .put("bucket", "dists/stable/Release", b"Suite: stable\n")
        .unwrap();
    for (id, secret) in [("nobody", "x"), (DevS3::DEFAULT_KEY_ID, "wrong")] {
        let mut method = Start::default()
            .store(&store.endpoint(), id, secret)
            .configured();
        let failed = method.failure("s3://bucket/dists/stable/InRelease", "file");
        assert_eq!(
            field(&failed, "FailReason"),
            "HttpError403",
            "{}",
            show(&failed)
        );
        assert_eq!(failed.get("Transient-Failure"), None);
        assert!(!field(&failed, "Message").contains(secret) || secret == "x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_bucket_needs_no_credentials() {
    let store = store().await;
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}"#;
    store.set_policy("bucket", Some(policy)).unwrap();
    store.put("bucket", "dists/stable/Release", b"abc").unwrap();
    let mut method = Start::default()
        .item("Acquire::s3::Endpoint", &store.endpoint())
        .configured();
    assert_eq!(
        method.content("s3://bucket/dists/stable/Release", "file").1,
        b"abc"
    );
    let failed = method.failure("s3://bucket/dists/stable/InRelease", "other");
    assert_eq!(
        field(&failed, "FailReason"),
        "HttpError404",
        "{}",
        show(&failed)
    );
    assert!(
        store
            .request_log()
            .iter()
            .all(|logged| logged.request.access_key.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_elsewhere_is_found() {
    for otherwise in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let store = DevS3::builder()
            .bucket("bucket")
            .region("eu-west-1", otherwise)
            .start()
            .await
            .unwrap();
        store.put("bucket", "file", b"abc").unwrap();
        let mut method = against(&store.endpoint())
            .item("Acquire::s3::Region", "us-east-1")
            .configured();
        for name in ["one", "two"] {
            assert_eq!(method.content("s3://bucket/file", name).1, b"abc");
        }
        assert_eq!(store.request_log().len(), 3, "the region is learnt once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_for_credentials_works() {
    let store = store().await;
    store.set_access_keys(vec![
        AccessKey::new("plain", "plain/secret+1", Grants::All),
        AccessKey::new("temporary", "temporary-secret", Grants::All).with_session_token("a-token"),
    ]);
    store.put("bucket", "file", b"abc").unwrap();
    store.put("bucket", "prefix/file", b"abc").unwrap();
    let endpoint = store.endpoint();
    let start = || Start::default().item("Acquire::s3::Endpoint", &endpoint);
    let write = |start: &Start, name: &str, text: &str| {
        let path = start.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };

    let mut methods = Vec::new();
    let place = start();
    let path = write(
        &place,
        "s3auth.conf",
        "AccessKeyId = 'plain'\nSecretAccessKey = 'plain/secret+1'\nToken = ''\nRegion = 'eu-west-1'\n",
    );
    methods.push(place.item("Acquire::s3::AuthConf", &path));
    let place = Start::default();
    let text = format!(
        "AccessKeyId = nobody\nSecretAccessKey = x\n[bucket]\nEndpoint = {endpoint}\nAccessKeyId = temporary\nSecretAccessKey = temporary-secret\nToken = a-token\n"
    );
    let path = write(&place, "s3auth.conf", &text);
    methods.push(place.item("Acquire::s3::AuthConf", &path));
    let place = start();
    let path = write(
        &place,
        "auth.conf.d/repo.conf",
        "machine s3://bucket login plain password plain/secret+1\n",
    );
    methods.push(place.item("Dir::Etc::netrcparts", path.trim_end_matches("/repo.conf")));
    methods.push(
        start()
            .variable("AWS_ACCESS_KEY_ID", "temporary")
            .variable("AWS_SECRET_ACCESS_KEY", "temporary-secret")
            .variable("AWS_SESSION_TOKEN", "a-token"),
    );
    let place = start();
    write(
        &place,
        ".aws/credentials",
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n[mine]\naws_access_key_id = plain\naws_secret_access_key = plain/secret+1\n",
    );
    let home = place.folder().display().to_string();
    methods.push(
        place
            .variable("HOME", home)
            .item("Acquire::s3::bucket::Profile", "mine"),
    );
    for (number, start) in methods.into_iter().enumerate() {
        let mut method = start.configured();
        let (_, done) = method.fetch("s3://bucket/file", "file");
        assert_eq!(done.code, 201, "{number}: {}", show(&done));
    }

    let mut method = start().configured();
    for uri in [
        "s3://plain:plain%2Fsecret+1@s3.amazonaws.com/bucket/prefix/file".to_owned(),
        "s3://plain:plain%2Fsecret+1@bucket/prefix/file".to_owned(),
        format!(
            "s3://plain:plain%2fsecret%2b1@{}/bucket/prefix/file",
            store.address()
        ),
        "s3://plain:plain%2Fsecret+1@bucket.s3.eu-west-1.amazonaws.com/prefix/./file".to_owned(),
    ] {
        let (_, done) = method.fetch(&uri, "file");
        assert_eq!(done.code, 201, "{}", show(&done));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_profile_is_used_after_rights_were_given_up() {
    let store = store().await;
    store.put("bucket", "file", b"abc").unwrap();
    let start = Start::default()
        .item("APT::Sandbox::User", "nobody")
        .item("Acquire::s3::Endpoint", &store.endpoint());
    let home = start.folder().join("home");
    fs::create_dir_all(home.join(".aws")).unwrap();
    let keys = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        DevS3::DEFAULT_KEY_ID,
        DevS3::DEFAULT_SECRET
    );
    fs::write(home.join(".aws/credentials"), keys).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    if nix::unistd::getuid().is_root() {
        // As apt does with the folder for partial files.
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        nix::unistd::chown(start.folder(), Some(nobody.uid), None).unwrap();
    }
    let mut method = start.variable("HOME", home).configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_buckets_with_keys_of_their_own() {
    let key = |name: &str| AccessKey::new(name, format!("{name}-secret"), Grants::Nothing);
    let store = DevS3::builder()
        .bucket("one")
        .bucket("two")
        .access_key(key("of-one"))
        .access_key(key("of-two"))
        .start()
        .await
        .unwrap();
    let mut start = Start::default().item("Acquire::s3::Endpoint", &store.endpoint());
    for bucket in ["one", "two"] {
        let policy = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"of-{bucket}"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
        );
        store.set_policy(bucket, Some(&policy)).unwrap();
        store.put(bucket, "file", bucket.as_bytes()).unwrap();
        start = start
            .item(
                &format!("Acquire::s3::{bucket}::AccessKeyId"),
                &format!("of-{bucket}"),
            )
            .item(
                &format!("Acquire::s3::{bucket}::SecretAccessKey"),
                &format!("of-{bucket}-secret"),
            );
    }
    let mut method = start.configured();
    assert_eq!(method.content("s3://one/file", "1").1, b"one");
    assert_eq!(method.content("s3://two/file", "2").1, b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_what_it_is_told_to() {
    let store = DevS3::builder()
        .bucket("bucket")
        .tls(true)
        .start()
        .await
        .unwrap();
    store.put("bucket", "file", b"abc").unwrap();
    let start = against(&store.endpoint());
    let bundle = start.folder().join("ca.pem");
    fs::write(&bundle, store.ca_pem().unwrap()).unwrap();
    let mut method = start.variable("AWS_CA_BUNDLE", bundle).configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");

    let mut method = against(&store.endpoint()).configured();
    let failed = method.failure("s3://bucket/file", "other");
    assert!(
        field(&failed, "Message").contains("AWS_CA_BUNDLE"),
        "{}",
        show(&failed)
    );
    assert_eq!(failed.get("Transient-Failure"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_day_off_does_not_matter() {
    let store = DevS3::builder()
        .bucket("bucket")
        .clock(Clock::with_offset(-86_400))
        .start()
        .await
        .unwrap();
    store.put("bucket", "file", b"abc").unwrap();
    let mut method = against(&store.endpoint()).configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_fails_its_item() {
    let store = store().await;
    store.put("bucket", "file", b"abc").unwrap();
    let mut method = against(&store.endpoint()).configured();
    let failed = method.failure("s3://bucket/file", "no/such/folder");
    assert!(
        field(&failed, "Message").contains("cannot write"),
        "{}",
        show(&failed)
    );
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_rate_is_kept() {
    let store = store().await;
    let content = noise(300 << 10);
    store.put("bucket", "file", &content).unwrap();
    let mut method = against(&store.endpoint())
        .item("Acquire::s3::Dl-Limit", "400")
        .configured();
    let begin = std::time::Instant::now();
    assert!(method.content("s3://bucket/file", "file").1 == content);
    // A lower bound only: a slow machine takes longer.
    assert!(
        begin.elapsed() >= Duration::from_millis(700),
        "{:?}",
        begin.elapsed()
    );
}
