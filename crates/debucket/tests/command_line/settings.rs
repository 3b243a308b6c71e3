//! Suites are created, set up, and signed anew in time.

use std::time::Duration;

use jiff::fmt::strtime;
use serde_json::Value;

use crate::run::{BUCKET, Store, run};

#[test]
fn a_suite_is_created_set_up_and_shown() {
    let store = Store::start();
    let create = [
        "suite",
        "create",
        "testing",
        "--origin",
        "Acme",
        "--components",
        "main,extra",
    ];
    let created = store.change(&create).expect(0);
    assert!(created.starts_with("created suite testing in"), "{created}");
    assert!(store.change(&create).expect(0).starts_with("nothing to do"));
    let other = store.change(&["suite", "create", "testing", "--origin", "Other"]);
    assert_eq!(other.code, 3, "{other:#?}");
    assert!(other.stderr.contains("suite set"), "{}", other.stderr);
    let set = ["suite", "set", "testing"];
    let label = store.change(&[&set[..], &["--label", "Robots"]].concat());
    assert_eq!(label.code, 1, "devices would refuse it: {label:#?}");
    let priority = store.change(&[&set[..], &["--field", "NotAutomatic=yes"]].concat());
    assert_eq!(priority.code, 1, "devices would refuse it: {priority:#?}");
    store
        .change(
            &[
                &set[..],
                &[
                    "--field",
                    "NotAutomatic=yes",
                    "--valid-for",
                    "14d",
                    "--formats",
                    "gz,xz",
                    "--origin",
                    "",
                    "--allow-release-info-change",
                ],
            ]
            .concat(),
        )
        .expect(0);
    let release = store
        .server
        .get(BUCKET, "robots/dists/testing/Release")
        .unwrap()
        .unwrap();
    let release = String::from_utf8(release.to_vec()).unwrap();
    assert!(
        release.contains("\nNotAutomatic: yes\n") && release.contains("\nValid-Until: "),
        "{release}"
    );
    assert!(
        release.contains("main/binary-amd64/Packages.xz\n") && !release.contains(".zst"),
        "{release}"
    );
    assert!(!release.contains("Origin:"), "{release}");
    let shown = store
        .read(&["suite", "show", "testing", "--output", "json"])
        .json();
    assert_eq!(shown["settings"]["valid_seconds"], 1_209_600);
    assert_eq!(
        shown["settings"]["components"],
        serde_json::json!(["main", "extra"])
    );
    assert!(shown["valid_until"].as_str() > shown["date"].as_str());
    let shown = store.read(&["suite", "show", "testing"]).expect(0);
    assert!(shown.contains("\ncomponents: main, extra\n"), "{shown}");
    assert_eq!(
        run(&mut store.debucket(&["suite", "list"])).expect(0),
        "testing\n"
    );
    for wrong in [
        "Date=now",
        "components=x",
        "Valid-Until=never",
        "a b=c",
        "x",
    ] {
        store
            .change(&[&set[..], &["--field", wrong]].concat())
            .expect(2);
    }
    for wrong in [
        ["--formats", "br"],
        ["--keep", "0"],
        ["--valid-for", "14"],
        ["--components", "InRelease"],
    ] {
        store.change(&[&set[..], &wrong].concat()).expect(2);
    }
    // Names of fields are the same in any case.
    for twice in [
        ["--field", "NotAutomatic=yes", "--field", "notautomatic=no"],
        ["--origin", "Acme", "--field", "ORIGIN=Acme"],
    ] {
        let refused = store.change(&[&set[..], &twice].concat());
        assert!(refused.stderr.contains("is given twice"), "{refused:#?}");
        refused.expect(2);
    }
}

#[test]
fn each_setting_is_in_release() {
    let store = Store::start();
    let settings = [
        ("--origin", "Acme", "Origin: Acme"),
        ("--label", "Robots", "Label: Robots"),
        ("--codename", "trixie", "Codename: trixie"),
        ("--release-version", "13.1", "Version: 13.1"),
        (
            "--description",
            "Robots of Acme",
            "Description: Robots of Acme",
        ),
        ("--components", "main,extra", "Components: main extra"),
        (
            "--architectures",
            "amd64,armhf",
            "Architectures: amd64 armhf",
        ),
        ("--field", "NotAutomatic=yes", "NotAutomatic: yes"),
        (
            "--field",
            "ButAutomaticUpgrades=yes",
            "ButAutomaticUpgrades: yes",
        ),
        ("--field", "Changelogs=no", "Changelogs: no"),
        (
            "--field",
            "Snapshots=https://a.example/@SNAPSHOTID@/",
            "Snapshots: https://a.example/@SNAPSHOTID@/",
        ),
    ];
    let options: Vec<_> = settings
        .iter()
        .flat_map(|(option, value, _)| [*option, *value])
        .collect();
    let more = [
        "--formats",
        "gz,zst,xz",
        "--valid-for",
        "14d",
        "--keep",
        "2",
    ];
    let all = [&options[..], &more].concat();
    store
        .change(&[&["suite", "create", "stable"], &all[..]].concat())
        .expect(0);
    // One that is there is set up in the same way.
    store.change(&["suite", "create", "other"]).expect(0);
    let allow = ["--allow-release-info-change"];
    store
        .change(&[&["suite", "set", "other"], &all[..], &allow].concat())
        .expect(0);
    for suite in ["stable", "other"] {
        let key = format!("robots/dists/{suite}/Release");
        let release = store.server.get(BUCKET, &key).unwrap().unwrap();
        let release = String::from_utf8(release).unwrap();
        let suite = format!("Suite: {suite}");
        let expected = settings.iter().map(|(_, _, line)| *line);
        for line in expected.chain([suite.as_str(), "Acquire-By-Hash: yes"]) {
            assert!(
                release.lines().any(|there| there == line),
                "{line}\n{release}"
            );
        }
        for format in ["gz", "zst", "xz"] {
            let index = format!(" extra/binary-armhf/Packages.{format}\n");
            assert!(release.contains(&index), "{release}");
        }
    }
    let shown = store.read(&["suite", "show", "stable"]).expect(0);
    for line in [
        "version: 13.1",
        "Changelogs: no",
        "keep versions: 2",
        "valid for: 2w",
        "formats: gz, zst, xz",
    ] {
        assert!(
            shown.lines().any(|there| there.eq_ignore_ascii_case(line)),
            "{line}\n{shown}"
        );
    }
}

#[test]
fn a_refresh_waits_until_there_is_little_time_left() {
    let store = Store::start();
    store.add("stable", "tool", "1.0");
    let commits = |store: &Store| store.read(&["log", "--oneline"]).expect(0).lines().count();
    let idle = store.change(&["refresh"]).expect(0);
    assert!(idle.starts_with("nothing to do"), "{idle}");
    store
        .change(&["suite", "set", "stable", "--valid-for", "14d"])
        .expect(0);
    store.change(&["refresh"]).expect(0);
    assert_eq!(commits(&store), 2);
    let always = "warning: --within is not shorter than the suite's validity";
    for (within, warns) in [("13d", false), ("14d", true), ("15d", true)] {
        let planned = store.change(&["refresh", "--dry-run", "--within", within]);
        assert_eq!(planned.stderr.contains(always), warns, "{planned:#?}");
    }
    store.change(&["refresh", "--within", "15d"]).expect(0);
    assert_eq!(commits(&store), 3);
    let log: Value = store.read(&["log", "-n", "1", "--output", "json"]).json();
    assert_eq!(log[0]["changes"], serde_json::json!([]));
}

#[test]
fn a_dry_run_of_a_refresh_says_how_the_suite_would_be_dated() {
    let store = Store::start();
    store.server.clock().freeze();
    store.add("stable", "tool", "1.0");
    let planned = || store.change(&["refresh", "--force", "--dry-run"]).expect(0);
    let release = || {
        let release = store.server.get(BUCKET, "robots/dists/stable/Release");
        let release = String::from_utf8(release.unwrap().unwrap()).unwrap();
        let field = |name: &str| {
            let line = release.lines().find_map(|line| line.strip_prefix(name));
            line.map(|date| strtime::parse("%a, %d %b %Y %H:%M:%S UTC", date).unwrap())
        };
        ["Date: ", "Valid-Until: "].map(|name| {
            let time = field(name)?.to_datetime().unwrap();
            Some(time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp())
        })
    };
    for valid in [&[][..], &["--valid-for", "14d"]] {
        if !valid.is_empty() {
            let set = [&["suite", "set", "stable"], valid].concat();
            store.change(&set).expect(0);
        }
        store.server.clock().advance(Duration::from_secs(3600));
        let told = planned();
        store.change(&["refresh", "--force"]).expect(0);
        let [date, until] = release();
        let mut lines = format!("  Date: {}\n", date.unwrap());
        lines.extend(until.map(|until| format!("  Valid-Until: {until}\n")));
        assert!(
            told.contains(&format!("\n{lines}dry run")),
            "{told} {lines}"
        );
    }
}

#[test]
fn a_forced_refresh_acts_in_the_second_of_the_commit_before() {
    let store = Store::start();
    store.server.clock().freeze();
    store.add("stable", "tool", "1.0");
    for commits in [2, 3] {
        let refreshed = store.change(&["refresh", "--force"]).expect(0);
        assert!(refreshed.starts_with("suite stable in"), "{refreshed}");
        let log = store.read(&["log", "--oneline"]).expect(0);
        assert_eq!(log.lines().count(), commits);
    }
}
