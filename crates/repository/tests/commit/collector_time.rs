//! A collector that is slow, and what it leaves after a long time.

use std::time::Duration;

use jiff::SignedDuration;
use repository::{Error, Keys, Writes};
use s3_storage::{Fault, Gate, On, Operation};

use crate::{
    gc::{GRACE, Scene, collect},
    repository::{Repository, committed, key, open, package, publish, suite},
};

/// However long it takes to look at everything, publishers know how long a collector has been deleting.
#[tokio::test(start_paused = true)]
async fn a_collector_that_was_slow_to_read_is_not_taken_for_dead() {
    let scene = Scene::new().await;
    let (slow, read, delete) = (scene.repository.faulty(), Gate::new(), Gate::new());
    slow.at(
        On::Operation(Operation::List),
        2,
        Fault::PauseBefore(read.clone()),
    );
    slow.at(
        On::Operation(Operation::Delete),
        1,
        Fault::PauseBefore(delete.clone()),
    );
    let collector = collect(&slow, &scene.signing);
    let others = async {
        read.reached().await;
        scene.repository.clock.advance(Duration::from_secs(5000));
        read.open();
        delete.reached().await;
        // Its last request may be on its way for longer than it sends any.
        scene.repository.clock.advance(Duration::from_secs(1000));
        let another = collect(&scene.repository.bucket, &scene.signing).await;
        assert!(
            matches!(another, Err(Error::CollectorRuns { .. })),
            "{another:?}"
        );
        let deleting = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            delete.open();
        };
        let published = async { scene.publish(&scene.repository.bucket).await };
        let (published, ()) = tokio::join!(published, deleting);
        committed(published);
    };
    let (collected, ()) = tokio::join!(collector, others);
    assert_eq!(collected.unwrap().deleted.objects, 8);
    scene.check(true).await;
}

/// A grace period begins when publishers can see that an object is condemned, not when a collector began to look.
#[tokio::test]
async fn the_grace_period_begins_when_an_object_is_on_the_record() {
    let scene = Scene::uncollected().await;
    let (slow, gate) = (scene.repository.faulty(), Gate::new());
    let list = On::Operation(Operation::List);
    slow.at(list, 2, Fault::PauseBefore(gate.clone()));
    let collector = collect(&slow, &scene.signing);
    let others = async {
        gate.reached().await;
        scene.repository.clock.advance(GRACE / 2);
        gate.open();
    };
    let (collected, ()) = tokio::join!(collector, others);
    assert_eq!(collected.unwrap().condemned.objects, 8);
    for deleted in [0, 8] {
        scene.repository.clock.advance(GRACE / 2);
        let collected = collect(&scene.repository.bucket, &scene.signing).await;
        assert_eq!(collected.unwrap().deleted.objects, deleted);
    }
}

/// `Release` may show an old commit for as long as nobody publishes. What shows that it only lags stays.
#[tokio::test(start_paused = true)]
async fn a_suite_whose_publishers_were_killed_is_not_taken_for_put_back_after_a_collection() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    for name in ["one", "two", "three"] {
        repository.clock.advance(Duration::from_secs(10));
        let killed = repository.faulty();
        let head = On::Key(Operation::Put, "InRelease".to_owned());
        killed.at(head, 1, Fault::KillAfter);
        let published = publish(&killed, &signing, &[&package(name)]).await;
        published.unwrap_err();
    }
    for _ in 0..3 {
        repository.clock.advance(GRACE);
        repository.clock.advance(GRACE);
        collect(&repository.bucket, &signing).await.unwrap();
    }
    assert!(repository.head().await.put_back.is_none());
    committed(publish(&repository.bucket, &signing, &[&package("last")]).await);
    repository.check_followers().await;
    assert_eq!(repository.check_as_client().await.len(), 5);
}

/// What came into a suite before the history that is left begins may have come in at any time.
#[tokio::test]
async fn nothing_is_known_to_be_older_than_the_history_that_is_left() {
    let scene = Scene::new().await;
    let head = scene.repository.head().await;
    let first = scene.repository.history().await.pop().unwrap().1.time;
    collect(&scene.repository.bucket, &scene.signing)
        .await
        .unwrap();
    let repository = open(scene.repository.bucket.clone(), Writes::Conditional);
    let suite = repository.suite(suite(), Keys::Unchecked);
    let last = head.commit.time;
    for (limit, known) in [
        (first, 0),
        (last, 0),
        (last + SignedDuration::from_secs(1), 1),
    ] {
        let (old, _) = suite.older_than(&head, limit).await.unwrap();
        assert_eq!(old.len(), known, "older than {limit}");
    }
}
