//! Heads whose digests are right, and whose keys clients refuse.

use std::{sync::Arc, time::Duration};

use repository::{Depth, Keys, Part, Remedy, Severity, Verified, Writes};
use s3_storage::{ManualClock, Memory};

use crate::{
    damage::{Scene, shown},
    repository::{Repository, committed, in_suite, key, open, package, publish_as, signer, suite},
};

/// A secret key of the fixtures, all of which were made on 2024-01-01.
fn fixture(name: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../repo-signing/tests/fixtures"
    );
    std::fs::read_to_string(format!("{folder}/{name}.sec.asc")).unwrap()
}

/// A repository whose store's clock shows noon of a day of 2024.
fn in_2024(month: i8, day: i8) -> Repository {
    let noon = jiff::civil::date(2024, month, day).at(12, 0, 0, 0);
    let noon = noon.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    let clock = ManualClock::new(noon.timestamp());
    Repository {
        bucket: Arc::new(Memory::with_clock(clock.clone())),
        clock,
    }
}

async fn verified_with(repository: &Repository, keys: Keys) -> Verified {
    let store = open(repository.bucket.clone(), Writes::Conditional);
    let suites = [store.suite(suite(), keys)];
    let found = store.verify(&suites, Depth::Content).await;
    found.unwrap().remove(0)
}

fn certificates(keys: &[&String]) -> Keys {
    let certificates = keys.iter().map(|key| signer(key).certificate().clone());
    Keys::Verify(certificates.collect())
}

#[tokio::test]
async fn a_head_whose_keys_clients_refuse_by_now_is_a_problem() {
    for (name, (month, day), warnings, told) in [
        ("expiring", (6, 20), 1, "expired at 2024-07-01T12:00:00Z"),
        (
            "expiring-primary",
            (5, 20),
            1,
            "expired at 2024-06-01T12:00:00Z",
        ),
        ("revoked", (4, 20), 0, "was revoked at 2024-05-01"),
    ] {
        for has_second in [false, true] {
            let repository = in_2024(month, day);
            let (key, second) = (fixture(name), fixture("ed25519"));
            let signing = if has_second {
                vec![&key, &second]
            } else {
                vec![&key]
            };
            let keys = Keys::Sign {
                signers: signing.iter().map(|key| signer(key)).collect(),
                further: Default::default(),
            };
            let base = package("base");
            let packages = [&base];
            let published = publish_as(&repository.bucket, keys, &packages, Default::default());
            committed(published.await);
            let reading = || [certificates(&signing), Keys::Unchecked];
            for keys in reading() {
                let found = verified_with(&repository, keys).await;
                assert_eq!(shown(&found.problems), "", "{name}");
                assert_eq!(found.warnings.len(), warnings, "{name}");
            }
            repository
                .clock
                .advance(Duration::from_secs(20 * 24 * 3600));
            for keys in reading() {
                let found = verified_with(&repository, keys).await;
                let text = shown(&found.problems);
                assert_eq!(found.problems.len(), 1, "{name}: {text}");
                let problem = &found.problems[0];
                // Devices that have the other key go on.
                let severity = match has_second {
                    true => Severity::Warning,
                    false => Severity::Error,
                };
                assert_eq!(
                    (problem.part, problem.severity, problem.remedy),
                    (Part::Key, severity, Remedy::Manual),
                    "{name}: {text}"
                );
                assert!(text.contains(told) && !problem.is_settled(), "{text}");
                assert!(found.commit.is_some() && found.warnings.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_only_strange_keys_sign_is_a_problem() {
    let scene = Scene::new(Some(key())).await;
    let stranger = key();
    let text = String::from_utf8(scene.repository.release().unwrap()).unwrap();
    let signed = crate::foreign::sign(&text, &stranger).await;
    scene.damage(&in_suite("InRelease"), Some(signed.inrelease.to_vec()));
    let certificates =
        [scene.signing.as_ref().unwrap(), &stranger].map(|key| signer(key).certificate().clone());
    for keys in [
        Keys::Verify(certificates.into_iter().collect()),
        Keys::Unchecked,
    ] {
        let store = open(scene.repository.bucket.clone(), Writes::Conditional);
        let suites = [store.suite(suite(), keys)];
        let found = store.verify(&suites, Depth::Listing).await.unwrap();
        let told = shown(&found[0].problems);
        let problem = &found[0].problems[0];
        assert!([Part::Head, Part::Key].contains(&problem.part), "{told}");
    }
}
