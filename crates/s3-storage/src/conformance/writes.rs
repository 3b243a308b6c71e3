//! Writing: preconditions, checksums, keys, files.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Holds as _, LocalFile, content, lists, noise, put, refused};
use crate::{ETag, ErrorKind, GetOptions, GetReply, Payload, PutMode, PutOptions, Storage};

/// What a lost race answers: 412, or 409 in the midst of it.
const LOST: [ErrorKind; 1] = [ErrorKind::PreconditionFailed];

pub(super) async fn preconditions(s: &dyn Storage) {
    let key = "write/precondition";
    let one = put(s, key, "one", PutMode::Create)
        .await
        .holds("Create makes a missing object")
        .etag;
    refused(
        put(s, key, "two", PutMode::Create).await,
        &LOST,
        "Create of an existing object",
    );
    refused(
        put(s, key, "one", PutMode::Create).await,
        &LOST,
        "Create of an existing object with the same content",
    );
    assert_eq!(
        content(s, key).await,
        "one",
        "a refused Create changes nothing"
    );
    let two = put(s, key, "two", PutMode::Update(one.clone()))
        .await
        .holds("Update with the right ETag")
        .etag;
    refused(
        put(s, key, "three", PutMode::Update(one.clone())).await,
        &LOST,
        "Update with an old ETag",
    );
    let other = ETag("\"00000000000000000000000000000000\"".into());
    refused(
        put(s, key, "three", PutMode::Update(other.clone())).await,
        &LOST,
        "Update with a wrong ETag",
    );
    assert_eq!(
        content(s, key).await,
        "two",
        "a refused Update changes nothing"
    );
    refused(
        put(s, "write/none", "x", PutMode::Update(two.clone())).await,
        &LOST,
        "Update of a missing key",
    );
    refused(
        s.head("write/none").await,
        &[ErrorKind::NotFound],
        "a refused Update makes nothing",
    );
    put(s, key, "three", PutMode::Overwrite)
        .await
        .holds("Overwrite of an existing object");
    s.delete(&[key.to_owned()]).await.holds("deletion");
    refused(
        put(s, key, "x", PutMode::Update(two)).await,
        &LOST,
        "Update of a deleted key",
    );
    put(s, key, "again", PutMode::Create)
        .await
        .holds("Create of a deleted key");
}

pub(super) async fn checksums(s: &dyn Storage) {
    let bytes = Bytes::from(noise(5000));
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    let mut options = PutOptions::new(PutMode::Overwrite);
    options.sha256 = Some(sha256);
    s.put(
        "write/checksum",
        Payload::Bytes(bytes.clone()),
        options.clone(),
    )
    .await
    .holds("a payload with its SHA-256");
    let head = s.head("write/checksum").await.holds("HEAD");
    assert_eq!(
        head.sha256,
        Some(sha256),
        "HEAD tells the SHA-256 that was sent"
    );
    options.sha256 = Some([7; 32]);
    let written = s
        .put(
            "write/wrong",
            Payload::Bytes(bytes.clone()),
            options.clone(),
        )
        .await;
    refused(
        written,
        &[ErrorKind::ChecksumMismatch],
        "a payload with another SHA-256",
    );
    refused(
        s.head("write/wrong").await,
        &[ErrorKind::NotFound],
        "a refused payload is not stored",
    );
    let written = s
        .put("write/checksum", Payload::Bytes("other".into()), options)
        .await;
    refused(
        written,
        &[ErrorKind::ChecksumMismatch],
        "a payload with another SHA-256 over an object",
    );
    assert_eq!(
        content(s, "write/checksum").await,
        bytes,
        "a refused payload changes nothing"
    );
}

pub(super) async fn metadata(s: &dyn Storage) {
    let mut options = PutOptions::new(PutMode::Create);
    options.content_type = Some("application/vnd.debian.binary-package");
    options.cache_control = Some("public, max-age=31536000, immutable");
    options
        .metadata
        .insert("origin".into(), "conformance".into());
    options.metadata.insert("two-words".into(), "a b".into());
    let expected = options.metadata.clone();
    s.put("write/metadata", Payload::Bytes("content".into()), options)
        .await
        .holds("an object with metadata");
    assert_eq!(
        s.head("write/metadata").await.holds("HEAD").metadata,
        expected,
        "HEAD tells the metadata"
    );
    let GetReply::Found(object) = s
        .get("write/metadata", GetOptions::default())
        .await
        .holds("GET")
    else {
        panic!("unconditional")
    };
    assert_eq!(object.meta.metadata, expected, "GET tells the metadata");
}

pub(super) async fn keys(s: &dyn Storage) {
    let keys = [
        "key/plain",
        "key/g++_1.0+b1~rc1_amd64.deb",
        "key/with space",
        "key/percent%20sign",
        "key/percent%zz",
        "key/plus+plus",
        "key/ünïcödé-包-🦀",
        "key/a&b=c?d#e",
        "key/quote'and(parens)!*",
        "key/<tag>;,:@$[]{}|^`\"",
        "key/dots..in.name",
    ];
    for key in keys {
        put(s, key, key.to_owned(), PutMode::Create)
            .await
            .holds(key);
        assert_eq!(content(s, key).await, key, "{key}");
        assert_eq!(
            s.head(key).await.holds(key).size,
            Some(key.len() as u64),
            "{key}"
        );
        refused(put(s, key, "x", PutMode::Create).await, &LOST, key);
    }
    let listed = lists::keys(s, "key/").await;
    let mut expected: Vec<_> = keys.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(
        listed, expected,
        "they are listed as they were written, by their bytes' order"
    );
    s.delete(&listed)
        .await
        .holds("they can be deleted together");
    assert_eq!(lists::keys(s, "key/").await, [""; 0], "and are gone");
    refused(
        put(s, &"k".repeat(1025), "x", PutMode::Overwrite).await,
        &[ErrorKind::Invalid],
        "a key of 1,025 bytes",
    );
}

pub(super) async fn files(s: &dyn Storage) {
    let bytes = noise(300_000);
    let file = LocalFile::new("small", &bytes);
    let sent = Arc::new(AtomicU64::new(0));
    let mut options = PutOptions::new(PutMode::Create);
    options.progress = Some(Arc::new({
        let sent = Arc::clone(&sent);
        move |more| {
            sent.fetch_add(more, Ordering::Relaxed);
        }
    }));
    s.put("file/small", file.payload(bytes.len()), options.clone())
        .await
        .holds("a file can be written");
    assert_eq!(
        sent.load(Ordering::Relaxed),
        bytes.len() as u64,
        "progress tells each byte once"
    );
    assert!(
        content(s, "file/small").await == bytes,
        "its content is the file's"
    );
    refused(
        s.put("file/small", file.payload(bytes.len()), options.clone())
            .await,
        &LOST,
        "Create of an existing object, from a file",
    );

    options.mode = PutMode::Overwrite;
    options.sha256 = Some([7; 32]);
    let wrong = s
        .put("file/wrong", file.payload(bytes.len()), options.clone())
        .await;
    refused(
        wrong,
        &[ErrorKind::ChecksumMismatch],
        "a file with another SHA-256",
    );
    options.sha256 = None;
    let longer = s
        .put("file/wrong", file.payload(bytes.len() - 1), options.clone())
        .await;
    refused(
        longer,
        &[ErrorKind::LocalFile],
        "a file that is longer than was said",
    );
    let shorter = s
        .put("file/wrong", file.payload(bytes.len() + 1), options.clone())
        .await;
    refused(
        shorter,
        &[ErrorKind::LocalFile],
        "a file that is shorter than was said",
    );
    let none = Payload::File {
        path: "/nonexistent/debucket".into(),
        size: 3,
    };
    refused(
        s.put("file/wrong", none, options).await,
        &[ErrorKind::LocalFile],
        "a file that is not there",
    );
    refused(
        s.head("file/wrong").await,
        &[ErrorKind::NotFound],
        "none of them made an object",
    );
}

pub(super) async fn large_files(s: &dyn Storage) {
    let bytes = noise(20_000_001);
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    let file = LocalFile::new("large", &bytes);
    let sent = Arc::new(AtomicU64::new(0));
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(sha256);
    options.metadata.insert("origin".into(), "parts".into());
    options.progress = Some(Arc::new({
        let sent = Arc::clone(&sent);
        move |more| {
            sent.fetch_add(more, Ordering::Relaxed);
        }
    }));
    let written = s
        .put("file/large", file.payload(bytes.len()), options.clone())
        .await
        .holds("a large file can be written");
    assert_eq!(
        sent.load(Ordering::Relaxed),
        bytes.len() as u64,
        "progress tells each byte once"
    );
    assert!(
        content(s, "file/large").await == bytes,
        "its content is the file's"
    );
    let head = s.head("file/large").await.holds("HEAD");
    assert_eq!(
        (head.size, &head.etag),
        (Some(bytes.len() as u64), &written.etag),
        "its size and ETag"
    );
    assert!(
        head.sha256.is_none_or(|told| told == sha256),
        "a SHA-256 that is told is that of the content"
    );
    assert_eq!(head.metadata, options.metadata, "its metadata");

    refused(
        s.put("file/large", file.payload(bytes.len()), options.clone())
            .await,
        &LOST,
        "Create of an existing object, from a large file",
    );
    options.mode = PutMode::Update(ETag("\"00000000000000000000000000000000-3\"".into()));
    refused(
        s.put("file/large", file.payload(bytes.len()), options.clone())
            .await,
        &LOST,
        "Update with a wrong ETag, from a large file",
    );
    options.mode = PutMode::Update(written.etag);
    s.put("file/large", file.payload(bytes.len()), options.clone())
        .await
        .holds("Update with the right ETag, from a large file");

    options.mode = PutMode::Create;
    options.sha256 = Some([7; 32]);
    let wrong = s
        .put(
            "file/large-wrong",
            file.payload(bytes.len()),
            options.clone(),
        )
        .await;
    refused(
        wrong,
        &[ErrorKind::ChecksumMismatch],
        "a large file with another SHA-256",
    );
    options.sha256 = None;
    let longer = s
        .put(
            "file/large-wrong",
            file.payload(bytes.len() - 1),
            options.clone(),
        )
        .await;
    refused(
        longer,
        &[ErrorKind::LocalFile],
        "a large file that is longer than was said",
    );
    refused(
        s.head("file/large-wrong").await,
        &[ErrorKind::NotFound],
        "neither made an object",
    );
}
