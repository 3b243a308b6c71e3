//! Packages are taken out, promoted, pruned and brought back.

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

impl Store {
    /// A command that changes a suite, signed with the store's key.
    pub(crate) fn change(&self, arguments: &[&str]) -> Run {
        run(self
            .debucket(arguments)
            .arg("--sign-key")
            .arg(self.path("key.asc")))
    }

    /// Publishes `name version`, with that as its content.
    pub(crate) fn add(&self, suite: &str, name: &str, version: &str) {
        let file = package::write(
            self.folder.path(),
            name,
            version,
            "all",
            &format!("{name} {version}"),
        );
        self.publish(&file, &["--suite", suite]).expect(0);
    }

    /// The packages of a suite, `name version`.
    fn packages(&self, suite: &str) -> Vec<String> {
        let list = self.read(&["list", "--suite", suite]).expect(0);
        let line = |line: &str| {
            line.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        list.lines().map(line).collect()
    }

    fn pool(&self) -> Vec<String> {
        let keys = self.server.keys(BUCKET).into_iter();
        keys.filter(|key| key.contains("/pool/")).collect()
    }
}

#[test]
fn what_is_removed_is_gone_from_the_suite_and_stays_in_the_pool() {
    let store = Store::start();
    for version in ["1.0", "1.0-1", "2.0"] {
        store.add("stable", "tool", version);
    }
    store.add("stable", "other", "1");
    let pool = store.pool();
    let planned = store.change(&["remove", "tool=1.0", "--dry-run"]).expect(0);
    assert!(
        planned.contains("  remove  tool  1.0  all  main")
            && planned.ends_with("dry run: nothing was written\n"),
        "{planned}"
    );
    let removed = store
        .change(&["remove", "tool=1.0", "--message", "Broken"])
        .expect(0);
    assert!(
        removed.starts_with("removed  tool  1.0  all  main\nsuite stable in"),
        "{removed}"
    );
    assert_eq!(
        store.packages("stable"),
        ["other 1", "tool 1.0-1", "tool 2.0"]
    );
    store.change(&["remove", "tool (<< 2.0)", "oth*"]).expect(0);
    assert_eq!(store.packages("stable"), ["tool 2.0"]);
    assert_eq!(store.pool(), pool);
    let log = store.read(&["log", "--oneline"]).expect(0);
    assert!(
        log.lines()
            .next()
            .unwrap()
            .contains("remove other_1_all, remove tool_1.0-1_all"),
        "{log}"
    );
    let log = store.read(&["log", "-n", "1"]).expect(0);
    assert!(log.contains("    -  other  1      all  main\n"), "{log}");
}

#[test]
fn removing_nothing_ends_with_4_unless_that_is_allowed() {
    let store = Store::start();
    store.add("stable", "tool", "1.0");
    let missing = store.change(&["remove", "tool", "tol", "--dry-run"]);
    assert_eq!(missing.code, 4, "{missing:#?}");
    assert!(
        missing.stderr.contains("suite stable has no package tol"),
        "{}",
        missing.stderr
    );
    store.change(&["remove", "tool", "tol"]).expect(4);
    assert_eq!(
        store.packages("stable"),
        ["tool 1.0"],
        "nothing is done by halves"
    );
    store
        .change(&["remove", "tool", "tol", "--allow-missing"])
        .expect(0);
    let again = store
        .change(&["remove", "tool", "--allow-missing"])
        .expect(0);
    assert!(again.starts_with("nothing to do"), "{again}");
    assert!(store.packages("stable").is_empty());
    for selector in ["", "a b", "tool (<<", "tool=="] {
        store.change(&["remove", selector]).expect(2);
    }
}

#[test]
fn commands_on_a_suite_that_does_not_exist_end_with_4_and_create_nothing() {
    let store = Store::start();
    for arguments in [
        &["remove", "tool"][..],
        &["remove", "tool", "--allow-missing"],
        &["prune", "--keep", "1"],
        &["prune", "--keep", "1", "--older-than", "1d"],
        &["rollback", "--to", "@~1"],
        &["refresh"],
        &["suite", "set", "stable", "--keep", "3"],
        &["suite", "show", "stable"],
        &["promote", "--all", "--from", "testing", "--to", "stable"],
    ] {
        let missing = match arguments {
            [_, "show", ..] => store.read(arguments),
            _ => store.change(arguments),
        };
        assert_eq!(missing.code, 4, "{arguments:?} {missing:#?}");
        assert!(
            missing.stderr.contains("there is no suite"),
            "{}",
            missing.stderr
        );
    }
    assert!(store.server.keys(BUCKET).is_empty());
}

#[test]
fn packages_are_promoted_without_being_sent_again() {
    let store = Store::start();
    for version in ["1.0", "2.0"] {
        store.add("testing", "tool", version);
    }
    store.add("testing", "other", "1");
    let pool = store.pool();
    let promote = ["promote", "--from", "testing", "--to", "stable"];
    let promoted = store
        .change(&[&promote[..], &["tool=1.0"]].concat())
        .expect(0);
    assert!(
        promoted.contains("added  tool  1.0  all  main\ncreated suite stable"),
        "{promoted}"
    );
    assert_eq!(store.packages("stable"), ["tool 1.0"]);
    let again = store
        .change(&[&promote[..], &["tool=1.0"]].concat())
        .expect(0);
    assert!(again.starts_with("nothing to do"), "{again}");
    let missing = store.change(&[&promote[..], &["tool=3"]].concat());
    assert_eq!(missing.code, 4);
    assert!(
        missing
            .stderr
            .contains("suite testing has no package tool=3"),
        "{}",
        missing.stderr
    );
    // `copy` is the same command.
    store
        .change(&[
            "copy",
            "other",
            "--from",
            "testing",
            "--to",
            "stable",
            "--to-component",
            "extra",
        ])
        .expect(0);
    let list = store.read(&["list"]).expect(0);
    assert!(list.contains("other  1    all  extra\n"), "{list}");

    store
        .change(&[&promote[..], &["other", "--mirror"]].concat())
        .expect(2);
    store
        .change(&[&promote[..], &["--all", "--component", "none"]].concat())
        .expect(4);
    store.change(&["suite", "create", "empty"]).expect(0);
    store
        .change(&["promote", "--all", "--from", "empty", "--to", "copy"])
        .expect(0);
    assert!(store.packages("copy").is_empty());

    store.add("stable", "own", "1");
    store.change(&[&promote[..], &["--all"]].concat()).expect(0);
    assert_eq!(
        store.packages("stable"),
        ["other 1", "other 1", "own 1", "tool 1.0", "tool 2.0"]
    );
    store
        .change(&["remove", "tool=1.0", "--suite", "testing"])
        .expect(0);
    store
        .change(&[&promote[..], &["--all", "--mirror"]].concat())
        .expect(0);
    // “other” in component extra is not in the source, either.
    assert_eq!(store.packages("stable"), ["other 1", "tool 2.0"]);
    assert_eq!(
        store.pool().len(),
        pool.len() + 1,
        "only the publish of “own” sent a package"
    );
}

#[test]
fn promoting_another_build_is_a_conflict() {
    let store = Store::start();
    let build = |content| package::write(store.folder.path(), "tool", "1.0", "all", content);
    store
        .publish(&build("one"), &["--suite", "testing"])
        .expect(0);
    store
        .publish(&build("two"), &["--suite", "stable"])
        .expect(0);
    let promote = ["promote", "tool", "--from", "testing", "--to", "stable"];
    store.change(&promote).expect(3);
    store
        .change(&[&promote[..], &["--replace"]].concat())
        .expect(0);
    let shown = store.read(&["show", "tool"]).expect(0);
    assert!(shown.contains("Description: one\n"), "{shown}");
    store
        .change(&["promote", "tool", "--from", "stable", "--to", "stable"])
        .expect(2);
}

#[test]
fn old_versions_are_pruned_by_command_and_by_policy() {
    let store = Store::start();
    for version in ["1", "2", "3", "10"] {
        store.add("stable", "tool", version);
    }
    let kept = store
        .change(&["prune", "--keep", "1", "--older-than", "1d"])
        .expect(0);
    assert!(
        kept.starts_with("nothing to do"),
        "all of it is new: {kept}"
    );
    store
        .change(&["prune", "--keep", "1", "--below", "3"])
        .expect(0);
    assert_eq!(store.packages("stable"), ["tool 3", "tool 10"]);
    let other = ["prune", "other*", "--keep", "1", "--allow-missing"];
    let other = store.change(&other).expect(0);
    assert!(other.starts_with("nothing to do"), "{other}");
    store.change(&["prune", "--keep", "0"]).expect(2);
    store
        .change(&["suite", "set", "stable", "--keep", "2"])
        .expect(0);
    let file = package::write(store.folder.path(), "tool", "11", "all", "tool 11");
    let published = store.publish(&file, &[]).expect(0);
    assert!(
        published.starts_with("removed  tool  3   all  main\nadded    tool  11  all  main\n"),
        "{published}"
    );
    store.change(&["prune", "--keep", "1"]).expect(0);
    assert_eq!(store.packages("stable"), ["tool 11"]);
}

#[test]
fn a_rollback_is_a_new_commit_with_the_old_content() {
    let store = Store::start();
    store.add("stable", "tool", "1.0");
    store.add("stable", "tool", "2.0");
    store.change(&["remove", "tool=1.0"]).expect(0);
    let ids = |store: &Store| -> Vec<String> {
        let log = store.read(&["log", "--output", "json"]).json();
        let ids = log
            .as_array()
            .unwrap()
            .iter()
            .map(|commit| commit["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let before = ids(&store);
    store.change(&["rollback", "--to", "@~2"]).expect(0);
    assert_eq!(store.packages("stable"), ["tool 1.0"]);
    store
        .change(&["rollback", "--to", before[1].get(..8).unwrap()])
        .expect(0);
    assert_eq!(store.packages("stable"), ["tool 1.0", "tool 2.0"]);
    let now = store.change(&["rollback", "--to", "9999-01-01"]).expect(0);
    assert!(now.starts_with("nothing to do"), "{now}");
    let after = ids(&store);
    assert_eq!(after.len(), 5);
    assert!(after.ends_with(&before));
    for (revision, code) in [
        ("@~5", 4),
        ("000000", 4),
        ("2001-01-01", 4),
        ("yesterday", 2),
        ("abc", 2),
    ] {
        let refused = store.change(&["rollback", "--to", revision]);
        assert_eq!(refused.code, code, "{revision} {refused:#?}");
    }
}

#[test]
fn a_rollback_to_a_time_goes_to_what_was_the_newest_then() {
    let store = Store::start();
    let clock = store.server.clock();
    let now = || jiff::Timestamp::from_second(clock.unix()).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let mut times = vec![now() - jiff::SignedDuration::from_hours(1)];
    for version in ["1.0", "2.0", "3.0"] {
        store.add("stable", "tool", version);
        clock.advance(hour);
        times.push(now());
        clock.advance(hour);
    }
    let date = |store: &Store| {
        let shown = store.read(&["suite", "show", "stable", "--output", "json"]);
        shown.json()["date"].as_str().unwrap().to_owned()
    };
    let before = date(&store);
    store
        .change(&["rollback", "--to", &times[0].to_string()])
        .expect(4);
    // In another time zone, in UTC without one, and as it is written otherwise.
    let first = times[1].to_string().replace('Z', "+00:00");
    let second = times[2].to_string().replace('Z', "");
    for (time, expected) in [
        (first.as_str(), &["tool 1.0"][..]),
        (&second, &["tool 1.0", "tool 2.0"]),
        (&times[3].to_string(), &["tool 1.0", "tool 2.0", "tool 3.0"]),
    ] {
        store.change(&["rollback", "--to", time]).expect(0);
        assert_eq!(store.packages("stable"), expected, "{time}");
        assert!(date(&store) > before);
    }
    // The store's clock is set back: the date of the new head is no earlier than the last.
    let last = date(&store);
    clock.set_offset(-1800);
    store.change(&["rollback", "--to", "@~1"]).expect(0);
    assert_eq!(date(&store), last);
}

#[test]
fn a_rollback_to_what_was_deleted_names_what_is_gone() {
    let store = Store::start();
    store.add("stable", "tool", "1.0");
    store.change(&["remove", "tool"]).expect(0);
    let deb = "robots/pool/main/t/tool/tool_1.0_all.deb";
    let bytes = store.server.get(BUCKET, deb).unwrap().unwrap();
    store.server.delete(BUCKET, deb).unwrap();
    let refused = store.change(&["rollback", "--to", "@~1"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("pool/main/t/tool/tool_1.0_all.deb is missing"),
        "{}",
        refused.stderr
    );
    store.server.put(BUCKET, deb, &bytes).unwrap();
    let is_index = |key: &String| key.contains("/by-hash/");
    for key in store.server.keys(BUCKET).into_iter().filter(is_index) {
        store.server.delete(BUCKET, &key).unwrap();
    }
    let refused = store.change(&["rollback", "--to", "@~1"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("is no longer whole: dists/"),
        "{refused:#?}"
    );
}

#[test]
fn pruning_a_package_that_is_not_there_ends_with_4() {
    let store = Store::start();
    store.change(&["suite", "create", "stable"]).expect(0);
    store.change(&["prune", "--keep", "1"]).expect(0);
    store.add("stable", "tool", "1.0");
    let missing = store.change(&["prune", "tool", "typo", "--keep", "1"]);
    assert_eq!(missing.code, 4, "{missing:#?}");
    let words = "suite stable has no package typo\n  next: `debucket list --suite stable` prints";
    assert!(missing.stderr.contains(words), "{}", missing.stderr);
    let allowed = ["prune", "typo", "--keep", "1", "--allow-missing"];
    store.change(&allowed).expect(0);
    let main = ["prune", "--keep", "1", "--component", "main"];
    store.change(&main).expect(0);
    let nowhere = ["prune", "--keep", "1", "--component", "mian"];
    let missing = store.change(&nowhere);
    let words = "suite stable has no component mian\n";
    assert!(missing.stderr.contains(words), "{missing:#?}");
    missing.expect(4);
    let allowed = [&nowhere[..], &["--allow-missing"]].concat();
    store.change(&allowed).expect(0);
    // The newest stays, so nothing is done; but it is there.
    store.change(&["prune", "tool", "--keep", "1"]).expect(0);
}

#[test]
fn a_time_before_all_commits_is_told_from_the_oldest() {
    let store = Store::start();
    store.add("stable", "tool", "1.0");
    let date = store.read(&["list", "--output", "json"]).json()["date"].clone();
    let early = store.change(&["rollback", "--to", "2001-02-03"]);
    assert_eq!(early.code, 4, "{early:#?}");
    let words = format!(
        "no commit of 2001-02-03T00:00:00Z or before: its oldest is of {}\n  next: give a later time, where a date means its \
         first moment in UTC",
        date.as_str().unwrap()
    );
    assert!(early.stderr.contains(&words), "{}", early.stderr);
}
