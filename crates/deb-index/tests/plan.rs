//! The plan, with a reference model beside it: whatever is wanted in whatever order, nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use deb_index::{
    commit::{Action, Commit},
    compression,
    deb::Deb,
    digest::{Algorithm, Digests},
    indexes::Indexes,
    name::Architecture,
    packages::Packages,
    plan::{self, Addition, IndexId, Intent, Plan, PlanError},
};
use jiff::Timestamp;
use proptest::prelude::*;

/// A package whose file's content is `build`.
fn addition(package: &str, version: &str, architecture: &str, build: &str) -> Addition {
    let control = format!(
        "Package: {package}\nVersion: {version}\nArchitecture: {architecture}\nDescription: é\n\tcont\n"
    );
    let deb = Deb {
        control: control.into_bytes(),
        package: package.parse().unwrap(),
        version: version.parse().unwrap(),
        architecture: architecture.parse().unwrap(),
        source: None,
        warnings: Vec::new(),
        digests: Digests::of(
            &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
            build.as_bytes(),
        ),
    };
    Addition::new("main".parse().unwrap(), deb)
}

fn intent(additions: impl IntoIterator<Item = Addition>) -> Intent {
    Intent {
        additions: additions.into_iter().collect(),
        ..Intent::default()
    }
}

/// A suite in memory: what a store holds after a commit.
#[derive(Debug, Clone, Default)]
struct Suite {
    commit: Option<Commit>,
    plain: BTreeMap<IndexId, Vec<u8>>,
}

impl Suite {
    fn plan(&self, intent: &Intent) -> Result<Plan, PlanError> {
        let reads = intent.reads(self.commit.as_ref());
        let indexes: BTreeMap<_, _> = self
            .plain
            .iter()
            .filter(|(id, _)| reads.contains(id))
            .collect();
        let indexes = indexes
            .into_iter()
            .map(|(id, plain)| (id.clone(), plain))
            .collect();
        plan::plan(self.commit.as_ref(), &indexes, intent)
    }

    fn apply(&mut self, intent: &Intent) -> Result<bool, PlanError> {
        let plan = self.plan(intent)?;
        if plan.is_empty(self.commit.as_ref()) {
            return Ok(false);
        }
        self.plain.extend(plan.indexes.clone());
        let (settings, changes) = (plan.settings.clone(), plan.changes.clone());
        let built = Indexes::build(plan, self.commit.as_ref(), 2);
        for file in &built.files {
            let id = IndexId {
                component: file.component.clone(),
                architecture: file.architecture.clone(),
            };
            assert_eq!(
                compression::decompress(file.format, &file.bytes, 1 << 20).unwrap(),
                self.plain[&id]
            );
        }
        let parent = self.commit.as_ref().map(|commit| commit.to_bytes().1);
        let (author, tool, message) = (String::new(), String::new(), String::new());
        let time = Timestamp::UNIX_EPOCH;
        let format = Commit::FORMAT;
        let indexes = built.described;
        self.commit = Some(Commit {
            format,
            parent,
            time,
            author,
            tool,
            message,
            settings,
            changes,
            indexes,
        });
        Ok(true)
    }

    /// name_version_architecture → digest, of one architecture's index.
    fn packages(&self, architecture: &str) -> BTreeMap<String, String> {
        let id = IndexId {
            component: "main".parse().unwrap(),
            architecture: architecture.parse().unwrap(),
        };
        let Some(plain) = self.plain.get(&id) else {
            return BTreeMap::new();
        };
        let index = Packages::parse(plain).unwrap();
        let entries = index.entries().iter();
        let key = |entry: &deb_index::packages::Entry<'_>| {
            format!("{}_{}_{}", entry.package, entry.version, entry.architecture)
        };
        let all: BTreeMap<_, _> = entries
            .map(|entry| (key(entry), entry.field("SHA256").unwrap().to_owned()))
            .collect();
        assert_eq!(
            all.len(),
            index.entries().len(),
            "an index has each package once"
        );
        all
    }
}

#[test]
fn the_first_commit_has_an_index_for_each_usual_architecture() {
    let mut suite = Suite::default();
    assert!(
        suite
            .apply(&intent([addition("hello", "1.0", "all", "a")]))
            .unwrap()
    );
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
    suite
        .apply(&intent([addition("hello", "1.0", "amd64", "a")]))
        .unwrap();
    let id = IndexId {
        component: "main".parse().unwrap(),
        architecture: "amd64".parse().unwrap(),
    };
    let digests = Digests::of(&[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256], b"a");
    let expected = format!(
        "Package: hello\nVersion: 1.0\nArchitecture: amd64\nDescription: é\n\tcont\n\
         Filename: pool/main/h/hello/hello_1.0_amd64.deb\nSize: 1\nMD5sum: {}\nSHA1: {}\nSHA256: {}\n\n",
        digests.md5().unwrap(),
        digests.sha1().unwrap(),
        digests.sha256()
    );
    assert_eq!(
        String::from_utf8(suite.plain[&id].clone()).unwrap(),
        expected
    );
}

#[test]
fn what_is_there_is_no_change() {
    let mut suite = Suite::default();
    let wanted = intent([
        addition("hello", "1.0", "all", "a"),
        addition("tool", "1", "amd64", "b"),
    ]);
    assert!(suite.apply(&wanted).unwrap());
    assert!(!suite.apply(&wanted).unwrap());
}

#[test]
fn other_content_of_a_version_is_a_conflict_unless_it_shall_replace() {
    let mut suite = Suite::default();
    suite
        .apply(&intent([addition("hello", "1.0", "all", "a")]))
        .unwrap();
    let mut other = intent([addition("hello", "1.0", "all", "b")]);
    assert!(suite.apply(&other).unwrap_err().is_conflict());
    other.replace = true;
    assert!(suite.apply(&other).unwrap());
    assert_eq!(
        suite.commit.as_ref().unwrap().changes[0].action,
        Action::Replace
    );
    let sha256 = Digests::of(&[Algorithm::Sha256], b"b")
        .get(Algorithm::Sha256)
        .unwrap();
    assert_eq!(suite.packages("arm64")["hello_1.0_all"], sha256);
}

#[test]
fn files_that_clash_are_refused_and_equal_ones_are_one() {
    let mut clash = intent([
        addition("hello", "1.0", "all", "a"),
        addition("hello", "1.0", "all", "b"),
    ]);
    assert!(clash.deduplicate().unwrap_err().is_conflict());
    let mut same = intent([
        addition("hello", "1.0", "all", "a"),
        addition("hello", "1.0", "all", "a"),
    ]);
    same.deduplicate().unwrap();
    assert_eq!(same.additions.len(), 1);
}

#[test]
fn a_new_architecture_gets_the_packages_for_all() {
    let mut suite = Suite::default();
    suite
        .apply(&intent([
            addition("hello", "1.0", "all", "a"),
            addition("tool", "1", "amd64", "b"),
        ]))
        .unwrap();
    suite
        .apply(&intent([addition("tool", "1", "riscv64", "c")]))
        .unwrap();
    let names: Vec<_> = suite.packages("riscv64").into_keys().collect();
    assert_eq!(names, ["hello_1.0_all", "tool_1_riscv64"]);
}

#[test]
fn a_new_component_has_an_index_for_each_architecture() {
    let mut suite = Suite::default();
    suite
        .apply(&intent([addition("hello", "1.0", "all", "a")]))
        .unwrap();
    let mut extra = addition("blob", "1", "amd64", "b");
    extra.component = "non-free".parse().unwrap();
    suite.apply(&intent([extra])).unwrap();
    let commit = suite.commit.unwrap();
    let indexes: BTreeSet<_> = commit
        .indexes
        .iter()
        .map(|index| (index.component.as_str(), index.architecture.as_str()))
        .collect();
    assert_eq!(indexes.len(), 4);
    assert_eq!(
        commit
            .index(&"non-free".parse().unwrap(), &"arm64".parse().unwrap())
            .unwrap()
            .stanzas,
        0
    );
}

#[test]
fn architectures_can_be_set_but_not_taken_away() {
    let mut suite = Suite::default();
    let mut wanted = intent([addition("hello", "1.0", "all", "a")]);
    wanted.architectures = Some(vec!["armhf".parse().unwrap()]);
    suite.apply(&wanted).unwrap();
    assert_eq!(suite.packages("armhf").len(), 1);
    wanted.architectures = Some(vec!["amd64".parse().unwrap()]);
    assert!(matches!(
        suite.apply(&wanted),
        Err(PlanError::DropsArchitecture(_))
    ));
    wanted.architectures = Some(vec!["all".parse().unwrap()]);
    assert!(matches!(suite.apply(&wanted), Err(PlanError::AllIsNone)));
    let mut foreign = intent([addition("tool", "1", "amd64", "b")]);
    foreign.architectures = Some(vec!["armhf".parse().unwrap()]);
    assert!(matches!(
        suite.apply(&foreign),
        Err(PlanError::ForeignArchitecture { .. })
    ));
}

#[test]
fn versions_that_dpkg_takes_for_equal_are_kept_apart() {
    let mut suite = Suite::default();
    suite
        .apply(&intent([addition("hello", "1.0", "all", "a")]))
        .unwrap();
    suite
        .apply(&intent([
            addition("hello", "1.00", "all", "b"),
            addition("hello", "0:1.0", "all", "c"),
        ]))
        .unwrap();
    assert_eq!(suite.packages("amd64").len(), 3);
}

/// Few names, versions and builds, so that intents meet.
fn additions() -> impl Strategy<Value = Vec<Addition>> {
    let one = (0..4usize, 0..4usize, 0..4usize).prop_map(|(name, version, architecture)| {
        let name = ["a0", "libb", "c+c", "dd"][name];
        let version = ["1.0", "1.0-1", "2:1.0~rc1", "10"][version];
        let architecture = ["all", "amd64", "arm64", "riscv64"][architecture];
        addition(
            name,
            version,
            architecture,
            &format!("{name} {version} {architecture}"),
        )
    });
    proptest::collection::vec(one, 0..8)
}

fn model(intents: &[&Vec<Addition>], architecture: &str) -> BTreeSet<String> {
    let all = intents.iter().flat_map(|additions| additions.iter());
    all.filter(|addition| ["all", architecture].contains(&addition.deb.architecture.as_str()))
        .map(Addition::identity)
        .collect()
}

proptest! {
    #[test]
    fn intents_in_any_order_lose_nothing(one in additions(), two in additions(), three in additions()) {
        let architectures = ["amd64", "arm64", "riscv64"];
        let all = [&one, &two, &three];
        let mut ends = Vec::new();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut suite = Suite::default();
            for at in order {
                suite.apply(&intent(all[at].clone())).unwrap();
                // Whoever replays an intent after a lost reply changes nothing.
                prop_assert!(!suite.apply(&intent(all[at].clone())).unwrap());
            }
            let riscv = all.iter().any(|additions| additions.iter().any(|addition| addition.deb.architecture.as_str() == "riscv64"));
            for architecture in architectures {
                if architecture == "riscv64" && !riscv {
                    continue;
                }
                let names: BTreeSet<_> = suite.packages(architecture).into_keys().collect();
                prop_assert_eq!(names, model(&all, architecture));
            }
            ends.push(suite.plain);
        }
        prop_assert_eq!(&ends[0], &ends[1], "the order of commits does not show in the indexes");
        prop_assert_eq!(&ends[0], &ends[2]);
    }
}
