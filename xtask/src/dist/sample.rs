//! The project's own packages for the demo and the examples: from the same manifests as those that are shipped, but of any build,
//! and packed by `dpkg-deb`, so that neither cargo-deb nor zig is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{product::Product, share, source::Source};
use crate::{
    apt_root::native_architecture,
    binaries::Binaries,
    deb::{self, SOURCE_DATE_EPOCH},
    process,
};

/// The programs and what is generated beside them, ready to be packed in any version.
pub(crate) struct Samples {
    source: Source,
    architecture: String,
    /// Laid out as `target/release` is for cargo-deb.
    built: PathBuf,
    work: PathBuf,
}

impl Samples {
    /// Takes `binaries`, without their debugging information; `work` is a folder for what lies in between.
    pub(crate) fn prepare(binaries: &Binaries, work: &Path) -> Result<Self> {
        let source = Source::at(SOURCE_DATE_EPOCH.parse()?)?;
        let built = work.join("built");
        fs::create_dir_all(&built)?;
        for (product, program) in [
            (Product::Debucket, &binaries.debucket),
            (Product::AptMethodS3, &binaries.method),
        ] {
            process::run(
                Command::new("strip")
                    .arg("-o")
                    .arg(built.join(product.name()))
                    .arg(program),
            )?
            .success()?;
        }
        share::write(&source, None, &built.join("share"))?;
        Ok(Self {
            source,
            architecture: native_architecture()?,
            built,
            work: work.to_owned(),
        })
    }

    /// The version of the sources.
    pub(crate) fn version(&self) -> &str {
        &self.source.version
    }

    /// Packs the publisher.
    pub(crate) fn debucket(&self, version: &str, out: &Path) -> Result<PathBuf> {
        self.pack(Product::Debucket, version, out)
    }

    /// Packs the method.
    pub(crate) fn method(&self, version: &str, out: &Path) -> Result<PathBuf> {
        self.pack(Product::AptMethodS3, version, out)
    }

    fn pack(&self, product: Product, version: &str, out: &Path) -> Result<PathBuf> {
        let file_name = format!("{}_{version}_{}.deb", product.name(), self.architecture);
        let tree = self.work.join(&file_name);
        let mut installed_size = 0;
        for asset in self.source.assets(product, &self.built)? {
            let content = fs::read(&asset.source)
                .with_context(|| format!("cannot read {}", asset.source.display()))?;
            installed_size += content.len().div_ceil(1024);
            deb::write(&tree.join(&asset.target), &content, asset.mode)?;
        }
        let manifest = self.source.manifest(product)?;
        let control = manifest.control(product.name(), version, &self.architecture, installed_size);
        deb::write(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
        let file = out.join(file_name);
        // Quick to build counts here, and quick to unpack.
        deb::build_tree(&tree, &file, "none")?;
        Ok(file)
    }
}
