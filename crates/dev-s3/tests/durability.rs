//! A directory outlives its process, however that ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use common::{BUCKET, admin, client, config};
use dev_s3::{DevS3, Error};
use s3_storage::{Payload, PutMode, PutOptions, S3, S3Config, Storage};

const DIRECTORY: &str = "DEV_S3_TEST_DIRECTORY";

/// Not a test of its own: the process that the one below kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by another test"]
async fn server_process() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let builder = DevS3::builder().directory(directory).bucket(BUCKET);
    dev_s3::serve(builder, |server| {
        println!("\nendpoint {}", server.endpoint())
    })
    .await
    .unwrap();
}

/// A server in a process of its own, and its endpoint.
fn spawn(directory: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "server_process"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint =
        lines.find_map(|line| line.unwrap().strip_prefix("endpoint ").map(str::to_owned));
    (child, endpoint.unwrap())
}

/// What the `round`-th version of a key holds: long enough that it is written in several pieces.
fn version(key: &str, round: usize) -> Bytes {
    format!("{key} {round} ").repeat(60_000).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_kept_every_acknowledged_object_and_none_half() {
    let directory = tempfile::tempdir().unwrap();
    // Killed after so many acknowledged writes, with others under way.
    for kill_after in [1, 6, 17] {
        let (child, endpoint) = spawn(directory.path());
        let child = Arc::new(Mutex::new(child));
        let acknowledged: Arc<Mutex<Vec<(String, usize)>>> = Arc::default();
        let mut writers = Vec::new();
        for writer in 0..4 {
            let store = S3::connect(S3Config {
                max_attempts: 1,
                ..config(&endpoint, admin())
            })
            .await
            .unwrap();
            let (acknowledged, child) = (Arc::clone(&acknowledged), Arc::clone(&child));
            writers.push(tokio::spawn(async move {
                for round in 0.. {
                    let key = format!("{kill_after}/{writer}/{}", round % 3);
                    let payload = Payload::Bytes(version(&key, round));
                    if store
                        .put(&key, payload, PutOptions::new(PutMode::Overwrite))
                        .await
                        .is_err()
                    {
                        return;
                    }
                    let mut acknowledged = acknowledged.lock().unwrap();
                    acknowledged.push((key, round));
                    if acknowledged.len() == kill_after {
                        child.lock().unwrap().kill().unwrap();
                    }
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        child.lock().unwrap().wait().unwrap();

        let server = DevS3::builder()
            .directory(directory.path())
            .start()
            .await
            .unwrap();
        let acknowledged = acknowledged.lock().unwrap().clone();
        assert!(acknowledged.len() >= kill_after);
        for (key, round) in &acknowledged {
            let found = server
                .get(BUCKET, key)
                .unwrap()
                .unwrap_or_else(|| panic!("{key} is lost"));
            // A later version may have been written whose reply was not seen.
            assert!(
                (*round..round + 20).any(|round| found == version(key, round)),
                "{key} is not whole, or older than acknowledged"
            );
        }
        server.stop().await;
        let content = std::fs::read_dir(directory.path().join(BUCKET).join("content"))
            .unwrap()
            .count();
        let objects = std::fs::read_dir(directory.path().join(BUCKET).join("objects"))
            .unwrap()
            .count();
        assert_eq!(content, objects, "what was not acknowledged is swept");
    }
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = DevS3::builder()
        .directory(directory.path())
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let store = client(&server.endpoint(), admin()).await;
    let mut options = PutOptions::new(PutMode::Create);
    options.content_type = Some("text/plain");
    options.metadata = [("origin".to_owned(), "test".to_owned())].into();
    options.sha256 = Some([
        0xed, 0x70, 0x02, 0xb4, 0x39, 0xe9, 0xac, 0x84, 0x5f, 0x22, 0x35, 0x7d, 0x82, 0x2b, 0xac,
        0x14, 0x44, 0x73, 0x0f, 0xbd, 0xb6, 0x01, 0x6d, 0x3e, 0xc9, 0x43, 0x22, 0x97, 0xb9, 0xec,
        0x9f, 0x73,
    ]);
    let key = "pool/main/h/hello/hello_1.0+~é_all.deb";
    store
        .put(key, Payload::Bytes(Bytes::from_static(b"content")), options)
        .await
        .unwrap();
    let before = store.head(key).await.unwrap();
    let policy = r#"{"Statement": []}"#;
    server.set_policy(BUCKET, Some(policy)).unwrap();
    assert!(
        matches!(
            DevS3::builder().directory(directory.path()).start().await,
            Err(Error::Io(_))
        ),
        "open twice"
    );
    server.stop().await;

    let server = DevS3::builder()
        .directory(directory.path())
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let store = client(&server.endpoint(), admin()).await;
    let after = store.head(key).await.unwrap();
    assert_eq!(
        (after.etag, after.last_modified, after.size),
        (before.etag, before.last_modified, before.size)
    );
    assert_eq!(
        (after.metadata, after.sha256),
        (before.metadata, before.sha256)
    );
    assert!(after.sha256.is_some());
    assert_eq!(server.keys(BUCKET), [key]);
}
