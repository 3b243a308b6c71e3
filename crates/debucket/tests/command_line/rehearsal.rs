//! A dry run ends as the run would, and writes nothing: every command that changes something, in repositories of which something is
//! broken.

use std::{collections::BTreeMap, path::PathBuf};

use deb_index::digest::Sha256;
use dev_s3::{Clock, DevS3};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
    signing::fixture,
};

/// Another repository in the bucket.
const OTHER: &str = "s3://acme-apt/staging";
const STABLE: &str = "robots/dists/stable/";

/// Every command that has `--dry-run`, in the repository of [`Scene`].
const COMMANDS: [&[&str]; 25] = [
    &["publish", "tool_4_all.deb", "--phase", "10", "--keep", "1"],
    &["publish", "tool_2_all.deb"],
    &["publish", "tool_2_all.deb", "--replace"],
    &["publish", "tool_4_all.deb", "--suite", "new,testing"],
    &["publish", "tool_4_all.deb", "--single-writer"],
    &["remove", "tool=1"],
    &["prune", "--keep", "1", "--older-than", "1d"],
    &["rollback", "--to", "@~1"],
    &["phase", "tool", "50"],
    &["phase", "tool", "--halt"],
    &["phase", "own=1", "--halt", "--allow-no-version"],
    &["refresh", "--force"],
    &["promote", "tool", "--from", "testing", "--to", "stable"],
    &[
        "promote", "--all", "--from", "stable", "--to", "new", "--mirror",
    ],
    &[
        "promote",
        "far",
        "--from-repo",
        OTHER,
        "--from",
        "testing",
        "--to",
        "stable",
    ],
    &["suite", "create", "new"],
    &["suite", "set", "stable", "--keep", "3", "--alias", "more"],
    &["suite", "set", "stable", "--architectures", "amd64"],
    &["suite", "set", "stable", "--formats", "gz"],
    &["suite", "delete", "stable", "--yes"],
    &["suite", "delete", "next", "--yes"],
    &["key", "retire", "stable", "KEY"],
    &["key", "reset", "stable", "--i-lost-the-keys-of", "stable"],
    &["adopt", "lab", "--unverified", "--unsigned"],
    &["gc"],
];

/// What is wrong with the repository.
type Damage = fn(&Scene);

/// A repository with two suites, an alias, a version that is being phased, and a suite of another tool; beside it another repository.
struct Scene {
    store: Store,
    key: PathBuf,
    whole: BTreeMap<String, Vec<u8>>,
    offset: i64,
}

impl Scene {
    fn new(key: Option<PathBuf>, offset: i64) -> Self {
        let clock = Clock::with_offset(offset);
        let store = Store::start_with(DevS3::builder().clock(clock));
        let key = key.unwrap_or_else(|| store.path("key.asc"));
        let mut scene = Self {
            store,
            key,
            whole: BTreeMap::new(),
            offset,
        };
        let build = |name: &str, version: &str| {
            package::write(scene.store.folder.path(), name, version, "all", version);
        };
        for version in ["1", "2", "3", "4"] {
            build("tool", version);
        }
        build("own", "1");
        build("far", "1");
        for arguments in [
            &["publish", "own_1_all.deb"][..],
            &["publish", "tool_1_all.deb"],
            &["publish", "tool_2_all.deb", "--phase", "10"],
            &["publish", "tool_3_all.deb", "--suite", "testing"],
            &["suite", "set", "stable", "--alias", "next"],
            &[
                "publish",
                "far_1_all.deb",
                "--suite",
                "testing",
                "--repo",
                OTHER,
            ],
        ] {
            scene.run(arguments, &[]).expect(0);
        }
        scene.store.make_foreign_suite();
        scene.whole = scene.content();
        scene
    }

    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let keys = self.store.server.keys(BUCKET).into_iter();
        keys.map(|key| {
            let bytes = self.store.server.get(BUCKET, &key).unwrap().unwrap();
            (key, bytes)
        })
        .collect()
    }

    fn restore(&self) {
        self.store.server.clock().set_offset(self.offset);
        let now = self.content();
        for key in now.keys().filter(|key| !self.whole.contains_key(*key)) {
            self.store.server.delete(BUCKET, key).unwrap();
        }
        for (key, bytes) in self
            .whole
            .iter()
            .filter(|(key, own)| now.get(*key) != Some(own))
        {
            self.put(key, bytes);
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.store.server.clock().unix()).unwrap()
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        self.store.server.put(BUCKET, key, bytes).unwrap();
    }

    fn delete(&self, is_meant: impl Fn(&str) -> bool) {
        for key in self.whole.keys().filter(|key| is_meant(key)) {
            self.store.server.delete(BUCKET, key).unwrap();
        }
    }

    /// Flips a bit in each of these objects.
    fn garble(&self, is_meant: impl Fn(&str) -> bool) {
        for (key, bytes) in self.whole.iter().filter(|(key, _)| is_meant(key)) {
            let mut bytes = bytes.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            self.put(key, &bytes);
        }
    }

    fn run(&self, arguments: &[&str], more: &[&str]) -> Run {
        let fingerprint = || {
            let public = run(self
                .store
                .debucket(&["key", "export", "--sign-key"])
                .arg(&self.key))
            .expect(0);
            let certificate = repo_signing::Certificate::from_bytes(public.as_bytes());
            certificate.unwrap().fingerprint().to_string()
        };
        let arguments = arguments.iter().map(|argument| match *argument {
            "KEY" => fingerprint(),
            argument => argument.to_owned(),
        });
        let arguments: Vec<_> = arguments.collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut command = self.store.debucket(&arguments);
        command.args(more).current_dir(self.store.folder.path());
        match arguments[0] {
            "adopt" => {}
            // What another tool made has to be taken over first.
            "gc" => {
                command
                    .arg("--leave-pool")
                    .env("DEBUCKET_SIGN_KEY", &self.key);
            }
            _ => {
                command.arg("--sign-key").arg(&self.key);
            }
        }
        run(&mut command)
    }

    /// Runs each command both ways.
    fn check(&self, name: &str, damage: Damage) {
        let mut wrong = String::new();
        for command in COMMANDS {
            self.restore();
            damage(self);
            let before = self.content();
            let dry = self.run(command, &["--dry-run"]);
            assert!(
                self.content() == before,
                "{name}: {command:?} wrote\n{dry:#?}"
            );
            let done = self.run(command, &[]);
            if dry.code != done.code {
                let text = format!("{name}: {command:?}\ndry run {dry:#?}\nrun {done:#?}\n");
                wrong.push_str(&text);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }
}

#[test]
fn with_nothing_or_the_heads_broken() {
    let scene = Scene::new(None, 0);
    scene.check("nothing", |_| {});
    scene.check("head missing", |scene| {
        scene.delete(|key| key == format!("{STABLE}InRelease"));
    });
    scene.check("head garbled", |scene| {
        scene.garble(|key| key == format!("{STABLE}InRelease"));
    });
    scene.check("followers missing", |scene| {
        scene.delete(|key| key.ends_with("/Release") && !key.contains("/lab/"));
    });
    scene.check("suite.json missing", |scene| {
        scene.delete(|key| key.ends_with("/suite.json"));
    });
    scene.check("suite.json garbled", |scene| {
        scene.put(&format!("{STABLE}suite.json"), b"{");
        scene.put("robots/dists/next/suite.json", b"{");
    });
    scene.check("all suites were begun unsigned", |scene| {
        for suite in ["stable", "new"] {
            let key = format!("robots/dists/{suite}/suite.json");
            scene.put(&key, br#"{"signed":false}"#);
        }
    });
}

#[test]
fn with_commits_or_indexes_broken() {
    let scene = Scene::new(None, 0);
    scene.check("commits missing", |scene| {
        scene.delete(|key| key.contains("/commits/"));
    });
    scene.check("commits garbled", |scene| {
        scene.garble(|key| key.contains("/commits/"));
    });
    scene.check("indexes missing", |scene| {
        scene.delete(|key| key.contains("/by-hash/"));
    });
    scene.check("indexes garbled", |scene| {
        scene.garble(|key| key.contains("/by-hash/"));
    });
    scene.check("succession garbled", |scene| {
        scene.garble(|key| key.contains("/succession/"));
    });
    scene.check("a later format", |scene| {
        scene
            .store
            .forge(|commit| commit["requires"] = json!(["magic"]));
    });
}

#[test]
fn with_package_files_broken() {
    let scene = Scene::new(None, 0);
    scene.check("package files missing", |scene| {
        scene.delete(|key| key.contains("/pool/"));
    });
    scene.check("package files garbled", |scene| {
        scene.garble(|key| key.contains("/pool/"));
    });
    scene.check("package files cut short", |scene| {
        for key in scene.whole.keys().filter(|key| key.contains("/pool/")) {
            scene.put(key, b"short");
        }
    });
    scene.check("all names in the pool taken", |scene| {
        for name in ["f/far/far_1", "t/tool/tool_4"] {
            let key = format!("robots/pool/main/{name}_all.deb");
            scene.put(&key, b"another build");
        }
    });
}

#[test]
fn with_the_clock_or_the_collector_in_the_way() {
    let scene = Scene::new(None, 0);
    scene.check("store's clock ahead", |scene| {
        scene.store.server.clock().set_offset(5 * 24 * 3600);
    });
    scene.check("collector at work", |scene| {
        let now = scene.now();
        let record = json!({
            "format": 1, "generation": 1, "condemned": {}, "history": {},
            "doomed": {"by": 1, "since": now, "objects": {}},
        });
        scene.put("robots/gc/condemned.json", record.to_string().as_bytes());
    });
    scene.check("record of a later version", |scene| {
        scene.put("robots/gc/condemned.json", br#"{"format":2}"#);
    });
    scene.check("record of garbage garbled", |scene| {
        scene.put("robots/gc/condemned.json", b"{");
    });
}

#[test]
fn with_keys_that_may_not_sign() {
    // It expired in July 2024.
    let then: Timestamp = "2024-06-01T00:00:00Z".parse().unwrap();
    let now = Clock::default().unix();
    let scene = Scene::new(Some(fixture("expiring")), then.as_second() - now);
    scene.check("expired", |scene| scene.store.server.clock().set_offset(0));
    let mut scene = Scene::new(None, 0);
    scene.key = scene.store.path("other.asc");
    run(scene
        .store
        .debucket(&["key", "generate", "--out"])
        .arg(&scene.key))
    .expect(0);
    scene.check("another key", |_| {});
}

#[test]
fn with_a_deletion_begun() {
    let scene = Scene::new(None, 0);
    scene.check("being deleted", |scene| {
        let until = scene.now();
        let deleting = json!({"deleting": {"by": 1, "busy_until": until, "aliases": ["next"]}});
        scene.put(
            &format!("{STABLE}suite.json"),
            deleting.to_string().as_bytes(),
        );
    });
}

/// What a dry run says of where packages go.
#[test]
fn a_dry_run_names_the_keys_that_the_run_gives() {
    let scene = Scene::new(None, 0);
    let taken = "robots/pool/main/t/tool/tool_4_all.deb";
    scene.put(taken, b"another build");
    let publish = ["publish", "tool_4_all.deb", "--output", "json"];
    let [dry, done] = [&["--dry-run"][..], &[]].map(|more| scene.run(&publish, more).json());
    let key = dry["changes"][0]["filename"].as_str().unwrap();
    let sha256 = std::fs::read(scene.store.path("tool_4_all.deb")).unwrap();
    let sha256 = Sha256::of(&sha256).to_string();
    assert!(key.contains(sha256.get(..16).unwrap()), "{key}");
    assert_eq!(dry["changes"], done["changes"]);
}

/// A document without what only the run knows: the commit, when it was made, and that it was.
fn comparable(mut document: Value) -> Value {
    match &mut document {
        Value::Object(fields) => {
            let known = ["dry_run", "commit", "parent", "date"];
            let is_done = |name: &str, value: &Value| name == "deleted" && value.is_boolean();
            fields.retain(|name, value| !known.contains(&name.as_str()) && !is_done(name, value));
            for (_, value) in fields {
                *value = comparable(value.take());
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = comparable(item.take())),
        Value::String(text) if text.parse::<Timestamp>().is_ok() => *text = "a time".to_owned(),
        _ => {}
    }
    document
}

#[test]
fn a_dry_run_and_the_run_print_the_same_document() {
    let scene = Scene::new(None, 0);
    for command in COMMANDS {
        scene.restore();
        let runs = [&["--dry-run"][..], &[]];
        let [dry, done] = runs.map(|more| {
            let run = scene.run(command, &[&["--output", "json"], more].concat());
            serde_json::from_str(&run.stdout).unwrap_or(Value::Null)
        });
        let reports = [&dry, &done].map(|document| match document {
            Value::Array(reports) => reports.clone(),
            report => vec![report.clone()],
        });
        for (dry, done) in reports[0].iter().zip(&reports[1]) {
            let [dry, done] = [dry, done].map(|report| comparable(report.clone()));
            assert!(dry == done, "{command:?}\n{dry:#}\n{done:#}");
        }
    }
}
