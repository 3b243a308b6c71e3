//! Packages are added, and nothing is lost, whatever is wanted in whatever order.

use std::collections::BTreeSet;

use deb_index::{
    change::{Edit, IndexPlan, Intent, PlanError},
    digest::{Algorithm, Digests, Sha256},
    name::Architecture,
    stanza::Stanza,
    suite::commit::Change,
};
use proptest::prelude::*;

use crate::suite::{Suite, for_architectures, intent, path, stanza};

#[test]
fn the_first_commit_has_an_index_for_each_usual_architecture() {
    let mut suite = Suite::default();
    assert!(suite.add([stanza("hello", "1.0", "all", "a")]));
    let commit = suite.commit.as_ref().unwrap();
    let architectures: Vec<_> = commit
        .settings
        .architectures
        .iter()
        .map(Architecture::as_str)
        .collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    assert_eq!(commit.indexes.len(), 2);
    assert_eq!(suite.packages("amd64"), suite.packages("arm64"));
    assert_eq!(commit.changes.len(), 1);
}

#[test]
fn a_stanza_is_the_control_file_and_what_apt_needs() {
    let mut suite = Suite::default();
    suite.add([stanza("hello", "1.0", "amd64", "a")]);
    let digests = Digests::of(&[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256], b"a");
    let expected = format!(
        "Package: hello\nVersion: 1.0\nArchitecture: amd64\nDescription: é\n\tcont\n\
         Filename: pool/main/h/hello/hello_1.0_amd64.deb\nSize: 1\nMD5sum: {}\nSHA1: {}\nSHA256: {}\n\n",
        digests.md5().unwrap(),
        digests.sha1().unwrap(),
        digests.sha256()
    );
    assert_eq!(
        String::from_utf8(suite.plain[&path("amd64")].to_vec()).unwrap(),
        expected
    );
}

#[test]
fn many_packages_to_add_rest_on_the_index_that_is_written() {
    let names = (0..1_000).map(|number| format!("p{number}"));
    let mut wanted = intent(names.map(|name| stanza(&name, "1", "amd64", &name)));
    let before = wanted.clone();
    let plan = Suite::default().plan(&wanted).unwrap();
    wanted.rest_on(&plan);
    assert!(wanted.additions().eq(before.additions()));
    let IndexPlan::Write(plain) = &plan.indexes[&path("amd64")] else {
        panic!("the index is not written");
    };
    let within = plain.as_ptr_range();
    for (stanza, _) in wanted.additions() {
        assert!(within.contains(&stanza.bytes.as_ptr()), "{}", stanza.id);
    }
}

#[test]
fn what_is_there_is_no_change() {
    let mut suite = Suite::default();
    let wanted = intent([
        stanza("hello", "1.0", "all", "a"),
        stanza("tool", "1", "amd64", "b"),
    ]);
    assert!(suite.apply(&wanted).unwrap());
    assert!(!suite.apply(&wanted).unwrap());
}

#[test]
fn other_content_of_a_version_is_a_conflict_unless_it_replaces() {
    let mut suite = Suite::default();
    suite.add([stanza("hello", "1.0", "all", "a")]);
    let other = stanza("hello", "1.0", "all", "b");
    assert!(
        suite
            .apply(&intent([other.clone()]))
            .unwrap_err()
            .is_conflict()
    );
    let replacing = Intent(vec![Edit::Add {
        stanza: other,
        replace: true,
    }]);
    assert!(suite.apply(&replacing).unwrap());
    assert_eq!(
        suite.commit.as_ref().unwrap().changes[0].action,
        Change::REPLACE
    );
    assert_eq!(suite.packages("arm64")["hello_1.0_all"], Sha256::of(b"b"));
}

#[test]
fn files_that_clash_are_refused_and_equal_ones_are_one() {
    let mut suite = Suite::default();
    let (one, two) = (
        stanza("hello", "1.0", "all", "a"),
        stanza("hello", "1.0", "all", "b"),
    );
    assert!(
        suite
            .apply(&intent([one.clone(), two]))
            .unwrap_err()
            .is_conflict()
    );
    suite.add([one.clone(), one]);
    assert_eq!(suite.commit.unwrap().changes.len(), 1);
}

#[test]
fn a_new_architecture_gets_the_packages_for_all() {
    let mut suite = Suite::default();
    suite.add([
        stanza("hello", "1.0", "all", "a"),
        stanza("tool", "1", "amd64", "b"),
    ]);
    suite.add([stanza("tool", "1", "riscv64", "c")]);
    let names: Vec<_> = suite.packages("riscv64").into_keys().collect();
    assert_eq!(names, ["hello_1.0_all", "tool_1_riscv64"]);
}

#[test]
fn a_new_component_has_an_index_for_each_architecture() {
    let mut suite = Suite::default();
    suite.add([stanza("hello", "1.0", "all", "a")]);
    let mut extra = stanza("blob", "1", "amd64", "b");
    extra.id.component = "non-free".parse().unwrap();
    suite.add([extra]);
    let commit = suite.commit.unwrap();
    let entries: Vec<_> = commit
        .indexes
        .iter()
        .map(|(path, index)| (path.as_str(), index.entries.unwrap()))
        .collect();
    let expected = [
        ("main/binary-amd64/Packages", 1),
        ("main/binary-arm64/Packages", 1),
        ("non-free/binary-amd64/Packages", 1),
        ("non-free/binary-arm64/Packages", 0),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn architectures_can_be_set_but_not_taken_away() {
    let mut suite = Suite::default();
    let hello = || intent([stanza("hello", "1.0", "all", "a")]);
    suite
        .apply(&for_architectures(&["armhf"], hello()))
        .unwrap();
    assert_eq!(suite.packages("armhf").len(), 1);
    assert!(suite.packages("amd64").is_empty());
    assert!(matches!(
        suite.apply(&for_architectures(&["amd64"], hello())),
        Err(PlanError::DropsArchitecture(_))
    ));
    assert!(matches!(
        suite.apply(&for_architectures(&["all"], hello())),
        Err(PlanError::NoIndex { .. })
    ));
    let foreign = intent([stanza("tool", "1", "amd64", "b")]);
    assert!(matches!(
        suite.apply(&for_architectures(&["armhf"], foreign)),
        Err(PlanError::ForeignArchitecture(_))
    ));
}

#[test]
fn what_this_program_does_not_know_is_carried_over() {
    let mut suite = Suite::default();
    suite.add([stanza("hello", "1.0", "all", "a")]);
    let mut json = serde_json::to_value(suite.commit.take().unwrap()).unwrap();
    json["settings"]["retention"] = serde_json::json!({"keep": 3});
    json["settings"]["formats"] = serde_json::json!(["gz", "br"]);
    json["indexes"]["main/source/Sources"] = serde_json::json!({
        "size": 5, "sha256": Sha256::of(b"plain"), "files": {"br": {"size": 2, "sha256": Sha256::of(b"br")}}, "own": 1,
    });
    json["indexes"]["main/binary-arm64/Packages"]["segments"] = serde_json::json!([1]);
    suite.commit = Some(serde_json::from_value(json.clone()).unwrap());
    suite.add([stanza("tool", "1", "amd64", "b")]);
    let next = serde_json::to_value(suite.commit.as_ref().unwrap()).unwrap();
    assert_eq!(next["settings"], json["settings"]);
    for path in ["main/source/Sources", "main/binary-arm64/Packages"] {
        assert_eq!(next["indexes"][path], json["indexes"][path], "{path}");
    }
    let files = &suite.commit.unwrap().indexes[&path("amd64")].files;
    assert_eq!(files.keys().collect::<Vec<_>>(), ["gz"]);
}

/// Few names, versions and builds, so that intents meet.
fn stanzas() -> impl Strategy<Value = Vec<Stanza>> {
    let one = (0..4usize, 0..4usize, 0..4usize).prop_map(|(name, version, architecture)| {
        let name = ["a0", "libb", "c+c", "dd"][name];
        // No version is both for all architectures and for one.
        let versions = if architecture == 0 {
            ["1.1", "1.1-1", "2:1.1~rc1", "11"]
        } else {
            ["1.0", "1.0-1", "2:1.0~rc1", "10"]
        };
        let version = versions[version];
        let architecture = ["all", "amd64", "arm64", "riscv64"][architecture];
        stanza(
            name,
            version,
            architecture,
            &format!("{name} {version} {architecture}"),
        )
    });
    proptest::collection::vec(one, 0..8)
}

fn model(intents: &[&Vec<Stanza>], architecture: &str) -> BTreeSet<String> {
    let all = intents.iter().flat_map(|stanzas| stanzas.iter());
    all.filter(|stanza| ["all", architecture].contains(&stanza.id.architecture.as_str()))
        .map(|stanza| stanza.id.to_string())
        .collect()
}

proptest! {
    #[test]
    fn intents_in_any_order_lose_nothing(one in stanzas(), two in stanzas(), three in stanzas()) {
        let all = [&one, &two, &three];
        let mut ends = Vec::new();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut suite = Suite::default();
            for at in order {
                suite.add(all[at].clone());
                // Replaying an intent after a lost reply changes nothing.
                prop_assert!(!suite.add(all[at].clone()));
            }
            let is_riscv = |stanza: &Stanza| stanza.id.architecture.as_str() == "riscv64";
            let riscv = all.iter().any(|stanzas| stanzas.iter().any(is_riscv));
            for architecture in ["amd64", "arm64"].into_iter().chain(riscv.then_some("riscv64")) {
                let names: BTreeSet<_> = suite.packages(architecture).into_keys().collect();
                prop_assert_eq!(names, model(&all, architecture));
            }
            ends.push(suite.plain);
        }
        prop_assert_eq!(&ends[0], &ends[1], "the order of commits does not show in the indexes");
        prop_assert_eq!(&ends[0], &ends[2]);
    }
}
