//! The method beside apt's own `http`: both speak the same protocol, so one driver measures both.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use s3_storage::{Payload, PutMode, PutOptions, S3, Storage as _};

use super::{
    Figure, Target, median,
    memory::peak_megabytes,
    server::{BUCKET, Server},
};
use crate::{binaries::Binaries, deb::noise, interrupt::TempFolder};

const HTTP: &str = "/usr/lib/apt/methods/http";
const KEY: &str = "big";
/// Bytes of the large object.
const SIZE: usize = 1 << 30;
const RUNS: usize = 5;

pub(crate) fn figures(binaries: &Binaries, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let [size, start, memory, speed] = [
        "method: size of the binary",
        "method: start to capabilities",
        "method: memory, 1 GB over TLS",
        "method: 1 GB over http",
    ];
    if wanted(size) {
        let bytes = fs::metadata(&binaries.method)?.len();
        figures.push(Figure {
            name: size.to_owned(),
            value: bytes as f64 / 1e6,
            unit: "MB",
            target: Target::AtMost(6.0),
        });
    }
    if wanted(start) {
        let times = (0..20)
            .map(|_| Ok(Method::start(&binaries.method, None)?.started_in))
            .collect::<Result<Vec<_>>>()?;
        figures.push(Figure {
            name: start.to_owned(),
            value: median(times),
            unit: "ms",
            target: Target::AtMost(10.0),
        });
    }
    let folder = TempFolder::new("bench")?;
    let target = folder.path().join("got");
    if wanted(memory) {
        let server = Server::start(true)?;
        let sha256 = provide(&server, folder.path())?;
        let mut peaks = Vec::new();
        for _ in 0..RUNS {
            let mut method = Method::start(&binaries.method, Some(&server))?;
            method.fetch(&format!("s3://{BUCKET}/{KEY}"), &target, &sha256)?;
            peaks.push(peak_megabytes(method.child.id()).context("the method has ended")?);
        }
        figures.push(Figure {
            name: memory.to_owned(),
            value: median(peaks),
            unit: "MB",
            target: Target::AtMost(15.0),
        });
    }
    if wanted(speed) {
        let server = Server::start(false)?;
        let sha256 = provide(&server, folder.path())?;
        let rate = |binary: &Path, uri: &str| -> Result<f64> {
            let seconds = Method::start(binary, Some(&server))?.fetch(uri, &target, &sha256)?;
            Ok(SIZE as f64 / 1e6 / seconds)
        };
        let (mut ours, mut apts) = (Vec::new(), Vec::new());
        // In turn, so that both see the same moods of the machine.
        for _ in 0..RUNS {
            ours.push(rate(&binaries.method, &format!("s3://{BUCKET}/{KEY}"))?);
            apts.push(rate(
                Path::new(HTTP),
                &format!("{}/{BUCKET}/{KEY}", server.endpoint()),
            )?);
        }
        let apts = median(apts);
        figures.push(Figure {
            name: speed.to_owned(),
            value: median(ours),
            unit: "MB/s",
            target: Target::AtLeast(apts),
        });
        let name = format!("{speed}, apt's own method");
        figures.push(Figure {
            name,
            value: apts,
            unit: "MB/s",
            target: Target::None,
        });
    }
    Ok(figures)
}

/// Puts the large object into the bucket and opens it to everybody, for apt's own method. Returns its SHA-256.
fn provide(server: &Server, folder: &Path) -> Result<String> {
    let path = folder.join(KEY);
    let block = noise("bench", 1 << 20);
    let mut file = fs::File::create(&path)?;
    let mut hasher = deb_index::digest::Hasher::new(&[]);
    for _ in 0..SIZE / block.len() {
        file.write_all(&block)?;
        hasher.update(&block);
    }
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{BUCKET}/*"}}]}}"#
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        s3_storage::put_bucket_policy(&server.config(), &policy).await?;
        let payload = Payload::File {
            path: path.clone(),
            size: SIZE as u64,
        };
        S3::connect(server.config())
            .await?
            .put(KEY, payload, PutOptions::new(PutMode::Overwrite))
            .await
    })?;
    fs::remove_file(&path)?;
    Ok(hasher.finish().sha256().to_string())
}

/// A method that runs, and has printed its capabilities.
struct Method {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Milliseconds from the start to the end of `100 Capabilities`.
    started_in: f64,
}

impl Method {
    fn start(binary: &Path, server: Option<&Server>) -> Result<Self> {
        let mut command = Command::new(binary);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(server) = server {
            command.envs(&server.exports).env("no_proxy", "127.0.0.1");
        }
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut method = Self {
            child,
            output,
            started_in: 0.0,
        };
        let (status, _) = method.message()?;
        anyhow::ensure!(
            status.starts_with("100 "),
            "{status} in the place of the capabilities"
        );
        method.started_in = started.elapsed().as_secs_f64() * 1e3;
        Ok(method)
    }

    /// Reads a message: its first line, and the rest.
    fn message(&mut self) -> Result<(String, String)> {
        let (mut status, mut rest) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the method ended");
            }
            match line.trim_end() {
                "" if status.is_empty() => {}
                "" => return Ok((status, rest)),
                text if status.is_empty() => text.clone_into(&mut status),
                _ => rest.push_str(&line),
            }
        }
    }

    /// Fetches `uri`; returns the seconds from the request to `201`.
    fn fetch(&mut self, uri: &str, target: &PathBuf, sha256: &str) -> Result<f64> {
        // Missing is well.
        let _ = fs::remove_file(target);
        let input = self.child.stdin.as_mut().context("no input")?;
        write!(
            input,
            "601 Configuration\nConfig-Item: Acquire::Send-URI-Encoded=1\n\n"
        )?;
        let started = Instant::now();
        write!(
            input,
            "600 URI Acquire\nURI: {uri}\nFilename: {}\nExpected-SHA256: {sha256}\nExpected-Checksum-FileSize: {SIZE}\n\n",
            target.display()
        )?;
        input.flush()?;
        loop {
            let (status, rest) = self.message()?;
            match status.split(' ').next() {
                Some("201") => {
                    anyhow::ensure!(rest.contains(sha256), "other content arrived");
                    return Ok(started.elapsed().as_secs_f64());
                }
                Some("400" | "401") => bail!("{status}\n{rest}"),
                _ => {}
            }
        }
    }
}

impl Drop for Method {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
