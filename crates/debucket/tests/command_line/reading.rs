//! Reading a suite: searching, comparing, and its state at an earlier commit.

use crate::{
    package,
    run::{Store, run},
};

/// A suite with `tool` 1.0 and 2.0 and `other` 1, in three commits, and `tool` 1.0 taken out in a fourth.
fn store() -> Store {
    let store = Store::start();
    for (name, version) in [("tool", "1.0"), ("tool", "2.0"), ("other", "1")] {
        let file = package::write(
            store.folder.path(),
            name,
            version,
            "all",
            &format!("{name} {version}"),
        );
        store.publish(&file, &[]).expect(0);
    }
    run(store
        .debucket(&["remove", "tool=1.0", "--sign-key"])
        .arg(store.path("key.asc")))
    .expect(0);
    store
}

#[test]
fn earlier_states_are_read_like_the_newest() {
    let store = store();
    let list = |commit: &str| store.read(&["list", "--commit", commit]);
    assert_eq!(
        list("@").expect(0),
        "other  1    all  main\ntool   2.0  all  main\n"
    );
    assert_eq!(
        list("@~2").expect(0),
        "tool  1.0  all  main\ntool  2.0  all  main\n"
    );
    assert_eq!(list("@~4").code, 4);
    assert_eq!(list("yesterday").code, 2);
    store.read(&["exists", "tool=1.0"]).expect(4);
    store
        .read(&["exists", "tool=1.0", "--commit", "@~1"])
        .expect(0);
    let shown = store.read(&["show", "tool", "--commit", "@~3"]).expect(0);
    assert!(shown.contains("Version: 1.0\n"), "{shown}");
}

#[test]
fn a_search_looks_at_names_and_descriptions() {
    let store = store();
    let search = |words: &[&str]| store.read(&[&["search"][..], words].concat()).expect(0);
    assert_eq!(search(&["TOO"]), "tool  2.0  all  tool 2.0\n");
    assert_eq!(
        search(&["said", "length"]).lines().count(),
        2,
        "descriptions are read whole"
    );
    assert_eq!(search(&["tool", "other"]), "");
    let json = store
        .read(&["search", "tool", "--commit", "@~2", "--output", "json"])
        .json();
    assert_eq!(
        json["packages"].as_array().unwrap().len(),
        1,
        "only the newest version"
    );
    assert_eq!(json["packages"][0]["synopsis"], "tool 2.0");
}

#[test]
fn differences_are_what_a_device_notices() {
    let store = store();
    let diff = |old: &str, new: &str| store.read(&["diff", old, new]).expect(0);
    assert_eq!(diff("stable", "stable@"), "");
    assert_eq!(
        diff("stable@~3", "stable@~2"),
        "upgraded  tool  2.0  all  main\n"
    );
    assert_eq!(
        diff("stable@~2", "stable@~3"),
        "downgraded  tool  2.0  all  main\n"
    );
    assert_eq!(
        diff("stable@~2", "stable"),
        "added           other  1    all  main\nolder versions  tool   1.0  all  main\n"
    );
    assert_eq!(
        diff("stable", "stable@~3"),
        "removed     other  1           all  main\ndowngraded  tool   2.0 -> 1.0  all  main\n"
    );
    let rebuilt = package::write(store.folder.path(), "other", "1", "all", "rebuilt");
    store.publish(&rebuilt, &["--replace"]).expect(0);
    assert_eq!(
        diff("stable@~1", "stable"),
        "replaced  other  1 -> 1  all  main\n"
    );
    // An older version may be built anew, too.
    for (version, content) in [("1.0", "tool 1.0"), ("1.0", "rebuilt")] {
        let file = package::write(store.folder.path(), "tool", version, "all", content);
        store.publish(&file, &["--replace"]).expect(0);
    }
    assert_eq!(
        diff("stable@~1", "stable"),
        "replaced  tool  1.0 -> 1.0  all  main\n"
    );
    let json = store
        .read(&["diff", "stable@~5", "stable@~3", "--output", "json"])
        .json();
    assert_eq!(json["packages"][1]["change"], "older_versions");
    assert_eq!(json["packages"][1]["old"], serde_json::json!(["1.0"]));
    store.read(&["diff", "stable", "testing"]).expect(4);
    store.read(&["diff", "stable@~9", "stable"]).expect(4);
    store.read(&["diff", "stable@never", "stable"]).expect(2);
}

#[test]
fn the_log_of_a_package_says_who_put_it_in_and_out() {
    let store = store();
    let log = store.read(&["log", "tool=1.0", "--oneline"]).expect(0);
    let subjects: Vec<_> = log
        .lines()
        .map(|line| line.splitn(3, ' ').last().unwrap())
        .collect();
    assert_eq!(subjects, ["remove tool_1.0_all", "add tool_1.0_all"]);
    let log = store.read(&["log", "tool=1.0"]).expect(0);
    assert_eq!(
        log.matches("\nAuthor: ada@build\nDate:   2").count(),
        2,
        "{log}"
    );
    assert!(!log.contains("other"), "{log}");
    assert_eq!(
        store
            .read(&["log", "to*", "-n", "1"])
            .expect(0)
            .matches("commit ")
            .count(),
        1
    );
    assert_eq!(store.read(&["log", "nothing"]).expect(0), "");
}
