//! What a dry run says: what devices get, and what else they see.

use dev_s3::Operation;
use serde_json::{Value, json};

use crate::{
    package,
    run::{Run, Store, run},
};

fn dry(store: &Store, arguments: &[&str]) -> Run {
    let mut command = store.debucket(arguments);
    run(command
        .arg("--dry-run")
        .arg("--sign-key")
        .arg(store.path("key.asc")))
}

/// A suite with two versions of `tool`, and `own` for each of two architectures.
fn store() -> Store {
    let store = Store::start();
    for (name, version, architecture) in [
        ("tool", "1", "all"),
        ("tool", "2", "all"),
        ("own", "1", "amd64"),
        ("own", "1", "arm64"),
    ] {
        let build = format!("{name} {version} {architecture}");
        let file = package::write(store.folder.path(), name, version, architecture, &build);
        store.publish(&file, &[]).expect(0);
    }
    store
}

/// What it says that devices see, line by line.
fn seen(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    lines.collect()
}

#[test]
fn a_dry_run_says_what_devices_get() {
    let store = store();
    for (arguments, expected) in [
        (
            &["remove", "tool=2"][..],
            &["downgraded  tool  2 -> 1  all  main    devices stay at 2: apt does not downgrade"][..],
        ),
        (&["remove", "tool=1"], &[]),
        (&["remove", "tool"], &["removed  tool  2  all  main"]),
        (&["remove", "own"], &["removed  own  1  amd64, arm64  main"]),
        (&["remove", "own:arm64"], &["removed  own  1  arm64  main"]),
        (&["prune", "--keep", "1"], &[]),
        (
            &["rollback", "--to", "@~3"],
            &[
                "removed     own   1       amd64, arm64  main",
                "downgraded  tool  2 -> 1  all           main    devices stay at 2: apt does not downgrade",
            ],
        ),
        (
            &["phase", "tool=2", "10"],
            &["phased  tool  2  all  main  100 % -> 10 %"],
        ),
        (
            &["phase", "tool=2", "--halt"],
            &["downgraded  tool  2 -> 1  all  main    devices stay at 2: apt does not downgrade"],
        ),
    ] {
        let text = dry(&store, arguments).expect(0);
        assert_eq!(seen(&text), expected, "{arguments:?}\n{text}");
    }
    let file = package::write(store.folder.path(), "tool", "3", "amd64", "tool 3");
    let file = file.to_str().unwrap();
    let text = dry(&store, &["publish", file, "--phase", "10"]).expect(0);
    assert_eq!(
        seen(&text),
        ["upgraded  tool  2 -> 3  amd64  main  for 10 %"]
    );
    let new = dry(&store, &["publish", file, "--suite", "new"]).expect(0);
    assert_eq!(seen(&new), ["added  tool  3  amd64  main"]);
}

#[test]
fn a_dry_run_says_what_is_new_in_release() {
    let store = store();
    let arguments = [
        "suite",
        "set",
        "stable",
        "--origin",
        "Acme",
        "--field",
        "NotAutomatic=yes",
        "--components",
        "extra",
        "--allow-release-info-change",
    ];
    let text = dry(&store, &arguments).expect(0);
    for line in [
        "  NotAutomatic: yes\n",
        "  components: main -> main, extra\n",
        "  origin: Acme\n",
        "  devices notice: Origin changes from “” to “Acme” (apt refuses the suite until the user accepts this)\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let document = dry(&store, &[&arguments[..], &["--output", "json"]].concat()).json();
    assert_eq!(
        document["setting_changes"],
        json!([
            {"setting": "NotAutomatic", "old": null, "new": "yes"},
            {"setting": "components", "old": ["main"], "new": ["main", "extra"]},
            {"setting": "origin", "old": null, "new": "Acme"},
        ])
    );
}

#[test]
fn programs_are_told_the_same_with_the_names_that_diff_has() {
    let store = store();
    let json = ["remove", "tool=2", "--output", "json"];
    let planned = dry(&store, &json).json();
    let mut remove = store.debucket(&["remove", "tool=2", "--output", "json", "--sign-key"]);
    let done = run(remove.arg(store.path("key.asc"))).json();
    assert_eq!(done["packages"], planned["packages"]);
    let diff = store
        .read(&["diff", "stable@~1", "stable", "--output", "json"])
        .json();
    assert_eq!(planned["packages"], diff["packages"]);
    let expected = json!([{
        "change": "downgraded", "component": "main", "package": "tool", "architectures": ["all"],
        "before": "2", "after": "1", "old": ["2"], "new": [],
    }]);
    assert_eq!(diff["packages"], expected);
}

#[test]
fn a_dry_run_reads_no_index_that_the_change_does_not_touch() {
    let store = store();
    store.server.clear_request_log();
    let text = dry(&store, &["remove", "own:arm64"]).expect(0);
    assert!(text.contains("removed  own"), "{text}");
    let log = store.server.request_log();
    let got = log
        .iter()
        .filter(|logged| logged.request.operation == Operation::GetObject);
    let keys = got.map(|logged| logged.request.key.as_str());
    let read: Vec<_> = keys.filter(|key| key.contains("/by-hash/")).collect();
    assert_eq!(read.len(), 1, "{read:#?}");
    assert!(read[0].contains("binary-arm64"), "{read:#?}");
}

#[test]
fn differences_between_suites_of_other_architectures_are_their_own_packages() {
    let store = store();
    let file = package::write(store.folder.path(), "own", "1", "riscv64", "riscv");
    let promote = [
        "promote",
        "--all",
        "--from",
        "stable",
        "--to",
        "more",
        "--sign-key",
    ];
    run(store.debucket(&promote).arg(store.path("key.asc"))).expect(0);
    store.publish(&file, &["--suite", "more"]).expect(0);
    assert_eq!(
        store.read(&["diff", "stable", "more"]).expect(0),
        "added  own  1  riscv64  main\n"
    );
    let diff: Value = store
        .read(&["diff", "more", "stable", "--output", "json"])
        .json();
    assert_eq!(diff["packages"][0]["change"], "removed");
    assert_eq!(diff["packages"].as_array().unwrap().len(), 1);
}

#[test]
fn where_there_is_nothing_to_do_both_documents_name_the_same_commits() {
    let store = Store::start();
    for version in ["1.0", "2.0"] {
        let file = package::write(store.folder.path(), "tool", version, "all", version);
        store.publish(&file, &[]).expect(0);
        let document = |more: &[&str]| {
            let mut document = store
                .publish(&file, &[&["--output", "json"], more].concat())
                .json();
            document["dry_run"].take();
            document
        };
        let run = document(&[]);
        assert!(
            run["commit"].is_string() && run["date"].is_string(),
            "{run}"
        );
        assert_eq!(document(&["--dry-run"]), run);
    }
}
