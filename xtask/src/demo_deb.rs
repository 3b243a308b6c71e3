//! `cargo xtask demo-deb`: the helloworld package, from its source in `examples/helloworld`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{binaries::workspace, deb, process};

/// Builds the helloworld package.
#[derive(Debug, Args)]
pub(crate) struct DemoDeb {
    /// The version that it shall have.
    #[arg(long, default_value = "0.1")]
    version: String,
    /// The folder that the package is put into.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

impl DemoDeb {
    /// Builds it and prints where it is.
    pub(crate) fn run(&self) -> Result<()> {
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make {}", self.out.display()))?;
        let file = build(&self.version, &self.out)?;
        println!("{}", file.display());
        Ok(())
    }
}

/// Builds helloworld of this version into `out`.
pub(crate) fn build(version: &str, out: &Path) -> Result<PathBuf> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".+~-".contains(c);
    if !version.starts_with(|c: char| c.is_ascii_digit()) || !version.chars().all(allowed) {
        bail!(
            "`{version}` is no version of a package: a digit, then letters, digits and `. + ~ -` (deb-version(7))"
        );
    }
    let source = workspace().join("examples/helloworld");
    let read = |name: &str| {
        fs::read_to_string(source.join(name))
            .with_context(|| format!("cannot read {}", source.join(name).display()))
    };
    let fill = |text: String| text.replace("@VERSION@", version);

    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let tree = folder.path().join("tree");
    let program = fill(read("helloworld")?);
    let copyright = read("debian/copyright")?;
    let changelog = gzip(fill(read("debian/changelog")?).as_bytes())?;
    // In KiB, each file rounded up, as deb-substvars(5) has it; one more for each of the five folders.
    let installed_size = [program.len(), copyright.len(), changelog.len()]
        .iter()
        .map(|bytes| bytes.div_ceil(1024))
        .sum::<usize>()
        + 5;
    let control =
        fill(read("debian/control")?).replace("@INSTALLED-SIZE@", &installed_size.to_string());

    deb::write(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
    deb::write(&tree.join("usr/bin/helloworld"), program.as_bytes(), 0o755)?;
    deb::write(
        &tree.join("usr/share/doc/helloworld/copyright"),
        copyright.as_bytes(),
        0o644,
    )?;
    deb::write(
        &tree.join("usr/share/doc/helloworld/changelog.gz"),
        &changelog,
        0o644,
    )?;
    let file = out.join(format!("helloworld_{version}_all.deb"));
    deb::build_tree(&tree, &file, "xz")?;
    Ok(file)
}

/// Compresses as Debian policy 12.7 wants a changelog: without a name or a time in the header.
pub(crate) fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("changelog");
    fs::write(&file, content)?;
    process::run(Command::new("gzip").arg("-9n").arg(&file))?.success()?;
    Ok(fs::read(file.with_extension("gz"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_the_same_twice_and_says_its_version() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = build("0.1", one.path()).unwrap();
        let second = build("0.1", two.path()).unwrap();
        assert!(fs::read(&first).unwrap() == fs::read(second).unwrap());

        let fields = process::run(Command::new("dpkg-deb").arg("--field").arg(&first))
            .unwrap()
            .success()
            .unwrap()
            .stdout;
        assert!(
            fields.contains("Version: 0.1\nArchitecture: all\n"),
            "{fields}"
        );
        process::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&first)
                .arg(one.path()),
        )
        .unwrap()
        .success()
        .unwrap();
        let greeting = process::run(&mut Command::new(one.path().join("usr/bin/helloworld")))
            .unwrap()
            .success()
            .unwrap();
        assert!(
            greeting
                .stdout
                .contains("Hello, world! This is helloworld 0.1"),
            "{}",
            greeting.stdout
        );
    }

    #[test]
    fn a_version_that_is_none_is_refused() {
        for version in ["", "latest", "1/2", "1:0", "1 0"] {
            assert!(build(version, Path::new(".")).is_err(), "{version}");
        }
    }
}
