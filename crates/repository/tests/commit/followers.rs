//! Followers that were deleted, or that an older publisher wrote last.

use repository::Error;
use s3_storage::{ErrorKind, Fault, Gate, On, Operation};

use crate::repository::{Repository, committed, in_suite, is_unchanged, key, package, publish};

#[tokio::test]
async fn deleted_followers_come_back_with_the_next_publish() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let base = package("base");
    committed(publish(&repository.bucket, &signing, &[&base]).await);
    for follower in [
        "Release",
        "Release.gpg",
        "main/binary-amd64/Packages.gz",
        "main/binary-arm64/Packages.zst",
    ] {
        for what in ["deleted", "overwritten"] {
            let damage = |follower| match what {
                "deleted" => assert!(repository.bucket.remove(&in_suite(follower))),
                _ => repository
                    .bucket
                    .write(&in_suite(follower), "an older state"),
            };
            damage(follower);
            assert!(is_unchanged(
                publish(&repository.bucket, &signing, &[&base]).await
            ));
            repository.check_followers().await;
            damage(follower);
            let next = package(&format!("p{}", repository.history().await.len()));
            committed(publish(&repository.bucket, &signing, &[&next]).await);
            repository.check_followers().await;
            // One that changes only the index of amd64 finds the others damaged too.
            damage("main/binary-amd64/Packages.gz");
            damage("main/binary-arm64/Packages.gz");
            let next = package(&format!("p{}", repository.history().await.len()));
            let next = next.only_for("amd64");
            committed(publish(&repository.bucket, &signing, &[&next]).await);
            repository.check_followers().await;
        }
    }
}

/// On a store whose ETags depend on the content alone, an index that is as it was before has its old ETag again.
#[tokio::test]
async fn an_older_publisher_that_is_killed_after_it_wrote_last_is_made_good() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let follower = in_suite("main/binary-amd64/Packages.gz");
    let before = repository.bucket.read(&follower).unwrap();
    let (slow, gate) = (repository.faulty(), Gate::new());
    let on = On::Key(Operation::Put, "binary-amd64/Packages.gz".to_owned());
    slow.at(on, 1, Fault::PauseBefore(gate.clone()));
    let (old, new) = (package("old"), package("new"));
    let older = async { publish(&slow, &signing, &[&old]).await };
    let newer = async {
        gate.reached().await;
        committed(publish(&repository.bucket, &signing, &[&new]).await);
        // As if a third one had taken both out again.
        repository.bucket.write(&follower, before.clone());
        slow.at(On::Requests, 1, Fault::KillAfter);
        gate.open();
    };
    let (_, ()) = tokio::join!(older, newer);
    let again = publish(&repository.bucket, &signing, &[&new]).await;
    assert!(is_unchanged(again));
    repository.check_followers().await;
}

/// For every follower, and for any number of times that somebody else is said to have written it first: it is up, or the publisher
/// says that it is not.
#[tokio::test]
async fn followers_that_are_still_stale_are_never_passed_over_in_silence() {
    let signing = Some(key());
    for follower in ["amd64/Packages.gz", "/succession/", "stable/Release"] {
        let mut told = 0;
        for refusals in 0..18 {
            let repository = Repository::new();
            committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
            let slow = repository.faulty();
            for _ in 0..refusals {
                let on = On::Key(Operation::Put, follower.to_owned());
                slow.at(on, 1, Fault::Fail(ErrorKind::PreconditionFailed));
            }
            let published = publish(&slow, &signing, &[&package("wanted")]).await;
            match published.unwrap().stale_followers {
                None => repository.check_followers().await,
                Some(Error::FollowersContention { .. }) => told += 1,
                Some(error) => panic!("{follower} {refusals}: {error:?}"),
            }
        }
        assert!((1..12).contains(&told), "{follower}: {told}");
    }
}
