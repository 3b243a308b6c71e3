//! What people do with deb-s3 is done here as docs/migrating-from-deb-s3.md says. (`verify` has tests of its own, and `clean` has more.)

use std::fs;

use clap::CommandFactory as _;
use debucket::cli::Cli;
use dev_s3::Operation;

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

/// More than a page of a listing has.
const GARBAGE: u64 = 1_100;

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

/// The commands and the options that the right column names are there.
#[test]
fn the_guide_names_what_there_is() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/migrating-from-deb-s3.md"
    );
    let guide = fs::read_to_string(path).unwrap();
    let (_, tables) = guide.split_once("\n## Commands\n").unwrap();
    let (tables, _) = tables.split_once("\n## What no longer happens\n").unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| "));
    let ours = rows.filter_map(|row| row.split(" | ").nth(1));
    let mut all = Cli::command();
    all.build();
    let mut options = Vec::new();
    let mut waiting: Vec<_> = vec![&all];
    while let Some(command) = waiting.pop() {
        options.extend(
            command
                .get_arguments()
                .filter_map(|it| it.get_long_and_visible_aliases()),
        );
        waiting.extend(command.get_subcommands());
    }
    let options: Vec<_> = options.into_iter().flatten().collect();
    let mut seen = 0;
    for cell in ours {
        for text in cell.split('`').skip(1).step_by(2) {
            let first = text.split(' ').next().unwrap();
            if first.chars().all(|c| c.is_ascii_lowercase()) {
                assert!(all.find_subcommand(first).is_some(), "{text}");
            }
            let long = text.split(' ').filter_map(|word| word.strip_prefix("--"));
            for option in long {
                assert!(options.contains(&option), "{text}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
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

/// `copy`, then `delete` at the source, then `clean`; where a codename has a slash; and with more garbage than a page of a listing has.
#[test]
fn what_was_copied_and_deleted_at_its_source_survives_every_collection() {
    let store = Store::start();
    for version in ["1.0", "2.0"] {
        let file = package::write(store.folder.path(), "robot", version, "amd64", version);
        store.publish(&file, &["--suite", "next/testing"]).expect(0);
    }
    let copy = ["copy", "robot=1.0", "--from", "next/testing"];
    change(&store, &[&copy[..], &["--to", "stable"]].concat()).expect(0);
    change(&store, &["remove", "robot=1.0", "--suite", "next/testing"]).expect(0);
    for number in 0..GARBAGE {
        let key = format!("robots/pool/main/g/garbage/garbage_{number}_all.deb");
        store.server.put(BUCKET, &key, b"x").unwrap();
    }
    let collect = || {
        store.wait(11);
        store.server.clear_request_log();
        let spans = ["--grace", "10h", "--keep-history", "1h"];
        store
            .gc(&[&spans[..], &["--output", "json"]].concat())
            .json()
    };
    let condemned = collect();
    assert!(condemned["condemned"]["objects"].as_u64().unwrap() >= GARBAGE);
    let deleted = collect();
    assert_eq!(deleted["deleted"], condemned["condemned"]);
    // A thousand at once.
    let log = store.server.request_log().into_iter();
    let deletions =
        log.filter(|logged| logged.request.method == "POST" || logged.request.method == "DELETE");
    let deletions: Vec<_> = deletions.map(|logged| logged.request.operation).collect();
    assert_eq!(deletions, [Operation::DeleteObjects; 2]);
    let keys = store.server.keys(BUCKET).into_iter();
    let pool: Vec<_> = keys.filter(|key| key.contains("/pool/")).collect();
    assert_eq!(
        pool,
        ["1.0", "2.0"].map(|version| format!("robots/pool/main/r/robot/robot_{version}_amd64.deb"))
    );
    store.read(&["verify", "--deep"]).expect(0);
}
