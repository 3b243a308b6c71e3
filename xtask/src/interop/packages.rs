//! The packages: chosen so that readers who understand the format differently would differ.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use crate::{deb, process};

/// Component, compression as `dpkg-deb -Z` takes it, `PACKAGE VERSION ARCHITECTURE`, further fields.
type Sample = (&'static str, &'static str, &'static str, &'static str);

const SAMPLES: &[Sample] = &[
    // The epoch makes the lowest number the newest version.
    ("main", "gzip", "versions 1.0~rc1 all", ""),
    ("main", "xz", "versions 1.0 all", ""),
    ("main", "zstd", "versions 1.0+git20260101-1 all", ""),
    ("main", "none", "versions 1:0.9~rc1+b1-2 all", ""),
    ("main", "zstd", "both 1.2+b1 amd64", "Source: src (1.2)\n"),
    ("main", "gzip", "both 1.2+b1 arm64", "Source: src (1.2)\n"),
    ("main", "xz", "", ODD),
    ("extra", "xz", "libc++1 1:16.0.6-15~deb12u1 arm64", ""),
    ("extra", "xz", "empty 0 amd64", ""),
    ("extra", "gzip", "gpgorigin 2026.11.26 all", ""),
    ("tabs", "xz", "tabs 1 all", TABS),
    ("bytes", "xz", "bytes 1 all", BYTES),
];

const ODD: &str = "X-Custom: a: b  \nDescription: größer, 日本語, and a space \n First line.\n .\n   \
    Indented: not a field.  \ndepends: libc6 (>= 2.31),\n  libx   |\n  liby\narchitecture: amd64\n\
    VERSION: 0.0.0+really1-1~bpo12+1\npackage: odd\nXB-Empty:\ntag: one::two\n";

const TABS: &str =
    "Depends: libx,\n\tliby\nDescription: tabs\n\tFirst line.\n\t.\n\tChecksum: of a line.\n";

/// What python3-debian takes for the end of a line, and dpkg and apt do not.
const BYTES: &str =
    "Description: bytes\n A\u{c}form feed,\u{b}a\u{85}next line,\u{2028}and\rSize: 0\n";

/// Packages with control files of 28 kB: so many that their index is cut into several gz members and zstd frames.
const BULK: usize = 40;

/// Builds all packages into `folder/COMPONENT/` and gives their control files.
pub(super) fn build(folder: &Path) -> Result<Vec<String>> {
    let mut controls = Vec::new();
    for &(component, compression, identity, fields) in SAMPLES {
        let control = control(identity, fields);
        let file = pack(folder, component, compression, &control)?;
        if identity.starts_with("gpgorigin") {
            let member = folder.join("_gpgorigin");
            fs::write(&member, "a signature\n")?;
            process::run(Command::new("ar").arg("rD").args([&file, &member]))?.success()?;
        }
        controls.push(control);
    }
    for number in 0..BULK {
        let words = (0..4096).map(|at| format!(" {:x}", at * 7919 + number * 104_729));
        let fields = format!("X-Long:{}\n", words.collect::<String>());
        let control = control(&format!("bulk{number} 1 all"), &fields);
        pack(folder, "bulk", "none", &control)?;
        controls.push(control);
    }
    Ok(controls)
}

fn control(identity: &str, fields: &str) -> String {
    let mut control = String::new();
    for (field, value) in ["Package", "Version", "Architecture"]
        .iter()
        .zip(identity.split_terminator(' '))
    {
        control.push_str(&format!("{field}: {value}\n"));
    }
    control.push_str(fields);
    if !fields.contains("Description:") {
        control.push_str("Description: package of a test\n It has one file.\n");
    }
    control + "Maintainer: Jörg Test <test@example.org>\n"
}

fn pack(
    folder: &Path,
    component: &str,
    compression: &str,
    control: &str,
) -> Result<std::path::PathBuf> {
    let tree = tempfile::tempdir()?;
    deb::write(
        &tree.path().join("DEBIAN/control"),
        control.as_bytes(),
        0o644,
    )?;
    if !control.starts_with("Package: empty") {
        let file = tree.path().join("usr/share/interop/payload");
        deb::write(&file, control.as_bytes(), 0o644)?;
    }
    let folder = folder.join(component);
    fs::create_dir_all(&folder)?;
    let number = fs::read_dir(&folder)?.count();
    let file = folder.join(format!("{number}.deb"));
    deb::build_tree(tree.path(), &file, compression)?;
    Ok(file)
}
