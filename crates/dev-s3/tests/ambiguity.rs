//! A write is ambiguous if an attempt of it was carried out without its answer being seen, whatever
//! the last attempt was answered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bytes::Bytes;
use common::{BUCKET, admin, config};
use dev_s3::{DevS3, Fault, FaultProxy, Operation, Rule};
use s3_storage::{Error, ErrorKind, Payload, PutMode, PutOptions, S3, Storage, open_uploads};

const PUT: Operation = Operation::PutObject;
const COMPLETE: Operation = Operation::CompleteMultipartUpload;

struct Setup {
    server: DevS3,
    proxy: FaultProxy,
    store: S3,
    file: tempfile::NamedTempFile,
}

async fn set_up(max_attempts: u32) -> Setup {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    let proxy = FaultProxy::start(&server.endpoint()).await.unwrap();
    let config = config(&proxy.endpoint(), admin());
    let config = config.with_access(|access| access.max_attempts = max_attempts);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 17 << 20]).unwrap();
    Setup {
        store: S3::connect(config).await.unwrap(),
        server,
        proxy,
        file,
    }
}

impl Setup {
    /// Writes over an object that is there, or is not where the write must create it. Each write
    /// meets `faults`, one after the other.
    async fn write(&self, operation: Operation, mode: &str, faults: &[Fault]) -> Result<(), Error> {
        self.proxy.clear_rules();
        let mode = match mode {
            "create" => {
                self.store.delete(&["key".to_owned()]).await.unwrap();
                PutMode::Create
            }
            _ => {
                let before = Payload::Bytes(Bytes::from_static(b"before"));
                let options = PutOptions::new(PutMode::Overwrite);
                let there = self.store.put("key", before, options).await.unwrap();
                match mode {
                    "update" => PutMode::Update(there.etag),
                    _ => PutMode::Overwrite,
                }
            }
        };
        for (number, fault) in (1..).zip(faults) {
            let rule = Rule::new(fault.clone()).operation(operation);
            self.proxy.push(rule.nth(number));
        }
        let payload = if operation == PUT {
            Payload::Bytes(Bytes::from_static(b"after"))
        } else {
            Payload::File {
                path: self.file.path().to_owned(),
                size: 17 << 20,
            }
        };
        let options = PutOptions::new(mode);
        self.store.put("key", payload, options).await.map(drop)
    }

    fn is_written(&self) -> bool {
        self.server
            .get(BUCKET, "key")
            .unwrap()
            .is_some_and(|content| content != b"before".as_slice())
    }
}

/// Answers to the last attempt.
const ANSWERS: [(u16, &str, ErrorKind); 10] = [
    (503, "SlowDown", ErrorKind::Throttled),
    (503, "ServiceUnavailable", ErrorKind::Unavailable),
    (500, "InternalError", ErrorKind::Unavailable),
    (429, "TooManyRequests", ErrorKind::Throttled),
    (403, "AccessDenied", ErrorKind::PermissionDenied),
    (412, "PreconditionFailed", ErrorKind::PreconditionFailed),
    (409, "ConditionalRequestConflict", ErrorKind::Conflict),
    (404, "NoSuchBucket", ErrorKind::NoSuchBucket),
    (501, "NotImplemented", ErrorKind::Unsupported),
    (400, "ExpiredToken", ErrorKind::BadCredentials),
];

#[tokio::test]
async fn a_lost_answer_leaves_every_later_one_in_doubt() {
    let setup = set_up(2).await;
    for operation in [PUT, COMPLETE] {
        for mode in ["create", "update", "overwrite"] {
            // Parts take their time.
            let answers = if operation == PUT {
                &ANSWERS[..]
            } else {
                &ANSWERS[4..6]
            };
            for &(status, code, kind) in answers {
                let faults = [Fault::LoseReply, Fault::answer(status, code)];
                let error = setup.write(operation, mode, &faults).await.unwrap_err();
                let case = format!("{operation:?}, {mode}, {status} {code}: {error:?}");
                assert_eq!(error.kind(), kind, "{case}");
                assert!(setup.is_written(), "{case}");
                assert!(error.is_ambiguous(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn an_attempt_that_the_store_failed_at_leaves_it_in_doubt_too() {
    let setup = set_up(3).await;
    for first in [
        Fault::answer(500, "InternalError"),
        Fault::answer(502, "BadGateway"),
        Fault::answer(503, "ServiceUnavailable"),
        Fault::Refuse,
    ] {
        let faults = [first.clone(), Fault::answer(412, "PreconditionFailed")];
        let error = setup.write(PUT, "create", &faults).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{first:?}");
        assert!(error.is_ambiguous(), "{first:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_seen_is_in_no_doubt() {
    let setup = set_up(3).await;
    for (status, code, kind) in ANSWERS {
        // Also after an answer that asks to slow down.
        let slow = Fault::slow_down();
        let faults = [
            slow,
            Fault::answer(status, code),
            Fault::answer(status, code),
        ];
        let error = setup.write(PUT, "create", &faults).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let ambiguous = kind == ErrorKind::Unavailable;
        assert_eq!(error.is_ambiguous(), ambiguous, "{error:?}");
        assert!(!setup.is_written());
    }
}

/// The store's own answers, to an attempt that comes after one that was carried out.
#[tokio::test]
async fn a_write_that_finds_its_own_object_is_in_doubt() {
    let setup = set_up(2).await;
    for (operation, mode) in [
        (PUT, "create"),
        (PUT, "update"),
        (COMPLETE, "create"),
        (COMPLETE, "update"),
        (COMPLETE, "overwrite"),
    ] {
        let written = setup.write(operation, mode, &[Fault::LoseReply]).await;
        assert!(setup.is_written());
        let error = written.unwrap_err();
        assert!(error.is_ambiguous(), "{operation:?}, {mode}: {error:?}");
    }
    setup
        .write(PUT, "overwrite", &[Fault::LoseReply])
        .await
        .unwrap();
}

/// Before the parts become an object nothing can have been written.
#[tokio::test]
async fn a_part_that_is_lost_leaves_no_doubt() {
    let setup = set_up(1).await;
    for operation in [Operation::CreateMultipartUpload, Operation::UploadPart] {
        setup.proxy.clear_rules();
        let lost = Rule::new(Fault::LoseReply).operation(operation);
        setup.proxy.push(lost);
        let payload = Payload::File {
            path: setup.file.path().to_owned(),
            size: 17 << 20,
        };
        let options = PutOptions::new(PutMode::Create);
        let error = setup.store.put("key", payload, options).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error:?}");
        assert!(!error.is_ambiguous(), "{error:?}");
        assert!(setup.server.keys(BUCKET).is_empty());
    }
    setup.proxy.clear_rules();
    let direct = config(&setup.server.endpoint(), admin());
    // The upload whose id was never seen.
    assert_eq!(open_uploads(&direct).await.unwrap(), 1);
}
