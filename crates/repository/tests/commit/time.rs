//! Dates come from the store, and never fall.

use std::time::Duration;

use jiff::Timestamp;

use crate::repository::{Repository, START, committed, key, package, publish};

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
