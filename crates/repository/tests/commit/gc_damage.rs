//! Damage to what a garbage collection reads costs nobody anything: it is waited for, or what it concerns is kept.

use std::time::Duration;

use jiff::SignedDuration;
use repository::{CollectOptions, Error, Writes};
use s3_storage::{Fault, Gate, Memory, On, Operation};

use crate::{
    gc::{GRACE, Scene, collect, collect_with, options, remove},
    repository::{committed, in_suite, keys, open, package, publish, suite},
};

/// Damage of an object: missing (none), or with these bytes.
fn damages(whole: &[u8]) -> [Option<Vec<u8>>; 4] {
    let half = whole[..whole.len() / 2].to_vec();
    [None, Some(Vec::new()), Some(half), Some(b"{}".to_vec())]
}

fn damage(bucket: &Memory, key: &str, damage: Option<Vec<u8>>) {
    match damage {
        None => assert!(bucket.remove(key), "{key}"),
        Some(bytes) => bucket.write(key, bytes),
    }
}

const HOUR: Duration = Duration::from_secs(3601);

#[tokio::test]
async fn a_malformed_record_stops_nobody_for_longer_than_a_collector_may_live() {
    let whole = Scene::new()
        .await
        .repository
        .bucket
        .read("gc/condemned.json");
    for bytes in damages(&whole.unwrap()).into_iter().flatten() {
        let scene = Scene::new().await;
        let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
        bucket.write("gc/condemned.json", bytes);
        let early = collect(bucket, signing).await;
        assert!(
            matches!(early, Err(Error::CondemnedMalformed { .. })),
            "{early:?}"
        );
        let early = scene.publish(bucket).await;
        assert!(
            matches!(early, Err(Error::CondemnedMalformed { .. })),
            "{early:?}"
        );
        // What is new is no garbage.
        committed(publish(bucket, signing, &[&package("base"), &package("new")]).await);
        let store = open(bucket.clone(), Writes::Conditional);
        let problem = store.verify_condemned().await.unwrap().unwrap_err();
        assert_eq!(problem.remedy, repository::Remedy::Manual);
        scene.repository.clock.advance(HOUR);
        let problem = store.verify_condemned().await.unwrap().unwrap_err();
        assert_eq!(problem.remedy, repository::Remedy::Repair);
        let again = collect(bucket, signing).await.unwrap();
        committed(remove(bucket, signing, "new").await);
        assert_eq!(again.deleted.objects, 0, "everything is condemned anew");
        assert!(again.condemned_keys.contains(&scene.wanted.file.stanza.key));
        assert!(store.verify_condemned().await.unwrap().is_ok());
        committed(scene.publish(bucket).await);
        scene.check(true).await;
        scene.repository.clock.advance(GRACE + GRACE);
        collect(bucket, signing).await.unwrap();
        scene.check(true).await;
    }
}

#[tokio::test]
async fn a_malformed_record_is_repaired_when_no_collector_can_be_alive() {
    let scene = Scene::new().await;
    let bucket = &scene.repository.bucket;
    bucket.write("gc/condemned.json", "{");
    let store = open(bucket.clone(), Writes::Conditional);
    assert!(store.repair_condemned().await.is_err());
    scene.repository.clock.advance(HOUR);
    store.repair_condemned().await.unwrap();
    assert!(store.verify_condemned().await.unwrap().is_ok());
    committed(scene.publish(bucket).await);
    scene.check(true).await;
}

/// A collector that has doomed an object goes on deleting, whatever becomes of the record.
#[tokio::test]
async fn a_record_that_is_damaged_while_a_collector_deletes_costs_nobody_anything() {
    let scene = Scene::new().await;
    let (slow, gate) = (scene.repository.faulty(), Gate::new());
    let delete = On::Operation(Operation::Delete);
    slow.at(delete, 1, Fault::PauseBefore(gate.clone()));
    let collector = collect(&slow, &scene.signing);
    let publisher = async {
        gate.reached().await;
        scene.repository.bucket.write("gc/condemned.json", "{");
        let refused = scene.publish(&scene.repository.bucket).await;
        let other = collect(&scene.repository.bucket, &scene.signing).await;
        gate.open();
        (refused, other)
    };
    let (collected, (refused, other)) = tokio::join!(collector, publisher);
    assert_eq!(collected.unwrap().deleted.objects, 8);
    for error in [refused.map(drop), other.map(drop)] {
        assert!(
            matches!(error, Err(Error::CondemnedMalformed { .. })),
            "{error:?}"
        );
    }
    let bucket = &scene.repository.bucket;
    assert_eq!(scene.repository.check_as_client().await.len(), 1);
    scene.repository.clock.advance(HOUR);
    committed(scene.publish(bucket).await);
    assert_eq!(scene.repository.check_as_client().await.len(), 2);
    // Where the history was cut is known again.
    scene.repository.clock.advance(GRACE);
    collect(bucket, &scene.signing).await.unwrap();
    scene.check(true).await;
}

/// The commit in the middle is the only one that names `wanted`.
#[tokio::test]
async fn what_an_unreadable_earlier_state_may_have_named_stays_as_long_as_the_history() {
    let keep = CollectOptions {
        keep_history: SignedDuration::from_hours(90 * 24),
        ..options()
    };
    for part in ["/commits/", "/by-hash/"] {
        for nth in 0..4 {
            let scene = Scene::uncollected().await;
            let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
            let middle = &scene.repository.history().await[1];
            let indexes = middle.1.indexes.iter();
            let indexes = indexes.flat_map(|(path, index)| {
                let files = index.files.values();
                files.map(|stored| in_suite(&path.by_hash(&stored.sha256)))
            });
            let objects = match part {
                "/commits/" => vec![in_suite(&format!("commits/{}.json", middle.0))],
                _ => indexes.collect(),
            };
            for key in &objects {
                let whole = bucket.read(key).unwrap();
                damage(bucket, key, damages(&whole)[nth].clone());
            }
            // Garbage of nobody's stays as well: it may be what that state named.
            bucket.write("pool/main/g/garbage.deb", "x");
            scene.repository.clock.advance(GRACE);
            let before = bucket.keys();
            for _ in 0..3 {
                let keys = || keys(signing).for_reading();
                let collected = collect_with(bucket, keys(), keep).await.unwrap();
                assert_eq!(collected.unreadable.len(), 1, "{collected:?}");
                assert_eq!(collected.unreadable[0].suite, suite());
                assert!(
                    collected.unreadable[0]
                        .key
                        .contains(if part == "/commits/" {
                            part
                        } else {
                            "/Packages"
                        })
                );
                assert_eq!(
                    (collected.deleted.objects, collected.condemned.objects),
                    (0, 0)
                );
                scene.repository.clock.advance(GRACE + GRACE);
            }
            let new: Vec<_> = bucket.keys();
            assert!(before.iter().all(|key| new.contains(key)));
            // When the history is older than what is kept, it is cut as ever.
            let condemned = collect(bucket, signing).await.unwrap();
            assert!(condemned.unreadable.is_empty());
            assert!(
                condemned
                    .condemned_keys
                    .contains(&scene.wanted.file.stanza.key)
            );
            scene.repository.clock.advance(GRACE);
            collect(bucket, signing).await.unwrap();
            assert!(!scene.garbage());
            scene.check(false).await;
        }
    }
}
