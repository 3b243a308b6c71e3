//! The S3 client on a network that misbehaves: silence, broken bodies, redirects, foreign
//! certificates, no credentials.
#![cfg(feature = "test-util")]
#![allow(
    clippy::unwrap_used,
    reason = "also what a test is made of fails by panic"
)]

mod bucket_state;
mod credentials;
mod direct;
mod metadata;
mod problems;
mod server;
mod unlike_aws;

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt as _;
use s3_storage::{
    Acl, Config, ConnectProblem, Credentials, Error, ErrorKind, GetOptions, GetReply, Payload,
    PutMode, PutOptions, S3, S3Config, Sse, Storage,
};
use server::{Reply, answer, config, serve};

pub(crate) const FOUND: &str = "ETag: \"1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

async fn body(s3: &S3) -> Vec<Result<Bytes, Error>> {
    let GetReply::Found(object) = s3.get("key", GetOptions::default()).await.unwrap() else {
        panic!("unconditional")
    };
    object.body.collect().await
}

#[tokio::test]
async fn silence_ends_each_attempt_and_all_of_them() {
    let (address, requests) = serve(None, |_, _| Reply {
        bytes: String::new(),
        closes: false,
    })
    .await;
    let silence_timeout = Duration::from_millis(100);
    let config = config("http", address).with_access(|access| {
        access.silence_timeout = silence_timeout;
        access.max_attempts = 50;
    });
    let s3 = S3::connect(config).await.unwrap();
    let error = s3.head("key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.is_ambiguous());
    assert!(
        requests.lock().unwrap().len() <= 4,
        "three attempts may be silent, not fifty"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_truncated_and_one_that_stalls_times_out() {
    let (address, _) = serve(None, |_, _| answer("200 OK", FOUND, "abc", Some(10))).await;
    let broken = body(&S3::connect(config("http", address)).await.unwrap()).await;
    assert_eq!(broken[0].as_ref().unwrap().as_ref(), b"abc");
    assert_eq!(broken[1].as_ref().unwrap_err().kind(), ErrorKind::Truncated);

    let (address, _) = serve(None, |_, _| Reply {
        closes: false,
        ..answer("200 OK", FOUND, "abc", Some(10))
    })
    .await;
    let silence_timeout = Duration::from_millis(100);
    let config = config("http", address);
    let config = config.with_access(|access| access.silence_timeout = silence_timeout);
    let stalled = body(&S3::connect(config).await.unwrap()).await;
    assert_eq!(stalled[0].as_ref().unwrap().as_ref(), b"abc");
    assert_eq!(stalled[1].as_ref().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again_but_not_for_ever() {
    let slow = || {
        answer(
            "503 Slow Down",
            "",
            "<Error><Code>SlowDown</Code><Message>slow\nnow</Message></Error>",
            None,
        )
    };
    let (address, requests) = serve(None, move |count, _| {
        if count < 3 {
            slow()
        } else {
            answer("200 OK", FOUND, "abc", None)
        }
    })
    .await;
    assert_eq!(
        body(&S3::connect(config("http", address)).await.unwrap())
            .await
            .len(),
        1
    );
    assert_eq!(requests.lock().unwrap().len(), 3);

    let (address, requests) = serve(None, move |_, _| slow()).await;
    let error = S3::connect(config("http", address))
        .await
        .unwrap()
        .get("key", GetOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status(), error.code()),
        (ErrorKind::Throttled, Some(503), Some("SlowDown"))
    );
    assert!(!error.to_string().contains('\n'), "{error}");
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_redirect_to_another_region_is_followed_once_and_remembered() {
    let (address, requests) = serve(None, |_, request| {
        let right = request
            .header("authorization")
            .is_some_and(|signed| signed.contains("/eu-west-3/s3/"));
        if right {
            answer("200 OK", FOUND, "", Some(7))
        } else {
            answer("301 Moved", "x-amz-bucket-region: eu-west-3\r\n", "", None)
        }
    })
    .await;
    let s3 = S3::connect(config("http", address)).await.unwrap();
    assert_eq!(s3.head("key").await.unwrap().size, Some(7));
    assert_eq!(s3.head("key").await.unwrap().size, Some(7));
    assert_eq!(requests.lock().unwrap().len(), 3);

    let (address, requests) = serve(None, |count, _| {
        let elsewhere = format!("x-amz-bucket-region: eu-west-{}\r\n", count % 2 + 1);
        answer("301 Moved", &elsewhere, "", None)
    })
    .await;
    let error = S3::connect(config("http", address))
        .await
        .unwrap()
        .head("key")
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(301));
    assert_eq!(
        requests.lock().unwrap().len(),
        2,
        "a store that sends us round in circles is left"
    );
}

#[tokio::test]
async fn a_write_is_signed_by_its_digest_and_carries_what_was_asked_for_alone() {
    let (address, requests) = serve(None, |_, _| answer("200 OK", FOUND, "", None)).await;
    let put = |config: S3Config, mode: PutMode| async move {
        let s3 = S3::connect(config).await.unwrap();
        s3.put(
            "a+b",
            Payload::Bytes(Bytes::from_static(b"abc")),
            PutOptions::new(mode),
        )
        .await
        .unwrap();
    };
    let plain = config("http", address);
    put(plain.clone(), PutMode::Create).await;
    let sse = Sse::Kms {
        key_id: Some("arn:aws:kms:one".into()),
    };
    put(
        S3Config {
            acl: Some(Acl::BucketOwnerFullControl),
            sse,
            ..plain.clone()
        },
        PutMode::Overwrite,
    )
    .await;
    put(
        plain.with_access(|access| access.credentials = Credentials::Anonymous),
        PutMode::Overwrite,
    )
    .await;

    let requests = requests.lock().unwrap().clone();
    let [plain, adorned, anonymous] = &requests[..] else {
        panic!("{requests:?}")
    };
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(
        plain.head.starts_with("put /bucket/a%2bb?"),
        "{}",
        plain.head
    );
    assert_eq!(plain.header("x-amz-content-sha256"), Some(sha256));
    // Base64 in lower case, as all headers are here.
    assert_eq!(
        plain.header("x-amz-checksum-sha256"),
        Some("ungwv48bz+pbqudexa4ii7adyaowf3qctbd/yfiafa0=")
    );
    assert_eq!(plain.header("if-none-match"), Some("*"));
    assert_eq!(plain.body, b"abc");
    for header in [
        "x-amz-acl",
        "x-amz-server-side-encryption",
        "x-amz-trailer",
        "transfer-encoding",
        "content-encoding",
    ] {
        assert_eq!(plain.header(header), None, "{header}");
    }
    assert_eq!(
        adorned.header("x-amz-acl"),
        Some("bucket-owner-full-control")
    );
    assert_eq!(
        adorned.header("x-amz-server-side-encryption"),
        Some("aws:kms")
    );
    assert_eq!(
        adorned.header("x-amz-server-side-encryption-aws-kms-key-id"),
        Some("arn:aws:kms:one")
    );
    assert_eq!(adorned.header("if-none-match"), None);
    assert_eq!(anonymous.header("authorization"), None);
}

#[tokio::test]
async fn a_certificate_is_trusted_when_its_bundle_is_given() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (address, _) = serve(
        Some(tokio_rustls::TlsAcceptor::from(Arc::new(tls))),
        |_, _| answer("200 OK", FOUND, "abc", None),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let trusted = |pem: String, name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        config("https", address).with_access(|access| {
            access.ca_bundle = Some(path.into());
            access.max_attempts = 1;
        })
    };
    let s3 = S3::connect(trusted(made.cert.pem(), "right"))
        .await
        .unwrap();
    assert_eq!(body(&s3).await.len(), 1);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let s3 = S3::connect(trusted(other.cert.pem(), "wrong"))
        .await
        .unwrap();
    let error = s3.get("key", GetOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::Untrusted));
}

#[tokio::test]
async fn no_secret_is_shown() {
    let (address, _) = serve(None, |_, _| {
        answer(
            "403 Forbidden",
            "",
            "<Error><Code>InvalidAccessKeyId</Code></Error>",
            None,
        )
    })
    .await;
    let config = config("http", address);
    let s3 = S3::connect(config.clone()).await.unwrap();
    let error = s3.get("key", GetOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadCredentials);
    let shown = format!("{config:?} {s3:?} {error} {error:?}");
    assert!(!shown.contains("not-shown"), "{shown}");
}

/// Runs in a process of its own, whose environment is empty but for a metadata service that never
/// answers.
#[tokio::test]
async fn missing_credentials_are_explained_source_by_source() {
    const INNER: &str = "DEBUCKET_TEST_INNER";
    if std::env::var_os(INNER).is_none() {
        let (metadata, _) = serve(None, |_, _| Reply {
            bytes: String::new(),
            closes: false,
        })
        .await;
        let output = tokio::task::spawn_blocking(move || {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "missing_credentials_are_explained_source_by_source",
                    "--nocapture",
                ])
                .env_clear()
                .env("HOME", "/nonexistent")
                .env(
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                    format!("http://{metadata}"),
                )
                .env(INNER, "1")
                .output()
                .unwrap()
        })
        .await
        .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let started = Instant::now();
    let s3 = S3::connect(S3Config::new("bucket", Config::default()))
        .await
        .unwrap();
    let error = s3.get("key", GetOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoCredentials, "{error}");
    for source in [
        "environment: ",
        "profile: ",
        "web identity: ",
        "container: ",
        "instance metadata: ",
    ] {
        assert!(error.message().contains(source), "{source}: {error}");
    }
    println!("{error}");
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "the search is bounded, took {:?}",
        started.elapsed()
    );
}
