//! Uploads in parts that are given up leave nothing behind in the store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{BUCKET, admin, config};
use dev_s3::{DevS3, Fault, FaultProxy, Operation, Rule};
use s3_storage::{Payload, Prefixed, PutMode, PutOptions, S3, S3Config, Storage, open_uploads};

/// Three parts.
const LENGTH: usize = 17 << 20;

struct Setup {
    server: DevS3,
    proxy: FaultProxy,
    /// Straight to the store, past the proxy.
    direct: S3Config,
    store: S3,
    file: tempfile::NamedTempFile,
}

async fn set_up() -> Setup {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let proxy = FaultProxy::start(&server.endpoint()).await.unwrap();
    let store = S3::connect(config(&proxy.endpoint(), admin())).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; LENGTH]).unwrap();
    Setup {
        direct: config(&server.endpoint(), admin()),
        store: store.unwrap(),
        server,
        proxy,
        file,
    }
}

impl Setup {
    fn payload(&self) -> Payload {
        Payload::File {
            path: self.file.path().to_owned(),
            size: LENGTH as u64,
        }
    }

    /// Begins an upload whose parts never arrive, and drops it.
    async fn give_up(&self, store: &dyn Storage, key: &str) {
        let put = store.put(key, self.payload(), PutOptions::new(PutMode::Create));
        let waited = tokio::time::timeout(Duration::from_secs(2), put).await;
        assert!(waited.is_err(), "{key}: the parts cannot have arrived");
    }
}

#[tokio::test]
async fn a_dropped_upload_is_aborted_before_the_process_ends() {
    let setup = set_up().await;
    let parts = Rule::new(Fault::BlackHole).operation(Operation::UploadPart);
    setup.proxy.push(parts);
    // The abort that a dropped upload begins on its own is lost.
    let aborts = Rule::new(Fault::Refuse).operation(Operation::AbortMultipartUpload);
    setup.proxy.push(aborts);
    let prefixed = Prefixed::new(Arc::new(setup.store.clone()), "below");
    setup.give_up(&prefixed, "one").await;
    setup.give_up(&setup.store, "two").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open_uploads(&setup.direct).await.unwrap(), 2);

    setup.proxy.clear_rules();
    // Those of another client are left alone.
    let other = S3::connect(setup.direct.clone()).await.unwrap();
    other.abort_uploads().await;
    assert_eq!(open_uploads(&setup.direct).await.unwrap(), 2);
    prefixed.abort_uploads().await;
    assert_eq!(open_uploads(&setup.direct).await.unwrap(), 0);

    // Finished uploads are not touched. (A late attempt to abort one of the others may still arrive.)
    setup.proxy.clear_request_log();
    let options = PutOptions::new(PutMode::Create);
    let written = setup.store.put("whole", setup.payload(), options).await;
    written.unwrap();
    prefixed.abort_uploads().await;
    let log = setup.proxy.request_log();
    let aborted = |logged: &&dev_s3::LoggedRequest| {
        logged.request.operation == Operation::AbortMultipartUpload && logged.request.key == "whole"
    };
    assert_eq!(log.iter().filter(aborted).count(), 0);
    assert_eq!(setup.server.keys(BUCKET), ["whole"]);
}

#[tokio::test]
async fn an_upload_that_is_dropped_or_fails_is_aborted_on_its_own() {
    let setup = set_up().await;
    let parts = Rule::new(Fault::BlackHole).operation(Operation::UploadPart);
    setup.proxy.push(parts);
    setup.give_up(&setup.store, "dropped").await;
    setup.proxy.clear_rules();
    setup.proxy.push(
        Rule::new(Fault::Answer(hyper::StatusCode::FORBIDDEN, "AccessDenied"))
            .operation(Operation::UploadPart),
    );
    let options = PutOptions::new(PutMode::Create);
    let failed = setup.store.put("failed", setup.payload(), options).await;
    failed.unwrap_err();
    for _ in 0..50 {
        if open_uploads(&setup.direct).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("an upload is left open");
}
