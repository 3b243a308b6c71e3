//! Sources of credentials: a caller's own, and those that are there but fail.

use std::{
    io,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_access::{CredentialError, CredentialProblem, CredentialSource, Keys, cause};
use s3_storage::{
    ConnectProblem, Credentials, Error, ErrorKind, GetOptions, LocalClock, S3, S3Config, Storage,
};

use crate::server::{Reply, answer, config, serve};

/// Gives other keys each time; they expire after an hour.
#[derive(Debug)]
struct Turning {
    given: AtomicU64,
    clock: LocalClock,
}

#[async_trait]
impl CredentialSource for Turning {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Keys {
            access_key_id: format!("AKID{number}"),
            secret_access_key: "not-shown".into(),
            session_token: Some(format!("token{number}")),
            expires: Some(self.clock.now() + Duration::from_secs(3600)),
        })
    }
}

/// Fails in one way.
#[derive(Debug)]
struct Failing(CredentialProblem);

#[async_trait]
impl CredentialSource for Failing {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let cause = io::Error::other("the cause");
        Err(CredentialError::new(self.0, "the token service").with_source(cause))
    }
}

fn from(source: impl CredentialSource + 'static, address: SocketAddr) -> S3Config {
    S3Config {
        credentials: Credentials::Source(Arc::new(source)),
        ..config("http", address)
    }
}

#[tokio::test]
async fn keys_of_a_callers_own_source_are_kept_until_they_expire() {
    let (address, requests) = serve(None, |_, _| {
        answer("200 OK", "ETag: \"1\"\r\n", "abc", None)
    })
    .await;
    let hours = Arc::new(AtomicU64::new(0));
    let clock = LocalClock::new({
        let hours = Arc::clone(&hours);
        move || {
            let passed = Duration::from_secs(3600 * hours.load(Ordering::Relaxed));
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600) + passed
        }
    });
    let source = Turning {
        given: AtomicU64::new(0),
        clock: clock.clone(),
    };
    let s3 = S3::connect(S3Config {
        clock,
        ..from(source, address)
    })
    .await
    .unwrap();
    for _ in 0..2 {
        for _ in 0..2 {
            s3.get("key", GetOptions::default()).await.unwrap();
        }
        hours.fetch_add(2, Ordering::Relaxed);
    }
    let requests = requests.lock().unwrap();
    let tokens: Vec<_> = requests
        .iter()
        .map(|request| request.header("x-amz-security-token").unwrap())
        .collect();
    assert_eq!(tokens, ["token1", "token1", "token2", "token2"]);
    assert!(requests[3].head.contains("credential=akid2/"));
    assert!(!format!("{s3:?}").contains("not-shown"));
}

#[tokio::test]
async fn each_problem_of_a_source_has_its_kind() {
    let (address, requests) = serve(None, |_, _| answer("200 OK", "", "", None)).await;
    for (problem, kind, transient) in [
        (CredentialProblem::Missing, ErrorKind::NoCredentials, false),
        (CredentialProblem::Refused, ErrorKind::BadCredentials, false),
        (
            CredentialProblem::Unreachable(ConnectProblem::Unresolved),
            ErrorKind::Connect(ConnectProblem::Unresolved),
            true,
        ),
        (CredentialProblem::Unavailable, ErrorKind::Unavailable, true),
    ] {
        let s3 = S3::connect(from(Failing(problem), address)).await.unwrap();
        let error = s3.get("key", GetOptions::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, transient));
        assert!(error.in_full().contains("the token service"), "{error:?}");
        assert!(!error.is_ambiguous());
        if kind != ErrorKind::NoCredentials {
            assert!(cause::<CredentialError>(&error).is_some());
            assert!(error.in_full().contains("the cause"), "{}", error.in_full());
        }
    }
    assert!(requests.lock().unwrap().is_empty());
}

const INNER: &str = "DEBUCKET_TEST_INNER";

/// What a request fails with in an environment that is otherwise empty, as `Debug` shows it.
async fn failure(variables: Vec<(&'static str, String)>) -> String {
    let output = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "credentials::inner", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", "/nonexistent")
            .env(INNER, "1")
            .envs(variables)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once("failed: "));
    line.unwrap_or_else(|| panic!("{said}")).1.to_owned()
}

#[tokio::test]
#[ignore = "the part of the other tests that runs in a process of its own"]
async fn inner() {
    let s3 = S3::connect(S3Config {
        endpoint: Some("http://127.0.0.1:9".into()),
        region: Some("us-east-1".into()),
        ..S3Config::new("bucket")
    });
    let error: Error = s3
        .await
        .unwrap()
        .get("key", GetOptions::default())
        .await
        .unwrap_err();
    println!("failed: {:?}: {}", error.kind(), error.in_full());
}

#[tokio::test]
async fn a_token_service_that_is_overloaded_is_told_from_one_that_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    for (status, code, kind) in [
        ("400 Bad Request", "Throttling", "Unavailable"),
        ("400 Bad Request", "IDPCommunicationError", "Unavailable"),
        ("429 Too Many Requests", "Slow", "Unavailable"),
        (
            "503 Service Unavailable",
            "ServiceUnavailable",
            "Unavailable",
        ),
        ("403 Forbidden", "AccessDenied", "BadCredentials"),
        ("400 Bad Request", "ExpiredTokenException", "BadCredentials"),
    ] {
        let (service, asked) = serve(None, move |_, _| {
            let body = format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
            answer(status, "Content-Type: text/xml\r\n", &body, None)
        })
        .await;
        let service = ("AWS_ENDPOINT_URL_STS", format!("http://{service}"));
        let role = (
            "AWS_ROLE_ARN",
            "arn:aws:iam::123456789012:role/x".to_owned(),
        );
        let file = token.display().to_string();
        let said = failure(vec![service, role, ("AWS_WEB_IDENTITY_TOKEN_FILE", file)]).await;
        assert!(said.starts_with(kind), "{code}: {said}");
        assert!(!asked.lock().unwrap().is_empty());
    }
}

/// The instance's identity is another one: it must not take the place of the container's.
#[tokio::test]
async fn a_source_that_is_there_and_fails_is_not_passed_over() {
    let (instance, asked) = serve(None, |_, _| answer("200 OK", "", "{}", None)).await;
    let instance = (
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        format!("http://{instance}"),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unused = listener.local_addr().unwrap();
    drop(listener);
    let answering = async |status: &'static str| {
        let body = r#"{"Code":"Some","Message":"no"}"#;
        serve(None, move |_, _| answer(status, "", body, None))
            .await
            .0
    };
    let (silent, _) = serve(None, |_, _| Reply {
        bytes: String::new(),
        closes: false,
    })
    .await;
    for (service, kind) in [
        (unused, "Connect(Refused)"),
        (silent, "Connect(TimedOut)"),
        (answering("403 Forbidden").await, "BadCredentials"),
        (answering("404 Not Found").await, "BadCredentials"),
        (answering("429 Too Many Requests").await, "Unavailable"),
        (answering("500 Internal Server Error").await, "Unavailable"),
    ] {
        let container = (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{service}/creds"),
        );
        let said = failure(vec![container, instance.clone()]).await;
        println!("{said}");
        assert!(said.starts_with(kind), "{kind}: {said}");
        assert!(said.contains("\"container\""), "{said}");
        assert!(asked.lock().unwrap().is_empty(), "{said}");
    }
    // A token file that is named and is not there.
    let said = failure(vec![
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token".into()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x".into()),
        instance,
    ])
    .await;
    println!("{said}");
    assert!(said.starts_with("BadCredentials"), "{said}");
    assert!(asked.lock().unwrap().is_empty(), "{said}");
}
