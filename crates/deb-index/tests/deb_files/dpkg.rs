//! The same answers as `dpkg-deb`, on packages that it built and on such as it refuses.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use deb_index::{
    deb::{Deb, describe},
    digest::{Algorithm, Digests},
    name::Architecture,
};

use crate::pack::CONTROL;

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
    // dpkg-deb wants this mode, whatever the umask.
    std::fs::set_permissions(package.join("DEBIAN"), Permissions::from_mode(0o755)).unwrap();
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
        assert_eq!(deb.source().as_str(), "greetings");
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

/// Our table has every architecture that this dpkg knows.
#[test]
fn all_architectures_of_dpkg_are_known() {
    let listed = match Command::new("dpkg-architecture")
        .arg("--list-known")
        .output()
    {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(error) => {
            eprintln!("SKIPPED: no dpkg-architecture on this machine: {error}");
            return;
        }
    };
    assert!(listed.lines().any(|name| name == "amd64"), "{listed}");
    for name in listed.lines() {
        assert!(
            Architecture::new(name).unwrap().is_known_to_dpkg(),
            "{name}"
        );
    }
}
