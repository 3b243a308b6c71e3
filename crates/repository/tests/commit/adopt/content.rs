//! What a takeover keeps, and how the suite goes on.

use bytes::Bytes;
use deb_index::{
    change::{Edit, Intent, SettingsPatch},
    digest::Sha256,
    suite::commit::Authorship,
};
use repository::{Accept, Allow, Outcome, Silent, Writes};

use super::{IN_RELEASE, adopt, adopted, adopted_signed, content, names, stanzas};
use crate::{
    foreign::Foreign,
    repository::{
        Options, Package, Repository, committed, intent, key, keys, open, package, publish,
        publish_as, suite,
    },
};

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
    adopted_signed(&repository, &Foreign::usual(&repository), &signing).await;
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
    let found = adopted_signed(&repository, &foreign, &signing).await;
    let (amd64, arm64) = ("main/binary-amd64/Packages", "main/binary-arm64/Packages");
    assert_eq!(found.rewritten, [amd64, arm64]);
    assert_eq!(found.packages, 3);
    let all = repository.check_as_client().await;
    assert_eq!(names(all), "lonely_1.0_all own_1.0_amd64 shared_1.0_all");
    assert!(stanzas(&repository, "main/binary-arm64").contains("lonely"));
}

#[tokio::test]
async fn packages_are_looked_for_in_listings_not_one_by_one() {
    let signing = Some(key());
    let mut counts = Vec::new();
    for packages in [1, 40] {
        let repository = Repository::new();
        let mut foreign = Foreign::new();
        for number in 0..packages {
            let name = format!("tool{number}");
            foreign.add(&repository, &["main/binary-amd64"], &name, "1.0", "amd64");
        }
        foreign
            .write_signed(&repository, signing.as_ref().unwrap())
            .await;
        let counted = repository.faulty();
        adopt(&counted, &signing).await.unwrap();
        counts.push(counted.requests().len());
    }
    assert_eq!(counts[0], counts[1]);
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
    let found = adopted_signed(&repository, &foreign, &signing).await;
    assert_eq!((found.packages, found.rewritten.len()), (3, 2), "{found:?}");
    assert_eq!(found.corrected, ["plus_1.0+git1_all"]);
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
        (
            "main/source/Sources",
            "Package: tool\nDirectory: pool/t\nFiles:\n 00 4 tool.dsc\n",
        ),
    ];
    for (path, text) in others {
        foreign
            .others
            .insert(path.to_owned(), Bytes::from_static(text.as_bytes()));
    }
    repository.bucket.write("pool/t/tool.dsc", "tool");
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
async fn the_date_never_falls() {
    let repository = Repository::new();
    let signing = Some(key());
    let mut foreign = Foreign::usual(&repository);
    foreign.fields = foreign.fields.replace("24 Nov 2025 15", "24 Nov 2025 23");
    adopted_signed(&repository, &foreign, &signing).await;
    assert_eq!(repository.date().to_string(), "2025-11-24T23:00:00Z");
}

#[tokio::test]
async fn a_new_architecture_begins_with_the_packages_for_all() {
    let repository = Repository::new();
    let signing = Some(key());
    adopted_signed(&repository, &Foreign::usual(&repository), &signing).await;
    let set = Edit::Set(Box::new(SettingsPatch {
        architectures: Some(vec!["amd64".parse().unwrap(), "riscv64".parse().unwrap()]),
        ..Default::default()
    }));
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
