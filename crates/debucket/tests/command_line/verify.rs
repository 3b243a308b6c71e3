//! Damage of all kinds is found at once, told with what it means, and made good where that is possible.

use serde_json::Value;

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

const HEAD: &str = "dists/stable/InRelease";

impl Store {
    pub(crate) fn sample() -> Self {
        let store = Self::start();
        for (name, version) in [("hello", "1.0"), ("hello", "2.0"), ("tool", "1.0")] {
            let text = format!("{name} {version}");
            let file = package::write(store.folder.path(), name, version, "all", &text);
            store.publish(&file, &[]).expect(0);
        }
        store
    }

    fn keys_with(&self, part: &str) -> Vec<String> {
        let keys = self.server.keys(BUCKET).into_iter();
        let keys: Vec<_> = keys.filter(|key| key.contains(part)).collect();
        assert!(!keys.is_empty(), "{part}");
        keys
    }

    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        self.server.get(BUCKET, &whole(key)).unwrap().unwrap()
    }

    pub(crate) fn overwrite(&self, key: &str, bytes: &[u8]) {
        self.server.put(BUCKET, &whole(key), bytes).unwrap();
    }

    pub(crate) fn delete(&self, key: &str) {
        self.server.delete(BUCKET, &whole(key)).unwrap();
    }

    /// Changes a byte, so that only the content tells.
    pub(crate) fn damage(&self, key: &str) {
        let mut bytes = self.object(key);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.overwrite(key, &bytes);
    }

    /// The current index file of amd64 in a format, at the key under its digest.
    pub(crate) fn by_hash(&self, format: &str) -> String {
        let follower = self.object(&format!("dists/stable/main/binary-amd64/Packages.{format}"));
        let digest = deb_index::digest::Sha256::of(&follower);
        format!("dists/stable/main/binary-amd64/by-hash/SHA256/{digest}")
    }

    fn newest_commit(&self) -> String {
        let log = self.read(&["log", "--output", "json"]).json();
        format!(
            "dists/stable/commits/{}.json",
            log[0]["id"].as_str().unwrap()
        )
    }

    pub(crate) fn verify(&self, more: &[&str]) -> Run {
        self.read(&[&["verify"], more].concat())
    }

    pub(crate) fn repair(&self, more: &[&str]) -> Run {
        run(self
            .debucket(&["verify", "--repair"])
            .arg("--sign-key")
            .arg(self.path("key.asc"))
            .args(more))
    }

    /// The problems: part, key, severity and remedy.
    fn problems(&self, more: &[&str]) -> Vec<[String; 4]> {
        let run = self.verify(&[more, &["--output", "json"]].concat());
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let problems = document["suites"].as_array().unwrap().iter();
        let problems = problems.flat_map(|suite| suite["problems"].as_array().unwrap());
        let found: Vec<_> = problems
            .map(|problem| {
                ["part", "key", "severity", "remedy"]
                    .map(|field| problem[field].as_str().unwrap().to_owned())
            })
            .collect();
        // What is lost of the history matters to no device.
        let is_open =
            |[_, _, severity, remedy]: &[String; 4]| severity == "error" || remedy != "lost";
        assert_eq!(run.code, i32::from(found.iter().any(is_open)), "{run:#?}");
        found
    }

    #[track_caller]
    pub(crate) fn expect_problems(&self, more: &[&str], expected: &[[&str; 4]]) {
        let found = self.problems(more);
        let found: Vec<_> = found
            .iter()
            .map(|line| line.each_ref().map(String::as_str))
            .collect();
        assert_eq!(found, expected);
    }
}

fn whole(key: &str) -> String {
    format!("robots/{}", key.trim_start_matches("robots/"))
}

#[test]
fn a_whole_repository_has_no_problem() {
    let store = Store::sample();
    let file = package::write(store.folder.path(), "fan", "1", "arm64", "fan");
    run(store
        .debucket(&["publish", "--unsigned", "--suite", "lab"])
        .arg(file))
    .expect(0);
    store.overwrite("dists/other/Release", b"Suite: other\n");
    for more in [&[][..], &["--deep"], &["stable", "lab"]] {
        let checked = store.verify(more);
        let text = checked.stdout.clone();
        checked.expect(0);
        assert!(
            text.contains("suite lab (unsigned): 1 packages (4.3 kB), 1 commits: no problem\n"),
            "{text}"
        );
        assert!(
            text.contains("suite stable: 3 packages (12.9 kB), 3 commits: no problem\n"),
            "{text}"
        );
    }
    assert!(
        store
            .verify(&[])
            .stderr
            .contains("skipping suite other: another tool")
    );
    store.verify(&["nothing"]).expect(4);
    store.read(&["log", "--verify"]).expect(0);
}

#[test]
fn all_problems_are_found_at_once() {
    let store = Store::sample();
    let (gz, zst) = (store.by_hash("gz"), store.by_hash("zst"));
    let [one, two, three] = &store.keys_with("/pool/")[..] else {
        panic!()
    };
    store.delete(one);
    store.damage(two);
    store.overwrite(three, b"too short");
    store.damage(&zst);
    store.delete(&gz);
    store.damage("dists/stable/main/binary-arm64/Packages.gz");
    store.delete("dists/stable/Release.gpg");
    store.delete("dists/stable/suite.json");
    let oldest = store.read(&["log", "--output", "json"]).json()[2]["id"].clone();
    let oldest = format!("dists/stable/commits/{}.json", oldest.as_str().unwrap());
    store.delete(&oldest);
    let mut indexes = [&gz, &zst].map(|key| ["index", key.as_str(), "error", "repair"]);
    indexes.sort();
    let pool = [one, two, three].map(|key| key.trim_start_matches("robots/"));
    let expected = [
        indexes[0],
        indexes[1],
        ["package", pool[0], "error", "lost"],
        ["package", pool[1], "error", "lost"],
        ["package", pool[2], "error", "lost"],
        ["history", &oldest, "warning", "lost"],
        ["follower", "dists/stable/Release.gpg", "warning", "repair"],
        [
            "follower",
            "dists/stable/main/binary-arm64/Packages.gz",
            "warning",
            "repair",
        ],
        ["founding", "dists/stable/suite.json", "warning", "repair"],
    ];
    store.expect_problems(&[], &expected);
    store.expect_problems(&["--deep"], &expected);
    let told = store.verify(&[]);
    assert!(
        told.stdout.contains(
            "has other content than its index says (hello 2.0 all)\n  means: devices cannot install"
        ),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("lost for good"), "{}", told.stdout);
    assert!(
        told.stderr.contains("problems were found: 8"),
        "{}",
        told.stderr
    );
    let history = store.read(&["log", "--verify"]);
    assert!(
        history.stdout.contains(&format!("{oldest} is missing")),
        "{}",
        history.stdout
    );
    history.expect(1);

    let repaired = store.repair(&[]);
    assert_eq!(
        repaired.stdout.matches("repaired: ").count(),
        5,
        "{repaired:#?}"
    );
    repaired.expect(1);
    store.expect_problems(
        &["--deep"],
        &[expected[2], expected[3], expected[4], expected[5]],
    );
    // What was lost can be published again.
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "hello 1.0");
    store.publish(&file, &[]).expect(0);
    store.expect_problems(&["--deep"], &[expected[3], expected[4], expected[5]]);
    // What was damaged, too, as it is advised.
    assert!(
        told.stdout
            .contains("`debucket publish --replace FILE --suite stable --")
    );
    for (name, version) in [("hello", "2.0"), ("tool", "1.0")] {
        let text = format!("{name} {version}");
        let file = package::write(store.folder.path(), name, version, "all", &text);
        let published = store.publish(&file, &["--replace"]);
        assert!(
            published.stderr.contains("has other content"),
            "{published:#?}"
        );
        published.expect(0);
    }
    // Earlier states still name the file that is too short.
    let truncated = ["history", pool[2], "warning", "lost"];
    store.expect_problems(&["--deep"], &[expected[5], truncated]);
}

#[test]
fn a_lost_commit_and_its_index_come_back_from_the_head_and_the_pool() {
    let store = Store::sample();
    let log = store.read(&["log", "--output", "json"]).json();
    let commit = format!(
        "dists/stable/commits/{}.json",
        log[0]["id"].as_str().unwrap()
    );
    let list = store.read(&["list"]).expect(0);
    let (gz, zst) = (store.by_hash("gz"), store.by_hash("zst"));
    for key in [&gz, &zst, &commit] {
        store.delete(key);
    }
    for format in ["gz", "zst"] {
        store.delete(&format!("dists/stable/main/binary-amd64/Packages.{format}"));
    }
    let publish = || {
        let file = package::write(store.folder.path(), "new", "1", "all", "new");
        store.publish(&file, &[])
    };
    let refused = publish();
    assert!(
        refused
            .stderr
            .contains("`debucket verify stable --repair --sign-key "),
        "{refused:#?}"
    );
    refused.expect(1);
    let mut indexes = [gz.as_str(), &zst];
    indexes.sort_unstable();
    let follower = "dists/stable/main/binary-amd64/Packages";
    let followers = ["gz", "zst"].map(|format| format!("{follower}.{format}"));
    store.expect_problems(
        &[],
        &[
            ["commit", &commit, "error", "repair"],
            ["index", indexes[0], "error", "repair"],
            ["index", indexes[1], "error", "repair"],
            ["follower", &followers[0], "warning", "repair"],
            ["follower", &followers[1], "warning", "repair"],
        ],
    );
    let repaired = store.repair(&[]);
    assert_eq!(
        repaired.stdout.matches("repaired: ").count(),
        5,
        "{repaired:#?}"
    );
    repaired.expect(0);
    store.expect_problems(&["--deep"], &[["history", &commit, "warning", "lost"]]);
    assert_eq!(store.read(&["list"]).expect(0), list);
    publish().expect(0);
}

#[test]
fn a_damaged_record_of_garbage_is_listed_and_written_anew_after_an_hour() {
    let store = Store::sample();
    store.overwrite("gc/condemned.json", b"{");
    let listed = store.verify(&[]);
    assert!(
        listed
            .stdout
            .starts_with("warning: gc/condemned.json is malformed"),
        "{listed:#?}"
    );
    listed.expect(1);
    store.repair(&[]).expect(1);
    let early = store.read(&["gc"]);
    assert!(
        early
            .stderr
            .contains("run the same command again after that time"),
        "{early:#?}"
    );
    early.expect(1);
    let hour = std::time::Duration::from_secs(3601);
    store.server.clock().advance(hour);
    let repaired = store.repair(&[]).expect(0);
    assert!(
        repaired.starts_with("repaired: gc/condemned.json is malformed\n"),
        "{repaired}"
    );
    store.verify(&[]).expect(0);
    store.read(&["gc"]).expect(0);
}

#[test]
fn a_damaged_index_comes_back_from_another_form() {
    let store = Store::sample();
    for format in ["gz", "zst"] {
        let key = store.by_hash(format);
        let before = store.object(&key);
        // Neither the file nor its follower is left.
        store.damage(&key);
        store.damage(&format!("dists/stable/main/binary-amd64/Packages.{format}"));
        store.repair(&["--deep"]).expect(0);
        assert_eq!(store.object(&key), before);
        store.verify(&["--deep"]).expect(0);
    }
}

#[test]
fn a_head_that_is_gone_or_damaged_comes_back_as_the_newest_commit() {
    let store = Store::sample();
    let head = store.object(HEAD);
    let list = store.read(&["list"]).expect(0);
    for what in ["deleted", "damaged", "put back"] {
        match what {
            "deleted" => store.delete(HEAD),
            "damaged" => store.damage(HEAD),
            _ => {
                let file = package::write(store.folder.path(), "new", "1", "all", "new");
                store.publish(&file, &[]).expect(0);
                store.overwrite(HEAD, &head);
            }
        }
        // Beside a head that was put back, the followers of the newest are found.
        let problems = store.problems(&[]);
        assert_eq!(problems[0], ["head", HEAD, "error", "repair"]);
        assert_eq!(problems.len() > 1, what == "put back");
        let repaired = store.repair(&[]).expect(0);
        assert!(
            repaired.starts_with(&format!("repaired: {HEAD} ")),
            "{repaired}"
        );
        store.verify(&["--deep"]).expect(0);
    }
    let after = store.read(&["list"]).expect(0);
    assert!(list.lines().all(|line| after.contains(line)), "{after}");
    assert!(
        store.read(&["exists", "new"]).code == 0,
        "the newest commit, not an older one"
    );
}

#[test]
fn a_commit_that_no_signature_vouches_for_is_signed_only_if_that_is_accepted() {
    let store = Store::sample();
    for key in ["InRelease", "Release", "Release.gpg"] {
        store.delete(&format!("dists/stable/{key}"));
    }
    store.expect_problems(&[], &[["head", HEAD, "error", "repair-unproven"]]);
    let refused = store.repair(&[]);
    assert!(refused.stdout.contains("--accept-unproven"), "{refused:#?}");
    refused.expect(1);
    assert!(store.server.get(BUCKET, &whole(HEAD)).unwrap().is_none());
    store.repair(&["--accept-unproven"]).expect(0);
    store.verify(&["--deep"]).expect(0);
}

/// Who has given no key is told to give it, as long as a signature may vouch for the newest commit.
#[test]
fn without_the_key_a_lost_head_is_not_called_unproven() {
    let store = Store::sample();
    for key in [HEAD.to_owned(), store.newest_commit()] {
        store.delete(&key);
        store.delete(HEAD);
        let run = |arguments: &[&str]| run(&mut store.debucket(arguments));
        let found = run(&["verify"]);
        assert!(!found.stdout.contains("--accept-unproven"), "{found:#?}");
        let advice = found
            .stdout
            .split('`')
            .filter(|it| it.starts_with("debucket "));
        let advice: Vec<_> = advice.map(|it| it.replace("FILE", "key.asc")).collect();
        assert_eq!(advice.len(), 2, "{found:#?}");
        found.expect(1);
        run(&["verify", "--repair", "--accept-unproven"]).expect(1);
        let key = store.path("key.asc");
        for (advice, code) in advice.iter().zip([1, 0]) {
            let words = advice.split(' ').skip(1);
            let words = words.map(|word| word.replace("key.asc", key.to_str().unwrap()));
            let words: Vec<_> = words.collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            run(&words).expect(code);
        }
        store.verify(&["--deep"]).expect(0);
    }
}

#[test]
fn another_key_repairs_nothing() {
    let store = Store::sample();
    let other = store.path("other.asc");
    run(crate::run::debucket()
        .args(["key", "generate", "--out"])
        .arg(&other))
    .expect(0);
    let before: Vec<_> = store.server.keys(BUCKET);
    let head = store.object(HEAD);
    let run = run(store
        .debucket(&["verify", "--repair", "--accept-unproven", "--sign-key"])
        .arg(other));
    assert_eq!(run.code, 1, "{run:#?}");
    assert_eq!(
        (store.server.keys(BUCKET), store.object(HEAD)),
        (before, head)
    );
}

#[test]
fn a_thousand_packages_cost_few_requests() {
    let store = Store::start();
    let folder = store.path("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..300 {
        package::write(&folder, &format!("p{number}"), "1", "all", "x");
    }
    store.publish(&folder, &["--quiet"]).expect(0);
    store.server.clear_request_log();
    store.verify(&[]).expect(0);
    let requests = store.server.request_log().len();
    assert!(requests < 40, "{requests} requests");
}
