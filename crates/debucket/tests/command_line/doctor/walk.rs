//! Each object of a small repository is deleted, replaced and made unreadable in turn. What devices or publishers feel is told, what
//! has nothing to do with it is looked at all the same, and what is advised helps.

use std::collections::BTreeSet;

use dev_s3::{Grants, Policy};

use super::Report;
use crate::{
    package,
    run::{BUCKET, Store, run},
};

/// A signed suite with an alias and some history, another one, and a record of garbage.
fn small() -> Store {
    let store = Store::start();
    store.add_and_remove();
    let key = store.path("key.asc").display().to_string();
    let alias = [
        "suite",
        "set",
        "stable",
        "--alias",
        "lts",
        "--sign-key",
        &key,
    ];
    run(&mut store.debucket(&alias)).expect(0);
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "hello");
    store.publish(&file, &["--suite", "lab"]).expect(0);
    store.wait(3);
    store
        .gc(&["--grace", "2h", "--keep-history", "1h"])
        .expect(0);
    store
}

fn head_of(store: &Store, suite: &str) -> String {
    let key = format!("robots/dists/{suite}/InRelease");
    String::from_utf8(store.server.get(BUCKET, &key).unwrap().unwrap()).unwrap()
}

/// Whether devices, or those who publish or collect, need the object. Its key is below the repository.
fn is_needed(key: &str, heads: &str, indexes: &str) -> bool {
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    match folder.rsplit('/').next().unwrap_or_default() {
        "commits" => heads.contains(name.trim_end_matches(".json")),
        "SHA256" => heads.contains(name),
        "succession" => false,
        _ if key.starts_with("pool/") => indexes.contains(key),
        _ => true,
    }
}

impl Store {
    /// Forbids reading a key, and allows all else.
    fn hide(&self, key: &str) {
        let allow = r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#;
        let deny = format!(
            r#"{{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{BUCKET}/{key}"}}"#
        );
        let policy = format!(r#"{{"Statement": [{allow}, {deny}]}}"#);
        self.grant(Grants::Policy(Policy::parse(&policy).unwrap()));
    }

    /// Carries out what the report advises as it stands, and what it advises in words.
    fn follow(&self, report: &Report, before: &BTreeSet<String>) {
        for name in report.open() {
            if before.contains(name) {
                continue;
            }
            let next = report.checks[name]["next"].as_str().unwrap();
            for command in next.split('`').filter(|part| part.starts_with("debucket ")) {
                let words: Vec<_> = command.split(' ').skip(1).collect();
                let mut command = self.debucket(&words);
                command.env("DEBUCKET_SIGN_KEY", self.path("key.asc"));
                run(&mut command);
            }
            let owner = next.split_once("ask the bucket's owner to delete ");
            let deleted = owner.and_then(|(_, rest)| rest.split(' ').next());
            if let Some(key) = deleted {
                self.server
                    .delete(BUCKET, &format!("robots/{key}"))
                    .unwrap();
                run(self
                    .debucket(&["verify", "--repair"])
                    .env("DEBUCKET_SIGN_KEY", self.path("key.asc")));
            }
            if next.contains("publish the packages again") {
                for file in ["hello_1.0_all.deb", "tool_2.0_all.deb"] {
                    let suite = if file.starts_with("hello") {
                        "lab"
                    } else {
                        "stable"
                    };
                    let more = ["--suite", suite, "--replace"];
                    self.publish(&self.path(file), &more).expect(0);
                }
            }
        }
    }
}

#[test]
fn each_damage_is_told_hides_nothing_else_and_is_mended_by_what_is_advised() {
    let store = small();
    let snapshot = store.server.snapshot(BUCKET).unwrap();
    let open = |report: &Report| -> BTreeSet<String> {
        report.open().into_iter().map(ToOwned::to_owned).collect()
    };
    let sound = store.doctor_with_key(&[]);
    sound.expect_open(&["clock", "versioning"]);
    let before = open(&sound);
    let heads = ["stable", "lab"].map(|suite| head_of(&store, suite));
    let heads = heads.concat();
    let indexes = ["stable", "lab"]
        .map(|suite| run(&mut store.debucket(&["list", "--long", "--suite", suite])).stdout)
        .concat();
    let mut unmended = Vec::new();
    let mut kinds = BTreeSet::new();
    for key in store.server.keys(BUCKET) {
        let short = key.strip_prefix("robots/").unwrap();
        let is_needed = is_needed(short, &heads, &indexes);
        // One of those that are alike is enough, and of the second suite the head.
        let name: String = short.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
        let is_alike = !kinds.insert((name.replace("rm", "m"), is_needed));
        if is_alike || (short.starts_with("dists/lab/") && !short.ends_with("/InRelease")) {
            continue;
        }
        for damage in ["deleted", "replaced", "hidden"] {
            let what = format!("{key} {damage}");
            match damage {
                "deleted" => store.server.delete(BUCKET, &key).unwrap(),
                "replaced" => drop(store.server.put(BUCKET, &key, b"garbage").unwrap()),
                _ => store.hide(&key),
            }
            let report = store.doctor_with_key(&[]);
            let found: BTreeSet<_> = &open(&report) - &before;
            let rows = || format!("{what}: {found:?}: {:#?}", report.checks);
            // The record of garbage may be missing.
            let is_felt = is_needed && !(short.starts_with("gc/") && damage == "deleted");
            assert!(!is_felt || !found.is_empty(), "{}", rows());
            let file = short.rsplit('/').next().unwrap();
            let names_it = |name: &String| {
                let detail = report.checks[name]["detail"].as_str().unwrap();
                detail.contains(file) || name.ends_with(": head")
            };
            assert!(found.is_empty() || found.iter().any(names_it), "{}", rows());
            for suite in ["stable", "lab"] {
                let row = |check: &str| report.checks.get(&format!("{suite}: {check}"));
                let is_other = !short.contains(&format!("dists/{suite}/"));
                let head = row("head").unwrap_or_else(|| panic!("{}", rows()));
                assert!(!is_other || head["status"] == "ok", "{}", rows());
                assert!(
                    row("by-hash").is_some() && row("packages").is_some(),
                    "{}",
                    rows()
                );
            }
            if damage == "hidden" {
                store.allow_all();
                continue;
            }
            if !found.is_empty() {
                store.follow(&report, &before);
                let mended = store.doctor_with_key(&[]);
                let left = &open(&mended) - &before;
                // A malformed record is empty once no collector can be at work.
                let waits = short.starts_with("gc/");
                let texts = |report: &Report, names: &BTreeSet<String>| -> Vec<String> {
                    let checks = names.iter().map(|name| &report.checks[name]);
                    let text = |check: &serde_json::Value| {
                        format!("{} -> {}", check["detail"], check["next"])
                    };
                    checks.map(text).collect()
                };
                if !left.is_empty() && !waits {
                    unmended.push(format!(
                        "{what}: {:#?}, then {left:?} {:#?}",
                        texts(&report, &found),
                        texts(&mended, &left)
                    ));
                }
            }
            store.server.restore(BUCKET, &snapshot).unwrap();
        }
    }
    assert!(unmended.is_empty(), "{}", unmended.join("\n"));
}

#[test]
fn what_is_advised_for_a_suite_helps_whatever_its_name_is() {
    let store = Store::start();
    let key = store.path("key.asc").display().to_string();
    let head = "robots/dists/lab/InRelease";
    let file =
        |version: &str| package::write(store.folder.path(), "hello", version, "all", version);
    let publish =
        |version: &str| drop(store.publish(&file(version), &["--suite", "lab"]).expect(0));
    let hour = 3600;
    publish("1");
    let set = [
        "suite",
        "set",
        "lab",
        "--valid-for",
        "30h",
        "--sign-key",
        &key,
    ];
    run(&mut store.debucket(&set)).expect(0);
    let sound = store.doctor_with_key(&[]);
    sound.expect_open(&["versioning"]);
    let late = || store.server.clock().set_offset(31 * hour);
    let put_back = || {
        let old = store.server.get(BUCKET, head).unwrap().unwrap();
        publish("2");
        store.server.put(BUCKET, head, &old).unwrap();
    };
    let early = || {
        store.server.clock().set_offset(40 * hour);
        publish("3");
        store.server.clock().set_offset(31 * hour);
    };
    let damages: [(&str, &dyn Fn()); 3] = [
        ("lab: validity", &late),
        ("lab: head", &put_back),
        ("lab: validity", &early),
    ];
    for (name, damage) in damages {
        damage();
        let before: BTreeSet<_> = ["versioning", "clock"].map(ToOwned::to_owned).into();
        let report = store.doctor_with_key(&[]);
        report.expect(name, "fail", "", "lab");
        store.follow(&report, &before);
        store.doctor_with_key(&[]).expect(name, "ok", "", "");
    }
}
