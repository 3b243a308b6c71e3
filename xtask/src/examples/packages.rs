//! The project's two packages as the examples install them.
//!
//! They stand in for what `cargo xtask dist` makes: the same names, paths and dependencies, around the programs of this run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{apt_root::native_architecture, deb, e2e::world::World, process};

/// The name of the method's package.
pub(super) const METHOD: &str = "apt-method-s3";

/// The method's package, in a folder of `world`.
pub(super) fn method(world: &World<'_>) -> Result<PathBuf> {
    package(
        world,
        METHOD,
        &world.binaries.method,
        "usr/lib/apt/methods/s3",
    )
}

/// The publisher's package, in a folder of `world`.
pub(super) fn debucket(world: &World<'_>) -> Result<PathBuf> {
    package(
        world,
        "debucket",
        &world.binaries.debucket,
        "usr/bin/debucket",
    )
}

fn package(world: &World<'_>, name: &str, program: &Path, path: &str) -> Result<PathBuf> {
    let (version, architecture) = (env!("CARGO_PKG_VERSION"), native_architecture()?);
    let tree = world.folder.join(format!("{name}.tree"));
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The debucket developers <debucket@example.org>\nDepends: ca-certificates\nSection: admin\nPriority: optional\nDescription: {name} of a test\n Built without optimisation.\n"
    );
    deb::write(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
    // Nine tenths of a program that is not optimised are for the debugger.
    let stripped = world.folder.join(format!("{name}.stripped"));
    process::run(Command::new("strip").arg("-o").arg(&stripped).arg(program))
        .context("strip is in the package binutils")?
        .success()?;
    deb::write(&tree.join(path), &fs::read(&stripped)?, 0o755)?;
    let file = world
        .folder
        .join(format!("{name}_{version}_{architecture}.deb"));
    deb::build_tree(&tree, &file, "none")?;
    Ok(file)
}

/// A file that anyone can fetch.
pub(super) struct Download {
    /// Where.
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
