//! Packages of which devices would take neither for newer are not in one suite.

use std::path::PathBuf;

use deb_index::digest::Sha256;

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

impl Store {
    fn build(&self, version: &str, architecture: &str) -> PathBuf {
        let summary = format!("tool {version} {architecture}");
        package::write(self.folder.path(), "tool", version, architecture, &summary)
    }

    fn promote_tool(&self, more: &[&str]) -> Run {
        let promote = ["promote", "tool", "--from", "testing", "--to", "stable"];
        let mut command = self.debucket(&promote);
        run(command
            .args(more)
            .arg("--sign-key")
            .arg(self.path("key.asc")))
    }
}

#[track_caller]
fn expect_refused(refused: &Run, new: &str, there: &str) {
    assert_eq!(refused.code, 3, "{refused:#?}");
    for text in [new, there, "--replace", "next: "] {
        assert!(refused.stderr.contains(text), "{text}: {refused:#?}");
    }
}

#[test]
fn an_equal_version_is_a_conflict_unless_it_shall_replace() {
    let store = Store::start();
    let amd64 = store.build("1.0", "amd64");
    store.publish(&amd64, &[]).expect(0);
    let all = store.build("1.0", "all");
    let spelled = store.build("01.0", "amd64");
    for dry in [&[][..], &["--dry-run"]] {
        let (new, there) = (
            "tool_1.0_all (component main)",
            "tool_1.0_amd64 (component main)",
        );
        expect_refused(&store.publish(&all, dry), new, there);
        expect_refused(&store.publish(&spelled, dry), "tool_01.0_amd64", there);
        let extra = [dry, &["--component", "extra"]].concat();
        expect_refused(&store.publish(&all, &extra), "(component extra)", there);
    }
    assert!(
        store
            .publish(&amd64, &[])
            .expect(0)
            .contains("nothing to do")
    );
    let mut both = store.debucket(&["publish", "--suite", "new"]);
    let both = both.args([&all, &amd64]).arg("--sign-key");
    expect_refused(
        &run(both.arg(store.path("key.asc"))),
        "tool_1.0_all",
        "tool_1.0_amd64",
    );
    let planned = store.publish(&all, &["--replace", "--dry-run"]).expect(0);
    for line in [
        "replaced  tool  1.0 -> 1.0  amd64",
        "added     tool  1.0         arm64",
    ] {
        assert!(planned.contains(line), "{planned}");
    }
    let replaced = store.publish(&all, &["--replace"]).expect(0);
    assert!(
        replaced.starts_with("added    tool  1.0  all    main\nremoved  tool  1.0  amd64  main\n"),
        "{replaced}"
    );
    assert_eq!(store.read(&["list"]).expect(0), "tool  1.0  all  main\n");
    // What the advice names.
    let refused = store.publish(&amd64, &[]);
    expect_refused(&refused, "tool_1.0_amd64", "tool_1.0_all");
    let advised = "debucket remove tool:all=1.0 --suite stable --component main";
    assert!(refused.stderr.contains(advised), "{refused:#?}");
    let mut remove = store.debucket(&advised.split(' ').skip(1).collect::<Vec<_>>());
    run(remove.arg("--sign-key").arg(store.path("key.asc"))).expect(0);
    store.publish(&amd64, &[]).expect(0);
    store.read(&["verify"]).expect(0);
}

#[test]
fn a_promotion_is_judged_like_a_publish() {
    let store = Store::start();
    store.publish(&store.build("1.0", "amd64"), &[]).expect(0);
    let testing = ["--suite", "testing"];
    store
        .publish(&store.build("1.0-0", "all"), &testing)
        .expect(0);
    expect_refused(&store.promote_tool(&[]), "tool_1.0-0_all", "tool_1.0_amd64");
    store.promote_tool(&["--replace"]).expect(0);
    assert!(store.promote_tool(&[]).expect(0).contains("nothing to do"));
    assert_eq!(store.read(&["list"]).expect(0), "tool  1.0-0  all  main\n");
}

#[test]
fn a_pair_of_another_program_is_told_and_stops_nothing() {
    let store = Store::start();
    let put = |key: &str, bytes: &[u8]| {
        store
            .server
            .put(BUCKET, &format!("robots/{key}"), bytes)
            .unwrap();
    };
    let mut index = String::new();
    for architecture in ["all", "amd64"] {
        let file = std::fs::read(store.build("1.0", architecture)).unwrap();
        let key = format!("files/{architecture}.deb");
        put(&key, &file);
        let (size, sha256) = (file.len(), Sha256::of(&file));
        index.push_str(&format!(
            "Package: tool\nVersion: 1.0\nArchitecture: {architecture}\nFilename: {key}\nSize: {size}\nSHA256: {sha256}\n\n"
        ));
    }
    put("dists/lab/main/binary-amd64/Packages", index.as_bytes());
    let release = format!(
        "Suite: lab\nCodename: lab\nDate: Mon, 24 Nov 2025 15:00:00 +0000\nArchitectures: amd64\nComponents: main\n\
         SHA256:\n {} {} main/binary-amd64/Packages\n",
        Sha256::of(index.as_bytes()),
        index.len()
    );
    put("dists/lab/Release", release.as_bytes());
    store.adopt(&["--unverified"]).expect(0);
    let verify = || run(&mut store.debucket(&["verify", "lab"]));
    let found = verify();
    assert_eq!(found.code, 0, "{found:#?}");
    let told = "warning: suite lab has equal versions with other content (1), of which devices get either: \
                files/all.deb and files/amd64.deb";
    assert!(found.stderr.contains(told), "{found:#?}");
    let publish = |file: &PathBuf, more: &[&str]| {
        let mut command = store.debucket(&["publish", "--suite", "lab", "--unsigned"]);
        run(command.arg(file).args(more))
    };
    assert!(
        publish(&store.build("1.0", "amd64"), &[])
            .expect(0)
            .contains("nothing to do")
    );
    publish(&store.build("1.1", "all"), &[]).expect(0);
    publish(&store.build("1.0", "amd64"), &["--replace"]).expect(0);
    let found = verify();
    assert!(
        found.code == 0 && !found.stderr.contains("equal versions"),
        "{found:#?}"
    );
}
