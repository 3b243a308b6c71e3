//! What is advised after damage helps as it stands: the commands are run as they are printed, and nothing else.

use std::collections::BTreeSet;

use dev_s3::DevS3;
use serde_json::json;

use crate::{
    package, printed,
    run::{BUCKET, REPO, Run, Store, run},
};

/// A repository, and how its suites are signed.
pub(crate) struct Scene {
    store: Store,
    unsigned: bool,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            store: Store::start_with(DevS3::builder()),
            unsigned: false,
        }
    }

    /// Runs with options about the repository, and nothing about it in the environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let endpoint = self.store.server.endpoint();
        let reach = [
            "--repo",
            REPO,
            "--endpoint-url",
            &endpoint,
            "--region",
            "eu-west-1",
        ];
        self.run_as_it_is(&[arguments, &reach].concat())
    }

    fn run_as_it_is(&self, arguments: &[&str]) -> Run {
        let mut command = self.store.debucket(arguments);
        for name in ["DEBUCKET_REPO", "AWS_ENDPOINT_URL", "AWS_REGION"] {
            command.env_remove(name);
        }
        command.current_dir(self.store.folder.path());
        match (self.unsigned, arguments[0]) {
            (true, "publish" | "adopt") => drop(command.arg("--unsigned")),
            (true, _) => {}
            _ => drop(command.env("DEBUCKET_SIGN_KEY", self.store.path("key.asc"))),
        }
        run(&mut command)
    }

    /// Publishes a version of `tool`.
    pub(crate) fn tool(&self, version: &str, more: &[&str]) -> Run {
        package::write(self.store.folder.path(), "tool", version, "all", version);
        let file = format!("tool_{version}_all.deb");
        self.run(&[&["publish", &file], more].concat())
    }

    pub(crate) fn get(&self, key: &str) -> Vec<u8> {
        let key = format!("robots/{key}");
        self.store.server.get(BUCKET, &key).unwrap().unwrap()
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let key = format!("robots/{key}");
        self.store.server.put(BUCKET, &key, bytes).unwrap();
    }

    pub(crate) fn delete(&self, key: &str) {
        let key = format!("robots/{key}");
        self.store.server.delete(BUCKET, &key).unwrap();
    }

    pub(crate) fn keys(&self, part: &str) -> Vec<String> {
        let keys = self.store.server.keys(BUCKET).into_iter();
        let keys = keys.filter_map(|key| Some(key.strip_prefix("robots/")?.to_owned()));
        keys.filter(|key| key.contains(part)).collect()
    }

    /// Does what `verify` says until it finds nothing.
    #[track_caller]
    fn mend(&self) {
        for _ in 0..3 {
            let found = self.run(&["verify"]);
            if found.code == 0 {
                break;
            }
            self.follow(&found);
        }
        self.run(&["verify", "--deep"]).expect(0);
    }

    /// Does what is advised with this file in it.
    #[track_caller]
    pub(crate) fn follow_with(&self, failed: &Run, file: &str) {
        let fill = |text: &str| text.replace("FILE", file);
        let (stdout, stderr) = (fill(&failed.stdout), fill(&failed.stderr));
        let code = failed.code;
        self.follow(&Run {
            code,
            stdout,
            stderr,
        });
    }

    /// Runs the first command that each piece of advice of a failed run gives.
    #[track_caller]
    pub(crate) fn follow(&self, failed: &Run) {
        assert_ne!(failed.code, 0, "{failed:#?}");
        let printed = [failed.stdout.as_str(), &failed.stderr].join("\n");
        let advice = printed.split("next: ").skip(1);
        let advice = advice.map(|text| text.lines().next().unwrap_or_default());
        let command = |text: &str| {
            let mut parts = text.split('`').map(ToOwned::to_owned);
            parts.find(|part| part.starts_with("debucket "))
        };
        let commands: BTreeSet<_> = advice.filter_map(command).collect();
        assert!(!commands.is_empty(), "{failed:#?}");
        for command in commands {
            let words = printed::words(&command);
            let mut words: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
            if words.starts_with(&["suite", "delete"]) && !words.contains(&"--yes") {
                words.push("--yes");
            }
            let done = self.run_as_it_is(&words);
            assert_eq!(done.code, 0, "{command}: {done:#?}\nafter {failed:#?}");
        }
    }
}

#[test]
fn a_head_that_was_put_back_with_all_that_follows_it() {
    let scene = Scene::new();
    scene.tool("1", &[]).expect(0);
    let names = ["InRelease", "Release", "Release.gpg"].map(|name| format!("dists/stable/{name}"));
    let old = names.clone().map(|name| scene.get(&name));
    scene.tool("2", &[]).expect(0);
    for (name, bytes) in names.iter().zip(&old) {
        scene.put(name, bytes);
    }
    let read = scene.run(&["list"]);
    let told = "`debucket verify stable --repair --accept-unproven --repo ";
    assert!(read.stderr.contains(told), "{read:#?}");
    scene.follow(&scene.tool("3", &[]));
    scene.tool("3", &[]).expect(0);
    let list = scene.run(&["list"]).expect(0);
    assert_eq!(list.lines().count(), 3, "{list}");
}

#[test]
fn an_old_tool_that_wrote_over_an_adopted_suite() {
    for command in ["publish", "gc", "adopt", "list", "verify"] {
        let mut scene = Scene::new();
        scene.unsigned = true;
        scene.store.make_foreign_suite();
        let release = scene.get("dists/lab/Release");
        scene
            .run(&["adopt", "lab", "--unverified", "--accept-damage"])
            .expect(0);
        scene.tool("2", &["--suite", "lab"]).expect(0);
        scene.put("dists/lab/Release", &release);
        let failed = match command {
            "publish" => scene.tool("3", &["--suite", "lab"]),
            "adopt" => scene.run(&["adopt", "lab", "--unverified"]),
            "list" => scene.run(&["list", "--suite", "lab"]),
            other => scene.run(&[other]),
        };
        scene.follow(&failed);
        scene.tool("3", &["--suite", "lab"]).expect(0);
        scene.run(&["verify"]).expect(0);
        scene.run(&["gc"]).expect(0);
        let list = scene.run(&["list", "--suite", "lab"]).expect(0);
        assert_eq!(list.lines().count(), 3, "{list}");
    }
}

#[test]
fn a_commit_that_is_lost_is_not_said_to_be_repairable() {
    let scene = Scene::new();
    for version in ["1", "2", "3"] {
        scene.tool(version, &[]).expect(0);
    }
    let log = scene.run(&["log", "--output", "json"]).json();
    let id = log[1]["id"].as_str().unwrap();
    scene.delete(&format!("dists/stable/commits/{id}.json"));
    for to in ["@~1", id] {
        let lost = scene.run(&["rollback", "--to", to]);
        assert!(lost.stderr.contains(" is lost: "), "{lost:#?}");
        assert!(!lost.stderr.contains("verify"), "{lost:#?}");
        scene.follow(&lost);
    }
}

#[test]
fn one_form_of_an_earlier_index_is_lost() {
    for format in ["gz", "zst"] {
        let scene = Scene::new();
        scene.tool("1", &[]).expect(0);
        let follower = scene.get(&format!("dists/stable/main/binary-amd64/Packages.{format}"));
        let digest = deb_index::digest::Sha256::of(&follower).to_string();
        scene.tool("2", &[]).expect(0);
        // Both architectures have the same index.
        let files = scene.keys(&format!("by-hash/SHA256/{digest}"));
        assert_eq!(files.len(), 2);
        for file in &files {
            scene.delete(file);
        }
        scene.follow(&scene.run(&["verify"]));
        assert!(files.iter().all(|file| scene.get(file) == follower));
        scene.run(&["verify", "--deep"]).expect(0);
        // As they are in both states: gone, or with other bytes of the same size.
        for is_gone in [true, false] {
            for file in &files {
                scene.delete(file);
                if !is_gone {
                    scene.put(file, &vec![b'x'; follower.len()]);
                }
            }
            scene
                .run(&["rollback", "--to", "@~1", "--dry-run"])
                .expect(0);
            scene.run(&["rollback", "--to", "@~1"]).expect(0);
            assert_eq!(scene.run(&["list"]).expect(0).lines().count(), 1);
            scene.run(&["verify", "--deep"]).expect(0);
            scene.tool(if is_gone { "3" } else { "4" }, &[]).expect(0);
        }
    }
}

#[test]
fn a_package_that_is_promoted_and_was_lost() {
    for (damage, suites) in [
        (None, "testing"),
        (Some(b"damaged"), "testing"),
        (None, "testing,stable"),
        (Some(b"damaged"), "testing,stable"),
    ] {
        let scene = Scene::new();
        scene.tool("1", &["--suite", suites]).expect(0);
        let key = "pool/main/t/tool/tool_1_all.deb";
        match damage {
            None => scene.delete(key),
            Some(bytes) => scene.put(key, bytes),
        }
        let promote = ["promote", "--all", "--from", "testing", "--to", "stable"];
        let dry = scene.run(&[&promote[..], &["--dry-run"]].concat());
        let done = scene.run(&promote);
        assert_eq!((dry.code, &dry.stderr), (1, &done.stderr));
        let told = format!(
            "error: {key} is missing from the pool or damaged, although suite testing has it\n  \
             next: publish the package's file again: \
             `debucket publish --replace FILE --suite testing --repo "
        );
        assert!(done.stderr.starts_with(&told), "{done:#?}");
        done.expect(1);
        let again = ["--replace", "--suite", "testing"];
        scene.tool("1", &again).expect(0);
        scene.run(&promote).expect(0);
        scene.run(&["verify", "--deep"]).expect(0);
    }
}

#[test]
fn an_interrupted_deletion_of_which_no_record_is_left() {
    for founding in ["garbage", "missing", "for ever"] {
        for name in ["verify", "gc", "publish"] {
            let scene = Scene::new();
            scene.tool("1", &["--suite", "lab"]).expect(0);
            scene
                .run(&["suite", "set", "lab", "--alias", "lts"])
                .expect(0);
            // It may close the suite, and no more.
            scene.store.allow("publisher");
            scene.run(&["suite", "delete", "lab", "--yes"]).expect(1);
            scene.store.allow("deleter");
            for head in ["InRelease", "Release", "Release.gpg"] {
                scene.delete(&format!("dists/lab/{head}"));
            }
            let deleting = |until: &str| {
                let deleting = json!({"by": 1, "busy_until": until, "aliases": ["lts"]});
                json!({ "deleting": deleting }).to_string()
            };
            match founding {
                "garbage" => scene.put("dists/lab/suite.json", b"{"),
                "missing" => scene.delete("dists/lab/suite.json"),
                _ => scene.put(
                    "dists/lab/suite.json",
                    deleting("2999-01-01T00:00:00Z").as_bytes(),
                ),
            }
            let mut failed = match name {
                "publish" => scene.tool("2", &["--suite", "lab"]),
                other => scene.run(&[other]),
            };
            // A look at everything finds out what it is.
            if failed.stderr.contains(" --repair ") {
                failed = scene.run(&["verify"]);
            }
            scene.follow(&failed);
            scene.mend();
            scene.run(&["gc"]).expect(0);
            scene.tool("1", &["--suite", "lab"]).expect(0);
        }
    }
}

#[test]
fn a_dropped_alias_shows_what_cannot_be_read() {
    for damage in ["InRelease", "Release", "commit"] {
        let scene = Scene::new();
        scene.tool("1", &[]).expect(0);
        scene
            .run(&["suite", "set", "stable", "--alias", "lts"])
            .expect(0);
        scene
            .run(&["suite", "set", "stable", "--no-alias", "lts"])
            .expect(0);
        match damage {
            "commit" => {
                let log = scene.run(&["log", "--output", "json"]).json();
                let id = log[1]["id"].as_str().unwrap();
                scene.delete(&format!("dists/stable/commits/{id}.json"));
            }
            name => scene.put(&format!("dists/lts/{name}"), b"garbage"),
        }
        let found = scene.run(&["verify"]);
        let told = "cannot be used, and no suite has this alias: ";
        assert!(found.stdout.contains(told), "{found:#?}");
        // What shows nothing needs nothing.
        let collected = scene.run(&["gc"]);
        if damage == "commit" {
            let next = "`debucket suite delete lts --repo ";
            assert!(collected.stderr.contains(next), "{collected:#?}");
        } else {
            collected.expect(0);
        }
        scene.follow(&found);
        scene.run(&["verify"]).expect(0);
        scene.run(&["gc"]).expect(0);
    }
}

#[test]
fn an_alias_that_was_deleted_although_it_is_listed() {
    for how in ["deleted", "interrupted", "interrupted for ever"] {
        let scene = Scene::new();
        scene.tool("1", &[]).expect(0);
        scene
            .run(&["suite", "set", "stable", "--alias", "lts"])
            .expect(0);
        let deleting = |until: &str| {
            let deleting = json!({"by": 1, "busy_until": until, "aliases": []});
            json!({ "deleting": deleting }).to_string()
        };
        let founding = match how {
            "deleted" => json!({"deleted": true}).to_string(),
            "interrupted" => deleting("2020-01-01T00:00:00Z"),
            _ => deleting("2999-01-01T00:00:00Z"),
        };
        for key in scene.keys("dists/lts/") {
            if how == "deleted" || key.ends_with("InRelease") {
                scene.delete(&key);
            }
        }
        scene.put("dists/lts/suite.json", founding.as_bytes());
        let published = scene.tool("2", &[]);
        let told = match how {
            "deleted" => "`debucket verify stable --repair --repo ",
            _ => "devices of lts see the previous state until this is settled",
        };
        assert!(published.stderr.contains(told), "{published:#?}");
        published.expect(0);
        let doctor = scene.run(&["doctor"]).stdout;
        let told = match how {
            "deleted" => "`debucket verify stable --repair --repo ",
            _ => "`debucket suite delete lts --yes --repo ",
        };
        assert!(doctor.contains(told), "{doctor}");
        let found = scene.run(&["verify"]);
        assert!(found.stdout.contains("dists/lts/suite.json "), "{found:#?}");
        scene.mend();
        let same = |name| scene.get(&format!("dists/{name}/InRelease"));
        assert_eq!(same("lts"), same("stable"));
        scene.tool("3", &[]).expect(0);
        assert_eq!(same("lts"), same("stable"));
    }
}
