//! The project's two packages as the examples install them: those of `cargo xtask dist`, around the programs of this run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{dist::sample::Samples, e2e::world::World, process};

/// The name of the method's package.
pub(super) const METHOD: &str = "apt-method-s3";

/// The method's package, in a folder of `world`.
pub(super) fn method(world: &World<'_>) -> Result<PathBuf> {
    let own = samples(world)?;
    own.method(own.version(), &world.folder)
}

/// The publisher's package, in a folder of `world`.
pub(super) fn debucket(world: &World<'_>) -> Result<PathBuf> {
    let own = samples(world)?;
    own.debucket(own.version(), &world.folder)
}

fn samples(world: &World<'_>) -> Result<Samples> {
    Samples::prepare(world.binaries, &world.folder.join("own-packages"))
}

/// A file that anyone can fetch.
pub(super) struct Download {
    pub(super) address: String,
    /// Its SHA-256 in hexadecimal digits.
    pub(super) sha256: String,
}

/// Puts `file` into the bucket, below `downloads/`, and opens that folder to everyone. On AWS one would presign the address instead.
pub(super) fn serve(world: &World<'_>, file: &Path) -> Result<Download> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no name", file.display()))?;
    let bucket = &world.bucket.name;
    world
        .bucket
        .put(&format!("downloads/{name}"), &fs::read(file)?)?;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": ["*"] },
            "Action": ["s3:GetObject"],
            "Resource": [format!("arn:aws:s3:::{bucket}/downloads/*")],
        }],
    });
    world.store.put_policy(bucket, &policy.to_string())?;
    let outcome = process::run(Command::new("sha256sum").arg(file))?.success()?;
    let sha256 = outcome.stdout.split_whitespace().next().unwrap_or_default();
    Ok(Download {
        address: format!("{}/{bucket}/downloads/{name}", world.store.endpoint),
        sha256: sha256.to_owned(),
    })
}
