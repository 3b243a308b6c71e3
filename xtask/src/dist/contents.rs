//! What is in the packages and tarballs: the right files, with the right rights, made for the right machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::CommandFactory as _;

use super::{
    build::{Built, Profile},
    elf::Needs,
    platform::{GLIBC_FLOOR, Libc},
    product::Product,
    source::Source,
    tarball,
};
use crate::process;

/// The most that the method may have, in bytes: it is installed on small devices.
const LARGEST_METHOD: u64 = 6_000_000;

/// Checks the programs themselves.
pub(crate) fn check_programs(source: &Source, built: &Built) -> Result<()> {
    for product in Product::ALL {
        let program = built.program(product);
        check_program(source, built, product, &program)
            .with_context(|| format!("{}: {}", built.platform, product.name()))?;
    }
    Ok(())
}

fn check_program(source: &Source, built: &Built, product: Product, program: &Path) -> Result<()> {
    let needs = Needs::of(program)?;
    match built.platform.libc {
        Libc::Glibc => needs.expect_floor()?,
        Libc::Musl => needs.expect_static()?,
    }
    ensure!(
        needs.is_position_independent || !built.platform.can_lie_anywhere(),
        "it is not position-independent"
    );
    let content = fs::read(program)?;
    for (path, _) in source.paths()? {
        let path = path.as_os_str().as_encoded_bytes();
        ensure!(
            !content.windows(path.len()).any(|window| window == path),
            "it holds the path {}, which is this machine's",
            String::from_utf8_lossy(path)
        );
    }
    let size = content.len() as u64;
    println!(
        "{}: {} has {size} bytes, needs {}",
        built.platform,
        product.name(),
        match needs.glibc {
            Some((major, minor)) => format!("glibc {major}.{minor}"),
            None => "nothing".to_owned(),
        }
    );
    ensure!(
        built.profile == Profile::Quick
            || product != Product::AptMethodS3
            || size <= LARGEST_METHOD,
        "it has {size} bytes, and {LARGEST_METHOD} are the most"
    );
    Ok(())
}

/// A file of an archive, as `tar --verbose --list` tells of it.
type Files = BTreeMap<String, String>;

/// Checks a package.
pub(crate) fn check_package(
    source: &Source,
    built: &Built,
    product: Product,
    file: &Path,
) -> Result<()> {
    let manifest = source.manifest(product)?;
    let field = |name: &str| -> Result<String> {
        let outcome =
            process::run(Command::new("dpkg-deb").arg("--field").arg(file).arg(name))?.success()?;
        Ok(outcome.stdout.trim().to_owned())
    };
    let depends = format!(
        "ca-certificates, libc6 (>= {}.{})",
        GLIBC_FLOOR.0, GLIBC_FLOOR.1
    );
    let other = match product {
        Product::Debucket => "",
        Product::AptMethodS3 => "apt-transport-s3",
    };
    for (name, expected) in [
        ("Package", product.name()),
        ("Version", &source.version),
        ("Architecture", built.platform.architecture.debian()),
        ("Maintainer", &manifest.maintainer),
        ("Depends", &depends),
        ("Pre-Depends", ""),
        ("Recommends", ""),
        ("Provides", other),
        ("Conflicts", other),
        ("Replaces", other),
    ] {
        let value = field(name)?;
        ensure!(
            value == expected,
            "{}: {name} is `{value}`, not `{expected}`",
            file.display()
        );
    }

    let mut expected = Files::new();
    for asset in source.assets(product, &built.folder)? {
        expected.insert(asset.target, mode(asset.mode).into());
    }
    expected.insert(
        format!("usr/share/doc/{}/copyright", product.name()),
        mode(0o644).into(),
    );
    let listed = process::run(Command::new("dpkg-deb").arg("--contents").arg(file))?.success()?;
    let found = files(&listed.stdout)?;
    compare(&found, &expected).with_context(|| file.display().to_string())?;
    ensure!(
        must_haves(product)
            .iter()
            .all(|name| found.contains_key(name)),
        "{} lacks one of {:?}",
        file.display(),
        must_haves(product)
    );
    Ok(())
}

/// Files that a package has whatever its manifest says.
fn must_haves(product: Product) -> Vec<String> {
    match product {
        Product::AptMethodS3 => [
            "usr/lib/apt/methods/s3",
            "usr/share/man/man8/s3.8.gz",
            "usr/share/doc/apt-method-s3/examples/90s3.conf",
            "usr/share/doc/apt-method-s3/examples/s3auth.conf",
            "usr/share/doc/apt-method-s3/examples/acme.sources",
        ]
        .map(str::to_owned)
        .to_vec(),
        Product::Debucket => {
            let pages = debucket::cli::Cli::command();
            let pages = pages
                .get_subcommands()
                .map(|command| format!("usr/share/man/man1/debucket-{}.1.gz", command.get_name()));
            [
                "usr/bin/debucket",
                "usr/share/man/man1/debucket.1.gz",
                "usr/share/bash-completion/completions/debucket",
                "usr/share/zsh/vendor-completions/_debucket",
                "usr/share/fish/vendor_completions.d/debucket.fish",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain(pages)
            .collect()
        }
    }
}

/// Checks a tarball: all that the packages have, in one folder.
pub(crate) fn check_tarball(source: &Source, built: &Built, file: &Path) -> Result<()> {
    let listed = process::run(
        Command::new("tar")
            .args(["--list", "--verbose", "--file"])
            .arg(file),
    )?
    .success()?;
    let top = tarball::name(&source.version, built.platform.architecture);
    let mut found = Files::new();
    for (name, mode) in files(&listed.stdout)? {
        let Some(inside) = name.strip_prefix(&format!("{top}/")) else {
            bail!("{}: {name} is not below {top}", file.display());
        };
        found.insert(inside.to_owned(), mode);
    }
    let mut expected = Files::new();
    for product in Product::ALL {
        for asset in source.assets(product, &built.folder)? {
            let inside = asset.target.strip_prefix("usr/").unwrap_or(&asset.target);
            expected.insert(inside.to_owned(), mode(asset.mode).into());
        }
    }
    for document in tarball::DOCUMENTS {
        expected.insert(format!("share/doc/debucket/{document}"), mode(0o644).into());
    }
    compare(&found, &expected).with_context(|| file.display().to_string())
}

fn mode(mode: u32) -> &'static str {
    match mode {
        0o755 => "-rwxr-xr-x",
        _ => "-rw-r--r--",
    }
}

/// The files of a listing with their modes; all must belong to root.
fn files(listing: &str) -> Result<Files> {
    let mut files = Files::new();
    for line in listing.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [mode, owner, _, _, _, name] = words.as_slice() else {
            bail!("tar tells of `{line}`");
        };
        ensure!(
            matches!(*owner, "root/root" | "0/0"),
            "{name} belongs to {owner}, not to root"
        );
        if mode.starts_with('d') {
            ensure!(*mode == "drwxr-xr-x", "{name} has the mode {mode}");
            continue;
        }
        files.insert(name.trim_start_matches("./").to_owned(), (*mode).to_owned());
    }
    Ok(files)
}

fn compare(found: &Files, expected: &Files) -> Result<()> {
    let pairs = |files: &Files| -> BTreeSet<String> {
        files
            .iter()
            .map(|(name, mode)| format!("{mode} {name}"))
            .collect()
    };
    let (found, expected) = (pairs(found), pairs(expected));
    let missing: Vec<_> = expected.difference(&found).collect();
    let more: Vec<_> = found.difference(&expected).collect();
    ensure!(
        missing.is_empty() && more.is_empty(),
        "missing: {missing:?}; not expected: {more:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_too_much_or_not_roots_is_found() {
        let listing = "drwxr-xr-x 0/0 0 2026-01-01 00:00 ./usr/\n-rwxr-xr-x root/root 5 2026-01-01 00:00 ./usr/bin/x\n";
        let found = files(listing).unwrap();
        let expected = Files::from([("usr/bin/x".to_owned(), "-rwxr-xr-x".to_owned())]);
        compare(&found, &expected).unwrap();
        assert!(compare(&found, &Files::new()).is_err());
        assert!(compare(&Files::new(), &expected).is_err());
        assert!(files(&listing.replace("root/root", "me/me")).is_err());
        assert!(files(&listing.replace("drwxr-xr-x", "drwxrwxr-x")).is_err());
    }
}
