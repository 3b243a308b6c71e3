//! A suite is deleted, and another one begins under its name, in the middle of whatever reads it. Everyone sees one of the two suites,
//! or that there is none: nobody takes it for damaged.

use std::{collections::BTreeSet, sync::Arc};

use deb_index::change::Selector;
use futures::TryStreamExt as _;
use repository::{Depth, Error, Head, Missing, Past, Selection, Suite, Writes};
use s3_storage::{Fault, Faulty, Memory, On, Operation};

use crate::{
    deletion::{Scene, delete},
    gc::remove,
    held_up::held_up,
    repository::{Signing, key, keys, open, package, publish},
    suites::{collect_on, name},
};

/// What may meet a suite that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    List,
    Earlier,
    Log,
    Halt,
    Rollback,
    Copies,
    Prune,
    Health,
    Verify,
    VerifyHistory,
    Collect,
    Publish,
    Remove,
}

const ALL: [Work; 13] = [
    Work::List,
    Work::Earlier,
    Work::Log,
    Work::Halt,
    Work::Rollback,
    Work::Copies,
    Work::Prune,
    Work::Health,
    Work::Verify,
    Work::VerifyHistory,
    Work::Collect,
    Work::Publish,
    Work::Remove,
];

type Store = Arc<Faulty<Arc<Memory>>>;

/// Names of the packages of a head.
async fn packages(suite: &Suite<'_>, head: &Head) -> Result<Vec<String>, Error> {
    let list = suite.packages_of(head.id(), head.commit.clone(), Selection::default());
    let list = list.await?;
    let packages = suite.sorted(&list)?;
    let names = packages
        .iter()
        .map(|package| package.stanza.name.to_owned());
    Ok(names.collect())
}

impl Work {
    /// Does it, and returns the packages that it has seen, where it sees some.
    async fn carry_out(self, store: &Store, signing: &Signing) -> Result<Vec<String>, Error> {
        let repository = open(store.clone(), Writes::Conditional);
        let suite = repository.suite(name("stable"), keys(signing).for_reading());
        let of: [Selector; 1] = ["base=1.0".parse().unwrap()];
        match self {
            Self::Verify => {
                let found = repository.verify(&[suite], Depth::Content).await?.remove(0);
                let problems = found.problems.iter();
                let problems = problems.filter(|it| !it.text.contains("is being deleted"));
                assert_eq!(
                    problems.map(ToString::to_string).collect::<Vec<_>>(),
                    [""; 0]
                );
                return Ok(Vec::new());
            }
            Self::VerifyHistory => {
                let found = suite.verify_history(Depth::History).await?;
                let problems = found.problems.iter().map(ToString::to_string);
                assert_eq!(problems.collect::<Vec<_>>(), [""; 0]);
                return Ok(Vec::new());
            }
            Self::Collect => return collect_on(store, signing).await.map(|_| Vec::new()),
            Self::Publish => {
                return publish(store, signing, &[&package("late")])
                    .await
                    .map(|_| Vec::new());
            }
            Self::Remove => return remove(store, signing, "base").await.map(|_| Vec::new()),
            _ => {}
        }
        let head = match self {
            Self::Health => suite.require_head().await?,
            _ => suite.existing_head().await?,
        };
        let read = suite.reading(head, async |head| {
            match self {
                Self::Earlier | Self::Rollback => {
                    let (id, commit) = suite.revision(head, &"@~1".parse().unwrap()).await?;
                    if self == Self::Rollback {
                        suite.restored(head, id, &commit).await?;
                    }
                    let all = Selection::default();
                    suite.packages_of(id, commit.into(), all).await?;
                }
                Self::Log => {
                    let past: Vec<_> = suite.past(head.id()).try_collect().await?;
                    let is_lost = |step: &Past| matches!(step, Past::Lost(_));
                    assert!(!past.iter().any(is_lost));
                }
                Self::Halt => {
                    let targets = suite.phase_targets(head, &of).await?;
                    suite.never_had(head, targets.unmatched).await?;
                    let halting = suite.halting(head, &targets.named).await?;
                    assert!(halting.problem.is_none(), "{:?}", halting.problem);
                }
                Self::Copies => {
                    let copies = suite.copies(head.clone(), &of, None).await?;
                    suite.require_files(&copies.stanzas).await?;
                }
                Self::Prune => {
                    let (_, gap) = suite.older_than(head, head.commit.time).await?;
                    assert_eq!(gap, None);
                }
                Self::Health => {
                    let (indexes, followers, aliases) = futures::join!(
                        suite.unhealthy_indexes(head),
                        suite.unhealthy_followers(head),
                        suite.unhealthy_aliases(head),
                    );
                    let ill = [indexes?, followers?, aliases.unwrap_or_default()].concat();
                    assert!(ill.is_empty() || suite.is_gone(head).await, "{ill:?}");
                }
                _ => {}
            }
            packages(&suite, head).await
        });
        Ok(read.await?.1)
    }
}

/// What comes of it, beside what was seen.
fn check(what: &str, done: Result<Vec<String>, Error>) {
    match done {
        Ok(seen) => {
            let seen: BTreeSet<_> = seen.iter().map(String::as_str).collect();
            let known = [&[][..], &["base"], &["new"]];
            assert!(
                known.iter().any(|it| seen.iter().eq(*it)),
                "{what}: {seen:?}"
            );
        }
        Err(
            Error::Missing(Missing::Suite { .. } | Missing::Revision { .. })
            | Error::Deleting { .. }
            | Error::Deleted { .. }
            | Error::Replaced { .. },
        ) => {}
        Err(error) => panic!("{what}: {error:?}"),
    }
}

/// The work waits at any request until the suite is deleted, and in one half of the cases another one has begun.
#[tokio::test]
async fn nobody_takes_a_suite_that_was_deleted_meanwhile_for_damaged() {
    // To sign takes most of the time.
    let signed = [Work::List, Work::Verify, Work::Publish].as_slice();
    for (signing, works) in [(Some(key()), signed), (None, &ALL)] {
        for &work in works {
            for begins_again in [true, false] {
                for nth in 1.. {
                    let scene = Scene::new(signing.clone()).await;
                    let slow = scene.repository.faulty();
                    let mut held = Box::pin(work.carry_out(&slow, &signing));
                    let what = format!("{work:?}, request {nth}, again: {begins_again}");
                    let gate = match held_up(&slow, nth, held.as_mut()).await {
                        Ok(gate) => gate,
                        Err(done) => {
                            check(&what, done);
                            break;
                        }
                    };
                    match scene.delete().await {
                        Ok(_) if begins_again => {
                            let new = package("new");
                            let bucket = &scene.repository.bucket;
                            drop(publish(bucket, &signing, &[&new]).await);
                        }
                        // The collector may be deleting.
                        Ok(_) | Err(Error::CollectorRuns { .. }) => {}
                        Err(error) => panic!("{what}: {error:?}"),
                    }
                    gate.open();
                    check(&what, held.await);
                }
            }
        }
    }
}

/// The deletion is killed before any of its deletions, so that some is gone and some is left, and the indexes go first.
#[tokio::test(start_paused = true)]
async fn nobody_takes_a_suite_whose_deletion_was_interrupted_for_damaged() {
    let signing = None;
    for work in ALL {
        for nth in 1.. {
            let scene = Scene::new(signing.clone()).await;
            let victim = scene.repository.faulty();
            victim.at(On::Operation(Operation::Delete), nth, Fault::KillBefore);
            let _ = delete(&victim, &signing, "stable").await;
            if !victim.is_killed() {
                break;
            }
            let bucket = &scene.repository.bucket;
            if bucket.read("dists/stable/Release").is_none() {
                for key in bucket.keys() {
                    if key.starts_with("dists/stable/main/") {
                        bucket.remove(&key);
                    }
                }
            }
            let store = scene.repository.faulty();
            let what = format!("{work:?}, deletion {nth}");
            check(&what, work.carry_out(&store, &signing).await);
        }
    }
}

/// Whatever is left of a suite and its alias, and whether the head is put back or not, each object is told of once.
#[tokio::test(start_paused = true)]
async fn what_an_interrupted_deletion_left_is_told_of_once() {
    for nth in 1.. {
        let scene = Scene::new(None).await;
        let bucket = &scene.repository.bucket;
        let head = bucket.read("dists/stable/Release").unwrap();
        let victim = scene.repository.faulty();
        victim.at(On::Writes, nth, Fault::KillBefore);
        let _ = delete(&victim, &None, "stable").await;
        if !victim.is_killed() {
            break;
        }
        for is_put_back in [false, true] {
            if is_put_back {
                bucket.write("dists/stable/Release", head.clone());
            }
            let opened = open(bucket.clone(), Writes::Conditional);
            let (ours, _) = opened.all_suites().await.unwrap();
            let ours = ours.into_iter();
            let suites: Vec<_> = ours.map(|suite| opened.suite(suite, keys(&None))).collect();
            let found = opened.verify(&suites, Depth::Listing).await.unwrap();
            let found = found.into_iter().flat_map(|found| found.problems);
            let dropped = opened.verify_dropped().await.unwrap();
            let told: Vec<_> = found.chain(dropped).map(|problem| problem.key).collect();
            let once: BTreeSet<_> = told.iter().collect();
            assert_eq!(told.len(), once.len(), "write {nth}: {told:#?}");
        }
    }
}
