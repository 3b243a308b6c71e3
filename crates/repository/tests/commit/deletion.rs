//! Deleting a suite: its clients see all of it or nothing, whoever is killed or races, and its name is free in the end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use deb_index::suite::commit::Authorship;
use repository::{Allow, Deletion, Error, Folder, Missing, Published, Silent, Writes};
use s3_storage::{ErrorKind, Fault, Faulty, Gate, Memory, On, Operation, Storage};

use crate::{
    repository::{Package, Repository, Signing, committed, key, keys, open, package, publish},
    suites::{
        add, change, collect, collect_all, collect_on, create, drop_alias, folders, name, problems,
    },
};

/// Longer than a run that was killed may still be at work.
const DEAD: Duration = Duration::from_secs(2 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn delete<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    suite: &str,
) -> Result<Deletion, Error> {
    let repository = open(storage.clone(), Writes::Conditional);
    let suite = repository.suite(name(suite), keys(signing));
    let by = Authorship::default();
    let planned = suite.deletion(Allow::default()).await?;
    suite
        .delete_all(planned, Allow::default(), &by, &Silent)
        .await
}

/// A suite `stable` with a package and the alias `trixie`, and a suite `forky` beside it, and one below it.
pub(crate) struct Scene {
    pub(crate) repository: Repository,
    pub(crate) signing: Signing,
    base: Package,
}

impl Scene {
    pub(crate) async fn new(signing: Signing) -> Self {
        let (repository, base) = (Repository::new(), package("base"));
        let bucket = &repository.bucket;
        committed(publish(bucket, &signing, &[&base]).await);
        committed(add(bucket, &signing, "stable", "trixie").await);
        for other in ["forky", "stable/updates"] {
            committed(create(&repository, &signing, other).await);
        }
        Self {
            repository,
            signing,
            base,
        }
    }

    pub(crate) async fn delete(&self) -> Result<Deletion, Error> {
        delete(&self.repository.bucket, &self.signing, "stable").await
    }

    /// A publisher waits at a request until the suite is deleted.
    async fn publish_across_deletion(
        &self,
        slow: &Arc<Faulty<Arc<Memory>>>,
        at: On,
        nth: u64,
    ) -> Result<Published, Error> {
        let (gate, late) = (Gate::new(), package("late"));
        slow.at(at, nth, Fault::PauseBefore(gate.clone()));
        let publisher = async { publish(slow, &self.signing, &[&late]).await };
        let deleter = async {
            gate.reached().await;
            self.delete().await.unwrap();
            gate.open();
        };
        tokio::join!(publisher, deleter).0
    }

    /// What is left of the suite and its alias.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut keys = self.repository.bucket.keys();
        keys.retain(|key| key.starts_with("dists/stable/") || key.starts_with("dists/trixie/"));
        keys.retain(|key| !key.contains("/updates/"));
        keys
    }

    /// What the clients of both names see: all or nothing.
    async fn shown(&self) -> Vec<BTreeSet<String>> {
        let mut shown = Vec::new();
        for folder in ["stable", "trixie"] {
            let packages = self.repository.check_as_client_of(folder).await;
            let all = BTreeSet::from(["base_1.0_all".to_owned()]);
            assert!(packages.is_empty() || packages == all, "{packages:?}");
            shown.push(packages);
        }
        shown
    }

    /// The suite is gone, nothing else is, and both names can be used anew.
    pub(crate) async fn check_gone(&self) {
        let (repository, signing) = (&self.repository, &self.signing);
        let bucket = &repository.bucket;
        assert_eq!(
            self.left(),
            ["dists/stable/suite.json", "dists/trixie/suite.json"]
        );
        for other in ["forky", "stable/updates"] {
            assert!(problems(repository, signing, other).await.is_empty());
        }
        let suite = Folder::Suite { has_head: true };
        let expected = [
            (name("forky"), suite.clone()),
            (name("stable"), Folder::Deleted),
            (name("stable/updates"), suite),
            (name("trixie"), Folder::Deleted),
        ];
        assert_eq!(folders(repository).await, expected.into());
        collect_all(repository, signing).await;
        assert_eq!(
            bucket.read(&self.base.file.stanza.key),
            None,
            "the pool is collected"
        );
        let error = self.delete().await;
        assert!(
            matches!(error, Err(Error::Missing(Missing::Suite { .. }))),
            "{error:?}"
        );
        committed(publish(bucket, signing, &[&package("new")]).await);
        committed(add(bucket, signing, "stable", "trixie").await);
        for folder in ["stable", "trixie"] {
            assert_eq!(repository.check_as_client_of(folder).await.len(), 1);
        }
        assert!(problems(repository, signing, "stable").await.is_empty());
        collect_all(repository, signing).await;
        assert!(problems(repository, signing, "stable").await.is_empty());
    }
}

#[tokio::test]
async fn a_deleted_suite_is_gone_and_its_names_are_free() {
    for signing in [Some(key()), None] {
        let scene = Scene::new(signing).await;
        let repository = open(scene.repository.bucket.clone(), Writes::Conditional);
        let suite = repository.suite(name("stable"), keys(&scene.signing));
        let before = scene.repository.bucket.keys();
        let planned = suite.deletion(Allow::default()).await.unwrap();
        assert_eq!(scene.repository.bucket.keys(), before, "nothing is written");
        assert_eq!(planned.objects.objects as usize, scene.left().len() - 2);
        let done = scene.delete().await.unwrap();
        assert_eq!((done.entries, done.reserved_until), (Some(2), None));
        assert_eq!(done.aliases, BTreeSet::from([name("trixie")]));
        scene.check_gone().await;
    }
}

/// For every write, and before and after it took effect: the run is killed there. Clients see all or nothing; nobody else can use the
/// name; the same again ends it.
#[tokio::test(start_paused = true)]
async fn a_kill_at_any_write_can_be_followed_by_the_same_again() {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        for nth in 1.. {
            let scene = Scene::new(Some(key())).await;
            let (repository, signing) = (&scene.repository, &scene.signing);
            let victim = repository.faulty();
            victim.at(On::Writes, nth, fault.clone());
            let result = delete(&victim, signing, "stable").await;
            if !victim.is_killed() {
                assert_eq!(result.unwrap().reserved_until, None);
                assert!(nth > 15, "it takes more than {nth} writes");
                break;
            }
            scene.shown().await;
            let is_closed = repository.bucket.read("dists/stable/InRelease").is_none()
                || repository.head().await.commit.is_closed();
            let is_done = scene.left().len() == 2 && result.is_err();
            if is_closed {
                let error = publish(&repository.bucket, signing, &[&package("late")]).await;
                match error {
                    Err(Error::Deleting { .. } | Error::Reserved { .. }) => {}
                    Ok(_) if is_done => continue,
                    other => panic!("write {nth}: {other:?}"),
                }
            }
            let again = scene.delete().await.unwrap();
            scene.shown().await;
            if let Some(until) = again.reserved_until {
                assert!(until > repository.clock.now());
                assert_eq!(scene.left().len(), 2, "write {nth}");
                let error = publish(&repository.bucket, signing, &[&package("late")]).await;
                assert!(matches!(error, Err(Error::Reserved { .. })), "{error:?}");
                collect(repository, signing).await.unwrap();
                repository.clock.advance(DEAD);
            }
            scene.check_gone().await;
        }
    }
}

/// Whatever `suite.json` said when a deletion was planned, and if it was missing: a later suite of that name stays.
#[tokio::test]
async fn a_planned_deletion_leaves_a_later_suite_of_that_name_alone() {
    let founding = "dists/stable/suite.json";
    for planned_on in ["all", "no suite.json", "rests", "rests, no suite.json"] {
        for later_is_bare in [false, true] {
            let scene = Scene::new(Some(key())).await;
            let (repository, signing) = (&scene.repository, &scene.signing);
            let bucket = &repository.bucket;
            if planned_on.starts_with("rests") {
                scene.delete().await.unwrap();
                bucket.write("dists/stable/main/binary-amd64/Packages.gz", "late");
            }
            if planned_on.ends_with("no suite.json") {
                assert!(bucket.remove(founding));
            }
            let opened = open(bucket.clone(), Writes::Conditional);
            let suite = opened.suite(name("stable"), keys(signing));
            let planned = suite.deletion(Allow::default()).await.unwrap();
            scene.delete().await.unwrap();
            committed(publish(bucket, signing, &[&package("later")]).await);
            if later_is_bare {
                assert!(bucket.remove(founding));
            }
            let (by, allow) = (Authorship::default(), Allow::default());
            let error = suite.delete_all(planned, allow, &by, &Silent).await;
            let is_noticed = matches!(error, Err(Error::Replaced { .. }));
            assert!(is_noticed, "{planned_on}: {error:?}");
            let shown = repository.check_as_client().await;
            assert_eq!(shown, BTreeSet::from(["later_1.0_all".to_owned()]));
            collect_all(repository, signing).await;
            committed(publish(bucket, signing, &[&package("last")]).await);
            assert!(problems(repository, signing, "stable").await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_suite_whose_suite_json_is_missing_or_malformed_is_deleted_whole() {
    for malformed in [None, Some("{}")] {
        let scene = Scene::new(Some(key())).await;
        let bucket = &scene.repository.bucket;
        match malformed {
            None => assert!(bucket.remove("dists/stable/suite.json")),
            Some(text) => bucket.write("dists/stable/suite.json", text),
        }
        scene.delete().await.unwrap();
        scene.check_gone().await;
    }
}

#[tokio::test]
async fn a_racing_publisher_stops_and_loses_nothing_else() {
    // It is about to move the head, and about to plan again after it lost the race.
    for (operation, object, nth) in [
        (Operation::Put, "stable/InRelease", 1),
        (Operation::Get, "stable/InRelease", 1),
        (Operation::Get, "stable/InRelease", 2),
        // It has read the head, or its commit, and what they name goes.
        (Operation::Get, "stable/commits/", 1),
        (Operation::Get, "/by-hash/", 1),
        (Operation::Head, "stable/Release", 1),
        (Operation::Put, "stable/commits/", 1),
    ] {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let slow = repository.faulty();
        let at = On::Key(operation, object.to_owned());
        if nth == 2 {
            let head = On::Key(Operation::Put, "stable/InRelease".to_owned());
            slow.at(head, 1, Fault::Fail(ErrorKind::PreconditionFailed));
        }
        let published = scene.publish_across_deletion(&slow, at, nth).await;
        // Where nothing of the suite was read before it was gone, it is a new one.
        match published {
            Err(Error::Deleting { .. } | Error::Deleted { .. }) => {
                // What it had stored for its head goes by the same again.
                for name in ["stable", "trixie"] {
                    let of_it = format!("dists/{name}/");
                    let is_left = |key: &&String| key.starts_with(&of_it);
                    if scene.left().iter().filter(is_left).count() > 1 {
                        delete(&repository.bucket, signing, name).await.unwrap();
                    }
                }
                scene.check_gone().await;
            }
            Ok(_) if (operation, nth) == (Operation::Get, 1) => {
                let shown = repository.check_as_client().await;
                assert_eq!(shown, BTreeSet::from(["late_1.0_all".to_owned()]));
            }
            other => panic!("{operation:?} {nth}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn followers_of_a_publisher_that_was_held_up_are_deleted_by_the_same_again() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let at = On::Key(Operation::Put, "/stable/succession/".to_owned());
    let slow = repository.faulty();
    let published = scene.publish_across_deletion(&slow, at, 1).await;
    assert!(published.unwrap().stale_followers.is_some());
    assert!(scene.left().len() > 2);
    collect(repository, signing).await.unwrap();
    let error = publish(&repository.bucket, signing, &[&package("late")]).await;
    assert!(matches!(error, Err(Error::Deleting { .. })), "{error:?}");
    assert_eq!(scene.delete().await.unwrap().reserved_until, None);
    scene.check_gone().await;
}

#[tokio::test]
async fn two_deletions_at_once_leave_the_name_to_the_one_that_ends_it() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let (slow, gate) = (repository.faulty(), Gate::new());
    slow.at(
        On::Operation(Operation::Delete),
        2,
        Fault::PauseBefore(gate.clone()),
    );
    let first = async { delete(&slow, signing, "stable").await.unwrap() };
    let second = async {
        gate.reached().await;
        let second = scene.delete().await.unwrap();
        // The first may still delete what somebody writes there.
        assert!(second.reserved_until.is_some());
        let error = publish(&repository.bucket, signing, &[&package("late")]).await;
        assert!(matches!(error, Err(Error::Reserved { .. })), "{error:?}");
        gate.open();
    };
    tokio::join!(first, second);
    repository.clock.advance(DEAD);
    scene.check_gone().await;
}

#[tokio::test]
async fn a_collector_and_a_deletion_keep_out_of_each_others_way() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    let of = "base".parse().unwrap();
    let except = Default::default();
    let remove = vec![deb_index::change::Edit::Remove { of, except }];
    committed(change(bucket, signing, "stable", remove).await);
    // Killed after the closing commit: nothing is collected before the deletion has ended.
    let victim = repository.faulty();
    victim.at(On::Operation(Operation::Delete), 1, Fault::KillBefore);
    delete(&victim, signing, "stable").await.unwrap_err();
    let error = collect(repository, signing).await;
    assert!(matches!(error, Err(Error::Deleting { .. })), "{error:?}");
    scene.delete().await.unwrap();
    repository.clock.advance(DEAD);
    scene.check_gone().await;
}

/// A collector waits at any request, before or after it has read the suite, while that is deleted and begins again with an index that
/// was garbage.
#[tokio::test]
async fn a_collector_in_the_middle_takes_nothing_from_a_suite_that_begins_again() {
    let mut begun = 0;
    for nth in 1.. {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let bucket = &repository.bucket;
        committed(publish(bucket, signing, &[&package("other")]).await);
        repository.clock.advance(2 * DAY);
        collect(repository, signing).await.unwrap();
        repository.clock.advance(2 * DAY);
        let (slow, gate) = (repository.faulty(), Gate::new());
        slow.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
        let collector = collect_on(&slow, signing);
        let others = async {
            gate.reached().await;
            let deleted = scene.delete().await;
            if deleted.is_ok() {
                committed(publish(bucket, signing, &[&scene.base]).await);
            }
            gate.open();
            deleted
        };
        let mut others = std::pin::pin!(others);
        let mut collector = std::pin::pin!(collector);
        let deleted = tokio::select! {
            biased;
            collected = &mut collector => {
                collected.unwrap();
                assert!(nth > 10, "a collection takes more than {nth} requests");
                break;
            }
            deleted = &mut others => {
                // What it was reading may be gone.
                let collected = collector.await;
                let is_news = matches!(
                    collected,
                    Ok(_)
                        | Err(Error::Deleting { .. } | Error::Missing(_) | Error::Damaged { .. })
                );
                assert!(is_news, "{collected:?}");
                deleted
            }
        };
        match deleted {
            Ok(_) => {
                begun += 1;
                let shown = repository.check_as_client().await;
                assert_eq!(shown, BTreeSet::from(["base_1.0_all".to_owned()]));
                assert!(problems(repository, signing, "stable").await.is_empty());
            }
            Err(Error::CollectorRuns { .. }) => {}
            Err(error) => panic!("request {nth}: {error:?}"),
        }
    }
    assert!(begun > 5, "{begun}");
}

#[tokio::test]
async fn what_an_alias_showed_last_is_deleted_by_its_name() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    let error = delete(bucket, signing, "trixie").await;
    assert!(matches!(error, Err(Error::IsAlias { .. })), "{error:?}");
    committed(drop_alias(bucket, signing, "stable", "trixie").await);
    assert_eq!(
        delete(bucket, signing, "trixie")
            .await
            .unwrap()
            .reserved_until,
        None
    );
    let left = scene.left().into_iter();
    let left: Vec<_> = left
        .filter(|key| key.starts_with("dists/trixie/"))
        .collect();
    assert_eq!(left, ["dists/trixie/suite.json"]);
    assert!(problems(repository, signing, "stable").await.is_empty());
    committed(create(repository, signing, "trixie").await);
    assert!(problems(repository, signing, "trixie").await.is_empty());
}

#[tokio::test]
async fn a_suite_that_an_alias_of_another_one_still_shows_stays() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    committed(drop_alias(bucket, signing, "stable", "trixie").await);
    let victim = repository.faulty();
    let first = On::Key(
        Operation::Put,
        "dists/trixie/main/binary-amd64/Packages".to_owned(),
    );
    victim.at(first, 1, Fault::KillBefore);
    add(&victim, signing, "forky", "trixie").await.unwrap();
    let error = scene.delete().await;
    assert!(matches!(error, Err(Error::AliasLags { .. })), "{error:?}");
    add(bucket, signing, "forky", "trixie").await.unwrap();
    assert_eq!(scene.delete().await.unwrap().reserved_until, None);
    assert!(problems(repository, signing, "forky").await.is_empty());
    assert!(repository.bucket.read("dists/trixie/InRelease").is_some());
}

#[tokio::test]
async fn a_forged_suite_json_makes_nobody_delete_or_take_a_suite() {
    let busy = "\"by\": 1, \"busy_until\": \"2025-01-01T00:00:00Z\"";
    let deleting =
        |aliases: &str| format!("{{\"deleting\": {{\"aliases\": [{aliases}], {busy}}}}}");
    for forged in [
        "{\"alias_of\": \"stable\"}".to_owned(),
        deleting(""),
        "{\"deleted\": true}".to_owned(),
    ] {
        let scene = Scene::new(Some(key())).await;
        let (repository, signing) = (&scene.repository, &scene.signing);
        let bucket = &repository.bucket;
        committed(publish(bucket, signing, &[&package("more")]).await);
        let before: Vec<_> = bucket.keys();
        bucket.write("dists/forky/suite.json", forged.clone());
        let error = add(bucket, signing, "stable", "forky").await;
        assert!(matches!(error, Err(Error::AliasTaken { .. })), "{error:?}");
        collect_all(repository, signing).await;
        assert!(bucket.read("dists/forky/InRelease").is_some());
        bucket.write("dists/stable/suite.json", deleting("\"forky\""));
        scene.delete().await.unwrap();
        let of_forky = |key: &&String| {
            key.starts_with("dists/forky/")
                && !key.contains("/commits/")
                && !key.contains("/succession/")
        };
        for key in before.iter().filter(of_forky) {
            assert!(bucket.read(key).is_some(), "{forged}: {key}");
        }
    }
}
