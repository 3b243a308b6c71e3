//! What is held up at any request, while others delete a suite or begin it again, takes nothing from anyone.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use repository::{Error, Missing};
use s3_storage::{Fault, Faulty, Gate, Memory, On, Operation};

use crate::{
    deletion::{Scene, delete},
    repository::{committed, key, package, publish},
    suites::{add, collect_all, drop_alias, problems},
};

/// Holds work up before a request, until the gate is opened. The error is what came of it if it makes fewer.
pub(crate) async fn held_up<T>(
    slow: &Arc<Faulty<Arc<Memory>>>,
    nth: u64,
    work: Pin<&mut impl Future<Output = T>>,
) -> Result<Gate, T> {
    let gate = Gate::new();
    slow.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
    tokio::select! {
        biased;
        () = gate.reached() => Ok(gate),
        done = work => Err(done),
    }
}

/// A run waits at any request while another one ends the deletion and the suite begins again. As soon as it has read the old head,
/// it leaves the new suite alone.
#[tokio::test]
async fn a_suite_that_was_begun_meanwhile_is_not_deleted() {
    let (mut begun, mut nth) = (0, 1);
    loop {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let slow = repository.faulty();
        let mut first = std::pin::pin!(delete(&slow, signing, "stable"));
        let gate = match held_up(&slow, nth, first.as_mut()).await {
            Ok(gate) => gate,
            Err(done) => {
                assert_eq!(done.unwrap().reserved_until, None);
                break;
            }
        };
        let requests = slow.requests();
        let head = (Operation::Get, "dists/stable/InRelease".to_owned());
        let has_read = requests[..requests.len() - 1].contains(&head);
        let second = scene.delete().await.unwrap();
        if second.reserved_until.is_none() {
            committed(publish(&repository.bucket, signing, &[&package("new")]).await);
        }
        gate.open();
        let done = first.await;
        if second.reserved_until.is_none() && has_read {
            begun += 1;
            assert!(done.is_err(), "request {nth}: {done:?}");
            let shown = repository.check_as_client().await;
            assert_eq!(
                shown,
                BTreeSet::from(["new_1.0_all".to_owned()]),
                "request {nth}"
            );
            assert!(
                problems(repository, signing, "stable").await.is_empty(),
                "request {nth}"
            );
            committed(publish(&repository.bucket, signing, &[&package("more")]).await);
        }
        nth += 1;
    }
    assert!(begun > 5, "{begun}");
}

/// A run waits at any request while another one ends the deletion. What it had stored for its closing commit may be left, and what
/// would follow that is not.
#[tokio::test]
async fn of_two_deletions_the_slower_one_writes_no_followers() {
    for nth in 1.. {
        let scene = Scene::new(Some(key())).await;
        let slow = scene.repository.faulty();
        let mut first = std::pin::pin!(delete(&slow, &scene.signing, "stable"));
        let gate = match held_up(&slow, nth, first.as_mut()).await {
            Ok(gate) => gate,
            Err(_) => return,
        };
        scene.delete().await.unwrap();
        gate.open();
        let _ = first.await;
        let is_follower = |key: &String| key.contains("/Release") || key.contains("/succession/");
        assert!(
            !scene.left().iter().any(is_follower),
            "request {nth}: {:?}",
            scene.left()
        );
    }
}

/// Whatever a publisher that was held up has left in the folder of a suite that is gone, the same again deletes it, and gc goes on.
#[tokio::test]
async fn what_a_publisher_leaves_that_was_held_up_at_any_request_is_deleted_by_the_same_again() {
    for (is_first, nth) in [false, true]
        .iter()
        .flat_map(|it| (1..100).map(move |nth| (*it, nth)))
    {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        if is_first {
            scene.delete().await.unwrap();
        }
        let (slow, late) = (repository.faulty(), package("late"));
        let packages = [&late];
        let mut publisher = std::pin::pin!(publish(&slow, signing, &packages));
        let gate = match held_up(&slow, nth, publisher.as_mut()).await {
            Ok(gate) => gate,
            Err(published) => {
                committed(published);
                continue;
            }
        };
        let deleted = scene.delete().await;
        assert!(is_first || deleted.is_ok(), "request {nth}: {deleted:?}");
        gate.open();
        let published = publisher.await;
        if repository.bucket.read("dists/stable/InRelease").is_some() {
            // It had read nothing before, and made a new suite.
            committed(published);
            continue;
        }
        collect_all(repository, signing).await;
        match scene.delete().await {
            Ok(again) => assert_eq!(again.reserved_until, None, "request {nth}"),
            Err(Error::Missing(Missing::Suite { .. })) => {}
            Err(error) => panic!("request {nth}: {error:?}"),
        }
        scene.check_gone().await;
    }
}

/// A suite that takes a name waits at any request while what the name showed last is deleted.
#[tokio::test]
async fn a_name_that_is_deleted_while_a_suite_takes_it_shows_nothing_broken() {
    for nth in 1.. {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let bucket = &repository.bucket;
        committed(drop_alias(bucket, signing, "stable", "trixie").await);
        let slow = repository.faulty();
        let mut taker = std::pin::pin!(add(&slow, signing, "forky", "trixie"));
        let gate = match held_up(&slow, nth, taker.as_mut()).await {
            Ok(gate) => gate,
            Err(taken) => {
                committed(taken);
                break;
            }
        };
        // It is refused where the suite lists the name already.
        let _ = delete(bucket, signing, "trixie").await;
        gate.open();
        let _ = taker.await;
        repository.check_as_client_of("trixie").await;
    }
}

/// A run that deletes what a name showed last waits at any request while the suite that dropped the name takes it again.
#[tokio::test]
async fn a_name_that_its_suite_takes_again_is_not_deleted() {
    for nth in 1.. {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let bucket = &repository.bucket;
        committed(drop_alias(bucket, signing, "stable", "trixie").await);
        let slow = repository.faulty();
        let mut deleter = std::pin::pin!(delete(&slow, signing, "trixie"));
        let gate = match held_up(&slow, nth, deleter.as_mut()).await {
            Ok(gate) => gate,
            Err(done) => {
                assert_eq!(done.unwrap().reserved_until, None);
                break;
            }
        };
        let taken = add(bucket, signing, "stable", "trixie").await;
        gate.open();
        let deleted = deleter.await;
        if taken.is_ok() {
            deleted.unwrap_err();
            assert_eq!(
                repository.check_as_client_of("trixie").await.len(),
                1,
                "request {nth}"
            );
            assert!(
                problems(repository, signing, "stable").await.is_empty(),
                "request {nth}"
            );
        }
    }
}

/// A first publish is about to write the head, while another one is first and the suite is deleted.
#[tokio::test]
async fn a_first_publish_that_outlives_a_whole_suite_names_nothing_that_is_missing() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    scene.delete().await.unwrap();
    let (slow, gate, late) = (repository.faulty(), Gate::new(), package("late"));
    let head = On::Key(Operation::Put, "stable/InRelease".to_owned());
    slow.at(head, 1, Fault::PauseBefore(gate.clone()));
    let publisher = async { publish(&slow, signing, &[&late]).await };
    let others = async {
        gate.reached().await;
        committed(publish(&repository.bucket, signing, &[&package("first")]).await);
        scene.delete().await.unwrap();
        gate.open();
    };
    let (published, ()) = tokio::join!(publisher, others);
    repository.check_as_client().await;
    if repository.release().is_some() {
        committed(published);
        assert!(problems(repository, signing, "stable").await.is_empty());
    }
}
