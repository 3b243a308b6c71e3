//! Items that fail, each by itself.

use dev_s3::{DevS3, Fault, FaultProxy, Rule};
use tokio::net::TcpListener;

use crate::{
    store::{against, noise, store},
    support::{expect_reason, field, show},
};

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
    expect_reason(&method.failure("s3://bucket/none", "none"), "HttpError404");
    assert!(!method.path("none").exists());
    let failed = method.failure("s3://no-such-bucket/InRelease", "none");
    expect_reason(&failed, "HttpError400");
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
        expect_reason(&failed, "MaximumSizeExceeded");
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

/// An address where nothing listens.
async fn unused() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("localhost:{}", listener.local_addr().unwrap().port())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_problem_of_the_network_has_its_reason() {
    let plain = store().await;
    let secured = DevS3::builder().bucket("bucket").tls(true).start().await;
    let secured = secured.unwrap();
    let other = DevS3::builder().tls(true).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("other-authority.pem");
    std::fs::write(&bundle, other.ca_pem().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("localhost:{}", listener.local_addr().unwrap().port());
    for (endpoint, reason, transient) in [
        (
            format!("http://{}", unused().await),
            "ConnectionRefused",
            true,
        ),
        (
            format!("https://{}", unused().await),
            "ConnectionRefused",
            true,
        ),
        (
            "http://no-such-host.invalid".to_owned(),
            "ResolveFailure",
            true,
        ),
        (format!("http://{silent}"), "Timeout", true),
        (format!("https://{silent}"), "ConnectionTimedOut", true),
        (secured.endpoint(), "HttpError495", false),
        (
            secured.endpoint().replace("https", "http"),
            "HttpError400",
            false,
        ),
        (
            plain.endpoint().replace("http", "https"),
            "HttpError400",
            false,
        ),
    ] {
        let mut method = against(&endpoint)
            .variable("AWS_CA_BUNDLE", bundle.as_os_str())
            .item("Acquire::s3::Timeout", "1")
            .configured();
        let failed = method.failure("s3://bucket/InRelease", "file");
        expect_reason(&failed, reason);
        let is_transient = failed.get("Transient-Failure").is_some();
        assert_eq!(is_transient, transient, "{}", show(&failed));
    }
}
