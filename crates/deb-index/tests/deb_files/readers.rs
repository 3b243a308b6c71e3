//! The programs that read what is published: `dpkg-deb` a package, `apt-cache` an index.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// What dpkg and apt say of a package and of its stanza, in folders of their own.
pub(crate) struct Readers(TempDir);

/// What one of them said.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) accepted: bool,
    /// The warnings of apt.
    pub(crate) warnings: String,
}

impl Readers {
    /// `None` on a machine without them.
    pub(crate) fn new() -> Option<Self> {
        for program in ["dpkg-deb", "apt-cache"] {
            if let Err(error) = Command::new(program).arg("--version").output() {
                eprintln!("SKIPPED: no {program} on this machine: {error}");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for part in [
            "lists/partial",
            "cache/archives/partial",
            "etc/apt.conf.d",
            "etc/preferences.d",
        ] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        fs::write(path.join("status"), "").unwrap();
        fs::write(
            path.join("etc/sources.list"),
            "deb [trusted=yes] file:/repository ./\n",
        )
        .unwrap();
        let root = path.display();
        let settings = format!(
            "Dir \"{root}\";\nDir::Etc \"{root}/etc\";\nDir::State \"{root}\";\n\
             Dir::State::lists \"{root}/lists\";\nDir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}/cache\";\nDir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
             Acquire::Languages \"none\";\n"
        );
        fs::write(path.join("apt.conf"), settings).unwrap();
        Some(Self(folder))
    }

    /// dpkg on a package. Asked for a field, it parses the control file as it does to install it.
    pub(crate) fn dpkg(&self, package: &[u8]) -> Verdict {
        let file = self.path().join("package.deb");
        fs::write(&file, package).unwrap();
        let mut dpkg = Command::new("dpkg-deb");
        let output = run(dpkg.arg("--field").arg(&file).arg("Package"));
        Verdict {
            accepted: output.status.success(),
            warnings: String::new(),
        }
    }

    /// apt on an index.
    pub(crate) fn apt(&self, index: &[u8]) -> Verdict {
        fs::write(self.path().join("lists/_repository_._Packages"), index).unwrap();
        let mut apt = Command::new("apt-cache");
        apt.env("APT_CONFIG", self.path().join("apt.conf"));
        let output = run(apt.arg("gencaches"));
        Verdict {
            accepted: output.status.success(),
            warnings: String::from_utf8_lossy(&output.stderr)
                .lines()
                .filter(|line| line.starts_with("W:"))
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn run(command: &mut Command) -> Output {
    command.env("LC_ALL", "C.UTF-8").output().unwrap()
}
