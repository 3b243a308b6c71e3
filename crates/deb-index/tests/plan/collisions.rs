//! A suite takes in nothing that devices take for a version that it has, with another file.

use std::collections::BTreeSet;

use deb_index::{
    change::{Edit, Intent, Phasing, PlanError, device_view::package_changes},
    stanza::Stanza,
};

use crate::{
    edits::restore,
    suite::{Suite, intent, stanza},
};

/// `name_version_architecture`, in the component `main` or, where one follows, another.
fn package(text: &str) -> Stanza {
    let (id, component) = text.split_once(' ').unwrap_or((text, "main"));
    let mut parts = id.split('_');
    let mut part = || parts.next().unwrap();
    let mut stanza = stanza(part(), part(), part(), text);
    stanza.id.component = component.parse().unwrap();
    stanza
}

fn added(packages: &[&str], replace: bool) -> Intent {
    let mut wanted = intent(packages.iter().map(|text| package(text)));
    for edit in &mut wanted.0 {
        if let Edit::Add { replace: own, .. } = edit {
            *own = replace;
        }
    }
    wanted
}

fn suite(packages: &[&str]) -> Suite {
    let mut suite = Suite::default();
    suite.apply(&added(packages, false)).unwrap();
    suite
}

/// The suite as another program has made it: with anything in one index.
fn adopted(packages: &[&str]) -> Suite {
    let mut suite = suite(&[]);
    for package in packages {
        let mut other = self::suite(&[package]);
        for (path, plain) in &mut other.plain {
            let before = suite.plain.get(path).cloned().unwrap_or_default();
            *plain = [&before[..], &plain[..]].concat().into();
        }
        suite = other;
    }
    suite
}

fn names(suite: &Suite) -> [Vec<String>; 2] {
    ["amd64", "arm64"].map(|it| suite.packages(it).into_keys().collect())
}

#[track_caller]
fn expect_collision(result: Result<bool, PlanError>, one: &str, other: &str) {
    let error = result.unwrap_err();
    assert!(error.is_conflict());
    let PlanError::Collision(ids) = error else {
        panic!("{error:?}");
    };
    let ids = [&ids.0, &ids.1].map(|id| format!("{id} {}", id.component));
    let wanted = [one, other].map(|text| match text.contains(' ') {
        true => text.to_owned(),
        false => format!("{text} main"),
    });
    assert_eq!(ids, wanted);
}

const PAIRS: [(&str, &str); 8] = [
    ("a_1.0_amd64", "a_1.0_all"),
    ("a_1.0_all", "a_1.0_amd64"),
    ("a_1.0_all", "a_1.0_riscv64"),
    ("a_1.0_amd64", "a_01.0_amd64"),
    ("a_1.0_all", "a_0:1.0_all"),
    ("a_1.0_amd64", "a_1.0-0_all"),
    ("a_1.0_amd64", "a_1.0_amd64 extra"),
    ("a_1.0_amd64 extra", "a_1.00_all"),
];

#[test]
fn what_devices_take_for_the_same_version_is_a_conflict() {
    for (there, new) in PAIRS {
        let mut suite = suite(&[there, "b_1.0_all"]);
        expect_collision(suite.apply(&added(&["c_1_all", new], false)), new, there);
        assert!(!suite.apply(&added(&[there], false)).unwrap());
        for replace in [false, true] {
            let both = Suite::default().apply(&added(&[new, there], replace));
            assert!(
                matches!(both, Err(PlanError::Collision(_))),
                "{new} {both:?}"
            );
        }
    }
}

#[test]
fn what_no_device_takes_for_the_same_version_is_fine() {
    let all = [
        "a_1.0_amd64",
        "a_1.0_arm64",
        "a_1.1_all",
        "a_1.0-1_all",
        "a_1:1.0_amd64",
        "b_1.0_all",
        "a_01.0_riscv64",
    ];
    let mut suite = Suite::default();
    for package in all {
        assert!(suite.apply(&added(&[package], false)).unwrap(), "{package}");
    }
    assert!(!suite.apply(&added(&all, false)).unwrap());
    assert!(Suite::default().apply(&added(&all, false)).unwrap());
}

#[test]
fn one_file_in_two_components_is_fine() {
    let mut suite = suite(&["a_1.0_amd64"]);
    let mut extra = package("a_1.0_amd64");
    extra.id.component = "extra".parse().unwrap();
    assert!(suite.add([extra.clone()]));
    assert!(!suite.add([extra, package("a_1.0_amd64")]));
}

#[test]
fn what_is_replaced_leaves_every_index_and_devices_are_told() {
    let mut one = suite(&["a_1.0_all", "b_1_all"]);
    let wanted = added(&["a_1.0_amd64"], true);
    let plan = one.plan(&wanted).unwrap();
    let changes = package_changes(one.commit.as_ref(), &one.plain, &wanted, &plan).unwrap();
    let seen = changes
        .iter()
        .map(|it| format!("{:?} {}", it.change, it.architectures.join("+")));
    let seen: BTreeSet<_> = seen.collect();
    assert_eq!(
        seen,
        ["Removed arm64", "Replaced amd64"].map(String::from).into()
    );
    assert!(changes.iter().all(|change| change.is_noticed()));
    let changes = plan
        .changes
        .iter()
        .map(|it| format!("{} {}", it.action, it.architecture.as_ref().unwrap()));
    let changes: Vec<_> = changes.collect();
    assert_eq!(changes, ["remove all", "add amd64"]);
    one.apply(&wanted).unwrap();
    assert_eq!(names(&one), [&["a_1.0_amd64", "b_1_all"][..], &["b_1_all"]]);
    assert!(!one.apply(&wanted).unwrap());
    for (there, new) in PAIRS {
        let mut suite = suite(&[there, "b_1.0_all"]);
        assert!(suite.apply(&added(&[new], true)).unwrap());
        expect_collision(suite.apply(&added(&[there], false)), there, new);
    }
}

#[test]
fn what_was_adopted_with_a_pair_can_be_used() {
    let pair = ["a_1.0_amd64", "a_1.0_all"];
    let mut one = adopted(&pair);
    assert!(!one.apply(&added(&pair, false)).unwrap());
    assert!(!one.apply(&added(&pair, true)).unwrap());
    assert!(
        one.apply(&added(&["a_1.1_all", "b_1_amd64", pair[0]], false))
            .unwrap()
    );
    expect_collision(
        one.apply(&added(&["a_01.0_amd64"], false)),
        "a_01.0_amd64",
        pair[1],
    );
    let then = one.clone();
    // Replacing one by itself solves it.
    assert!(one.apply(&added(&pair[..1], true)).unwrap());
    assert_eq!(names(&one)[1], ["a_1.1_all"]);
    expect_collision(one.apply(&added(&pair[1..], false)), pair[1], pair[0]);
    // A rollback brings back what was there.
    assert!(one.apply(&Intent(vec![restore(&then)])).unwrap());
    assert_eq!(names(&one), names(&then));
}

#[test]
fn an_index_for_all_architectures_beside_the_others_counts() {
    let mut one = suite(&[]);
    let commit = one.commit.as_mut().unwrap();
    commit
        .settings
        .architectures
        .insert(0, "all".parse().unwrap());
    one.add([package("a_1.0_all"), package("b_1.0_amd64")]);
    expect_collision(
        one.apply(&added(&["a_1.0_amd64"], false)),
        "a_1.0_amd64",
        "a_1.0_all",
    );
    expect_collision(
        one.apply(&added(&["b_1.0_all"], false)),
        "b_1.0_all",
        "b_1.0_amd64",
    );
}

#[test]
fn what_is_brought_back_must_not_collide_either() {
    let mut one = suite(&["a_2_all", "a_1_amd64"]);
    let halt = |earlier: &str| {
        Intent(vec![Edit::Halt {
            of: vec![package("a_2_all").id],
            earlier: vec![package(earlier)],
            only: Phasing::Named,
        }])
    };
    for earlier in ["a_1_all", "a_01_amd64"] {
        expect_collision(one.apply(&halt(earlier)), earlier, "a_1_amd64");
    }
    assert!(one.apply(&halt("a_1_amd64")).unwrap());
}
