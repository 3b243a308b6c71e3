//! Who is let in: keys, grants, policies, clocks and regions, as the real client sees the refusals.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{BUCKET, admin, client, config, key};
use dev_s3::{AccessKey, Clock, DevS3, Grants, Operation, Policy, WrongRegion};
use futures::TryStreamExt as _;
use s3_storage::{
    Credentials, Error, ErrorKind, Keys, Listed, Payload, Proxy, PutMode, PutOptions, S3, S3Config,
    Storage,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn list(store: &S3, prefix: &str) -> Result<Vec<Listed>, Error> {
    store.list(prefix, None).try_collect().await
}

async fn put(store: &S3, name: &str, content: &'static str) -> Result<(), Error> {
    store
        .put(
            name,
            Payload::Bytes(Bytes::from_static(content.as_bytes())),
            PutOptions::new(PutMode::Overwrite),
        )
        .await
        .map(|_| ())
}

async fn get(store: &S3, name: &str) -> Result<Bytes, ErrorKind> {
    let store: &dyn Storage = store;
    store
        .get_bytes(name, 1 << 20)
        .await
        .map(|(_, bytes)| bytes)
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn wrong_credentials_are_refused_by_name() {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    server.put(BUCKET, "key", b"content").unwrap();
    assert_eq!(
        get(&client(&server.endpoint(), admin()).await, "key")
            .await
            .unwrap(),
        "content"
    );
    for (credentials, code) in [
        (key("nobody", "secret"), "InvalidAccessKeyId"),
        (
            key(DevS3::DEFAULT_KEY_ID, "secret"),
            "SignatureDoesNotMatch",
        ),
    ] {
        let error = put(
            &client(&server.endpoint(), credentials).await,
            "key",
            "other",
        )
        .await
        .unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), error.status()),
            (ErrorKind::BadCredentials, Some(code), Some(403))
        );
    }
    assert_eq!(
        get(
            &client(&server.endpoint(), Credentials::Anonymous).await,
            "key"
        )
        .await,
        Err(ErrorKind::PermissionDenied)
    );
    assert_eq!(server.get(BUCKET, "key").unwrap().unwrap(), b"content");
}

#[tokio::test]
async fn a_refusal_is_read_even_by_a_client_that_has_much_to_send() {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let head = "PUT /bucket/key HTTP/1.1\r\nHost: store\r\nContent-Length: 20000000\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    // It sends everything before it looks at the answer.
    connection.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
    let mut status = [0; 12];
    connection.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 403");
}

#[tokio::test]
async fn temporary_credentials_need_their_token() {
    let temporary = AccessKey::new("temporary", "secret", Grants::All).with_session_token("token");
    let server = DevS3::builder()
        .access_key(temporary)
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let with_token = Credentials::Static(Keys {
        session_token: Some("token".to_owned()),
        ..Keys::new("temporary", "secret")
    });
    put(
        &client(&server.endpoint(), with_token).await,
        "key",
        "content",
    )
    .await
    .unwrap();
    let error = put(
        &client(&server.endpoint(), key("temporary", "secret")).await,
        "key",
        "other",
    )
    .await
    .unwrap_err();
    assert_eq!(error.code(), Some("InvalidToken"));
}

#[tokio::test]
async fn a_reader_without_list_takes_a_missing_key_for_forbidden() {
    let reader = AccessKey::new("reader", "secret", Grants::GetObjectOnly);
    let server = DevS3::builder()
        .access_key(reader)
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    server.put(BUCKET, "there", b"content").unwrap();
    let reader = client(&server.endpoint(), key("reader", "secret")).await;
    assert_eq!(get(&reader, "there").await.unwrap(), "content");
    assert_eq!(
        get(&reader, "missing").await,
        Err(ErrorKind::PermissionDenied)
    );
    assert_eq!(
        put(&reader, "there", "other").await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        list(&reader, "").await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        reader
            .delete(&["there".to_owned()])
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(server.keys(BUCKET), ["there"]);

    // With it, the same key is missing.
    let policy = r#"{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "reader"}, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket"}]}"#;
    server.set_policy(BUCKET, Some(policy)).unwrap();
    assert_eq!(get(&reader, "missing").await, Err(ErrorKind::NotFound));
    assert!(list(&reader, "").await.is_ok());
}

#[tokio::test]
async fn a_policy_opens_a_bucket_to_anyone_and_a_key_is_held_to_its_own() {
    let own = r#"{"Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::bucket/apt/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket", "Condition": {"StringLike": {"s3:prefix": "apt/*"}}}
    ]}"#;
    let publisher = AccessKey::new(
        "publisher",
        "secret",
        Grants::Policy(Policy::parse(own).unwrap()),
    );
    let server = DevS3::builder()
        .access_key(publisher)
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let publisher = client(&server.endpoint(), key("publisher", "secret")).await;
    put(&publisher, "apt/dists/stable/InRelease", "signed")
        .await
        .unwrap();
    assert_eq!(
        put(&publisher, "elsewhere", "x").await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert!(list(&publisher, "apt/dists/").await.is_ok());
    assert_eq!(
        list(&publisher, "").await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let anyone = client(&server.endpoint(), Credentials::Anonymous).await;
    assert_eq!(
        get(&anyone, "apt/dists/stable/InRelease").await,
        Err(ErrorKind::PermissionDenied)
    );
    let open = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/apt/*"}]}"#;
    server.set_policy(BUCKET, Some(open)).unwrap();
    assert_eq!(
        get(&anyone, "apt/dists/stable/InRelease").await.unwrap(),
        "signed"
    );
    assert_eq!(
        get(&anyone, "secret").await,
        Err(ErrorKind::PermissionDenied)
    );
    server.set_policy(BUCKET, None).unwrap();
    assert_eq!(
        get(&anyone, "apt/dists/stable/InRelease").await,
        Err(ErrorKind::PermissionDenied)
    );
}

#[tokio::test]
async fn a_clock_that_is_a_day_off_is_corrected_by_the_client() {
    for offset in [86_400, -86_400] {
        let server = DevS3::builder()
            .clock(Clock::with_offset(offset))
            .bucket(BUCKET)
            .start()
            .await
            .unwrap();
        let store = client(&server.endpoint(), admin()).await;
        put(&store, "key", "content").await.unwrap();
        let log = server.request_log();
        assert_eq!(
            log.first().map(|logged| logged.status),
            Some(403),
            "{log:?}"
        );
        assert_eq!(log.last().map(|logged| logged.status), Some(200), "{log:?}");
        let meta = store.head("key").await.unwrap();
        let apart = meta.date.unwrap().as_second() - server.clock().unix();
        assert!(
            (-60..=0).contains(&apart),
            "the reply's Date is the store's clock, {apart} s"
        );
    }
}

#[tokio::test]
async fn two_writes_in_one_second_have_one_time() {
    let clock = Clock::default();
    clock.freeze();
    let server = DevS3::builder()
        .clock(clock.clone())
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let store = client(&server.endpoint(), admin()).await;
    put(&store, "one", "1").await.unwrap();
    put(&store, "two", "2").await.unwrap();
    let modified = store.head("one").await.unwrap().last_modified.unwrap();
    assert_eq!(
        store.head("two").await.unwrap().last_modified,
        Some(modified)
    );
    clock.advance(Duration::from_secs(1));
    put(&store, "two", "3").await.unwrap();
    assert_eq!(
        store
            .head("two")
            .await
            .unwrap()
            .last_modified
            .unwrap()
            .as_second(),
        modified.as_second() + 1
    );
}

#[tokio::test]
async fn the_bucket_s_region_is_told_to_a_client_that_is_wrong() {
    for (otherwise, status) in [(WrongRegion::Malformed, 400), (WrongRegion::Redirect, 301)] {
        let server = DevS3::builder()
            .region("eu-west-3", otherwise)
            .bucket(BUCKET)
            .start()
            .await
            .unwrap();
        server.put(BUCKET, "key", b"content").unwrap();
        let wrong = config(&server.endpoint(), admin())
            .with_access(|access| access.region = Some("us-east-1".to_owned()));
        assert_eq!(
            get(&S3::connect(wrong).await.unwrap(), "key")
                .await
                .unwrap(),
            "content",
            "{otherwise:?}"
        );
        let log = server.request_log();
        assert_eq!(log.first().map(|logged| logged.status), Some(status));
        assert_eq!(
            log.first()
                .and_then(|logged| logged.request.region.as_deref()),
            Some("us-east-1")
        );
        assert_eq!(
            log.last()
                .and_then(|logged| logged.request.region.as_deref()),
            Some("eu-west-3")
        );
    }
}

#[tokio::test]
async fn buckets_are_hosts_below_a_domain() {
    let server = DevS3::builder()
        .domain("s3.test")
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    // Not every machine can look such names up, so the server also plays the proxy that knows where
    // they are.
    let proxy = Proxy::Url(format!("http://{}", server.address()));
    let config = S3Config {
        path_style: Some(false),
        ..config(&server.endpoint(), admin()).with_access(|access| access.proxy = proxy)
    };
    let store = S3::connect(config).await.unwrap();
    put(&store, "a/key", "content").await.unwrap();
    assert_eq!(get(&store, "a/key").await.unwrap(), "content");
    assert_eq!(server.keys(BUCKET), ["a/key"]);
    let logged = server.request_log().pop().unwrap().request;
    assert_eq!(
        (
            logged.bucket.as_str(),
            logged.key.as_str(),
            logged.operation
        ),
        (BUCKET, "a/key", Operation::GetObject)
    );
    // Path style by address works beside it.
    let address = format!("http://{}", server.address());
    assert_eq!(
        get(&client(&address, admin()).await, "a/key")
            .await
            .unwrap(),
        "content"
    );
}

#[tokio::test]
async fn the_log_names_operations_and_permissions_and_no_secret() {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let store = client(&server.endpoint(), admin()).await;
    put(&store, "a key", "content").await.unwrap();
    list(&store, "a").await.unwrap();
    let log = server.request_log();
    let seen: Vec<_> = log
        .iter()
        .map(|logged| {
            (
                logged.request.operation,
                logged.request.action(),
                logged.status,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Operation::PutObject, "s3:PutObject", 200),
            (Operation::ListObjectsV2, "s3:ListBucket", 200)
        ]
    );
    assert_eq!(log[0].request.key, "a key");
    assert_eq!(
        log[0].request.access_key.as_deref(),
        Some(DevS3::DEFAULT_KEY_ID)
    );
    assert!(!format!("{log:?}").contains(DevS3::DEFAULT_SECRET));
    server.clear_request_log();
    assert!(server.request_log().is_empty());
}
