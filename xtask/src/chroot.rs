//! Small systems of other distributions, to install packages into: a folder and chroot(8), as root.
//!
//! mmdebstrap(1) makes each once, with nothing in it but what is essential, apt, and ca-certificates, and it is kept as a tarball
//! in the target folder. A test unpacks it and throws it away. The network is this machine's, so a server on the loopback can be
//! reached from within.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    interrupt::TempFolder,
    process::{self, Outcome},
};

/// How long making a system may take: some fifty packages are downloaded.
const TIME_LIMIT: Duration = Duration::from_secs(600);

const DEBIAN: Archive = Archive {
    mirror: "http://deb.debian.org/debian",
    keyring: Keyring::Installed("/usr/share/keyrings/debian-archive-keyring.gpg"),
};

const UBUNTU: Archive = Archive {
    mirror: "http://archive.ubuntu.com/ubuntu",
    keyring: Keyring::Packaged {
        url: "http://deb.debian.org/debian/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1-0.2_all.deb",
        sha256: "b2e7ed48431bf9e7978ae810bbdaf253093570d6e3f864e575b7c13554b81174",
        path: "usr/share/keyrings/ubuntu-archive-keyring.gpg",
    },
};

/// The releases that the packages are for.
pub(crate) const RELEASES: [Release; 5] = [
    Release {
        codename: "bullseye",
        title: "Debian 11",
        archive: DEBIAN,
    },
    Release {
        codename: "bookworm",
        title: "Debian 12",
        archive: DEBIAN,
    },
    Release {
        codename: "trixie",
        title: "Debian 13",
        archive: DEBIAN,
    },
    Release {
        codename: "jammy",
        title: "Ubuntu 22.04",
        archive: UBUNTU,
    },
    Release {
        codename: "noble",
        title: "Ubuntu 24.04",
        archive: UBUNTU,
    },
];

/// A release of a distribution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    /// As the archive names it.
    pub(crate) codename: &'static str,
    /// As people name it.
    pub(crate) title: &'static str,
    archive: Archive,
}

#[derive(Debug, Clone, Copy)]
struct Archive {
    mirror: &'static str,
    keyring: Keyring,
}

/// Where the keys are that an archive is signed with.
#[derive(Debug, Clone, Copy)]
enum Keyring {
    /// On this machine.
    Installed(&'static str),
    /// In a package, which is known by its digest.
    Packaged {
        url: &'static str,
        sha256: &'static str,
        path: &'static str,
    },
}

/// A system that is there until this is dropped.
pub(crate) struct Chroot {
    folder: TempFolder,
}

/// Fails unless systems can be made, and says what is missing.
pub(crate) fn require_tools() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "only root can install packages into other systems: run this as root"
    );
    for (program, package) in [
        ("mmdebstrap", "mmdebstrap"),
        ("chroot", "coreutils"),
        ("curl", "curl"),
    ] {
        ensure!(
            process::on_path(program),
            "`{program}` is missing: apt-get install {package}"
        );
    }
    Ok(())
}

impl Release {
    /// The release with this codename.
    pub(crate) fn find(codename: &str) -> Option<Self> {
        RELEASES
            .into_iter()
            .find(|release| release.codename == codename)
    }

    /// Unpacks a system; `cache` is the folder that its tarball is kept in.
    pub(crate) fn unpack(&self, cache: &Path) -> Result<Chroot> {
        let tarball = self.tarball(
            cache,
            &format!("{}.tar", self.codename),
            &["--variant=apt", "--include=ca-certificates"],
        )?;
        let folder = TempFolder::new(self.codename)?;
        unpack(&tarball, folder.path())?;
        Ok(Chroot { folder })
    }

    /// The C library of another architecture, unpacked into a folder and not set up: enough for an emulator.
    pub(crate) fn libc_of(&self, architecture: &str, cache: &Path) -> Result<TempFolder> {
        let tarball = self.tarball(
            cache,
            &format!("{}-libc-{architecture}.tar", self.codename),
            &[
                "--variant=extract",
                "--include=libc6",
                &format!("--architectures={architecture}"),
                // Nothing of it is run.
                "--skip=check/qemu",
            ],
        )?;
        let folder = TempFolder::new(architecture)?;
        unpack(&tarball, folder.path())?;
        Ok(folder)
    }

    fn tarball(&self, cache: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let file = cache.join(name);
        if file.is_file() {
            return Ok(file);
        }
        fs::create_dir_all(cache)?;
        let keyring = self.archive.keyring.provide(cache)?;
        // Under its own name only when it is whole.
        let unfinished = cache.join(format!("unfinished-{name}"));
        println!("making {name} from {}", self.archive.mirror);
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--quiet", "--mode=root", "--format=tar"])
            .args(["--components=main", "--aptopt=Acquire::Languages \"none\""])
            // It is thrown away: nothing needs to be safe on the disk.
            .arg("--dpkgopt=force-unsafe-io")
            .arg(format!("--keyring={}", keyring.display()))
            .args(arguments)
            .args([self.codename])
            .arg(&unfinished)
            .arg(self.archive.mirror);
        process::run_within(&mut command, TIME_LIMIT)?
            .success()
            .with_context(|| format!("{} could not be made", self.title))?;
        fs::rename(&unfinished, &file)?;
        Ok(file)
    }
}

impl Keyring {
    fn provide(self, cache: &Path) -> Result<PathBuf> {
        let (url, sha256, path) = match self {
            Self::Installed(path) => {
                ensure!(
                    Path::new(path).is_file(),
                    "{path} is missing: apt-get install debian-archive-keyring"
                );
                return Ok(path.into());
            }
            Self::Packaged { url, sha256, path } => (url, sha256, path),
        };
        let folder = cache.join(format!("keyring-{sha256}"));
        let keyring = folder.join(path);
        if keyring.is_file() {
            return Ok(keyring);
        }
        let package = cache.join("keyring.deb");
        process::run(
            Command::new("curl")
                .args([
                    "--fail",
                    "--silent",
                    "--show-error",
                    "--location",
                    "--output",
                ])
                .arg(&package)
                .arg(url),
        )?
        .success()
        .with_context(|| format!("{url} cannot be fetched"))?;
        let digest = process::run(Command::new("sha256sum").arg(&package))?.success()?;
        ensure!(
            digest.stdout.starts_with(sha256),
            "{url} is not what it was: its SHA-256 is {}",
            digest.stdout
        );
        process::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .args([&package, &folder]),
        )?
        .success()?;
        Ok(keyring)
    }
}

fn unpack(tarball: &Path, folder: &Path) -> Result<()> {
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

impl Chroot {
    /// A path inside, seen from outside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    /// `program` inside, with nothing of this machine's environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/root")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg(self.folder.path())
            .arg(program);
        command
    }

    /// Runs it, and fails unless it succeeds.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<Outcome> {
        process::run(self.command(program).args(arguments))?.success()
    }

    /// The version of a package that is installed inside.
    pub(crate) fn installed(&self, package: &str) -> Result<Option<String>> {
        let outcome = process::run(self.command("dpkg-query").args([
            "--show",
            "--showformat=${db:Status-Status} ${Version}",
            package,
        ]))?;
        Ok(outcome.stdout.strip_prefix("installed ").map(str::to_owned))
    }
}
