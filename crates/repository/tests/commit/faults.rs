//! Kills at every write, lost replies, stores that fail.

use repository::Error;
use s3_storage::{ErrorKind, Fault, On, Operation};

use crate::repository::{Repository, committed, is_unchanged, key, package, publish};

/// For every write of a publish, and before and after it took effect: the publisher is killed there, clients see the old suite or the
/// new one, and the next publish brings everything up.
async fn killed_everywhere(first: bool) {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        for nth in 1.. {
            let repository = Repository::new();
            let signing = Some(key());
            if !first {
                committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
            }
            let before = repository.check_as_client().await;
            let victim = repository.faulty();
            victim.at(On::Writes, nth, fault.clone());
            let wanted = package("wanted");
            let result = publish(&victim, &signing, &[&wanted]).await;
            if !victim.is_killed() {
                committed(result);
                assert!(nth > 8, "a publish takes more than {nth} writes");
                break;
            }
            let after = repository.check_as_client().await;
            let is_new = after.contains("wanted_1.0_all");
            assert!(after == before || is_new, "write {nth}: {after:?}");
            // The same job again, as CI would do it.
            let again = publish(&repository.bucket, &signing, &[&wanted]).await;
            assert_eq!(is_unchanged(again), is_new, "write {nth}");
            assert!(
                repository
                    .check_as_client()
                    .await
                    .contains("wanted_1.0_all")
            );
            repository.check_followers().await;
            committed(publish(&repository.bucket, &signing, &[&package("other")]).await);
            assert_eq!(repository.check_as_client().await.len(), before.len() + 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_during_the_first_publish_leaves_nothing_or_all() {
    killed_everywhere(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_during_a_later_publish_leaves_the_old_suite_or_the_new_one() {
    killed_everywhere(false).await;
}

#[tokio::test]
async fn a_lost_reply_at_any_write_is_neither_a_lost_nor_a_double_commit() {
    for nth in 1.. {
        let repository = Repository::new();
        let signing = Some(key());
        committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
        let unlucky = repository.faulty();
        unlucky.at(On::Writes, nth, Fault::LoseReply);
        let wanted = package("wanted");
        let result = publish(&unlucky, &signing, &[&wanted]).await;
        if unlucky.writes() < nth {
            break;
        }
        match result {
            Ok(_) => {}
            // Before the head is written, a store that is out of reach for longer than the client's own retries is an error.
            Err(Error::Storage(error)) => {
                assert!(matches!(error.kind(), ErrorKind::Connect(_)));
                committed(publish(&repository.bucket, &signing, &[&wanted]).await);
            }
            Err(error) => panic!("write {nth}: {error}"),
        }
        assert!(
            repository
                .check_as_client()
                .await
                .contains("wanted_1.0_all")
        );
        assert_eq!(repository.history().await.len(), 2, "write {nth}");
    }
}

#[tokio::test]
async fn who_lost_the_reply_for_the_head_finds_its_commit_in_the_history() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let unlucky = repository.faulty();
    unlucky.at(
        On::Key(Operation::Put, "InRelease".to_owned()),
        1,
        Fault::LoseReply,
    );
    let gate = s3_storage::Gate::new();
    // The first read is the draft's, the second comes after the lost reply.
    unlucky.at(
        On::Key(Operation::Get, "InRelease".to_owned()),
        2,
        Fault::PauseBefore(gate.clone()),
    );
    let (mine, other) = (package("mine"), package("other"));
    let me = async { committed(publish(&unlucky, &signing, &[&mine]).await) };
    let somebody = async {
        gate.reached().await;
        let theirs = committed(publish(&repository.bucket, &signing, &[&other]).await);
        gate.open();
        theirs
    };
    let (me, theirs) = tokio::join!(me, somebody);
    assert_eq!(theirs.commit.parent, Some(me.id));
    assert_eq!(me.etag, None, "somebody has built on it");
    assert_eq!(repository.history().await.len(), 3);
}

#[tokio::test]
async fn a_store_that_refuses_changes_nothing() {
    for kind in [
        ErrorKind::PermissionDenied,
        ErrorKind::Unavailable,
        ErrorKind::BadCredentials,
    ] {
        let repository = Repository::new();
        let signing = Some(key());
        committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
        let head = repository.release();
        let refusing = repository.faulty();
        refusing.always(On::Writes, Fault::Fail(kind));
        let Err(Error::Storage(error)) = publish(&refusing, &signing, &[&package("wanted")]).await
        else {
            panic!("{kind:?} is not reported")
        };
        assert_eq!(error.kind(), kind);
        assert_eq!(repository.release(), head);
    }
}

#[tokio::test]
async fn followers_that_cannot_be_written_do_not_fail_the_publish() {
    let repository = Repository::new();
    let signing = Some(key());
    let refusing = repository.faulty();
    refusing.always(
        On::Key(Operation::Put, "Packages.".to_owned()),
        Fault::Fail(ErrorKind::PermissionDenied),
    );
    let wanted = package("wanted");
    let published = publish(&refusing, &signing, &[&wanted]).await.unwrap();
    assert!(published.stale_followers.is_some());
    assert!(
        repository
            .check_as_client()
            .await
            .contains("wanted_1.0_all")
    );
    assert!(is_unchanged(
        publish(&repository.bucket, &signing, &[&wanted]).await
    ));
    repository.check_followers().await;
}
