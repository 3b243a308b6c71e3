//! The first publish of a suite, at any moment of another process's work.

use std::{pin::pin, sync::Arc};

use repository::{CollectOptions, Depth, Keys, Writes};
use s3_storage::{Fault, Faulty, Gate, Memory, On, Operation};

use crate::repository::{Repository, Signing, committed, key, keys, open, package, publish, suite};

/// At each request of `other`, the suite gets its first heads. An earlier publisher of it was killed.
async fn at_any_request(
    other: impl AsyncFn(Arc<Faulty<Arc<Memory>>>, &Signing),
    least_requests: u64,
) {
    for nth in 1.. {
        let (repository, signing) = (Repository::new(), Some(key()));
        let killed = repository.faulty();
        let head = On::Key(Operation::Put, "InRelease".to_owned());
        killed.at(head, 1, Fault::KillBefore);
        let begun = publish(&killed, &signing, &[&package("begun")]).await;
        begun.unwrap_err();
        let (slow, gate) = (repository.faulty(), Gate::new());
        slow.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
        let mut process = pin!(other(slow, &signing));
        let is_over = tokio::select! {
            biased;
            () = &mut process => true,
            () = gate.reached() => false,
        };
        if is_over {
            assert!(nth > least_requests, "{nth}");
            break;
        }
        for name in ["one", "two"] {
            committed(publish(&repository.bucket, &signing, &[&package(name)]).await);
        }
        gate.open();
        process.await;
        repository.check_as_client().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_joins_in() {
    at_any_request(
        async |store, signing| {
            committed(publish(&store, signing, &[&package("third")]).await);
        },
        15,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_nothing_or_a_head() {
    at_any_request(
        async |store, signing| {
            let repository = open(store, Writes::Conditional);
            let suite = repository.suite(suite(), keys(signing).for_reading());
            suite.head().await.unwrap();
        },
        1,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_verification_finds_no_problem() {
    at_any_request(
        async |store, signing| {
            let repository = open(store, Writes::Conditional);
            let suites = [repository.suite(suite(), keys(signing).for_reading())];
            let found = repository.verify(&suites, Depth::Content).await.unwrap();
            assert!(found[0].problems.is_empty(), "{:#?}", found[0].problems);
        },
        3,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_collection_takes_nothing() {
    at_any_request(
        async |store, signing| {
            let repository = open(store, Writes::Conditional);
            let suites = [repository.suite(suite(), keys(signing).for_reading())];
            let options = CollectOptions {
                grace: jiff::SignedDuration::ZERO,
                keep_history: jiff::SignedDuration::ZERO,
                dry_run: true,
                leave_pool: false,
            };
            repository.collect(&suites, options).await.unwrap();
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn an_inrelease_that_vanished_is_still_missed() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("one")]).await);
    repository.bucket.remove("dists/stable/InRelease");
    let opened = open(repository.bucket.clone(), Writes::Conditional);
    for keys in [keys(&signing), Keys::Unchecked] {
        let suite = opened.suite(suite(), keys);
        assert!(suite.head().await.is_err());
    }
}
