//! What a repair must not do: overwrite what it has not looked at, trust a store that ignores conditions, name what is being
//! collected, or take another tool's suite for a damaged one.

use std::sync::Arc;

use deb_index::suite::{commit::Authorship, layout, release::ReleaseError};
use repository::{Allow, Depth, Error, Keys, Part, RepairOptions, Verified, Writes};
use s3_storage::{Careless, ErrorKind, Fault, Flaw, On, Operation, Storage};

use crate::{
    damage::{Scene, expected, shown},
    foreign::Foreign,
    lost::all_of_an_index,
    repository::{
        Repository, committed, in_suite, key, keys, open, package, publish, publish_as, suite,
    },
};

/// Ways in which the head, or what it names, is broken, each with a repair that writes a head.
const BROKEN: [&str; 7] = [
    "head missing",
    "head damaged",
    "put back",
    "commit lost",
    "head damaged, commit lost",
    "index lost",
    "pool left",
];

async fn broken(how: &str) -> Scene {
    let scene = Scene::new(Some(key())).await;
    let head = in_suite("InRelease");
    let commit = layout::commit_key(&suite(), &scene.commit());
    match how {
        "head missing" => scene.damage(&head, None),
        "head damaged" => scene.damage(&head, Some(b"damaged".to_vec())),
        "put back" => {
            let old = scene.read(&head);
            let more = crate::damage::built("more", "amd64");
            scene.publish("stable", &[more]).await.unwrap();
            scene.damage(&head, Some(old));
        }
        "commit lost" => scene.damage(&commit, None),
        "head damaged, commit lost" => {
            scene.damage(&head, Some(b"damaged".to_vec()));
            scene.damage(&commit, None);
        }
        "index lost" => {
            for key in all_of_an_index(&scene, "amd64").await {
                scene.damage(&key, None);
            }
            let fan = "pool/main/f/fan/fan_1.0_amd64.deb";
            scene.damage(fan, Some(b"damaged".to_vec()));
            for key in scene.repository.bucket.keys() {
                if key.starts_with(&in_suite("main/binary-amd64/by-hash/")) {
                    scene.damage(&key, None);
                }
            }
        }
        _ => {
            for key in scene.repository.bucket.keys() {
                if key.starts_with("dists/stable/") && key != in_suite("suite.json") {
                    scene.damage(&key, None);
                }
            }
            scene.repository.bucket.write(&head, "damaged");
        }
    }
    scene
}

async fn repair<S: Storage + 'static>(
    storage: &Arc<S>,
    scene: &Scene,
    found: Verified,
) -> Result<(), Error> {
    let store = open(storage.clone(), Writes::Conditional);
    let suites = [store.suite(suite(), keys(&scene.signing))];
    let options = RepairOptions {
        unproven: true,
        ..RepairOptions::default()
    };
    store.repair(&suites, &[found], &options).await
}

async fn look(scene: &Scene) -> Verified {
    let store = open(scene.repository.bucket.clone(), Writes::Conditional);
    let suites = [store.suite(suite(), keys(&scene.signing))];
    let found = store.verify(&suites, Depth::Content).await;
    found.unwrap().remove(0)
}

#[tokio::test]
async fn a_repair_overwrites_no_head_that_it_has_not_looked_at() {
    for how in BROKEN {
        for other in ["whole", "unusable"] {
            let scene = broken(how).await;
            let found = look(&scene).await;
            let told = shown(&found.problems);
            // Meanwhile, another process repairs it and goes on, or writes what is no head.
            let bytes = if other == "whole" {
                scene.repair(true).await.unwrap();
                let next = crate::damage::built("next", "amd64");
                scene.publish("stable", &[next]).await.unwrap();
                scene.read(&in_suite("InRelease"))
            } else {
                b"of somebody else".to_vec()
            };
            let head = in_suite("InRelease");
            scene.repository.bucket.write(&head, bytes.clone());
            let repaired = repair(&scene.repository.bucket, &scene, found).await;
            assert_eq!(
                scene.repository.bucket.read(&head).unwrap(),
                bytes,
                "{how}, then {other}: {repaired:?}\n{told}"
            );
        }
        // Without anybody else, it works.
        let scene = broken(how).await;
        let found = look(&scene).await;
        repair(&scene.repository.bucket, &scene, found)
            .await
            .unwrap();
        let left = scene.repair(true).await.unwrap();
        assert!(
            !left
                .problems
                .iter()
                .any(|problem| problem.part == Part::Head),
            "{how}: {}",
            shown(&left.problems)
        );
    }
}

#[tokio::test]
async fn a_repair_writes_no_head_where_the_store_ignores_conditions() {
    for how in BROKEN {
        let scene = broken(how).await;
        let found = look(&scene).await;
        let bucket = &scene.repository.bucket;
        let before = bucket.read(&in_suite("InRelease"));
        let careless = Arc::new(Careless::new(bucket.clone(), Flaw::IgnoresConditions));
        let refused = repair(&careless, &scene, found).await;
        assert!(
            matches!(refused, Err(Error::NoConditionalWrites(_))),
            "{how}: {refused:?}"
        );
        assert_eq!(bucket.read(&in_suite("InRelease")), before, "{how}");
    }
}

/// Puts everything that the suite could name on the record of what is condemned.
fn condemn_all(scene: &Scene) {
    let objects = scene.repository.bucket.keys().into_iter();
    let objects = objects.filter(|key| {
        key.starts_with("pool/") || key.contains("/by-hash/") || key.contains("/commits/")
    });
    let condemned = objects.map(|key| {
        let object = serde_json::json!({
            "etag": "\"e\"", "modified": "2025-11-01T00:00:00Z", "since": "2025-11-02T00:00:00Z",
        });
        (key, object)
    });
    let record = serde_json::json!({
        "format": 1, "generation": 1, "condemned": condemned.collect::<serde_json::Map<_, _>>(),
    });
    let bucket = &scene.repository.bucket;
    bucket.write("gc/condemned.json", record.to_string());
}

#[tokio::test]
async fn what_a_repair_makes_a_head_name_is_taken_off_the_list_of_garbage() {
    for how in BROKEN.into_iter().filter(|how| *how != "put back") {
        let scene = broken(how).await;
        condemn_all(&scene);
        let found = look(&scene).await;
        repair(&scene.repository.bucket, &scene, found)
            .await
            .unwrap();
        let record = scene.read("gc/condemned.json");
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let condemned = record["condemned"].as_object().unwrap();
        let head = scene.repository.head().await;
        let mut named = vec![layout::commit_key(&suite(), &head.id())];
        for (path, index) in &head.commit.indexes {
            for stored in index.files.values() {
                named.push(in_suite(&path.by_hash(&stored.sha256)));
            }
        }
        let left = ["b/base/base_1.0_all", "n/new-stable/new-stable_1.0_amd64"];
        named.extend(left.map(|file| format!("pool/main/{file}.deb")));
        for key in named {
            assert!(!condemned.contains_key(&key), "{how}: {key}");
        }
    }
}

#[tokio::test]
async fn a_suite_of_another_tool_is_no_damaged_suite() {
    for is_signed in [false, true] {
        let repository = Repository::new();
        let foreign = Foreign::usual(&repository);
        if is_signed {
            foreign.write_signed(&repository, &key()).await;
        } else {
            foreign.write(&repository);
        }
        let before = repository.bucket.keys();
        let store = open(repository.bucket.clone(), Writes::Conditional);
        for keys in [keys(&Some(key())), keys(&None), Keys::Unchecked] {
            let suites = [store.suite(suite(), keys)];
            let refused = store.verify(&suites, Depth::Listing).await;
            let is_told = matches!(
                &refused,
                Err(Error::Release {
                    source: ReleaseError::NotOurs,
                    ..
                })
            );
            assert!(is_told, "signed: {is_signed}: {refused:?}");
        }
        assert_eq!(repository.bucket.keys(), before);
    }
}

#[tokio::test]
async fn a_head_comes_back_from_the_newest_of_many_commits() {
    let scene = Scene::new(Some(key())).await;
    let newest = scene.commit();
    let bucket = &scene.repository.bucket;
    // What others have left there, of names that are looked at first.
    let now = scene.repository.clock.now();
    scene
        .repository
        .clock
        .set(now - jiff::SignedDuration::from_hours(1));
    for number in 0..300 {
        bucket.write(&in_suite(&format!("commits/{number:064}.json")), "{}");
    }
    scene.repository.clock.set(now);
    for key in ["InRelease", "Release", "Release.gpg"] {
        scene.damage(&in_suite(key), None);
    }
    scene.repair(true).await.unwrap();
    assert_eq!(scene.commit(), newest);
    assert_eq!(scene.packages().await, expected());
}

#[tokio::test]
async fn the_suites_beside_it_are_read_once_for_all_broken_indexes() {
    let mut requests = Vec::new();
    for architectures in [&["amd64"][..], &["amd64", "arm64"]] {
        let scene = Scene::new(Some(key())).await;
        let mut broken = Vec::new();
        for architecture in architectures {
            broken.extend(all_of_an_index(&scene, architecture).await);
        }
        for key in broken {
            scene.damage(&key, None);
        }
        let head = layout::commit_key(&suite(), &scene.commit());
        scene.damage(&head, None);
        for key in scene.repository.bucket.keys() {
            let is_of = |architecture: &&str| {
                key.starts_with(&in_suite(&format!("main/binary-{architecture}/by-hash/")))
            };
            let is_index = architectures.iter().any(is_of);
            let is_file = key.contains("/base_1.0_all.deb");
            if is_index || is_file {
                scene.repository.bucket.remove(&key);
            }
        }
        let counted = scene.repository.faulty();
        let store = open(counted.clone(), Writes::Conditional);
        let suites = [store.suite(suite(), keys(&scene.signing))];
        store.verify(&suites, Depth::Listing).await.unwrap();
        let of_lab = counted.requests();
        let of_lab = of_lab
            .iter()
            .filter(|(_, key)| key == "dists/lab/InRelease");
        requests.push(of_lab.count());
    }
    assert!(
        requests[0] > 0 && requests[0] == requests[1],
        "{requests:?}"
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_no_proof_that_a_suite_was_deleted_or_was_not() {
    let scene = Scene::new(Some(key())).await;
    for key in ["InRelease", "Release"] {
        scene.damage(&in_suite(key), None);
    }
    let store = scene.repository.faulty();
    let denied = Fault::Fail(ErrorKind::PermissionDenied);
    store.always(On::Key(Operation::Get, in_suite("suite.json")), denied);
    let opened = open(store, Writes::Conditional);
    let suites = || [opened.suite(suite(), keys(&scene.signing).for_reading())];
    let options = crate::gc::options();
    let [stable] = suites();
    let lab = opened.suite("lab".parse().unwrap(), keys(&scene.signing).for_reading());
    let both = [stable, lab];
    let errors = [
        opened.verify(&suites(), Depth::Listing).await.err(),
        opened.collect(&both, options).await.err(),
        suites()[0].deletion(Allow::default()).await.err(),
    ];
    for error in errors {
        let is_denied = matches!(&error, Some(Error::Storage(error)) if error.kind() == ErrorKind::PermissionDenied);
        assert!(is_denied, "{error:?}");
    }
}

#[tokio::test]
async fn what_a_dropped_architecture_leaves_is_in_nobodys_way() {
    use deb_index::change::{Edit, SettingsPatch};
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let drop = Edit::Set(Box::new(SettingsPatch {
        architectures: Some(vec!["amd64".parse().unwrap()]),
        drops_architectures: true,
        ..SettingsPatch::default()
    }));
    let allow = repository::Allow {
        release_info_change: true,
        ..Default::default()
    };
    let store = open(repository.bucket.clone(), Writes::Conditional);
    let opened = store.suite(suite(), keys(&signing));
    let draft = opened
        .draft(deb_index::change::Intent(vec![drop]), allow)
        .await;
    let by = Default::default();
    let done = draft.unwrap().commit(&[], &by, &repository::Silent).await;
    committed(done);
    crate::suites::collect_all(&repository, &signing).await;
    let left = repository.bucket.keys();
    let left: Vec<_> = left.iter().filter(|key| key.contains("arm64")).collect();
    assert_eq!(
        left,
        ["gz", "zst"]
            .map(|end| in_suite(&format!("main/binary-arm64/Packages.{end}")))
            .iter()
            .collect::<Vec<_>>()
    );
    assert!(
        crate::suites::problems(&repository, &signing, "stable")
            .await
            .is_empty()
    );
    // It can come back, and a deletion takes all.
    committed(
        publish_as(
            &repository.bucket,
            keys(&signing),
            &[&package("more")],
            crate::repository::Options::allowing(allow),
        )
        .await,
    );
    repository.check_followers().await;
    let planned = opened.deletion(allow).await.unwrap();
    opened
        .delete_all(planned, allow, &by, &repository::Silent)
        .await
        .unwrap();
    assert_eq!(
        repository
            .bucket
            .keys()
            .iter()
            .filter(|key| key.contains("arm64"))
            .count(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_repair_does_not_call_a_deletion_off() {
    let scene = Scene::new(Some(key())).await;
    let founding = in_suite("suite.json");
    scene.damage(&founding, None);
    let found = look(&scene).await;
    assert_eq!(found.problems[0].part, Part::Founding);
    let victim = scene.repository.faulty();
    victim.at(On::Operation(Operation::Delete), 1, Fault::KillBefore);
    let opened = open(victim, Writes::Conditional);
    let (stable, by) = (
        opened.suite(suite(), keys(&scene.signing)),
        Authorship::default(),
    );
    let allow = Allow::default();
    let planned = stable.deletion(allow).await.unwrap();
    let killed = stable
        .delete_all(planned, allow, &by, &repository::Silent)
        .await;
    killed.unwrap_err();
    let deleting = scene.read(&founding);
    let repaired = repair(&scene.repository.bucket, &scene, found).await;
    assert!(
        matches!(repaired, Ok(()) | Err(Error::Deleting { .. })),
        "{repaired:?}"
    );
    assert_eq!(scene.read(&founding), deleting);
}
