//! Stores that answer otherwise than AWS does today: other checksums, other ETags, options that they
//! refuse.

use bytes::Bytes;
use s3_storage::{
    Acl, ConditionalWrites, ErrorKind, Gap, Payload, PutMode, PutOptions, Refusable, S3, S3Config,
    Sse, Storage, probe,
};

use crate::{
    FOUND,
    server::{answer, config, serve},
};

#[tokio::test]
async fn only_a_checksum_of_the_whole_object_is_taken_for_its_content() {
    const SHA256: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let known = async |etag: &str, checksum: &str, kind: &str| {
        let kind = match kind {
            "" => String::new(),
            kind => format!("x-amz-checksum-type: {kind}\r\n"),
        };
        let headers = format!("ETag: \"{etag}\"\r\nx-amz-checksum-sha256: {checksum}\r\n{kind}");
        let (address, requests) =
            serve(None, move |_, _| answer("200 OK", &headers, "", Some(7))).await;
        let s3 = S3::connect(config("http", address)).await.unwrap();
        let known = s3.head("key").await.unwrap().sha256;
        let asked = requests.lock().unwrap()[0].clone();
        assert_eq!(asked.header("x-amz-checksum-mode"), Some("enabled"));
        known.is_some()
    };
    let of_parts = format!("{SHA256}-2");
    for (etag, checksum, kind, is_known) in [
        ("1", SHA256, "FULL_OBJECT", true),
        ("1", SHA256, "", true),
        ("0-2", SHA256, "FULL_OBJECT", true),
        ("0-2", SHA256, "", false),
        ("1", SHA256, "COMPOSITE", false),
        ("0-2", SHA256, "COMPOSITE", false),
        ("0-2", &of_parts, "COMPOSITE", false),
        ("1", &of_parts, "", false),
        ("1", &of_parts, "FULL_OBJECT", false),
        ("1", "bm90IGEgZGlnZXN0", "FULL_OBJECT", false),
    ] {
        assert_eq!(
            known(etag, checksum, kind).await,
            is_known,
            "{etag} {checksum} {kind}"
        );
    }
}

#[tokio::test]
async fn a_write_is_never_conditioned_on_a_weak_etag_or_none() {
    for etag in ["ETag: W/\"1\"\r\n", "ETag:\r\n", ""] {
        let (address, requests) = serve(None, |_, _| answer("200 OK", etag, "", None)).await;
        let s3 = S3::connect(config("http", address)).await.unwrap();
        let put = async |mode| {
            let content = Payload::Bytes(Bytes::from_static(b"abc"));
            s3.put("key", content, PutOptions::new(mode)).await
        };
        let written = put(PutMode::Create).await.unwrap();
        assert!(!written.etag.is_strong(), "{etag:?}");
        let error = put(PutMode::Update(written.etag)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{etag:?}");
        assert!(error.refused().is_some_and(|parts| parts.condition));
        assert_eq!(requests.lock().unwrap().len(), 1, "{etag:?}");
        let found = probe(&s3).await.unwrap();
        let gap = ConditionalWrites::Unsupported(Gap::NoStrongETag);
        assert_eq!(found, gap, "{etag:?}");
    }
}

/// As Cloudflare R2 answers to an ACL, and AWS to one on a bucket that has them disabled.
#[tokio::test]
async fn a_store_that_refuses_an_acl_or_encryption_is_not_said_to_lack_preconditions() {
    let kms = Sse::Kms { key_id: None };
    for (status, code, acl, sse) in [
        (
            "501 Not Implemented",
            "NotImplemented",
            Some(Acl::Private),
            Sse::BucketDefault,
        ),
        (
            "400 Bad Request",
            "AccessControlListNotSupported",
            Some(Acl::Private),
            Sse::BucketDefault,
        ),
        (
            "400 Bad Request",
            "InvalidArgument",
            Some(Acl::Private),
            Sse::BucketDefault,
        ),
        ("501 Not Implemented", "NotImplemented", None, kms.clone()),
        ("400 Bad Request", "InvalidArgument", None, Sse::S3),
        (
            "400 Bad Request",
            "AccessControlListNotSupported",
            Some(Acl::Private),
            kms,
        ),
    ] {
        let (address, _) = serve(None, move |_, request| {
            let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
            let refused = ["x-amz-acl", "x-amz-server-side-encryption"]
                .iter()
                .any(|header| request.header(header).is_some());
            if refused {
                answer(status, "", &body, None)
            } else {
                answer("200 OK", FOUND, "", None)
            }
        })
        .await;
        let only_acl = sse == Sse::BucketDefault || code == "AccessControlListNotSupported";
        let expected = Refusable {
            acl: acl.is_some(),
            encryption: !only_acl,
            condition: false,
        };
        let s3 = S3::connect(S3Config {
            acl,
            sse,
            ..config("http", address)
        })
        .await
        .unwrap();
        let error = probe(&s3).await.unwrap_err();
        assert_eq!(error.refused(), Some(expected), "{code}: {error:?}");
        assert_eq!(error.code(), Some(code));
    }
}

#[tokio::test]
async fn a_store_that_refuses_preconditions_lacks_them_whatever_else_is_asked_for() {
    let (address, _) = serve(None, |_, request| {
        let conditional = ["if-match", "if-none-match"]
            .iter()
            .any(|header| request.header(header).is_some());
        let body = "<Error><Code>NotImplemented</Code></Error>";
        if conditional {
            answer("501 Not Implemented", "", body, None)
        } else {
            answer("200 OK", FOUND, "", None)
        }
    })
    .await;
    let s3 = S3::connect(S3Config {
        acl: Some(Acl::Private),
        sse: Sse::S3,
        ..config("http", address)
    })
    .await
    .unwrap();
    let found = probe(&s3).await.unwrap();
    assert_eq!(found, ConditionalWrites::Unsupported(Gap::CreateRefused));
}
