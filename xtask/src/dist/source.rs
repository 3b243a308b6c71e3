//! The sources that a build starts from: a checkout, its target folder, and the time that stands for "now" in all that is made.
//!
//! The same commit gives the same bytes, wherever it is checked out and built. So nothing that is made may hold a path of this
//! machine, or a time other than that of the commit (<https://reproducible-builds.org/specs/source-date-epoch/>).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    manifest::{Asset, Manifest},
    product::Product,
};
use crate::{binaries, process};

#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The root of the workspace.
    pub(crate) root: PathBuf,
    /// cargo's target folder.
    pub(crate) target: PathBuf,
    /// Seconds since 1970.
    pub(crate) epoch: u64,
    /// The version of everything.
    pub(crate) version: String,
    manifests: BTreeMap<Product, Manifest>,
}

impl Source {
    /// This workspace, at the time of its last commit.
    pub(crate) fn here() -> Result<Self> {
        Self::at(epoch(&binaries::workspace())?)
    }

    /// This workspace, at some other time.
    pub(crate) fn at(epoch: u64) -> Result<Self> {
        let manifests = Manifest::read_all()?;
        let debucket = manifests
            .get(&Product::Debucket)
            .context("the workspace has no package debucket")?;
        Ok(Self {
            root: binaries::workspace(),
            target: binaries::target_folder(),
            version: debucket.version.clone(),
            epoch,
            manifests,
        })
    }

    /// What the package of `product` is.
    pub(crate) fn manifest(&self, product: Product) -> Result<&Manifest> {
        self.manifests
            .get(&product)
            .with_context(|| format!("the workspace has no package {}", product.name()))
    }

    /// The files of the package of `product`; `built` as for [`Manifest::assets`].
    pub(crate) fn assets(&self, product: Product, built: &Path) -> Result<Vec<Asset>> {
        self.manifest(product)?.assets(&self.root, built)
    }

    /// The same sources copied to `root`, with a target folder of their own in it.
    pub(crate) fn copy_to(&self, root: &Path) -> Result<Self> {
        let listed = process::run(Command::new("git").current_dir(&self.root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?
        .success()
        .context("git must know the sources to copy them")?;
        for name in listed.stdout.lines() {
            let from = self.root.join(name);
            // Deleted, and not committed yet.
            if !from.exists() {
                continue;
            }
            let to = root.join(name);
            fs::create_dir_all(to.parent().unwrap_or(root))?;
            fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
        }
        Ok(Self {
            root: root.to_owned(),
            target: root.join("out/of/the/way"),
            ..self.clone()
        })
    }

    /// cargo, in this checkout and with its target folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = binaries::cargo();
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        command
    }

    /// Paths of this machine that a compiler might write down, each with what shall stand there instead.
    ///
    /// The last one that fits holds: a target folder may lie within the checkout.
    pub(crate) fn paths(&self) -> Result<[(PathBuf, &'static str); 3]> {
        let cargo_home = match std::env::var_os("CARGO_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => {
                PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo")
            }
        };
        Ok([
            (cargo_home, "/cargo"),
            (self.root.clone(), "/debucket"),
            (self.target.clone(), "/target"),
        ])
    }
}

/// `SOURCE_DATE_EPOCH`, or the time of the last commit.
fn epoch(root: &Path) -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let log = process::run(
                Command::new("git")
                    .current_dir(root)
                    .args(["log", "-1", "--format=%ct"]),
            )?
            .success()
            .context("set SOURCE_DATE_EPOCH, or build in a checkout of git: the time of its last commit goes into the packages")?;
            log.stdout.trim().to_owned()
        }
    };
    let epoch = text
        .parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is no number of seconds: `{text}`"))?;
    ensure!(epoch > 0, "SOURCE_DATE_EPOCH must be above 0");
    Ok(epoch)
}
