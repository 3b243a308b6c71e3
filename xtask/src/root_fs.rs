//! Root file systems, for what installs packages and writes to `/etc`: a device, a container, a machine of another release.
//!
//! Each is a copy of an image. A program enters it with namespaces of its own for mounts, processes and the host name
//! (unshare(1)), so that nothing needs to be unmounted afterwards, whatever the end was. The network is this machine's, so
//! the store is reached on the loopback.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    deb,
    process::{self, Outcome},
};

/// Enters the root `$0`; the mounts stand before `--`, each as its source and its target.
const ENTER: &str = r#"
root=$0
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
	mount --bind "$1" "$root$2"
	shift 2
done
shift
exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
"#;

/// A folder that can be entered.
pub(crate) struct RootFs {
    folder: PathBuf,
}

impl RootFs {
    /// What lies in `tarball`, as the folder `folder`, which is made.
    pub(crate) fn unpack(tarball: &Path, folder: PathBuf) -> Result<Self> {
        fs::create_dir(&folder)?;
        let root = Self { folder };
        extract(tarball, &root.folder)?;
        for file in ["etc/resolv.conf", "etc/hosts"] {
            let _ = fs::remove_file(root.path(file));
            fs::copy(Path::new("/").join(file), root.path(file))
                .with_context(|| format!("cannot copy /{file}"))?;
        }
        root.write("etc/apt/apt.conf.d/00this-machine", &apt_conf()?)?;
        root.write("etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n")?;
        Ok(root)
    }

    /// A path inside, as it is seen from outside.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Writes a file that everyone may read.
    pub(crate) fn write(&self, relative: &str, content: &str) -> Result<()> {
        deb::write(&self.path(relative), content.as_bytes(), 0o644)
    }

    /// `program` in here, as root, with nothing of the caller's environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.command_with(&[], &[], program)
    }

    /// The same with files or folders from outside mounted onto ones that are there, and with variables.
    pub(crate) fn command_with(
        &self,
        mounts: &[(&Path, &str)],
        variables: &[(String, String)],
        program: &str,
    ) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--uts", "--pid", "--fork", "--kill-child"])
            .args(["sh", "-euc", ENTER])
            .arg(&self.folder);
        for (source, target) in mounts {
            command.arg(source).arg(target);
        }
        command.arg("--");
        for (name, value) in variables {
            command.arg(format!("{name}={value}"));
        }
        command.arg(program);
        command
    }

    /// Runs `program` in here, and fails unless it succeeds.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<Outcome> {
        process::run(self.command(program).args(arguments))?.success()
    }

    /// The version of a package that is installed in here.
    pub(crate) fn installed(&self, package: &str) -> Result<Option<String>> {
        let outcome = process::run(self.command("dpkg-query").args([
            "--show",
            "--showformat=${db:Status-Status} ${Version}",
            package,
        ]))?;
        Ok(outcome.stdout.strip_prefix("installed ").map(str::to_owned))
    }

    /// Fails unless helloworld greets in here as this version.
    pub(crate) fn expect_greeting(&self, version: &str) -> Result<()> {
        process::run(&mut self.command("helloworld"))?
            .success()?
            .expect_text(&format!("This is helloworld {version},"))?;
        Ok(())
    }

    /// Fails if `secret` stands in any file in here.
    pub(crate) fn expect_nowhere(&self, secret: &str) -> Result<()> {
        let outcome = process::run(
            Command::new("grep")
                .args(["--recursive", "--files-with-matches", "--fixed-strings"])
                .args(["--devices=skip", "--", secret])
                .arg(&self.folder),
        )?;
        ensure!(
            outcome.code() == 1,
            "a secret was left behind, or grep failed\n{}",
            outcome.report()
        );
        Ok(())
    }
}

/// What stands in the way of entering a root file system here, if anything does.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    // In a container, root is often denied what it takes.
    let may_mount =
        process::run(Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]))
            .is_ok_and(|outcome| outcome.code() == 0);
    (!may_mount).then_some("needs CAP_SYS_ADMIN")
}

/// Unpacks `tarball` into `folder`, with the owners that it says.
pub(crate) fn extract(tarball: &Path, folder: &Path) -> Result<()> {
    process::run(
        Command::new("tar")
            .args(["--extract", "--numeric-owner", "--file"])
            .arg(tarball)
            .arg("--directory")
            .arg(folder),
    )?
    .success()?;
    Ok(())
}

/// apt's configuration for this machine: the proxies that it reaches its mirror by, while the store is on the loopback; and no
/// translations, which are most of what an update fetches.
fn apt_conf() -> Result<String> {
    let dump = process::run(Command::new("apt-config").arg("dump"))?.success()?;
    let mut lines: String = dump
        .stdout
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("acquire::http") && line.contains("::proxy")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    for (name, scheme) in [("http_proxy", "http"), ("https_proxy", "https")] {
        let proxy = std::env::var(name).unwrap_or_default();
        if !proxy.is_empty() && !lines.contains(&format!("Acquire::{scheme}::Proxy ")) {
            lines.push_str(&format!("Acquire::{scheme}::Proxy \"{proxy}\";\n"));
        }
    }
    lines.push_str(
        "Acquire::http::Proxy::127.0.0.1 \"DIRECT\";\nAcquire::s3::Proxy \"DIRECT\";\n\
         Acquire::Languages \"none\";\n",
    );
    Ok(lines)
}
