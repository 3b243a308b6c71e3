//! The keys of a suite are listed, added, retired and replaced.

use std::fs;

use repo_signing::Certificate;
use serde_json::json;

use crate::{
    package, printed,
    run::{BUCKET, Run, Store, debucket, run},
};

impl Store {
    /// A store with a signed suite, and the fingerprints of its key and of `new.asc`.
    fn before_rotation() -> (Self, String, String) {
        let store = Self::start();
        run(debucket()
            .args(["key", "generate", "--user-id", "New", "--out"])
            .arg(store.path("new.asc"))
            .arg("--public-out")
            .arg(store.path("new.pub.asc")))
        .expect(0);
        store.publish(&store.package("tool"), &[]).expect(0);
        let new = fs::read(store.path("new.pub.asc")).unwrap();
        let new = Certificate::from_bytes(&new).unwrap().fingerprint();
        let old = store.fingerprint();
        (store, old, new.to_string())
    }

    fn package(&self, name: &str) -> std::path::PathBuf {
        package::write(self.folder.path(), name, "1", "all", name)
    }

    /// A command with these signing keys.
    fn with_keys(&self, arguments: &[&str], keys: &[&str]) -> Run {
        let mut command = self.debucket(arguments);
        for key in keys {
            command.arg("--sign-key").arg(self.path(key));
        }
        run(&mut command)
    }

    /// The fingerprints of the suite's keys, and whether each signed the head, for one who has only this certificate.
    fn keys(&self, keyring: &str) -> Vec<(String, bool)> {
        let mut list = self.debucket(&["key", "list", "stable", "--output", "json", "--keyring"]);
        let document = run(list.arg(self.path(keyring))).json();
        assert_eq!(document["verified"], true);
        let keys = document["keys"].as_array().unwrap().iter();
        keys.map(|key| {
            let fingerprint = key["fingerprint"].as_str().unwrap().to_owned();
            (fingerprint, key["signed_head"].as_bool().unwrap())
        })
        .collect()
    }
}

#[test]
fn a_rotation_is_walked_through() {
    let (store, old, new) = Store::before_rotation();
    assert_eq!(store.keys("public.asc"), [(old.clone(), true)]);

    let forgotten = store.with_keys(&["key", "add", "stable", &new], &["key.asc"]);
    assert_eq!(forgotten.code, 2, "{forgotten:#?}");
    let both = &["key.asc", "new.asc"];
    let add = ["key", "add", "stable", &new, "--dry-run"];
    let planned = store.with_keys(&add, both).expect(0);
    let line = format!("signing keys: {old} -> {old}, {new}");
    assert!(planned.contains(&line), "{planned}");
    assert!(!planned.contains("devices notice"), "{planned}");
    store.with_keys(&add[..4], both).expect(0);
    let again = store
        .with_keys(&["key", "add", "stable", &new], both)
        .expect(0);
    assert!(again.starts_with("nothing to do"), "{again}");
    for keyring in ["public.asc", "new.pub.asc"] {
        assert_eq!(
            store.keys(keyring),
            [(old.clone(), true), (new.clone(), true)]
        );
    }

    let file = store.package("more");
    let alone = store.publish(&file, &[]);
    assert_eq!(alone.code, 1, "{alone:#?}");
    assert!(
        alone.stderr.contains(&new) && alone.stderr.contains("key retire"),
        "{alone:#?}"
    );
    let publish = ["publish", file.to_str().unwrap()];
    store.with_keys(&publish, both).expect(0);
    // Both keys in one variable, as a CI job has them.
    let secrets = both.map(|name| fs::read_to_string(store.path(name)).unwrap());
    let mut refresh = store.debucket(&["refresh", "--force"]);
    run(refresh.env("DEBUCKET_SIGN_KEY", secrets.concat())).expect(0);

    let unknown = store.with_keys(&["key", "retire", "stable", &"0".repeat(40)], both);
    assert_eq!(unknown.code, 4, "{unknown:#?}");
    let next = "next: `debucket key list stable`";
    assert!(unknown.stderr.contains(next), "{unknown:#?}");
    let planned = store.with_keys(
        &["key", "retire", "stable", &old, "--dry-run"],
        &["new.asc"],
    );
    let planned = planned.expect(0);
    assert!(
        planned.contains(&format!("no longer signed by the key {old}")),
        "{planned}"
    );
    store
        .with_keys(&["key", "retire", "stable", &old], &["new.asc"])
        .expect(0);
    assert_eq!(store.keys("new.pub.asc"), [(new.clone(), true)]);
    let mut log = store.debucket(&["log", "--keyring"]);
    let log = run(log.arg(store.path("new.pub.asc"))).expect(0);
    for message in [
        format!("Sign with the key {new} too"),
        format!("Sign without the key {old}"),
    ] {
        assert!(log.contains(&message), "{log}");
    }
    let last = store.with_keys(&["key", "retire", "stable", &new], &["new.asc"]);
    assert_eq!(last.code, 1, "{last:#?}");
    assert!(last.stderr.contains("key add"), "{}", last.stderr);
    store.publish(&store.package("late"), &[]).expect(1);
}

#[test]
fn a_lost_key_is_replaced_only_if_the_suite_is_named_twice() {
    let (store, _, new) = Store::before_rotation();
    let reset = ["key", "reset", "stable"];
    let before = store.server.keys(BUCKET);
    store.with_keys(&reset, &["new.asc"]).expect(2);
    let other = [&reset[..], &["--i-lost-the-keys-of", "testing"]].concat();
    store.with_keys(&other, &["new.asc"]).expect(2);
    let named = [&reset[..], &["--i-lost-the-keys-of", "stable"]].concat();
    let checked = |keyring: &str| {
        let path = store.path(keyring);
        let keyring = ["--keyring", path.to_str().unwrap()];
        store.with_keys(&[&named[..], &keyring].concat(), &["new.asc"])
    };
    checked("new.pub.asc").expect(1);
    assert_eq!(store.server.keys(BUCKET), before, "nothing was written");
    let done = checked("public.asc");
    assert!(!done.stderr.contains("believed"), "{}", done.stderr);
    done.expect(0);
    assert_eq!(store.keys("new.pub.asc"), [(new, true)]);
    let again = store.with_keys(&named, &["new.asc"]);
    assert!(again.stderr.contains("believed"), "{}", again.stderr);
    assert!(again.expect(0).starts_with("nothing to do"));
    store.publish(&store.package("more"), &[]).expect(1);
}

/// A command of the advice after a failure, with these files in it.
fn advised(failed: &Run, command: &str, keyring: &str, key: &str) -> Vec<String> {
    assert_eq!(failed.code, 1, "{failed:#?}");
    let mut commands = printed::commands(&failed.stderr).filter(|it| it.starts_with(command));
    let command = commands.next().unwrap_or_else(|| panic!("{failed:#?}"));
    let command = command.replace("--keyring FILE", &format!("--keyring {keyring}"));
    let command = command.replace("--sign-key FILE", &format!("--sign-key {key}"));
    printed::words(&command).split_off(1)
}

#[test]
fn a_key_that_is_lost_with_the_head_is_replaced() {
    for (lost, is_unproven) in [
        (&["InRelease"][..], false),
        (&["InRelease", "Release", "Release.gpg"], true),
    ] {
        let (store, _, new) = Store::before_rotation();
        for name in lost {
            let key = format!("robots/dists/stable/{name}");
            store.server.delete(BUCKET, &key).unwrap();
        }
        let (old, sign) = (store.path("public.asc"), store.path("new.asc"));
        let (old, sign) = (old.to_str().unwrap(), sign.to_str().unwrap());
        let run_with = |words: &[&str]| run(&mut store.debucket(words));
        // From whatever is tried first, the advice leads to the end.
        let key_add = [
            "key",
            "add",
            "stable",
            &new,
            "--sign-key",
            sign,
            "--keyring",
            old,
        ];
        let refused = run_with(&key_add);
        let repair = advised(&refused, "debucket verify stable --repair", old, sign);
        let mut words: Vec<_> = repair.iter().map(String::as_str).collect();
        if is_unproven {
            let refused = run_with(&words);
            assert!(
                refused.stdout.contains("--repair --accept-unproven --"),
                "{refused:#?}"
            );
            words.push("--accept-unproven");
        }
        let refused = run_with(&words);
        let reset = advised(&refused, "debucket key reset", old, sign);
        let mut words: Vec<_> = reset.iter().map(String::as_str).collect();
        let before = store.server.keys(BUCKET);
        if is_unproven {
            let refused = run_with(&words);
            assert!(
                refused.stderr.contains("pass --accept-unproven"),
                "{refused:#?}"
            );
            refused.expect(1);
            words.push("--accept-unproven");
        }
        let json = |more: &[&str]| {
            let words = [&words[..], &["--output", "json"], more].concat();
            let printed = run_with(&words).expect(0);
            let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(document["changed"], true, "{printed}");
            assert!(printed.contains("devices refuse the suite"), "{printed}");
        };
        json(&["--dry-run"]);
        assert_eq!(store.server.keys(BUCKET), before);
        json(&[]);
        assert_eq!(store.keys("new.pub.asc"), [(new.clone(), true)]);
        run_with(&["verify", "--deep", "--sign-key", sign]).expect(0);
        let list = run_with(&["list", "--quiet"]).expect(0);
        assert_eq!(list.lines().count(), 1, "{list}");
        let log = run_with(&["log", "--quiet"]).expect(0);
        assert_eq!(log.matches("commit ").count(), 2, "{log}");
        let publish = store.package("more");
        run_with(&["publish", publish.to_str().unwrap(), "--sign-key", sign]).expect(0);
    }
}

#[test]
fn where_it_is_not_known_what_a_lost_head_named_a_commit_is_named() {
    for is_key_lost in [false, true] {
        let (store, _, new) = Store::before_rotation();
        store.publish(&store.package("more"), &[]).expect(0);
        // Nothing is left of what tells a commit from one that lost a race.
        for key in store.server.keys(BUCKET) {
            let names = ["InRelease", "Release", "Release.gpg", "succession/first"];
            let is_evidence = names.iter().any(|name| key.ends_with(&format!("/{name}")));
            if is_evidence || key.contains("/succession/") {
                store.server.delete(BUCKET, &key).unwrap();
            }
        }
        let keys = if is_key_lost { "new.asc" } else { "key.asc" };
        let repair: &[&str] = match is_key_lost {
            false => &["verify", "stable", "--repair", "--accept-unproven"],
            true => &[
                "key",
                "reset",
                "stable",
                "--i-lost-the-keys-of",
                "stable",
                "--accept-unproven",
            ],
        };
        let refused = store.with_keys(repair, &[keys]);
        assert_eq!(refused.code, 1, "{refused:#?}");
        let told = [refused.stdout.as_str(), &refused.stderr].concat();
        assert!(told.contains("with --commit"), "{told}");
        let (_, ids) = told.split_once("it may have named any of ").unwrap();
        let ids: Vec<_> = ids.lines().next().unwrap().split(", ").collect();
        assert_eq!(ids.len(), 2, "{told}");
        let named = [repair, &["--commit", ids[0]]].concat();
        store.with_keys(&named, &[keys]).expect(0);
        let keyring = if is_key_lost {
            "new.pub.asc"
        } else {
            "public.asc"
        };
        let mut list = store.debucket(&["list", "--quiet", "--keyring"]);
        let list = run(list.arg(store.path(keyring))).expect(0);
        assert!(list.contains("tool"), "{list}");
        assert_eq!(store.keys(keyring).len(), 1);
        assert_eq!(store.keys(keyring)[0].0 == new, is_key_lost);
    }
}

#[test]
fn who_repairs_what_a_stranger_signed_is_told_what_who_verifies_is() {
    let (store, ..) = Store::before_rotation();
    // Somebody has written all of it, with a key of their own.
    let other = Store::start();
    other.publish(&other.package("evil"), &[]).expect(0);
    for name in ["InRelease", "Release", "Release.gpg"] {
        let key = format!("robots/dists/stable/{name}");
        let bytes = other.server.get(BUCKET, &key).unwrap().unwrap();
        store.server.put(BUCKET, &key, &bytes).unwrap();
    }
    let verified = store.read(&["verify", "stable"]);
    let next =
        "next: check --keyring; otherwise restore the object from the bucket's version history\n";
    assert!(verified.stdout.contains(next), "{verified:#?}");
    for more in [&["--repair"][..], &["--repair", "--accept-unproven"]] {
        let verify = [&["verify", "stable"][..], more].concat();
        let repaired = store.with_keys(&verify, &["key.asc"]);
        assert_eq!(
            (repaired.code, repaired.stdout),
            (1, verified.stdout.clone())
        );
    }
}

#[test]
fn the_keys_of_a_suite_are_listed() {
    let (store, old, _) = Store::before_rotation();
    let text = store.read(&["key", "list", "stable"]).expect(0);
    assert_eq!(
        text,
        format!("{old}  APT repository\n  {old}  does not expire, signed the head\n")
    );
    let unchecked = run(&mut store.debucket(&["key", "list", "stable", "--output", "json"]));
    let mut document = unchecked.json();
    let certificate = document["keys"][0]["certificate"].take();
    assert!(
        certificate
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PGP PUBLIC")
    );
    assert!(document["commit"].take().is_string());
    assert_eq!(
        document,
        json!({"repo": "s3://acme-apt/robots", "suite": "stable", "commit": null, "verified": false, "keys": [{
            "fingerprint": old, "user_ids": ["APT repository"], "signed_head": true, "certificate": null,
            "signing_keys": [{"fingerprint": old, "signed_head": true, "expires": null, "problem": null}],
        }]})
    );
    store.read(&["key", "list", "testing"]).expect(4);
}

#[test]
fn release_names_the_keys_when_asked_to() {
    let (store, old, new) = Store::before_rotation();
    let both = &["key.asc", "new.asc"];
    let named = || {
        let head = store
            .server
            .get(BUCKET, "robots/dists/stable/InRelease")
            .unwrap();
        let text = String::from_utf8(head.unwrap()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Signed-By: "));
        line.map(ToOwned::to_owned)
    };
    assert_eq!(named(), None);
    store
        .with_keys(
            &["suite", "set", "stable", "--signed-by", "yes"],
            &["key.asc"],
        )
        .expect(0);
    assert_eq!(named(), Some(old.clone()));
    store
        .with_keys(&["key", "add", "stable", &new], both)
        .expect(0);
    assert_eq!(named(), Some(format!("{old}, {new}")));
    store
        .with_keys(&["suite", "set", "stable", "--field", "Signed-By=me"], both)
        .expect(2);
    store
        .with_keys(&["suite", "set", "stable", "--signed-by", "no"], both)
        .expect(0);
    assert_eq!(named(), None);
}

#[test]
fn a_keyring_package_has_the_suites_keys_and_a_higher_version_when_they_change() {
    let (store, old, new) = Store::before_rotation();
    let origin = [
        "suite",
        "set",
        "stable",
        "--origin",
        "Acme Robots",
        "--allow-release-info-change",
    ];
    store.with_keys(&origin, &["key.asc"]).expect(0);
    let package = |folder: &str, more: &[&str]| {
        fs::create_dir_all(store.path(folder)).unwrap();
        let path = store.path(folder);
        let out = [
            "key",
            "package",
            "stable",
            "--output",
            "json",
            "--out-dir",
            path.to_str().unwrap(),
        ];
        let document = store.read(&[&out[..], more].concat()).json();
        let bytes = fs::read(document["file"].as_str().unwrap()).unwrap();
        assert_eq!(
            document["sha256"],
            deb_index::digest::Sha256::of(&bytes).to_string()
        );
        let deb = deb_index::deb::describe(bytes.as_slice()).unwrap();
        assert_eq!(deb.warnings, []);
        (document, deb, bytes)
    };
    let (document, first, bytes) = package("one", &[]);
    assert_eq!(document["package"], "acme-robots-archive-keyring");
    assert_eq!(
        document["keyring"],
        "/usr/share/keyrings/acme-robots-archive-keyring.gpg"
    );
    assert_eq!(document["keys"], json!([old]));
    assert_eq!(package("one", &[]).2, bytes, "the file is there already");
    // One that is not the same is left alone.
    let file = document["file"].as_str().unwrap();
    fs::write(file, "mine").unwrap();
    let folder = store.path("one");
    let again = [
        "key",
        "package",
        "stable",
        "--out-dir",
        folder.to_str().unwrap(),
    ];
    let missing = store.path("missing").display().to_string();
    let unwritten = store.read(&[&again[..4], &[&missing]].concat());
    let told = format!("error: {missing}: no such folder\n  next: make the folder first");
    assert!(unwritten.stderr.contains(&told), "{unwritten:#?}");
    assert_eq!(unwritten.code, 1, "{unwritten:#?}");
    let refused = store.read(&again);
    assert_eq!(refused.code, 1, "{refused:#?}");
    let words = format!("{file}: the file exists, and is never overwritten");
    assert!(refused.stderr.contains(&words), "{}", refused.stderr);
    fs::write(file, &bytes).unwrap();
    store.publish(&store.package("other"), &[]).expect(0);
    assert!(package("two", &[]).2 == bytes, "the keys are the same");

    // Not even a change in the same second has the same version.
    store
        .with_keys(&["key", "add", "stable", &new], &["key.asc", "new.asc"])
        .expect(0);
    let (document, second, _) = package("one", &["--sources"]);
    assert_eq!(document["keys"], json!([old, new]));
    assert!(
        second.version.compare(&first.version).is_gt(),
        "{} {}",
        second.version,
        first.version
    );
    let named = package("one", &["--name", "acme-keys", "--package-version", "1:7"]).0;
    assert!(
        named["file"]
            .as_str()
            .unwrap()
            .ends_with("/acme-keys_7_all.deb"),
        "{named}"
    );

    let unchecked = run(&mut store.debucket(&["key", "package", "stable"]));
    assert_eq!(unchecked.code, 2, "{unchecked:#?}");
}

#[test]
fn a_suite_of_two_keys_is_verified_and_repaired_with_both() {
    let (store, _, new) = Store::before_rotation();
    let both = &["key.asc", "new.asc"];
    store
        .with_keys(&["key", "add", "stable", &new], both)
        .expect(0);
    let head = "robots/dists/stable/InRelease";
    store.server.delete(BUCKET, head).unwrap();
    store.with_keys(&["verify", "stable"], both).expect(1);
    store
        .with_keys(&["verify", "stable", "--repair"], both)
        .expect(0);
    assert!(store.server.get(BUCKET, head).unwrap().is_some());
    store.with_keys(&["verify", "stable"], both).expect(0);
}

#[test]
fn who_verifies_with_another_key_is_not_told_to_sign_anything() {
    let (store, ..) = Store::before_rotation();
    let mut verify = store.debucket(&["verify", "stable", "--output", "json", "--keyring"]);
    let verified = run(verify.arg(store.path("new.pub.asc")));
    assert_eq!(verified.code, 1, "{verified:#?}");
    assert!(
        !verified.stdout.contains("repair-unproven"),
        "{verified:#?}"
    );
}
