//! The store's clock: the `Date` of each reply, `Last-Modified`, and what a signature's time is
//! compared with.
//!
//! It follows the machine's clock, shifted by an offset, so that a test can let the store and its
//! client disagree, or it stands still, so that two writes fall into the same second for certain.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;

/// The clock of one store; clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Seconds by which the store is ahead of the machine.
    offset: i64,
    /// Seconds since 1970 at which it stands still.
    frozen: Option<i64>,
}

impl Clock {
    /// A clock that is `seconds` ahead of the machine's (negative: behind).
    pub fn with_offset(seconds: i64) -> Self {
        let clock = Self::default();
        clock.set_offset(seconds);
        clock
    }

    /// Sets how many seconds it is ahead of the machine's clock (negative: behind). A frozen clock
    /// runs again.
    pub fn set_offset(&self, seconds: i64) {
        *self.state() = State {
            offset: seconds,
            frozen: None,
        };
    }

    /// Lets it stand still at what it shows now.
    pub fn freeze(&self) {
        let now = self.unix();
        self.state().frozen = Some(now);
    }

    /// Moves it forward, frozen or not; to the second.
    pub fn advance(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        let mut state = self.state();
        state.offset = state.offset.saturating_add(seconds);
        state.frozen = state.frozen.map(|at| at.saturating_add(seconds));
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> i64 {
        let state = self.state();
        state
            .frozen
            .unwrap_or_else(|| machine().saturating_add(state.offset))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine's clock in seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the store's clock, which the others take as a parameter"
)]
fn machine() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// Seconds since 1970 as a point in time; before 1970 is 1970.
pub(crate) fn at(unix: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix).unwrap_or(0))
}

/// Seconds since 1970 as HTTP writes it (`Tue, 29 Apr 2014 18:30:38 GMT`).
pub(crate) fn http_date(unix: i64) -> String {
    timestamp(unix)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// Seconds since 1970 as S3's XML has them (`2014-04-29T18:30:38.000Z`).
pub(crate) fn iso(unix: i64) -> String {
    timestamp(unix)
        .strftime("%Y-%m-%dT%H:%M:%S.000Z")
        .to_string()
}

/// The nearest time that can be written.
fn timestamp(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).unwrap_or(if unix < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_stands_still_until_it_is_moved() {
        let clock = Clock::with_offset(-1_000_000);
        clock.freeze();
        let before = clock.unix();
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.unix(), before + 7);
        assert_eq!(clock.clone().unix(), before + 7);
    }

    #[test]
    fn times_are_written_as_http_and_xml_have_them() {
        assert_eq!(http_date(1_398_796_238), "Tue, 29 Apr 2014 18:30:38 GMT");
        assert_eq!(iso(1_398_796_238), "2014-04-29T18:30:38.000Z");
        assert!(http_date(i64::MAX).ends_with("9999 22:00:00 GMT"));
    }
}
