//! What is said of changes that devices notice is what the real apt does about them.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so"
)]

use std::{fmt::Write as _, fs, path::Path, process::Command};

use deb_index::{
    change::client_view::{ClientView, Effect},
    digest::Sha256,
    paragraph::Paragraph,
};

const BASE: &str = "Origin: Acme\nLabel: Acme\nSuite: stable\nCodename: trixie\nVersion: 1\n\
                    Components: main extra\nArchitectures: amd64 arm64\n";

/// Writes a suite, without a signature, with an index of the same package for each component and architecture.
fn write(folder: &Path, fields: &str) {
    let _ = fs::remove_dir_all(folder);
    let paragraph = Paragraph::parse(fields.as_bytes()).unwrap();
    let words = |name| paragraph.get_str(name).unwrap().split(' ');
    let mut release = format!("{fields}Date: Mon, 24 Nov 2025 15:00:00 UTC\nSHA256:\n");
    for component in words("Components") {
        for architecture in words("Architectures") {
            let sha256 = Sha256::of(b"");
            let index = format!(
                "Package: tool\nVersion: 1\nArchitecture: {architecture}\nFilename: tool.deb\nSize: 0\nSHA256: {sha256}\n"
            );
            let path = format!("{component}/binary-{architecture}/Packages");
            let sha256 = Sha256::of(index.as_bytes());
            writeln!(release, " {sha256} {} {path}", index.len()).unwrap();
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, index).unwrap();
        }
    }
    fs::write(folder.join("Release"), release).unwrap();
}

/// An `apt-get` with a root of its own, and no other configuration.
fn apt(root: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    apt.env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("LC_ALL", "C.UTF-8")
        .env("APT_CONFIG", root.join("apt.conf"));
    apt
}

fn device(root: &Path, repository: &Path) {
    for folder in [
        "etc/apt/apt.conf.d",
        "state/lists/partial",
        "cache/archives/partial",
        "dpkg",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("dpkg/status"), "").unwrap();
    let source = format!(
        "deb [trusted=yes] file:{} stable main\n",
        repository.display()
    );
    fs::write(root.join("etc/apt/sources.list"), source).unwrap();
    let root = root.display();
    let config = format!(
        "Dir::Etc \"{root}/etc/apt\";\nDir::State \"{root}/state\";\nDir::State::status \"{root}/dpkg/status\";\n\
         Dir::Cache \"{root}/cache\";\nAPT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
         Debug::NoDropPrivs \"true\";\n"
    );
    fs::write(format!("{root}/apt.conf"), config).unwrap();
}

/// What apt says and how it ends when a suite changes.
fn update(next: &str) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let (root, repository) = (folder.path().join("root"), folder.path().join("repository"));
    let suite = repository.join("dists/stable");
    device(&root, &repository);
    write(&suite, BASE);
    let first = apt(&root).arg("update").output().unwrap();
    assert!(first.status.success(), "{first:?}");
    write(&suite, next);
    // Notices are for terminals.
    let second = apt(&root).args(["-q=0", "update"]).output().unwrap();
    let text = [second.stdout, second.stderr].concat();
    (
        String::from_utf8_lossy(&text).into_owned(),
        second.status.success(),
    )
}

#[test]
fn apt_does_what_is_said_about_each_change() {
    if Command::new("apt-get").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no apt-get here");
        return;
    }
    let old = ClientView::of_release(&Paragraph::parse(BASE.as_bytes()).unwrap());
    for (from, to, effect, said) in [
        (
            "Origin: Acme",
            "Origin: Other",
            Effect::Refused,
            "changed its 'Origin' value",
        ),
        (
            "Label: Acme\n",
            "",
            Effect::Refused,
            "changed its 'Label' value",
        ),
        (
            "Codename: trixie",
            "Codename: forky",
            Effect::Refused,
            "changed its 'Codename' value",
        ),
        (
            "Version",
            "NotAutomatic: yes\nVersion",
            Effect::Refused,
            "changed its default priority",
        ),
        (
            "Suite: stable",
            "Suite: oldstable",
            Effect::Noted,
            "N: Repository",
        ),
        ("Version: 1", "Version: 2", Effect::Noted, "N: Repository"),
        (
            "main extra",
            "extra",
            Effect::Warned,
            "W: Skipping acquire of configured file",
        ),
        (
            "amd64 arm64",
            "arm64",
            Effect::Lost,
            "N: Skipping acquire of configured file",
        ),
        (
            "Version: 1",
            "Description: x\nVersion: 1",
            Effect::Noted,
            "",
        ),
    ] {
        let next = BASE.replace(from, to);
        let view = ClientView::of_release(&Paragraph::parse(next.as_bytes()).unwrap());
        let changes = old.changes_to(&view);
        let effects: Vec<_> = changes.iter().map(|change| change.effect()).collect();
        let (text, is_accepted) = update(&next);
        if said.is_empty() {
            assert!(
                changes.is_empty() && !text.contains("N: ") && is_accepted,
                "{text}"
            );
            continue;
        }
        assert_eq!(effects, [effect], "{to}");
        assert!(text.contains(said), "{to}: {text}");
        assert_eq!(is_accepted, effect != Effect::Refused, "{to}: {text}");
    }
}
