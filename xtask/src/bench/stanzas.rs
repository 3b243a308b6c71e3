//! Real package descriptions: those of this machine's apt lists, repeated with other versions where there are too few.

use std::process::Command;

use anyhow::{Context as _, Result};
use deb_index::{
    deb::Deb,
    digest::{Algorithm, Digests},
    paragraph,
    stanza::Stanza,
};

use crate::process::run;

/// Fields that an index adds to a control file.
const INDEX_FIELDS: [&str; 6] = ["Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512"];

/// Where there are no lists: a stanza of usual shape and length.
const SAMPLE: &str = "Package: sample\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: A Team <team@example.com>\n\
    Installed-Size: 1234\nDepends: libc6 (>= 2.34), libgcc-s1 (>= 3.0), libssl3 (>= 3.0.0), zlib1g (>= 1:1.1.4)\n\
    Description: a package of usual length\n This is what a description in Debian's archive looks like: a few lines\n \
    of prose about what the program does and for whom it was made.\nSection: utils\nPriority: optional\n\
    Homepage: https://example.com/sample\nMulti-Arch: foreign\n";

/// `count` packages for amd64, as if they had been read from files.
pub(crate) fn stanzas(count: usize) -> Result<Vec<Stanza>> {
    let mut lists = lists()?;
    if lists.is_empty() {
        lists = SAMPLE.as_bytes().to_vec();
    }
    let component = "main".parse()?;
    let mut stanzas: Vec<Stanza> = Vec::with_capacity(count);
    for round in 0.. {
        for bytes in paragraph::stanzas(&lists) {
            if stanzas.len() == count {
                return Ok(stanzas);
            }
            stanzas.extend(stanza(bytes, round, &component).context("a stanza of apt's lists")?);
        }
        anyhow::ensure!(
            !stanzas.is_empty(),
            "apt's lists hold no package that could be used"
        );
    }
    Ok(stanzas)
}

fn stanza(
    stanza: &[u8],
    round: usize,
    component: &deb_index::name::Component,
) -> Result<Option<Stanza>> {
    let text = |name| paragraph::field(stanza, name).map(String::from_utf8_lossy);
    let (Some(package), Some(version)) = (text("Package"), text("Version")) else {
        return Ok(None);
    };
    let version = if round == 0 {
        version.into_owned()
    } else {
        format!("{version}+{round}")
    };
    let mut control = Vec::with_capacity(stanza.len());
    for line in stanza.split_inclusive(|byte| *byte == b'\n') {
        let name =
            String::from_utf8_lossy(line.split(|byte| *byte == b':').next().unwrap_or_default());
        match name.as_ref() {
            "Version" => control.extend_from_slice(format!("Version: {version}\n").as_bytes()),
            name if INDEX_FIELDS.contains(&name) => {}
            _ => control.extend_from_slice(line),
        }
    }
    if !control.ends_with(b"\n") {
        control.push(b'\n');
    }
    let (package, version) = (
        package.parse::<deb_index::name::PackageName>()?,
        version.parse::<deb_index::version::Version>()?,
    );
    let digests = Digests::of(
        &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
        &control,
    );
    let deb = Deb {
        source: None,
        warnings: Vec::new(),
        architecture: text("Architecture").unwrap_or("amd64".into()).parse()?,
        control,
        package,
        version,
        digests,
    };
    Ok(Some(Stanza::of_deb(component.clone(), &deb)))
}

/// The plain `Packages` indexes that apt has, the largest first; empty where it has none.
fn lists() -> Result<Vec<u8>> {
    let mut list = Command::new("apt-get");
    list.args([
        "indextargets",
        "--format",
        "$(FILENAME)",
        "Created-By: Packages",
    ]);
    let files = run(&mut list)?.stdout;
    let mut all: Vec<Vec<u8>> = Vec::new();
    for file in files.lines() {
        // Stored compressed or not, as apt is configured.
        let output = Command::new("/usr/lib/apt/apt-helper")
            .args(["cat-file", file])
            .output()?;
        if output.status.success() {
            all.push(output.stdout);
        }
    }
    all.sort_by_key(|index| std::cmp::Reverse(index.len()));
    all.truncate(1);
    Ok(all.pop().unwrap_or_default())
}
