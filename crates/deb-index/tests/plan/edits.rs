//! Packages are removed, pruned and restored; settings change.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    num::NonZeroU32,
    sync::Arc,
};

use deb_index::{
    change::{Edit, IndexPlan, Intent, Phasing, Restored, Retention, Selector, SettingsPatch},
    digest::Sha256,
    index::compression::Format,
    stanza::Stanza,
    suite::{commit::Change, release},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

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
    suite.apply(&intent(stanzas)).unwrap();
    suite
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

fn remove(text: &str) -> Intent {
    Intent(vec![Edit::Remove {
        of: selector(text),
        except: HashSet::new(),
    }])
}

fn retention(newest: u32, of: &str) -> Retention {
    Retention {
        of: vec![selector(of)],
        newest: newest.try_into().unwrap(),
        below: None,
        only: None,
    }
}

fn set(patch: SettingsPatch) -> Intent {
    Intent(vec![Edit::Set(Box::new(patch))])
}

fn names(suite: &Suite, architecture: &str) -> Vec<String> {
    suite.packages(architecture).into_keys().collect()
}

/// What a rollback to the state of `suite` restores.
fn restore(suite: &Suite) -> Edit {
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
}

#[test]
fn a_mirror_keeps_what_the_source_has() {
    let mut suite = suite(&[("a", "1", "amd64"), ("b", "1", "amd64")]);
    let new = stanza("a", "2", "amd64", "new");
    let main = new.id.component.clone();
    let kept = [new.sha256, Sha256::of(b"b1amd64")].map(|sha256| (main.clone(), sha256));
    let mut elsewhere = stanza("b", "1", "amd64", "b1amd64");
    elsewhere.id.component = "extra".parse().unwrap();
    suite.apply(&intent([elsewhere])).unwrap();
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
        ("b", "1", "amd64"),
    ]);
    suite
        .apply(&Intent(vec![Edit::Keep(retention(2, "a"))]))
        .unwrap();
    assert_eq!(
        names(&suite, "amd64").len(),
        5,
        "{:?}",
        names(&suite, "amd64")
    );
    suite
        .apply(&Intent(vec![Edit::Keep(retention(1, "*"))]))
        .unwrap();
    assert_eq!(
        names(&suite, "amd64"),
        ["a_1:0.1_amd64", "b_1_amd64", "b_2_all"]
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
        suite
            .apply(&Intent(vec![Edit::Keep(retention(newest, of))]))
            .unwrap();
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
    one.apply(&Intent(vec![Edit::Keep(below)])).unwrap();
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
    two.apply(&Intent(vec![Edit::Keep(only)])).unwrap();
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
    suite.apply(&set(patch)).unwrap();
    assert_eq!(
        names(&suite, "amd64").len(),
        4,
        "the setting alone removes nothing"
    );
    suite
        .apply(&intent([stanza("a", "3", "amd64", "3")]))
        .unwrap();
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
    suite.apply(&set(patch)).unwrap();
    suite
        .apply(&intent([stanza("a", "1", "amd64", "a1amd64")]))
        .unwrap();
    assert_eq!(names(&suite, "amd64"), ["a_1_all", "a_1_amd64", "a_2_all"]);
    assert_eq!(names(&suite, "arm64"), ["a_1_all", "a_2_all", "b_1_arm64"]);
    suite
        .apply(&intent([stanza("a", "3", "all", "a3all")]))
        .unwrap();
    assert_eq!(names(&suite, "amd64"), ["a_1_amd64", "a_3_all"]);
    assert_eq!(names(&suite, "arm64"), ["a_3_all", "b_1_arm64"]);
}

#[test]
fn a_rollback_brings_the_stored_indexes_back() {
    let mut now = suite(&[("a", "1", "all"), ("b", "1", "amd64")]);
    let then = now.clone();
    now.apply(&intent([
        stanza("a", "2", "all", "2"),
        stanza("c", "1", "riscv64", "c"),
    ]))
    .unwrap();
    now.apply(&remove("b")).unwrap();
    let mut extra = stanza("blob", "1", "amd64", "blob");
    extra.id.component = "extra".parse().unwrap();
    now.apply(&intent([extra])).unwrap();

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
    now.apply(&intent([stanza("a", "2", "amd64", "2")]))
        .unwrap();
    let patch = SettingsPatch {
        formats: Some(vec![Format::Gz, Format::Xz]),
        ..SettingsPatch::default()
    };
    now.apply(&set(patch)).unwrap();
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
    suite.apply(&set(patch.clone())).unwrap();
    assert!(!suite.apply(&set(patch)).unwrap());
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
    suite.apply(&set(unset)).unwrap();
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
    suite.apply(&set(patch)).unwrap();
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

/// A step, and what it does to a set of packages (name, version, architecture).
#[derive(Debug, Clone)]
enum Step {
    Add(usize, u32, usize),
    Remove(usize, u32),
    Keep(u32),
    Restore(usize),
    Phase(usize, u32, u8),
    /// The second version is put in the place of the first.
    Halt(usize, u32, u32, usize),
}

const NAMES: [&str; 3] = ["a0", "b0", "c0"];
const ARCHITECTURES: [&str; 3] = ["amd64", "arm64", "all"];

type Model = BTreeSet<(usize, u32, usize)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3usize, 1..5u32, 0..3usize).prop_map(|(n, v, a)| Step::Add(n, v, a)),
        2 => (0..3usize, 1..5u32).prop_map(|(n, v)| Step::Remove(n, v)),
        1 => (1..3u32).prop_map(Step::Keep),
        1 => (0..8usize).prop_map(Step::Restore),
        1 => (0..3usize, 1..5u32, 0..=100u8).prop_map(|(n, v, p)| Step::Phase(n, v, p)),
        1 => (0..3usize, 1..5u32, 1..5u32, 0..3usize).prop_map(|(n, v, w, a)| Step::Halt(n, v, w, a)),
    ];
    proptest::collection::vec(step, 1..12)
}

fn packages_of(model: &Model, architecture: usize) -> BTreeSet<String> {
    let seen = model
        .iter()
        .filter(|(_, _, own)| [2, architecture].contains(own));
    seen.map(|(n, v, a)| format!("{}_{v}_{}", NAMES[*n], ARCHITECTURES[*a]))
        .collect()
}

fn stanza_of(n: usize, v: u32, a: usize) -> Stanza {
    stanza(
        NAMES[n],
        &v.to_string(),
        ARCHITECTURES[a],
        &format!("{n}{v}{a}"),
    )
}

proptest! {
    #[test]
    fn any_sequence_of_edits_does_what_the_model_says(steps in steps()) {
        let mut suite = Suite::default();
        let mut model = Model::new();
        let mut first = intent([]);
        first.0.extend(set(SettingsPatch {
            components: vec!["main".parse().unwrap()],
            ..SettingsPatch::default()
        }).0);
        suite.apply(&first).unwrap();
        let mut history = vec![(suite.clone(), model.clone())];
        for step in steps {
            let edit = match step {
                Step::Add(n, v, a) => {
                    model.insert((n, v, a));
                    Edit::Add { stanza: stanza_of(n, v, a), replace: false }
                }
                Step::Remove(n, v) => {
                    model.retain(|(name, version, _)| (*name, *version) != (n, v));
                    remove(&format!("{}={v}", NAMES[n])).0.remove(0)
                }
                Step::Keep(newest) => {
                    let all = model.clone();
                    model.retain(|(n, v, a)| {
                        let later = all.iter().filter(|(name, version, own)| (name, own) == (n, a) && version > v);
                        later.count() < newest as usize
                    });
                    Edit::Keep(retention(newest, "*"))
                }
                Step::Phase(n, v, percentage) => Edit::Phase {
                    of: (0..3).map(|a| stanza_of(n, v, a).id).collect(),
                    percentage: percentage.try_into().unwrap(),
                    only: Phasing::Named,
                },
                Step::Halt(n, v, earlier, a) => {
                    model.retain(|(name, version, _)| (*name, *version) != (n, v));
                    model.insert((n, earlier, a));
                    Edit::Halt {
                        of: (0..3).map(|a| stanza_of(n, v, a).id).collect(),
                        earlier: vec![stanza_of(n, earlier, a)],
                        only: Phasing::Named,
                    }
                }
                Step::Restore(at) => {
                    let (then, content) = &history[at % history.len()];
                    model.clone_from(content);
                    restore(then)
                }
            };
            let wanted = Intent(vec![edit]);
            suite.apply(&wanted).unwrap();
            prop_assert!(!suite.apply(&wanted).unwrap(), "an edit is idempotent");
            for (at, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
                let names: BTreeSet<_> = suite.packages(architecture).into_keys().collect();
                prop_assert_eq!(names, packages_of(&model, at));
            }
            history.push((suite.clone(), model.clone()));
        }
    }
}
