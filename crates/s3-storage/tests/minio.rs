//! The S3 client and MinIO keep the rules together. Runs where `MINIO_BIN` names the server.
#![cfg(feature = "test-util")]
#![allow(
    clippy::unwrap_used,
    reason = "also what a test is made of fails by panic"
)]

mod minio {
    use std::{
        net::{TcpListener, TcpStream},
        path::Path,
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use s3_storage::{Config, Credentials, Keys, Proxy, S3Config, create_bucket};

    pub(crate) const KEY: &str = "conformance";
    pub(crate) const SECRET: &str = "conformance-secret";

    /// A server on a free port, in a folder of its own; it ends when dropped.
    pub(crate) struct Server {
        process: Child,
        pub(crate) endpoint: String,
        _folder: tempfile::TempDir,
    }

    impl Server {
        pub(crate) fn start(binary: &Path, settings: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let process = Command::new(binary)
                .args(["server", "--quiet", "--address", &address.to_string()])
                .arg(folder.path())
                .env("MINIO_ROOT_USER", KEY)
                .env("MINIO_ROOT_PASSWORD", SECRET)
                .envs(settings.iter().copied())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let server = Self {
                process,
                endpoint: format!("http://{address}"),
                _folder: folder,
            };
            let deadline = Instant::now() + Duration::from_secs(60);
            while TcpStream::connect(address).is_err() {
                assert!(
                    Instant::now() < deadline,
                    "MinIO does not listen on {address}"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
            server
        }

        /// An empty bucket. The server listens before it serves: whoever comes too early is told so
        /// by 503.
        pub(crate) async fn bucket(&self, name: &str) -> S3Config {
            let access = Config {
                endpoint: Some(self.endpoint.clone()),
                region: Some("us-east-1".into()),
                credentials: Credentials::Static(Keys::new(KEY, SECRET)),
                proxy: Proxy::Direct,
                ..Config::default()
            };
            let config = S3Config::new(name, access);
            for _ in 0..60 {
                match create_bucket(&config).await {
                    Ok(()) => return config,
                    Err(error) if error.is_transient() => {
                        tokio::time::sleep(Duration::from_millis(500)).await
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            panic!("MinIO does not make a bucket");
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::StreamExt as _;
use minio::Server;
use s3_storage::{
    ConditionalWrites, ConnectProblem, Credentials, ErrorKind, GetOptions, Keys, LocalClock,
    Payload, PutMode, PutOptions, S3, S3Config, Storage, conformance, delete_bucket, open_uploads,
    probe, put_bucket_policy,
};

/// The server's program, or a word that it is missing.
fn binary() -> Option<PathBuf> {
    let binary = std::env::var_os("MINIO_BIN").map(PathBuf::from);
    if binary.is_none() {
        println!("left out: MINIO_BIN is not set");
    }
    binary
}

fn content() -> Payload {
    Payload::Bytes(Bytes::from_static(b"content"))
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_conforms() {
    let Some(binary) = binary() else { return };
    let server = Server::start(&binary, &[]);
    for name in ["conformance", "dotted.bucket"] {
        let config = server.bucket(name).await;
        let s3: Arc<dyn Storage> = Arc::new(S3::connect(config.clone()).await.unwrap());
        assert_eq!(probe(&*s3).await.unwrap(), ConditionalWrites::Supported);
        conformance(s3).await;
        assert_eq!(
            open_uploads(&config).await.unwrap(),
            0,
            "no upload in parts is left open"
        );
        delete_bucket(&config).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_day_off_is_corrected() {
    let Some(binary) = binary() else { return };
    let server = Server::start(&binary, &[]);
    let config = server.bucket("clock").await;
    let day = Duration::from_secs(86_400);
    for ahead in [true, false] {
        let local = move || {
            #[expect(clippy::disallowed_methods, reason = "the local clock that is wrong")]
            let now = SystemTime::now();
            if ahead { now + day } else { now - day }
        };
        let connect = || async {
            let clock = LocalClock::new(local);
            let config = config.clone().with_access(|access| access.clock = clock);
            S3::connect(config).await.unwrap()
        };
        // The first request of all, in each of its kinds: HEAD answers without a code.
        let put = connect().await;
        put.put("key", content(), PutOptions::new(PutMode::Overwrite))
            .await
            .unwrap();
        put.put("key", content(), PutOptions::new(PutMode::Overwrite))
            .await
            .unwrap();
        assert_eq!(connect().await.head("key").await.unwrap().size, Some(7));
        assert!(
            connect()
                .await
                .list("", None)
                .next()
                .await
                .is_some_and(|entry| entry.is_ok())
        );
        let missing = connect()
            .await
            .get("none", GetOptions::default())
            .await
            .unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_corrected() {
    let Some(binary) = binary() else { return };
    let server = Server::start(&binary, &[("MINIO_REGION", "eu-north-7")]);
    let config = server.bucket("regions").await;
    for region in ["us-east-1", "eu-north-7"] {
        let config = config.clone();
        let config = config.with_access(|access| access.region = Some(region.into()));
        let s3 = S3::connect(config.clone()).await.unwrap();
        s3.put("key", content(), PutOptions::new(PutMode::Overwrite))
            .await
            .unwrap();
        assert_eq!(s3.head("key").await.unwrap().size, Some(7));
        let s3 = S3::connect(config).await.unwrap();
        assert!(s3.get("key", GetOptions::default()).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_can_be_done() {
    let Some(binary) = binary() else { return };
    let server = Server::start(&binary, &[]);
    let config = server.bucket("errors").await;
    let s3 = S3::connect(config.clone()).await.unwrap();
    s3.put("open/key", content(), PutOptions::new(PutMode::Create))
        .await
        .unwrap();

    let kind = |config: S3Config| async move {
        let s3 = S3::connect(config).await.unwrap();
        s3.get("closed/key", GetOptions::default())
            .await
            .unwrap_err()
            .kind()
    };
    let by = |credentials| {
        let config = config.clone();
        config.with_access(|access| access.credentials = credentials)
    };
    for id in [minio::KEY, "nobody"] {
        let wrong = by(Credentials::Static(Keys::new(id, "wrong-secret")));
        assert_eq!(kind(wrong).await, ErrorKind::BadCredentials);
    }
    let anonymous = by(Credentials::Anonymous);
    assert_eq!(kind(anonymous.clone()).await, ErrorKind::PermissionDenied);
    let missing = S3Config {
        bucket: "no-such-bucket".into(),
        ..config.clone()
    };
    assert_eq!(kind(missing.clone()).await, ErrorKind::NoSuchBucket);
    let missing = S3::connect(missing).await.unwrap();
    let listed = missing
        .list("prefix/", None)
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!((listed.kind(), listed.key()), (ErrorKind::NoSuchBucket, ""));
    let nobody_listens = config.clone();
    let nobody_listens =
        nobody_listens.with_access(|access| access.endpoint = Some("http://127.0.0.1:9".into()));
    assert_eq!(
        kind(nobody_listens).await,
        ErrorKind::Connect(ConnectProblem::Refused)
    );

    // Anonymous readers of some objects.
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},
        "Action":["s3:GetObject"],"Resource":["arn:aws:s3:::errors/open/*"]}]}"#;
    put_bucket_policy(&config, policy).await.unwrap();
    let reader = S3::connect(anonymous).await.unwrap();
    assert!(reader.get("open/key", GetOptions::default()).await.is_ok());
    let closed = reader
        .get("closed/key", GetOptions::default())
        .await
        .unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::PermissionDenied);
    let denied = reader
        .put("open/key", content(), PutOptions::new(PutMode::Overwrite))
        .await
        .unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
}
