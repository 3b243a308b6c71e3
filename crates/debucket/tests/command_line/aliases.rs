//! A suite gets another name, which moves to the next suite; and suites are deleted.

use serde_json::{Value, json};

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

impl Store {
    pub(crate) fn signed(&self, arguments: &[&str]) -> Run {
        run(self
            .debucket(arguments)
            .arg("--sign-key")
            .arg(self.path("key.asc")))
    }

    fn publish_into(&self, suite: &str, name: &str) -> Run {
        let file = package::write(self.folder.path(), name, "1.0", "all", name);
        self.publish(&file, &["--suite", suite])
    }

    fn suites(&self) -> String {
        let listed = run(&mut self.debucket(&["suite", "list"])).expect(0);
        assert_eq!(
            run(&mut self.debucket(&["list", "--suites"])).expect(0),
            listed
        );
        listed
    }
}

#[test]
fn an_alias_is_read_like_its_suite_and_changed_by_its_name_alone() {
    let store = Store::start();
    store.allow("publisher");
    let created = store.signed(&["suite", "create", "trixie", "--alias", "stable"]);
    created.expect(0);
    store.publish_into("trixie", "tool").expect(0);
    assert_eq!(store.suites(), "trixie\nstable -> trixie\n");
    let listed = run(store
        .debucket(&["suite", "list"])
        .args(["--output", "json"]))
    .json();
    assert_eq!(listed["aliases"], json!({"stable": "trixie"}));
    // `stable` is the default.
    for reading in [
        &["list"][..],
        &["show", "tool"],
        &["exists", "tool"],
        &["search", "tool"],
        &["log"],
        &["diff", "stable", "trixie@~1"],
        &["suite", "show", "stable"],
        &["key", "list", "stable"],
    ] {
        store.read(reading).expect(0);
    }
    let listed = store.read(&["list", "--output", "json"]).json();
    assert_eq!(listed["suite"], "trixie");
    let refused = store.publish_into("stable", "other");
    assert!(
        refused
            .stderr
            .contains("error: stable is an alias of suite trixie\n")
            && refused.stderr.contains("next: name the suite, trixie; "),
        "{refused:#?}"
    );
    refused.expect(3);
    store.signed(&["suite", "create", "stable"]).expect(3);
    store.signed(&["remove", "tool"]).expect(3);
    store.read(&["verify", "stable"]).expect(3);
    store.read(&["verify", "--deep"]).expect(0);
    // From an alias packages are promoted, into one they are not.
    let promote = ["promote", "tool", "--from", "stable", "--to"];
    store
        .signed(&[&promote[..], &["testing"]].concat())
        .expect(0);
    store
        .signed(&[&promote[..], &["trixie"]].concat())
        .expect(2);
}

#[test]
fn what_an_alias_stops_ends_with_3_and_the_help_says_so() {
    let store = Store::start();
    store.publish_into("trixie", "tool").expect(0);
    store.publish_into("testing", "other").expect(0);
    store
        .signed(&["suite", "set", "trixie", "--alias", "stable"])
        .expect(0);
    let key = store.fingerprint();
    let file = package::write(store.folder.path(), "more", "1.0", "all", "more");
    let before = store.server.keys(BUCKET);
    for command in [
        &["publish", file.to_str().unwrap()][..],
        &["remove", "tool"],
        &["promote", "other", "--from", "testing", "--to", "stable"],
        &["prune", "--keep", "1"],
        &["phase", "tool=1.0", "50"],
        &["phase", "tool", "--halt"],
        &["rollback", "--to", "@"],
        &["refresh", "--force"],
        &["suite", "create", "stable"],
        &["suite", "set", "stable", "--keep", "1"],
        &["suite", "delete", "stable", "--yes"],
        &["adopt", "stable"],
        &["key", "add", "stable", &key],
        &["key", "retire", "stable", &key],
        &["key", "reset", "stable", "--i-lost-the-keys-of", "stable"],
        &["verify", "stable", "--repair"],
    ] {
        let refused = store.signed(command);
        let advice = "next: ";
        assert!(refused.stderr.contains(advice), "{command:?} {refused:#?}");
        assert_eq!(refused.code, 3, "{command:?} {refused:#?}");
        let words = match command[0] {
            "suite" | "key" => &command[..2],
            _ => &command[..1],
        };
        let help = run(crate::run::debucket().args(words).arg("--help")).expect(0);
        let (_, codes) = help.split_once("Exit codes: ").unwrap();
        let codes: Vec<_> = codes.split_whitespace().collect();
        assert!(
            codes.join(" ").contains("; 3 conflict"),
            "{command:?} {help}"
        );
    }
    assert_eq!(store.server.keys(BUCKET), before);
}

#[test]
fn an_alias_moves_from_one_suite_to_the_next() {
    let store = Store::start();
    store
        .signed(&["suite", "create", "trixie", "--alias", "stable"])
        .expect(0);
    store.publish_into("trixie", "old").expect(0);
    store.publish_into("forky", "new").expect(0);
    let take = ["suite", "set", "forky", "--alias", "stable"];
    let planned = store.signed(&[&take[..], &["--dry-run"]].concat());
    assert!(
        planned.stderr.contains(
            "stable cannot be an alias of suite forky: it is already an alias of suite trixie"
        ) && planned
            .stderr
            .contains("`debucket suite set trixie --no-alias stable --sign-key "),
        "{planned:#?}"
    );
    planned.expect(3);
    store.signed(&take).expect(3);
    store
        .signed(&["suite", "set", "trixie", "--no-alias", "stable"])
        .expect(0);
    let former = store.read(&["list"]);
    assert!(
        former
            .stderr
            .contains("suite trixie no longer has the alias stable"),
        "{former:#?}"
    );
    former.expect(4);
    let unasked = store.signed(&take);
    assert!(unasked.stderr.contains("Codename"), "{unasked:#?}");
    unasked.expect(1);
    let allow = ["--allow-release-info-change"];
    store.signed(&[&take[..], &allow].concat()).expect(0);
    assert!(store.read(&["list"]).expect(0).starts_with("new"));
    store
        .signed(&["suite", "set", "forky", "--alias", "trixie"])
        .expect(3);
    store.read(&["verify", "--deep"]).expect(0);
    store.read(&["gc", "--grace", "1s", "--dry-run"]).expect(0);
}

#[test]
fn a_suite_is_deleted_with_the_rights_of_a_deleter() {
    let store = Store::start();
    store.publish_into("testing", "tool").expect(0);
    store
        .signed(&["suite", "set", "testing", "--alias", "next"])
        .expect(0);
    store.publish_into("stable", "kept").expect(0);
    let delete = |more: &[&str]| store.signed(&[&["suite", "delete", "testing"], more].concat());
    let before = store.server.keys(BUCKET);
    let planned = delete(&["--dry-run"]).expect(0);
    assert!(
        planned.starts_with("would be deleted: testing, next\n")
            && planned.ends_with("dry run: nothing was changed\n"),
        "{planned}"
    );
    let unconfirmed = delete(&[]);
    assert!(
        unconfirmed.stderr.contains("pass --yes"),
        "{unconfirmed:#?}"
    );
    unconfirmed.expect(2);
    assert_eq!(store.server.keys(BUCKET), before);
    // With a publisher's rights it is closed and stays whole, and with a deleter's it goes.
    store.allow("publisher");
    delete(&["--yes"]).expect(1);
    store.allow("deleter");
    store.read(&["list", "--suite", "testing"]).expect(0);
    let closed = store.publish_into("testing", "late");
    assert!(
        closed.stderr.contains(
            "error: suite testing is being deleted\n  next: `debucket suite delete testing --yes --sign-key "
        ),
        "{closed:#?}"
    );
    closed.expect(3);
    let found = store.read(&["verify"]);
    let reported = "dists/testing/suite.json says that the suite is being deleted";
    assert!(found.stdout.contains(reported), "{found:#?}");
    let next = "next: `debucket suite delete testing --yes --keyring ";
    assert!(found.stdout.contains(next), "{found:#?}");
    found.expect(1);
    let collected = store.read(&["gc"]);
    assert!(
        collected.stderr.contains("is being deleted"),
        "{collected:#?}"
    );
    let mut deleted = delete(&["--yes", "--output", "json"]).json();
    // The names are free when the first run is certainly dead.
    if deleted["reserved_until"] != Value::Null {
        for command in ["verify", "gc", "list --suites"] {
            let command: Vec<_> = command.split(' ').collect();
            store.read(&command).expect(0);
        }
        let early = store.publish_into("testing", "early");
        assert!(early.stderr.contains("reserved until"), "{early:#?}");
        early.expect(3);
        store
            .server
            .clock()
            .advance(std::time::Duration::from_secs(2 * 3600));
        deleted["reserved_until"] = Value::Null;
    }
    assert_eq!(deleted["aliases"], json!(["next"]));
    assert_eq!(deleted["deleted"], true);
    let left = store.server.keys(BUCKET).into_iter();
    let left: Vec<_> = left
        .filter(|key| key.contains("/testing/") || key.contains("/next/"))
        .collect();
    assert_eq!(
        left,
        [
            "robots/dists/next/suite.json",
            "robots/dists/testing/suite.json"
        ]
    );
    delete(&["--yes"]).expect(4);
    assert_eq!(store.suites(), "stable\n");
    let verified = store.read(&["verify", "--deep"]).expect(0);
    assert_eq!(verified.lines().count(), 1, "{verified}");
    store.read(&["gc", "--dry-run"]).expect(0);
    store.publish_into("testing", "anew").expect(0);
    store.read(&["verify", "--deep"]).expect(0);
}

#[test]
fn a_suite_in_the_folder_of_a_component_is_deleted_without_that() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    // Two publishers at once have made it so.
    store.publish_into("stable/updates", "other").expect(0);
    let inner = store.server.keys(BUCKET).into_iter();
    let inner = inner.filter(|key| key.contains("/stable/updates/"));
    let inner: Vec<_> = inner
        .map(|key| {
            let bytes = store.server.get(BUCKET, &key).unwrap().unwrap();
            store.server.delete(BUCKET, &key).unwrap();
            (key, bytes)
        })
        .collect();
    store.publish(&file, &["--component", "updates"]).expect(0);
    for (key, bytes) in inner {
        store.server.put(BUCKET, &key, &bytes).unwrap();
    }
    store
        .signed(&["suite", "delete", "stable/updates", "--yes"])
        .expect(0);
    store.read(&["verify", "stable", "--deep"]).expect(0);
    assert_eq!(store.read(&["list"]).expect(0), "tool  1.0  all  updates\n");
}

#[test]
fn a_folder_is_not_both_a_suites_and_a_components() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool");
    store.publish(&file, &["--component", "updates"]).expect(0);
    store.publish_into("testing/updates", "tool").expect(0);
    store.publish_into("testing", "tool").expect(0);
    store
        .signed(&["suite", "create", "nested", "--components", "updates/main"])
        .expect(0);
    let before = store.server.keys(BUCKET);
    for refused in [
        &["suite", "create", "stable/updates"][..],
        &["suite", "create", "stable/updates/more"],
        &["suite", "set", "testing", "--alias", "stable/updates"],
        &["suite", "set", "stable", "--alias", "stable/updates"],
        &[
            "suite",
            "set",
            "stable",
            "--alias",
            "testing/main/x",
            "--components",
            "x",
        ],
        &["suite", "set", "testing", "--components", "updates"],
        &["suite", "create", "x", "--alias", "x/main"],
        &["suite", "set", "testing", "--components", "updates/main"],
        &["suite", "create", "nested/updates"],
        &["suite", "create", "nested/updates/main"],
        &["suite", "create", "nested/updates/main/more"],
        &["suite", "set", "testing", "--alias", "nested/updates"],
        &[
            "suite",
            "create",
            "y",
            "--components",
            "a/b",
            "--alias",
            "y/a",
        ],
    ] {
        let run = store.signed(refused);
        let told =
            run.stderr.contains("would overlap with") || run.stderr.contains("cannot be an alias");
        assert!(told, "{run:#?}");
        run.expect(3);
        assert_eq!(store.server.keys(BUCKET), before, "{refused:?}");
    }
    for name in ["stable/main2", "nested/updates2", "nested/extra"] {
        store.signed(&["suite", "create", name]).expect(0);
    }
}

#[test]
fn a_damaged_alias_is_still_one() {
    let store = Store::start();
    store.publish_into("trixie", "tool").expect(0);
    store
        .signed(&["suite", "set", "trixie", "--alias", "stable"])
        .expect(0);
    let founding = "robots/dists/stable/suite.json";
    store.server.put(BUCKET, founding, b"").unwrap();
    store.read(&["gc"]).expect(0);
    assert_eq!(store.suites(), "trixie\nstable -> trixie\n");
    store.read(&["verify"]).expect(1);
    store.signed(&["verify", "--repair"]).expect(0);
    store.read(&["verify"]).expect(0);
}

#[test]
fn a_repair_by_the_name_of_an_alias_takes_nothing_from_its_suite() {
    let store = Store::start();
    store.publish_into("trixie", "tool").expect(0);
    let set = ["suite", "set", "trixie", "--alias", "stable"];
    store.signed(&set).expect(0);
    let (head, founding) = (
        "robots/dists/stable/InRelease",
        "robots/dists/stable/suite.json",
    );
    store.server.put(BUCKET, head, b"garbage").unwrap();
    let before = store.server.get(BUCKET, founding).unwrap();
    let repair = ["verify", "stable", "--repair", "--accept-unproven"];
    let refused = store.signed(&repair);
    assert!(
        refused
            .stderr
            .contains("stable is an alias of suite trixie"),
        "{refused:#?}"
    );
    refused.expect(3);
    assert_eq!(store.server.get(BUCKET, founding).unwrap(), before);
    store.signed(&["verify", "trixie", "--repair"]).expect(0);
    store.read(&["verify"]).expect(0);
}

/// Any publisher could write any `suite.json`.
#[test]
fn a_forged_claim_takes_no_alias_and_ends_no_command() {
    let store = Store::start();
    for suite in ["trixie", "forky"] {
        store.publish_into(suite, "tool").expect(0);
    }
    let set = ["suite", "set", "trixie", "--alias", "stable"];
    store.signed(&set).expect(0);
    let founding = "robots/dists/stable/suite.json";
    let forge = |text: &[u8]| drop(store.server.put(BUCKET, founding, text).unwrap());
    forge(b"{\"alias_of\": \"stable\"}");
    assert_eq!(store.suites(), "forky\ntrixie\nstable -> trixie\n");
    store.signed(&["verify", "--repair"]).expect(0);
    store.read(&["verify"]).expect(0);
    forge(b"{\"alias_of\": \"forky\"}");
    let deleted = store
        .signed(&["suite", "delete", "forky", "--yes"])
        .expect(0);
    assert!(deleted.starts_with("deleted: forky\n"), "{deleted}");
    store.read(&["list", "--suite", "trixie"]).expect(0);
    let head = |suite: &str| {
        store
            .server
            .get(BUCKET, &format!("robots/dists/{suite}/InRelease"))
    };
    assert_eq!(head("stable").unwrap(), head("trixie").unwrap());
    // A damaged head of a suite hides nothing else, and an alias of which nothing is whole ends no repair.
    for key in ["stable/suite.json", "stable/InRelease", "trixie/Release"] {
        let key = format!("robots/dists/{key}");
        store.server.put(BUCKET, &key, b"garbage").unwrap();
    }
    store.signed(&["verify", "--repair"]).expect(1);
    assert_ne!(
        store
            .server
            .get(BUCKET, "robots/dists/trixie/Release")
            .unwrap()
            .unwrap(),
        b"garbage"
    );
    let head = "robots/dists/trixie/InRelease";
    store.server.put(BUCKET, head, b"garbage").unwrap();
    assert!(store.suites().contains("trixie"));
}

#[test]
fn a_name_with_nothing_but_a_malformed_suite_json_is_free() {
    let store = Store::start();
    store.publish_into("stable", "tool").expect(0);
    let founding = "robots/dists/testing/suite.json";
    store.server.put(BUCKET, founding, b"garbage").unwrap();
    for command in [&["verify"][..], &["gc"]] {
        store.read(command).expect(0);
    }
    store
        .signed(&["suite", "delete", "testing", "--yes"])
        .expect(4);
    store.publish_into("testing", "tool").expect(0);
    store.read(&["verify"]).expect(0);
}

#[test]
fn suites_are_listed_as_what_they_are() {
    let store = Store::start();
    store.publish_into("trixie", "tool").expect(0);
    let set = |more: &[&str]| store.signed(&[&["suite", "set", "trixie"], more].concat());
    set(&["--alias", "stable", "--alias", "old"]).expect(0);
    set(&["--no-alias", "old"]).expect(0);
    let theirs = "robots/dists/theirs/Release";
    store
        .server
        .put(BUCKET, theirs, b"Suite: theirs\n")
        .unwrap();
    let expected = "trixie\nstable -> trixie\nold (was an alias of trixie)\n\
                    theirs (of another program)\n";
    assert_eq!(store.suites(), expected);
    let listed = run(&mut store.debucket(&["suite", "list", "--output", "json"])).json();
    assert_eq!(listed["suites"], json!(["trixie"]));
    assert_eq!(listed["aliases"], json!({ "stable": "trixie" }));
    assert_eq!(listed["dropped_aliases"], json!({ "old": "trixie" }));
    assert_eq!(listed["foreign"], json!(["theirs"]));
}
