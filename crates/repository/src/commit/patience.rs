//! How long a publisher tries to move a head, and when it says that this takes longer than usual.
//!
//! Three things can keep it: other publishers are faster; the store refuses to replace a head that does not change; or a reply was
//! lost, so that it is not known whether the head was written. Each has its own limit.

use std::time::Duration;

use deb_index::name::SuiteName;
use tokio::time::{Instant, timeout_at};

use crate::{Error, Observer};

/// How long a publisher tries to win the race for the head: far longer than a crowd of them needs.
const RACE: Duration = Duration::from_secs(600);
/// How long it looks for what became of a head that it sent: long enough for a store or a network that restarts.
const DOUBT: Duration = Duration::from_secs(90);
/// How long the store may refuse to replace a head that does not change.
const REFUSAL: Duration = Duration::from_secs(20);
/// How long until the observer gets a notice.
const NOTICE_AFTER: Duration = Duration::from_secs(3);
/// The longest first pause; doubled each time. Each pause is shortened at random.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long it is worth trying again.
pub(crate) struct Patience<'a> {
    observer: &'a dyn Observer,
    suite: &'a SuiteName,
    pub(crate) attempts: u32,
    started: Instant,
    doubting_since: Option<Instant>,
    refusing_since: Option<Instant>,
    has_noticed: bool,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(observer: &'a dyn Observer, suite: &'a SuiteName) -> Self {
        Self {
            observer,
            suite,
            attempts: 0,
            started: Instant::now(),
            doubting_since: None,
            refusing_since: None,
            has_noticed: false,
        }
    }

    /// Pauses before the next attempt: longer each time, and of random length, so that a crowd spreads out. `in_doubt`: it is
    /// not known whether the last attempt took effect. False if it has been tried for long enough.
    pub(crate) async fn wait(&mut self, in_doubt: bool) -> bool {
        self.attempts += 1;
        let suite = self.suite;
        tracing::info!(%suite, attempts = self.attempts, in_doubt, "the head is not known to have moved; looking again");
        let (since, limit, why) = if in_doubt {
            let since = *self.doubting_since.get_or_insert_with(Instant::now);
            let why =
                format!("the store did not say whether it changed suite {suite}; finding out");
            (since, DOUBT, why)
        } else {
            self.doubting_since = None;
            let why = format!("other publishers are changing suite {suite} too; still trying");
            (self.started, RACE, why)
        };
        if since.elapsed() >= limit {
            return false;
        }
        if since.elapsed() > NOTICE_AFTER {
            self.notice(&why);
        }
        let longest = FIRST_PAUSE
            .saturating_mul(1 << self.attempts.min(7))
            .min(LONGEST_PAUSE);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        true
    }

    /// Runs what is to end the doubt, if there is one, for no longer than the doubt may last. None if the time is over.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.doubting_since {
            Some(since) => timeout_at(since + DOUBT, work).await.ok(),
            None => Some(work.await),
        }
    }

    /// After a refusal: whether the head is still the one that was to be replaced. One that stays the same although the store
    /// refuses to replace it has a version tag that the store does not accept.
    pub(crate) fn refused(&mut self, is_unchanged: bool) -> Result<(), Error> {
        if !is_unchanged {
            self.refusing_since = None;
            return Ok(());
        }
        let since = *self.refusing_since.get_or_insert_with(Instant::now);
        let suite = self.suite;
        if since.elapsed() > REFUSAL {
            return Err(Error::TagRefused {
                suite: suite.clone(),
            });
        }
        if since.elapsed() > NOTICE_AFTER {
            self.notice(&format!(
                "the store refuses to replace the head of suite {suite}, although it is unchanged; still trying"
            ));
        }
        Ok(())
    }

    fn notice(&mut self, text: &str) {
        if !std::mem::replace(&mut self.has_noticed, true) {
            self.observer.notice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use deb_index::stanza::Stanza;

    use super::*;
    use crate::Stage;

    /// Notes when it gets a notice, and which.
    struct Notes(Instant, Mutex<Vec<(Duration, String)>>);

    impl Observer for Notes {
        fn upload(&self, _: &Stanza) -> Option<s3_storage::Progress> {
            None
        }

        fn stage(&self, _: Stage) {}

        fn notice(&self, text: &str) {
            let mut notes = self.1.lock().unwrap();
            notes.push((self.0.elapsed(), text.to_owned()));
        }
    }

    /// How long it is tried if the head is not moved, and when what is said of it.
    async fn try_on(
        mut on: impl AsyncFnMut(&mut Patience<'_>) -> bool,
    ) -> (Duration, Duration, String) {
        let notes = Notes(Instant::now(), Mutex::default());
        let suite = "stable".parse().unwrap();
        let mut patience = Patience::new(&notes, &suite);
        while on(&mut patience).await {}
        let lasted = notes.0.elapsed();
        let mut notes = notes.1.into_inner().unwrap();
        assert_eq!(notes.len(), 1, "{notes:?}");
        let (noticed, text) = notes.remove(0);
        (lasted, noticed, text)
    }

    /// That something took `least` seconds, or at most three more: a pause, and the time after which a notice is due.
    fn assert_takes(took: Duration, least: u64) {
        let least = Duration::from_secs(least);
        assert!(
            (least..least + Duration::from_secs(3)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_race_is_run_for_ten_minutes() {
        let (lasted, noticed, text) = try_on(async |patience| patience.wait(false).await).await;
        assert_takes(lasted, 600);
        assert_takes(noticed, 3);
        assert!(text.contains("other publishers"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_doubt_looks_for_a_minute_and_a_half() {
        let (lasted, noticed, text) = try_on(async |patience| patience.wait(true).await).await;
        assert_takes(lasted, 90);
        assert_takes(noticed, 3);
        assert!(text.contains("did not say whether"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_doubt_begins_with_it() {
        let notes = Notes(Instant::now(), Mutex::default());
        let suite = "stable".parse().unwrap();
        let mut patience = Patience::new(&notes, &suite);
        while notes.0.elapsed() < Duration::from_secs(300) {
            assert!(patience.wait(false).await);
        }
        assert!(patience.wait(true).await);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(patience.wait(false).await, "the doubt is over");
        assert!(patience.wait(true).await);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(patience.wait(true).await);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!patience.wait(true).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_cannot_be_replaced_is_given_up_soon() {
        let refused = async |patience: &mut Patience<'_>| {
            patience.wait(false).await && patience.refused(true).is_ok()
        };
        let (lasted, noticed, _) = try_on(refused).await;
        assert_takes(lasted, 20);
        assert_takes(noticed, 3);
    }
}
