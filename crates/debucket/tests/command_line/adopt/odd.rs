//! What is odd about a suite that another program made is said, and nothing of it is lost.

use deb_index::{
    digest::Sha256,
    index::compression::{Format, compress},
};

use super::content;
use crate::{
    package,
    run::{BUCKET, Store, run},
};

#[test]
fn an_index_for_all_that_cannot_be_read_is_not_left_out() {
    let store = Store::start();
    let tool = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    let files = [
        ("main/binary-amd64/Packages", tool.as_str()),
        ("main/binary-all/Packages.bz2", "packed"),
    ];
    store.put_release("amd64", "main", &files);
    let refused = store.adopt(&["--unverified", "--accept-damage"]);
    let told = "broken: main/binary-all/Packages: no form of it that can be read is stored\n";
    assert!(refused.stdout.contains(told), "{refused:#?}");
    refused.expect(1);
    // Nor is one of the installer, whose package files then stay.
    let installer = "main/debian-installer/binary-amd64/Packages.bz2";
    store.put_release("amd64", "main", &[files[0], (installer, "packed")]);
    let told = store.adopt(&["--unverified"]).expect(0);
    let carried = format!("carried over: {installer}\n");
    assert!(told.contains(&carried), "{told}");
    store.put("pool/d/disk.udeb", b"disk");
    store.put("pool/d/disk.deb", b"disk");
    for _ in 0..2 {
        store.wait(11);
        store
            .plain(&["gc", "--grace", "10h", "--keep-history", "1h"])
            .expect(0);
    }
    let keys = store.server.keys(BUCKET);
    for name in ["disk.udeb", "disk.deb"] {
        assert!(keys.contains(&format!("robots/pool/d/{name}")), "{keys:#?}");
    }
}

#[test]
fn a_date_that_cannot_be_read_is_said() {
    let store = Store::start();
    let index = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    let files = [("main/binary-amd64/Packages", index.as_str())];
    store.put_release("amd64\nValid-Until: soon", "main", &files);
    let refused = store.adopt(&["--unverified"]);
    let told = "broken: Release: no valid Valid-Until\n";
    assert!(refused.stdout.contains(told), "{refused:#?}");
    refused.expect(1);
    let told = store.adopt(&["--unverified", "--accept-damage"]).expect(0);
    assert!(told.contains("packages: 1\n"), "{told}");
}

#[test]
fn a_flat_repository_is_told_as_such() {
    let flat = "is that of a flat repository";
    let told = "a flat repository has no suites to take over: ";
    for key in ["Packages", "lab/Packages.bz2", "dists/lab/Packages.gz"] {
        let store = Store::start();
        store.put(key, b"index");
        let refused = store.adopt(&["--unverified"]);
        let what = format!("but a flat repository: {key}\n");
        let error = &refused.stderr;
        assert!(error.contains(&what) && error.contains(told), "{error}");
        refused.expect(4);
    }
    let store = Store::start();
    let index = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    store.put_release("amd64", "", &[("Packages", &index)]);
    let refused = store.adopt(&["--unverified"]);
    let error = &refused.stderr;
    assert!(error.contains(flat) && error.contains(told), "{error}");
    refused.expect(1);
}

#[test]
fn files_that_a_flat_repository_may_name_stay() {
    for key in [
        "Packages",
        "Packages.gz",
        "pool/Packages.xz",
        "tools/Packages.gz",
    ] {
        let store = Store::start();
        let file = package::write(store.folder.path(), "new", "1.0", "amd64", "new");
        let publish = [
            "publish",
            file.to_str().unwrap(),
            "--suite",
            "lab",
            "--unsigned",
        ];
        store.plain(&publish).expect(0);
        store.put_package("tool", "pool/t/tool.deb", "pool/t/tool.deb");
        store.put(key, b"index");
        let gc = || {
            for _ in 0..2 {
                store.wait(11);
                store
                    .plain(&["gc", "--grace", "10h", "--keep-history", "1h"])
                    .expect(0);
            }
            store.plain(&["gc", "--grace", "10h"]).expect(0)
        };
        let told = format!("package files were left alone: the index {key} may name package files");
        let collected = gc();
        assert!(collected.contains(&told), "{collected}");
        let is_there = || {
            store
                .server
                .keys(BUCKET)
                .contains(&"robots/pool/t/tool.deb".to_owned())
        };
        assert!(is_there());
        store
            .server
            .delete(BUCKET, &format!("robots/{key}"))
            .unwrap();
        gc();
        assert!(!is_there());
    }
}

#[test]
fn a_package_file_among_index_files_stays() {
    let store = Store::start();
    let sha256 = Sha256::of(content("tool").as_bytes());
    let key = format!("dists/lab/main/binary-amd64/by-hash/SHA256/{sha256}");
    let index = store.put_package("tool", &key, &key);
    store.put_release("amd64", "main", &[("main/binary-amd64/Packages", &index)]);
    store.adopt(&["--unverified"]).expect(0);
    for _ in 0..2 {
        store.wait(11);
        store
            .plain(&["gc", "--grace", "10h", "--keep-history", "1h"])
            .expect(0);
    }
    store.plain(&["verify", "--deep"]).expect(0);
}

#[test]
fn other_builds_in_the_index_of_each_architecture_are_said() {
    let store = Store::start();
    let one = store
        .put_package("tool", "files/one.deb", "files/one.deb")
        .replace("amd64", "all");
    store.put("files/two.deb", b"the package tooL");
    let two = one.replace("one.deb", "two.deb");
    let digests =
        ["the package tool", "the package tooL"].map(|it| Sha256::of(it.as_bytes()).to_string());
    let two = two.replace(&digests[0], &digests[1]);
    let files = [
        ("main/binary-amd64/Packages", one.as_str()),
        ("main/binary-arm64/Packages", &two),
    ];
    store.put_release("amd64 arm64", "main", &files);
    let told = "equal versions with other content (1), of which devices get either: files/one.deb and files/two.deb";
    let adopted = store.adopt(&["--unverified", "--dry-run"]);
    assert!(adopted.stderr.contains(told), "{adopted:#?}");
    let document = store.adopt(&["--unverified", "--output", "json"]).json();
    assert!(
        document["warnings"][0].as_str().unwrap().contains(told),
        "{document}"
    );
}

#[test]
fn of_equal_versions_devices_have_the_first() {
    let store = Store::start();
    let one = store.put_package("tool", "files/one.deb", "files/one.deb");
    store.put("files/two.deb", b"the package tooL");
    let two = one.replace("one.deb", "two.deb").replace("1.0", "01.0");
    let digests =
        ["the package tool", "the package tooL"].map(|it| Sha256::of(it.as_bytes()).to_string());
    let two = two.replace(&digests[0], &digests[1]);
    let packed = compress(Format::Gz, format!("{one}{two}").as_bytes(), 1);
    store.put("dists/lab/main/binary-amd64/Packages.gz", &packed);
    let release = format!(
        "Codename: lab\nDate: Mon, 24 Nov 2025 15:00:00 +0000\nArchitectures: amd64\nComponents: main\nSHA256:\n {} {} \
         main/binary-amd64/Packages.gz\n",
        Sha256::of(&packed),
        packed.len()
    );
    store.put("dists/lab/Release", release.as_bytes());
    store.adopt(&["--unverified"]).expect(0);
    let file = package::write(store.folder.path(), "new", "1.0", "amd64", "new");
    let publish = [
        "publish",
        file.to_str().unwrap(),
        "--suite",
        "lab",
        "--unsigned",
        "--output",
        "json",
    ];
    let changed = |document: &serde_json::Value| {
        let changes = document["packages"].as_array().unwrap().iter();
        let mut changes = changes.filter(|change| change["package"] == "tool");
        let tool = changes.next().unwrap_or_else(|| panic!("{document}"));
        ["change", "before", "after"].map(|name| tool[name].as_str().unwrap().to_owned())
    };
    // A new index has them in order, and devices see that.
    let told = ["replaced", "1.0", "01.0"];
    let planned = store.plain(&[&publish[..], &["--dry-run"]].concat()).json();
    assert_eq!(changed(&planned), told);
    assert_eq!(changed(&store.plain(&publish).json()), told);
    let diff = ["diff", "lab@~1", "lab", "--output", "json"];
    assert_eq!(changed(&store.plain(&diff).json()), told);
}

#[test]
fn a_key_of_the_environment_does_not_sign_unnoticed() {
    let store = Store::start();
    let index = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    store.put_release("amd64", "main", &[("main/binary-amd64/Packages", &index)]);
    let adopt = |more: &[&str]| {
        let mut command = store.debucket(&["adopt", "lab", "--unverified"]);
        run(command
            .args(more)
            .env("DEBUCKET_SIGN_KEY", store.path("key.asc")))
    };
    let told = format!(
        "warning: suite lab is not signed: from now on, the key {} signs it, which devices then need; with --unsigned, it stays as \
         it is\n",
        store.fingerprint()
    );
    let planned = adopt(&["--dry-run"]);
    assert!(planned.stderr.contains(&told), "{planned:#?}");
    let unsigned = adopt(&["--dry-run", "--unsigned"]);
    assert!(!unsigned.stderr.contains("signs it"), "{unsigned:#?}");
    let done = adopt(&[]);
    assert!(done.stderr.contains(&told), "{done:#?}");
    done.expect(0);
}

#[test]
fn junk_in_the_place_of_a_signature_is_told_from_damage() {
    let store = Store::start();
    let index = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    store.put_release("amd64", "main", &[("main/binary-amd64/Packages", &index)]);
    store.put("dists/lab/InRelease", b"junk");
    let refused = store.adopt(&["--unverified"]);
    let told = "delete dists/lab/InRelease and run the same command again";
    assert!(refused.stderr.contains(told), "{refused:#?}");
    refused.expect(1);
    store
        .server
        .delete(BUCKET, "robots/dists/lab/InRelease")
        .unwrap();
    store.adopt(&["--unverified"]).expect(0);
}
