//! Tarballs of Debian and its kin, made by mmdebstrap(1): for devices, containers, and the releases that packages are tried on.
//!
//! Each is made once and kept in cargo's target folder for as long as a mirror may be trusted to have the same packages.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{binaries::target_folder, process, root_fs};

/// How old a tarball may be: a mirror keeps superseded packages for a while only.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long it may take to make one: a slow mirror, and a machine that is busy.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// Runs a program whose folder for temporary files, `$0`, is in memory.
const IN_MEMORY: &str = r#"
mount -t tmpfs -o mode=0755 tmpfs "$0"
TMPDIR=$0 exec "$@"
"#;

/// What is to be in a tarball.
#[derive(Debug, Hash)]
pub(crate) struct Image<'a> {
    /// Codename of the release.
    pub(crate) suite: &'a str,
    /// Where its packages come from.
    pub(crate) mirror: &'a str,
    /// The keys that they are signed with, unless this machine's own apt has them.
    pub(crate) keyring: Option<&'a Path>,
    /// Further arguments of mmdebstrap: variant, packages, architectures.
    pub(crate) arguments: &'a [String],
}

impl Image<'_> {
    /// The tarball, which is made where there is none or an old one.
    pub(crate) fn tarball(&self) -> Result<PathBuf> {
        // Two that want it at once wait for one.
        static MAKING: Mutex<()> = Mutex::new(());
        let _guard = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = target_folder().join("images");
        fs::create_dir_all(&folder)?;
        // Whatever decides the content is part of the name.
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let name = format!("{}-{:016x}.tar", self.suite, hasher.finish());
        let tarball = folder.join(&name);
        let age = fs::metadata(&tarball).and_then(|metadata| metadata.modified());
        if age.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < KEPT)) {
            return Ok(tarball);
        }
        println!(
            "    making a root file system of {} from {}",
            self.suite, self.mirror
        );
        // Renamed when it is whole, so that an interrupted run leaves none.
        let unfinished = folder.join(format!("unfinished-{}.tar", std::process::id()));
        let mut command = in_memory(&folder, Path::new("mmdebstrap"))?;
        command
            .args(["--quiet", "--mode=root", "--components=main"])
            .args([
                "--aptopt=APT::Install-Recommends \"false\"",
                "--aptopt=Acquire::Languages \"none\"",
                "--dpkgopt=force-unsafe-io",
            ]);
        if let Some(keyring) = self.keyring {
            command.arg(format!("--keyring={}", keyring.display()));
        }
        command
            .args(self.arguments)
            .arg(self.suite)
            .arg(&unfinished)
            .arg(self.mirror);
        let outcome = process::run_within(&mut command, TIME_LIMIT)?
            .success()
            .with_context(|| format!("{} could not be made", self.suite))?;
        println!("    made in {:.1} s", outcome.elapsed.as_secs_f64());
        fs::rename(&unfinished, &tarball)?;
        Ok(tarball)
    }
}

/// Fails unless images can be made and entered, and says what is missing.
pub(crate) fn require_tools() -> Result<()> {
    for (program, package) in [("mmdebstrap", "mmdebstrap"), ("unshare", "util-linux")] {
        ensure!(
            process::on_path(program),
            "`{program}` is missing: apt-get install {package}"
        );
    }
    if let Some(obstacle) = root_fs::obstacle() {
        bail!("making other systems and installing into them {obstacle}");
    }
    Ok(())
}

/// `program`, which runs mmdebstrap, with its temporary files in memory, as long as it runs, at a place below `folder`: on a
/// disk, dpkg waits after each package until it is written.
pub(crate) fn in_memory(folder: &Path, program: &Path) -> Result<Command> {
    require_tools()?;
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

/// The system that this machine runs, as far as another one like it is to be made.
pub(crate) struct Base {
    /// Its codename, `bookworm`.
    pub(crate) suite: String,
    /// Where its packages come from.
    pub(crate) mirror: String,
}

impl Base {
    /// Reads it from `/etc/os-release` and apt's own sources.
    pub(crate) fn of_this_machine() -> Result<Self> {
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
