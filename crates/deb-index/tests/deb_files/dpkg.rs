//! The same answers as `dpkg-deb`, on packages that it built and on such as it refuses.

use std::{path::Path, process::Command};

use deb_index::{
    deb::{Deb, describe},
    digest::{Algorithm, Digests},
};

use crate::pack::{CONTROL, deb_with};

/// Builds a package with dpkg-deb, or says why not.
fn build(folder: &Path, compression: &str) -> Option<std::path::PathBuf> {
    let file = folder.join(format!("{compression}.deb"));
    let built = Command::new("dpkg-deb")
        .args([
            "--root-owner-group",
            "--uniform-compression",
            "-Z",
            compression,
            "--build",
        ])
        .arg(folder.join("package"))
        .arg(&file)
        .output();
    match built {
        Ok(output) if output.status.success() => Some(file),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                compression == "zstd",
                "dpkg-deb does not build a package: {why}"
            );
            eprintln!("SKIPPED: this dpkg-deb has no {compression}: {why}");
            None
        }
        Err(error) => {
            eprintln!("SKIPPED {compression}: no dpkg-deb on this machine: {error}");
            None
        }
    }
}

#[test]
fn the_same_as_dpkg_deb() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package");
    std::fs::create_dir_all(package.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(package.join("usr/share/doc/hello")).unwrap();
    let control = format!("Source: greetings (1.9)\n{CONTROL}X-Sp\u{e9}cial: no\n")
        .replace("X-Sp\u{e9}cial", "X-Special");
    std::fs::write(package.join("DEBIAN/control"), &control).unwrap();
    std::fs::write(package.join("DEBIAN/conffiles"), "").unwrap();
    std::fs::write(package.join("usr/share/doc/hello/text"), vec![7; 300_000]).unwrap();
    for compression in ["gzip", "xz", "zstd", "none"] {
        let Some(file) = build(folder.path(), compression) else {
            continue;
        };
        let deb = describe(std::fs::File::open(&file).unwrap()).unwrap();
        assert_eq!(deb.control, field(&file, &[]));
        for (name, ours) in [
            ("Package", deb.package.as_str()),
            ("Version", deb.version.as_str()),
            ("Architecture", deb.architecture.as_str()),
            ("Source", "greetings (1.9)"),
        ] {
            assert_eq!(field(&file, &[name]), format!("{ours}\n").as_bytes());
        }
        assert_eq!(deb.source.name.as_str(), "greetings");
        assert_eq!(deb.source.version.as_str(), "1.9");
        let bytes = std::fs::read(&file).unwrap();
        let Deb { digests, .. } = deb;
        assert_eq!(
            digests.sha256(),
            Digests::of(&[Algorithm::Sha256], &bytes).sha256()
        );
        assert_eq!(digests.size, bytes.len() as u64);
    }
}

/// Output of `dpkg-deb --field`.
fn field(file: &Path, names: &[&str]) -> Vec<u8> {
    let output = Command::new("dpkg-deb")
        .arg("--field")
        .arg(file)
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Where we refuse a control file for its syntax, so does dpkg, and the other way round.
#[test]
fn as_strict_as_dpkg() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.deb");
    for (control, taken) in [
        (CONTROL.to_owned(), true),
        (format!("\n\n{CONTROL}"), true),
        (format!("{CONTROL}\n"), true),
        (format!("Empty:\n{CONTROL}"), true),
        (format!("{CONTROL}Empty:\n\n"), true),
        (format!("{CONTROL}Empty:\n"), false),
        (format!("{CONTROL}Empty: \n"), false),
        (format!("{CONTROL}Space : x\n"), true),
        (format!("{CONTROL}Line: x\r\n"), true),
        (CONTROL.trim_end().to_owned(), false),
        (format!("{CONTROL} \n"), false),
        (format!("{CONTROL}\nMore: x\n"), false),
        (format!("{CONTROL}package: x\n"), false),
        (format!("{CONTROL}X: 1\nx: 2\n"), false),
        (format!("{CONTROL}-X: 1\n"), false),
        (format!("{CONTROL}no colon\n"), false),
        (format!("{CONTROL}\r\n"), false),
        (format!(" {CONTROL}"), false),
        (CONTROL.replace("1:2.0-3", "1:2.0-"), false),
        (CONTROL.replace("1:2.0-3", "x1"), false),
        (CONTROL.replace("1:2.0-3", "1_0"), false),
        (CONTROL.replace("1:2.0-3", "2147483648:1"), false),
        (CONTROL.replace("hello", "+hello"), false),
        (CONTROL.replace("hello", "hel lo"), false),
    ] {
        let bytes = deb_with(control.as_bytes());
        let ours = describe(&bytes[..]);
        assert_eq!(ours.is_ok(), taken, "{control:?}: {ours:?}");
        std::fs::write(&file, &bytes).unwrap();
        // Asking for a field makes dpkg-deb parse; asking for none only copies.
        let dpkg = Command::new("dpkg-deb")
            .arg("--field")
            .arg(&file)
            .arg("Version")
            .output();
        match dpkg {
            Ok(output) => assert_eq!(output.status.success(), taken, "{control:?}: {output:?}"),
            Err(error) => eprintln!("SKIPPED: no dpkg-deb on this machine: {error}"),
        }
    }
}
