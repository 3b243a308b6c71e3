//! Runs the program in an empty environment, and with an embedded store.

use std::{ffi::OsStr, fs, path::PathBuf, process::Output};

use assert_cmd::Command;
use dev_s3::{DevS3, FaultProxy};
use tempfile::TempDir;

use crate::printed;

/// The bucket of [`Store`].
pub(crate) const BUCKET: &str = "acme-apt";
/// The repository in it.
pub(crate) const REPO: &str = "s3://acme-apt/robots";

/// The program, without anything of the environment that the tests run in.
pub(crate) fn debucket() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("debucket"));
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("DEBUCKET_AUTHOR", "ada@build");
    command
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs to the end. What is advised has to be possible.
pub(crate) fn run(command: &mut Command) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let run = Run {
        code: status.code().unwrap(),
        stdout: text(stdout),
        stderr: text(stderr),
    };
    let arguments: Vec<_> = command.get_args().filter_map(OsStr::to_str).collect();
    if !arguments.contains(&"--help") {
        printed::check(&arguments, &run);
    }
    run
}

impl Run {
    /// That it ended with this code; its standard output.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        self.stdout
    }

    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.expect(0)).unwrap()
    }
}

/// An embedded store with an empty bucket, a signing key, and a folder for files.
pub(crate) struct Store {
    pub(crate) server: DevS3,
    /// `key.asc` and `public.asc` are in it.
    pub(crate) folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Store {
    pub(crate) fn start() -> Self {
        Self::start_with(DevS3::builder())
    }

    /// The store as `builder` describes it.
    pub(crate) fn start_with(builder: dev_s3::Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(builder.bucket(BUCKET).start()).unwrap();
        let store = Self {
            server,
            folder: tempfile::tempdir().unwrap(),
            runtime,
        };
        run(debucket()
            .args(["key", "generate", "--out"])
            .arg(store.path("key.asc"))
            .arg("--public-out")
            .arg(store.path("public.asc")))
        .expect(0);
        store
    }

    /// A proxy before the store, in which things go wrong.
    pub(crate) fn proxy(&self) -> FaultProxy {
        let endpoint = self.server.endpoint();
        self.runtime.block_on(FaultProxy::start(&endpoint)).unwrap()
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with credentials for the store, and the repository's address.
    pub(crate) fn debucket(&self, arguments: &[&str]) -> Command {
        let _entered = self.runtime.enter();
        let mut command = debucket();
        command
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", DevS3::DEFAULT_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", DevS3::DEFAULT_SECRET)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("DEBUCKET_REPO", REPO);
        command
    }

    /// `debucket publish` of a file, signed with the store's key.
    pub(crate) fn publish(&self, file: &std::path::Path, more: &[&str]) -> Run {
        run(self
            .debucket(&["publish"])
            .arg(file)
            .arg("--sign-key")
            .arg(self.path("key.asc"))
            .args(more))
    }

    /// A command that reads, with the public key.
    pub(crate) fn read(&self, arguments: &[&str]) -> Run {
        run(self
            .debucket(arguments)
            .arg("--keyring")
            .arg(self.path("public.asc")))
    }

    pub(crate) fn fingerprint(&self) -> String {
        let certificate =
            repo_signing::Certificate::from_bytes(&fs::read(self.path("public.asc")).unwrap());
        certificate.unwrap().fingerprint().to_string()
    }
}
