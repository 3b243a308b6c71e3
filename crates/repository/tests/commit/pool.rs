//! A pool object is never overwritten.

use std::sync::Arc;

use deb_index::change::{Edit, Intent, PlanError, Selector};
use repository::{Error, Silent, Writes};
use s3_storage::{
    Careless, Fault, Flaw, Gate, Memory, On, Operation, Payload, PutMode, PutOptions, Storage as _,
};

use crate::repository::{
    Options, Repository, committed, is_unchanged, key, keys, package, package_of, publish,
    publish_as,
};

/// A way to the bucket on which preconditions get lost.
fn careless(repository: &Repository) -> Arc<Careless<Arc<Memory>>> {
    Arc::new(Careless::new(
        repository.bucket.clone(),
        Flaw::IgnoresConditions,
    ))
}

const KEY: &str = "pool/main/h/hello/hello_1.0_all.deb";

#[tokio::test]
async fn another_build_of_a_published_version_is_a_conflict() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(
        publish(
            &repository.bucket,
            &signing,
            &[&package_of("hello", "1.0", "first")],
        )
        .await,
    );
    let error = publish(
        &repository.bucket,
        &signing,
        &[&package_of("hello", "1.0", "second")],
    )
    .await
    .err()
    .unwrap();
    assert!(matches!(error, Error::Plan(error) if error.is_conflict()));
    assert_eq!(repository.bucket.read(KEY).unwrap(), "first");

    let replace = Options {
        replace: true,
        ..Options::default()
    };
    let second = package_of("hello", "1.0", "second");
    let done = committed(publish_as(&repository.bucket, keys(&signing), &[&second], replace).await);
    assert_ne!(done.commit.changes[0].filename.as_deref(), Some(KEY));
    assert_eq!(
        repository.bucket.read(KEY).unwrap(),
        "first",
        "indexes that clients hold stay true"
    );
    assert!(repository.check_as_client().await.contains("hello_1.0_all"));
    assert!(is_unchanged(
        publish_as(&repository.bucket, keys(&signing), &[&second], replace).await
    ));
}

#[tokio::test]
async fn another_suites_build_of_the_same_version_is_no_conflict() {
    let repository = Repository::new();
    let store = crate::repository::open(repository.bucket.clone(), Writes::Conditional);
    let publish_into = async |suite: &str, build: &str| {
        let package = package_of("hello", "1.0", build);
        let suite = store.suite(suite.parse().unwrap(), keys(&None));
        let intent = crate::repository::intent(&keys(&None), &[&package], false);
        let draft = suite.draft(intent, Default::default()).await?;
        let files = [package.file.clone()];
        draft
            .commit(&files, &Default::default(), &repository::Silent)
            .await
    };
    committed(publish_into("jammy", "first").await);
    let second = committed(publish_into("noble", "second").await);
    let key = second.commit.changes[0].filename.clone().unwrap();
    assert_ne!(key, KEY);
    assert_eq!(repository.bucket.read(KEY).unwrap(), "first");
    assert_eq!(repository.bucket.read(&key).unwrap(), "second");
    // Each suite still refuses another build of its own.
    for suite in ["jammy", "noble"] {
        let third = publish_into(suite, "third").await;
        assert!(
            matches!(third, Err(Error::Plan(PlanError::Conflict { .. }))),
            "{suite}"
        );
    }
}

#[tokio::test]
async fn what_the_writer_of_an_object_noted_about_it_is_not_believed() {
    let repository = Repository::new();
    let wanted = package_of("hello", "1.0", "mine");
    let mut options = PutOptions::new(PutMode::Create);
    let digest = wanted.file.stanza.sha256.to_string();
    options.metadata.insert("sha256".to_owned(), digest);
    let other = Payload::Bytes("evil".into());
    repository.bucket.put(KEY, other, options).await.unwrap();
    committed(publish(&repository.bucket, &Some(key()), &[&wanted]).await);
    assert!(repository.check_as_client().await.contains("hello_1.0_all"));
}

#[tokio::test]
async fn a_foreign_or_broken_suite_does_not_stand_in_the_way() {
    let repository = Repository::new();
    for (suite, release) in [("foreign", "Suite: x\n"), ("broken", "\0")] {
        let key = format!("dists/{suite}/Release");
        repository.bucket.write(&key, release);
    }
    repository.bucket.write(KEY, "taken");
    let wanted = package_of("hello", "1.0", "mine");
    committed(publish(&repository.bucket, &Some(key()), &[&wanted]).await);
}

#[tokio::test]
async fn what_a_killed_publish_left_does_not_block_a_new_build() {
    let repository = Repository::new();
    let signing = Some(key());
    repository.bucket.write(KEY, "half a century ago");
    committed(
        publish(
            &repository.bucket,
            &signing,
            &[&package_of("hello", "1.0", "now")],
        )
        .await,
    );
    assert_eq!(repository.bucket.read(KEY).unwrap(), "half a century ago");
    assert!(repository.check_as_client().await.contains("hello_1.0_all"));
}

#[tokio::test]
async fn the_same_bytes_in_the_pool_are_used() {
    let repository = Repository::new();
    let signing = Some(key());
    repository.bucket.write(KEY, "same");
    let done = committed(
        publish(
            &repository.bucket,
            &signing,
            &[&package_of("hello", "1.0", "same")],
        )
        .await,
    );
    assert_eq!(done.commit.changes[0].filename.as_deref(), Some(KEY));
}

#[tokio::test]
async fn two_files_of_one_version_are_refused_before_anything_is_sent() {
    let repository = Repository::new();
    let store = repository.faulty();
    let (one, two) = (
        package_of("hello", "1.0", "one"),
        package_of("hello", "1.0", "two"),
    );
    let error = publish(&store, &Some(key()), &[&one, &two])
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::Plan(error) if error.is_conflict()));
    assert!(store.requests().is_empty());
}

#[tokio::test]
async fn a_store_without_conditional_writes_needs_a_promise() {
    let repository = Repository::new();
    let careless = careless(&repository);
    let signing = Some(key());
    let result = publish(&careless, &signing, &[&package("hello")]).await;
    assert!(matches!(result, Err(Error::NoConditionalWrites(_))));
    let left = repository.bucket.keys();
    assert!(left.is_empty(), "{left:?}");
    let alone = Options {
        writes: Writes::SingleWriter,
        ..Options::default()
    };
    let (hello, other) = (package("hello"), package("other"));
    committed(publish_as(&careless, keys(&signing), &[&hello], alone).await);
    let result = publish(&careless, &signing, &[&other]).await;
    assert!(
        matches!(result, Err(Error::NoConditionalWrites(_))),
        "this publisher promised nothing"
    );
    committed(publish_as(&careless, keys(&signing), &[&other], alone).await);
    assert_eq!(repository.check_as_client().await.len(), 2);
}

#[tokio::test]
async fn conditional_writes_that_vanish_later_are_noticed() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let before = repository.release();
    // The same bucket, behind something that swallows the conditions.
    let careless = careless(&repository);
    let result = publish(&careless, &signing, &[&package("wanted")]).await;
    assert!(
        matches!(result, Err(Error::NoConditionalWrites(_))),
        "{result:?}"
    );
    assert_eq!(repository.release(), before);
    // The proof needs an object that exists; without it, the whole test decides.
    repository.bucket.remove("dists/stable/suite.json");
    committed(publish(&repository.bucket, &signing, &[&package("wanted")]).await);
    committed(publish(&repository.bucket, &signing, &[&package("other")]).await);
}

#[tokio::test]
async fn a_file_that_vanished_is_sent_again() {
    for build in ["first", "second"] {
        let (repository, signing) = (Repository::new(), Some(key()));
        // The second one's file is at a key with its digest.
        repository.bucket.write(KEY, "first");
        let wanted = package_of("hello", "1.0", build);
        let done = committed(publish(&repository.bucket, &signing, &[&wanted]).await);
        let file = done.commit.changes[0].filename.clone().unwrap();
        assert!(repository.bucket.remove(&file));

        let store = crate::repository::open(repository.bucket.clone(), Writes::Conditional);
        let suite = store.suite(crate::repository::suite(), keys(&signing));
        let intent = crate::repository::intent(&keys(&signing), &[&wanted], false);
        let draft = suite.draft(intent, Default::default()).await.unwrap();
        let missing = repository::Warning::FileMissing { key: file.clone() };
        assert!(draft.warnings().contains(&missing));
        assert!(draft.is_empty());
        assert!(
            repository.bucket.read(&file).is_none(),
            "a draft writes nothing"
        );

        assert!(is_unchanged(
            publish(&repository.bucket, &signing, &[&wanted]).await
        ));
        assert_eq!(repository.bucket.read(&file).unwrap(), build);
        assert!(repository.check_as_client().await.contains("hello_1.0_all"));
        // Also together with a new package.
        assert!(repository.bucket.remove(&file));
        committed(publish(&repository.bucket, &signing, &[&package("new"), &wanted]).await);
        assert!(repository.check_as_client().await.contains("hello_1.0_all"));
    }
}

/// An object that the store keeps a checksum of, or keeps none, as of one that was sent in parts.
async fn put_other(repository: &Repository, key: &str, content: &'static str, is_kept: bool) {
    let mut options = PutOptions::new(PutMode::Overwrite);
    options.sha256 = is_kept.then(|| deb_index::digest::Sha256::of(content.as_bytes()).0);
    let payload = Payload::Bytes(content.into());
    repository.bucket.put(key, payload, options).await.unwrap();
}

const REPLACE: Options = Options {
    replace: true,
    writes: Writes::Conditional,
    allow: repository::Allow {
        release_info_change: false,
        new_signing_key: false,
        put_back: false,
        store_clock: false,
        reset_date: false,
    },
    own_clock: None,
};

#[tokio::test]
async fn a_package_whose_file_was_damaged_is_sent_again_to_another_key() {
    for (content, is_kept, options) in [
        ("evil", true, Options::default()),
        ("evil", false, REPLACE),
        ("longer", false, Options::default()),
        ("", true, Options::default()),
    ] {
        let (repository, signing) = (Repository::new(), Some(key()));
        let wanted = package_of("hello", "1.0", "mine");
        committed(publish(&repository.bucket, &signing, &[&wanted]).await);
        put_other(&repository, KEY, content, is_kept).await;
        let again =
            async || publish_as(&repository.bucket, keys(&signing), &[&wanted], options).await;
        let done = committed(again().await);
        let moved = done.commit.changes[0].filename.clone().unwrap();
        // Another suite may have the other file.
        assert_eq!(repository.bucket.read(KEY).unwrap(), content);
        assert_eq!(repository.bucket.read(&moved).unwrap(), "mine");
        assert!(repository.check_as_client().await.contains("hello_1.0_all"));
        assert!(is_unchanged(again().await));
        // That may happen again.
        put_other(&repository, &moved, content, is_kept).await;
        committed(again().await);
        assert_eq!(repository.bucket.read(&moved).unwrap(), content);
        assert!(repository.check_as_client().await.contains("hello_1.0_all"));
        assert!(is_unchanged(again().await));
    }
}

#[tokio::test]
async fn a_damaged_file_is_never_changed_by_a_dry_run_nor_by_the_loser_of_a_race() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let wanted = package_of("hello", "1.0", "mine");
    committed(publish(&repository.bucket, &signing, &[&wanted]).await);
    put_other(&repository, KEY, "evil", true).await;
    let before = repository.bucket.keys();
    let store = crate::repository::open(repository.bucket.clone(), Writes::Conditional);
    let suite = store.suite(crate::repository::suite(), keys(&signing));
    let intent = crate::repository::intent(&keys(&signing), &[&wanted], false);
    let draft = suite.draft(intent, Default::default()).await.unwrap();
    let damaged = repository::Warning::FileDamaged {
        key: KEY.to_owned(),
    };
    assert!(draft.warnings().contains(&damaged));
    assert!(!draft.is_empty());
    assert_eq!(repository.bucket.keys(), before);
    // Meanwhile another build took its place.
    let other = package_of("hello", "1.0", "other");
    let done = publish_as(&repository.bucket, keys(&signing), &[&other], REPLACE).await;
    committed(done);
    let files = [wanted.file.clone()];
    let lost = draft
        .commit(&files, &Default::default(), &repository::Silent)
        .await;
    assert!(
        matches!(lost, Err(Error::Plan(PlanError::Conflict { .. }))),
        "{lost:?}"
    );
    assert!(repository.check_as_client().await.contains("hello_1.0_all"));
}

#[tokio::test]
async fn a_package_that_is_taken_out_meanwhile_goes_where_its_bytes_are() {
    let (repository, signing) = (Repository::new(), Some(key()));
    repository.bucket.write(KEY, "what another suite names");
    let hello = package_of("hello", "1.0", "own");
    committed(publish(&repository.bucket, &signing, &[&hello]).await);
    let (slow, gate) = (repository.faulty(), Gate::new());
    let head = On::Key(Operation::Put, "InRelease".to_owned());
    slow.at(head, 1, Fault::PauseBefore(gate.clone()));
    let remove = async {
        gate.reached().await;
        let store = crate::repository::open(repository.bucket.clone(), Writes::Conditional);
        let suite = store.suite(crate::repository::suite(), keys(&signing));
        let intent = Intent(vec![Edit::Remove {
            of: Selector::all(None),
            except: Default::default(),
        }]);
        let draft = suite.draft(intent, Default::default()).await.unwrap();
        committed(draft.commit(&[], &Default::default(), &Silent).await);
        gate.open();
    };
    let other = package("other");
    let packages = [&hello, &other];
    let (published, ()) = tokio::join!(publish(&slow, &signing, &packages), remove);
    committed(published);
    assert_eq!(repository.check_as_client().await.len(), 2);
}
