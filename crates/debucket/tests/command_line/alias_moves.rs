//! An alias moves to another suite, or is dropped: what its devices see is said.

use serde_json::json;

use crate::{
    package,
    run::{Store, run},
};

/// `a1` with the alias `stable`, and `a2`, which has another version of one package and lacks another.
fn two_suites() -> Store {
    let store = Store::start();
    for (suite, name, version) in [
        ("a1", "tool", "2.0"),
        ("a1", "old", "1.0"),
        ("a1", "same", "1.0"),
        ("a2", "tool", "1.0"),
        ("a2", "new", "1.0"),
        ("a2", "same", "1.0"),
    ] {
        let build = format!("{name} {version}");
        let file = package::write(store.folder.path(), name, version, "all", &build);
        store.publish(&file, &["--suite", suite]).expect(0);
    }
    store
        .signed(&["suite", "set", "a1", "--alias", "stable"])
        .expect(0);
    store
}

const SEEN: [&str; 4] = [
    "added       new   1.0         all  main",
    "removed     old   1.0         all  main",
    "downgraded  tool  2.0 -> 1.0  all  main    devices stay at 2.0: apt does not downgrade",
    "what devices of stable see:",
];

#[test]
fn what_devices_of_an_alias_that_moves_see_is_said() {
    let store = two_suites();
    let dropped = store
        .signed(&["suite", "set", "a1", "--no-alias", "stable"])
        .expect(0);
    let told = "devices of stable see no further changes, until another suite takes the name\n";
    assert!(dropped.contains(told), "{dropped}");
    let mv = [
        "suite",
        "set",
        "a2",
        "--alias",
        "stable",
        "--allow-release-info-change",
    ];
    let json = ["--dry-run", "--output", "json"];
    let dry = store.signed(&[&mv[..], &json].concat()).json();
    let changes = dry["alias_packages"]["stable"].as_array().unwrap();
    let changes: Vec<_> = changes
        .iter()
        .map(|it| json!([it["change"], it["package"], it["before"], it["after"]]))
        .collect();
    assert_eq!(
        changes,
        [
            json!(["added", "new", null, "1.0"]),
            json!(["removed", "old", "1.0", null]),
            json!(["downgraded", "tool", "2.0", "1.0"]),
        ]
    );
    assert_eq!(dry["packages"], json!([]));
    let create = ["suite", "create", "a3", "--alias", "stable", "--dry-run"];
    let create = [&create[..], &["--allow-release-info-change"]].concat();
    let created = store.signed(&create).expect(0);
    assert!(
        created.contains("removed  same  1.0  all  main"),
        "{created}"
    );
    let dry = store.signed(&[&mv[..], &["--dry-run"]].concat()).expect(0);
    let moved = store.signed(&mv).expect(0);
    for line in SEEN {
        assert!(dry.contains(line) && moved.contains(line), "{dry}\n{moved}");
    }
    // Devices of an alias that stays see what those of the suite do.
    let file = package::write(store.folder.path(), "tool", "3.0", "all", "3");
    let dry = store
        .publish(&file, &["--suite", "a2", "--dry-run"])
        .expect(0);
    assert!(dry.contains("  what devices of a2, stable see:\n"), "{dry}");
    let delete = ["suite", "delete", "a2", "--dry-run"];
    let deleted = store.signed(&delete).expect(0);
    assert!(
        deleted.contains("devices of a2, stable find nothing there any more"),
        "{deleted}"
    );
}

#[test]
fn a_name_that_was_dropped_is_no_alias_to_publish_into() {
    let store = two_suites();
    let file = package::write(store.folder.path(), "tool", "3.0", "all", "3");
    store.publish(&file, &["--suite", "stable"]).expect(3);
    store
        .signed(&["suite", "set", "a1", "--no-alias", "stable"])
        .expect(0);
    let path = file.to_str().unwrap();
    for command in [
        &["publish", path, "--suite", "stable"][..],
        &["remove", "tool", "--suite", "stable"],
        &["phase", "tool", "50", "--suite", "stable"],
        &["rollback", "--to", "@", "--suite", "stable"],
    ] {
        let refused = store.signed(command);
        assert!(
            refused
                .stderr
                .contains("error: suite a1 no longer has the alias stable\n")
                && refused.stderr.contains("suite delete stable"),
            "{refused:#?}"
        );
        refused.expect(4);
    }
    let delete = ["suite", "delete", "stable", "--yes"];
    run(&mut store.debucket(
        &[
            &delete[..],
            &["--sign-key", store.path("key.asc").to_str().unwrap()],
        ]
        .concat(),
    ))
    .expect(0);
    store.publish(&file, &["--suite", "stable"]).expect(0);
}
