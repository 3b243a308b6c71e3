//! `cargo xtask s3`: the embedded S3 server by hand, for playing and for the benchmarks.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use dev_s3::DevS3;

use crate::{interrupt::TempFolder, store::REGION};

/// Runs the embedded S3 server until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct S3 {
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: String,
    /// Speak TLS, with a certificate made for this run
    #[arg(long)]
    tls: bool,
    /// Buckets that are there from the start
    #[arg(
        long,
        value_name = "NAME",
        default_value = "demo",
        value_delimiter = ','
    )]
    bucket: Vec<String>,
}

impl S3 {
    /// Serves until the process is told to end.
    pub(crate) fn run(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let mut builder = DevS3::builder().listen(&self.listen).tls(self.tls);
        for bucket in &self.bucket {
            builder = builder.bucket(bucket);
        }
        let server = runtime
            .block_on(builder.start())
            .with_context(|| format!("cannot serve on {}", self.listen))?;
        let certificate = server.ca_pem().map(write_certificate).transpose()?;

        println!("export AWS_ENDPOINT_URL={}", server.endpoint());
        println!("export AWS_ACCESS_KEY_ID={}", DevS3::DEFAULT_KEY_ID);
        println!("export AWS_SECRET_ACCESS_KEY={}", DevS3::DEFAULT_SECRET);
        println!("export AWS_REGION={REGION}");
        if let Some((_, file)) = &certificate {
            println!("export AWS_CA_BUNDLE={}", file.display());
        }
        println!(
            "# Buckets, in memory: {}. Ctrl-C stops the server.",
            self.bucket.join(", ")
        );
        if let Some(bucket) = self.bucket.first() {
            println!("# In another terminal, after these exports:");
            println!("#   debucket key generate --out signing-key.asc");
            println!("#   debucket publish *.deb --repo s3://{bucket} --sign-key signing-key.asc");
        }
        // The watcher of signals ends the process.
        runtime.block_on(std::future::pending())
    }
}

fn write_certificate(pem: &str) -> Result<(TempFolder, PathBuf)> {
    let folder = TempFolder::new("s3")?;
    let file = folder.path().join("ca.pem");
    fs::write(&file, pem)?;
    Ok((folder, file))
}
