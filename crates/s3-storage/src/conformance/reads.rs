//! Reading: whole, by range, by condition.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Holds as _, content, noise, put, read, refused};
use crate::{ByteRange, ErrorKind, GetOptions, GetReply, PutMode, Storage};

pub(super) async fn whole_objects(s: &dyn Storage) {
    for length in [0, 1, 1000, 300_000] {
        let bytes = Bytes::from(noise(length));
        let key = format!("read/whole-{length}");
        let written = put(s, &key, bytes.clone(), PutMode::Overwrite)
            .await
            .holds("an object can be written");
        let (meta, got) = read(s, &key, GetOptions::default())
            .await
            .holds("it can be read");
        assert_eq!(got, bytes, "what is read is what was written");
        assert_eq!(meta.size, Some(length as u64), "its size is told");
        assert_eq!(
            meta.etag, written.etag,
            "reading and writing tell the same ETag"
        );
        let head = s.head(&key).await.holds("HEAD finds it");
        assert_eq!(
            (head.size, &head.etag),
            (meta.size, &meta.etag),
            "HEAD and GET tell the same"
        );
        let (Some(date), Some(modified)) = (head.date, head.last_modified) else {
            panic!("HEAD tells Date and Last-Modified")
        };
        assert!(
            meta.date.is_some() && written.date.is_some(),
            "GET and PUT tell the Date"
        );
        assert!(
            modified.duration_since(date).abs() < SignedDuration::from_secs(60),
            "an object that was just written is not old"
        );
        assert_eq!(
            modified.subsec_nanosecond(),
            0,
            "Last-Modified has whole seconds"
        );
    }
    let replaced = put(s, "read/whole-1", "other", PutMode::Overwrite)
        .await
        .holds("an object can be replaced");
    assert_eq!(
        content(s, "read/whole-1").await,
        "other",
        "a read after a write sees it"
    );
    assert_eq!(
        s.head("read/whole-1").await.holds("HEAD").etag,
        replaced.etag,
        "so does HEAD"
    );
}

pub(super) async fn missing_keys(s: &dyn Storage) {
    refused(
        s.get("read/none", GetOptions::default()).await,
        &[ErrorKind::NotFound],
        "GET of a missing key",
    );
    refused(
        s.head("read/none").await,
        &[ErrorKind::NotFound],
        "HEAD of a missing key",
    );
    let options = GetOptions {
        range: Some(ByteRange::From(0)),
        ..GetOptions::default()
    };
    refused(
        s.get("read/none", options).await,
        &[ErrorKind::NotFound],
        "a range of a missing key",
    );
    put(s, "read/none/below", "x", PutMode::Overwrite)
        .await
        .holds("a key below another can be written");
    refused(
        s.head("read/none").await,
        &[ErrorKind::NotFound],
        "a key is no folder",
    );
    refused(
        s.head("read/none/").await,
        &[ErrorKind::NotFound],
        "nor is a key with a slash at its end",
    );
}

pub(super) async fn ranges(s: &dyn Storage) {
    let bytes = Bytes::from(noise(1000));
    put(s, "read/range", bytes.clone(), PutMode::Overwrite)
        .await
        .holds("an object can be written");
    put(s, "read/empty", "", PutMode::Overwrite)
        .await
        .holds("an empty object can be written");
    let cases = [
        (ByteRange::Between(0, 0), 0, 1),
        (ByteRange::Between(0, 999), 0, 1000),
        (ByteRange::Between(10, 19), 10, 20),
        (ByteRange::Between(999, 999), 999, 1000),
        (ByteRange::Between(990, 5000), 990, 1000),
        (ByteRange::From(0), 0, 1000),
        (ByteRange::From(999), 999, 1000),
    ];
    for (range, first, end) in cases {
        let options = GetOptions {
            range: Some(range),
            ..GetOptions::default()
        };
        let GetReply::Found(object) = s
            .get("read/range", options.clone())
            .await
            .holds("a range can be read")
        else {
            panic!("{range:?}: 304 to an unconditional request")
        };
        assert_eq!(
            (object.offset, object.length, object.meta.size),
            (first, Some(end - first), Some(1000)),
            "{range:?}: offset, length, whole size"
        );
        let (_, got) = read(s, "read/range", options).await.holds("its body");
        let (Ok(first), Ok(end)) = (usize::try_from(first), usize::try_from(end)) else {
            panic!("small numbers")
        };
        assert_eq!(got, bytes.slice(first..end), "{range:?}: its bytes");
    }
    for (key, range) in [
        ("read/range", ByteRange::From(1000)),
        ("read/range", ByteRange::Between(1000, 1000)),
        ("read/empty", ByteRange::From(0)),
        ("read/empty", ByteRange::Between(0, 0)),
    ] {
        let options = GetOptions {
            range: Some(range),
            ..GetOptions::default()
        };
        refused(
            s.get(key, options).await,
            &[ErrorKind::RangeNotSatisfiable],
            "a range outside the object",
        );
    }
    let options = GetOptions {
        range: Some(ByteRange::Between(5, 4)),
        ..GetOptions::default()
    };
    refused(
        s.get("read/range", options).await,
        &[ErrorKind::Invalid],
        "a range that ends before it begins",
    );
}

pub(super) async fn conditions(s: &dyn Storage) {
    let key = "read/condition";
    let old = put(s, key, "old", PutMode::Overwrite)
        .await
        .holds("write")
        .etag;
    let new = put(s, key, "new", PutMode::Overwrite)
        .await
        .holds("write")
        .etag;
    assert_ne!(old, new, "other content has another ETag");
    let modified = s.head(key).await.holds("HEAD").last_modified;
    let Some(modified) = modified else {
        panic!("Last-Modified is told")
    };

    let with = |if_match, if_none_match, if_modified_since| GetOptions {
        range: None,
        check: false,
        if_match,
        if_none_match,
        if_modified_since,
    };
    let not_modified: [(&str, GetOptions); 3] = [
        (
            "If-None-Match with the object's ETag",
            with(None, Some(new.clone()), None),
        ),
        (
            "If-Modified-Since with the object's time",
            with(None, None, Some(modified)),
        ),
        (
            "If-Modified-Since, a fraction of a second later",
            with(
                None,
                None,
                Some(modified + SignedDuration::from_millis(500)),
            ),
        ),
    ];
    for (rule, options) in not_modified {
        match s.get(key, options).await.holds(rule) {
            GetReply::NotModified { date } => assert!(date.is_some(), "{rule}: the Date is told"),
            GetReply::Found(_) => panic!("{rule}: the object was sent"),
        }
    }
    let earlier = modified - SignedDuration::from_secs(1);
    let found: [(&str, GetOptions); 6] = [
        (
            "If-None-Match with another ETag",
            with(None, Some(old.clone()), None),
        ),
        (
            "If-None-Match with another ETag decides, not If-Modified-Since",
            with(None, Some(old.clone()), Some(modified)),
        ),
        (
            "If-Modified-Since a second before",
            with(None, None, Some(earlier)),
        ),
        (
            "If-Modified-Since long ago",
            with(None, None, Some(Timestamp::UNIX_EPOCH)),
        ),
        (
            "If-Match with the object's ETag",
            with(Some(new.clone()), None, None),
        ),
        ("no condition", with(None, None, None)),
    ];
    for (rule, options) in found {
        assert_eq!(read(s, key, options).await.holds(rule).1, "new", "{rule}");
    }
    refused(
        s.get(key, with(Some(old.clone()), None, None)).await,
        &[ErrorKind::PreconditionFailed],
        "If-Match with another ETag",
    );
    let ranged = GetOptions {
        range: Some(ByteRange::From(1)),
        if_match: Some(old),
        ..GetOptions::default()
    };
    refused(
        s.get(key, ranged).await,
        &[ErrorKind::PreconditionFailed],
        "If-Match with another ETag, on a range",
    );
    let ranged = GetOptions {
        range: Some(ByteRange::From(1)),
        if_match: Some(new),
        ..GetOptions::default()
    };
    assert_eq!(
        read(s, key, ranged).await.holds("If-Match on a range").1,
        "ew"
    );
    let missing = with(None, Some(crate::ETag("\"00\"".into())), None);
    refused(
        s.get("read/none", missing).await,
        &[ErrorKind::NotFound],
        "If-None-Match on a missing key",
    );
}
