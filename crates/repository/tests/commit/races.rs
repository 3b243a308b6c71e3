//! Publishers at once: who loses the race for the head plans again, and nothing is lost.

use std::collections::BTreeSet;

use deb_index::change::{Edit, PlanError, SettingsPatch};
use repository::Error;
use s3_storage::{Fault, Gate, On, Operation};

use crate::{
    gc::remove,
    repository::{
        Options, Repository, committed, is_unchanged, key, keys, package, package_of, publish,
        publish_as,
    },
    suites::{change, new_suite},
};

fn head_write() -> On {
    On::Key(Operation::Put, "InRelease".to_owned())
}

#[tokio::test]
async fn the_loser_of_a_race_builds_on_the_winner() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let (slow, gate) = (repository.faulty(), Gate::new());
    slow.at(head_write(), 1, Fault::PauseBefore(gate.clone()));
    let (a, b) = (package("aa"), package("bb"));
    let loser = async { committed(publish(&slow, &signing, &[&a]).await) };
    let winner = async {
        gate.reached().await;
        let winner = committed(publish(&repository.bucket, &signing, &[&b]).await);
        gate.open();
        winner
    };
    let (loser, winner) = tokio::join!(loser, winner);
    assert_eq!(loser.commit.parent, Some(winner.id));
    let expected = ["aa_1.0_all", "base_1.0_all", "bb_1.0_all"].map(str::to_owned);
    assert_eq!(repository.check_as_client().await, BTreeSet::from(expected));
    repository.check_followers().await;
}

#[tokio::test]
async fn two_first_publishers_make_one_suite() {
    let repository = Repository::new();
    let signing = Some(key());
    let (slow, gate) = (repository.faulty(), Gate::new());
    slow.at(head_write(), 1, Fault::PauseBefore(gate.clone()));
    let (a, b) = (package("aa"), package("bb"));
    let loser = async { committed(publish(&slow, &signing, &[&a]).await) };
    let winner = async {
        gate.reached().await;
        committed(publish(&repository.bucket, &signing, &[&b]).await);
        gate.open();
    };
    tokio::join!(loser, winner);
    assert_eq!(repository.check_as_client().await.len(), 2);
    assert_eq!(repository.history().await.len(), 2);
}

/// A publisher finds its package in the suite, at a key with a digest because another build was first. Before it is done, the
/// package is removed.
#[tokio::test]
async fn what_was_there_and_is_removed_meanwhile_is_stored_before_it_is_named() {
    for is_first_build_there in [true, false] {
        let (repository, signing) = (Repository::new(), Some(key()));
        let bucket = &repository.bucket;
        let (first, second) = (
            package_of("hello", "1.0", "first"),
            package_of("hello", "1.0", "second"),
        );
        let replace = Options {
            replace: true,
            ..Options::default()
        };
        committed(publish(bucket, &signing, &[&package("base"), &first]).await);
        committed(publish_as(bucket, keys(&signing), &[&second], replace).await);
        if !is_first_build_there {
            bucket.remove(&first.file.stanza.key);
        }
        let (slow, gate) = (repository.faulty(), Gate::new());
        slow.at(head_write(), 1, Fault::PauseBefore(gate.clone()));
        let more = package("more");
        let loser = async { committed(publish(&slow, &signing, &[&second, &more]).await) };
        let winner = async {
            gate.reached().await;
            committed(remove(bucket, &signing, "hello").await);
            gate.open();
        };
        tokio::join!(loser, winner);
        let expected = ["base_1.0_all", "hello_1.0_all", "more_1.0_all"].map(str::to_owned);
        assert_eq!(repository.check_as_client().await, BTreeSet::from(expected));
    }
}

#[tokio::test]
async fn sixteen_at_once_lose_nothing_and_make_one_chain() {
    let repository = Repository::new();
    let signing = Some(key());
    let packages: Vec<Vec<_>> = (0..16)
        .map(|job| {
            (0..4)
                .map(|nth| package(&format!("job{job}-{nth}")))
                .collect()
        })
        .collect();
    let jobs = packages.iter().map(|packages| async {
        committed(
            publish(
                &repository.bucket,
                &signing,
                &packages.iter().collect::<Vec<_>>(),
            )
            .await,
        )
        .id
    });
    let ids: BTreeSet<_> = futures::future::join_all(jobs).await.into_iter().collect();
    assert_eq!(repository.check_as_client().await.len(), 64);
    let chain: BTreeSet<_> = repository
        .history()
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(chain, ids);
    repository.check_followers().await;
}

#[tokio::test]
async fn an_older_publishers_followers_never_replace_newer_ones() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    // The older one has made sure that it leads, and is about to write each of its followers.
    for follower in ["amd64/Packages.gz", "amd64/Packages.zst", "stable/Release"] {
        let (slow, gate) = (repository.faulty(), Gate::new());
        slow.at(
            On::Key(Operation::Put, follower.to_owned()),
            1,
            Fault::PauseBefore(gate.clone()),
        );
        let tag = follower.replace(['/', '.'], "-").to_lowercase();
        let (old, new) = (
            package(&format!("old-{tag}")),
            package(&format!("new-{tag}")),
        );
        let older = async { committed(publish(&slow, &signing, &[&old]).await) };
        let newer = async {
            gate.reached().await;
            committed(publish(&repository.bucket, &signing, &[&new]).await);
            gate.open();
        };
        tokio::join!(older, newer);
        repository.check_followers().await;
    }
}

#[tokio::test]
async fn of_two_that_create_a_suite_with_other_settings_one_is_told() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let (slow, gate) = (repository.faulty(), Gate::new());
    slow.at(head_write(), 1, Fault::PauseBefore(gate.clone()));
    let create = |keep: u32| {
        let mut edits = new_suite(&signing);
        edits.insert(0, Edit::New);
        // No device sees this.
        edits.push(Edit::Set(Box::new(SettingsPatch {
            keep_versions: Some(keep.try_into().ok()),
            ..SettingsPatch::default()
        })));
        edits
    };
    let loser = async { change(&slow, &signing, "stable", create(1)).await };
    let winner = async {
        gate.reached().await;
        committed(change(&repository.bucket, &signing, "stable", create(2)).await);
        gate.open();
    };
    let (loser, ()) = tokio::join!(loser, winner);
    let exists = matches!(loser, Err(Error::Plan(PlanError::Exists)));
    assert!(exists, "{loser:?}");
    assert_eq!(repository.history().await.len(), 1);
    assert!(is_unchanged(
        change(&repository.bucket, &signing, "stable", create(2)).await
    ));
}
