//! Packages are for a part of the devices, and versions are taken back.

use std::collections::BTreeMap;

use deb_index::{
    change::{Edit, Intent, Phasing},
    index::packages::Packages,
    package_id::PackageId,
    phase::Percentage,
    stanza::Stanza,
    suite::commit::{Change, PhaseChange},
};
use proptest::prelude::*;

use crate::suite::{Suite, intent, path, stanza};

fn percent(number: u8) -> Percentage {
    number.try_into().unwrap()
}

fn phase(of: &[&Stanza], percentage: u8) -> Intent {
    phase_only(Phasing::Named, of, percentage)
}

fn phase_only(only: Phasing, of: &[&Stanza], percentage: u8) -> Intent {
    Intent(vec![Edit::Phase {
        of: of.iter().map(|stanza| stanza.id.clone()).collect(),
        percentage: percent(percentage),
        only,
    }])
}

fn halt(of: &[&Stanza], earlier: &[&Stanza]) -> Intent {
    halt_only(Phasing::Named, of, earlier)
}

fn halt_only(only: Phasing, of: &[&Stanza], earlier: &[&Stanza]) -> Intent {
    Intent(vec![Edit::Halt {
        of: of.iter().map(|stanza| stanza.id.clone()).collect(),
        earlier: earlier.iter().copied().cloned().collect(),
        only,
    }])
}

fn phases(suite: &Suite, architecture: &str) -> BTreeMap<String, Percentage> {
    let index = Packages::parse(&suite.plain[&path(architecture)]).unwrap();
    let stanzas = index.stanzas().iter();
    stanzas
        .map(|stanza| {
            (
                format!("{}_{}", stanza.name, stanza.version),
                stanza.phase(),
            )
        })
        .collect()
}

fn changes(suite: &Suite) -> Vec<(String, String, Option<PhaseChange>)> {
    let changes = suite.commit.as_ref().unwrap().changes.iter();
    let text = |text: &Option<String>| text.clone().unwrap();
    changes
        .map(|change| {
            let package = format!("{}_{}", text(&change.package), text(&change.version));
            (change.action.clone(), package, change.phase)
        })
        .collect()
}

fn names(suite: &Suite, architecture: &str) -> Vec<String> {
    suite.packages(architecture).into_keys().collect()
}

#[test]
fn a_phase_is_a_field_of_the_stanza_and_a_change_of_its_own() {
    let mut suite = Suite::default();
    let (one, two) = (stanza("a", "1", "all", "1"), stanza("a", "2", "all", "2"));
    suite.add([one.clone(), two.clone()]);
    let before = suite.plain.clone();
    suite.apply(&phase(&[&two], 10)).unwrap();
    for architecture in ["amd64", "arm64"] {
        let expected = [
            ("a_1".to_owned(), percent(100)),
            ("a_2".to_owned(), percent(10)),
        ];
        assert_eq!(phases(&suite, architecture), BTreeMap::from(expected));
    }
    let from = Some(percent(100));
    let to = percent(10);
    let change = PhaseChange { from, to };
    assert_eq!(
        changes(&suite),
        [(Change::PHASE.to_owned(), "a_2".to_owned(), Some(change))]
    );
    assert!(!suite.apply(&phase(&[&two], 10)).unwrap());
    assert!(
        !suite.add([two.clone()]),
        "publishing again leaves the phase"
    );
    suite.apply(&phase(&[&two], 100)).unwrap();
    assert_eq!(suite.plain, before);
    assert!(
        !suite
            .apply(&phase(&[&stanza("b", "1", "all", "b")], 10))
            .unwrap()
    );
}

#[test]
fn a_package_is_published_with_a_phase_and_another_build_without_one() {
    let mut suite = Suite::default();
    let one = stanza("a", "1", "amd64", "1");
    let mut wanted = intent([one.clone()]);
    wanted.0.extend(phase(&[&one], 10).0);
    suite.apply(&wanted).unwrap();
    let change = PhaseChange {
        from: None,
        to: percent(10),
    };
    assert_eq!(
        changes(&suite),
        [(Change::ADD.to_owned(), "a_1".to_owned(), Some(change))]
    );
    assert!(!suite.apply(&wanted).unwrap());
    let other = Edit::Add {
        stanza: stanza("a", "1", "amd64", "other"),
        replace: true,
    };
    suite.apply(&Intent(vec![other])).unwrap();
    assert_eq!(phases(&suite, "amd64")["a_1"], percent(100));
    assert_eq!(changes(&suite)[0].0, Change::REPLACE);
}

#[test]
fn edits_apply_in_order() {
    let mut suite = Suite::default();
    let one = stanza("a", "1", "amd64", "1");
    suite.add([one.clone()]);
    let mut both = phase(&[&one], 10);
    both.0.extend(phase(&[&one], 50).0);
    suite.apply(&both).unwrap();
    assert_eq!(phases(&suite, "amd64")["a_1"], percent(50));
}

#[test]
fn a_halt_takes_a_version_out_and_brings_the_one_before_it_back() {
    let mut suite = Suite::default();
    let (one, two) = (stanza("a", "1", "all", "1"), stanza("a", "2", "amd64", "2"));
    let other = stanza("b", "2", "amd64", "b");
    suite.add([two.clone(), other]);
    let wanted = halt(&[&two], &[&one]);
    suite.apply(&wanted).unwrap();
    assert_eq!(names(&suite, "amd64"), ["a_1_all", "b_2_amd64"]);
    assert_eq!(names(&suite, "arm64"), ["a_1_all"]);
    assert!(!suite.apply(&wanted).unwrap());
    // Another publisher has brought another build back, or has gone on.
    let mut suite = Suite::default();
    let rebuilt = stanza("a", "1", "all", "rebuilt");
    let three = stanza("a", "3", "amd64", "3");
    suite.add([two, rebuilt.clone(), three]);
    suite.apply(&wanted).unwrap();
    assert_eq!(suite.packages("amd64")["a_1_all"], rebuilt.sha256);
    assert_eq!(names(&suite, "amd64"), ["a_1_all", "a_3_amd64"]);
}

/// Also if another publisher has made it so since it was looked up.
#[test]
fn a_version_for_all_devices_is_not_phased_or_taken_back_in_passing() {
    let mut suite = Suite::default();
    let (one, two) = (stanza("a", "1", "all", "1"), stanza("a", "2", "all", "2"));
    let other = stanza("b", "2", "amd64", "b");
    let (zero, earlier) = (stanza("b", "1", "all", "b1"), stanza("a", "0", "all", "0"));
    suite.add([one.clone(), two.clone(), other.clone()]);
    suite.apply(&phase(&[&other], 10)).unwrap();
    let all = [&one, &two, &other];
    suite.apply(&phase_only(Phasing::Begun, &all, 50)).unwrap();
    let expected = [("a_1", 100), ("a_2", 100), ("b_2", 50)];
    let expected = expected.map(|(package, part)| (package.to_owned(), percent(part)));
    assert_eq!(phases(&suite, "amd64"), BTreeMap::from(expected));
    let wanted = halt_only(Phasing::Begun, &all, &[&zero, &earlier]);
    suite.apply(&wanted).unwrap();
    assert_eq!(names(&suite, "amd64"), ["a_1_all", "a_2_all", "b_1_all"]);
    assert!(!suite.apply(&wanted).unwrap());
}

/// The versions of two architectures are taken back, and one of them has been given to all devices meanwhile.
#[test]
fn what_comes_back_for_all_architectures_is_in_each_index_or_in_none() {
    let own = |architecture| stanza("a", "2", architecture, architecture);
    let (amd64, arm64) = (own("amd64"), own("arm64"));
    let earlier = ["all", "amd64", "arm64"].map(|it| stanza("a", "1", it, it));
    let of = [&amd64, &arm64];
    for (released, expected) in [
        (
            &[][..],
            [&["a_1_all", "a_1_amd64"][..], &["a_1_all", "a_1_arm64"]],
        ),
        (
            &[&amd64],
            [&["a_1_all", "a_2_amd64"], &["a_1_all", "a_1_arm64"]],
        ),
        (&of, [&["a_2_amd64"], &["a_2_arm64"]]),
    ] {
        let mut suite = Suite::default();
        suite
            .apply(&intent([amd64.clone(), arm64.clone()]))
            .unwrap();
        suite.apply(&phase(&of, 10)).unwrap();
        suite.apply(&phase(released, 100)).unwrap();
        let earlier: Vec<_> = earlier.iter().collect();
        // Versions that are named are taken back by an edit of their own, which may be empty.
        let mut wanted = halt(&[], &earlier);
        wanted.0.extend(halt_only(Phasing::Begun, &of, &earlier).0);
        suite.apply(&wanted).unwrap();
        let found = ["amd64", "arm64"].map(|architecture| names(&suite, architecture));
        assert_eq!(found, expected.map(|names| names.to_vec()), "{released:?}");
        let is_taken_back = |change: &&Change| change.taken_back;
        let count = suite
            .commit
            .as_ref()
            .unwrap()
            .changes
            .iter()
            .filter(is_taken_back)
            .count();
        assert_eq!(count, of.len() - released.len());
        assert!(!suite.apply(&wanted).unwrap());
    }
}

#[test]
fn what_an_intent_adds_is_phased_and_what_was_there_stays() {
    let mut suite = Suite::default();
    let (one, two) = (stanza("a", "1", "all", "1"), stanza("a", "2", "amd64", "2"));
    suite.add([one.clone()]);
    let mut wanted = intent([one.clone(), two.clone()]);
    wanted
        .0
        .extend(phase_only(Phasing::Added, &[&one, &two], 10).0);
    suite.apply(&wanted).unwrap();
    let expected = [("a_1", 100), ("a_2", 10)];
    let expected = expected.map(|(package, part)| (package.to_owned(), percent(part)));
    assert_eq!(phases(&suite, "amd64"), BTreeMap::from(expected));
    assert!(!suite.apply(&wanted).unwrap());
}

#[test]
fn a_halt_in_one_component_leaves_the_others_alone() {
    let mut suite = Suite::default();
    let two = stanza("a", "2", "amd64", "2");
    suite.add([two.clone()]);
    let mut elsewhere = two.clone();
    elsewhere.id = PackageId {
        component: "extra".parse().unwrap(),
        ..two.id
    };
    assert!(!suite.apply(&halt(&[&elsewhere], &[])).unwrap());
    assert!(!suite.apply(&phase(&[&elsewhere], 10)).unwrap());
}

proptest! {
    #[test]
    fn publishers_that_phase_different_packages_do_not_undo_each_other(
        one in 0..=100u8, two in 0..=100u8, again in 0..=100u8,
    ) {
        let (a, b) = (stanza("a", "1", "all", "a"), stanza("b", "1", "amd64", "b"));
        let (a_one, b_two) = (phase(&[&a], one), phase(&[&b], two));
        let mut ends = Vec::new();
        for order in [[&a_one, &b_two], [&b_two, &a_one]] {
            let mut suite = Suite::default();
            suite.add([a.clone(), b.clone()]);
            suite.apply(&phase(&[&a, &b], again)).unwrap();
            for edit in order {
                suite.apply(edit).unwrap();
                prop_assert!(!suite.apply(edit).unwrap());
            }
            prop_assert_eq!(phases(&suite, "amd64")["a_1"], percent(one));
            prop_assert_eq!(phases(&suite, "amd64")["b_1"], percent(two));
            ends.push(suite.plain);
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }
}
