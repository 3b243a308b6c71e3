//! A head that was sent and not answered: what became of it is found out, or said not to be known.

use std::time::Duration;

use repository::{Error, Outcome};
use s3_storage::{ErrorKind, Fault, Gate, On, Operation};
use tokio::time::Instant;

use crate::repository::{Repository, committed, is_unchanged, key, package, publish};

fn head(operation: Operation) -> On {
    On::Key(operation, "InRelease".to_owned())
}

async fn set_up() -> (Repository, Option<String>) {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    (repository, signing)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_asked_for_a_while_is_asked_again() {
    let (repository, signing) = set_up().await;
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Throttled,
        ErrorKind::Timeout,
        ErrorKind::Connect(s3_storage::ConnectProblem::Refused),
    ] {
        let store = repository.faulty();
        store.at(head(Operation::Put), 1, Fault::LoseReply);
        // The draft's reading is the first.
        for nth in 2..20 {
            store.at(head(Operation::Get), nth, Fault::Fail(kind));
        }
        let name = format!("p{}", repository.history().await.len());
        let done = committed(publish(&store, &signing, &[&package(&name)]).await);
        assert_eq!(repository.head().await.id(), done.id, "{kind:?}");
    }
    assert_eq!(repository.history().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_find_out_says_that_it_is_not_known() {
    let (repository, signing) = set_up().await;
    for (kind, seconds) in [
        (ErrorKind::PermissionDenied, 0..5),
        (ErrorKind::BadCredentials, 0..5),
        (ErrorKind::Unavailable, 88..100),
    ] {
        let store = repository.faulty();
        store.at(head(Operation::Put), 1, Fault::LoseReply);
        for nth in 2..500 {
            store.at(head(Operation::Get), nth, Fault::Fail(kind));
        }
        let wanted = package(&format!("p{}", repository.history().await.len()));
        let started = Instant::now();
        let error = publish(&store, &signing, &[&wanted]).await.unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }), "{kind:?}: {error}");
        let took = started.elapsed();
        let seconds = Duration::from_secs(seconds.start)..Duration::from_secs(seconds.end);
        assert!(seconds.contains(&took), "{kind:?}: {took:?}");
        // The same command again finds it.
        assert!(is_unchanged(
            publish(&repository.bucket, &signing, &[&wanted]).await
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_takes_the_head_nor_says_so_is_given_up_as_unknown() {
    let (repository, signing) = set_up().await;
    let store = repository.faulty();
    let failing = Fault::Fail(ErrorKind::Unavailable);
    store.always(head(Operation::Put), failing);
    let started = Instant::now();
    let error = publish(&store, &signing, &[&package("wanted")])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(100));
    assert_eq!(repository.history().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for_forever() {
    let (repository, signing) = set_up().await;
    let store = repository.faulty();
    store.at(head(Operation::Put), 1, Fault::LoseReply);
    store.at(head(Operation::Get), 2, Fault::PauseBefore(Gate::new()));
    let started = Instant::now();
    let error = publish(&store, &signing, &[&package("wanted")]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(100));
}

/// As long as the head is the one that was to be replaced, what was sent may still arrive.
#[tokio::test(start_paused = true)]
async fn a_failure_after_a_lost_reply_is_no_proof_of_failure() {
    let (repository, signing) = set_up().await;
    for part in ["/commits/", "/by-hash/", "InRelease"] {
        let store = repository.faulty();
        store.at(head(Operation::Put), 1, Fault::Fail(ErrorKind::Unavailable));
        let gate = Gate::new();
        store.at(head(Operation::Get), 2, Fault::PauseBefore(gate.clone()));
        let wanted = package("wanted");
        let publish = async { publish(&store, &signing, &[&wanted]).await };
        let later = async {
            gate.reached().await;
            let denied = Fault::Fail(ErrorKind::PermissionDenied);
            store.always(On::Key(Operation::Put, part.to_owned()), denied);
            gate.open();
        };
        let (published, ()) = tokio::join!(publish, later);
        let error = published.unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }), "{part}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_commit_whose_reply_was_lost_is_found() {
    for key_part in ["InRelease", "suite.json"] {
        let (repository, signing) = (Repository::new(), Some(key()));
        let store = repository.faulty();
        let on = On::Key(Operation::Put, key_part.to_owned());
        store.at(on, 1, Fault::LoseReply);
        let done = publish(&store, &signing, &[&package("wanted")]).await;
        assert!(matches!(done.unwrap().outcome, Outcome::Committed(_)));
        assert_eq!(repository.history().await.len(), 1, "{key_part}");
    }
}

/// 409 says that two writes met, not that one of them was there first.
#[tokio::test(start_paused = true)]
async fn writes_that_meet_are_tried_again() {
    for first in [true, false] {
        for part in [
            "/by-hash/",
            "/commits/",
            "suite.json",
            "pool/",
            "InRelease",
            "Packages.gz",
            "stable/Release",
            "/succession/",
        ] {
            let (repository, signing) = (Repository::new(), Some(key()));
            if !first {
                committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
            }
            let store = repository.faulty();
            for nth in 1..=2 {
                let on = On::Key(Operation::Put, part.to_owned());
                store.at(on, nth, Fault::Fail(ErrorKind::Conflict));
            }
            committed(publish(&store, &signing, &[&package("wanted")]).await);
            repository.check_followers().await;
            assert!(
                repository
                    .check_as_client()
                    .await
                    .contains("wanted_1.0_all")
            );
        }
    }
}

#[tokio::test]
async fn bodies_that_break_off_are_read_again() {
    let (repository, signing) = set_up().await;
    for part in ["InRelease", "/commits/", "/by-hash/"] {
        let store = repository.faulty();
        let on = On::Key(Operation::Get, part.to_owned());
        store.at(on.clone(), 1, Fault::CutBody(10));
        store.at(on, 2, Fault::CutBody(0));
        let name = format!("p{}", repository.history().await.len());
        committed(publish(&store, &signing, &[&package(&name)]).await);
    }
}
