//! What is held up at any request, while others delete a suite or begin it again, takes nothing from anyone.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use repository::{Depth, Error, Missing, Writes};
use s3_storage::{Fault, Faulty, Gate, Memory, On, Operation};

use crate::{
    deletion::{Scene, delete},
    repository::{committed, key, keys, open, package, publish},
    suites::{add, collect_all, drop_alias, name, problems},
};

/// No first head is on its way for longer.
const FIRST_HEAD_ARRIVES: Duration = Duration::from_secs(301);

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
        let mut first = pin!(delete(&slow, signing, "stable"));
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
        let mut first = pin!(delete(&slow, &scene.signing, "stable"));
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
        let mut publisher = pin!(publish(&slow, signing, &packages));
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
        let mut taker = pin!(add(&slow, signing, "forky", "trixie"));
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
        let mut deleter = pin!(delete(&slow, signing, "trixie"));
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
async fn a_suite_is_not_deleted_before_a_first_head_can_no_longer_arrive() {
    for is_planned_before in [false, true] {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let (bucket, late) = (&repository.bucket, package("late"));
        scene.delete().await.unwrap();
        let slow = repository.faulty();
        let packages = [&late];
        let mut publisher = pin!(publish(&slow, signing, &packages));
        let commit = before(&slow, "stable/commits/", publisher.as_mut()).await;
        committed(publish(bucket, signing, &[&package("first")]).await);
        let deleter = repository.faulty();
        let mut deletion = pin!(delete(&deleter, signing, "stable"));
        let mut closing = None;
        if is_planned_before {
            closing = Some(before(&deleter, "stable/commits/", deletion.as_mut()).await);
        }
        commit.open();
        let head = before(&slow, "stable/InRelease", publisher.as_mut()).await;
        closing.inspect(Gate::open);
        let deleted = deletion.await;
        let error = deleted.unwrap_err();
        assert!(matches!(error, Error::BeingFounded { .. }), "{error:?}");
        assert_eq!(repository.check_as_client().await.len(), 1);
        head.open();
        let published = publisher.await;
        assert_eq!(published.is_ok(), !is_planned_before, "{published:?}");
        repository.clock.advance(FIRST_HEAD_ARRIVES);
        assert_eq!(scene.delete().await.unwrap().reserved_until, None);
        committed(publish(bucket, signing, &[&package("last")]).await);
        assert!(problems(repository, signing, "stable").await.is_empty());
    }
}

/// Its request takes longer than any should.
#[tokio::test]
async fn a_first_publish_that_outlives_a_whole_suite_names_nothing_that_is_missing_in_the_end() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    scene.delete().await.unwrap();
    let (slow, late) = (repository.faulty(), package("late"));
    let packages = [&late];
    let mut publisher = pin!(publish(&slow, signing, &packages));
    let head = before(&slow, "stable/InRelease", publisher.as_mut()).await;
    committed(publish(&repository.bucket, signing, &[&package("first")]).await);
    repository.clock.advance(FIRST_HEAD_ARRIVES);
    scene.delete().await.unwrap();
    head.open();
    committed(publisher.await);
    assert_eq!(repository.check_as_client().await.len(), 1);
    assert!(problems(repository, signing, "stable").await.is_empty());
}

/// A deletion looks for the head, and for what there is without one, while a suite is begun.
#[tokio::test]
async fn a_head_that_is_just_written_is_not_missing_to_a_deletion() {
    for nth in 1..20 {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        scene.delete().await.unwrap();
        let (publisher, deleter, first) = (repository.faulty(), repository.faulty(), package("a"));
        let packages = [&first];
        let mut publishing = pin!(publish(&publisher, signing, &packages));
        let head = before(&publisher, "stable/InRelease", publishing.as_mut()).await;
        let mut deleting = pin!(delete(&deleter, signing, "stable"));
        let gate = held_up(&deleter, nth, deleting.as_mut()).await;
        head.open();
        committed(publishing.await);
        committed(publish(&repository.bucket, signing, &[&package("b")]).await);
        let deleted = match gate {
            Ok(gate) => {
                gate.open();
                deleting.await
            }
            Err(done) => done,
        };
        let is_vanished = matches!(deleted, Err(Error::HeadVanished { .. }));
        assert!(!is_vanished, "request {nth}: {deleted:?}");
    }
}

/// A publisher writes its followers, or goes on to the next head, while `verify` looks.
#[tokio::test(start_paused = true)]
async fn what_a_publisher_is_just_writing_is_no_problem() {
    for (nth, key_of_publisher) in (2..30)
        .step_by(2)
        .flat_map(|nth| ["stable/Release", "stable/InRelease"].map(|key| (nth, key)))
    {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let (publisher, reader, late) = (repository.faulty(), repository.faulty(), package("late"));
        let packages = [&late];
        let mut publishing = pin!(publish(&publisher, signing, &packages));
        let writing = before(&publisher, key_of_publisher, publishing.as_mut()).await;
        let opened = open(reader.clone(), Writes::Conditional);
        let suites = [opened.suite(name("stable"), keys(signing))];
        let mut verifying = pin!(opened.verify(&suites, Depth::Content));
        let gate = held_up(&reader, nth, verifying.as_mut()).await;
        writing.open();
        committed(publishing.await);
        let Ok(gate) = gate else { continue };
        gate.open();
        let problems = &verifying.await.unwrap()[0].problems;
        assert!(problems.is_empty(), "request {nth}: {problems:#?}");
    }
}

/// Holds work up before it writes such a key.
async fn before<T: Debug>(
    slow: &Arc<Faulty<Arc<Memory>>>,
    key: &str,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Gate {
    let gate = Gate::new();
    let write = On::Key(Operation::Put, key.to_owned());
    slow.at(write, 1, Fault::PauseBefore(gate.clone()));
    tokio::select! {
        () = gate.reached() => gate,
        done = &mut work => panic!("{done:?}"),
    }
}
