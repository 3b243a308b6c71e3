//! Dates come from the store, and never fall.

use std::time::Duration;

use jiff::Timestamp;
use repository::{Error, Keys, Warning, Writes};
use s3_storage::{Fault, Gate, On};

use crate::repository::{
    Options, Repository, START, committed, is_unchanged, key, keys, open, package, publish,
    publish_as, suite,
};

#[tokio::test]
async fn the_date_is_the_stores_and_a_burst_does_not_run_ahead() {
    let repository = Repository::new();
    let signing = Some(key());
    // The store is in 2025; this machine is not.
    for nth in 0..40 {
        committed(
            publish(
                &repository.bucket,
                &signing,
                &[&package(&format!("p{nth}"))],
            )
            .await,
        );
        assert_eq!(repository.date(), Timestamp::from_second(START).unwrap());
    }
    repository.clock.advance(Duration::from_secs(7));
    let last = committed(publish(&repository.bucket, &signing, &[&package("last")]).await);
    assert_eq!(repository.date().as_second(), START + 7);
    assert_eq!(last.commit.time.as_second(), START + 7);
}

#[tokio::test]
async fn the_date_never_falls() {
    let repository = Repository::new();
    let signing = Some(key());
    committed(publish(&repository.bucket, &signing, &[&package("one")]).await);
    repository
        .clock
        .set(Timestamp::from_second(START - 600).unwrap());
    committed(publish(&repository.bucket, &signing, &[&package("two")]).await);
    assert_eq!(repository.date().as_second(), START);
}

const YEAR_2100: i64 = 4_102_444_800;
const HOURS: i64 = 3600;

/// By this machine's clock it is now START.
fn sane() -> Options {
    Options {
        own_clock: Some(START),
        ..Options::default()
    }
}

async fn publish_by(
    repository: &Repository,
    signing: &Option<String>,
    name: &str,
    options: Options,
) -> Result<repository::Published, Error> {
    publish_as(
        &repository.bucket,
        keys(signing),
        &[&package(name)],
        options,
    )
    .await
}

#[tokio::test]
async fn a_store_that_is_far_ahead_is_refused_before_anything_is_sent() {
    for first in [true, false] {
        let (repository, signing) = (Repository::new(), Some(key()));
        if !first {
            committed(publish_by(&repository, &signing, "base", sane()).await);
        }
        let keys = repository.bucket.keys();
        let ahead = Timestamp::from_second(YEAR_2100).unwrap();
        repository.clock.set(ahead);
        let error = publish_by(&repository, &signing, "wanted", sane()).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, Error::StoreClock { store, .. } if store == ahead),
            "{error}"
        );
        assert_eq!(repository.bucket.keys(), keys);
    }
}

#[tokio::test]
async fn a_store_whose_clock_jumps_ahead_in_the_middle_is_refused() {
    for first in [true, false] {
        for nth in 1.. {
            let (repository, signing) = (Repository::new(), Some(key()));
            if !first {
                committed(publish_by(&repository, &signing, "base", sane()).await);
            }
            let before = repository.release();
            let (slow, gate) = (repository.faulty(), Gate::new());
            slow.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
            let options = sane();
            let package = package("wanted");
            let packages = [&package];
            let publish = publish_as(&slow, keys(&signing), &packages, options);
            let jump = async {
                gate.reached().await;
                repository
                    .clock
                    .set(Timestamp::from_second(YEAR_2100).unwrap());
                gate.open();
            };
            let published = tokio::select! {
                biased;
                published = publish => Some(published),
                () = async { jump.await; std::future::pending().await } => None,
            };
            match published.unwrap() {
                Ok(_) => assert!(repository.date().as_second() < START + HOURS, "{nth}"),
                Err(Error::StoreClock { .. }) => assert_eq!(repository.release(), before),
                Err(error) => panic!("{nth}: {error}"),
            }
            if (slow.requests().len() as u64) < nth {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_date_in_the_future_is_named_and_can_be_reset() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish_by(&repository, &signing, "base", sane()).await);
    repository
        .clock
        .set(Timestamp::from_second(YEAR_2100).unwrap());
    let mut trusting = sane();
    trusting.allow.store_clock = true;
    committed(publish_by(&repository, &signing, "ahead", trusting).await);
    assert_eq!(repository.date().as_second(), YEAR_2100);

    let now = START + 60;
    repository.clock.set(Timestamp::from_second(now).unwrap());
    let store = open(repository.bucket.clone(), Writes::Conditional);
    let suite = store.suite(suite(), Keys::Unchecked);
    let warns = async || {
        let head = suite.existing_head().await.unwrap();
        let warnings = suite.warnings(&head);
        let is_future = |warning| matches!(warning, Warning::FutureDate { .. });
        warnings.into_iter().any(is_future)
    };
    assert!(warns().await);
    committed(publish_by(&repository, &signing, "still", sane()).await);
    assert_eq!(
        repository.date().as_second(),
        YEAR_2100,
        "it never falls by itself"
    );

    // Also where there is nothing else to do.
    let mut reset = sane();
    reset.allow.reset_date = true;
    committed(publish_by(&repository, &signing, "still", reset).await);
    assert_eq!(repository.date().as_second(), now);
    assert!(!warns().await);
    let nothing = publish_by(&repository, &signing, "still", reset).await;
    assert!(is_unchanged(nothing));
    committed(publish_by(&repository, &signing, "next", sane()).await);
    assert_eq!(repository.date().as_second(), now);
    repository.check_followers().await;
}

#[tokio::test]
async fn a_date_that_is_an_hour_ahead_is_named_too() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let store = open(repository.bucket.clone(), Writes::Conditional);
    let suite = store.suite(suite(), Keys::Unchecked);
    committed(publish_by(&repository, &signing, "base", sane()).await);
    for (behind, named) in [(0, false), (5, false), (HOURS, true)] {
        let now = Timestamp::from_second(START - behind).unwrap();
        repository.clock.set(now);
        let head = suite.existing_head().await.unwrap();
        assert_eq!(!suite.warnings(&head).is_empty(), named, "{behind}");
    }
}

#[tokio::test]
async fn a_publisher_whose_clock_is_hours_off_changes_nothing() {
    for off in [-40 * HOURS, -5 * HOURS, 5 * HOURS, 1000 * HOURS] {
        // The key was made an hour before.
        let (repository, signing) = (Repository::new(), Some(key()));
        let options = Options {
            own_clock: Some(START + off),
            ..Options::default()
        };
        for name in ["first", "second"] {
            committed(publish_by(&repository, &signing, name, options).await);
            assert_eq!(repository.date().as_second(), START);
        }
    }
}
