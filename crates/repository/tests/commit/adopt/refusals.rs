//! What is taken over only when told, or not at all; other programs and kills meanwhile.

use repo_signing::{Issuer, Keyring};
use repository::{Accept, Allow, Error, Keys};
use s3_storage::{Fault, Gate, On, Operation};

use super::{DAMAGE, IN_RELEASE, UNVERIFIED, adopt, adopt_as, adopted, content, names};
use crate::{
    foreign::{Foreign, sign, sign_by},
    repository::{Repository, committed, key, keys, package, publish, signer},
};

#[tokio::test]
async fn what_is_not_verified_is_only_taken_over_when_told() {
    let stranger = key();
    let own = Some(key());
    for form in ["unsigned", "InRelease", "Release.gpg"] {
        let repository = Repository::new();
        let text = Foreign::usual(&repository).write(&repository);
        let signed = sign(&text, &stranger).await;
        match form {
            "InRelease" => repository.bucket.write(IN_RELEASE, signed.inrelease),
            "Release.gpg" => repository
                .bucket
                .write("dists/stable/Release.gpg", signed.detached),
            _ => {}
        }
        let before = content(&repository);
        let refused = adopt(&repository.bucket, &own).await.unwrap_err();
        let is_expected = match form {
            "unsigned" => matches!(refused, Error::Unverified { .. }),
            _ => matches!(refused, Error::ForeignUntrusted { .. }),
        };
        assert!(is_expected, "{form}: {refused:?}");
        let unsigned = adopt_as(
            &repository.bucket,
            Keys::Unsigned,
            UNVERIFIED,
            Allow::default(),
        );
        if form == "unsigned" {
            let (_, published) = unsigned.await.unwrap();
            committed(Ok(published));
            assert_eq!(repository.check_as_client().await.len(), 2);
            repository.check_followers().await;
            committed(publish(&repository.bucket, &None, &[&package("new")]).await);
            assert_eq!(repository.check_as_client().await.len(), 3);
            continue;
        }
        // A signed suite stays signed.
        let refused = unsigned.await.unwrap_err();
        assert!(
            matches!(
                refused,
                Error::NoSigner {
                    is_signed: true,
                    ..
                }
            ),
            "{refused:?}"
        );
        assert_eq!(content(&repository), before);
        let found = adopted(&repository, &own, UNVERIFIED).await;
        assert_eq!(found.client_changes.len(), 1, "{found:?}");
        assert_eq!(repository.check_as_client().await.len(), 2);
        committed(publish(&repository.bucket, &own, &[&package("new")]).await);
    }
}

#[tokio::test]
async fn an_unsigned_suite_can_become_signed() {
    let repository = Repository::new();
    let own = Some(key());
    Foreign::usual(&repository).write(&repository);
    let found = adopted(&repository, &own, UNVERIFIED).await;
    assert_eq!(found.client_changes.len(), 1);
    assert!(repository.bucket.read(IN_RELEASE).is_some());
    assert_eq!(repository.check_as_client().await.len(), 2);
}

#[tokio::test]
async fn another_signing_key_is_only_taken_when_told() {
    let (old, new) = (key(), Some(key()));
    for form in ["InRelease", "Release.gpg"] {
        let repository = Repository::new();
        let text = Foreign::usual(&repository).write(&repository);
        let signed = sign(&text, &old).await;
        match form {
            "InRelease" => repository.bucket.write(IN_RELEASE, signed.inrelease),
            _ => repository
                .bucket
                .write("dists/stable/Release.gpg", signed.detached),
        }
        let keys = || match keys(&new) {
            Keys::Sign { signers, .. } => Keys::Sign {
                signers,
                further: [signer(&old).certificate().clone()].into_iter().collect(),
            },
            other => other,
        };
        let refused = adopt_as(
            &repository.bucket,
            keys(),
            Accept::default(),
            Allow::default(),
        );
        let refused = refused.await.unwrap_err();
        assert!(matches!(refused, Error::Key { .. }), "{refused:?}");
        let allow = Allow {
            new_signing_key: true,
            ..Allow::default()
        };
        let (found, published) = adopt_as(&repository.bucket, keys(), Accept::default(), allow)
            .await
            .unwrap();
        assert_eq!(found.unwrap().client_changes.len(), 1);
        committed(Ok(published));
        committed(publish(&repository.bucket, &new, &[&package("new")]).await);
        assert_eq!(repository.check_as_client().await.len(), 3);
    }
}

#[tokio::test]
async fn a_suite_of_two_keys_does_not_lose_one_unnoticed() {
    let (one, two) = (key(), key());
    for form in ["InRelease", "Release.gpg"] {
        for knows_both in [false, true] {
            let repository = Repository::new();
            let text = Foreign::usual(&repository).write(&repository);
            let signed = sign_by(&text, &[&one, &two]).await;
            match form {
                "InRelease" => repository.bucket.write(IN_RELEASE, signed.inrelease),
                _ => repository
                    .bucket
                    .write("dists/stable/Release.gpg", signed.detached),
            }
            let by = |signers: &[&String]| Keys::Sign {
                signers: signers.iter().map(|key| signer(key)).collect(),
                further: match knows_both {
                    true => [signer(&two).certificate().clone()].into_iter().collect(),
                    false => Keyring::default(),
                },
            };
            let adopt = |keys, allow| adopt_as(&repository.bucket, keys, Accept::default(), allow);
            let refused = adopt(by(&[&one]), Allow::default()).await.unwrap_err();
            let of_two = Issuer::Fingerprint(signer(&two).certificate().fingerprint());
            assert!(
                matches!(&refused, Error::SignaturesDropped { keys, .. } if *keys == [of_two]),
                "{refused:?}"
            );
            let allow = Allow {
                new_signing_key: true,
                ..Allow::default()
            };
            let (keys, allow) = match knows_both {
                true => (by(&[&one, &two]), Allow::default()),
                false => (by(&[&one]), allow),
            };
            committed(Ok(adopt(keys, allow).await.unwrap().1));
        }
    }
}

#[tokio::test]
async fn what_is_broken_is_found_and_left_out_only_when_told() {
    let repository = Repository::new();
    let signing = Some(key());
    let mut foreign = Foreign::usual(&repository);
    for (name, version) in [("gone", "1.0"), ("short", "1.0"), ("nodigest", "1.0")] {
        foreign.add(&repository, &["main/binary-amd64"], name, version, "amd64");
    }
    repository
        .bucket
        .remove(&Foreign::key_of("gone", "1.0", "amd64"));
    repository
        .bucket
        .write(&Foreign::key_of("short", "1.0", "amd64"), "x");
    let index = foreign.packages.get_mut("main/binary-amd64").unwrap();
    let last = index.last_mut().unwrap();
    *last = last.replace("SHA256", "MD5sum");
    index.push("Package: nameless\n".to_owned());
    foreign
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    let before = content(&repository);
    let refused = adopt(&repository.bucket, &signing).await.unwrap_err();
    assert!(
        matches!(refused, Error::Broken { problems: 4, .. }),
        "{refused:?}"
    );
    assert_eq!(content(&repository), before);
    let found = adopted(&repository, &signing, DAMAGE).await;
    assert_eq!(
        found.damage,
        [
            "main/binary-amd64/Packages: gone_1.0_amd64: pool/stable/g/go/gone_1.0_amd64.deb is missing",
            "main/binary-amd64/Packages: short_1.0_amd64: pool/stable/s/sh/short_1.0_amd64.deb has 1 bytes instead of 9",
            "main/binary-amd64/Packages: nodigest_1.0_amd64: no valid SHA256",
            "main/binary-amd64/Packages: stanza 6: no valid Version",
        ]
    );
    assert_eq!(found.rewritten, ["main/binary-amd64/Packages"]);
    let packages = repository.check_as_client().await;
    assert_eq!(names(packages), "own_1.0_amd64 shared_1.0_all");
}

#[tokio::test]
async fn without_an_index_nothing_is_taken_over() {
    for damage in ["missing", "other"] {
        let repository = Repository::new();
        let signing = Some(key());
        Foreign::usual(&repository)
            .write_signed(&repository, signing.as_ref().unwrap())
            .await;
        let index = "dists/stable/main/binary-amd64/Packages";
        match damage {
            "missing" => {
                repository.bucket.remove(&format!("{index}.gz"));
            }
            _ => repository
                .bucket
                .write(&format!("{index}.gz"), "another run of the old tool"),
        }
        let refused = adopt_as(&repository.bucket, keys(&signing), DAMAGE, Allow::default()).await;
        assert!(
            matches!(refused, Err(Error::Broken { .. })),
            "{damage}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn another_program_that_writes_at_the_same_time_is_noticed() {
    for is_signed in [true, false] {
        let repository = Repository::new();
        let own = key();
        let signing = is_signed.then(|| own.clone());
        let mut foreign = Foreign::usual(&repository);
        let head = if is_signed {
            IN_RELEASE
        } else {
            "dists/stable/Release"
        };
        foreign.write(&repository);
        if is_signed {
            foreign.write_signed(&repository, &own).await;
        }
        let (slow, gate) = (repository.faulty(), Gate::new());
        slow.at(
            On::Key(Operation::Put, head.to_owned()),
            1,
            Fault::PauseBefore(gate.clone()),
        );
        let ours = adopt_as(&slow, keys(&signing), UNVERIFIED, Allow::default());
        let theirs = async {
            gate.reached().await;
            foreign.add(&repository, &["main/binary-amd64"], "later", "1.0", "amd64");
            foreign.write(&repository);
            if is_signed {
                foreign.write_signed(&repository, &own).await;
            }
            let written = repository.bucket.read(head).unwrap();
            gate.open();
            written
        };
        let (ours, theirs) = tokio::join!(ours, theirs);
        assert!(
            matches!(ours, Err(Error::ChangedMeanwhile { .. })),
            "{ours:?}"
        );
        assert_eq!(repository.bucket.read(head).unwrap(), theirs);
        let found = adopted(&repository, &signing, UNVERIFIED).await;
        assert_eq!(found.packages, 3);
    }
}

#[tokio::test]
async fn a_kill_at_any_write_leaves_the_old_suite_or_the_new_one() {
    let signing = Some(key());
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseReply] {
        for nth in 1.. {
            let repository = Repository::new();
            let foreign = Foreign::usual(&repository);
            foreign
                .write_signed(&repository, signing.as_ref().unwrap())
                .await;
            let before = content(&repository);
            let victim = repository.faulty();
            victim.at(On::Writes, nth, fault.clone());
            let result = adopt(&victim, &signing).await;
            let is_old = repository.bucket.read(IN_RELEASE).as_ref() == before.get(IN_RELEASE);
            // Whoever reads by name finds what `Release` says, in either state.
            let after = content(&repository);
            for (key, bytes) in before.iter().filter(|(key, _)| key.contains("Packages")) {
                assert_eq!(after.get(key), Some(bytes), "write {nth}");
            }
            if !is_old {
                assert_eq!(repository.check_as_client().await.len(), 2);
            }
            if victim.writes() < nth {
                result.unwrap();
                assert!(nth > 6, "a takeover takes more than {nth} writes");
                break;
            }
            let (found, _) = adopt(&repository.bucket, &signing).await.unwrap();
            assert_eq!(found.is_some(), is_old, "write {nth}");
            committed(publish(&repository.bucket, &signing, &[&package("new")]).await);
            assert_eq!(repository.check_as_client().await.len(), 3);
            repository.check_followers().await;
        }
    }
}

#[tokio::test]
async fn an_old_tool_that_goes_on_is_told_from_a_suite_to_take_over() {
    let repository = Repository::new();
    let own = key();
    let signing = Some(own.clone());
    let foreign = Foreign::usual(&repository);
    foreign.write_signed(&repository, &own).await;
    adopted(&repository, &signing, Accept::default()).await;
    foreign.write_signed(&repository, &own).await;
    let refused = adopt(&repository.bucket, &signing).await.unwrap_err();
    assert!(matches!(refused, Error::Overwritten { .. }), "{refused:?}");
    let refused = publish(&repository.bucket, &signing, &[&package("new")]).await;
    assert!(
        matches!(refused, Err(Error::Overwritten { .. })),
        "{refused:?}"
    );
}
