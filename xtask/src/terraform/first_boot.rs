//! The first boot of the demo's device: the script that Terraform rendered, run as it is, on a private root.
//!
//! What the machine of the demo has is stood in for: the metadata service by ours, S3 by the embedded server, `/` by a folder.
//! curl, dpkg and apt are the real ones.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::metadata::Metadata;
use crate::{
    apt_root::AptRoot,
    process::{self, Outcome},
};

/// A device with nothing on it yet but what its image brings.
pub(super) struct Device<'a> {
    apt: AptRoot,
    metadata: &'a Metadata,
    ca_bundle: Option<&'a Path>,
    endpoint: &'a str,
}

impl<'a> Device<'a> {
    /// An image whose own mirror cannot be reached, in `folder`.
    pub(super) fn new(
        folder: &Path,
        metadata: &'a Metadata,
        endpoint: &'a str,
        ca_bundle: Option<&'a Path>,
    ) -> Result<Self> {
        // The method is to come from the package alone.
        let apt = AptRoot::bare(folder, "device")?;
        apt.write(
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: http://127.0.0.1:9\nSuites: bookworm\nComponents: main\n",
        )?;
        // The real device finds the store by its name. No keys stand here: those of the role are asked for.
        apt.write("s3auth.conf", format!("Endpoint = '{endpoint}'\n"))?;
        apt.pretend_installed(&["libc6", "ca-certificates"])?;
        // What root on a real machine needs not say: dpkg works in this folder.
        let root = apt.folder().display();
        fs::write(
            apt.path(".dpkg.cfg"),
            format!("root={root}\nlog={root}/var/log/dpkg.log\nforce-not-root\nforce-bad-path\n"),
        )?;
        Ok(Self {
            apt,
            metadata,
            ca_bundle,
            endpoint,
        })
    }

    fn on_device(&self, program: &str) -> Command {
        let mut command = self.apt.command(program);
        command
            .env_remove("AWS_EC2_METADATA_DISABLED")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.metadata.url())
            .env("HOME", self.apt.folder());
        if let Some(bundle) = self.ca_bundle {
            command
                .env("AWS_CA_BUNDLE", bundle)
                .env("CURL_CA_BUNDLE", bundle);
        }
        command
    }

    /// Runs the script as cloud-init does.
    fn run(&self, script: &str, bucket: &str) -> Result<Outcome> {
        let file = self.apt.path("user-data");
        fs::write(&file, script)?;
        let mut command = self.on_device("sh");
        command
            .arg(&file)
            .env("BOOTSTRAP_IMDS", self.metadata.url())
            .env(
                "BOOTSTRAP_BUCKET_URL",
                format!("{}/{bucket}", self.endpoint),
            )
            .env("BOOTSTRAP_ROOT", self.apt.folder());
        process::run(&mut command)
    }

    /// Types commands into a shell, with the folder `programs` before those of the machine.
    pub(super) fn type_in(&self, programs: &Path, commands: &str) -> Result<Outcome> {
        let path = process::path_with(&[programs, &self.apt.path("usr/bin")])?;
        process::run(
            self.on_device("sh")
                .args(["-euc", commands])
                .env("PATH", path),
        )
    }

    /// The method is installed and apt is configured, before anything is published.
    pub(super) fn boot(&self, script: &str, bucket: &str) -> Result<()> {
        let outcome = self
            .run(script, bucket)?
            .success()
            .context("the first boot failed")?;
        for expected in [
            "bootstrap: installing the method",
            "bootstrap: ready; nothing can be read from the repository yet",
        ] {
            outcome.clone().expect_text(expected)?;
        }
        ensure!(
            self.apt.installed("apt-method-s3")?.is_some() && self.apt.method().is_file(),
            "the method is not installed\n{}",
            outcome.report()
        );
        ensure!(
            self.apt
                .path("etc/apt/sources.list.d/debian.sources.disabled")
                .is_file(),
            "the image's own sources are still in use\n{}",
            outcome.report()
        );
        ensure!(
            self.metadata.times_given() > 0,
            "the metadata service was not asked"
        );
        Ok(())
    }

    /// A package in the bucket that is not the one whose digest the script has is not installed.
    pub(super) fn refuses_to_boot(&self, script: &str, bucket: &str) -> Result<()> {
        let outcome = self.run(script, bucket)?.expect_code(1)?;
        outcome.expect_no_text("installing the method")?;
        ensure!(!self.apt.method().exists(), "a forged method was installed");
        Ok(())
    }

    /// `apt-get` with these arguments, and no complaint about what it fetched.
    pub(super) fn apt_get(&self, arguments: &[&str]) -> Result<()> {
        let outcome = process::run(self.on_device("apt-get").args(arguments))?.success()?;
        outcome.expect_no_text("\nW: ").map(drop)
    }

    pub(super) fn root(&self) -> &AptRoot {
        &self.apt
    }
}
