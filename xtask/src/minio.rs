//! MinIO for the tests: found or built, started on a free loopback port with an empty folder, and stopped.
//!
//! The community edition comes as source only (<https://github.com/minio/minio>), so several ways to get it are tried;
//! where none works, the error names them all. It is never skipped in silence.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    binaries,
    interrupt::{self, TempFolder},
    process::{self, Running},
};

/// The pinned version for `go install`.
const MODULE: &str = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c";
/// The same for a container engine: the last image that was published.
const IMAGE: &str = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z";
/// What the pinned version needs.
const GO: (u32, u32) = (1, 24);

/// The credentials that it is started with.
pub(crate) const ACCESS_KEY: &str = "debucket-e2e";
pub(crate) const SECRET_KEY: &str = "debucket-e2e-secret";

/// Where MinIO comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Program(PathBuf),
    /// An engine (`docker`, `podman`) that runs its image.
    Container(String),
}

/// A MinIO that is running.
pub(crate) struct Minio {
    address: SocketAddr,
    _process: Process,
    _folder: TempFolder,
}

enum Process {
    Program { _running: Running },
    Container { engine: String, name: String },
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Container { engine, name } = self {
            interrupt::end_container(engine, name);
        }
    }
}

/// Finds MinIO, or builds it where Go is there.
pub(crate) fn find() -> Result<Source> {
    if let Some(path) = env::var_os("MINIO_BIN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("MINIO_BIN names {}, which is no file", path.display());
        }
        return Ok(Source::Program(path));
    }
    let cache = binaries::target_folder().join("minio");
    let mut folders: Vec<_> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    folders.extend(env::home_dir().map(|home| home.join("go/bin")));
    folders.push(cache.clone());
    if let Some(program) = folders
        .iter()
        .map(|folder| folder.join("minio"))
        .find(|path| path.is_file())
    {
        return Ok(Source::Program(program));
    }
    for engine in ["docker", "podman"] {
        // The client alone is not enough: its daemon must answer.
        if process::on_path(engine)
            && process::run(Command::new(engine).arg("info"))
                .is_ok_and(|outcome| outcome.code() == 0)
        {
            return Ok(Source::Container(engine.into()));
        }
    }
    match go_version() {
        Some(version) if version >= GO => build(&cache),
        Some((major, minor)) => bail!(
            "{}\n  (Go {major}.{minor} is here, which is too old)",
            missing()
        ),
        None => bail!("{}", missing()),
    }
}

fn missing() -> String {
    format!(
        "MinIO is not here. Any one of these makes it available:\n\
         \x20 - MINIO_BIN=/path/to/minio\n\
         \x20 - `minio` on PATH, or in ~/go/bin\n\
         \x20 - docker or podman, running ({IMAGE})\n\
         \x20 - Go {}.{} or newer: `go install {MODULE}` is then done by itself",
        GO.0, GO.1
    )
}

fn go_version() -> Option<(u32, u32)> {
    if !process::on_path("go") {
        return None;
    }
    let outcome = process::run(Command::new("go").args(["env", "GOVERSION"])).ok()?;
    parse_go_version(outcome.stdout.trim())
}

fn parse_go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("go")?.split(['.', '-', 'r', 'b', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn build(cache: &Path) -> Result<Source> {
    eprintln!(
        "MinIO is not here; building it once with Go into {} (some minutes): go install {MODULE}",
        cache.display()
    );
    fs::create_dir_all(cache)?;
    let mut command = Command::new("go");
    command
        .args(["install", MODULE])
        .env("GOBIN", cache)
        .env("CGO_ENABLED", "0")
        .env_remove("GOFLAGS");
    process::run_within(&mut command, Duration::from_secs(1800))?
        .success()
        .context("Go could not build MinIO")?;
    Ok(Source::Program(cache.join("minio")))
}

impl Minio {
    /// Starts it with an empty store.
    pub(crate) fn start(source: &Source) -> Result<Self> {
        let folder = TempFolder::new("minio")?;
        // The port is free when it is asked for; another program may take it before MinIO does, so three tries.
        let mut last = None;
        for _ in 0..3 {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            match launch(source, address, folder.path()) {
                Ok(process) => {
                    return Ok(Self {
                        address,
                        _process: process,
                        _folder: folder,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last
            .unwrap_or_else(|| anyhow::anyhow!("not tried"))
            .context("MinIO does not start"))
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn launch(source: &Source, address: SocketAddr, folder: &Path) -> Result<Process> {
    match source {
        Source::Program(program) => {
            let mut command = Command::new(program);
            command
                .args(["server", "--quiet", "--address", &address.to_string()])
                .arg(folder.join("data"));
            command
                .env("MINIO_ROOT_USER", ACCESS_KEY)
                .env("MINIO_ROOT_PASSWORD", SECRET_KEY);
            // No console, no look for updates, no configuration of the person who runs this.
            command
                .env("MINIO_BROWSER", "off")
                .env("MINIO_UPDATE", "off")
                .env("HOME", folder)
                .env("MINIO_CI_CD", "1");
            let mut running = process::start(&mut command)?;
            let started = Instant::now();
            while !is_ready(address) {
                if running.has_ended()? {
                    bail!(
                        "it ended at once\n{}",
                        running.finish(Duration::from_secs(1))?.report()
                    );
                }
                if started.elapsed() > Duration::from_secs(60) {
                    bail!(
                        "it does not answer after a minute\n{}",
                        running.kill()?.report()
                    );
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(Process::Program { _running: running })
        }
        Source::Container(engine) => {
            let name = format!("debucket-minio-{}", address.port());
            let mut command = Command::new(engine);
            command.args([
                "run",
                "--detach",
                "--rm",
                "--name",
                &name,
                "--publish",
                &format!("{address}:9000"),
            ]);
            command.args([
                "--env",
                &format!("MINIO_ROOT_USER={ACCESS_KEY}"),
                "--env",
                &format!("MINIO_ROOT_PASSWORD={SECRET_KEY}"),
            ]);
            interrupt::container_started(engine, &name);
            let process = Process::Container {
                engine: engine.clone(),
                name,
            };
            process::run_within(
                command.args([IMAGE, "server", "/data"]),
                Duration::from_secs(600),
            )?
            .success()?;
            let started = Instant::now();
            while !is_ready(address) {
                if started.elapsed() > Duration::from_secs(60) {
                    bail!("the container does not answer after a minute");
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(process)
        }
    }
}

/// Whether its health page answers 200 (<https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html>).
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /minio/health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| {
        answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_read() {
        assert_eq!(parse_go_version("go1.26.8"), Some((1, 26)));
        assert_eq!(parse_go_version("go1.24rc1"), Some((1, 24)));
        assert_eq!(parse_go_version("devel"), None);
        assert!(parse_go_version("go1.9").is_some_and(|version| version < GO));
    }

    #[test]
    fn the_error_names_every_way() {
        let text = missing();
        for way in [
            "MINIO_BIN",
            "PATH",
            "~/go/bin",
            "docker",
            "podman",
            "go install",
        ] {
            assert!(text.contains(way), "{way}");
        }
    }
}
