//! Objects of other buckets are copied by the store where it can, and only then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::{BUCKET, admin, config};
use dev_s3::{AccessKey, DevS3, Fault, FaultProxy, Grants, Operation, Policy, Rule};
use s3_storage::{
    Credentials, ErrorKind, Payload, Prefixed, PutMode, PutOptions, S3, S3Config, Storage,
    open_uploads,
};
use sha2::{Digest as _, Sha256};

const OTHER: &str = "other";
/// More than goes in one request.
const LARGE: usize = (17 << 20) + 1;

struct Setup {
    server: DevS3,
    proxy: FaultProxy,
    /// The bucket to read, and its prefix.
    from: Arc<dyn Storage>,
    to: S3,
}

async fn set_up() -> Setup {
    let server = DevS3::builder().bucket(BUCKET).bucket(OTHER).start().await;
    let server = server.unwrap();
    let proxy = FaultProxy::start(&server.endpoint()).await.unwrap();
    let from = S3::connect(of(&proxy, OTHER, admin())).await.unwrap();
    let to = S3::connect(of(&proxy, BUCKET, admin())).await.unwrap();
    Setup {
        from: Arc::new(Prefixed::new(from, "robots")),
        server,
        proxy,
        to,
    }
}

fn of(proxy: &FaultProxy, bucket: &str, credentials: Credentials) -> S3Config {
    S3Config {
        bucket: bucket.to_owned(),
        ..config(&proxy.endpoint(), credentials)
    }
}

fn content(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(size).collect()
}

impl Setup {
    /// Puts an object of this size to copy; with a checksum unless it is large.
    async fn source(&self, key: &str, size: usize) {
        let bytes = content(size);
        if size < LARGE {
            let payload = Payload::Bytes(Bytes::from(bytes));
            let options = PutOptions::new(PutMode::Create);
            self.from.put(key, payload, options).await.unwrap();
        } else {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let payload = Payload::File {
                path: file.path().to_owned(),
                size: size as u64,
            };
            let options = PutOptions::new(PutMode::Create);
            self.from.put(key, payload, options).await.unwrap();
        }
        self.server.clear_request_log();
    }

    async fn copy(&self, to: &S3, key: &str, size: usize) -> Result<(), s3_storage::Error> {
        let mut options = PutOptions::new(PutMode::Create);
        options.sha256 = Some(Sha256::digest(content(size)).into());
        let payload = Payload::Object {
            storage: Arc::clone(&self.from),
            key: key.to_owned(),
            size: size as u64,
        };
        to.put(key, payload, options).await.map(drop)
    }

    /// The copy is there, and left nothing behind. How many requests of this operation the store has seen.
    async fn check(&self, key: &str, size: usize, operation: Operation) -> usize {
        let there = self.server.get(BUCKET, key).unwrap();
        assert!(there.unwrap() == content(size), "{key}");
        let config = of(&self.proxy, BUCKET, admin());
        assert_eq!(open_uploads(&config).await.unwrap(), 0, "{key}");
        let log = self.server.request_log().into_iter();
        log.filter(|request| request.request.operation == operation)
            .count()
    }
}

#[tokio::test]
async fn nothing_passes_through_the_client_where_the_store_copies() {
    let setup = set_up().await;
    for (key, size) in [("small", 100), ("large", LARGE)] {
        setup.source(key, size).await;
        setup.copy(&setup.to, key, size).await.unwrap();
        assert_eq!(setup.check(key, size, Operation::UploadPartCopy).await, 1);
        assert_eq!(setup.check(key, size, Operation::GetObject).await, 0);
    }
}

#[tokio::test]
async fn what_the_store_does_not_copy_is_read_and_sent_and_it_is_not_asked_again() {
    for (status, code) in [
        (403, "AccessDenied"),
        (501, "NotImplemented"),
        (400, "InvalidArgument"),
        (404, "NoSuchBucket"),
    ] {
        let setup = set_up().await;
        let rule = Rule::new(Fault::answer(status, code));
        setup.proxy.push(rule.operation(Operation::UploadPartCopy));
        for (key, size) in [("one", 100), ("two", 100), ("large", LARGE)] {
            setup.source(key, size).await;
            setup.proxy.clear_request_log();
            setup.copy(&setup.to, key, size).await.unwrap();
            setup.check(key, size, Operation::PutObject).await;
            let log = setup.proxy.request_log().into_iter();
            let asked =
                log.filter(|request| request.request.operation == Operation::UploadPartCopy);
            // One whose digest the store does not know is another question.
            assert_eq!(asked.count(), usize::from(key != "two"), "{code} {key}");
        }
    }
}

#[tokio::test]
async fn credentials_that_may_not_read_the_source_send_what_others_read() {
    let setup = set_up().await;
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [
            {{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::{BUCKET}", "arn:aws:s3:::{BUCKET}/*"]}}]}}"#
    );
    let writer = AccessKey::new(
        "writer",
        "secret",
        Grants::Policy(Policy::parse(&policy).unwrap()),
    );
    let all = AccessKey::new(DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET, Grants::All);
    setup.server.set_access_keys(vec![writer, all]);
    let writer = of(&setup.proxy, BUCKET, common::key("writer", "secret"));
    let to = S3::connect(writer).await.unwrap();
    for (key, size) in [("small", 100), ("large", LARGE)] {
        setup.source(key, size).await;
        setup.copy(&to, key, size).await.unwrap();
        assert!(setup.check(key, size, Operation::GetObject).await > 0);
    }
}

#[tokio::test]
async fn a_copy_that_may_have_been_made_is_tried_again_by_who_can_look() {
    let setup = set_up().await;
    setup.source("key", 100).await;
    let rule = Rule::new(Fault::answer(503, "ServiceUnavailable"));
    setup.proxy.push(rule.operation(Operation::UploadPartCopy));
    let error = setup.copy(&setup.to, "key", 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.is_ambiguous() && !error.is_of_payload(), "{error}");
    setup.proxy.clear_rules();
    setup.copy(&setup.to, "key", 100).await.unwrap();
    assert_eq!(setup.check("key", 100, Operation::UploadPartCopy).await, 1);
}
