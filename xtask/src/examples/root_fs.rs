//! Root file systems of Debian, for what installs packages and writes to `/etc`: a device, a container, a fresh machine.
//!
//! mmdebstrap makes one, from the mirror that this machine itself uses, and it is kept as a tarball in cargo's target folder; each
//! scenario unpacks its own copy. A program enters it with namespaces of its own for mounts, processes and the host name
//! (unshare(1)), so that nothing needs to be unmounted afterwards, whatever the end was. The network is this machine's, so
//! the store is reached on the loopback.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::lint;
use crate::{binaries::target_folder, deb, e2e::world::World, process};

/// What a device has beyond apt: Python for Ansible, and what the examples set up.
const PACKAGES: &str = "ca-certificates,cloud-init,python3-apt,unattended-upgrades";
/// How old the tarball may be: a mirror keeps superseded packages for a while only.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long it may take to make one: a slow mirror, and a machine that is busy.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// Runs a program whose folder for temporary files, `$0`, is in memory.
const IN_MEMORY: &str = r#"
mount -t tmpfs -o mode=0755 tmpfs "$0"
TMPDIR=$0 exec "$@"
"#;
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

/// The system that this machine runs, as far as another one like it is to be made.
pub(super) struct Base {
    /// Its codename, `bookworm`.
    pub(super) suite: String,
    /// Where its packages come from.
    pub(super) mirror: String,
}

impl Base {
    /// Reads it from `/etc/os-release` and apt's own sources.
    pub(super) fn of_this_machine() -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").context("cannot read os-release(5)")?;
        let suite = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .context("/etc/os-release has no VERSION_CODENAME: is this Debian or Ubuntu?")?
            .trim_matches('"')
            .to_owned();
        let outcome = process::run(Command::new("apt-get").args([
            "indextargets",
            "--no-release-info",
            "--format",
            "$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)",
        ]))?
        .success()?;
        let mirror = mirror(&outcome.stdout, &suite).with_context(|| {
            format!("apt has no source for {suite} main over http or https, from which a root file system could be made")
        })?;
        Ok(Self { suite, mirror })
    }
}

/// The mirror of `suite` among the lines of `apt-get indextargets`.
fn mirror(targets: &str, suite: &str) -> Option<String> {
    let wanted = format!("Packages {suite} main ");
    targets
        .lines()
        .filter_map(|line| line.strip_prefix(&wanted))
        .find(|uri| uri.starts_with("http://") || uri.starts_with("https://"))
        .map(str::to_owned)
}

/// A folder that can be entered.
pub(super) struct RootFs {
    folder: PathBuf,
}

impl RootFs {
    /// A fresh device: a copy of the tarball, which is made where there is none or an old one.
    pub(super) fn device(world: &World<'_>, name: &str) -> Result<Self> {
        Self::unpack(world, name, &device_tarball()?)
    }

    /// What lies in `tarball`, as `name` below the folder of `world`.
    pub(super) fn unpack(world: &World<'_>, name: &str, tarball: &Path) -> Result<Self> {
        let folder = world.folder.join(name);
        fs::create_dir(&folder)?;
        let root = Self { folder };
        process::run(
            Command::new("tar")
                .args(["--extract", "--numeric-owner", "--file"])
                .arg(tarball)
                .arg("--directory")
                .arg(&root.folder),
        )?
        .success()?;
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
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Writes a file that everyone may read.
    pub(super) fn write(&self, relative: &str, content: &str) -> Result<()> {
        deb::write(&self.path(relative), content.as_bytes(), 0o644)
    }

    /// `program` in here, as root, with nothing of the caller's environment.
    pub(super) fn command(&self, program: &str) -> Command {
        self.command_with(&[], &[], program)
    }

    /// The same with files or folders from outside mounted onto ones that are there, and with variables.
    pub(super) fn command_with(
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

    /// Fails unless helloworld greets in here as this version.
    pub(super) fn expect_greeting(&self, version: &str) -> Result<()> {
        process::run(&mut self.command("helloworld"))?
            .success()?
            .expect_text(&format!("This is helloworld {version},"))?;
        Ok(())
    }

    /// Fails if `secret` stands in any file in here.
    pub(super) fn expect_nowhere(&self, secret: &str) -> Result<()> {
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

/// The tarball of a device.
fn device_tarball() -> Result<PathBuf> {
    // Two that want it at once wait for one.
    static MAKING: Mutex<()> = Mutex::new(());
    let _guard = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let base = Base::of_this_machine()?;
    let folder = target_folder().join("examples");
    fs::create_dir_all(&folder)?;
    // Whatever decides the content is part of the name.
    let mut hasher = DefaultHasher::new();
    (&base.mirror, PACKAGES).hash(&mut hasher);
    let tarball = folder.join(format!("{}-{:016x}.tar", base.suite, hasher.finish()));
    let age = fs::metadata(&tarball).and_then(|metadata| metadata.modified());
    if age.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < KEPT)) {
        return Ok(tarball);
    }
    println!(
        "    making a root file system of {} from {}",
        base.suite, base.mirror
    );
    // Renamed when it is whole, so that an interrupted run leaves none.
    let unfinished = folder.join(format!("unfinished-{}.tar", std::process::id()));
    let mut command = in_memory(&folder, Path::new("mmdebstrap"))?;
    command
        .args(["--variant=apt", "--skip=cleanup/apt/lists"])
        .arg(format!("--include={PACKAGES}"))
        .args([
            "--aptopt=APT::Install-Recommends \"false\"",
            "--dpkgopt=force-unsafe-io",
        ])
        .arg(&base.suite)
        .arg(&unfinished)
        .arg(&base.mirror);
    let outcome = process::run_within(&mut command, TIME_LIMIT)?.success()?;
    println!("    made in {:.1} s", outcome.elapsed.as_secs_f64());
    fs::rename(&unfinished, &tarball)?;
    Ok(tarball)
}

/// `program`, which runs mmdebstrap, with its temporary files in memory, as long as it runs, at a place below `folder`: on a
/// disk, dpkg waits after each package until it is written.
pub(super) fn in_memory(folder: &Path, program: &Path) -> Result<Command> {
    lint::require("mmdebstrap")?;
    lint::require("unshare")?;
    let mount_point = folder.join("memory");
    fs::create_dir_all(&mount_point)?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-euc"])
        .arg(IN_MEMORY)
        .arg(mount_point)
        .arg(program);
    Ok(command)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_suite_itself() {
        let targets = "\
Packages stable main https://vendor.example/apt/
Packages bookworm-security main http://one.example/debian-security/
DEP-11 bookworm main http://two.example/debian/
Packages bookworm main cdrom://disc/
Packages bookworm main http://three.example/debian/
";
        assert_eq!(
            mirror(targets, "bookworm").as_deref(),
            Some("http://three.example/debian/")
        );
        assert_eq!(mirror(targets, "trixie"), None);
    }
}
