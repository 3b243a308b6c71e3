//! What can be published, and into how many suites.

use std::{fs, path::Path};

use deb_index::digest::{Algorithm, Digests};
use serde_json::json;

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

/// Writes a `.changes` beside a package that lists it.
fn changes(deb: &Path, distribution: &str, section: &str) -> std::path::PathBuf {
    let digests = Digests::of(&Algorithm::ALL, &fs::read(deb).unwrap());
    let name = deb.file_name().unwrap().to_str().unwrap();
    let (size, md5, sha1, sha256) = (
        digests.size,
        digests.md5().unwrap(),
        digests.sha1().unwrap(),
        digests.sha256(),
    );
    let text = format!(
        "Format: 1.8\nSource: tool\nDistribution: {distribution}\nChecksums-Sha1:\n {sha1} {size} {name}\n\
         Checksums-Sha256:\n {sha256} {size} {name}\nFiles:\n {md5} {size} {section} optional {name}\n"
    );
    let path = deb.with_extension("changes");
    fs::write(&path, text).unwrap();
    path
}

fn list(store: &Store, suite: &str) -> String {
    store.read(&["list", "--suite", suite]).expect(0)
}

#[test]
fn one_publish_reaches_several_suites_and_sends_each_file_once() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    store.server.clear_request_log();
    let both = [
        "--suite",
        "stable",
        "--suite",
        "testing,stable",
        "--output",
        "json",
    ];
    let reports = store.publish(&file, &both).json();
    let suites: Vec<_> = reports
        .as_array()
        .unwrap()
        .iter()
        .map(|report| &report["suite"])
        .collect();
    assert_eq!(suites, [&json!("stable"), &json!("testing")]);
    let log = store.server.request_log();
    let sent = log.iter().filter(|request| {
        request.request.method == "PUT" && request.request.key.contains("/pool/")
    });
    assert_eq!(sent.count(), 1);
    assert_eq!(list(&store, "stable"), list(&store, "testing"));

    // A conflict in one of them is found before any is changed.
    let rebuilt = package::write(store.folder.path(), "tool", "2.0", "all", "one");
    store.publish(&rebuilt, &["--suite", "testing"]).expect(0);
    let rebuilt = package::write(store.folder.path(), "tool", "2.0", "all", "two");
    let refused = store.publish(&rebuilt, &["--suite", "stable,testing"]);
    let told = "error: suite testing has tool_2.0_all in main already, with other content: ";
    assert!(refused.stderr.contains(told), "{refused:#?}");
    refused.expect(3);
    assert_eq!(list(&store, "stable"), "tool  1.0  all  main\n");
}

#[test]
fn a_changes_file_says_which_suite_and_component() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    let changes = changes(&file, "testing", "contrib/net");
    store.publish(&changes, &[]).expect(0);
    assert_eq!(list(&store, "testing"), "tool  1.0  all  contrib\n");
    store
        .publish(&changes, &["--suite", "stable", "--component", "main"])
        .expect(0);
    assert_eq!(list(&store, "stable"), "tool  1.0  all  main\n");
    let by_variable = run(store
        .debucket(&["publish", "--sign-key"])
        .arg(store.path("key.asc"))
        .arg(&changes)
        .env("DEBUCKET_SUITE", "nightly"));
    by_variable.expect(0);
    assert_eq!(list(&store, "nightly"), "tool  1.0  all  contrib\n");
}

/// Several names in `Distribution` are one upload into each, as of several `--suite`.
/// What `dch` writes until its user says that the changes are done.
#[test]
fn what_is_not_released_makes_no_suite() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "not done");
    for distribution in ["UNRELEASED", "testing UNRELEASED"] {
        let changes = changes(&file, distribution, "net");
        let refused = store.publish(&changes, &[]);
        assert_eq!(refused.code, 2, "{refused:#?}");
        for told in ["UNRELEASED", "dch --release", "--suite"] {
            assert!(refused.stderr.contains(told), "{refused:#?}");
        }
        assert!(store.server.keys(BUCKET).is_empty());
    }
    let changes = changes(&file, "UNRELEASED", "net");
    store.publish(&changes, &["--suite", "testing"]).expect(0);
}

#[test]
fn a_changes_file_for_several_suites_is_published_into_each() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    for (number, distribution) in ["unstable testing", "unstable\ttesting  unstable"]
        .iter()
        .enumerate()
    {
        let changes = changes(&file, distribution, "net");
        store.publish(&changes, &[]).expect(0);
        for suite in ["unstable", "testing"] {
            assert_eq!(
                list(&store, suite),
                "tool  1.0  all  main\n",
                "{distribution:?}"
            );
        }
        let again = store.publish(&changes, &["--output", "json"]).json();
        assert_eq!(again.as_array().map(Vec::len), Some(2), "{number}: {again}");
    }
    let suites = run(&mut store.debucket(&["suite", "list"])).expect(0);
    assert_eq!(suites, "testing\nunstable\n");
    for wrong in ["", "unstable ../x"] {
        let changes = changes(&file, wrong, "net");
        let refused = store.publish(&changes, &[]);
        assert!(
            refused.code != 0 && refused.stderr.contains("Distribution"),
            "{refused:#?}"
        );
    }
}

#[test]
fn one_file_for_two_components_is_in_both() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    let other = store.path("other.changes");
    fs::rename(changes(&file, "stable", "contrib/net"), &other).unwrap();
    let main = changes(&file, "stable", "net");
    let [file, other] = [&file, &other].map(|path| path.to_str().unwrap().to_owned());
    let both = "tool  1.0  all  contrib\ntool  1.0  all  main\n";
    // The file itself says nothing about its component, wherever it stands.
    for (suite, paths) in [
        ("one", vec![other.as_str()]),
        ("two", vec![&other, &file, &other]),
    ] {
        store
            .publish(&main, &[&paths[..], &["--suite", suite]].concat())
            .expect(0);
        assert_eq!(list(&store, suite), both);
    }
    for (suite, first) in [("three", &file), ("four", &other)] {
        let second = if *first == file { &other } else { &file };
        let publish = store.publish(first.as_ref(), &[second, "--suite", suite]);
        publish.expect(0);
        assert_eq!(list(&store, suite), "tool  1.0  all  contrib\n");
    }
    let forced = ["--suite", "five", "--component", "extra"];
    store
        .publish(&main, &[&[other.as_str()], &forced[..]].concat())
        .expect(0);
    assert_eq!(list(&store, "five"), "tool  1.0  all  extra\n");
}

#[test]
fn changes_files_for_different_suites_are_not_mixed() {
    let store = Store::start();
    let file = |name| package::write(store.folder.path(), name, "1.0", "all", name);
    let one = changes(&file("one"), "testing", "net");
    let two = changes(&file("two"), "stable", "net");
    let two = two.to_str().unwrap();
    store.publish(&one, &[two]).expect(2);
    assert!(store.server.keys(BUCKET).is_empty());
    store.publish(&one, &[two, "--suite", "nightly"]).expect(0);
    assert_eq!(list(&store, "nightly").lines().count(), 2);
}

#[test]
fn a_key_on_standard_input_is_never_shown() {
    let store = Store::start();
    let key = fs::read_to_string(store.path("key.asc")).unwrap();
    let body: String = key.lines().filter(|line| line.len() == 64).collect();
    let mut publish = store.debucket(&["publish", "-", "--unsigned"]);
    let refused = run(publish.write_stdin(format!("{body}\n")));
    assert_eq!(refused.code, 2);
    assert!(
        !refused.stderr.contains(body.get(..20).unwrap()),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_package_that_differs_from_its_changes_file_is_refused() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    let changes = changes(&file, "testing", "net");
    let refused = |refused: Run, text: &str| {
        assert_eq!(refused.code, 1, "{refused:#?}");
        assert!(refused.stderr.contains(text), "{}", refused.stderr);
    };
    package::write(store.folder.path(), "tool", "1.0", "all", "toil");
    refused(
        store.publish(&changes, &[]),
        "its digest is not the one that the .changes file lists",
    );
    fs::remove_file(&file).unwrap();
    refused(store.publish(&changes, &[]), "tool_1.0_all.deb");
    fs::write(&changes, "nothing").unwrap();
    refused(store.publish(&changes, &[]), "not a .changes file");
    assert!(store.server.keys(BUCKET).is_empty());
}

#[test]
fn paths_can_come_from_standard_input() {
    let store = Store::start();
    let files =
        ["one", "two"].map(|name| package::write(store.folder.path(), name, "1", "all", name));
    let lines = files.map(|file| format!("{}\n", file.display())).concat();
    let mut publish = store.debucket(&["publish", "-", "--sign-key"]);
    run(publish.arg(store.path("key.asc")).write_stdin(lines)).expect(0);
    assert_eq!(list(&store, "stable").lines().count(), 2);
    let mut nothing = store.debucket(&["publish", "-", "--sign-key"]);
    let refused = run(nothing.arg(store.path("key.asc")).write_stdin("\n"));
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(
        refused.stderr.contains("standard input names no file"),
        "{refused:#?}"
    );
}

#[test]
fn keep_prunes_what_is_published_and_nothing_else() {
    let store = Store::start();
    for (name, version) in [("tool", "1"), ("tool", "2"), ("other", "1"), ("other", "2")] {
        let file = package::write(store.folder.path(), name, version, "all", version);
        store.publish(&file, &[]).expect(0);
    }
    let file = package::write(store.folder.path(), "tool", "3", "all", "3");
    store.publish(&file, &["--keep", "1"]).expect(0);
    assert_eq!(
        list(&store, "stable"),
        "other  1  all  main\nother  2  all  main\ntool   3  all  main\n"
    );
}

#[test]
fn packages_of_debug_symbols_are_packages_like_others() {
    let store = Store::start();
    let build = store.path("build");
    fs::create_dir(&build).unwrap();
    let symbols = |name: &str| {
        let file = package::write(&build, name, "1.0", "amd64", name);
        let symbols = file.with_extension("ddeb");
        fs::rename(file, &symbols).unwrap();
        symbols
    };
    let (one, two) = (symbols("one-dbgsym"), symbols("two-dbgsym"));
    store.publish(&one, &["--suite", "by-name"]).expect(0);
    store.publish(&build, &["--suite", "by-folder"]).expect(0);
    let listed = changes(&two, "by-changes", "debug");
    store.publish(&listed, &[]).expect(0);
    for (suite, names) in [
        ("by-name", &["one"][..]),
        ("by-folder", &["one", "two"]),
        ("by-changes", &["two"]),
    ] {
        let lines = names.iter();
        let lines = lines.map(|name| format!("{name}-dbgsym  1.0  amd64  main\n"));
        assert_eq!(list(&store, suite), lines.collect::<String>());
    }
    store.read(&["verify", "--deep"]).expect(0);
    // What a .changes lists is checked, whatever it is called.
    fs::write(&two, fs::read(&one).unwrap()).unwrap();
    store.publish(&listed, &[]).expect(1);
}
