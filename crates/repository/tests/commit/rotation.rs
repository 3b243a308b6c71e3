//! The keys of a suite change, and each head is signed by every key that the suite has.

use std::sync::Arc;

use deb_index::{
    change::{Edit, Intent, Retired, SettingsPatch, client_view::ViewChange},
    suite::{commit::Authorship, layout},
};
use repo_signing::Keyring;
use repository::{
    Allow, Depth, Error, Keys, Part, Published, Remedy, RepairOptions, Silent, Warning, Writes,
    accepted_key,
};
use s3_storage::Memory;

use crate::repository::{
    Options, Repository, committed, key, open, package, publish, publish_as, signer, suite,
};

fn sign(keys: &[&String]) -> Keys {
    Keys::Sign {
        signers: keys.iter().map(|key| signer(key)).collect(),
        further: Keyring::default(),
    }
}

fn certificates(keys: &[&String]) -> Keyring {
    let certificates = keys.iter().map(|key| signer(key).certificate().clone());
    certificates.collect()
}

async fn set(bucket: &Arc<Memory>, keys: Keys, patch: SettingsPatch) -> Result<Published, Error> {
    let repository = open(bucket.clone(), Writes::Conditional);
    let suite = repository.suite(suite(), keys);
    let intent = Intent(vec![Edit::Set(Box::new(patch))]);
    let draft = suite.draft(intent, Allow::default()).await?;
    draft.commit(&[], &Authorship::default(), &Silent).await
}

fn add(key: &str) -> SettingsPatch {
    SettingsPatch {
        accept_keys: vec![accepted_key(signer(key).certificate())],
        ..SettingsPatch::default()
    }
}

fn retire(key: &str) -> SettingsPatch {
    SettingsPatch {
        retire_keys: Retired::These(vec![signer(key).certificate().fingerprint()]),
        ..SettingsPatch::default()
    }
}

fn reset(key: &str) -> SettingsPatch {
    SettingsPatch {
        retire_keys: Retired::Others,
        ..add(key)
    }
}

/// Which of the devices that have one of these keys accept the head.
fn accepted_by(repository: &Repository, keys: &[&String]) -> Vec<bool> {
    let head = repository.bucket.read("dists/stable/InRelease").unwrap();
    let accepts = |key: &&String| certificates(&[key]).verify_inrelease(&head).is_ok();
    keys.iter().map(accepts).collect()
}

#[tokio::test]
async fn a_suite_in_rotation_is_signed_by_both_keys_and_by_nothing_less() {
    let repository = Repository::new();
    let (bucket, old, new) = (&repository.bucket, key(), key());
    committed(publish(bucket, &Some(old.clone()), &[&package("base")]).await);
    let refused = set(bucket, sign(&[&new]), add(&new)).await;
    assert!(matches!(refused, Err(Error::Untrusted { .. })));

    let added = committed(set(bucket, sign(&[&old, &new]), add(&new)).await);
    assert_eq!(added.view_changes, [], "no device has to accept anything");
    assert_eq!(accepted_by(&repository, &[&old, &new]), [true, true]);

    let fingerprint = |key: &String| signer(key).certificate().fingerprint();
    for (given, other) in [(&old, &new), (&new, &old)] {
        let before = bucket.read("dists/stable/InRelease");
        let refused = publish(bucket, &Some(given.clone()), &[&package("more")]).await;
        let Err(Error::SignerMissing { missing, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(missing, [fingerprint(other)]);
        assert_eq!(bucket.read("dists/stable/InRelease"), before);
    }
    let both = sign(&[&new, &old]);
    committed(publish_as(bucket, both, &[&package("more")], Options::default()).await);
    assert_eq!(accepted_by(&repository, &[&old, &new]), [true, true]);

    let refused = set(bucket, sign(&[&old]), retire(&old)).await;
    assert!(
        matches!(refused, Err(Error::SignerMissing { .. })),
        "{refused:?}"
    );
    // The old secret is not needed.
    let retired = committed(set(bucket, sign(&[&new]), retire(&old)).await);
    let key = fingerprint(&old);
    assert_eq!(retired.view_changes, [ViewChange::KeyRetired { key }]);
    assert_eq!(accepted_by(&repository, &[&old, &new]), [false, true]);
    let refused = set(bucket, sign(&[&new]), retire(&new)).await;
    assert!(matches!(refused, Err(Error::LastKey { .. })), "{refused:?}");
    let refused = publish(bucket, &Some(old), &[&package("last")]).await;
    assert!(
        matches!(refused, Err(Error::Untrusted { .. })),
        "{refused:?}"
    );
    committed(publish(bucket, &Some(new), &[&package("last")]).await);
    repository.check_followers().await;
}

#[tokio::test]
async fn a_key_that_is_retired_does_not_sign_although_it_is_given() {
    let repository = Repository::new();
    let (bucket, old, new) = (&repository.bucket, key(), key());
    let both = || sign(&[&old, &new]);
    committed(publish_as(bucket, both(), &[&package("base")], Options::default()).await);
    assert_eq!(accepted_by(&repository, &[&old, &new]), [true, true]);
    committed(set(bucket, both(), retire(&old)).await);
    assert_eq!(accepted_by(&repository, &[&old, &new]), [false, true]);
}

#[tokio::test]
async fn only_what_adds_a_key_adds_one() {
    let repository = Repository::new();
    let (bucket, old, new) = (&repository.bucket, key(), key());
    committed(publish(bucket, &Some(old.clone()), &[&package("base")]).await);
    let mut options = Options::default();
    options.allow.new_signing_key = true;
    let both = sign(&[&new, &old]);
    committed(publish_as(bucket, both, &[&package("more")], options).await);
    assert_eq!(accepted_by(&repository, &[&old, &new]), [true, false]);
    let opened = open(bucket.clone(), Writes::Conditional);
    let suite = opened.suite(suite(), sign(&[&new, &old]));
    let draft = suite.draft(Intent::default(), Allow::default()).await;
    let warnings = draft.unwrap().warnings();
    let [Warning::KeyIdle { key, .. }] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!(*key, signer(&new).certificate().fingerprint());
}

#[tokio::test]
async fn a_publish_that_loses_to_a_rotation_does_not_undo_it() {
    for give_both in [false, true] {
        let repository = Repository::new();
        let (bucket, old, new) = (&repository.bucket, key(), key());
        committed(publish(bucket, &Some(old.clone()), &[&package("base")]).await);
        let opened = open(bucket.clone(), Writes::Conditional);
        let keys = if give_both {
            vec![&old, &new]
        } else {
            vec![&old]
        };
        let slow = opened.suite(suite(), sign(&keys));
        let refresh = Edit::Set(Box::new(SettingsPatch {
            signed_by: Some(true),
            ..if give_both {
                add(&new)
            } else {
                SettingsPatch::default()
            }
        }));
        let draft = slow
            .draft(Intent(vec![refresh]), Allow::default())
            .await
            .unwrap();
        committed(set(bucket, sign(&[&old, &new]), add(&new)).await);
        let result = draft.commit(&[], &Authorship::default(), &Silent).await;
        if give_both {
            committed(result);
        } else {
            assert!(
                matches!(result, Err(Error::SignerMissing { .. })),
                "{result:?}"
            );
        }
        assert_eq!(accepted_by(&repository, &[&old, &new]), [true, true]);
    }
}

#[tokio::test]
async fn a_lost_key_is_replaced_and_the_old_head_checked_as_far_as_possible() {
    for has_old in [false, true] {
        let repository = Repository::new();
        let (bucket, old, new) = (&repository.bucket, key(), key());
        committed(publish(bucket, &Some(old.clone()), &[&package("base")]).await);
        let replace = |known: &[&String]| Keys::Replace {
            signers: vec![signer(&new)],
            old: certificates(known),
        };
        let stranger = key();
        let refused = set(bucket, replace(&[&stranger]), reset(&new)).await;
        assert!(
            matches!(refused, Err(Error::Untrusted { .. })),
            "{refused:?}"
        );
        let known: &[&String] = if has_old { &[&old] } else { &[] };
        let done = committed(set(bucket, replace(known), reset(&new)).await);
        assert_eq!(done.view_changes.len(), 2, "{:?}", done.view_changes);
        assert_eq!(accepted_by(&repository, &[&old, &new]), [false, true]);
        let again = set(bucket, replace(known), reset(&new)).await.unwrap();
        assert!(matches!(again.outcome, repository::Outcome::Unchanged(_)));
        committed(publish(bucket, &Some(new.clone()), &[&package("more")]).await);
        let packages = repository.check_as_client().await;
        assert_eq!(packages.len(), 2, "{packages:?}");
        repository.check_followers().await;
    }
}

#[tokio::test]
async fn a_lost_commit_is_not_made_good_without_the_certificates_of_all_who_sign() {
    let repository = Repository::new();
    let (bucket, one, two, idle) = (&repository.bucket, key(), key(), key());
    committed(publish(bucket, &Some(one.clone()), &[&package("base")]).await);
    committed(set(bucket, sign(&[&one, &two]), add(&two)).await);
    let head = repository.head().await;
    bucket.remove(&layout::commit_key(&suite(), &head.id()));
    let store = open(bucket.clone(), Writes::Conditional);
    let repair = async |keys| {
        let suites = [store.suite(suite(), keys)];
        for _ in 0..2 {
            let found = store.verify(&suites, Depth::Listing).await.unwrap();
            let options = RepairOptions::default();
            store.repair(&suites, &found, &options).await.unwrap();
        }
        store
            .verify(&suites, Depth::Listing)
            .await
            .unwrap()
            .remove(0)
    };
    let left = repair(sign(&[&one])).await;
    let problem = &left.problems[0];
    assert_eq!(
        (problem.part, problem.remedy),
        (Part::Commit, Remedy::Manual)
    );
    assert!(problem.text.contains("the head is signed by"), "{problem}");
    // A key that has not signed it does not become one of the suite's.
    let left = repair(sign(&[&idle, &two, &one])).await;
    assert!(
        left.problems
            .iter()
            .all(|problem| problem.part == Part::History)
    );
    assert_eq!(
        accepted_by(&repository, &[&one, &two, &idle]),
        [true, true, false]
    );
    let settings = repository.head().await.commit.settings.clone();
    assert_eq!(settings.signing_keys.len(), 2);
    let both = sign(&[&one, &two]);
    committed(publish_as(bucket, both, &[&package("more")], Options::default()).await);
}
