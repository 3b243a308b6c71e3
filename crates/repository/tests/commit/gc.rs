//! Garbage is collected in two steps; whatever happens meanwhile, nothing that a suite names is lost.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use deb_index::{
    change::{Edit, Intent},
    suite::{commit::Authorship, release::Release},
};
use jiff::SignedDuration;
use repository::{
    Allow, CollectOptions, Collected, Error, Keys, Outcome, Published, Silent, Writes,
};
use s3_storage::{ErrorKind, Fault, Gate, On, Operation, Storage};

use crate::{
    collecting::{collecting_at, never_reached},
    repository::{
        Package, Repository, Signing, committed, in_suite, key, keys, open, package, publish, suite,
    },
};

pub(crate) const GRACE: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn options() -> CollectOptions {
    CollectOptions {
        grace: SignedDuration::try_from(GRACE).unwrap(),
        keep_history: SignedDuration::ZERO,
        dry_run: false,
        leave_pool: false,
    }
}

pub(crate) async fn collect_with<S: Storage + 'static>(
    storage: &Arc<S>,
    keys: Keys,
    options: CollectOptions,
) -> Result<Collected, Error> {
    let repository = open(storage.clone(), Writes::Conditional);
    let (ours, _) = repository.all_suites().await?;
    assert!(ours.len() <= 1);
    let suites: Vec<_> = ours.into_iter().zip([keys]).collect();
    let suites = suites
        .into_iter()
        .map(|(name, keys)| repository.suite(name, keys));
    repository
        .collect(&suites.collect::<Vec<_>>(), options)
        .await
}

pub(crate) async fn collect<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
) -> Result<Collected, Error> {
    collect_with(storage, keys(signing).for_reading(), options()).await
}

pub(crate) async fn remove<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    name: &str,
) -> Result<Published, Error> {
    let repository = open(storage.clone(), Writes::Conditional);
    let suite = repository.suite(suite(), keys(signing));
    let of = name.parse().unwrap();
    let except = Default::default();
    let intent = Intent(vec![Edit::Remove { of, except }]);
    let draft = suite.draft(intent, Allow::default()).await?;
    draft.commit(&[], &Authorship::default(), &Silent).await
}

/// A repository with `base`, which has had `wanted` too: its file, its index files and its commits are garbage, condemned, and the
/// grace period is over. To publish `wanted` again gives the same index files again.
pub(crate) struct Scene {
    pub(crate) repository: Repository,
    pub(crate) signing: Signing,
    pub(crate) wanted: Package,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let scene = Self::uncollected().await;
        let condemned = collect(&scene.repository.bucket, &scene.signing)
            .await
            .unwrap();
        assert_eq!(condemned.deleted.objects, 0);
        assert!(
            condemned
                .condemned_keys
                .contains(&scene.wanted.file.stanza.key)
        );
        scene.repository.clock.advance(GRACE);
        scene
    }

    pub(crate) async fn uncollected() -> Self {
        let (repository, signing) = (Repository::new(), Some(key()));
        let (base, wanted) = (package("base"), package("wanted"));
        committed(publish(&repository.bucket, &signing, &[&base]).await);
        repository.clock.advance(Duration::from_secs(10));
        committed(publish(&repository.bucket, &signing, &[&wanted]).await);
        repository.clock.advance(Duration::from_secs(10));
        committed(remove(&repository.bucket, &signing, "wanted").await);
        repository.clock.advance(GRACE);
        repository.clock.advance(Duration::from_secs(10));
        Self {
            repository,
            signing,
            wanted,
        }
    }

    pub(crate) async fn publish<S: Storage + 'static>(
        &self,
        storage: &Arc<S>,
    ) -> Result<Published, Error> {
        publish(storage, &self.signing, &[&self.wanted]).await
    }

    /// All that the head names is there; what does devices see?
    pub(crate) async fn check(&self, with_wanted: bool) {
        let packages = self.repository.check_as_client().await;
        let mut expected = BTreeSet::from(["base_1.0_all".to_owned()]);
        expected.extend(with_wanted.then(|| "wanted_1.0_all".to_owned()));
        assert_eq!(packages, expected);
        self.repository.check_followers().await;
        let suite = open(self.repository.bucket.clone(), Writes::Conditional);
        let suites = [suite.suite(crate::repository::suite(), keys(&self.signing))];
        let found = suite
            .verify(&suites, repository::Depth::Content)
            .await
            .unwrap();
        assert!(found[0].problems.is_empty(), "{:#?}", found[0].problems);
    }

    pub(crate) fn garbage(&self) -> bool {
        self.repository
            .bucket
            .read(&self.wanted.file.stanza.key)
            .is_some()
    }
}

#[tokio::test]
async fn garbage_is_condemned_then_deleted_and_what_is_named_stays() {
    let scene = Scene::uncollected().await;
    let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
    let before = bucket.keys();
    let dry = CollectOptions {
        dry_run: true,
        ..options()
    };
    let keys = || keys(signing).for_reading();
    let planned = collect_with(bucket, keys(), dry).await.unwrap();
    assert_eq!(bucket.keys(), before, "a dry run writes nothing");
    let condemned = collect(bucket, signing).await.unwrap();
    assert_eq!(condemned.condemned_keys, planned.condemned_keys);
    // The package, its index in two formats for two architectures, and two old commits, and the record of one; the other's is about the head.
    let kinds = ["pool/", "/by-hash/", "/commits/", "/succession/"];
    let count = |kind: &&str| {
        condemned
            .condemned_keys
            .iter()
            .filter(|key| key.contains(*kind))
            .count()
    };
    assert_eq!(kinds.iter().map(count).collect::<Vec<_>>(), [1, 4, 2, 1]);
    let again = collect(bucket, signing).await.unwrap();
    assert_eq!(
        (
            again.deleted.objects,
            again.condemned.objects,
            again.waiting.objects
        ),
        (0, 0, 8)
    );
    scene.repository.clock.advance(GRACE);
    let planned = collect_with(bucket, keys(), dry).await.unwrap();
    assert_eq!(planned.deleted_keys, condemned.condemned_keys);
    assert!(scene.garbage());
    let deleted = collect(bucket, signing).await.unwrap();
    assert_eq!(deleted.deleted_keys, condemned.condemned_keys);
    assert_eq!(deleted.deleted.bytes, planned.deleted.bytes);
    let left = before
        .iter()
        .filter(|key| !deleted.deleted_keys.contains(key));
    let expected: BTreeSet<_> = left
        .cloned()
        .chain(["gc/condemned.json".to_owned()])
        .collect();
    assert_eq!(bucket.keys().into_iter().collect::<BTreeSet<_>>(), expected);
    scene.check(false).await;
    assert_eq!(
        scene.repository.history().await.len(),
        1,
        "the history ends where it was cut"
    );
    committed(scene.publish(bucket).await);
    scene.check(true).await;
    let idle = collect(bucket, signing).await.unwrap();
    assert_eq!(idle.deleted.objects, 0);
}

#[tokio::test]
async fn a_history_that_is_kept_can_be_brought_back() {
    let scene = Scene::uncollected().await;
    let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
    let keep = CollectOptions {
        keep_history: SignedDuration::from_hours(90 * 24),
        ..options()
    };
    for _ in 0..3 {
        let keys = keys(signing).for_reading();
        let collected = collect_with(bucket, keys, keep).await.unwrap();
        assert_eq!(
            (collected.condemned.objects, collected.deleted.objects),
            (0, 0)
        );
        assert_eq!(collected.commits, 3);
        scene.repository.clock.advance(GRACE);
    }
    assert_eq!(scene.repository.history().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_race_or_a_killed_publish_left_is_collected() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let killed = repository.faulty();
    killed.at(
        On::Key(Operation::Put, "InRelease".to_owned()),
        1,
        Fault::KillBefore,
    );
    publish(&killed, &signing, &[&package("lost")])
        .await
        .unwrap_err();
    repository.clock.advance(GRACE);
    let condemned = collect(&repository.bucket, &signing).await.unwrap();
    assert_eq!(
        condemned.condemned.objects, 6,
        "{:?}",
        condemned.condemned_keys
    );
    repository.clock.advance(GRACE);
    let deleted = collect(&repository.bucket, &signing).await.unwrap();
    assert_eq!(deleted.deleted.objects, 6);
    repository.check_as_client().await;
}

#[tokio::test]
async fn a_collector_that_is_killed_at_any_write_loses_nothing_and_the_next_one_goes_on() {
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseReply] {
        for nth in 1.. {
            let scene = Scene::new().await;
            let victim = scene.repository.faulty();
            victim.at(On::Writes, nth, fault.clone());
            let result = collect(&victim, &scene.signing).await;
            if victim.writes() < nth {
                assert!(nth > 4 && result.is_ok(), "{nth}: {result:?}");
                break;
            }
            scene.check(false).await;
            // A publisher that needs what was doomed waits until the collector is certainly dead.
            scene.repository.clock.advance(Duration::from_secs(3601));
            if nth % 2 == 0 {
                committed(scene.publish(&scene.repository.bucket).await);
                scene.check(true).await;
            }
            collect(&scene.repository.bucket, &scene.signing)
                .await
                .unwrap();
            scene.check(nth % 2 == 0).await;
            scene.repository.clock.advance(GRACE + GRACE);
            collect(&scene.repository.bucket, &scene.signing)
                .await
                .unwrap();
            assert_eq!(scene.garbage(), nth % 2 == 0, "write {nth}, {fault:?}");
            scene.check(nth % 2 == 0).await;
        }
    }
}

/// At each request of a publish that brings garbage back, a whole collection runs. It dooms what the publish may be about to name.
#[tokio::test]
async fn a_collection_at_any_request_of_a_publish_takes_nothing_from_it() {
    for nth in 1.. {
        let scene = Scene::new().await;
        let slow = scene.repository.faulty();
        let published = collecting_at(nth, &slow, &scene.signing, scene.publish(&slow));
        let Some(published) = published.await else {
            assert!(nth > 15, "a publish takes more than {nth} requests");
            break;
        };
        committed(published);
        scene.check(true).await;
        // Whatever was condemned before has been struck off.
        scene.repository.clock.advance(GRACE + GRACE);
        collect(&scene.repository.bucket, &scene.signing)
            .await
            .unwrap();
        scene.check(true).await;
    }
}

/// At each request of a collection, a whole publish that brings garbage back runs.
#[tokio::test]
async fn a_publish_at_any_request_of_a_collection_loses_nothing() {
    for nth in 1.. {
        let scene = Scene::new().await;
        let (slow, gate) = (scene.repository.faulty(), Gate::new());
        slow.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
        let collector = collect(&slow, &scene.signing);
        let publisher = async {
            tokio::select! {
                () = gate.reached() => {}
                () = never_reached(&slow, nth) => return None,
            }
            // It may have to wait for the collector.
            let opened = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                gate.open();
            };
            let (published, ()) = tokio::join!(scene.publish(&scene.repository.bucket), opened);
            Some(published)
        };
        let (collected, published) = tokio::join!(collector, publisher);
        collected.unwrap();
        let Some(published) = published else {
            assert!(nth > 10, "a collection takes more than {nth} requests");
            break;
        };
        committed(published);
        scene.check(true).await;
    }
}

#[tokio::test]
async fn a_repository_below_pool_is_another() {
    let scene = Scene::uncollected().await;
    let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
    for key in [
        "dists/stable/suite.json",
        "dists/stable/commits/1.json",
        "pool/main/a/a/a_1_all.deb",
    ] {
        bucket.write(&format!("pool/inner/{key}"), &b"x"[..]);
    }
    let condemned = collect(bucket, signing).await.unwrap().condemned_keys;
    let of_pool: Vec<_> = condemned
        .iter()
        .filter(|key| key.starts_with("pool/"))
        .collect();
    assert_eq!(of_pool, [&scene.wanted.file.stanza.key]);
}

#[tokio::test]
async fn what_was_promoted_or_written_again_after_it_was_condemned_stays() {
    let scene = Scene::new().await;
    let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
    committed(scene.publish(bucket).await);
    let collected = collect(bucket, signing).await.unwrap();
    assert!(
        !collected
            .deleted_keys
            .contains(&scene.wanted.file.stanza.key)
    );
    scene.check(true).await;
    // Something that is not a publisher writes an object again.
    let scene = Scene::new().await;
    let (bucket, key) = (&scene.repository.bucket, &scene.wanted.file.stanza.key);
    bucket.write(key, bucket.read(key).unwrap());
    let collected = collect(bucket, &scene.signing).await.unwrap();
    assert_eq!((collected.spared, collected.deleted.objects), (1, 7));
    assert!(scene.garbage());
}

#[tokio::test]
async fn nothing_is_collected_while_a_suite_cannot_be_relied_on() {
    type Damage = fn(&Scene);
    let cases: [(&str, Damage); 6] = [
        ("the head is gone", |scene| {
            for name in ["InRelease", "Release", "Release.gpg"] {
                scene.repository.bucket.remove(&in_suite(name));
            }
        }),
        ("the head is forged", |scene| {
            let head = scene
                .repository
                .bucket
                .read(&in_suite("InRelease"))
                .unwrap();
            let text = String::from_utf8(head.to_vec()).unwrap();
            let forged = text.replace("Suite: stable", "Suite: stablf");
            scene
                .repository
                .bucket
                .write(&in_suite("InRelease"), forged);
        }),
        ("its commit is gone", |scene| {
            let release = Release::parse(&scene.repository.release().unwrap()).unwrap();
            let commit = in_suite(&format!("commits/{}.json", release.commit));
            scene.repository.bucket.remove(&commit);
        }),
        ("an index is damaged", |scene| {
            for key in scene.repository.bucket.keys() {
                if key.contains("/by-hash/") {
                    scene.repository.bucket.write(&key, "damaged");
                }
            }
        }),
        ("another tool's suite is there", |scene| {
            scene
                .repository
                .bucket
                .write("dists/other/Release", "Suite: other\n");
        }),
        ("the record is of a later version", |scene| {
            let text = "{\"format\": 9, \"generation\": 1, \"condemned\": {}}";
            scene.repository.bucket.write("gc/condemned.json", text);
        }),
    ];
    for (what, damage) in cases {
        let scene = Scene::new().await;
        damage(&scene);
        let before = scene.repository.bucket.keys();
        let result = collect(&scene.repository.bucket, &scene.signing).await;
        assert!(result.is_err(), "{what}: {result:?}");
        assert_eq!(scene.repository.bucket.keys(), before, "{what}");
    }
    let scene = Scene::new().await;
    for keys in [Keys::Unchecked, keys(&Some(key())).for_reading()] {
        let result = collect_with(&scene.repository.bucket, keys, options()).await;
        assert!(matches!(
            result,
            Err(Error::NotVerified { .. } | Error::Untrusted { .. })
        ));
    }
    // With the pool left alone, the other tool loses nothing.
    scene
        .repository
        .bucket
        .write("dists/other/Release", "Suite: other\n");
    scene.repository.bucket.write("pool/other.deb", "other");
    let leave = CollectOptions {
        leave_pool: true,
        ..options()
    };
    let keys = keys(&scene.signing).for_reading();
    let collected = collect_with(&scene.repository.bucket, keys, leave)
        .await
        .unwrap();
    assert!(collected.deleted.objects > 0 && scene.garbage());
    assert!(collected.pool_left.is_some());
}

#[tokio::test]
async fn a_collector_without_the_right_to_delete_leaves_everything_as_it_was() {
    let scene = Scene::new().await;
    let refusing = scene.repository.faulty();
    refusing.always(
        On::Operation(Operation::Delete),
        Fault::Fail(ErrorKind::PermissionDenied),
    );
    let result = collect(&refusing, &scene.signing).await;
    assert!(matches!(result, Err(Error::Storage(_))), "{result:?}");
    let published = scene.publish(&scene.repository.bucket).await;
    assert!(
        matches!(published.unwrap().outcome, Outcome::Committed(_)),
        "nothing is doomed"
    );
    scene.check(true).await;
}

#[tokio::test]
async fn two_collectors_do_not_get_in_each_others_way() {
    let scene = Scene::new().await;
    let (slow, gate) = (scene.repository.faulty(), Gate::new());
    slow.at(
        On::Operation(Operation::Delete),
        1,
        Fault::PauseBefore(gate.clone()),
    );
    let first = collect(&slow, &scene.signing);
    let second = async {
        gate.reached().await;
        let refused = collect(&scene.repository.bucket, &scene.signing).await;
        gate.open();
        refused
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().deleted.objects, 8);
    assert!(
        matches!(second, Err(Error::CollectorRuns { .. })),
        "{second:?}"
    );
    scene.check(false).await;
}
