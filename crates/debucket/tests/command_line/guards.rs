//! What the program refuses although its caller may write: heads that are not the suite's newest, changes that devices would
//! refuse; and that it needs no more rights than it says.

use std::path::PathBuf;

use dev_s3::{AccessKey, DevS3, Grants, Policy};

use crate::{
    package,
    run::{BUCKET, Run, Store, debucket, run},
};

const HEAD: &str = "robots/dists/stable/InRelease";

fn build(store: &Store, version: &str) -> PathBuf {
    package::write(store.folder.path(), "hello", version, "all", version)
}

fn head(store: &Store) -> Vec<u8> {
    store.server.get(BUCKET, HEAD).unwrap().unwrap()
}

/// A refusal: an error with this text, and advice with this one.
#[track_caller]
fn expect_refused(run: &Run, error: &str, advice: &str) {
    assert_eq!(run.code, 1, "{run:#?}");
    let (told, next) = run.stderr.split_once("next: ").unwrap();
    assert!(told.contains(error) && next.contains(advice), "{run:#?}");
}

#[test]
fn a_head_that_was_put_back_is_refused_unless_it_is_accepted() {
    let store = Store::start();
    store.publish(&build(&store, "1.0"), &[]).expect(0);
    let old = head(&store);
    store.publish(&build(&store, "2.0"), &[]).expect(0);
    store.server.put(BUCKET, HEAD, &old).unwrap();
    let third = build(&store, "3.0");
    expect_refused(
        &store.publish(&third, &[]),
        "suite stable was put back",
        "--accept-rollback",
    );
    assert_eq!(head(&store), old);
    let config = || {
        let mut command = store.debucket(&["client-config", "--key"]);
        run(command.arg(store.path("public.asc")))
    };
    let reads = || {
        let commands = [
            &["list"][..],
            &["show", "hello"],
            &["log"],
            &["exists", "hello"],
        ];
        let mut reads: Vec<_> = commands.map(|command| store.read(command)).into();
        reads.push(config());
        reads
    };
    for read in reads() {
        assert_eq!(read.code, 0, "{read:#?}");
        let warning = "warning: suite stable was put back: its head is commit ";
        assert!(read.stderr.contains(warning), "{read:#?}");
        let next = "\n  next: `debucket verify stable --repair";
        assert!(read.stderr.contains(next), "{read:#?}");
    }
    store.publish(&third, &["--accept-rollback"]).expect(0);
    store.publish(&build(&store, "4.0"), &[]).expect(0);
    for read in reads() {
        assert!(!read.stderr.contains("put back"), "{read:#?}");
    }
}

#[test]
fn going_on_from_an_older_head_takes_its_place_even_with_nothing_to_publish() {
    let store = Store::start();
    let first = build(&store, "1.0");
    store.publish(&first, &[]).expect(0);
    let old = head(&store);
    store.publish(&build(&store, "2.0"), &[]).expect(0);
    store.server.put(BUCKET, HEAD, &old).unwrap();
    let accepted = store.publish(&first, &["--accept-rollback"]).expect(0);
    assert!(accepted.contains("is at commit"), "{accepted}");
    store.publish(&build(&store, "3.0"), &[]).expect(0);
}

#[test]
fn a_false_record_of_succession_stops_a_publish_until_it_is_told_to_go_on() {
    let store = Store::start();
    store.publish(&build(&store, "1.0"), &[]).expect(0);
    let (id, _) = store.commit();
    let record = format!("robots/dists/stable/succession/{id}");
    store.server.put(BUCKET, &record, b"garbage").unwrap();
    let second = build(&store, "2.0");
    expect_refused(
        &store.publish(&second, &[]),
        "does not name a commit",
        "--accept-rollback",
    );
    let list = store.read(&["list"]);
    assert!(list.stderr.contains("does not name a commit"), "{list:#?}");
    list.expect(0);
    store.publish(&second, &["--accept-rollback"]).expect(0);
    store.publish(&build(&store, "3.0"), &[]).expect(0);
}

#[test]
fn a_package_that_vanished_from_the_pool_is_sent_again() {
    let store = Store::start();
    let file = build(&store, "1.0");
    store.publish(&file, &[]).expect(0);
    let key = "robots/pool/main/h/hello/hello_1.0_all.deb";
    store.server.delete(BUCKET, key).unwrap();
    let told = "hello_1.0_all.deb was missing from the pool";
    let planned = store.publish(&file, &["--dry-run"]);
    assert!(planned.stderr.contains(told), "{planned:#?}");
    assert!(store.server.get(BUCKET, key).unwrap().is_none());
    let again = store.publish(&file, &[]);
    assert!(again.stderr.contains(told), "{again:#?}");
    again.expect(0);
    assert!(store.server.get(BUCKET, key).unwrap().is_some());
    store.server.put(BUCKET, key, b"something else").unwrap();
    let planned = store.publish(&file, &["--dry-run"]);
    let told = "hello_1.0_all.deb has other content than the suite's index says";
    assert!(planned.stderr.contains(told), "{planned:#?}");
    assert!(
        planned.stdout.contains("nothing was written"),
        "{planned:#?}"
    );
    let again = store.publish(&file, &[]);
    assert!(again.stderr.contains(told), "{again:#?}");
    again.expect(0);
    // Another suite may have what is there.
    assert_eq!(
        store.server.get(BUCKET, key).unwrap().unwrap(),
        b"something else"
    );
    store.read(&["verify", "--deep"]).expect(0);
}

#[test]
fn a_suite_whose_head_vanished_does_not_start_again() {
    let store = Store::start();
    store.publish(&build(&store, "1.0"), &[]).expect(0);
    store.server.delete(BUCKET, HEAD).unwrap();
    let second = build(&store, "2.0");
    expect_refused(
        &store.publish(&second, &[]),
        "its InRelease is missing",
        "` brings it back",
    );
    let follower = "robots/dists/stable/Release";
    store.server.delete(BUCKET, follower).unwrap();
    expect_refused(
        &store.publish(&second, &[]),
        "has a history, but its head is missing",
        "`debucket verify stable --repair --sign-key ",
    );
    for read in [
        &["list"][..],
        &["log"],
        &["show", "hello"],
        &["suite", "show", "stable"],
        &["diff", "stable@~1", "stable"],
    ] {
        expect_refused(
            &store.read(read),
            "has a history, but its head is missing",
            "`debucket verify stable --repair --keyring ",
        );
    }
    store.read(&["list", "--suite", "nosuch"]).expect(4);
    assert!(store.server.get(BUCKET, HEAD).unwrap().is_none());
}

#[test]
fn a_head_copied_from_another_suite_is_refused() {
    let store = Store::start();
    store.publish(&build(&store, "1.0"), &[]).expect(0);
    let folder = "robots/dists/stable/";
    for key in store.server.keys(BUCKET) {
        if let Some(rest) = key.strip_prefix(folder) {
            let bytes = store.server.get(BUCKET, &key).unwrap().unwrap();
            let copy = format!("robots/dists/testing/{rest}");
            store.server.put(BUCKET, &copy, &bytes).unwrap();
        }
    }
    expect_refused(
        &store.publish(&build(&store, "2.0"), &["--suite", "testing"]),
        "the head of suite testing is that of suite stable",
        "publish them twice",
    );
    let list = store.read(&["list", "--suite", "testing"]);
    assert_eq!(list.code, 1, "{list:#?}");
}

#[test]
fn a_changed_label_is_refused_unless_it_is_allowed() {
    let store = Store::start();
    let file = build(&store, "1.0");
    store.publish(&file, &["--label", "Acme"]).expect(0);
    let before = head(&store);
    for more in [
        &["--label", "Robots"][..],
        &["--origin", "Acme"],
        &["--label", "Robots", "--dry-run"],
        &["--origin", "Acme", "--output", "json"],
    ] {
        let refused = store.publish(&file, more);
        expect_refused(
            &refused,
            "would notice this change",
            "--allow-release-info-change",
        );
        assert_eq!(head(&store), before);
    }
    let allowed = ["--label", "Robots", "--allow-release-info-change"];
    let shown = |more: &[&str]| {
        store
            .publish(&file, &[&allowed[..], more].concat())
            .expect(0)
    };
    assert!(shown(&["--dry-run"]).contains("  devices notice: "));
    let json: serde_json::Value =
        serde_json::from_str(&shown(&["--dry-run", "--output", "json"])).unwrap();
    assert_eq!(
        json["client_changes"].as_array().unwrap().len(),
        1,
        "{json}"
    );
    assert_eq!(head(&store), before);
    store.publish(&file, &allowed).expect(0);
    let text = String::from_utf8(head(&store)).unwrap();
    assert!(text.contains("\nLabel: Robots\n"), "{text}");
}

#[test]
fn the_printed_policies_are_enough() {
    let store = Store::start();
    let policy = |role| {
        let printed = run(debucket().args([
            "client-config",
            "--repo",
            "s3://acme-apt/robots",
            "--policy",
            role,
        ]));
        Grants::Policy(Policy::parse(&printed.expect(0)).unwrap())
    };
    let allow = |grants| {
        let key = AccessKey::new(DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET, grants);
        store.server.set_access_keys(vec![key]);
    };
    allow(policy("publisher"));
    // The first commit of a suite, later ones, one with nothing to do, and another build of a version.
    for version in ["1.0", "2.0", "2.0"] {
        let run = store.publish(&build(&store, version), &[]);
        assert!(!run.stderr.contains("warning"), "{run:#?}");
        run.expect(0);
    }
    let other = package::write(store.folder.path(), "hello", "2.0", "all", "another build");
    let run = store.publish(&other, &["--replace"]);
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    run.expect(0);
    store.read(&["list", "--suites"]).expect(0);

    allow(policy("reader"));
    assert!(store.read(&["list"]).expect(0).starts_with("hello"));
    let refused = store.publish(&build(&store, "3.0"), &[]);
    assert_eq!(refused.code, 1, "{refused:#?}");
}
