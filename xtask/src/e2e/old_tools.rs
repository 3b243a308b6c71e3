//! Other programs that make repositories: aptly and reprepro themselves, and deb-s3 by its layout.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use deb_index::digest::{Algorithm, Digests};

use super::world::{SUITE, World};
use crate::{
    apt_root::{self, native_architecture},
    deb,
    process::{self, Outcome},
};

/// Publishes some packages, beside those that were published before. The suite is signed by the scenario's key.
pub(crate) trait OldTool {
    fn publish(&mut self, files: &[PathBuf]) -> Result<()>;
}

/// GnuPG with the signing key. Its agent ends with this.
pub(crate) struct Gnupg {
    home: PathBuf,
}

impl Gnupg {
    pub(crate) fn new(world: &World<'_>, secret: &Path) -> Result<Self> {
        let home = world.folder.join("gnupg");
        fs::create_dir(&home)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&home, private)?;
        let gnupg = Self { home };
        let mut import = gnupg.command("gpg");
        process::run(import.args(["--batch", "--import"]).arg(secret))?.success()?;
        Ok(gnupg)
    }

    /// Lets a command use the key.
    pub(crate) fn reach(&self, command: &mut Command) {
        command.env("GNUPGHOME", &self.home);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        apt_root::isolate(&mut command);
        self.reach(&mut command);
        command
    }

    fn sign(&self, how: &str, file: &Path, out: &Path) -> Result<Outcome> {
        let mut sign = self.command("gpg");
        sign.args(["--batch", "--yes", "--armor", how, "--output"]);
        process::run(sign.arg(out).arg(file))?.success()
    }

    /// The fingerprint of its only key.
    fn key(&self) -> Result<String> {
        let mut list = self.command("gpg");
        let listed = process::run(list.args(["--batch", "--with-colons", "--list-secret-keys"]))?;
        let listed = listed.success()?.stdout;
        let line = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        let fingerprint = line.and_then(|line| line.trim_matches(':').split(':').next_back());
        Ok(fingerprint.context("gpg has no key")?.to_owned())
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        // It would end by itself when its folder is gone.
        let _ = process::run(self.command("gpgconf").args(["--kill", "gpg-agent"]));
    }
}

/// Puts all files below a folder into the bucket, as `aws s3 sync` does.
fn sync(world: &World<'_>, root: &Path) -> Result<()> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let key = path.strip_prefix(root)?.to_string_lossy().into_owned();
            world.bucket.put(&key, &fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// Writes `Release` as deb-s3 does, and signs it.
fn write_release(gnupg: &Gnupg, suite: &Path, architectures: &str, files: &[String]) -> Result<()> {
    let mut sums = ["MD5Sum", "SHA1", "SHA256"].map(|name| (name, String::new()));
    for path in files {
        let bytes = fs::read(suite.join(path))?;
        let digests = Digests::of(&[Algorithm::Md5, Algorithm::Sha1], &bytes);
        let digests = [
            digests.md5(),
            digests.sha1(),
            Some(digests.sha256().to_string()),
        ];
        for ((_, text), digest) in sums.iter_mut().zip(digests) {
            let digest = digest.unwrap_or_default();
            text.push_str(&format!(" {digest} {:>16} {path}\n", bytes.len()));
        }
    }
    let mut date = Command::new("date");
    let date = process::run(date.env("LC_ALL", "C").args(["-u", "+%a, %d %b %Y %T UTC"]))?;
    let mut text = format!(
        "Codename: {SUITE}\nDate: {}Architectures: {architectures}\nComponents: main\n",
        date.success()?.stdout,
    );
    for (name, lines) in sums {
        text.push_str(&format!("{name}:\n{lines}"));
    }
    let release = suite.join("Release");
    fs::write(&release, text)?;
    gnupg.sign("--clearsign", &release, &suite.join("InRelease"))?;
    gnupg.sign("--detach-sign", &release, &suite.join("Release.gpg"))?;
    Ok(())
}

/// reprepro, whose folder is synchronised.
pub(crate) struct Reprepro<'a> {
    world: &'a World<'a>,
    gnupg: Gnupg,
    base: PathBuf,
    component: &'a str,
}

impl<'a> Reprepro<'a> {
    pub(crate) fn new(world: &'a World<'a>, component: &'a str) -> Result<Self> {
        let gnupg = Gnupg::new(world, &world.keys.secret)?;
        let base = world.folder.join("reprepro");
        let distributions = format!(
            "Origin: Acme\nLabel: Acme robots\nSuite: {SUITE}\nCodename: trixie\nVersion: 13\nComponents: {component}\n\
             Architectures: {} arm64 source\nUDebComponents: {component}\nDescription: Robots of Acme\nNotAutomatic: no\n\
             Contents: .gz\nSignWith: {}\n",
            native_architecture()?,
            gnupg.key()?
        );
        deb::write(
            &base.join("conf/distributions"),
            distributions.as_bytes(),
            0o644,
        )?;
        Ok(Self {
            world,
            gnupg,
            base,
            component,
        })
    }
}

impl OldTool for Reprepro<'_> {
    fn publish(&mut self, files: &[PathBuf]) -> Result<()> {
        for file in files {
            let mut include = self.gnupg.command("reprepro");
            include.arg("--basedir").arg(&self.base).args([
                "--component",
                self.component,
                "includedeb",
                "trixie",
            ]);
            process::run(include.arg(file))?.success()?;
        }
        // The codename is its folder; the suite is a link to it, which a synchronisation follows.
        let public = self.world.folder.join("public");
        for (from, to) in [("pool", "pool"), ("dists/trixie", "dists/stable")] {
            let to = public.join(to);
            fs::create_dir_all(&to)?;
            let mut copy = Command::new("cp");
            copy.arg("-rT").arg(self.base.join(from)).arg(&to);
            process::run(&mut copy)?.success()?;
        }
        sync(self.world, &public)
    }
}

/// aptly, which publishes into the bucket itself.
pub(crate) struct Aptly<'a> {
    world: &'a World<'a>,
    gnupg: Gnupg,
    config: PathBuf,
    is_published: bool,
}

impl<'a> Aptly<'a> {
    pub(crate) fn new(world: &'a World<'a>) -> Result<Self> {
        let keys = &world.store.keys;
        let config = serde_json::json!({
            "rootDir": world.folder.join("aptly"),
            "architectures": [native_architecture()?, "arm64"],
            "gpgProvider": "gpg",
            "S3PublishEndpoints": {"bucket": {
                "region": world.store.region,
                "bucket": world.bucket.name,
                "endpoint": world.store.endpoint,
                "awsAccessKeyID": keys.id,
                "awsSecretAccessKey": keys.secret,
                "acl": "none",
            }},
        });
        let path = world.folder.join("aptly.conf");
        fs::write(&path, config.to_string())?;
        let aptly = Self {
            world,
            gnupg: Gnupg::new(world, &world.keys.secret)?,
            config: path,
            is_published: false,
        };
        aptly.run(&["repo", "create", "-component=main", "robots"], &[])?;
        Ok(aptly)
    }

    fn run(&self, arguments: &[&str], files: &[PathBuf]) -> Result<Outcome> {
        let mut command = self.gnupg.command("aptly");
        command.arg(format!("-config={}", self.config.display()));
        command
            .args(arguments)
            .args(files)
            .current_dir(&self.world.folder);
        process::run(&mut command)?.success()
    }
}

impl OldTool for Aptly<'_> {
    fn publish(&mut self, files: &[PathBuf]) -> Result<()> {
        self.run(&["repo", "add", "robots"], files)?;
        let key = format!("-gpg-key={}", self.gnupg.key()?);
        let distribution = format!("-distribution={SUITE}");
        let command: &[&str] = if self.is_published {
            &["publish", "update", "-batch", &key, SUITE, "s3:bucket:"]
        } else {
            &[
                "publish",
                "repo",
                "-batch",
                &key,
                &distribution,
                "robots",
                "s3:bucket:",
            ]
        };
        self.run(command, &[])?;
        self.is_published = true;
        Ok(())
    }
}

/// The layout of deb-s3: a pool for each codename, `Packages` and `Packages.gz`, and packages for all architectures in an index of
/// their own and in every other.
pub(crate) struct DebS3<'a> {
    world: &'a World<'a>,
    gnupg: Gnupg,
    /// By architecture.
    indexes: BTreeMap<String, Vec<String>>,
}

impl<'a> DebS3<'a> {
    pub(crate) fn new(world: &'a World<'a>) -> Result<Self> {
        let indexes = [native_architecture()?, "all".to_owned()];
        Ok(Self {
            world,
            gnupg: Gnupg::new(world, &world.keys.secret)?,
            indexes: indexes.map(|name| (name, Vec::new())).into(),
        })
    }

    pub(crate) fn gnupg(&self) -> &Gnupg {
        &self.gnupg
    }

    /// A stanza as it renders one, with the fields that it invents.
    fn stanza(&self, file: &Path) -> Result<(String, String)> {
        let field = |name: &str| -> Result<String> {
            let mut show = Command::new("dpkg-deb");
            let shown = process::run(show.arg("--field").arg(file).arg(name))?.success()?;
            Ok(shown.stdout.trim_end().to_owned())
        };
        let (name, architecture) = (field("Package")?, field("Architecture")?);
        let bytes = fs::read(file)?;
        let digests = Digests::of(
            &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
            &bytes,
        );
        let file_name = file.file_name().unwrap_or_default().to_string_lossy();
        let first = |count| name.chars().take(count).collect::<String>();
        let key = format!("pool/{SUITE}/{}/{}/{file_name}", first(1), first(2));
        self.world.bucket.put(&key, &bytes)?;
        // In URLs, S3 takes a “+” for a space.
        let key = key.replace('+', "%2B");
        let stanza = format!(
            "Package: {name}\nVersion: {}\nLicense: unknown\nVendor: none\nArchitecture: {architecture}\n\
             Maintainer: <test@example.org>\nInstalled-Size: 1\nFilename: {key}\nSize: {}\nSHA1: {}\nSHA256: {}\nMD5sum: {}\n\
             Section: default\nPriority: extra\nHomepage: http://nourlgiven.example.com/\nDescription: package of a test\n",
            field("Version")?,
            bytes.len(),
            digests.sha1().unwrap_or_default(),
            digests.sha256(),
            digests.md5().unwrap_or_default(),
        );
        Ok((stanza, architecture))
    }
}

impl OldTool for DebS3<'_> {
    fn publish(&mut self, files: &[PathBuf]) -> Result<()> {
        for file in files {
            let (stanza, architecture) = self.stanza(file)?;
            for (index, stanzas) in &mut self.indexes {
                if architecture == "all" || architecture == *index {
                    stanzas.push(stanza.clone());
                }
            }
        }
        let root = self.world.folder.join("deb-s3");
        let suite = root.join("dists").join(SUITE);
        let mut files = Vec::new();
        for (architecture, stanzas) in &self.indexes {
            let folder = format!("main/binary-{architecture}");
            let plain = suite.join(&folder).join("Packages");
            deb::write(&plain, stanzas.join("\n").as_bytes(), 0o644)?;
            process::run(Command::new("gzip").args(["-kfn"]).arg(&plain))?.success()?;
            files.extend(["Packages", "Packages.gz"].map(|name| format!("{folder}/{name}")));
        }
        let names: Vec<_> = self.indexes.keys().map(String::as_str).collect();
        write_release(&self.gnupg, &suite, &names.join(" "), &files)?;
        sync(self.world, &root)
    }
}

/// `dpkg-scanpackages .` in a script, with files as `apt-get download` names them.
pub(crate) struct Scanner<'a> {
    world: &'a World<'a>,
    gnupg: Gnupg,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(world: &'a World<'a>) -> Result<Self> {
        let gnupg = Gnupg::new(world, &world.keys.secret)?;
        Ok(Self { world, gnupg })
    }
}

impl OldTool for Scanner<'_> {
    fn publish(&mut self, files: &[PathBuf]) -> Result<()> {
        let root = self.world.folder.join("scanned");
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let name = name.replace(':', "%3a").replace('+', "%2b");
            deb::write(&root.join("pool").join(name), &fs::read(file)?, 0o644)?;
        }
        let architecture = native_architecture()?;
        let index = format!("main/binary-{architecture}/Packages");
        let mut scan = Command::new("dpkg-scanpackages");
        let scan = scan.args(["--multiversion", "."]).current_dir(&root);
        let packages = process::run(scan)?.success()?.stdout;
        let suite = root.join("dists").join(SUITE);
        deb::write(&suite.join(&index), packages.as_bytes(), 0o644)?;
        write_release(&self.gnupg, &suite, &architecture, &[index])?;
        sync(self.world, &root)
    }
}
