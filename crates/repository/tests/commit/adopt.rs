//! A suite that another program made is taken over in place.

use std::collections::BTreeMap;

use bytes::Bytes;
use deb_index::{
    change::{Edit, Intent},
    digest::Sha256,
    suite::commit::Authorship,
};
use repository::{
    Accept, Adoption, Allow, Error, Keys, Outcome, Published, Silent, Takeover, Writes,
};
use s3_storage::{Fault, Gate, On, Operation, Storage};

use crate::{
    foreign::{Foreign, sign},
    repository::{
        Options, Package, Repository, Signing, committed, intent, key, keys, open, package,
        publish, publish_as, suite,
    },
};

const IN_RELEASE: &str = "dists/stable/InRelease";

/// What was found, before it is taken over.
#[derive(Debug)]
struct Found {
    damage: Vec<String>,
    carried_over: Vec<String>,
    rewritten: Vec<String>,
    packages: usize,
    client_changes: Vec<String>,
}

impl Found {
    fn of(takeover: &Takeover<'_>) -> Self {
        fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
            items.into_iter().map(|item| item.to_string()).collect()
        }
        Self {
            damage: words(&takeover.damage),
            carried_over: words(&takeover.carried_over),
            rewritten: words(takeover.rewritten()),
            packages: takeover.packages,
            client_changes: words(takeover.view_changes()),
        }
    }
}

async fn adopt_as<S: Storage + 'static>(
    storage: &std::sync::Arc<S>,
    keys: Keys,
    accept: Accept,
    allow: Allow,
) -> Result<(Option<Found>, Published), Error> {
    let repository = open(storage.clone(), Writes::Conditional);
    let suite = repository.suite(suite(), keys);
    match suite.adoption(accept, allow).await? {
        Adoption::Ours(head) => Ok((
            None,
            Published {
                outcome: Outcome::Unchanged(head),
                stale_followers: None,
            },
        )),
        Adoption::Foreign(takeover) => {
            let found = Found::of(&takeover);
            let by = Authorship::default();
            Ok((Some(found), takeover.commit(&by, &Silent).await?))
        }
    }
}

async fn adopt<S: Storage + 'static>(
    storage: &std::sync::Arc<S>,
    signing: &Signing,
) -> Result<(Option<Found>, Published), Error> {
    adopt_as(storage, keys(signing), Accept::default(), Allow::default()).await
}

/// Adopts, and returns what was found.
async fn adopted(repository: &Repository, signing: &Signing, accept: Accept) -> Found {
    let done = adopt_as(&repository.bucket, keys(signing), accept, Allow::default()).await;
    let (found, published) = done.unwrap();
    committed(Ok(published));
    repository.check_followers().await;
    found.unwrap()
}

const UNVERIFIED: Accept = Accept {
    unverified: true,
    damage: false,
};
const DAMAGE: Accept = Accept {
    unverified: false,
    damage: true,
};

fn content(repository: &Repository) -> BTreeMap<String, Bytes> {
    let keys = repository.bucket.keys().into_iter();
    let read = |key: String| {
        let bytes = repository.bucket.read(&key).unwrap();
        (key, bytes)
    };
    keys.map(read).collect()
}

fn stanzas(repository: &Repository, index: &str) -> String {
    let key = format!("dists/stable/{index}/Packages.gz");
    let packed = repository.bucket.read(&key).unwrap();
    let plain = deb_index::index::compression::decompress(
        deb_index::index::compression::Format::Gz,
        &packed,
        1 << 20,
    );
    String::from_utf8(plain.unwrap()).unwrap()
}

fn names(packages: impl IntoIterator<Item = String>) -> String {
    packages.into_iter().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_suite_is_taken_over_where_it_is() {
    let repository = Repository::new();
    let signing = Some(key());
    Foreign::usual(&repository)
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    let before = content(&repository);
    let found = adopted(&repository, &signing, Accept::default()).await;
    assert_eq!(found.packages, 2);
    assert!(
        found.damage.is_empty() && found.rewritten.is_empty(),
        "{found:?}"
    );
    assert!(found.client_changes.is_empty(), "{found:?}");

    // Nothing but the head and what repeats it has changed.
    let after = content(&repository);
    let changed = before
        .iter()
        .filter(|(key, bytes)| after.get(*key) != Some(bytes));
    let changed: Vec<_> = changed.map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        changed,
        [
            IN_RELEASE,
            "dists/stable/Release",
            "dists/stable/Release.gpg"
        ]
    );
    let release = String::from_utf8(repository.release().unwrap()).unwrap();
    assert!(
        release.starts_with("Origin: Acme\nCodename: stable\nDate: ")
            && release
                .contains("\nAcquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main\n"),
        "{release}"
    );
    let packages = repository.check_as_client().await;
    assert_eq!(names(packages), "own_1.0_amd64 shared_1.0_all");

    // Once more does nothing.
    let (found, again) = adopt(&repository.bucket, &signing).await.unwrap();
    assert!(found.is_none() && matches!(again.outcome, Outcome::Unchanged(_)));
    assert_eq!(content(&repository), after);
}

#[tokio::test]
async fn an_adopted_suite_is_a_suite_like_any_other() {
    let repository = Repository::new();
    let signing = Some(key());
    Foreign::usual(&repository)
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    adopted(&repository, &signing, Accept::default()).await;
    let old = stanzas(&repository, "main/binary-amd64");
    committed(publish(&repository.bucket, &signing, &[&package("new")]).await);
    for index in ["main/binary-amd64", "main/binary-all"] {
        let all = stanzas(&repository, index);
        assert!(all.contains("Package: new\n"), "{index}: {all}");
    }
    // A stanza is carried over byte for byte.
    let new = stanzas(&repository, "main/binary-amd64");
    for stanza in old.split("\n\n") {
        assert!(new.contains(stanza.trim_end()), "{new}");
    }
    let all = repository.check_as_client().await;
    assert_eq!(names(all), "new_1.0_all own_1.0_amd64 shared_1.0_all");

    let bucket = open(repository.bucket.clone(), Writes::Conditional);
    let suite = bucket.suite(suite(), keys(&signing));
    let remove = Edit::Remove {
        of: "shared".parse().unwrap(),
        except: Default::default(),
    };
    let draft = suite.draft(Intent(vec![remove]), Allow::default()).await;
    let by = Authorship::default();
    committed(draft.unwrap().commit(&[], &by, &Silent).await);
    assert_eq!(
        names(repository.check_as_client().await),
        "new_1.0_all own_1.0_amd64"
    );
    assert!(!stanzas(&repository, "main/binary-all").contains("shared"));
    repository.check_followers().await;
    assert_eq!(repository.history().await.len(), 3);
}

#[tokio::test]
async fn packages_of_an_index_for_all_architectures_reach_every_index() {
    let repository = Repository::new();
    let signing = Some(key());
    let mut foreign = Foreign::usual(&repository);
    foreign.fields = foreign.fields.replace("all amd64", "all amd64 arm64");
    foreign.add(&repository, &["main/binary-all"], "lonely", "1.0", "all");
    foreign
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    let found = adopted(&repository, &signing, Accept::default()).await;
    let (amd64, arm64) = ("main/binary-amd64/Packages", "main/binary-arm64/Packages");
    assert_eq!(found.rewritten, [amd64, arm64]);
    assert_eq!(found.packages, 3);
    let all = repository.check_as_client().await;
    assert_eq!(names(all), "lonely_1.0_all own_1.0_amd64 shared_1.0_all");
    assert!(stanzas(&repository, "main/binary-arm64").contains("lonely"));
}

#[tokio::test]
async fn an_escaped_file_name_is_corrected() {
    let repository = Repository::new();
    let signing = Some(key());
    let mut foreign = Foreign::usual(&repository);
    let both = &["main/binary-all", "main/binary-amd64"];
    foreign.add(&repository, both, "plus", "1.0+git1", "all");
    for stanzas in foreign.packages.values_mut() {
        for stanza in stanzas {
            *stanza = stanza.replace("plus_1.0+git1", "plus_1.0%2Bgit1");
        }
    }
    foreign
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    let found = adopted(&repository, &signing, Accept::default()).await;
    assert_eq!((found.packages, found.rewritten.len()), (3, 2), "{found:?}");
    let packages = repository.check_as_client().await;
    assert_eq!(
        names(packages),
        "own_1.0_amd64 plus_1.0+git1_all shared_1.0_all"
    );
}

#[tokio::test]
async fn indexes_of_other_kinds_are_carried_over_and_stay() {
    let repository = Repository::new();
    let signing = Some(key());
    let mut foreign = Foreign::usual(&repository);
    let others = [
        ("Contents-amd64.gz", "contents"),
        ("main/binary-amd64/Release", "Archive: stable\n"),
        ("main/debian-installer/binary-amd64/Packages", ""),
        ("main/i18n/Translation-en", "Package: own\n"),
        ("main/i18n/Translation-en.bz2", "bz2"),
        ("main/source/Sources.xz", "sources"),
    ];
    for (path, text) in others {
        foreign
            .others
            .insert(path.to_owned(), Bytes::from_static(text.as_bytes()));
    }
    foreign
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    // Listed and not stored, as Debian lists the plain form of what it stores compressed.
    repository
        .bucket
        .remove("dists/stable/main/i18n/Translation-en");
    let found = adopted(&repository, &signing, Accept::default()).await;
    assert_eq!(found.carried_over.len(), 5, "{found:?}");
    committed(publish(&repository.bucket, &signing, &[&package("new")]).await);
    let release = String::from_utf8(repository.release().unwrap()).unwrap();
    for (path, text) in others {
        let digest = Sha256::of(text.as_bytes());
        let listed = release.lines().any(|line| {
            line.starts_with(&format!(" {digest} ")) && line.ends_with(&format!(" {path}"))
        });
        assert!(listed, "{path}: {release}");
        if path != "main/i18n/Translation-en" {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let key = format!("dists/stable/{folder}/by-hash/SHA256/{digest}").replace("//", "/");
            assert_eq!(repository.bucket.read(&key).unwrap(), text, "{path}");
            let key = format!("dists/stable/{path}");
            assert_eq!(repository.bucket.read(&key).unwrap(), text, "{path}");
        }
    }
}

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
            _ => matches!(refused, Error::Untrusted { .. }),
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
                further: [crate::repository::signer(&old).certificate().clone()]
                    .into_iter()
                    .collect(),
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
    assert!(matches!(refused, Err(Error::Release { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_date_never_falls() {
    let repository = Repository::new();
    let signing = Some(key());
    let mut foreign = Foreign::usual(&repository);
    foreign.fields = foreign.fields.replace("24 Nov 2025 15", "24 Nov 2025 23");
    foreign
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    adopted(&repository, &signing, Accept::default()).await;
    assert_eq!(repository.date().to_string(), "2025-11-24T23:00:00Z");
}

#[tokio::test]
async fn a_new_architecture_begins_with_the_packages_for_all() {
    let repository = Repository::new();
    let signing = Some(key());
    Foreign::usual(&repository)
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    adopted(&repository, &signing, Accept::default()).await;
    let set = Edit::Set(deb_index::change::SettingsPatch {
        architectures: Some(vec!["amd64".parse().unwrap(), "riscv64".parse().unwrap()]),
        ..Default::default()
    });
    let nothing: &[&Package] = &[];
    let mut wanted = intent(&keys(&signing), nothing, false);
    wanted.0.push(set);
    let bucket = open(repository.bucket.clone(), Writes::Conditional);
    let suite = bucket.suite(suite(), keys(&signing));
    let draft = suite.draft(wanted, Allow::default()).await.unwrap();
    committed(draft.commit(&[], &Authorship::default(), &Silent).await);
    assert!(stanzas(&repository, "main/binary-riscv64").contains("shared"));
    committed(
        publish_as(
            &repository.bucket,
            keys(&signing),
            &[&package("new")],
            Options::default(),
        )
        .await,
    );
    assert!(stanzas(&repository, "main/binary-all").contains("new"));
}
