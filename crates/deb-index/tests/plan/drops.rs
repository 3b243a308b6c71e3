//! Architectures and components leave a suite.

use deb_index::change::{Edit, IndexPlan, Intent, PlanError, Restored, SettingsPatch};

use crate::suite::{Suite, path, stanza};

fn architectures(names: &[&str]) -> Intent {
    Intent(vec![Edit::Set(Box::new(SettingsPatch {
        architectures: Some(names.iter().map(|name| name.parse().unwrap()).collect()),
        drops_architectures: true,
        ..SettingsPatch::default()
    }))])
}

fn without(component: &str) -> Intent {
    Intent(vec![Edit::Set(Box::new(SettingsPatch {
        remove_components: vec![component.parse().unwrap()],
        ..SettingsPatch::default()
    }))])
}

fn suite() -> Suite {
    let mut suite = Suite::default();
    let mut extra = stanza("blob", "1", "all", "blob");
    extra.id.component = "extra".parse().unwrap();
    suite.add([
        stanza("a", "1", "all", "a"),
        stanza("b", "1", "amd64", "b"),
        stanza("b", "1", "arm64", "c"),
        extra,
    ]);
    suite
}

/// What the last commit did: `action name architecture`.
fn changes(suite: &Suite) -> Vec<String> {
    let changes = suite.commit.as_ref().unwrap().changes.iter();
    let word = |text: &Option<String>| text.clone().unwrap();
    changes
        .map(|change| {
            let (name, architecture) = (word(&change.package), word(&change.architecture));
            format!("{} {name} {architecture}", change.action)
        })
        .collect()
}

fn paths(suite: &Suite) -> Vec<String> {
    let indexes = suite.commit.as_ref().unwrap().indexes.keys();
    indexes.map(ToString::to_string).collect()
}

#[test]
fn an_architecture_leaves_with_its_own_packages() {
    let mut suite = suite();
    let plan = suite.plan(&architectures(&["amd64"])).unwrap();
    assert_eq!(plan.indexes[&path("amd64")], IndexPlan::Keep);
    suite.apply(&architectures(&["amd64"])).unwrap();
    assert_eq!(changes(&suite), ["remove b arm64"]);
    assert_eq!(
        paths(&suite),
        ["extra/binary-amd64/Packages", "main/binary-amd64/Packages"]
    );
    assert_eq!(suite.packages("amd64").len(), 2);
    assert!(!suite.apply(&architectures(&["amd64"])).unwrap());
    // The first one, while another comes.
    suite.apply(&architectures(&["riscv64"])).unwrap();
    assert_eq!(changes(&suite), ["remove b amd64"]);
    assert_eq!(
        suite.packages("riscv64").into_keys().collect::<Vec<_>>(),
        ["a_1_all"]
    );
}

#[test]
fn a_package_of_a_dropped_architecture_cannot_be_added_with_it() {
    let suite = suite();
    let mut wanted = architectures(&["amd64"]);
    wanted.0.push(Edit::Add {
        stanza: stanza("c", "1", "arm64", "c"),
        replace: false,
    });
    assert!(matches!(
        suite.plan(&wanted),
        Err(PlanError::ForeignArchitecture(_))
    ));
}

#[test]
fn a_component_leaves_with_all_its_indexes() {
    let mut suite = suite();
    let mut json = serde_json::to_value(suite.commit.take().unwrap()).unwrap();
    let digest = &json["indexes"]["main/binary-amd64/Packages"]["sha256"].clone();
    for sources in [
        "extra/source/Sources",
        "main/source/Sources",
        "Contents-amd64",
    ] {
        json["indexes"][sources] = serde_json::json!({"size": 1, "sha256": digest, "files": {}});
    }
    suite.commit = Some(serde_json::from_value(json).unwrap());
    suite.apply(&without("extra")).unwrap();
    assert_eq!(changes(&suite), ["remove blob all"]);
    assert_eq!(
        paths(&suite),
        [
            "Contents-amd64",
            "main/binary-amd64/Packages",
            "main/binary-arm64/Packages",
            "main/source/Sources",
        ]
    );
    assert!(!suite.apply(&without("extra")).unwrap());
    assert!(!suite.apply(&without("none")).unwrap());
    assert!(matches!(
        suite.plan(&without("main")),
        Err(PlanError::NoComponent)
    ));
}

#[test]
fn a_rollback_brings_back_what_the_suite_has_dropped_and_leaves_what_is_newer() {
    let mut now = suite();
    let then = now.clone();
    now.add([stanza("d", "1", "amd64", "d")]);
    now.apply(&architectures(&["amd64"])).unwrap();
    now.apply(&without("extra")).unwrap();
    now.apply(&architectures(&["amd64", "riscv64"])).unwrap();
    let restore = Intent(vec![Edit::Restore(
        Restored {
            indexes: then.commit.as_ref().unwrap().indexes.clone(),
            plain: then.plain.clone(),
        }
        .into(),
    )]);
    now.apply(&restore).unwrap();
    assert_eq!(
        changes(&now),
        ["remove d amd64", "add b arm64", "add blob all"]
    );
    let indexes = |suite: &Suite| suite.commit.as_ref().unwrap().indexes.clone();
    for (path, index) in &indexes(&then) {
        assert_eq!(indexes(&now).get(path), Some(index), "{path}");
    }
    assert_eq!(indexes(&now).len(), indexes(&then).len() + 2);
    let riscv64 = now.packages("riscv64").into_keys();
    assert_eq!(riscv64.collect::<Vec<_>>(), ["a_1_all"]);
    let commit = now.commit.as_ref().unwrap();
    assert_eq!(commit.settings.architectures.len(), 3);
    assert!(!now.apply(&restore).unwrap());
}

#[test]
fn what_no_package_is_built_for_is_no_architecture_of_a_suite() {
    let suite = suite();
    for name in ["source", "any", "linux-any", "all"] {
        for suite in [&suite, &Suite::default()] {
            let refused = suite.plan(&architectures(&["amd64", "arm64", name]));
            let is_named =
                |error| matches!(error, PlanError::NoIndex { name: own } if own.as_str() == name);
            assert!(refused.is_err_and(is_named), "{name}");
        }
    }
}
