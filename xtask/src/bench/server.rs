//! The embedded server in a process of its own, so that the memory and time of a client are measured alone.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result};
use s3_storage::{Config, Credentials, Keys, Proxy, S3Config};

/// The bucket that is there.
pub(crate) const BUCKET: &str = "bench";

pub(crate) struct Server {
    child: Child,
    /// Kept open: the server goes on talking.
    _output: BufReader<ChildStdout>,
    /// What a client's environment has to say of it.
    pub(crate) exports: BTreeMap<String, String>,
}

impl Server {
    /// Starts one on a free port, with everything in memory.
    pub(crate) fn start(tls: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["s3", "--listen", "127.0.0.1:0", "--bucket", BUCKET])
            .args(tls.then_some("--tls"));
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut output = BufReader::new(stdout);
        let mut exports = BTreeMap::new();
        for line in output.by_ref().lines() {
            let line = line?;
            let Some(export) = line.strip_prefix("export ") else {
                break;
            };
            let (name, value) = export
                .split_once('=')
                .context("an export without a value")?;
            exports.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self {
            child,
            _output: output,
            exports,
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        self.exports
            .get("AWS_ENDPOINT_URL")
            .cloned()
            .unwrap_or_default()
    }

    /// Access to its bucket.
    pub(crate) fn config(&self) -> S3Config {
        let export = |name| self.exports.get(name).cloned();
        let key = |name| export(name).unwrap_or_default();
        let keys = Keys::new(key("AWS_ACCESS_KEY_ID"), key("AWS_SECRET_ACCESS_KEY"));
        let access = Config {
            endpoint: export("AWS_ENDPOINT_URL"),
            region: export("AWS_REGION"),
            credentials: Credentials::Static(keys),
            ca_bundle: export("AWS_CA_BUNDLE").map(|path| PathBuf::from(path).into()),
            proxy: Proxy::Direct,
            ..Config::default()
        };
        S3Config::new(BUCKET, access)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked to end, it removes its temporary folder. It may have ended by itself.
        let process = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
