//! Garbage goes in two steps, by the clock of the store, and with no more rights than the printed policy gives.

use std::time::Duration;

use dev_s3::{AccessKey, DevS3, Grants, Policy};

use crate::{
    package,
    run::{BUCKET, REPO, Run, Store, debucket, run},
};

impl Store {
    pub(crate) fn gc(&self, more: &[&str]) -> Run {
        self.read(&[&["gc"], more].concat())
    }

    pub(crate) fn wait(&self, hours: u64) {
        self.server
            .clock()
            .advance(Duration::from_secs(hours * 3600 + 1));
    }

    pub(crate) fn add_and_remove(&self) {
        for version in ["1.0", "2.0"] {
            let text = format!("tool {version}");
            let file = package::write(self.folder.path(), "tool", version, "all", &text);
            self.publish(&file, &[]).expect(0);
        }
        run(self
            .debucket(&["remove", "tool=1.0", "--sign-key"])
            .arg(self.path("key.asc")))
        .expect(0);
    }

    /// Gives the credentials the rights of the printed policy, and no more.
    pub(crate) fn allow(&self, role: &str) {
        self.grant(Grants::Policy(
            Policy::parse(&printed_policy(role)).unwrap(),
        ));
    }

    pub(crate) fn allow_all(&self) {
        self.grant(Grants::All);
    }

    pub(crate) fn grant(&self, grants: Grants) {
        let key = AccessKey::new(DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET, grants);
        self.server.set_access_keys(vec![key]);
    }
}

pub(crate) fn printed_policy(role: &str) -> String {
    let repo = ["--repo", REPO, "--policy", role];
    run(debucket().arg("client-config").args(repo)).expect(0)
}

#[test]
fn garbage_goes_in_two_steps_with_the_printed_policies() {
    let store = Store::start();
    store.add_and_remove();
    let before = store.server.keys(BUCKET);
    let keep = ["--grace", "10h", "--keep-history", "1h"];
    store.wait(11);
    store.allow("collector");
    let planned = store.gc(&[&keep[..], &["--dry-run"]].concat()).expect(0);
    assert!(
        planned.starts_with("condemn  dists/stable/commits/")
            && planned.contains("condemn  pool/main/t/tool/tool_1.0_all.deb\n")
            && planned.ends_with("dry run: nothing was changed\n"),
        "{planned}"
    );
    assert_eq!(store.server.keys(BUCKET), before);
    let condemned = store.gc(&keep).expect(0);
    assert!(
        condemned.starts_with("deleted: 0 objects (0 B)\ncondemned: 12 objects ("),
        "{condemned}"
    );
    let waiting = store.gc(&keep).expect(0);
    assert!(
        waiting.contains("condemned: 0 objects (0 B)\nwaiting: 12 objects ("),
        "{waiting}"
    );

    // A publisher brings a condemned package back, with the rights of a publisher.
    store.wait(11);
    store.allow("publisher");
    let file = package::write(store.folder.path(), "tool", "1.0", "all", "tool 1.0");
    store.publish(&file, &[]).expect(0);
    store.gc(&keep).expect(1);

    store.allow("collector");
    let deleted = store
        .gc(&[&keep[..], &["--output", "json"]].concat())
        .json();
    let keys = deleted["deleted_keys"].as_array().unwrap();
    assert!(
        !keys.is_empty()
            && keys
                .iter()
                .all(|key| !key.as_str().unwrap().contains("pool/"))
    );
    let left = store.server.keys(BUCKET);
    assert!(left.len() < before.len() + 12);
    store.allow("reader");
    store.read(&["list"]).expect(0);
    store.allow_all();
    store.read(&["verify", "--deep"]).expect(0);
    store.read(&["log", "--verify"]).expect(0);
    let log = store.read(&["log", "--oneline"]).expect(0);
    assert!((1..=4).contains(&log.lines().count()), "{log}");
}

#[test]
fn nothing_is_collected_unless_every_suite_is_verified() {
    let store = Store::start();
    store.add_and_remove();
    store.wait(25);
    let refuse = |run: Run, error: &str, advice: &str| {
        assert_eq!(run.code, 1, "{run:#?}");
        let (told, next) = run.stderr.split_once("next: ").unwrap();
        assert!(told.contains(error) && next.contains(advice), "{run:#?}");
    };
    let blind = run(&mut store.debucket(&["gc"]));
    refuse(blind, "suite stable was not verified", "--keyring");
    let foreign = "robots/dists/theirs/Release";
    store
        .server
        .put(BUCKET, foreign, b"Suite: theirs\n")
        .unwrap();
    refuse(store.gc(&[]), "another tool wrote theirs", "--leave-pool");
    let left = store
        .gc(&["--leave-pool", "--keep-history", "1h"])
        .expect(0);
    assert!(left.contains("package files were left alone"), "{left}");
    store.server.delete(BUCKET, foreign).unwrap();
    store
        .server
        .delete(BUCKET, "robots/dists/stable/InRelease")
        .unwrap();
    store.gc(&[]).expect(1);
    for wrong in [&["gc", "--grace", "0h"][..], &["gc", "--grace", "soon"]] {
        run(&mut store.debucket(wrong)).expect(2);
    }
}

#[test]
fn advice_names_no_option_that_a_collection_does_not_have() {
    let store = Store::start();
    store.add_and_remove();
    let head = "robots/dists/stable/InRelease";
    let new = store.server.get(BUCKET, head).unwrap().unwrap();
    let file = package::write(store.folder.path(), "tool", "3.0", "all", "tool 3.0");
    store.publish(&file, &[]).expect(0);
    store.server.put(BUCKET, head, &new).unwrap();
    let refused = store.gc(&[]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    let (told, next) = refused.stderr.split_once("next: ").unwrap();
    assert!(told.contains("was put back"), "{refused:#?}");
    assert!(
        next.starts_with("`debucket verify stable --repair --keyring "),
        "{next}"
    );
    assert!(
        next.contains("ask a publisher to pass --accept-rollback"),
        "{next}"
    );
}
