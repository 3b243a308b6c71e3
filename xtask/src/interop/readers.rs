//! The readers that are programs of their own and fetch over HTTP: apt and reprepro.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{ARCHITECTURES, COMPONENTS, Suite, View};
use crate::{
    apt_root::{self, AptRoot},
    deb, process,
};

/// What apt would download, by each form of the index.
pub(super) fn apt(suite: &Suite<'_>) -> Result<View> {
    let mut seen = View::new();
    for (format, by_hash, form) in [
        ("gz", "no", "gz"),
        ("gz", "yes", "gz/by-hash"),
        ("zst", "no", "zst"),
        ("zst", "yes", "zst/by-hash"),
    ] {
        for architecture in ARCHITECTURES {
            let name = format!("{}-{architecture}-{format}-{by_hash}", suite.name);
            let apt = AptRoot::bare(suite.folder, &name)?;
            apt.configure(&format!(
                "#clear APT::Architectures;\nAPT::Architectures {{ \"{architecture}\"; }};\n\
                 APT::Architecture \"{architecture}\";\nAcquire::By-Hash \"{by_hash}\";\n\
                 Acquire::CompressionTypes::Order {{ \"{format}\"; }};"
            ))?;
            let sources = format!(
                "Types: deb\nURIs: {}\nSuites: {}\nComponents: {}\nSigned-By: {}\n",
                suite.url,
                suite.name,
                COMPONENTS.join(" "),
                suite.public_key().display()
            );
            apt.write("sources.list.d/interop.sources", sources)?;
            let update = apt.update()?;
            ensure!(
                update.transcript.contains("/by-hash/") == (by_hash == "yes")
                    && update.transcript.contains(&format!("Packages.{format}")),
                "apt did not fetch the index as {form}\n{}",
                update.report()
            );
            let lines = offered(&apt, architecture, &suite.url)?;
            seen.entry(form.into()).or_default().extend(lines);
        }
    }
    Ok(seen)
}

/// Every version that apt knows, as apt itself understood the stanzas.
fn offered(apt: &AptRoot, architecture: &str, url: &str) -> Result<Vec<String>> {
    let run = |program: &str, arguments: &[&str], more: &[String]| -> Result<Vec<String>> {
        let outcome = process::run(apt.command(program).args(arguments).args(more))?.success()?;
        Ok(outcome.stdout.lines().map(str::to_owned).collect())
    };
    let names = run("apt-cache", &["pkgnames"], &[])?;
    // `NAME | VERSION | URL SUITE/COMPONENT ARCHITECTURE Packages`
    let mut components = BTreeMap::new();
    for line in run("apt-cache", &["madison"], &names)? {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let source: Vec<_> = cells[2].split(' ').collect();
        let component = source[1].split_once('/').context("no component")?.1;
        components.insert(format!("{}={}", cells[0], cells[1]), component.to_owned());
    }
    let versions: Vec<_> = components.keys().cloned().collect();
    // `'URI' NAME_VERSION_ARCHITECTURE.deb SIZE SHA256:DIGEST`
    let files = run("apt-get", &["download", "--print-uris"], &versions)?;
    ensure!(files.len() == versions.len(), "{versions:?}: {files:?}");
    let line = |file: &String| {
        let words: Vec<_> = file.split(' ').collect();
        let uri = words[0].trim_matches('\'').strip_prefix(url)?;
        let file = apt_root::decode(words[1].strip_suffix(".deb")?);
        let [name, version, own] = file.split('_').collect::<Vec<_>>()[..] else {
            return None;
        };
        let component = components.get(&format!("{name}={version}"))?;
        let (size, sha256) = (words[2], words[3].strip_prefix("SHA256:")?);
        let path = apt_root::decode(uri);
        Some(format!(
            "{component} {architecture} {name} {version} {own} {size} {sha256} {path}"
        ))
    };
    let lines: Option<Vec<_>> = files.iter().map(line).collect();
    lines.with_context(|| format!("apt printed something else: {files:?}"))
}

/// Mirrors the suite into `base`, its signature checked.
pub(super) fn reprepro(suite: &Suite<'_>, base: &Path) -> Result<()> {
    let home = suite.folder.join("gnupg");
    let gnupg = |program: &str| {
        let mut command = Command::new(program);
        apt_root::isolate(&mut command);
        command.env("GNUPGHOME", &home);
        command
    };
    fs::create_dir_all(&home)?;
    let import = ["--batch", "--status-fd", "1", "--import"];
    let imported = process::run(gnupg("gpg").args(import).arg(suite.public_key()))?.success()?;
    // `[GNUPG:] IMPORT_OK 1 FINGERPRINT`
    let fingerprint = imported.stdout.lines().find_map(|line| {
        let rest = line.strip_prefix("[GNUPG:] IMPORT_OK ")?;
        Some(rest.split_once(' ')?.1)
    });
    let fingerprint = fingerprint.context("gpg imported no key")?;
    // It takes no more than the last digits.
    let key_id = fingerprint
        .get(fingerprint.len() - 16..)
        .unwrap_or_default();
    let distributions = format!(
        "Codename: {}\nComponents: {}\nArchitectures: {}\nUpdate: interop\nDebIndices: Packages Release .\n",
        suite.name,
        COMPONENTS.join(" "),
        ARCHITECTURES.join(" ")
    );
    let updates = format!(
        "Name: interop\nMethod: {}\nSuite: {}\nVerifyRelease: {key_id}\n",
        suite.url, suite.name
    );
    for (name, text) in [("distributions", distributions), ("updates", updates)] {
        deb::write(&base.join("conf").join(name), text.as_bytes(), 0o644)?;
    }
    process::run(gnupg("reprepro").arg("--basedir").arg(base).arg("update"))?.success()?;
    // It has no key to sign with; the reader of its indexes looks into `InRelease` only.
    let folder = base.join("dists").join(suite.name);
    fs::copy(folder.join("Release"), folder.join("InRelease"))?;
    Ok(())
}
