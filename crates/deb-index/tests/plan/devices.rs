//! What devices get, before and after a change.

use std::collections::{BTreeMap, HashSet};

use deb_index::{
    change::{
        Edit, Intent, Phasing,
        device_view::{PackageChange, Transition, package_changes},
    },
    phase::Percentage,
    stanza::Stanza,
};
use proptest::prelude::*;

use crate::suite::{Suite, stanza};

fn add(name: &str, version: &str, architecture: &str, build: &str) -> Edit {
    Edit::Add {
        stanza: stanza(name, version, architecture, build),
        replace: true,
    }
}

fn remove(text: &str) -> Edit {
    Edit::Remove {
        of: text.parse().unwrap(),
        except: HashSet::new(),
    }
}

fn phase(stanza: &Stanza, percentage: u8) -> Edit {
    Edit::Phase {
        of: vec![stanza.id.clone()],
        percentage: percentage.try_into().unwrap(),
        only: Phasing::Named,
    }
}

fn changes(suite: &Suite, edits: Vec<Edit>) -> Vec<PackageChange> {
    let intent = Intent(edits);
    let plan = suite.plan(&intent).unwrap();
    package_changes(suite.commit.as_ref(), &suite.plain, &intent, &plan).unwrap()
}

/// A line for each change: the transition, the package, what devices get before and after, which devices, and what else differs.
fn planned(suite: &Suite, edits: Vec<Edit>) -> Vec<String> {
    let changes = changes(suite, edits);
    let lines = changes.iter().map(|change| {
        let version = |version: &Option<String>| version.clone().unwrap_or("-".to_owned());
        let (before, after) = (version(&change.before), version(&change.after));
        let (old, new) = (change.old.join("+"), change.new.join("+"));
        let devices = change.architectures.join("+");
        format!(
            "{:?} {} {before}>{after} {devices} {old}|{new}",
            change.change, change.package
        )
    });
    lines.collect()
}

fn suite() -> Suite {
    let mut suite = Suite::default();
    suite.add([
        stanza("a", "1", "all", "1"),
        stanza("a", "2", "all", "2"),
        stanza("b", "1", "amd64", "b"),
        stanza("b", "1", "arm64", "c"),
    ]);
    suite
}

#[test]
fn each_change_is_told_from_the_others() {
    let suite = suite();
    let two = stanza("a", "2", "all", "2");
    for (edits, expected) in [
        (
            vec![add("c", "1", "arm64", "x")],
            &["Added c ->1 arm64 |1"][..],
        ),
        (vec![add("c", "1", "all", "x")], &["Added c ->1 all |1"]),
        (vec![remove("b:amd64")], &["Removed b 1>- amd64 1|"]),
        (vec![remove("b")], &["Removed b 1>- amd64+arm64 1|"]),
        (vec![add("a", "3", "all", "3")], &["Upgraded a 2>3 all |3"]),
        (vec![remove("a=2")], &["Downgraded a 2>1 all 2|"]),
        (
            vec![add("a", "2", "all", "other")],
            &["Replaced a 2>2 all 2|2"],
        ),
        (
            vec![add("a", "1", "all", "other")],
            &["Replaced a 2>2 all 1|1"],
        ),
        (vec![remove("a=1")], &["OlderVersions a 2>2 all 1|"]),
        (
            vec![add("a", "0", "all", "0")],
            &["OlderVersions a 2>2 all |0"],
        ),
        (vec![phase(&two, 10)], &["Phased a 2>2 all |"]),
        // For a device of one architecture, the package for all of them is an earlier version of the same.
        (
            vec![add("a", "3", "amd64", "3")],
            &["Upgraded a 2>3 amd64 |3"],
        ),
        (
            vec![add("a", "3", "amd64", "3"), remove("a:all")],
            &["Upgraded a 2>3 amd64 1+2|3", "Removed a 2>- arm64 1+2|"],
        ),
        (vec![remove("a=2"), add("a", "2", "all", "2")], &[]),
    ] {
        assert_eq!(planned(&suite, edits.clone()), expected, "{edits:?}");
    }
}

#[test]
fn what_no_device_notices_is_known() {
    let suite = suite();
    for (edit, is_noticed) in [
        (remove("a=1"), false),
        (add("a", "1", "all", "other"), false),
        (add("a", "2", "all", "other"), true),
        (phase(&stanza("a", "2", "all", "2"), 10), true),
        (phase(&stanza("a", "1", "all", "1"), 10), false),
    ] {
        let changes = changes(&suite, vec![edit.clone()]);
        let noticed = changes.iter().any(PackageChange::is_noticed);
        assert_eq!(noticed, is_noticed, "{edit:?}");
    }
}

#[test]
fn a_new_version_for_some_devices_says_so() {
    let suite = suite();
    let three = stanza("a", "3", "all", "3");
    let edits = vec![add("a", "3", "all", "3"), phase(&three, 10)];
    let changes = changes(&suite, edits);
    assert_eq!(changes[0].change, Transition::Upgraded);
    let phase = changes[0].phase.unwrap();
    assert_eq!(
        (phase.from, phase.to),
        (None, Percentage::try_from(10).unwrap())
    );
}

const ARCHITECTURES: [&str; 3] = ["all", "amd64", "arm64"];

proptest! {
    /// Every device's newest version is known from the one before and the changes.
    #[test]
    fn the_changes_lead_from_what_devices_had_to_what_they_get(
        before in proptest::collection::btree_set((0..3usize, 1..5u32, 0..3usize), 0..10),
        after in proptest::collection::btree_set((0..3usize, 1..5u32, 0..3usize), 0..10),
    ) {
        let one = |(n, v, a): &(usize, u32, usize)| {
            let name = ["aa", "bb", "cc"][*n];
            stanza(name, &v.to_string(), ARCHITECTURES[*a], &format!("{n}{v}{a}"))
        };
        let [before, after] = [before, after].map(|mut packages| {
            let of_one = packages.clone();
            packages.retain(|(n, v, a)| *a != 0 || ![1, 2].iter().any(|a| of_one.contains(&(*n, *v, *a))));
            packages
        });
        let mut suite = Suite::default();
        suite.add(before.iter().map(one));
        let newest = |packages: &std::collections::BTreeSet<(usize, u32, usize)>, device: usize| {
            let seen = packages.iter().filter(|(_, _, a)| [0, device].contains(a));
            seen.map(|(n, v, _)| (*n, *v)).collect::<BTreeMap<_, _>>()
        };
        let edits = [Edit::Remove {
            of: "*".parse().unwrap(),
            except: after.iter().map(one).map(|stanza| (stanza.id.component, stanza.sha256)).collect(),
        }];
        let edits = edits.into_iter().chain(after.iter().map(|package| Edit::Add { stanza: one(package), replace: false }));
        let changes = changes(&suite, edits.collect());
        for device in [1, 2] {
            let mut got = newest(&before, device);
            for change in &changes {
                if change.architectures.iter().any(|a| a == "all" || a == ARCHITECTURES[device]) {
                    let name = ["aa", "bb", "cc"].iter().position(|name| *name == change.package).unwrap();
                    let had = got.get(&name).map(ToString::to_string);
                    prop_assert_eq!(&change.before, &had);
                    match &change.after {
                        Some(version) => got.insert(name, version.parse().unwrap()),
                        None => got.remove(&name),
                    };
                }
            }
            prop_assert_eq!(got, newest(&after, device));
        }
    }
}
