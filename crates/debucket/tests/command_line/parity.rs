//! What people do with deb-s3 is done here as docs/migrating-from-deb-s3.md says. (`verify` and `clean` have tests of their own.)

use std::fs;

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

/// The commands and the options of all commands of deb-s3.
const COMMANDS: &str = "upload list show exists copy delete verify clean";
const OPTIONS: &str = "bucket prefix origin suite codename component access-key-id secret-access-key session-token endpoint \
    force-path-style proxy-uri s3-region visibility sign gpg-options gpg-provider encryption cache-control quiet";
const OPTIONS_OF_COMMANDS: &str =
    "arch preserve-versions fail-if-exists skip-package-upload lock long versions fix-manifests";

fn change(store: &Store, arguments: &[&str]) -> Run {
    run(store
        .debucket(arguments)
        .arg("--sign-key")
        .arg(store.path("key.asc")))
}

fn listed(store: &Store, suite: &str) -> Vec<String> {
    let list = store.read(&["list", "--suite", suite]).expect(0);
    let cells = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    list.lines().map(cells).collect()
}

#[test]
fn the_guide_has_each_command_and_option_of_deb_s3() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/migrating-from-deb-s3.md"
    );
    let guide = fs::read_to_string(path).unwrap();
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| "));
    let theirs: Vec<_> = rows.filter_map(|row| row.split(" | ").next()).collect();
    let has = |word: String| theirs.iter().any(|cell| cell.contains(&word));
    for command in COMMANDS.split(' ') {
        assert!(has(format!("`{command}")), "{command}");
    }
    for option in OPTIONS.split(' ') {
        assert!(has(format!("`--{option}`")), "{option}");
    }
    for option in OPTIONS_OF_COMMANDS.split(' ') {
        assert!(has(format!(" --{option}`")), "{option}");
    }
}

#[test]
fn uploads_keep_old_versions_unless_told() {
    let store = Store::start();
    let build = store.path("build");
    fs::create_dir(&build).unwrap();
    for version in ["1.0", "1.1"] {
        package::write(&build, "robot", version, "amd64", version);
    }
    let glob = format!("{}/*.deb", build.display());
    change(&store, &["publish", &glob]).expect(0);
    assert_eq!(listed(&store, "stable").len(), 2);
    change(&store, &["publish", &glob, "--codename", "only-newest"]).expect(0);
    change(&store, &["suite", "set", "only-newest", "--keep", "1"]).expect(0);
    let next = package::write(&build, "robot", "1.2", "amd64", "1.2");
    store
        .publish(&next, &["--codename", "only-newest"])
        .expect(0);
    assert_eq!(listed(&store, "only-newest"), ["robot 1.2 amd64 main"]);
}

#[test]
fn reading_is_by_architecture_and_version() {
    let store = Store::start();
    for architecture in ["amd64", "arm64"] {
        let file = package::write(store.folder.path(), "robot", "1.0", architecture, "first");
        store.publish(&file, &[]).expect(0);
    }
    let long = store.read(&["list", "--long", "--arch", "arm64"]).expect(0);
    assert!(
        long.contains("_arm64.deb") && !long.contains("amd64"),
        "{long}"
    );
    let shown = store
        .read(&["show", "robot", "1.0", "--arch", "arm64"])
        .expect(0);
    assert!(shown.contains("\nArchitecture: arm64\n"), "{shown}");
    store
        .read(&["exists", "robot=1.0", "--arch", "arm64"])
        .expect(0);
    store
        .read(&["exists", "robot=1.1", "--arch", "arm64"])
        .expect(4);
}

#[test]
fn copies_and_deletions_are_exact_and_leave_the_pool_alone() {
    let store = Store::start();
    // A suite with a slash in its name is a suite like any other.
    for version in ["1.0", "1.0-1", "2:1.0-3"] {
        let file = package::write(store.folder.path(), "robot", version, "amd64", version);
        store.publish(&file, &["--suite", "next/testing"]).expect(0);
    }
    let file = package::write(store.folder.path(), "robot", "1.0", "arm64", "other");
    store.publish(&file, &["--suite", "next/testing"]).expect(0);
    let pool = || {
        let keys = store.server.keys(BUCKET).into_iter();
        keys.filter(|key| key.contains("/pool/"))
            .collect::<Vec<_>>()
    };
    let before = pool();
    let copy = ["robot:amd64", "--from", "next/testing", "--to", "stable"];
    let copy = [&["copy"], &copy[..], &["--to-component", "extra"]].concat();
    change(&store, &copy).expect(0);
    change(&store, &copy).expect(0);
    change(&store, &["remove", "robot=1.0", "--suite", "next/testing"]).expect(0);
    let mut left = listed(&store, "next/testing");
    left.sort();
    assert_eq!(left, ["robot 1.0-1 amd64 main", "robot 2:1.0-3 amd64 main"]);
    assert_eq!(listed(&store, "stable").len(), 3);
    change(&store, &["remove", "robot", "--suite", "next/testing"]).expect(0);
    assert_eq!(pool(), before);
    // Another build of a version is refused before anything is copied.
    let other = package::write(
        store.folder.path(),
        "robot",
        "1.0",
        "amd64",
        "another build",
    );
    store
        .publish(&other, &["--suite", "next/testing"])
        .expect(0);
    let fresh = package::write(store.folder.path(), "fresh", "1.0", "amd64", "fresh");
    store
        .publish(&fresh, &["--suite", "next/testing"])
        .expect(0);
    let copy = [
        "copy",
        "fresh",
        "robot",
        "--from",
        "next/testing",
        "--to",
        "stable",
    ];
    let refused = change(&store, &[&copy[..], &["--to-component", "extra"]].concat());
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert_eq!(listed(&store, "stable").len(), 3);
}
