//! `[package.metadata.deb]` of a crate: what its Debian package is.
//!
//! cargo-deb reads it too, and makes the packages that are shipped (see [`super::package`]). The demo packs the same from it without
//! cargo-deb, and the tests compare what came out with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::product::Product;
use crate::{binaries, process};

/// Where cargo-deb's sources of assets begin that are built, and not in the crate.
const BUILT: &str = "target/release/";

/// The part of it that is used here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Manifest {
    pub(crate) maintainer: String,
    pub(crate) section: String,
    pub(crate) priority: String,
    pub(crate) depends: String,
    pub(crate) suggests: Option<String>,
    pub(crate) provides: Option<String>,
    pub(crate) conflicts: Option<String>,
    pub(crate) replaces: Option<String>,
    extended_description: String,
    assets: Vec<(String, String, String)>,
    /// The description's first line; it is cargo's own field.
    #[serde(skip)]
    pub(crate) synopsis: String,
    /// Cargo's own, too.
    #[serde(skip)]
    pub(crate) version: String,
    /// That of the crate, from the root of the workspace.
    #[serde(skip)]
    folder: PathBuf,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asset {
    pub(crate) source: PathBuf,
    /// Where it goes, from the root and without a slash before it.
    pub(crate) target: String,
    pub(crate) mode: u32,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    description: Option<String>,
    manifest_path: PathBuf,
    metadata: Option<PackageMetadata>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    deb: Option<Manifest>,
}

impl Manifest {
    /// Those of all products of this workspace.
    pub(crate) fn read_all() -> Result<BTreeMap<Product, Self>> {
        let mut command = binaries::cargo();
        command.args(["metadata", "--no-deps", "--format-version=1", "--locked"]);
        let outcome = process::run(&mut command)?.success()?;
        let metadata: Metadata = serde_json::from_str(&outcome.stdout)
            .context("[package.metadata.deb] is not understood")?;
        let mut manifests = BTreeMap::new();
        for package in metadata.packages {
            let Some(product) = Product::ALL
                .into_iter()
                .find(|product| product.name() == package.name)
            else {
                continue;
            };
            let deb = package.metadata.and_then(|metadata| metadata.deb);
            let mut manifest =
                deb.with_context(|| format!("{} has no [package.metadata.deb]", package.name))?;
            manifest.synopsis = package.description.unwrap_or_default();
            manifest.version = package.version;
            let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
            manifest.folder = folder.strip_prefix(&metadata.workspace_root)?.to_owned();
            manifests.insert(product, manifest);
        }
        Ok(manifests)
    }

    /// Its files in the checkout `root`; `built` is the folder of the programs and of what is generated beside them.
    pub(crate) fn assets(&self, root: &Path, built: &Path) -> Result<Vec<Asset>> {
        let mut assets = Vec::new();
        for (source, target, mode) in &self.assets {
            let pattern = match source.strip_prefix(BUILT) {
                Some(inside) => built.join(inside),
                None => root.join(&self.folder).join(source),
            };
            let mode = u32::from_str_radix(mode, 8)
                .with_context(|| format!("the mode of {source} is not octal"))?;
            for path in expand(&pattern)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let target = if target.ends_with('/') {
                    format!("{target}{name}")
                } else {
                    target.clone()
                };
                assets.push(Asset {
                    source: path.clone(),
                    target,
                    mode,
                });
            }
        }
        Ok(assets)
    }

    /// `DEBIAN/control` (deb-control(5)) of a binary package; `installed_size` in KiB.
    pub(crate) fn control(
        &self,
        name: &str,
        version: &str,
        architecture: &str,
        installed_size: usize,
    ) -> String {
        let mut text = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {}\nInstalled-Size: {installed_size}\nSection: {}\nPriority: {}\nDepends: {}\n",
            self.maintainer, self.section, self.priority, self.depends
        );
        for (field, value) in [
            ("Suggests", &self.suggests),
            ("Provides", &self.provides),
            ("Conflicts", &self.conflicts),
            ("Replaces", &self.replaces),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("{field}: {value}\n"));
            }
        }
        text.push_str(&format!("Description: {}\n", self.synopsis));
        for line in self.extended_description.trim().lines() {
            text.push_str(&format!(" {line}\n"));
        }
        text
    }
}

/// The files that `pattern` stands for: itself, or all of its folder where it ends with `/*`.
fn expand(pattern: &Path) -> Result<Vec<PathBuf>> {
    if pattern.file_name().is_none_or(|name| name != "*") {
        return Ok(vec![pattern.to_owned()]);
    }
    let folder = pattern.parent().unwrap_or(pattern);
    let mut files = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot read {}", folder.display()))?
    {
        files.push(entry?.path());
    }
    if files.is_empty() {
        bail!("{} is empty", folder.display());
    }
    files.sort();
    Ok(files)
}
