//! The storage conformance suite through the real S3 client, on each kind of server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{BUCKET, admin, client, tls_client};
use dev_s3::{DevS3, FaultProxy};
use s3_storage::conformance;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    conformance(Arc::new(client(&server.endpoint(), admin()).await)).await;
    assert!(server.keys(BUCKET).is_empty() && server.uploads(BUCKET).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevS3::builder()
        .tls(true)
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    assert!(server.endpoint().starts_with("https://127.0.0.1:"));
    conformance(Arc::new(tls_client(&server, folder.path()).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_proxy() {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let proxy = FaultProxy::start(&server.endpoint()).await.unwrap();
    conformance(Arc::new(client(&proxy.endpoint(), admin()).await)).await;
    assert!(server.keys(BUCKET).is_empty());
    assert_eq!(proxy.request_log().len(), server.request_log().len());
}
