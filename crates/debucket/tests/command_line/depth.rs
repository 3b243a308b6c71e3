//! What is found by listings, and what only by reading everything.

use serde_json::Value;

use crate::{
    package,
    run::{Store, run},
};

#[test]
fn a_damaged_earlier_state_is_told_of_by_gc_and_by_log() {
    let store = Store::sample();
    let log = store.read(&["log", "--verify"]).expect(0);
    assert_eq!(
        log,
        "suite stable: 3 commits and 15 files that they name: no problem\n"
    );
    let document = store.read(&["log", "--verify", "--output", "json"]).json();
    assert_eq!(document["suites"][0]["packages"], Value::Null);
    assert_eq!(document["suites"][0]["files"], 15);
    // A package file that only an earlier state needs.
    run(store
        .debucket(&["remove", "tool", "--sign-key"])
        .arg(store.path("key.asc")))
    .expect(0);
    let tool = "pool/main/t/tool/tool_1.0_all.deb";
    let whole = store.object(tool);
    store.damage(tool);
    store.read(&["log", "--verify"]).expect(0);
    let mut needs = Vec::new();
    for (deep, text) in [
        (&["--deep"][..], "has other content than its commit says"),
        (&[], "has 5 bytes instead of"),
        (&[], "is missing"),
    ] {
        let log = store.read(&[&["log", "--verify"], deep].concat());
        assert!(
            log.stdout.contains(&format!("tool_1.0_all.deb {text}")),
            "{log:#?}"
        );
        needs.push(log.stdout.matches("an earlier state needs it").count());
        log.expect(1);
        match text {
            "is missing" => {}
            text if text.contains("bytes") => store.delete(tool),
            _ => store.overwrite(tool, &whole[..5]),
        }
    }
    assert_eq!(needs, [1, 1, 1]);
    let commits = store.read(&["log", "--output", "json"]).json();
    let damaged = format!(
        "dists/stable/commits/{}.json",
        commits[1]["id"].as_str().unwrap()
    );
    store.damage(&damaged);
    let day = std::time::Duration::from_secs(90_000);
    store.server.clock().advance(day);
    let collected = store.read(&["gc"]).expect(0);
    let told = format!("all package files, and all of suite stable: {damaged}");
    assert!(collected.contains(&told), "{collected}");
    let spans = ["gc", "--grace", "1h", "--keep-history", "1h"];
    let collected = store.read(&spans).expect(0);
    assert!(!collected.contains("kept until"), "{collected}");
}

/// Whatever form of an index is damaged, in the current state or in an earlier one.
#[test]
fn other_bytes_of_the_same_size_are_found() {
    let store = Store::sample();
    let formats = ["gz", "zst", "xz"];
    run(store
        .debucket(&[
            "suite",
            "set",
            "stable",
            "--formats",
            "gz,zst,xz",
            "--sign-key",
        ])
        .arg(store.path("key.asc")))
    .expect(0);
    let earlier = formats.map(|format| store.by_hash(format));
    let file = package::write(store.folder.path(), "more", "1", "all", "more");
    store.publish(&file, &[]).expect(0);
    let current = formats.map(|format| store.by_hash(format));
    for key in &current {
        let before = store.object(key);
        store.damage(key);
        for more in [&[][..], &["--deep"]] {
            store.expect_problems(more, &[["index", key, "error", "repair"]]);
        }
        store.repair(&[]).expect(0);
        assert_eq!(store.object(key), before);
    }
    for key in &earlier {
        let before = store.object(key);
        store.damage(key);
        store.verify(&[]).expect(0);
        store.read(&["log", "--verify"]).expect(0);
        let log = store.read(&["log", "--verify", "--deep"]);
        let told = format!("{key} has other content than its commit says");
        assert!(log.stdout.contains(&told), "{log:#?}");
        let advice = "`debucket verify stable --deep --repair --keyring ";
        assert!(log.stdout.contains(advice), "{log:#?}");
        log.expect(1);
        store.repair(&["stable", "--deep"]).expect(0);
        assert_eq!(store.object(key), before);
        store.read(&["log", "--verify", "--deep"]).expect(0);
    }
}
