//! Objects written as copies of others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Holds as _, LocalFile, content, noise, put, refused};
use crate::{ErrorKind, Payload, PutMode, PutOptions, Storage};

/// An object of the store itself, as the payload of a write.
fn object(store: &Arc<dyn Storage>, key: &str, size: usize) -> Payload {
    Payload::Object {
        storage: Arc::clone(store),
        key: key.to_owned(),
        size: size as u64,
    }
}

fn create(sha256: [u8; 32]) -> PutOptions {
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(sha256);
    options
}

pub(super) async fn objects(store: &Arc<dyn Storage>) {
    let s = store.as_ref();
    for source in ["copy/plain", "copy/g++ ü%41&?.deb"] {
        let bytes = Bytes::from(noise(5000));
        let sha256 = Sha256::digest(&bytes).into();
        let payload = Payload::Bytes(bytes.clone());
        s.put(source, payload, create(sha256)).await.holds(source);
        let to = format!("{source}.copy");
        let sent = Arc::new(AtomicU64::new(0));
        let mut options = create(sha256);
        options.content_type = Some("application/vnd.debian.binary-package");
        options.metadata.insert("origin".into(), "copy".into());
        options.progress = Some(Arc::new({
            let sent = Arc::clone(&sent);
            move |more| {
                sent.fetch_add(more, Ordering::Relaxed);
            }
        }));
        let written = s.put(&to, object(store, source, 5000), options).await;
        let etag = written.holds("an object can be copied").etag;
        assert_eq!(content(s, &to).await, bytes, "the copy has its content");
        let head = s.head(&to).await.holds("HEAD");
        assert_eq!(
            (head.size, head.etag),
            (Some(5000), etag),
            "its size and ETag"
        );
        assert!(
            head.sha256.is_none_or(|told| told == sha256),
            "a SHA-256 that is told is that of the content"
        );
        assert_eq!(head.metadata["origin"], "copy", "its own metadata");
        assert_eq!(
            sent.load(Ordering::Relaxed),
            5000,
            "progress tells each byte once"
        );
        refused(
            s.put(&to, object(store, source, 5000), create(sha256))
                .await,
            &[ErrorKind::PreconditionFailed],
            "Create of an existing object, as a copy",
        );
    }
    put(s, "copy/empty", "", PutMode::Create)
        .await
        .holds("an empty object");
    let empty = create(Sha256::digest(b"").into());
    s.put("copy/empty.copy", object(store, "copy/empty", 0), empty)
        .await
        .holds("an empty object can be copied");
    assert_eq!(content(s, "copy/empty.copy").await, "", "and stays empty");
}

pub(super) async fn other_content(store: &Arc<dyn Storage>) {
    let s = store.as_ref();
    let sha256 = Sha256::digest(b"content").into();
    put(s, "copy/source", "content", PutMode::Create)
        .await
        .holds("an object to copy");
    let large = noise(20_000_001);
    let file = LocalFile::new("copied", &large);
    s.put(
        "copy/large",
        file.payload(large.len()),
        create(Sha256::digest(&large).into()),
    )
    .await
    .holds("a large object to copy");
    for (source, size, sha256, kind) in [
        ("copy/source", 7, [7; 32], ErrorKind::ChecksumMismatch),
        ("copy/source", 6, sha256, ErrorKind::ChecksumMismatch),
        ("copy/source", 8, sha256, ErrorKind::ChecksumMismatch),
        ("copy/none", 7, sha256, ErrorKind::NotFound),
        (
            "copy/large",
            large.len(),
            sha256,
            ErrorKind::ChecksumMismatch,
        ),
    ] {
        let written = s.put("copy/wrong", object(store, source, size), create(sha256));
        let error = refused(written.await, &[kind], "another source than was announced");
        assert!(error.is_of_payload(), "the source is to blame: {error:?}");
        assert!(error.key().ends_with(source), "and named: {error:?}");
        refused(
            s.head("copy/wrong").await,
            &[ErrorKind::NotFound],
            "nothing was made of it",
        );
    }
    let sha256 = Sha256::digest(&large).into();
    let large_object = || object(store, "copy/large", large.len());
    s.put("copy/large.copy", large_object(), create(sha256))
        .await
        .holds("a large object can be copied");
    assert!(
        content(s, "copy/large.copy").await == large,
        "the large copy has its content"
    );
    refused(
        s.put("copy/large.copy", large_object(), create(sha256))
            .await,
        &[ErrorKind::PreconditionFailed],
        "Create of an existing object, as a large copy",
    );
}
