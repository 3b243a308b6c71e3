//! The `.deb`s that are shipped, by cargo-deb (<https://github.com/kornelski/cargo-deb>).

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::{
    build::{Built, Profile},
    platform::Architecture,
    product::Product,
    source::Source,
};
use crate::process;

/// The name of a package's file.
pub(crate) fn file_name(product: Product, version: &str, architecture: Architecture) -> String {
    format!("{}_{version}_{}.deb", product.name(), architecture.debian())
}

/// Packs `product`; the file is `out/NAME_VERSION_ARCHITECTURE.deb`.
pub(crate) fn pack(
    source: &Source,
    built: &Built,
    product: Product,
    out: &Path,
) -> Result<PathBuf> {
    let file = out.join(file_name(
        product,
        &source.version,
        built.platform.architecture,
    ));
    if file.exists() {
        fs::remove_file(&file)?;
    }
    let mut command = source.cargo();
    command
        .args(["deb", "--no-build", "--no-strip", "--locked", "--package"])
        .arg(product.name())
        .args(["--target", &built.platform.triple()])
        .args(["--profile", built.profile.name()])
        .arg("--output")
        .arg(&file);
    if built.profile == Profile::Quick {
        command.arg("--fast");
    }
    let outcome = process::run(&mut command)?.success()?;
    ensure!(
        file.is_file(),
        "cargo-deb made no {}\n{}",
        file.display(),
        outcome.report()
    );
    Ok(file)
}
