//! A pool object is never overwritten.

use std::sync::Arc;

use async_trait::async_trait;
use deb_index::plan::Intent;
use debucket::{commit::Signing, error::Error};
use futures::stream::BoxStream;
use s3_storage::{
    GetOptions, GetReply, Listed, Memory, ObjectMeta, Payload, PutMode, PutOptions, PutReply,
    Storage,
};

use crate::repository::{
    Repository, committed, is_unchanged, key, package, package_of, publish, publish_as, signed,
};

const KEY: &str = "pool/main/h/hello/hello_1.0_all.deb";

#[tokio::test]
async fn another_build_of_a_published_version_is_a_conflict() {
    let repository = Repository::new();
    let signing = signed(key());
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
    assert_eq!(error.exit_code(), 3);
    assert_eq!(repository.bucket.read(KEY).unwrap(), "first");

    let replace = || Intent {
        replace: true,
        ..Intent::default()
    };
    let second = package_of("hello", "1.0", "second");
    let done = committed(publish_as(&repository.bucket, &signing, &[&second], replace()).await);
    assert_ne!(done.commit.changes[0].filename, KEY);
    assert_eq!(
        repository.bucket.read(KEY).unwrap(),
        "first",
        "indexes that clients hold stay true"
    );
    assert!(repository.check_as_client().await.contains("hello_1.0_all"));
    assert!(is_unchanged(
        publish_as(&repository.bucket, &signing, &[&second], replace()).await
    ));
}

#[tokio::test]
async fn another_suites_build_is_a_conflict_too() {
    let repository = Repository::new();
    committed(
        publish(
            &repository.bucket,
            &Signing::Unsigned,
            &[&package_of("hello", "1.0", "first")],
        )
        .await,
    );
    // The same repository with the suite under another name.
    for key in repository
        .bucket
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("dists/stable/"))
    {
        let bytes = repository.bucket.read(&key).unwrap();
        repository
            .bucket
            .write(&key.replace("dists/stable", "dists/team/a"), bytes);
        repository.bucket.remove(&key);
    }
    let error = publish(
        &repository.bucket,
        &Signing::Unsigned,
        &[&package_of("hello", "1.0", "second")],
    )
    .await
    .err()
    .unwrap();
    assert!(
        matches!(&error, Error::Taken { suite, .. } if suite.as_str() == "team/a"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn what_a_killed_publish_left_does_not_block_a_new_build() {
    let repository = Repository::new();
    let signing = signed(key());
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
    let signing = signed(key());
    repository.bucket.write(KEY, "same");
    let done = committed(
        publish(
            &repository.bucket,
            &signing,
            &[&package_of("hello", "1.0", "same")],
        )
        .await,
    );
    assert_eq!(done.commit.changes[0].filename, KEY);
}

#[tokio::test]
async fn two_files_of_one_version_are_refused_before_anything_is_sent() {
    let repository = Repository::new();
    let store = repository.faulty();
    let (one, two) = (
        package_of("hello", "1.0", "one"),
        package_of("hello", "1.0", "two"),
    );
    let error = publish(&store, &signed(key()), &[&one, &two])
        .await
        .err()
        .unwrap();
    assert_eq!(error.exit_code(), 3);
    assert!(store.requests().is_empty());
}

/// A store that ignores preconditions, as some do.
#[derive(Debug)]
struct Careless(Arc<Memory>);

#[async_trait]
impl Storage for Careless {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, s3_storage::Error> {
        self.0.get(key, options).await
    }
    async fn head(&self, key: &str) -> Result<ObjectMeta, s3_storage::Error> {
        self.0.head(key).await
    }
    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, s3_storage::Error> {
        self.0
            .put(
                key,
                payload,
                PutOptions {
                    mode: PutMode::Overwrite,
                    ..options
                },
            )
            .await
    }
    fn list(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
    ) -> BoxStream<'_, Result<Listed, s3_storage::Error>> {
        self.0.list(prefix, delimiter)
    }
    async fn delete(&self, keys: &[String]) -> Result<(), s3_storage::Error> {
        self.0.delete(keys).await
    }
}

#[tokio::test]
async fn a_store_without_conditional_writes_is_refused_unless_somebody_vouches() {
    let repository = Repository::new();
    let careless = Careless(repository.bucket.clone());
    let signing = signed(key());
    let result = publish(&careless, &signing, &[&package("hello")]).await;
    assert!(matches!(result, Err(Error::NoConditionalWrites(_))));
    assert!(
        repository.bucket.keys().is_empty(),
        "{:?}",
        repository.bucket.keys()
    );
    let alone = || Intent {
        single_writer: true,
        ..Intent::default()
    };
    committed(publish_as(&careless, &signing, &[&package("hello")], alone()).await);
    let result = publish(&careless, &signing, &[&package("other")]).await;
    assert!(
        matches!(result, Err(Error::NoConditionalWrites(_))),
        "nobody vouched for this one"
    );
    committed(publish_as(&careless, &signing, &[&package("other")], alone()).await);
    assert_eq!(repository.check_as_client().await.len(), 2);
}
