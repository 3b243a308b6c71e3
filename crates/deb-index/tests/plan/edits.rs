//! Packages are removed, pruned and restored; settings change.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU32,
    sync::Arc,
};

use deb_index::{
    change::{Edit, IndexPlan, Intent, Restored, Retention, Selector, SettingsPatch},
    digest::Sha256,
    index::compression::Format,
    suite::{commit::Change, release},
};
use jiff::{SignedDuration, Timestamp};

use crate::suite::{Suite, for_architectures, intent, path, stanza};

fn suite(packages: &[(&str, &str, &str)]) -> Suite {
    let mut suite = Suite::default();
    let stanzas = packages.iter();
    let stanzas = stanzas.map(|(name, version, architecture)| {
        stanza(
            name,
            version,
            architecture,
            &format!("{name}{version}{architecture}"),
        )
    });
    suite.add(stanzas);
    suite
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

pub(crate) fn remove(text: &str) -> Intent {
    Intent(vec![Edit::Remove {
        of: selector(text),
        except: HashSet::new(),
    }])
}

pub(crate) fn retention(newest: u32, of: &str) -> Retention {
    Retention {
        of: vec![selector(of)],
        newest: newest.try_into().unwrap(),
        below: None,
        only: None,
    }
}

fn keep(suite: &mut Suite, retention: Retention) {
    suite.apply(&Intent(vec![Edit::Keep(retention)])).unwrap();
}

fn names(suite: &Suite, architecture: &str) -> Vec<String> {
    suite.packages(architecture).into_keys().collect()
}

/// What a rollback to the state of `suite` restores.
pub(crate) fn restore(suite: &Suite) -> Edit {
    Edit::Restore(Arc::new(Restored {
        indexes: suite.commit.as_ref().unwrap().indexes.clone(),
        plain: suite.plain.clone(),
    }))
}

#[test]
fn a_package_is_removed_from_every_index_and_recorded_once() {
    let mut suite = suite(&[("a", "1", "all"), ("b", "1", "amd64")]);
    assert!(suite.apply(&remove("a")).unwrap());
    assert_eq!(names(&suite, "amd64"), ["b_1_amd64"]);
    assert!(names(&suite, "arm64").is_empty());
    let changes = &suite.commit.as_ref().unwrap().changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].action, Change::REMOVE);
    assert_eq!(changes[0].package.as_deref(), Some("a"));
    assert!(
        !suite.apply(&remove("a")).unwrap(),
        "removing again changes nothing"
    );
}

#[test]
fn indexes_without_the_package_stay_as_they_are() {
    let suite = suite(&[("a", "1", "amd64"), ("b", "1", "arm64")]);
    let plan = suite.plan(&remove("a")).unwrap();
    assert!(matches!(plan.indexes[&path("amd64")], IndexPlan::Write(_)));
    assert_eq!(plan.indexes[&path("arm64")], IndexPlan::Keep);
    assert_eq!(
        remove("a:arm64")
            .reads(&["main".parse().unwrap()], &["amd64".parse().unwrap()])
            .len(),
        0
    );
}

#[test]
fn what_no_selector_matches_is_named() {
    let suite = suite(&[("a", "1.0-1", "amd64")]);
    let mut both = remove("a=1.0");
    both.0.extend(remove("a").0);
    let plan = suite.plan(&both).unwrap();
    assert_eq!(plan.unmatched, ["a=1.0"]);
    assert!(!plan.is_empty(suite.commit.as_ref()));
    // What is kept is there, although nothing goes.
    let kept = ["typo", "a"].map(|of| Edit::Keep(retention(1, of)));
    let plan = suite.plan(&Intent(kept.into())).unwrap();
    assert_eq!(plan.unmatched, ["typo"]);
    assert!(plan.is_empty(suite.commit.as_ref()));
}

#[test]
fn a_mirror_keeps_what_the_source_has() {
    let mut suite = suite(&[("a", "1", "amd64"), ("b", "1", "amd64")]);
    let new = stanza("a", "2", "amd64", "new");
    let main = new.id.component.clone();
    let kept = [new.sha256, Sha256::of(b"b1amd64")].map(|sha256| (main.clone(), sha256));
    let mut elsewhere = stanza("b", "1", "amd64", "b1amd64");
    elsewhere.id.component = "extra".parse().unwrap();
    suite.add([elsewhere]);
    suite
        .apply(&Intent(vec![
            Edit::Add {
                stanza: new,
                replace: false,
            },
            Edit::Remove {
                of: Selector::all(None),
                except: kept.into(),
            },
        ]))
        .unwrap();
    assert_eq!(names(&suite, "amd64"), ["a_2_amd64", "b_1_amd64"]);
    let index = &suite.commit.as_ref().unwrap().indexes;
    let elsewhere = "extra/binary-amd64/Packages".parse().unwrap();
    assert_eq!(index[&elsewhere].entries, Some(0), "in another component");
}

#[test]
fn the_newest_versions_of_each_name_and_architecture_stay() {
    let mut suite = suite(&[
        ("a", "1.9", "amd64"),
        ("a", "1.10", "amd64"),
        ("a", "1:0.1", "amd64"),
        ("a", "1.9", "arm64"),
        ("b", "1", "all"),
        ("b", "2", "all"),
        ("b", "1.5", "amd64"),
    ]);
    keep(&mut suite, retention(2, "a"));
    assert_eq!(
        names(&suite, "amd64").len(),
        5,
        "{:?}",
        names(&suite, "amd64")
    );
    keep(&mut suite, retention(1, "*"));
    assert_eq!(
        names(&suite, "amd64"),
        ["a_1:0.1_amd64", "b_1.5_amd64", "b_2_all"]
    );
    assert_eq!(names(&suite, "arm64"), ["a_1.9_arm64", "b_2_all"]);
}

#[test]
fn retention_of_some_versions_counts_all() {
    let packages = [
        ("a", "1", "amd64"),
        ("a", "2", "amd64"),
        ("a", "3", "amd64"),
        ("b", "1", "amd64"),
    ];
    for (of, newest, left) in [
        ("a (<< 3)", 1, &["a_3_amd64", "b_1_amd64"][..]),
        ("a (<< 3)", 2, &["a_2_amd64", "a_3_amd64", "b_1_amd64"]),
        ("a=1", 1, &["a_2_amd64", "a_3_amd64", "b_1_amd64"]),
        (
            "a (>= 3)",
            1,
            &["a_1_amd64", "a_2_amd64", "a_3_amd64", "b_1_amd64"],
        ),
    ] {
        let mut suite = suite(&packages);
        keep(&mut suite, retention(newest, of));
        assert_eq!(names(&suite, "amd64"), left, "{of}");
    }
}

#[test]
fn retention_can_be_limited_to_old_versions_and_old_files() {
    let packages = [
        ("a", "1", "amd64"),
        ("a", "2", "amd64"),
        ("a", "3", "amd64"),
        ("a", "4", "amd64"),
    ];
    let below = Retention {
        below: Some("2".parse().unwrap()),
        ..retention(1, "a")
    };
    let mut one = suite(&packages);
    keep(&mut one, below);
    assert_eq!(
        names(&one, "amd64"),
        ["a_2_amd64", "a_3_amd64", "a_4_amd64"]
    );
    let only = Retention {
        only: Some(HashSet::from([
            Sha256::of(b"a2amd64"),
            Sha256::of(b"a4amd64"),
        ])),
        ..retention(1, "a")
    };
    let mut two = suite(&packages);
    keep(&mut two, only);
    assert_eq!(
        names(&two, "amd64"),
        ["a_1_amd64", "a_3_amd64", "a_4_amd64"],
        "the newest always stays"
    );
}

#[test]
fn retention_of_the_suite_is_part_of_every_publish_and_spares_what_it_adds() {
    let mut suite = suite(&[
        ("a", "1", "amd64"),
        ("a", "2", "amd64"),
        ("b", "1", "amd64"),
        ("b", "2", "amd64"),
    ]);
    let patch = SettingsPatch {
        keep_versions: Some(NonZeroU32::new(2)),
        ..SettingsPatch::default()
    };
    suite.set(patch);
    assert_eq!(
        names(&suite, "amd64").len(),
        4,
        "the setting alone removes nothing"
    );
    suite.add([stanza("a", "3", "amd64", "3")]);
    assert_eq!(
        names(&suite, "amd64"),
        ["a_2_amd64", "a_3_amd64", "b_1_amd64", "b_2_amd64"]
    );
    let old = intent([stanza("a", "1", "amd64", "1")]);
    suite.apply(&old).unwrap();
    assert_eq!(
        names(&suite, "amd64")[0],
        "a_1_amd64",
        "what was just published stays"
    );
    assert!(!suite.apply(&old).unwrap());
}

#[test]
fn retention_of_the_suite_leaves_the_same_packages_for_all_in_every_index() {
    let mut suite = suite(&[("a", "1", "all"), ("a", "2", "all"), ("b", "1", "arm64")]);
    let patch = SettingsPatch {
        keep_versions: Some(NonZeroU32::new(1)),
        ..SettingsPatch::default()
    };
    suite.set(patch);
    suite.add([stanza("a", "1.5", "amd64", "a1amd64")]);
    assert_eq!(
        names(&suite, "amd64"),
        ["a_1.5_amd64", "a_1_all", "a_2_all"]
    );
    assert_eq!(names(&suite, "arm64"), ["a_1_all", "a_2_all", "b_1_arm64"]);
    suite.add([stanza("a", "3", "all", "a3all")]);
    assert_eq!(names(&suite, "amd64"), ["a_1.5_amd64", "a_3_all"]);
    assert_eq!(names(&suite, "arm64"), ["a_3_all", "b_1_arm64"]);
}

#[test]
fn a_rollback_brings_the_stored_indexes_back() {
    let mut now = suite(&[("a", "1", "all"), ("b", "1", "amd64")]);
    let then = now.clone();
    now.add([
        stanza("a", "2", "all", "2"),
        stanza("c", "1", "riscv64", "c"),
    ]);
    now.apply(&remove("b")).unwrap();
    let mut extra = stanza("blob", "1", "amd64", "blob");
    extra.id.component = "extra".parse().unwrap();
    now.add([extra]);

    let rollback = Intent(vec![restore(&then)]);
    let plan = now.plan(&rollback).unwrap();
    let stored = then.commit.as_ref().unwrap().indexes[&path("amd64")].clone();
    assert_eq!(plan.indexes[&path("amd64")], IndexPlan::Restore(stored));
    now.apply(&rollback).unwrap();
    assert_eq!(names(&now, "amd64"), ["a_1_all", "b_1_amd64"]);
    assert_eq!(names(&now, "arm64"), ["a_1_all"]);
    assert_eq!(
        names(&now, "riscv64"),
        ["a_1_all"],
        "a newer architecture has what all have"
    );
    let commit = now.commit.as_ref().unwrap();
    assert_eq!(
        commit.settings.components.len(),
        2,
        "devices that use a newer component go on"
    );
    assert_eq!(commit.indexes.len(), 6);
    assert!(!now.apply(&rollback).unwrap());
}

#[test]
fn a_rollback_writes_the_formats_that_the_suite_has_now() {
    let mut now = suite(&[("a", "1", "amd64")]);
    let then = now.clone();
    now.add([stanza("a", "2", "amd64", "2")]);
    let patch = SettingsPatch {
        formats: Some(vec![Format::Gz, Format::Xz]),
        ..SettingsPatch::default()
    };
    now.set(patch);
    now.apply(&Intent(vec![restore(&then)])).unwrap();
    assert_eq!(names(&now, "amd64"), ["a_1_amd64"]);
    for index in now.commit.unwrap().indexes.values() {
        assert_eq!(index.files.keys().collect::<Vec<_>>(), ["gz", "xz"]);
    }
}

#[test]
fn settings_are_set_and_unset() {
    let mut suite = suite(&[("a", "1", "all")]);
    let field = |name: &str| name.to_owned().try_into().unwrap();
    let patch = SettingsPatch {
        fields: BTreeMap::from([
            (field("origin"), Some("Acme".parse().unwrap())),
            (field("NotAutomatic"), Some("yes".parse().unwrap())),
        ]),
        components: vec!["extra".parse().unwrap()],
        valid_seconds: Some(NonZeroU32::new(3600)),
        ..SettingsPatch::default()
    };
    suite.set(patch.clone());
    assert!(!suite.set(patch));
    let mut commit = suite.commit.clone().unwrap();
    commit.time = Timestamp::from_second(1_764_000_000).unwrap();
    let text = String::from_utf8(release::render(&commit, &Sha256::of(b""))).unwrap();
    for line in [
        "Origin: Acme",
        "NotAutomatic: yes",
        "Components: main extra",
        "Valid-Until: Mon, 24 Nov 2025 17:00:00 UTC",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\n{text}");
    }
    assert_eq!(commit.indexes.len(), 4);
    let unset = SettingsPatch {
        fields: BTreeMap::from([(field("Origin"), None), (field("notautomatic"), None)]),
        valid_seconds: Some(None),
        ..SettingsPatch::default()
    };
    suite.set(unset);
    let settings = suite.commit.unwrap().settings;
    assert!(
        settings.origin.is_none() && settings.fields.is_empty() && settings.valid_seconds.is_none()
    );
}

#[test]
fn new_formats_are_written_for_every_index() {
    let mut suite = suite(&[("a", "1", "all")]);
    let patch = SettingsPatch {
        formats: Some(vec![Format::Xz]),
        ..SettingsPatch::default()
    };
    suite.set(patch);
    let commit = suite.commit.unwrap();
    assert!(commit.changes.is_empty());
    for index in commit.indexes.values() {
        assert_eq!(index.files.keys().collect::<Vec<_>>(), ["xz"]);
    }
}

#[test]
fn a_refresh_is_due_or_nothing() {
    let suite = suite(&[("a", "1", "all")]);
    let base = suite.commit.as_ref();
    let due = |seconds| {
        let since = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        !suite
            .plan(&Intent(vec![Edit::Refresh { since }]))
            .unwrap()
            .is_empty(base)
    };
    assert!(!due(-1) && !due(0) && due(1));
}

#[test]
fn architectures_that_are_set_are_written_though_nothing_is_added() {
    let mut suite = suite(&[("a", "1", "all")]);
    suite
        .apply(&for_architectures(
            &["amd64", "arm64", "armhf"],
            Intent::default(),
        ))
        .unwrap();
    assert_eq!(names(&suite, "armhf"), ["a_1_all"]);
}
