//! The packages in use: installed by the real apt of each release, then one publishes a package, and the other fetches it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{product::Product, release::Release, rotation, source::Source};
use crate::{
    deb, demo_deb,
    interrupt::TempFolder,
    process::{self, Outcome},
    root_fs::RootFs,
    store::{Choice, Store},
};

/// Installs `packages` (debucket, then the method) on `release` and uses them.
pub(crate) fn try_on(
    release: Release,
    source: &Source,
    packages: &[PathBuf],
    cache: &Path,
) -> Result<()> {
    let folder = TempFolder::new(release.codename)?;
    let system = release.unpack(cache, folder.path().join("root"))?;
    System { system, source }
        .try_all(packages)
        .with_context(|| format!("on {}", release.title))
}

struct System<'a> {
    system: RootFs,
    source: &'a Source,
}

impl System<'_> {
    fn try_all(&self, packages: &[PathBuf]) -> Result<()> {
        self.install_predecessor()?;
        self.install(packages)?;
        self.publish_and_fetch()?;
        self.purge()?;
        Ok(())
    }

    /// The package that many have now, whose place ours takes.
    fn install_predecessor(&self) -> Result<()> {
        let tree = self.system.path("tmp/predecessor");
        let control = "Package: apt-transport-s3\nVersion: 2.0\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: stand-in\n";
        deb::write(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
        deb::write(
            &tree.join("usr/lib/apt/methods/s3"),
            b"#!/bin/sh\nexit 1\n",
            0o755,
        )?;
        let file = self.system.path("tmp/predecessor.deb");
        deb::build_tree(&tree, &file, "gzip")?;
        self.system
            .run("dpkg", &["--install", "/tmp/predecessor.deb"])?;
        Ok(())
    }

    fn install(&self, packages: &[PathBuf]) -> Result<()> {
        let mut arguments = vec!["install".to_owned(), "--yes".to_owned()];
        for package in packages {
            let name = package.file_name().unwrap_or_default().to_string_lossy();
            fs::copy(package, self.system.path(&format!("tmp/{name}")))?;
            arguments.push(format!("/tmp/{name}"));
        }
        process::run(self.system.command("apt-get").args(&arguments))?.success()?;
        for product in Product::ALL {
            let installed = self.system.installed(product.name())?;
            ensure!(
                installed.as_deref() == Some(self.source.version.as_str()),
                "{} is installed as {installed:?}",
                product.name()
            );
        }
        ensure!(
            self.system.installed("apt-transport-s3")?.is_none(),
            "apt-transport-s3 is still installed beside the package that replaces it"
        );
        for check in [&["--audit"][..], &["--verify", "debucket", "apt-method-s3"]] {
            let said = self.system.run("dpkg", check)?;
            ensure!(said.text().is_empty(), "dpkg complains\n{}", said.report());
        }
        self.system
            .run("debucket", &["--version"])?
            .expect_text(&format!("debucket {}", self.source.version))?;
        Ok(())
    }

    /// All within the system; only the store is outside.
    fn publish_and_fetch(&self) -> Result<()> {
        let store = Store::start(&Choice::Embedded)?;
        store.create_bucket("acme-apt")?;
        let package = demo_deb::build("0.1", &self.system.path("tmp"))?;
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let debucket = |arguments: &[&str]| -> Result<Outcome> {
            let access = [
                ("AWS_ENDPOINT_URL", &store.endpoint),
                ("AWS_REGION", &store.region),
                ("AWS_ACCESS_KEY_ID", &store.keys.id),
                ("AWS_SECRET_ACCESS_KEY", &store.keys.secret),
            ];
            let access = access.map(|(name, value)| (name.to_owned(), value.clone()));
            let mut command = self.system.command_with(&[], &access, "debucket");
            process::run(command.args(arguments))?.success()
        };
        debucket(&[
            "key",
            "generate",
            "--user-id",
            "Test <test@example.org>",
            "--out",
            "/root/key.asc",
            "--public-out",
            "/etc/apt/acme.asc",
        ])?;
        debucket(&[
            "publish",
            &format!("/tmp/{name}"),
            "--repo",
            "s3://acme-apt",
            "--sign-key",
            "/root/key.asc",
        ])?;
        fs::write(
            self.system.path("etc/apt/sources.list.d/acme.sources"),
            "Types: deb\nURIs: s3://acme-apt\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/acme.asc\n",
        )?;
        let auth = store.s3auth(&store.endpoint, Some(&store.keys));
        deb::write(
            &self.system.path("etc/apt/s3auth.conf"),
            auth.as_bytes(),
            0o600,
        )?;
        // The archive of the distribution is not asked: what is tested here lies in the bucket.
        let only_ours = ["-o", "Dir::Etc::sourcelist=/dev/null"];
        let apt = |arguments: &[&str]| -> Result<Outcome> {
            let mut command = self.system.command("apt-get");
            process::run(command.args(only_ours).args(arguments))?.success()
        };
        let update = apt(&["update"])?;
        ensure!(
            !update
                .text()
                .lines()
                .any(|line| line.starts_with("W:") || line.starts_with("E:")),
            "apt complains\n{}",
            update.report()
        );
        apt(&["install", "--yes", "helloworld"])?;
        self.system
            .run("helloworld", &[])?
            .expect_text("helloworld 0.1")?;
        rotation::rotate(&self.system, &debucket, &format!("/tmp/{name}"))
    }

    fn purge(&self) -> Result<()> {
        self.system
            .run("apt-get", &["purge", "--yes", "debucket", "apt-method-s3"])?;
        for path in ["usr/lib/apt/methods/s3", "usr/bin/debucket"] {
            ensure!(
                !self.system.path(path).exists(),
                "/{path} is left behind by a purge"
            );
        }
        Ok(())
    }
}
