//! What all uses of a stack share: the packages, the key, and what a publisher does with them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    apt_root,
    binaries::Binaries,
    deb::Package,
    demo_deb,
    process::{self, Outcome},
    store::{Keys, REGION},
};

/// The head of the suite.
pub(super) const HEAD: &str = "dists/stable/InRelease";
/// One of its packages.
pub(super) const PACKAGE: &str = "pool/main/h/helloworld/helloworld_0.1_all.deb";
/// Above what debucket sends in one request, so that parts are seen, too; in bytes.
const LARGE: usize = 17 << 20;

/// Makes the key pair that signs; returns where the public half is, for the demo's device.
pub(super) fn make_key(debucket: &Path, folder: &Path) -> Result<PathBuf> {
    let public = folder.join("acme.asc");
    let mut command = Command::new(debucket);
    apt_root::isolate(&mut command);
    command
        .args(["key", "generate", "--user-id", "Acme <apt@acme.example>"])
        .arg("--out")
        .arg(folder.join("signing-key.asc"))
        .arg("--public-out")
        .arg(&public);
    process::run(&mut command)?
        .success()
        .context("no key could be made")?;
    Ok(public)
}

/// What all uses need.
pub(super) struct Stage<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) folder: &'a Path,
    packages: [PathBuf; 3],
}

impl<'a> Stage<'a> {
    pub(super) fn prepare(binaries: &'a Binaries, folder: &'a Path) -> Result<Self> {
        let packages = [
            demo_deb::build("0.1", folder)?,
            demo_deb::build("0.2", folder)?,
            Package::new("firmware", "1.0")
                .payload_of(LARGE)
                .build(folder)?,
        ];
        Ok(Self {
            binaries,
            folder,
            packages,
        })
    }

    /// `debucket COMMAND …` at a store, as who has these keys.
    pub(super) fn debucket(
        &self,
        endpoint: &str,
        keys: &Keys,
        ca_bundle: Option<&Path>,
        arguments: &[&str],
    ) -> Result<Outcome> {
        let mut command = Command::new(&self.binaries.debucket);
        apt_root::isolate(&mut command);
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .env("DEBUCKET_SIGN_KEY", self.folder.join("signing-key.asc"))
            .env("DEBUCKET_AUTHOR", "xtask");
        if let Some(bundle) = ca_bundle {
            command.env("AWS_CA_BUNDLE", bundle);
        }
        process::run(&mut command)?.success()
    }

    /// All that a publisher does: the first commit of a suite, the same again, the next version with a package that goes in
    /// parts (unless the store cannot do that), and looking.
    pub(super) fn publish(
        &self,
        in_parts: bool,
        run: impl Fn(&[&str]) -> Result<Outcome>,
    ) -> Result<()> {
        let [first, second, large] = self.packages.each_ref().map(|path| path.to_string_lossy());
        run(&["publish", &first])?.expect_text("created suite stable")?;
        run(&["publish", &first])?.expect_text("nothing to do")?;
        if in_parts {
            run(&["publish", &large])?;
        }
        run(&["publish", &second])?;
        run(&["list", "--long"])?.expect_text("0.2")?;
        run(&["show", "helloworld"])?;
        run(&["log"])?;
        run(&["list", "--suites"])?.expect_text("stable")?;
        Ok(())
    }
}
