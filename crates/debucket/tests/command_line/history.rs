//! Commits that are lost, heads that were put back in a repository to promote from, and suites of other tools: what is told, and what
//! goes on.

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

impl Store {
    /// Four commits, one for each version; their names, newest first.
    fn of_four() -> (Self, Vec<String>) {
        let store = Self::start();
        for version in ["1.0", "2.0", "3.0", "4.0"] {
            let file = package::write(store.folder.path(), "hello", version, "all", version);
            store.publish(&file, &[]).expect(0);
        }
        let log = store.read(&["log", "--output", "json"]).json();
        let ids = log.as_array().unwrap().iter();
        let ids = ids.map(|commit| commit["id"].as_str().unwrap().to_owned());
        let ids = ids.collect();
        (store, ids)
    }

    fn lose(&self, commit: &str) {
        let key = format!("robots/dists/stable/commits/{commit}.json");
        self.server.delete(BUCKET, &key).unwrap();
    }
}

fn change(store: &Store, arguments: &[&str]) -> Run {
    let mut command = store.debucket(arguments);
    run(command.arg("--sign-key").arg(store.path("key.asc")))
}

#[test]
fn the_history_is_told_beyond_a_lost_commit() {
    let (store, ids) = Store::of_four();
    store.lose(&ids[1]);
    let warning = format!("warning: commit {} of suite stable is lost", ids[1]);

    let log = store.read(&["log", "--oneline"]);
    assert!(log.stderr.contains(&warning), "{log:#?}");
    let shown: Vec<_> = log
        .stdout
        .lines()
        .flat_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(shown.len(), 3, "{log:#?}");
    for (short, nth) in shown.iter().zip([0, 2, 3]) {
        assert!(ids[nth].starts_with(short), "{log:#?}");
    }
    log.expect(0);
    let log = store.read(&["log", "--output", "json"]).json();
    assert_eq!(log.as_array().unwrap().len(), 3);

    let diff = store.read(&["diff", "stable@~2", "stable"]);
    assert!(diff.stderr.contains(&warning), "{diff:#?}");
    assert!(
        diff.stdout.contains("upgraded  hello  3.0, 4.0"),
        "{diff:#?}"
    );
    diff.expect(0);
    let list = store.read(&["list", "--commit", "@~3"]);
    assert!(list.stderr.contains(&warning), "{list:#?}");
    assert_eq!(list.expect(0), "hello  1.0  all  main\n");

    let prune = ["prune", "--keep", "1", "--older-than", "1d"];
    let pruned = change(&store, &prune);
    assert!(pruned.stderr.contains(&warning), "{pruned:#?}");
    assert!(pruned.stdout.starts_with("nothing to do"), "{pruned:#?}");
    pruned.expect(0);

    let verified = store.verify(&[]);
    let told = "4 packages (17.2 kB), 3 commits: no problem, 1 loss in its history\n";
    assert!(verified.stdout.contains(told), "{verified:#?}");
    assert!(verified.stdout.contains("next: nothing has to be done"));
    verified.expect(0);
    // Whether all of the history is there is another question.
    store.read(&["log", "--verify"]).expect(1);

    // Nothing that a record alone leads to is signed, unless it is named in full.
    let refused = change(&store, &["rollback", "--to", "@~2"]);
    assert!(
        refused.stderr.contains("no signature vouches for commit")
            && refused.stderr.contains(&ids[2]),
        "{refused:#?}"
    );
    refused.expect(1);
    let lost = change(&store, &["rollback", "--to", "@~1"]);
    assert!(lost.stderr.contains("is missing or damaged"), "{lost:#?}");
    lost.expect(1);
    change(&store, &["rollback", "--to", &ids[2]]).expect(0);
    assert_eq!(store.read(&["list"]).expect(0).lines().count(), 2);
}

#[test]
fn nothing_is_promoted_from_a_head_that_was_put_back() {
    let (store, _) = Store::of_four();
    store.server.create_bucket("acme-prod").unwrap();
    let head = "robots/dists/stable/InRelease";
    let promote = |more: &[&str]| {
        let promote = [
            "promote",
            "--from-repo",
            "s3://acme-apt/robots",
            "--from",
            "stable",
        ];
        let to = ["--to", "stable", "--repo", "s3://acme-prod/apt"];
        change(&store, &[&promote, &to[..], more].concat())
    };
    promote(&["--all"]).expect(0);
    let old = store.server.get(BUCKET, head).unwrap().unwrap();
    change(&store, &["remove", "hello=4.0"]).expect(0);
    promote(&["--all", "--mirror"]).expect(0);
    store.server.put(BUCKET, head, &old).unwrap();
    for more in [&["--all", "--mirror"][..], &["--all"], &["hello=4.0"]] {
        let refused = promote(more);
        assert_eq!(refused.code, 1, "{refused:#?}");
        let next = "next: `debucket verify stable --repair --repo s3://acme-apt/robots --sign-key ";
        assert!(
            refused.stderr.contains("suite stable was put back") && refused.stderr.contains(next),
            "{refused:#?}"
        );
        assert!(!refused.stderr.contains("warning: "), "{refused:#?}");
    }
    let list = store.read(&["list", "--repo", "s3://acme-prod/apt"]);
    assert_eq!(list.expect(0).lines().count(), 3);
}

#[test]
fn what_is_advised_about_a_source_names_its_repository() {
    let (store, ids) = Store::of_four();
    store.server.create_bucket("acme-prod").unwrap();
    store.lose(&ids[0]);
    let promote = [
        "promote",
        "--all",
        "--from-repo",
        "s3://acme-apt/robots",
        "--from",
        "stable",
    ];
    let refused = change(
        &store,
        &[
            &promote[..],
            &["--to", "stable", "--repo", "s3://acme-prod"],
        ]
        .concat(),
    );
    assert_eq!(refused.code, 1, "{refused:#?}");
    let (_, next) = refused.stderr.split_once("next: ").unwrap();
    let commands: Vec<_> = next.split('`').skip(1).step_by(2).collect();
    assert!(!commands.is_empty(), "{next}");
    for command in commands {
        assert!(command.contains(" --repo s3://acme-apt/robots"), "{next}");
    }
}

#[test]
fn another_tools_suite_is_adopted_and_not_repaired() {
    let store = Store::start();
    let release = "robots/dists/stable/Release";
    store
        .server
        .put(BUCKET, release, b"Suite: stable\nComponents: main\n")
        .unwrap();
    store
        .server
        .put(BUCKET, "robots/pool/main/t/tool/tool_1.0_all.deb", b"x")
        .unwrap();
    let before = store.server.keys(BUCKET);
    let repair = ["verify", "stable", "--repair", "--accept-unproven"];
    for refused in [store.verify(&["stable"]), change(&store, &repair)] {
        assert!(
            refused.stderr.contains("`debucket adopt stable --"),
            "{refused:#?}"
        );
        assert_eq!(refused.expect(1), "");
    }
    assert_eq!(store.server.keys(BUCKET), before);
}
