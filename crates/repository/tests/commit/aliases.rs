//! Aliases: at every moment their clients see the suite as it is or as it was, whole, whoever is killed or races.

use std::{collections::BTreeSet, sync::Arc};

use deb_index::change::Edit;
use repository::{Error, Folder, Published, Remedy, Writes};
use s3_storage::{Fault, Gate, On, Operation, Storage};

use crate::{
    repository::{
        Package, Repository, Signing, committed, is_unchanged, key, keys, open, package, publish,
    },
    suites::{
        add, aliases, change, collect_all, create, drop_alias, folders, name, new_suite, problems,
        repair, repair_once,
    },
};

/// A suite `stable` with the alias `trixie` and a package.
struct Scene {
    repository: Repository,
    signing: Signing,
}

impl Scene {
    async fn new(signing: Signing) -> Self {
        let scene = Self {
            repository: Repository::new(),
            signing,
        };
        let bucket = &scene.repository.bucket;
        committed(publish(bucket, &scene.signing, &[&package("base")]).await);
        committed(add(bucket, &scene.signing, "stable", "trixie").await);
        scene.check(&["base"]).await;
        scene
    }

    async fn publish<S: Storage + 'static>(
        &self,
        storage: &Arc<S>,
        package: &Package,
    ) -> Result<Published, Error> {
        publish(storage, &self.signing, &[package]).await
    }

    /// Both names show these packages, by hash and without; and nothing is wrong.
    async fn check(&self, packages: &[&str]) {
        let shown = |name: &&str| format!("{name}_1.0_all");
        let expected: BTreeSet<_> = packages.iter().map(shown).collect();
        let repository = &self.repository;
        assert_eq!(repository.check_as_client_of("stable").await, expected);
        assert_eq!(repository.check_as_client_of("trixie").await, expected);
        repository.check_followers().await;
        let read = |key: &str| repository.bucket.read(key);
        for key in repository.bucket.keys() {
            let history = ["/commits/", "/succession/", "/suite.json"];
            if let Some(path) = key.strip_prefix("dists/stable/")
                && !history.iter().any(|part| key.contains(part))
                && !key.contains("/by-hash/")
            {
                assert_eq!(read(&key), read(&format!("dists/trixie/{path}")), "{path}");
            }
        }
        let found = problems(repository, &self.signing, "stable").await;
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[tokio::test]
async fn an_alias_follows_its_suite_signed_or_not() {
    for signing in [Some(key()), None] {
        let scene = Scene::new(signing).await;
        let bucket = &scene.repository.bucket;
        committed(scene.publish(bucket, &package("wanted")).await);
        scene.check(&["base", "wanted"]).await;
        let repository = open(bucket.clone(), Writes::Conditional);
        let expected = [
            (name("stable"), Folder::Suite { has_head: true }),
            (name("trixie"), Folder::Alias(name("stable"))),
        ];
        assert_eq!(folders(&scene.repository).await, expected.into());
        // Reading resolves it, changing does not.
        let reader = || keys(&scene.signing).for_reading();
        let alias = repository.suite(name("trixie"), reader());
        let (suite, head) = alias.resolved().await.unwrap();
        assert_eq!(*suite.name(), name("stable"));
        assert_eq!(head.id(), scene.repository.head().await.id());
        let error = change(bucket, &scene.signing, "trixie", Vec::new()).await;
        let is_alias =
            matches!(error, Err(Error::IsAlias { ref suite, .. }) if *suite == name("stable"));
        assert!(is_alias, "{error:?}");
        let error = create(&scene.repository, &scene.signing, "trixie").await;
        assert!(matches!(error, Err(Error::IsAlias { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn a_suite_can_be_created_with_an_alias() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let mut edits = new_suite(&signing);
    edits.push(aliases(&["trixie"], &[]));
    committed(change(&repository.bucket, &signing, "stable", edits).await);
    let scene = Scene {
        repository,
        signing,
    };
    scene.check(&[]).await;
}

/// For every write of a change, and before and after it took effect: the publisher is killed there, both names show the suite as it
/// was or as it is, and doing the same again brings both up.
async fn killed_everywhere(adds_alias: bool) {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        for nth in 1.. {
            let scene = if adds_alias {
                let scene = Scene {
                    repository: Repository::new(),
                    signing: Some(key()),
                };
                let bucket = &scene.repository.bucket;
                committed(scene.publish(bucket, &package("base")).await);
                scene
            } else {
                Scene::new(Some(key())).await
            };
            let repository = &scene.repository;
            let victim = repository.faulty();
            victim.at(On::Writes, nth, fault.clone());
            let wanted = package("wanted");
            let signing = &scene.signing;
            let change = async |again: bool| match (adds_alias, again) {
                (true, false) => add(&victim, signing, "stable", "trixie").await,
                (true, true) => add(&repository.bucket, signing, "stable", "trixie").await,
                (false, false) => scene.publish(&victim, &wanted).await,
                (false, true) => scene.publish(&repository.bucket, &wanted).await,
            };
            let result = change(false).await;
            if !victim.is_killed() {
                committed(result);
                assert!(nth > 12, "it takes more than {nth} writes");
                break;
            }
            let own = repository.check_as_client_of("stable").await;
            let shown = repository.check_as_client_of("trixie").await;
            let before = BTreeSet::from(["base_1.0_all".to_owned()]);
            assert!(shown == own || shown == before || adds_alias && shown.is_empty());
            change(true).await.unwrap();
            let packages = ["base", "wanted"];
            let packages = if adds_alias {
                &packages[..1]
            } else {
                &packages
            };
            scene.check(packages).await;
            // Nothing that is left of it troubles a collection or the next change.
            collect_all(repository, signing).await;
            scene.check(packages).await;
            committed(scene.publish(&repository.bucket, &package("other")).await);
            let all: Vec<_> = packages.iter().copied().chain(["other"]).collect();
            scene.check(&all).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_during_a_publish_leaves_the_alias_whole() {
    killed_everywhere(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_an_alias_is_added_leaves_nothing_or_all() {
    killed_everywhere(true).await;
}

#[tokio::test]
async fn an_alias_that_lags_loses_nothing_to_a_collection() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let victim = repository.faulty();
    victim.at(
        On::Key(
            Operation::Put,
            "trixie/main/binary-amd64/Packages".to_owned(),
        ),
        1,
        Fault::KillBefore,
    );
    let wanted = package("wanted");
    assert!(
        scene
            .publish(&victim, &wanted)
            .await
            .unwrap()
            .stale_followers
            .is_some()
    );
    // Two suites later, as far as a history that is not kept goes.
    collect_all(repository, signing).await;
    let shown = repository.check_as_client_of("trixie").await;
    assert_eq!(shown, BTreeSet::from(["base_1.0_all".to_owned()]));
    assert!(!problems(repository, signing, "stable").await.is_empty());
    repair(repository, signing, "stable").await;
    scene.check(&["base", "wanted"]).await;
}

#[tokio::test]
async fn racing_publishers_keep_an_alias_in_step() {
    // The older one is about to write each kind of follower in the alias' folder.
    for follower in [
        "trixie/main/binary-amd64/Packages.gz",
        "trixie/InRelease",
        "trixie/Release",
    ] {
        let scene = Scene::new(Some(key())).await;
        let (slow, gate) = (scene.repository.faulty(), Gate::new());
        let at = On::Key(Operation::Put, follower.to_owned());
        slow.at(at, 1, Fault::PauseBefore(gate.clone()));
        let (old, new) = (package("aa"), package("bb"));
        let older = async { committed(scene.publish(&slow, &old).await) };
        let newer = async {
            gate.reached().await;
            committed(scene.publish(&scene.repository.bucket, &new).await);
            gate.open();
        };
        tokio::join!(older, newer);
        scene.check(&["aa", "base", "bb"]).await;
    }
}

#[tokio::test]
async fn an_alias_moves_to_another_suite_and_no_late_publisher_takes_it_back() {
    for late in ["trixie/main/binary-amd64/Packages.gz", "trixie/InRelease"] {
        for operation in [Operation::Head, Operation::Put] {
            let scene = Scene::new(Some(key())).await;
            let (repository, signing) = (&scene.repository, &scene.signing);
            let bucket = &repository.bucket;
            committed(create(repository, signing, "forky").await);
            let error = add(bucket, signing, "forky", "trixie").await;
            let is_taken = matches!(error, Err(Error::AliasTaken { by: Some(ref by), .. }) if *by == name("stable"));
            assert!(is_taken, "{error:?}");
            let (slow, gate) = (repository.faulty(), Gate::new());
            let at = On::Key(operation, late.to_owned());
            slow.at(at, 1, Fault::PauseBefore(gate.clone()));
            let wanted = package("wanted");
            let late = async { scene.publish(&slow, &wanted).await.unwrap() };
            let mover = async {
                gate.reached().await;
                drop_alias(bucket, signing, "stable", "trixie")
                    .await
                    .unwrap();
                let shown = repository.check_as_client_of("trixie").await;
                assert_eq!(shown, BTreeSet::from(["base_1.0_all".to_owned()]));
                committed(add(bucket, signing, "forky", "trixie").await);
                gate.open();
            };
            tokio::join!(late, mover);
            assert_eq!(
                repository.check_as_client_of("trixie").await,
                BTreeSet::new()
            );
            let same = |name| bucket.read(&format!("dists/{name}/InRelease"));
            assert_eq!(same("trixie"), same("forky"));
            for suite in ["stable", "forky"] {
                let found = problems(repository, signing, suite).await;
                assert!(found.is_empty(), "{found:#?}");
            }
            assert_eq!(repository.check_as_client().await.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_dropped_alias_stays_whole_through_collections() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    committed(drop_alias(&repository.bucket, signing, "stable", "trixie").await);
    committed(create(repository, signing, "forky").await);
    let take = vec![aliases(&["trixie"], &[])];
    let unasked = change(&repository.bucket, signing, "forky", take).await;
    assert!(
        matches!(unasked, Err(Error::ReleaseInfo { .. })),
        "{unasked:?}"
    );
    let of = "base".parse().unwrap();
    let except = Default::default();
    let remove = vec![Edit::Remove { of, except }];
    committed(change(&repository.bucket, signing, "stable", remove).await);
    collect_all(repository, signing).await;
    let shown = repository.check_as_client_of("trixie").await;
    assert_eq!(shown, BTreeSet::from(["base_1.0_all".to_owned()]));
    assert_eq!(repository.check_as_client().await, BTreeSet::new());
    let opened = open(repository.bucket.clone(), Writes::Conditional);
    let reader = opened.suite(name("trixie"), keys(signing).for_reading());
    let error = reader.resolved().await;
    assert!(matches!(
        error,
        Err(Error::Missing(repository::Missing::Alias { .. }))
    ));
    // It can be taken back.
    committed(add(&repository.bucket, signing, "stable", "trixie").await);
    scene.check(&[]).await;
}

#[tokio::test]
async fn only_a_free_name_becomes_an_alias() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    committed(create(repository, signing, "forky").await);
    bucket.write("dists/foreign/Release", "Suite: foreign\n");
    for taken in ["forky", "stable", "foreign"] {
        let error = add(bucket, signing, "stable", taken).await;
        let is_taken = matches!(error, Err(Error::AliasTaken { by: None, .. }));
        assert!(is_taken, "{taken}: {error:?}");
    }
    scene.check(&["base"]).await;
}

#[tokio::test]
async fn of_two_suites_that_race_for_an_alias_the_one_that_holds_it_has_it() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let bucket = &repository.bucket;
    committed(publish(bucket, &signing, &[&package("base")]).await);
    committed(create(&repository, &signing, "forky").await);
    let (slow, gate) = (repository.faulty(), Gate::new());
    let head = On::Key(Operation::Put, "stable/InRelease".to_owned());
    slow.at(head, 1, Fault::PauseBefore(gate.clone()));
    let slow = async { add(&slow, &signing, "stable", "trixie").await };
    let quick = async {
        gate.reached().await;
        committed(add(bucket, &signing, "forky", "trixie").await);
        gate.open();
    };
    let (slow, ()) = tokio::join!(slow, quick);
    let stale = slow.unwrap().stale_followers;
    assert!(
        matches!(stale, Some(Error::AliasTaken { by: Some(_), .. })),
        "{stale:?}"
    );
    let same = |name| bucket.read(&format!("dists/{name}/InRelease"));
    assert_eq!(same("trixie"), same("forky"));
    let found = problems(&repository, &signing, "stable").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    // A repair leaves it to its holder, and repairs the rest.
    bucket.remove("dists/stable/Release");
    repair_once(&repository, &signing, "stable").await;
    let found = problems(&repository, &signing, "stable").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(problems(&repository, &signing, "forky").await.is_empty());
    committed(drop_alias(bucket, &signing, "stable", "trixie").await);
    assert!(problems(&repository, &signing, "stable").await.is_empty());
    assert_eq!(same("trixie"), same("forky"));
}

#[tokio::test]
async fn a_head_in_a_folder_that_it_does_not_name_is_refused() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    for key in bucket.keys() {
        if let Some(path) = key.strip_prefix("dists/stable/") {
            bucket.write(&format!("dists/forky/{path}"), bucket.read(&key).unwrap());
        }
    }
    let opened = open(bucket.clone(), Writes::Conditional);
    let error = opened.suite(name("forky"), keys(signing)).head().await;
    assert!(matches!(error, Err(Error::OtherSuite { .. })), "{error:?}");
}

#[tokio::test]
async fn the_name_of_a_signed_suite_does_not_pass_to_an_unsigned_one() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    committed(create(repository, &None, "forky").await);
    committed(drop_alias(&repository.bucket, signing, "stable", "trixie").await);
    let error = add(&repository.bucket, &None, "forky", "trixie").await;
    assert!(
        matches!(error, Err(Error::AliasIsSigned { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_lost_of_an_alias_is_repaired() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    let lost = bucket.keys().into_iter();
    let lost: Vec<_> = lost
        .filter(|key| key.starts_with("dists/trixie/"))
        .collect();
    assert!(lost.len() > 10, "{lost:?}");
    for key in &lost {
        bucket.remove(key);
        let found = problems(repository, signing, "stable").await;
        assert!(!found.is_empty(), "{key}");
        repair(repository, signing, "stable").await;
        scene.check(&["base"]).await;
    }
    for key in &lost {
        bucket.remove(key);
    }
    repair(repository, signing, "stable").await;
    scene.check(&["base"]).await;
}

#[tokio::test]
async fn a_publish_that_changes_nothing_brings_an_alias_up() {
    let scene = Scene::new(Some(key())).await;
    let bucket = &scene.repository.bucket;
    bucket.remove("dists/trixie/InRelease");
    assert!(is_unchanged(scene.publish(bucket, &package("base")).await));
    scene.check(&["base"]).await;
}

/// What says whose alias a folder is can be lost; what the folder shows says it, too.
#[tokio::test]
async fn a_lost_claim_is_made_again_by_a_repair_or_the_next_publish() {
    let founding = "dists/trixie/suite.json";
    for damage in [None, Some(""), Some("{}"), Some("{\"signed\": tru")] {
        for repairs in [true, false] {
            let scene = Scene::new(Some(key())).await;
            let (repository, signing) = (&scene.repository, &scene.signing);
            let bucket = &repository.bucket;
            match damage {
                None => drop(bucket.remove(founding)),
                Some(text) => bucket.write(founding, text),
            }
            let of_alias = &folders(repository).await[&name("trixie")];
            assert_eq!(*of_alias, Folder::Alias(name("stable")));
            collect_all(repository, signing).await;
            assert_eq!(repository.check_as_client_of("trixie").await.len(), 1);
            let found = problems(repository, signing, "stable").await;
            let found: Vec<_> = found
                .iter()
                .map(|it| (it.key.as_str(), it.remedy))
                .collect();
            assert_eq!(found, [(founding, Remedy::Repair)]);
            if repairs {
                repair_once(repository, signing, "stable").await;
                scene.check(&["base"]).await;
            }
            committed(scene.publish(bucket, &package("more")).await);
            scene.check(&["base", "more"]).await;
        }
    }
}

#[tokio::test]
async fn a_record_that_a_late_publisher_left_hides_no_alias() {
    let scene = Scene::new(Some(key())).await;
    let (repository, signing) = (&scene.repository, &scene.signing);
    let bucket = &repository.bucket;
    committed(drop_alias(bucket, signing, "stable", "trixie").await);
    bucket.write("dists/trixie/succession/first", "x");
    assert!(problems(repository, signing, "stable").await.is_empty());
    collect_all(repository, signing).await;
    assert_eq!(repository.check_as_client_of("trixie").await.len(), 1);
    committed(add(bucket, signing, "stable", "trixie").await);
    committed(scene.publish(bucket, &package("more")).await);
    assert_eq!(repository.check_as_client_of("trixie").await.len(), 2);
}
