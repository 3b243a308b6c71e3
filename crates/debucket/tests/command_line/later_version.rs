//! A suite that a later version of the program has written: everything can be read, a publish keeps what it does not know, and
//! what must not be built on is not.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    package,
    run::{BUCKET, Store, run},
};

/// Numbers that neither an integer nor a float of a machine holds.
const NUMBERS: &str = r#"{"large": 340282366920938463463374607431768211457, "negative": -18446744073709551617,
    "fine": 0.12345678901234567890123456789, "both": 100000000000000000000.000000000000000000001}"#;

fn build(store: &Store, version: &str) -> PathBuf {
    package::write(store.folder.path(), "hello", version, "amd64", version)
}

fn published() -> Store {
    let store = Store::start();
    store.publish(&build(&store, "1.0"), &[]).expect(0);
    store
}

fn numbers() -> Value {
    serde_json::from_str(NUMBERS).unwrap()
}

/// Something new in every object of the format.
fn later(store: &Store, commit: &mut Value) {
    commit["later"] = numbers();
    commit["authorship"]["run"] = numbers();
    commit["settings"]["retention"] =
        json!({"keep": numbers(), "of": [{"component": "main"}, null]});
    commit["settings"]["formats"] = json!(["gz", "br", "zst"]);
    commit["settings"]["fields"] = json!({"NotAutomatic": "yes"});
    commit["settings"]["signing_keys"][0]["holder"] = numbers();
    commit["changes"] = json!([
        {"action": "phase", "package": "hello", "percent": numbers(), "why": {"ticket": 7}},
        {"action": "retire"},
    ]);
    let mut brotli = store.index_file("main/binary-arm64", "not brotli");
    brotli["midstate"] = numbers();
    let index = &mut commit["indexes"]["main/binary-arm64/Packages"];
    index["files"]["br"] = brotli;
    index["segments"] = json!([numbers()]);
    let mut sources = json!({"size": 5, "sha256": deb_index::digest::Sha256::of(b"plain"), "first": numbers(), "files": {}});
    for form in ["br", "gz", "tar.zst"] {
        sources["files"][form] = store.index_file("main/source", form);
        sources["files"][form]["level"] = numbers();
    }
    commit["indexes"]["main/source/Sources"] = sources;
}

fn reads(store: &Store) {
    assert_eq!(store.read(&["list"]).expect(0), "hello  1.0  amd64  main\n");
    store.read(&["list", "--long", "--output", "json"]).json();
    assert_eq!(store.read(&["list", "--suites"]).expect(0), "stable\n");
    store.read(&["show", "hello"]).expect(0);
    store.read(&["show", "hello", "--output", "json"]).json();
    store.read(&["exists", "hello=1.0"]).expect(0);
    store.read(&["log"]).expect(0);
    store.read(&["log", "--oneline"]).expect(0);
    store.read(&["log", "--output", "json"]).json();
    let mut config = store.debucket(&["client-config", "--key"]);
    run(config.arg(store.path("public.asc"))).expect(0);
}

#[test]
fn everything_can_be_read() {
    let store = published();
    store.forge(|commit| later(&store, commit));
    reads(&store);
    let log = store.read(&["log"]).expect(0);
    assert!(log.contains("    phase   hello\n    retire\n"), "{log}");
    let log = store.read(&["log", "--oneline"]).expect(0);
    assert!(log.contains(" phase hello, retire\n"), "{log}");
    let log = store.read(&["log", "--output", "json", "-n", "1"]).json();
    assert_eq!(log[0]["changes"][0]["percent"], numbers());
    assert_eq!(log[0]["settings"]["retention"]["keep"], numbers());
}

#[test]
fn a_publish_keeps_what_it_does_not_know() {
    let store = published();
    store.forge(|commit| later(&store, commit));
    let (before, text) = store.commit();
    let before_release = store.release();
    let old: Value = serde_json::from_str(&text).unwrap();
    // Only the index of amd64 changes.
    store
        .publish(&build(&store, "2.0"), &["--dry-run"])
        .expect(0);
    store.publish(&build(&store, "2.0"), &[]).expect(0);
    let (_, text) = store.commit();
    let new: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(new["parent"], json!(before));
    for field in ["later", "settings"] {
        assert_eq!(new[field], old[field], "{field}");
    }
    for index in ["main/source/Sources", "main/binary-arm64/Packages"] {
        assert_eq!(new["indexes"][index], old["indexes"][index], "{index}");
    }
    assert_eq!(new["authorship"].get("run"), None, "this is another run");
    let digits = [
        "340282366920938463463374607431768211457",
        "0.12345678901234567890123456789",
    ];
    assert!(
        digits
            .iter()
            .all(|number| text.matches(number).count() >= 7),
        "{text}"
    );
    let release = store.release();
    let of_others = |line: &&str| line.contains("source/Sources") || line.contains("binary-arm64");
    let kept: Vec<_> = before_release.lines().filter(of_others).collect();
    assert_eq!(kept.len(), 8, "{before_release}");
    for line in kept.into_iter().chain(["NotAutomatic: yes"]) {
        assert!(release.lines().any(|new| new == line), "{line}: {release}");
    }
    for (follower, content) in [
        ("main/source/Sources.br", "br"),
        ("main/source/Sources.tar.zst", "tar.zst"),
        ("main/binary-arm64/Packages.br", "not brotli"),
    ] {
        assert_eq!(store.in_suite(follower), content.as_bytes(), "{follower}");
    }
    // The history still has the later program's commit.
    store.read(&["log", "--output", "json"]).json();
    assert!(
        store
            .read(&["log", "--oneline"])
            .expect(0)
            .contains("phase hello")
    );
}

#[test]
fn what_must_not_be_built_on_is_not() {
    let requirements: [fn(&mut Value); 3] = [
        |commit| commit["requires"] = json!(["segments"]),
        |commit| commit["requires"] = json!(["phasing", "segments \u{1b}[31m"]),
        |commit| commit["format"] = json!(2),
    ];
    for require in requirements {
        let store = published();
        store.forge(|commit| {
            later(&store, commit);
            require(commit);
        });
        reads(&store);
        let before = store.server.keys(BUCKET);
        let head = store.in_suite("InRelease");
        for more in [
            &[][..],
            &["--dry-run"],
            &["--replace", "--accept-rollback", "--reset-date"],
        ] {
            let refused = store.publish(&build(&store, "2.0"), more);
            assert_eq!(refused.code, 1, "{refused:#?}");
            assert!(
                refused.stderr.contains("next: use a newer debucket"),
                "{refused:#?}"
            );
            assert!(!refused.stderr.contains('\u{1b}'), "{refused:#?}");
        }
        assert_eq!(store.server.keys(BUCKET), before);
        assert_eq!(store.in_suite("InRelease"), head);
    }
}

#[test]
fn what_cannot_be_read_asks_for_a_newer_program() {
    let changes: [fn(&mut Value); 2] = [
        |commit| {
            commit["format"] = json!(2);
            commit["indexes"] = json!("elsewhere");
        },
        |commit| {
            for (_, index) in commit["indexes"].as_object_mut().unwrap() {
                let files = index["files"].as_object_mut().unwrap();
                let gz = files.remove("gz").unwrap();
                files.clear();
                files.insert("br".to_owned(), gz);
            }
        },
    ];
    for change in changes {
        let store = published();
        store.forge(change);
        for refused in [
            store.read(&["list"]),
            store.publish(&build(&store, "2.0"), &[]),
        ] {
            assert_eq!(refused.code, 1, "{refused:#?}");
            assert!(
                refused.stderr.contains("next: use a newer debucket"),
                "{refused:#?}"
            );
        }
    }
}
