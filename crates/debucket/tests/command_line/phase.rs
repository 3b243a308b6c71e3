//! Phased updates: a version reaches a part of the devices, and is taken back.

use serde_json::{Value, json};

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

impl Store {
    pub(crate) fn phase(&self, arguments: &[&str]) -> Run {
        let mut command = self.debucket(&["phase"]);
        run(command
            .args(arguments)
            .arg("--sign-key")
            .arg(self.path("key.asc")))
    }

    /// Publishes `tool` in a version for all architectures.
    pub(crate) fn tool(&self, version: &str, more: &[&str]) -> Run {
        let build = format!("tool {version}");
        let file = package::write(self.folder.path(), "tool", version, "all", &build);
        self.publish(&file, more)
    }

    /// `version percentage` of each version of `tool`, as the index has them.
    pub(crate) fn phases(&self, suite: &str) -> Vec<String> {
        let list = ["list", "tool", "--suite", suite, "--output", "json"];
        let document = self.read(&list).json();
        let packages = document["packages"].as_array().unwrap().iter();
        packages
            .map(|package| {
                let version = package["version"].as_str().unwrap();
                let phase = package["phase"].as_u64();
                format!("{version} {}", phase.unwrap_or(100))
            })
            .collect()
    }
}

#[test]
fn a_version_is_published_for_a_part_of_the_devices_and_then_for_more() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    let published = store.tool("2", &["--phase", "10"]).expect(0);
    assert!(
        published.starts_with("added  tool  2  all  main  for 10 %\n"),
        "{published}"
    );
    let shown = store.read(&["show", "tool"]).expect(0);
    assert!(
        shown.ends_with("\nPhased-Update-Percentage: 10\n"),
        "{shown}"
    );
    assert_eq!(
        store.read(&["list"]).expect(0),
        "tool  1  all  main\ntool  2  all  main  for 10 %\n"
    );
    let again = store.tool("2", &[]).expect(0);
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(store.phases("stable"), ["1 100", "2 10"]);
    let dry = store.phase(&["tool", "50", "--dry-run"]).expect(0);
    assert!(
        dry.contains("  phase  tool  2  all  main")
            && dry.contains("    phased  tool  2  all  main  10 % -> 50 %\n"),
        "{dry}"
    );
    let phased = store.phase(&["tool", "50"]).expect(0);
    assert!(
        phased.starts_with("phased  tool  2  all  main  10 % -> 50 %\n"),
        "{phased}"
    );
    assert!(
        store
            .phase(&["tool", "50"])
            .expect(0)
            .starts_with("nothing to do")
    );
    store.phase(&["tool=2", "60"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100", "2 60"]);
    assert_eq!(
        store.read(&["diff", "stable@~1", "stable"]).expect(0),
        "phased  tool  2  all  main  50 % -> 60 %\n"
    );
    store.phase(&["tool", "100"]).expect(0);
    let shown = store.read(&["show", "tool"]).expect(0);
    assert!(!shown.contains("Phased"), "{shown}");
    let log = store.read(&["log"]).expect(0);
    for line in [
        "    phase  tool  2  all  main  60 % -> 100 %\n",
        "    +  tool  2  all  main  for 10 %\n",
    ] {
        assert!(log.contains(line), "{log}");
    }
    let log = store.read(&["log", "--oneline"]).expect(0);
    assert!(log.contains("phase tool_2_all 50 % -> 60 %\n"), "{log}");
    store.read(&["verify", "--deep"]).expect(0);
}

#[test]
fn what_is_no_percentage_or_no_package_is_refused() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    for arguments in [
        &["tool"][..],
        &["50"],
        &["tool", "101"],
        &["tool", "-1"],
        &["tool", "10%"],
        &["tool", "1.5"],
        &["Tool", "50"],
        &["tool", "50", "--allow-no-version"],
        &["--halt"],
    ] {
        store.phase(arguments).expect(2);
    }
    for arguments in [
        &["tool", "other", "50"][..],
        &["tool=2", "50"],
        &["other", "--halt"],
        &["tool", "50", "--suite", "testing"],
    ] {
        store.phase(arguments).expect(4);
    }
    store.tool("2", &["--phase", "101"]).expect(2);
    assert_eq!(store.phases("stable"), ["1 100"]);
    let zero = store.phase(&["tool=1", "0"]);
    assert!(zero.stderr.contains("about 1 %"), "{zero:#?}");
    assert_eq!(store.phases("stable"), ["1 0"]);
}

/// What the advice about versions that are for all devices says can be run as it stands, and does no more.
#[test]
fn the_advice_about_a_released_version_names_what_was_meant() {
    let store = Store::start();
    for architecture in ["amd64", "arm64"] {
        let file = package::write(
            store.folder.path(),
            "tool",
            "1.0",
            architecture,
            architecture,
        );
        store.publish(&file, &[]).expect(0);
    }
    for (wanted, advised, phases) in [
        ("tool:arm64", "tool:arm64=1.0", ["1.0 100", "1.0 30"]),
        ("t*:amd64", "tool:amd64=1.0", ["1.0 30", "1.0 30"]),
    ] {
        let left = store.phase(&[wanted, "30"]);
        assert_eq!(left.code, 0, "{left:#?}");
        let named = left
            .stderr
            .lines()
            .find_map(|line| line.split_once("name its version: "));
        assert_eq!(named.unwrap().1, advised, "{left:#?}");
        store.phase(&[advised, "30"]).expect(0);
        assert_eq!(store.phases("stable"), phases);
    }
    store.phase(&["tool", "100"]).expect(0);
    let left = store.phase(&["tool", "--halt"]);
    assert!(
        left.stderr.ends_with("name its version: tool=1.0\n"),
        "{left:#?}"
    );
}

#[test]
fn a_promoted_package_starts_without_a_phase_unless_one_is_given() {
    let store = Store::start();
    store
        .tool("1", &["--suite", "testing", "--phase", "10"])
        .expect(0);
    let promote = |to: &str, more: &[&str]| {
        let mut command = store.debucket(&["promote", "--from", "testing", "--to", to]);
        run(command
            .args(more)
            .arg("--sign-key")
            .arg(store.path("key.asc")))
    };
    promote("stable", &["tool"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100"]);
    assert_eq!(store.phases("testing"), ["1 10"]);
    promote("careful", &["--all", "--phase", "20"]).expect(0);
    assert_eq!(store.phases("careful"), ["1 20"]);
    let again = promote("stable", &["--all", "--phase", "20"]).expect(0);
    assert!(again.starts_with("nothing to do"), "{again}");
    assert_eq!(store.phases("stable"), ["1 100"]);
}

#[test]
fn a_rollback_brings_the_phase_back() {
    let store = Store::start();
    store.tool("1", &["--phase", "10"]).expect(0);
    store.phase(&["tool", "50"]).expect(0);
    let mut rollback = store.debucket(&["rollback", "--to", "@~1", "--sign-key"]);
    run(rollback.arg(store.path("key.asc"))).expect(0);
    assert_eq!(store.phases("stable"), ["1 10"]);
    let log = store.read(&["log", "-n", "1", "--output", "json"]).json();
    assert_eq!(log[0]["changes"][0]["action"], "phase");
    assert_eq!(log[0]["changes"][0]["phase"], json!({"from": 50, "to": 10}));
}

#[test]
fn a_change_of_the_phase_does_not_make_a_package_young() {
    let store = Store::start();
    for version in ["1", "2"] {
        store.tool(version, &[]).expect(0);
    }
    let later = std::time::Duration::from_secs(10 * 24 * 3600);
    store.server.clock().advance(later);
    store
        .phase(&["tool=1", "10", "--trust-store-clock"])
        .expect(0);
    let prune = ["prune", "--keep", "1", "--older-than", "5d"];
    let mut prune = store.debucket(&prune);
    let prune = prune.args(["--trust-store-clock", "--sign-key"]);
    run(prune.arg(store.path("key.asc"))).expect(0);
    assert_eq!(store.phases("stable"), ["2 100"]);
}

#[test]
fn a_halt_brings_the_version_before_back_if_none_is_left() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    store.tool("2", &["--phase", "10"]).expect(0);
    let halted = store.phase(&["tool", "--halt"]);
    assert!(
        halted.stderr.contains("devices that have tool 2 keep it"),
        "{halted:#?}"
    );
    let halted = halted.expect(0);
    assert!(
        halted.starts_with("removed  tool  2  all  main\nsuite"),
        "{halted}"
    );
    assert_eq!(store.phases("stable"), ["1 100"]);

    // Retention takes it out as the new version comes in.
    store.tool("3", &["--keep", "1", "--phase", "10"]).expect(0);
    assert_eq!(store.phases("stable"), ["3 10"]);
    let dry = store.phase(&["tool", "--halt", "--dry-run"]).expect(0);
    assert!(
        dry.contains("downgraded  tool  3 -> 1  all  main")
            && dry.contains("devices stay at 3: apt does not downgrade\n"),
        "{dry}"
    );
    let pool = store.server.keys(BUCKET).len();
    let halted = store.phase(&["tool=3", "--halt"]).expect(0);
    assert!(
        halted.starts_with("removed  tool  3  all  main\nadded    tool  1  all  main\n")
            || halted.starts_with("added    tool  1  all  main\nremoved  tool  3  all  main\n"),
        "{halted}"
    );
    assert!(store.server.keys(BUCKET).len() > pool);
    assert_eq!(store.phases("stable"), ["1 100"]);
    store.read(&["verify", "--deep"]).expect(0);
    let again = store.phase(&["tool=3", "--halt"]).expect(0);
    assert!(again.starts_with("nothing to do"), "{again}");
    store.phase(&["tool=30", "--halt"]).expect(4);
}

#[test]
fn a_version_for_all_devices_is_changed_only_if_it_is_named() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    for version in ["2", "3"] {
        store.tool(version, &["--phase", "10"]).expect(0);
    }
    let raised = store.phase(&["tool", "50"]);
    assert!(!raised.stderr.contains("for all devices"), "{raised:#?}");
    assert_eq!(store.phases("stable"), ["1 100", "2 10", "3 50"]);
    store.phase(&["tool=2", "tool=3", "--halt"]).expect(0);
    for arguments in [&["t*", "--halt"][..], &["tool", "50"], &["tool", "--halt"]] {
        let left = store.phase(&[arguments, &["--output", "json"]].concat());
        let told = "already released to all devices, so unchanged; to change one, name its version: tool=1";
        assert!(left.stderr.contains(told), "{left:#?}");
        let document = left.json();
        assert_eq!(document["changed"], false);
        assert_eq!(document["warnings"], json!([told]));
        assert_eq!(store.phases("stable"), ["1 100"]);
    }
    store.phase(&["tool (= 1)", "50"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 50"]);
    store.phase(&["tool", "100"]).expect(0);
    let gone = ["tool=1", "--halt", "--allow-no-version"];
    for _ in 0..2 {
        store.phase(&gone).expect(0);
        assert!(store.phases("stable").is_empty());
    }
}

#[test]
fn what_came_before_may_be_lost_if_that_is_allowed() {
    for loss in ["index", "commit", "package"] {
        let store = Store::start();
        store.tool("1", &[]).expect(0);
        let first: Vec<_> = store.server.keys(BUCKET);
        store.tool("2", &["--keep", "1", "--phase", "10"]).expect(0);
        let folder = match loss {
            "index" => "/by-hash/",
            "commit" => "/commits/",
            _ => "/pool/",
        };
        for key in first.iter().filter(|key| key.contains(folder)) {
            store.server.delete(BUCKET, key).unwrap();
        }
        let refused = store.phase(&["tool", "--halt"]);
        assert_eq!(refused.code, 1, "{loss}: {refused:#?}");
        assert!(
            refused
                .stderr
                .contains("what suite stable had before tool_2_all is lost")
                && refused.stderr.contains("--allow-no-version"),
            "{loss}: {}",
            refused.stderr
        );
        assert_eq!(store.phases("stable"), ["2 10"]);
        store
            .phase(&["tool", "--halt", "--allow-no-version"])
            .expect(0);
        assert!(store.phases("stable").is_empty(), "{loss}");
    }
}

#[test]
fn the_component_that_was_given_is_named() {
    let store = Store::start();
    store
        .tool("1", &["--component", "extra", "--phase", "10"])
        .expect(0);
    let missing = store.phase(&["tool", "50", "--component", "main"]);
    assert!(
        missing
            .stderr
            .contains("has no package tool in component main"),
        "{missing:#?}"
    );
    let halt = ["tool", "--halt", "--allow-no-version"];
    store
        .phase(&[&halt[..], &["--component", "extra"]].concat())
        .expect(0);
    let log = store.read(&["log", "--oneline"]).expect(0);
    assert!(
        log.contains(" Take back tool in component extra\n"),
        "{log}"
    );
}

#[test]
fn a_halt_without_a_version_before_is_refused_unless_that_is_allowed() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    let refused = store.phase(&["tool=1", "--halt"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("suite stable had no version before tool_1_all")
            && refused.stderr.contains("--allow-no-version"),
        "{}",
        refused.stderr
    );
    assert_eq!(store.phases("stable"), ["1 100"]);
    store
        .phase(&["tool=1", "--halt", "--allow-no-version"])
        .expect(0);
    assert!(store.phases("stable").is_empty());
}

#[test]
fn a_halt_names_the_file_that_it_needs_and_that_is_gone() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    store.tool("2", &["--keep", "1"]).expect(0);
    let key = "robots/pool/main/t/tool/tool_1_all.deb";
    store.server.delete(BUCKET, key).unwrap();
    let refused = store.phase(&["tool=2", "--halt"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("pool/main/t/tool/tool_1_all.deb is missing"),
        "{}",
        refused.stderr
    );
    assert_eq!(store.phases("stable"), ["2 100"]);
}

#[test]
fn each_architecture_goes_back_to_what_its_devices_had() {
    let store = Store::start();
    let publish = |name: &str, version: &str, architecture: &str, more: &[&str]| {
        let build = format!("{name} {version} {architecture}");
        let file = package::write(store.folder.path(), name, version, architecture, &build);
        store.publish(&file, more).expect(0);
    };
    publish("tool", "1", "all", &[]);
    publish("tool", "1.5", "arm64", &[]);
    publish("tool", "2", "amd64", &[]);
    publish("tool", "2", "arm64", &[]);
    let remove = ["remove", "tool (<< 2)", "--sign-key"];
    run(store.debucket(&remove).arg(store.path("key.asc"))).expect(0);
    store.phase(&["tool=2", "--halt"]).expect(0);
    let list = store.read(&["list", "--output", "json"]).json();
    let packages = list["packages"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = packages.map(|package| {
        let (version, architecture) = (text(&package["version"]), text(&package["architecture"]));
        format!("{version} {architecture}")
    });
    assert_eq!(packages.collect::<Vec<_>>(), ["1 all", "1.5 arm64"]);
}

#[test]
fn a_repair_leaves_the_part_of_the_devices_as_it_is() {
    let store = Store::start();
    store.tool("1", &["--phase", "30"]).expect(0);
    store.tool("2", &["--phase", "10"]).expect(0);
    store.phase(&["tool=1", "60"]).expect(0);
    // A file that was damaged goes to another key when it is published again.
    let file = "robots/pool/main/t/tool/tool_2_all.deb";
    store.server.put(BUCKET, file, b"damaged").unwrap();
    store.tool("2", &[]).expect(0);
    store.read(&["verify", "--deep"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 60", "2 10"]);
    // Indexes of which nothing is left are made of the history and the packages.
    for key in store.server.keys(BUCKET) {
        if key.contains("/binary-") {
            store.server.delete(BUCKET, &key).unwrap();
        }
    }
    let repair = &mut store.debucket(&["verify", "--repair", "--sign-key"]);
    // Those of earlier states are lost for good.
    run(repair.arg(store.path("key.asc"))).expect(0);
    assert_eq!(store.phases("stable"), ["1 60", "2 10"]);
}

#[test]
fn other_architectures_with_an_older_version_are_left_alone() {
    let store = Store::start();
    for (version, architecture) in [("1", "amd64"), ("1", "arm64"), ("2", "arm64")] {
        let build = format!("tool {version} {architecture}");
        let file = package::write(store.folder.path(), "tool", version, architecture, &build);
        store.publish(&file, &[]).expect(0);
    }
    store.phase(&["tool=2", "50"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100", "1 100", "2 50"]);
    store.phase(&["tool", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100", "1 100"]);
}

#[test]
fn a_version_that_came_back_by_a_halt_can_be_taken_back_too() {
    let store = Store::start();
    store.tool("1", &["--phase", "100"]).expect(0);
    for version in ["2", "3"] {
        store
            .tool(version, &["--keep", "1", "--phase", "10"])
            .expect(0);
    }
    store.phase(&["tool=3", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["2 10"]);
    store.phase(&["tool=2", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100"]);
    store.phase(&["tool=1", "--halt"]).expect(4);
}

#[test]
fn a_halt_goes_back_past_what_was_taken_back_before() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    store.tool("2", &["--keep", "1", "--phase", "10"]).expect(0);
    store.tool("3", &["--phase", "10"]).expect(0);
    // As a newer version is left, nothing comes back in its place.
    store.phase(&["tool=2", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["3 10"]);
    store.phase(&["tool", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100"]);
    // What was published again after that is as good as any.
    store.tool("2", &["--keep", "1", "--undo-halt"]).expect(0);
    store.tool("3", &["--keep", "1", "--undo-halt"]).expect(0);
    store.phase(&["tool=3", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["2 100"]);
}
