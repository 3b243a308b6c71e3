//! The tarballs: the static programs, laid out as below `/usr`, for a machine that has no packages of ours.

use std::{fs, path::Path, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::{build::Built, platform::Architecture, product::Product, source::Source};
use crate::{deb, interrupt::TempFolder, process};

/// What lies at the top of the sources and goes along.
pub(crate) const DOCUMENTS: [&str; 4] =
    ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The name of a tarball without `.tar.gz`, which is its only folder's as well.
pub(crate) fn name(version: &str, architecture: Architecture) -> String {
    format!("debucket-{version}-{}-linux", architecture.machine())
}

/// Packs both programs with all that their packages have.
pub(crate) fn pack(source: &Source, built: &Built, out: &Path) -> Result<PathBuf> {
    let stage = TempFolder::new("tarball")?;
    let name = name(&source.version, built.platform.architecture);
    let tree = stage.path().join(&name);
    let put = |from: &Path, to: &str, mode: u32| -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        deb::write(&tree.join(to), &content, mode)
    };
    for product in Product::ALL {
        for asset in source.assets(product, &built.folder)? {
            let inside = asset.target.strip_prefix("usr/").unwrap_or(&asset.target);
            put(&asset.source, inside, asset.mode)?;
        }
    }
    for document in DOCUMENTS {
        let target = format!("share/doc/debucket/{document}");
        put(&source.root.join(document), &target, 0o644)?;
    }

    let tar = stage.path().join(format!("{name}.tar"));
    // ustar has no place for times of access or for anything else of this machine.
    process::run(
        Command::new("tar")
            .args(["--create", "--format=ustar", "--sort=name"])
            .args(["--owner=root:0", "--group=root:0"])
            .arg(format!("--mtime=@{}", source.epoch))
            .arg("--file")
            .arg(&tar)
            .arg("--directory")
            .arg(stage.path())
            .arg(&name),
    )?
    .success()?;
    process::run(Command::new("gzip").arg("-9n").arg(&tar))?.success()?;
    let file = out.join(format!("{name}.tar.gz"));
    fs::copy(stage.path().join(format!("{name}.tar.gz")), &file)?;
    Ok(file)
}
