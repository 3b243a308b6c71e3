//! What a scenario has to work with: a bucket, the publisher, signing keys, packages, and devices with a private apt.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use dev_s3::FaultProxy;
use serde_json::Value;

use crate::{
    apt_root::{self, AptRoot},
    binaries::Binaries,
    deb::Package,
    process::{self, Outcome},
    store::{Bucket, Keys, Store},
};

/// The suite that scenarios publish into unless they say otherwise.
pub(crate) const SUITE: &str = "stable";
/// The head of that suite, signed.
pub(crate) const HEAD: &str = "dists/stable/InRelease";

/// Two key pairs: the one that signs, and one that nobody trusts.
pub(crate) struct SigningKeys {
    pub(crate) secret: PathBuf,
    pub(crate) public: PathBuf,
    pub(crate) stranger: PathBuf,
}

impl SigningKeys {
    /// Makes them with the publisher itself.
    pub(crate) fn make(binaries: &Binaries, folder: &Path) -> Result<Self> {
        let keys = Self {
            secret: folder.join("key.asc"),
            public: folder.join("key.pub.asc"),
            stranger: folder.join("stranger.asc"),
        };
        for (secret, public) in [
            (&keys.secret, &keys.public),
            (&keys.stranger, &folder.join("stranger.pub.asc")),
        ] {
            let mut command = Command::new(&binaries.debucket);
            apt_root::isolate(&mut command);
            command
                .args([
                    "key",
                    "generate",
                    "--user-id",
                    "E2E <e2e@example.org>",
                    "--out",
                ])
                .arg(secret)
                .arg("--public-out")
                .arg(public);
            process::run(&mut command)?
                .success()
                .context("no key could be made")?;
        }
        Ok(keys)
    }
}

/// The surroundings of one scenario.
pub(crate) struct World<'a> {
    pub(crate) store: &'a Store,
    pub(crate) binaries: &'a Binaries,
    pub(crate) keys: &'a SigningKeys,
    pub(crate) folder: PathBuf,
    pub(crate) bucket: Bucket,
}

impl<'a> World<'a> {
    /// Makes the bucket and a folder.
    pub(crate) fn create(
        name: &str,
        number: usize,
        store: &'a Store,
        binaries: &'a Binaries,
        keys: &'a SigningKeys,
        folder: &Path,
    ) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        fs::create_dir(folder.join("packages"))?;
        // Another run may have used the same store.
        let bucket =
            store.create_bucket(&format!("debucket-{name}-{}-{number}", std::process::id()))?;
        Ok(Self {
            store,
            binaries,
            keys,
            folder,
            bucket,
        })
    }

    /// Empties the bucket and removes the folder: the next scenario needs neither.
    pub(crate) fn close(self) -> Result<()> {
        self.bucket.clear()?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    /// `s3://…` of the bucket.
    pub(crate) fn repo(&self) -> String {
        format!("s3://{}", self.bucket.name)
    }

    pub(crate) fn package(&self, package: &Package) -> Result<PathBuf> {
        package.build(&self.folder.join("packages"))
    }

    /// Builds a package of a few bytes.
    pub(crate) fn small(&self, name: &str, version: &str) -> Result<PathBuf> {
        self.package(&Package::new(name, version))
    }

    /// `debucket` with access to the store.
    pub(crate) fn debucket(&self) -> Command {
        let mut command = Command::new(&self.binaries.debucket);
        self.store
            .reach(&mut command)
            .current_dir(&self.folder)
            .env("DEBUCKET_AUTHOR", "e2e");
        command
    }

    /// A shell that runs these commands, with `debucket` among its programs.
    pub(crate) fn debucket_in_shell(&self, commands: &str) -> Result<Command> {
        let mut command = Command::new("sh");
        self.store.reach(&mut command).current_dir(&self.folder);
        let programs = self.binaries.debucket.parent();
        command
            .args(["-c", commands])
            .env("PATH", process::path_with(programs.as_slice())?);
        Ok(command)
    }

    /// `debucket publish FILES` into this bucket; how it is signed is up to `extra`.
    pub(crate) fn publish(&self, files: &[&Path], extra: &[&str]) -> Command {
        let mut command = self.debucket();
        command
            .arg("publish")
            .args(files)
            .args(["--repo", &self.repo()])
            .args(extra);
        command
    }

    /// The same with the signing key.
    pub(crate) fn publish_signed(&self, files: &[&Path], extra: &[&str]) -> Command {
        let mut command = self.publish(files, extra);
        command.arg("--sign-key").arg(&self.keys.secret);
        command
    }

    /// Publishes signed, and fails unless that succeeds.
    pub(crate) fn signed(&self, files: &[&Path]) -> Result<Outcome> {
        process::run(&mut self.publish_signed(files, &[]))?.success()
    }

    /// Publishes unsigned, and fails unless that succeeds.
    pub(crate) fn unsigned(&self, files: &[&Path]) -> Result<Outcome> {
        process::run(&mut self.publish(files, &["--unsigned"]))?.success()
    }

    /// `debucket COMMAND … --output json`, read.
    pub(crate) fn json(&self, command: &[&str]) -> Result<Value> {
        let mut run = self.debucket();
        run.args(command)
            .args([
                "--repo",
                &self.repo(),
                "--output",
                "json",
                "--quiet",
                "--keyring",
            ])
            .arg(&self.keys.public);
        let outcome = process::run(&mut run)?.success()?;
        serde_json::from_str(&outcome.stdout)
            .with_context(|| format!("this is no JSON\n{}", outcome.report()))
    }

    /// `NAME VERSION ARCHITECTURE` of every package of the suite, as `debucket list` has them.
    pub(crate) fn listed(&self) -> Result<Vec<String>> {
        let document = self.json(&["list"])?;
        let packages = document["packages"]
            .as_array()
            .context("`packages` is no list")?;
        let word = |package: &Value, field: &str| package[field].as_str().unwrap_or("?").to_owned();
        Ok(packages
            .iter()
            .map(|package| {
                format!(
                    "{} {} {}",
                    word(package, "package"),
                    word(package, "version"),
                    word(package, "architecture")
                )
            })
            .collect())
    }

    /// A device that trusts the signing key and reaches the store with all rights.
    pub(crate) fn device(&self, name: &str) -> Result<AptRoot> {
        self.device_at(name, &self.store.endpoint, Some(&self.store.keys))
    }

    /// The same by way of `endpoint`, with these keys or none.
    pub(crate) fn device_at(
        &self,
        name: &str,
        endpoint: &str,
        keys: Option<&Keys>,
    ) -> Result<AptRoot> {
        let apt = AptRoot::create(&self.folder, name, &self.binaries.method)?;
        let keyring = apt.path("etc/apt/keyrings/e2e.asc");
        fs::copy(&self.keys.public, &keyring)?;
        let sources = format!(
            "Types: deb\nURIs: {}\nSuites: {SUITE}\nComponents: main\nSigned-By: {}\n",
            self.repo(),
            keyring.display()
        );
        apt.write("sources.list.d/e2e.sources", sources)?;
        apt.write("s3auth.conf", self.store.s3auth(endpoint, keys))?;
        Ok(apt)
    }

    /// A device with the one-line form of sources, as `deb [trusted=yes] s3://BUCKET/ stable main`.
    pub(crate) fn trusting_device(&self, name: &str, keys: Option<&Keys>) -> Result<AptRoot> {
        let apt = AptRoot::create(&self.folder, name, &self.binaries.method)?;
        apt.write(
            "sources.list",
            format!("deb [trusted=yes] {}/ {SUITE} main\n", self.repo()),
        )?;
        apt.write("s3auth.conf", self.store.s3auth(&self.store.endpoint, keys))?;
        Ok(apt)
    }

    /// A proxy in front of the store.
    pub(crate) fn proxy(&self) -> Result<FaultProxy> {
        Ok(self
            .store
            .runtime
            .block_on(FaultProxy::start(&self.store.endpoint))?)
    }
}

/// Runs a command that changes a suite, signed.
pub(crate) fn change(world: &World<'_>, arguments: &[&str]) -> Result<Outcome> {
    let mut command = world.debucket();
    command.args(arguments).args(["--repo", &world.repo()]);
    command.arg("--sign-key").arg(&world.keys.secret);
    process::run(&mut command)?.success()
}

/// Fails unless `package` is installed in `version`, as dpkg sees it.
pub(crate) fn expect_installed(apt: &AptRoot, package: &str, version: &str) -> Result<()> {
    let installed = apt.installed(package)?;
    ensure!(
        installed.as_deref() == Some(version),
        "{package} is installed as {installed:?}, not as {version}"
    );
    Ok(())
}

/// Fails unless apt knows exactly these versions of `package`, whatever their order.
pub(crate) fn expect_offered(apt: &AptRoot, package: &str, versions: &[&str]) -> Result<()> {
    let outcome = process::run(apt.command("apt-cache").args(["madison", package]))?.success()?;
    let mut offered: Vec<_> = outcome
        .stdout
        .lines()
        .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
        .collect();
    offered.sort();
    offered.dedup();
    let mut expected: Vec<_> = versions
        .iter()
        .map(|version| (*version).to_owned())
        .collect();
    expected.sort();
    ensure!(
        offered == expected,
        "apt offers {package} in {offered:?}, not in {expected:?}"
    );
    Ok(())
}
