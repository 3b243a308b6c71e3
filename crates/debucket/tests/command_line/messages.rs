//! Every command that changes a suite records the message that it is given, and who gave it.

use std::time::Duration;

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

const MESSAGE: &str = "Why it was done";

fn change(store: &Store, arguments: &[&str], keys: &[&str]) -> Run {
    let mut command = store.debucket(arguments);
    command.args(["--message", MESSAGE]);
    for key in keys {
        command.arg("--sign-key").arg(store.path(key));
    }
    run(&mut command)
}

#[test]
fn each_change_records_its_message_and_its_author() {
    let store = Store::start();
    let made = run(store
        .debucket(&["key", "generate", "--output", "json", "--out"])
        .arg(store.path("new.asc"))
        .arg("--public-out")
        .arg(store.path("new.pub.asc")));
    let new = made.json()["fingerprint"].as_str().unwrap().to_owned();
    let old = store.fingerprint();
    let file = |version: &str| {
        let file = package::write(store.folder.path(), "tool", version, "all", version);
        file.to_str().unwrap().to_owned()
    };
    let (first, second, third) = (file("1"), file("2"), file("3"));
    let (one, both) = (&["key.asc"][..], &["key.asc", "new.asc"][..]);
    let reset = ["key", "reset", "stable", "--i-lost-the-keys-of", "stable"];
    for (arguments, keys, keyring) in [
        (&["suite", "create", "stable"][..], one, "public.asc"),
        (&["publish", &first], one, "public.asc"),
        (&["publish", &second, "--phase", "10"], one, "public.asc"),
        (&["phase", "tool", "50"], one, "public.asc"),
        (&["phase", "tool", "--halt"], one, "public.asc"),
        (&["rollback", "--to", "@~1"], one, "public.asc"),
        (&["prune", "--keep", "1"], one, "public.asc"),
        (&["refresh", "--force"], one, "public.asc"),
        (
            &["suite", "set", "stable", "--keep", "3"],
            one,
            "public.asc",
        ),
        (
            &["publish", &third, "--suite", "testing"],
            one,
            "public.asc",
        ),
        (
            &["promote", "tool", "--from", "testing", "--to", "stable"],
            one,
            "public.asc",
        ),
        (&["remove", "tool=2"], one, "public.asc"),
        (&["key", "add", "stable", &new], both, "public.asc"),
        (
            &["key", "retire", "stable", &old],
            &["new.asc"],
            "new.pub.asc",
        ),
        (&reset, one, "public.asc"),
    ] {
        let suite = match arguments {
            [.., "--suite", suite] => suite,
            _ => "stable",
        };
        let log = || {
            let log = ["log", "-n", "1", "--output", "json", "--suite", suite];
            let mut log = store.debucket(&log);
            run(log.arg("--keyring").arg(store.path(keyring)))
        };
        let before = log();
        // In another second: a refresh is none where the head was dated in this one.
        store.server.clock().advance(Duration::from_secs(2));
        change(&store, arguments, keys).expect(0);
        let after = log().json()[0].clone();
        assert_eq!(after["message"], MESSAGE, "{arguments:?}");
        assert_eq!(after["author"], "ada@build", "{arguments:?}");
        let id = after["id"].as_str().unwrap();
        assert!(
            !before.stdout.contains(&format!("\"id\": \"{id}\"")),
            "{arguments:?}"
        );
    }
    let document = change(&store, &["publish", &first, "--output", "json"], one).json();
    assert_eq!(document["changed"], true);
    // The repair of a commit that is lost is one, too.
    let head = document["commit"].as_str().unwrap();
    let key = format!("robots/dists/stable/commits/{head}.json");
    store.server.delete(BUCKET, &key).unwrap();
    change(&store, &["verify", "stable", "--repair"], one);
    let log = ["log", "-n", "1", "--output", "json"];
    assert_eq!(store.read(&log).json()[0]["message"], MESSAGE);
    store.make_foreign_suite();
    let adopt = ["--unverified", "--accept-damage", "--message", MESSAGE];
    store.adopt(&adopt).expect(0);
    let log = ["log", "--suite", "lab", "--output", "json"];
    let log = run(&mut store.debucket(&log)).json();
    assert_eq!(log[0]["message"], MESSAGE);
    // A deletion is a commit, too, while it lasts; where it ends, nothing is left to look at.
    let delete = ["suite", "delete", "testing", "--yes"];
    change(&store, &delete, one).expect(0);
}
