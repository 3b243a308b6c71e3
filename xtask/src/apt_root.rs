//! A private root for the real apt: its own sources, lists, cache, dpkg database and methods, in one folder.
//!
//! `APT_CONFIG` names a file that moves apt's `Dir` (apt.conf(5)) into the folder, and apt then finds everything below
//! it; nothing of the host's apt is read or changed, not even its configuration snippets. dpkg gets the same folder as
//! its `--root`. It works with and without root. As root, apt drops to the user `_apt` for downloads as it does on
//! a real machine, so this is exercised too.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Outcome};

/// Where the system keeps apt's methods.
const SYSTEM_METHODS: &str = "/usr/lib/apt/methods";

/// The folder, ready for apt.
#[derive(Debug)]
pub(crate) struct AptRoot {
    folder: PathBuf,
}

/// What an apt run left behind, with the conversation between apt and its methods kept apart.
#[derive(Debug)]
pub(crate) struct AptOutcome {
    /// The run as a user sees it.
    pub(crate) outcome: Outcome,
    /// The messages to and from the methods (`Debug::pkgAcquire::Worker`), decoded.
    pub(crate) transcript: String,
}

impl AptRoot {
    /// Makes the folder `parent/name`, with the system's methods and `method` as `s3`.
    pub(crate) fn create(parent: &Path, name: &str, method: &Path) -> Result<Self> {
        let root = Self::bare(parent, name)?;
        symlink(method, root.method()).context("cannot link the method")?;
        Ok(root)
    }

    /// The same without a method `s3`.
    pub(crate) fn bare(parent: &Path, name: &str) -> Result<Self> {
        let folder = parent.join(name);
        for path in [
            "etc/apt/apt.conf.d",
            "etc/apt/auth.conf.d",
            "etc/apt/keyrings",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "usr/lib/apt/methods",
            "var/cache/apt/archives/partial",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "var/log/apt",
        ] {
            fs::create_dir_all(folder.join(path))?;
        }
        fs::write(folder.join("var/lib/dpkg/status"), "")?;
        let root = Self { folder };
        root.link_methods()?;
        fs::write(root.config(), root.settings(&native_architecture()?))?;
        Ok(root)
    }

    fn link_methods(&self) -> Result<()> {
        let methods = self.folder.join("usr/lib/apt/methods");
        let system = fs::read_dir(SYSTEM_METHODS).with_context(|| {
            format!("apt's methods are not in {SYSTEM_METHODS}: is this Debian or Ubuntu?")
        })?;
        for entry in system {
            let entry = entry?;
            if entry.file_name() != "s3" {
                symlink(entry.path(), methods.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    /// Where the method `s3` is.
    pub(crate) fn method(&self) -> PathBuf {
        self.path("usr/lib/apt/methods/s3")
    }

    fn settings(&self, architecture: &str) -> String {
        let folder = self.folder.display();
        format!(
            "Dir \"{folder}/\";\n\
             Dir::State::status \"{folder}/var/lib/dpkg/status\";\n\
             Dir::Bin::Methods \"{folder}/usr/lib/apt/methods/\";\n\
             DPkg::Options {{ \"--root={folder}\"; \"--force-not-root\"; \"--log={folder}/var/log/dpkg.log\"; }};\n\
             DPkg::Use-Pty \"0\";\n\
             APT::Architecture \"{architecture}\";\n\
             APT::Architectures {{ \"{architecture}\"; }};\n\
             Acquire::s3::AuthConf \"{folder}/etc/apt/s3auth.conf\";\n"
        )
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// The file that `APT_CONFIG` names.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("etc/apt/apt.conf.private")
    }

    /// Adds lines to the configuration.
    pub(crate) fn configure(&self, lines: &str) -> Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.config())?;
        writeln!(file, "{lines}").context("cannot write apt's configuration")
    }

    /// Writes `etc/apt/…` and gives the path of the file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder.join("etc/apt").join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// `program` (apt-get, apt-cache, …) with this root, and with none of the caller's own settings for AWS, proxies or language.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        isolate(&mut command);
        command
            .env("APT_CONFIG", self.config())
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs apt-get with `arguments`, the methods' conversation recorded.
    pub(crate) fn apt_get(&self, arguments: &[&str]) -> Result<AptOutcome> {
        let outcome = process::run(
            self.command("apt-get")
                .args(["-o", "Debug::pkgAcquire::Worker=1"])
                .args(arguments),
        )?;
        Ok(AptOutcome::from(outcome))
    }

    /// `apt-get update`; fails if apt does, or if it only warns: a warning is how apt shows that an index could not be had.
    pub(crate) fn update(&self) -> Result<AptOutcome> {
        let run = self.apt_get(&["update"])?.success()?;
        if run.has_complaint() {
            bail!("apt complains\n{}", run.report());
        }
        Ok(run)
    }

    pub(crate) fn install(&self, packages: &[&str]) -> Result<AptOutcome> {
        let mut arguments = vec!["install", "--yes", "--allow-downgrades"];
        arguments.extend(packages);
        self.apt_get(&arguments)?.success()
    }

    /// Lets dpkg believe that these are installed, in a version that suffices for everybody: what an image brings.
    pub(crate) fn pretend_installed(&self, packages: &[&str]) -> Result<()> {
        let architecture = native_architecture()?;
        let mut status = String::new();
        for package in packages {
            status.push_str(&format!(
                "Package: {package}\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: 999\n\
                 Maintainer: Test <test@example.org>\nDescription: pretended\n\n"
            ));
            fs::write(
                self.path(&format!("var/lib/dpkg/info/{package}.list")),
                "/.\n",
            )?;
        }
        fs::write(self.path("var/lib/dpkg/status"), status).context("cannot write dpkg's database")
    }

    /// The version of a package that is installed in this root.
    pub(crate) fn installed(&self, package: &str) -> Result<Option<String>> {
        let mut command = Command::new("dpkg-query");
        command
            .arg(format!(
                "--admindir={}",
                self.path("var/lib/dpkg").display()
            ))
            .args([
                "--show",
                "--showformat=${db:Status-Status} ${Version}",
                package,
            ]);
        let outcome = process::run(&mut command)?;
        Ok(outcome.stdout.strip_prefix("installed ").map(str::to_owned))
    }

    /// Forgets every list and every downloaded package.
    pub(crate) fn forget(&self) -> Result<()> {
        for folder in ["var/lib/apt/lists", "var/cache/apt"] {
            fs::remove_dir_all(self.path(folder))?;
        }
        for folder in [
            "var/cache/apt/archives/partial",
            "var/lib/apt/lists/partial",
        ] {
            fs::create_dir_all(self.path(folder))?;
        }
        Ok(())
    }
}

impl AptOutcome {
    /// Fails unless apt ended with 0.
    pub(crate) fn success(self) -> Result<Self> {
        if self.outcome.code() != 0 {
            bail!("apt failed\n{}", self.report());
        }
        Ok(self)
    }

    /// Fails unless apt ended with an error.
    pub(crate) fn failure(self) -> Result<Self> {
        if self.outcome.code() == 0 {
            bail!("apt succeeded\n{}", self.report());
        }
        Ok(self)
    }

    /// Fails unless what apt said holds `needle`.
    pub(crate) fn expect_text(self, needle: &str) -> Result<Self> {
        if !self.outcome.text().contains(needle) {
            bail!("apt did not say `{needle}`\n{}", self.report());
        }
        Ok(self)
    }

    /// Whether apt gave a warning or an error about what it fetched.
    ///
    /// The note that a download was not sandboxed is no complaint: it tells of the folder, not of the repository.
    pub(crate) fn has_complaint(&self) -> bool {
        let text = self.outcome.text();
        text.lines().any(|line| {
            (line.starts_with("W: ") || line.starts_with("E: ")) && !line.contains("unsandboxed")
        })
    }

    /// Everything, for a person who looks for the cause.
    pub(crate) fn report(&self) -> String {
        let mut report = self.outcome.report();
        for line in self.transcript.lines() {
            report.push_str(&format!("  method| {line}\n"));
        }
        report
    }
}

impl From<Outcome> for AptOutcome {
    /// Sorts the worker's debug lines out of standard error.
    fn from(mut outcome: Outcome) -> Self {
        let mut transcript = String::new();
        let mut rest = String::new();
        for line in outcome.stderr.lines() {
            if let Some(message) = line
                .strip_prefix(" -> ")
                .or_else(|| line.strip_prefix(" <- "))
            {
                // The configuration is the whole of apt.conf, on one line.
                if !message.contains(":601%20") {
                    let (arrow, _) = line.split_at(4);
                    transcript.push_str(&format!(
                        "{arrow}{}\n",
                        decode(message).trim_end().replace('\n', "\n      ")
                    ));
                }
            } else if !is_worker_note(line) {
                rest.push_str(line);
                rest.push('\n');
            }
        }
        outcome.stderr = rest;
        Self {
            outcome,
            transcript,
        }
    }
}

/// Lines of `Debug::pkgAcquire::Worker` that are no messages.
fn is_worker_note(line: &str) -> bool {
    [
        "Starting method ",
        "Configured access method ",
        "Version:",
        "Method ",
        "SingleInstance:",
        "Pipeline:",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

/// Undoes apt's quoting of a message in its debug log (`%0a`, `%20`).
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let quoted = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match quoted {
            Some(value) if byte == b'%' => {
                bytes.push(value);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes out of `command`'s environment what belongs to the person who runs xtask: credentials, profiles, proxies, defaults.
pub(crate) fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if upper.starts_with("AWS_")
            || upper.starts_with("DEBUCKET_")
            || upper.ends_with("_PROXY")
            || upper == "APT_CONFIG"
        {
            command.env_remove(&name);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
}

/// The architecture of this machine, in Debian's words.
pub(crate) fn native_architecture() -> Result<String> {
    let outcome = process::run(Command::new("dpkg").arg("--print-architecture"))?.success()?;
    Ok(outcome.stdout.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversation_is_kept_apart() {
        let outcome = Outcome {
            command: "apt-get update".into(),
            status: std::process::ExitStatus::default(),
            stdout: "Hit:1 s3://bucket stable InRelease\n".into(),
            stderr: " <- s3:100%20Capabilities%0aVersion:%201.2%0a%0a\nConfigured access method s3\n -> s3:601%20Configuration%0aConfig-Item:%20x=y%0a%0a\nW: careful\n".into(),
            elapsed: std::time::Duration::ZERO,
        };
        let apt = AptOutcome::from(outcome);
        assert_eq!(apt.outcome.stderr, "W: careful\n");
        assert_eq!(
            apt.transcript,
            " <- s3:100 Capabilities\n      Version: 1.2\n"
        );
        assert!(apt.has_complaint());
    }

    #[test]
    fn quoting_is_undone() {
        assert_eq!(decode("a%20b%0ac%"), "a b\nc%");
        assert_eq!(decode("%é"), "%é");
    }
}
