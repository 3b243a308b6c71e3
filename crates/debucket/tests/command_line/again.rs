//! What is published or taken back a second time, as a CI job does that is run again.

use serde_json::{Value, json};

use crate::{
    printed::{commands, words},
    run::{Run, Store, run},
};

/// Runs the only command that a text has.
fn follow(store: &Store, text: &str) -> Run {
    let command = commands(text).next().expect(text);
    let words = words(command);
    let words: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
    let mut command = store.debucket(&words);
    run(command.arg("--sign-key").arg(store.path("key.asc")))
}

#[test]
fn what_is_published_again_stays_for_the_devices_that_it_is_for() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    store.tool("2", &["--phase", "10"]).expect(0);
    for (version, more, told) in [
        (
            "1",
            &["--phase", "10"][..],
            "tool_1_all is in suite stable already, for all devices, and stays so; to have it for 10 % of the devices: ",
        ),
        ("1", &["--phase", "100"], ""),
        ("1", &[], ""),
        (
            "2",
            &[],
            "tool_2_all is in suite stable already, for 10 % of the devices, and stays so; to have it for all devices: ",
        ),
        (
            "2",
            &["--phase", "60"],
            "for 10 % of the devices, and stays so; to have it for 60 % of the devices: ",
        ),
        ("2", &["--phase", "10"], ""),
        (
            "2",
            &["--replace", "--phase", "20"],
            "to have it for 20 % of the devices: ",
        ),
    ] {
        for dry in [&[][..], &["--dry-run"]] {
            let again = store.tool(version, &[more, dry, &["--output", "json"]].concat());
            let document: Value = serde_json::from_str(&again.stdout).unwrap();
            assert_eq!(document["changed"], false, "{again:#?}");
            let warnings = document["warnings"].as_array().unwrap();
            let warning = warnings
                .first()
                .map_or("", |warning| warning.as_str().unwrap());
            assert!(
                warning.contains(told) && warning.is_empty() == told.is_empty(),
                "{again:#?}"
            );
            assert!(again.stderr.contains(warning), "{again:#?}");
            assert_eq!(store.phases("stable"), ["1 100", "2 10"]);
        }
    }
    let again = store.tool("2", &["--phase", "60"]);
    follow(&store, &again.stderr).expect(0);
    assert_eq!(store.phases("stable"), ["1 100", "2 60"]);
    // Beside a new one, too.
    let both = store.path("both");
    std::fs::create_dir(&both).unwrap();
    for version in ["1", "3"] {
        let build = format!("tool {version}");
        crate::package::write(&both, "tool", version, "all", &build);
    }
    store.publish(&both, &["--phase", "5"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100", "2 60", "3 5"]);
    // A promotion has a wish only if it says so.
    let promote = |to: &str, more: &[&str]| {
        let promote = [
            "promote", "tool", "--from", "stable", "--to", to, "--output", "json",
        ];
        let mut command = store.debucket(&[&promote[..], more].concat());
        run(command.arg("--sign-key").arg(store.path("key.asc")))
    };
    promote("next", &["--phase", "30"]).expect(0);
    assert_eq!(promote("next", &[]).json()["warnings"], json!([]));
    let other = promote("next", &["--phase", "31"]).json();
    assert_eq!(other["warnings"].as_array().unwrap().len(), 3, "{other}");
}

#[test]
fn a_version_that_was_taken_back_comes_in_again_only_if_that_is_said() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    store.tool("2", &["--phase", "10"]).expect(0);
    store.phase(&["tool", "--halt"]).expect(0);
    for more in [&[][..], &["--phase", "10"], &["--replace"], &["--dry-run"]] {
        let refused = store.tool("2", more);
        assert!(
            refused
                .stderr
                .contains("error: tool_2_all (component main) was taken back from suite stable\n")
                && refused.stderr.contains("--undo-halt"),
            "{refused:#?}"
        );
        refused.expect(3);
        assert_eq!(store.phases("stable"), ["1 100"]);
    }
    // A later change does not forget it, and other suites are not concerned.
    store.tool("3", &["--suite", "stable,testing"]).expect(0);
    store.tool("2", &["--suite", "testing"]).expect(0);
    let promote = |more: &[&str]| {
        let promote = ["promote", "tool", "--from", "testing", "--to", "stable"];
        let mut command = store.debucket(&[&promote[..], more].concat());
        run(command.arg("--sign-key").arg(store.path("key.asc")))
    };
    promote(&[]).expect(3);
    promote(&["--undo-halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["1 100", "2 100", "3 100"]);
    // From then on it is as any other.
    let remove = ["remove", "tool=2", "--sign-key"];
    run(store.debucket(&remove).arg(store.path("key.asc"))).expect(0);
    store.tool("2", &[]).expect(0);
}

#[test]
fn a_rollback_brings_a_version_back_that_was_taken_back() {
    let store = Store::start();
    store.tool("1", &[]).expect(0);
    store.tool("2", &["--keep", "1"]).expect(0);
    store.phase(&["tool=2", "--halt"]).expect(0);
    let mut rollback = store.debucket(&["rollback", "--to", "@~1", "--sign-key"]);
    run(rollback.arg(store.path("key.asc"))).expect(0);
    assert!(store.tool("2", &[]).expect(0).contains("nothing to do"));
    assert_eq!(store.phases("stable"), ["2 100"]);
}

#[test]
fn a_halt_takes_back_the_newest_version_however_often_it_is_run() {
    let store = Store::start();
    for (version, phase) in [("1.0", "20"), ("1.1", "20"), ("3.0", "0")] {
        store.tool(version, &["--phase", phase]).expect(0);
    }
    store.phase(&["tool", "30"]).expect(0);
    assert_eq!(store.phases("stable"), ["1.0 20", "1.1 20", "3.0 30"]);
    let halted = store.phase(&["tool", "--halt"]);
    assert!(
        halted.stderr.contains("devices that have tool 3.0 keep it"),
        "{halted:#?}"
    );
    halted.expect(0);
    assert_eq!(store.phases("stable"), ["1.0 20", "1.1 20"]);
    let again = store.phase(&["tool", "--halt", "--output", "json"]).json();
    let told = "a later version was taken back already, so unchanged; to take an earlier one back, too, name it: tool:all=1.1";
    assert_eq!(again["warnings"], json!([told]));
    assert_eq!(again["changed"], false);
    store.phase(&["tool:all=1.1", "--halt"]).expect(0);
    // Nothing was before the last one: what is advised takes this one out, and no other.
    let refused = store.phase(&["tool=1.0", "--halt"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("phase tool:all=1.0 --halt --allow-no-version"),
        "{refused:#?}"
    );
    follow(&store, &refused.stderr).expect(0);
    assert!(store.phases("stable").is_empty());
    // A lower number that came in after that is the newest.
    store.tool("0.9", &[]).expect(0);
    store.tool("2.0", &["--phase", "10"]).expect(0);
    store.phase(&["tool", "--halt"]).expect(0);
    assert_eq!(store.phases("stable"), ["0.9 100"]);
}
