//! Packages that we build, as `dpkg-deb` and our own reader see them.

use std::process::Command;

use deb_index::deb::{Installed, build, describe};

use crate::pack::CONTROL;

fn files() -> Vec<Installed> {
    let file = |path: &str, content: &[u8]| Installed {
        path: path.to_owned(),
        content: content.to_vec(),
    };
    vec![
        file("usr/share/keyrings/acme.gpg", &[7; 1001]),
        file("etc/apt/sources.list.d/acme.sources", b"Types: deb\n"),
    ]
}

#[test]
fn what_is_built_is_read_back_and_always_the_same() {
    let package = build(CONTROL, &files(), 1_764_000_000).unwrap();
    assert!(package == build(CONTROL, &files(), 1_764_000_000).unwrap());
    let deb = describe(package.as_slice()).unwrap();
    assert_eq!(deb.control, CONTROL.as_bytes());
    assert_eq!(deb.warnings, []);
    for path in ["", "/etc/passwd", "../up", "a//b", "./a", &"a".repeat(99)] {
        let bad = Installed {
            path: path.to_owned(),
            content: Vec::new(),
        };
        let built = build(CONTROL, &[bad], 0);
        assert!(built.is_err(), "{path:?}");
    }
}

#[test]
fn dpkg_deb_sees_what_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("acme.deb");
    std::fs::write(&package, build(CONTROL, &files(), 1_764_000_000).unwrap()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("dpkg-deb");
        command.args(arguments).arg(&package).env("TZ", "UTC");
        let Ok(output) = command.current_dir(folder.path()).output() else {
            eprintln!("SKIPPED: no dpkg-deb on this machine");
            return None;
        };
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let Some(listing) = run(&["--contents"]) else {
        return;
    };
    let lines: Vec<Vec<_>> = listing
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let paths: Vec<_> = lines.iter().map(|line| line[5]).collect();
    assert_eq!(
        paths,
        [
            "./",
            "./etc/",
            "./etc/apt/",
            "./etc/apt/sources.list.d/",
            "./usr/",
            "./usr/share/",
            "./usr/share/keyrings/",
            "./usr/share/keyrings/acme.gpg",
            "./etc/apt/sources.list.d/acme.sources",
        ]
    );
    for line in &lines {
        let is_folder = line[5].ends_with('/');
        let mode = if is_folder {
            "drwxr-xr-x"
        } else {
            "-rw-r--r--"
        };
        assert_eq!(line[..2], [mode, "root/root"]);
        assert_eq!(line[3], "2025-11-24");
    }
    let conffiles = run(&["--info"]).unwrap();
    assert!(conffiles.contains("conffiles"), "{conffiles}");
}
