//! The releases that the packages are for, as small systems to install them into.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    image::Image,
    interrupt::TempFolder,
    process,
    root_fs::{self, RootFs},
};

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

impl Release {
    /// The release with this codename.
    pub(crate) fn find(codename: &str) -> Option<Self> {
        RELEASES
            .into_iter()
            .find(|release| release.codename == codename)
    }

    /// A small system, as the folder `folder`: what is essential, apt, and ca-certificates. `cache` keeps keyrings.
    pub(crate) fn unpack(&self, cache: &Path, folder: PathBuf) -> Result<RootFs> {
        let tarball = self.tarball(cache, &["--variant=apt", "--include=ca-certificates"])?;
        RootFs::unpack(&tarball, folder)
    }

    /// The C library of another architecture, unpacked into a folder and not set up: enough for an emulator.
    pub(crate) fn libc_of(&self, architecture: &str, cache: &Path) -> Result<TempFolder> {
        let tarball = self.tarball(
            cache,
            &[
                "--variant=extract",
                "--include=libc6",
                &format!("--architectures={architecture}"),
                // Nothing of it is run.
                "--skip=check/qemu",
            ],
        )?;
        let folder = TempFolder::new(architecture)?;
        root_fs::extract(&tarball, folder.path())?;
        Ok(folder)
    }

    fn tarball(&self, cache: &Path, arguments: &[&str]) -> Result<PathBuf> {
        let keyring = self.archive.keyring.provide(cache)?;
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.into()).collect();
        Image {
            suite: self.codename,
            mirror: self.archive.mirror,
            keyring: Some(&keyring),
            arguments: &arguments,
        }
        .tarball()
        .with_context(|| self.title)
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
        fs::create_dir_all(cache)?;
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
