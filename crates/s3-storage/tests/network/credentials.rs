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
    Config, ConnectProblem, Credentials, Error, ErrorKind, GetOptions, LocalClock, S3, S3Config,
    Storage,
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
            source: "test".to_owned(),
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
    config("http", address)
        .with_access(|access| access.credentials = Credentials::Source(Arc::new(source)))
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
    let config = from(source, address).with_access(|access| access.clock = clock);
    let s3 = S3::connect(config).await.unwrap();
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
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_REGION", "us-east-1")
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
    let of_caller = |name: &str| std::env::var(name).ok();
    let access = Config {
        endpoint: of_caller("ENDPOINT_OF_THE_CALLER").or(Some("http://127.0.0.1:9".into())),
        profile: of_caller("PROFILE_OF_THE_CALLER"),
        max_attempts: 1,
        ..Config::default()
    };
    let error: Error = match S3::connect(S3Config::new("bucket", access)).await {
        Ok(s3) => s3.get("key", GetOptions::default()).await.unwrap_err(),
        Err(error) => error,
    };
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
    let instance = [
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{instance}"),
        ),
        ("AWS_EC2_METADATA_DISABLED", "false".into()),
    ];
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
        let said = failure([&[container][..], &instance].concat()).await;
        println!("{said}");
        assert!(said.starts_with(kind), "{kind}: {said}");
        assert!(said.contains("\"container\""), "{said}");
        assert!(asked.lock().unwrap().is_empty(), "{said}");
    }
    // A token file that is named and is not there.
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token".into()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x".into()),
    ];
    let said = failure([identity, instance].concat()).await;
    println!("{said}");
    assert!(said.starts_with("BadCredentials"), "{said}");
    assert!(asked.lock().unwrap().is_empty(), "{said}");
}

/// A header with it would end early, or the program would.
#[tokio::test]
async fn a_value_that_no_request_can_carry_is_refused_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let keys = |id: &str| {
        vec![
            ("AWS_ACCESS_KEY_ID", id.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
        ]
    };
    for bad in [
        "HUNTER\nX-Evil: 1",
        "HUNTER 2",
        "HUN\u{1b}TER",
        "HUNTER\r\n\r\n2",
    ] {
        let mut of_token = keys("AKID");
        of_token.push(("AWS_SESSION_TOKEN", bad.into()));
        let mut of_secret = keys("AKID");
        of_secret[1].1 = bad.into();
        let mut of_region = keys("AKID");
        of_region.push(("AWS_REGION", bad.into()));
        let mut of_endpoint = keys("AKID");
        of_endpoint.push(("ENDPOINT_OF_THE_CALLER", format!("http://{bad}")));
        let mut of_profile = vec![("AWS_PROFILE", bad.into())];
        of_profile.push(("AWS_CONFIG_FILE", file.display().to_string()));
        std::fs::write(&file, "[default]\nregion = eu-west-1\n").unwrap();
        for (variables, what) in [
            (keys(bad), "identifier"),
            (of_secret, "secret access key"),
            (of_token, "session token"),
            (of_region, "region"),
            (of_endpoint, "endpoint"),
            (of_profile, "profile"),
        ] {
            let said = failure(variables).await;
            let kind = ["BadCredentials", "Invalid"];
            assert!(
                kind.iter().any(|kind| said.starts_with(kind)),
                "{what}: {said}"
            );
            assert!(
                said.contains(what) && !said.contains("HUN"),
                "{what}: {said}"
            );
        }
    }
    // Of a file, the same; and what is at its ends is no part of a value.
    std::fs::write(
        &file,
        "[default]\naws_access_key_id = HUN\x07TER\naws_secret_access_key = s\n",
    )
    .unwrap();
    let of_file = ("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string());
    let said = failure(vec![of_file]).await;
    assert!(
        said.starts_with("BadCredentials") && !said.contains("HUN"),
        "{said}"
    );
    let (server, requests) = serve(None, |_, _| answer("404 Not Found", "", "", None)).await;
    let said = failure(vec![
        ("AWS_ACCESS_KEY_ID", "AKIDTRIMMED\n".into()),
        ("AWS_SECRET_ACCESS_KEY", "secret\r\n".into()),
        ("AWS_SESSION_TOKEN", "token\n".into()),
        ("AWS_REGION", "eu-west-1\n".into()),
        ("ENDPOINT_OF_THE_CALLER", format!("http://{server}\n")),
    ])
    .await;
    assert!(said.starts_with("NotFound"), "{said}");
    let head = &requests.lock().unwrap()[0].head;
    assert!(
        head.contains("akidtrimmed/") && head.contains("/eu-west-1/s3"),
        "{head}"
    );
}

#[tokio::test]
async fn what_a_program_that_makes_credentials_wrote_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    for (program, words) in [
        ("echo hunter2 >&2; exit 3", "exit status: 3"),
        ("echo hunter2 >&2; kill -9 $$", "exit status: 137"),
        ("echo \"{hunter2\"", "its answer is not valid"),
        (
            "echo '{\"Version\": 1, \"AccessKeyId\": \"hunter2\"}'",
            "its answer is not valid",
        ),
        (
            "echo '{\"Version\": 1, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"s\", \"Expiration\": \"hunter2\"}'",
            "its answer is not valid",
        ),
    ] {
        std::fs::write(
            &file,
            format!(
                "[default]\ncredential_process = sh -c '{}'\n",
                program.replace('\'', "'\\''")
            ),
        )
        .unwrap();
        let said = failure(vec![
            ("AWS_CONFIG_FILE", file.display().to_string()),
            ("PATH", "/usr/bin:/bin".into()),
        ])
        .await;
        assert!(
            said.contains(words) && said.contains("credential_process"),
            "{program}: {said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_profile_that_the_caller_names_wins_over_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(
        &file,
        "[other]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n",
    )
    .unwrap();
    let (server, requests) = serve(None, |_, _| answer("404 Not Found", "", "", None)).await;
    let variables = |more: &[(&'static str, &str)]| {
        let of_all = [
            ("AWS_ACCESS_KEY_ID", "AKIDVARIABLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string()),
            ("ENDPOINT_OF_THE_CALLER", format!("http://{server}")),
        ];
        let more = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        of_all.into_iter().chain(more).collect::<Vec<_>>()
    };
    for (more, id) in [
        (&[][..], "akidvariable"),
        (&[("AWS_PROFILE", "other")], "akidvariable"),
        (&[("PROFILE_OF_THE_CALLER", "other")], "akidprofile"),
    ] {
        let said = failure(variables(more)).await;
        assert!(said.starts_with("NotFound"), "{said}");
        let head = requests.lock().unwrap().pop().unwrap().head;
        assert!(head.contains(id), "{more:?}: {head}");
    }
    // One that is not there is not passed over for another identity.
    let said = failure(variables(&[("PROFILE_OF_THE_CALLER", "missing")])).await;
    assert!(
        said.starts_with("Invalid") && said.contains("\"missing\""),
        "{said}"
    );
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_profile_has_its_region_and_assumes_its_role() {
    let (service, asked) = serve(None, |_, _| {
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
            <AccessKeyId>AKIDASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>borrowed</SessionToken>\
            <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        answer("200 OK", "Content-Type: text/xml\r\n", body, None)
    })
    .await;
    let (server, requests) = serve(None, |_, _| answer("404 Not Found", "", "", None)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(
        &file,
        "[profile ci]\nrole_arn = arn:aws:iam::123456789012:role/publisher\nsource_profile = base\nregion = eu-north-1\n\
         [profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n",
    )
    .unwrap();
    let of_all = [
        ("AWS_CONFIG_FILE", file.display().to_string()),
        ("AWS_ENDPOINT_URL_STS", format!("http://{service}")),
        ("ENDPOINT_OF_THE_CALLER", format!("http://{server}")),
        ("AWS_REGION", String::new()),
    ];
    for name in ["AWS_PROFILE", "PROFILE_OF_THE_CALLER"] {
        let variables = [&of_all[..], &[(name, "ci".to_owned())]].concat();
        let said = failure(variables).await;
        assert!(said.starts_with("NotFound"), "{name}: {said}");
        let assumed = asked.lock().unwrap().pop().unwrap();
        assert!(assumed.head.contains("akidbase/"), "{}", assumed.head);
        let body = String::from_utf8_lossy(&assumed.body).into_owned();
        assert!(body.contains("role%2Fpublisher"), "{body}");
        let request = requests.lock().unwrap().pop().unwrap();
        let head = &request.head;
        assert!(
            head.contains("akidassumed/") && head.contains("/eu-north-1/s3/"),
            "{head}"
        );
        assert_eq!(request.header("x-amz-security-token"), Some("borrowed"));
    }
}

#[tokio::test]
async fn a_machine_without_authorities_is_told_what_it_lacks() {
    let said = failure(vec![
        ("AWS_ACCESS_KEY_ID", "AKID".into()),
        ("AWS_SECRET_ACCESS_KEY", "secret".into()),
        ("ENDPOINT_OF_THE_CALLER", "https://127.0.0.1:9".into()),
        ("SSL_CERT_FILE", "/nonexistent".into()),
    ])
    .await;
    assert!(said.starts_with("Connect(Untrusted)"), "{said}");
    assert!(said.contains("ca-certificates"), "{said}");
}

/// What the AWS CLI knows and the SDK does not, and mere mistakes.
#[tokio::test]
async fn no_setting_of_the_environment_ends_the_program() {
    for (name, value) in [
        ("AWS_RETRY_MODE", "legacy"),
        ("AWS_RETRY_MODE", ""),
        ("AWS_MAX_ATTEMPTS", "many"),
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_USE_FIPS_ENDPOINT", "perhaps"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "perhaps"),
        ("AWS_SDK_UA_APP_ID", "a\nb"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "sometimes"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "sometimes"),
        ("AWS_ACCOUNT_ID", "a\nb"),
        ("AWS_DEFAULTS_MODE", "fast"),
        ("HTTP_PROXY", "not a url\n"),
        ("NO_PROXY", "\u{1}"),
    ] {
        let said = failure(vec![
            ("AWS_ACCESS_KEY_ID", "AKID".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            (name, value.into()),
        ])
        .await;
        // It got as far as the network.
        assert!(said.starts_with("Connect("), "{name}={value:?}: {said}");
    }
}
