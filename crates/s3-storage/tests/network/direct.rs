//! Credential services on this machine are never asked through a proxy, however it is configured;
//! the store is.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
};

use s3_storage::{Config, GetOptions, Proxy, S3, S3Config, Storage};

use crate::server::{Reply, Request, Requests, answer, serve};

/// Only the proxy knows it.
const STORE: &str = "http://store.invalid";

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"AKIDROLE","SecretAccessKey":"of-the-role",
    "Token":"token-of-the-role","Expiration":"2099-01-01T00:00:00Z"}"#;

/// What a container's endpoint and an instance's metadata service answer.
pub(crate) fn credentials(_: usize, request: &Request) -> Reply {
    if request.head.contains("/latest/api/token") {
        let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
        answer("200 OK", ttl, "a-token", None)
    } else if request.head.contains("security-credentials/ ") {
        answer("200 OK", "", "role", None)
    } else {
        answer("200 OK", "Content-Type: application/json\r\n", KEYS, None)
    }
}

pub(crate) fn store(_: usize, _: &Request) -> Reply {
    answer("200 OK", "ETag: \"1\"\r\n", "content", None)
}

/// Reads an object in a process of its own, in an environment that is otherwise empty.
pub(crate) async fn read(variables: Vec<(&'static str, String)>) -> Result<(), String> {
    let output = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "direct::inner", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", "/nonexistent")
            .envs(variables)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
#[ignore = "the part of the other tests that runs in a process of its own"]
async fn inner() {
    let access = Config {
        endpoint: Some(STORE.into()),
        region: Some("us-east-1".into()),
        max_attempts: 1,
        proxy: match std::env::var("PROXY_OF_THE_CALLER") {
            Ok(url) => Proxy::Url(url),
            Err(_) => Proxy::FromEnvironment,
        },
        ..Config::default()
    };
    let s3 = S3::connect(S3Config::new("bucket", access)).await.unwrap();
    s3.get("key", GetOptions::default()).await.unwrap();
}

/// Where credentials come from, by the variable that says so.
fn sources(service: SocketAddr) -> [(&'static str, String); 5] {
    let port = service.port();
    [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://127.0.0.1:{port}/creds"),
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://localhost:{port}/creds"),
        ),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://[::ffff:127.0.0.1]:{port}"),
        ),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://127.0.0.1:{port}"),
        ),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://localhost:{port}"),
        ),
    ]
}

fn saw_the_store_alone(proxy: &Requests) {
    let requests = std::mem::take(&mut *proxy.lock().unwrap());
    assert_eq!(requests.len(), 1, "{requests:?}");
    let head = &requests[0].head;
    assert!(
        head.starts_with("get http://store.invalid/bucket/key"),
        "{head}"
    );
    assert!(
        head.contains("akidrole"),
        "signed by the role's keys: {head}"
    );
}

#[tokio::test]
async fn a_local_credential_service_is_asked_directly() {
    let (service, asked) = serve(None, credentials).await;
    let (proxy, seen) = serve(None, store).await;
    for source in sources(service) {
        for way in [
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
            "PROXY_OF_THE_CALLER",
        ] {
            let url = format!("http://{proxy}");
            read(vec![source.clone(), (way, url)]).await.unwrap();
            assert!(!asked.lock().unwrap().is_empty(), "{source:?}, {way}");
            asked.lock().unwrap().clear();
            saw_the_store_alone(&seen);
        }
        // A proxy that the store cannot be reached through.
        let socks = ("ALL_PROXY", format!("socks5://{proxy}"));
        let said = read(vec![source.clone(), socks]).await.unwrap_err();
        assert!(said.contains("through the proxy socks5://"), "{said}");
        assert!(!asked.lock().unwrap().is_empty(), "{source:?}");
        asked.lock().unwrap().clear();
        assert!(seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_service_elsewhere_is_asked_through_the_proxy() {
    let (proxy, seen) = serve(None, credentials).await;
    // Over TLS a proxy sees no keys.
    let source = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "https://keys.invalid/creds".to_owned(),
    );
    let way = ("HTTPS_PROXY", format!("http://{proxy}"));
    read(vec![source, way]).await.unwrap_err();
    let requests = seen.lock().unwrap();
    let head = &requests.first().unwrap().head;
    assert!(head.starts_with("connect keys.invalid:443"), "{head}");
}
