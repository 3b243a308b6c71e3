//! Nothing is built on what cannot be trusted, and a suite stays signed as it is.

use std::sync::Arc;

use deb_index::digest::Sha256;
use futures::StreamExt as _;
use repo_signing::Keyring;
use repository::{Error, Keys, Writes};
use s3_storage::{Careless, Faulty, Flaw};

use crate::repository::{
    Options, Repository, committed, key, open, package, publish, publish_as, signer, suite,
};

#[tokio::test]
async fn a_head_that_was_tampered_with_is_not_built_upon() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let whole = repository.bucket.read("dists/stable/InRelease").unwrap();
    let forged = String::from_utf8(whole.to_vec())
        .unwrap()
        .replace("Suite: stable", "Suite: stablf");
    repository
        .bucket
        .write("dists/stable/InRelease", forged.clone());
    let result = publish(&repository.bucket, &signing, &[&package("wanted")]).await;
    assert!(matches!(result, Err(Error::Untrusted { .. })));
    assert_eq!(
        repository.bucket.read("dists/stable/InRelease").unwrap(),
        forged
    );
}

#[tokio::test]
async fn a_commit_or_an_index_that_was_tampered_with_is_not_built_upon() {
    for part in ["/commits/", "/by-hash/"] {
        let repository = Repository::new();
        let signing = Some(key());
        committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
        for key in repository
            .bucket
            .keys()
            .into_iter()
            .filter(|key| key.contains(part))
        {
            let mut bytes = repository.bucket.read(&key).unwrap().to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            repository.bucket.write(&key, bytes);
        }
        let error = publish(&repository.bucket, &signing, &[&package("wanted")])
            .await
            .err()
            .unwrap();
        assert!(
            matches!(error, Error::Commit { .. } | Error::Damaged { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn another_key_is_refused_unless_it_is_trusted_and_accepted() {
    let repository = Repository::new();
    committed(publish(&repository.bucket, &Some(key()), &[&package("base")]).await);
    let result = publish(&repository.bucket, &Some(key()), &[&package("wanted")]).await;
    assert!(matches!(result, Err(Error::Untrusted { .. })));

    let repository = Repository::new();
    let first = key();
    let further = Keyring::from(signer(&first).certificate().clone());
    committed(publish(&repository.bucket, &Some(first), &[&package("base")]).await);
    let other = Keys::Sign {
        signers: vec![signer(&key())],
        further,
    };
    let wanted = package("wanted");
    let result = publish_as(&repository.bucket, other, &[&wanted], Options::default()).await;
    assert!(
        matches!(result, Err(Error::NotAccepted { .. })),
        "devices do not know this key"
    );
}

#[tokio::test]
async fn a_suite_stays_signed_or_unsigned() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let result = publish(&repository.bucket, &None, &[&package("wanted")]).await;
    assert!(matches!(
        result,
        Err(Error::NoSigner {
            is_signed: true,
            ..
        })
    ));

    let repository = Repository::new();
    committed(publish(&repository.bucket, &None, &[&package("base")]).await);
    assert!(repository.bucket.read("dists/stable/InRelease").is_none());
    let result = publish(&repository.bucket, &signing, &[&package("wanted")]).await;
    assert!(matches!(result, Err(Error::SuiteIsUnsigned { .. })));
    committed(publish(&repository.bucket, &None, &[&package("wanted")]).await);
    repository.check_followers().await;
}

#[tokio::test]
async fn a_signed_suite_whose_head_was_deleted_does_not_start_again() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    repository.bucket.remove("dists/stable/InRelease");
    let result = publish(&repository.bucket, &signing, &[&package("wanted")]).await;
    assert!(matches!(result, Err(Error::SignatureMissing { .. })));
}

#[tokio::test]
async fn the_head_names_its_commit_and_the_chain_can_be_walked() {
    let repository = Repository::new();
    let signing = Some(key());
    let one = committed(publish(&repository.bucket, &signing, &[&package("one")]).await);
    let two = committed(publish(&repository.bucket, &signing, &[&package("two")]).await);
    let ids: Vec<Sha256> = repository
        .history()
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids, [two.id, one.id]);
}

#[tokio::test]
async fn a_key_does_not_vouch_for_what_is_not_signed() {
    let repository = Repository::new();
    committed(publish(&repository.bucket, &None, &[&package("base")]).await);
    let store = open(repository.bucket.clone(), Writes::Conditional);
    let certificate = signer(&key()).certificate().clone();
    let verifying = store.suite(suite(), Keys::Verify(certificate.into()));
    let error = verifying.existing_head().await.unwrap_err();
    assert!(matches!(error, Error::NotSigned { .. }), "{error}");
    let unchecked = store.suite(suite(), Keys::Unchecked);
    unchecked.existing_head().await.unwrap();
}

/// Indexes of two architectures with the same packages have the same content, at two keys.
#[tokio::test]
async fn one_of_two_equal_indexes_that_was_tampered_with_is_always_noticed() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let keys = repository.bucket.keys();
    for part in ["binary-amd64/by-hash/", "binary-arm64/by-hash/"] {
        let whole: Vec<_> = keys.iter().filter(|key| key.contains(part)).collect();
        let whole: Vec<_> = whole
            .into_iter()
            .map(|key| (key, repository.bucket.read(key).unwrap()))
            .collect();
        for (key, _) in &whole {
            repository.bucket.write(key, "tampered");
        }
        for _ in 0..10 {
            let result = publish(&repository.bucket, &signing, &[&package("wanted")]).await;
            let error = result.unwrap_err();
            assert!(
                matches!(&error, Error::Damaged { key, .. } if key.contains(part)),
                "{error}"
            );
        }
        for (key, bytes) in whole {
            repository.bucket.write(key, bytes);
        }
    }
}

#[tokio::test]
async fn a_commit_that_names_itself_is_no_endless_history() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let head = committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let mut forged = head.commit.as_ref().clone();
    forged.parent = Some(head.id);
    let place = deb_index::suite::layout::commit_key(&suite(), &head.id);
    repository.bucket.write(&place, forged.to_bytes().0);
    let store = open(repository.bucket.clone(), Writes::Conditional);
    let suite = store.suite(suite(), Keys::Unchecked);
    let history: Vec<_> = suite.history(head.id).collect().await;
    assert!(matches!(history[..], [Err(Error::Commit { .. })]));
}

#[tokio::test]
async fn a_weak_tag_is_refused_before_anything_is_sent() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let careless = Careless::new(repository.bucket.clone(), Flaw::GivesWeakETags);
    let store = Arc::new(Faulty::new(careless));
    let error = publish(&store, &signing, &[&package("wanted")]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::WeakTag { .. }), "{error}");
    assert_eq!(store.writes(), 0);
}
