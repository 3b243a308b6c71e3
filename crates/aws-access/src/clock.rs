//! The clock that requests are signed by: the local one, corrected by what the store's replies say.
//!
//! A signature (AWS Signature Version 4) carries the time, and a store refuses one that is more
//! than 15 minutes off (`RequestTimeTooSkewed`). A device without a battery for its clock, or a
//! runner with a wrong one, would be locked out, though every reply tells the right time in its
//! `Date` header. So the offset is learned from the replies; a request that was refused for its
//! time is sent once more, and all later ones are right from the start. The credentials' expiry is
//! judged by the same clock.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::{SystemTimeSource, TimeSource};
use jiff::Timestamp;

/// A difference below this many seconds is left alone: it is within a network's delays, and far
/// below what a store tolerates.
const TOLERATED: i64 = 60;

/// A local clock; the default is the machine's own.
#[derive(Clone)]
pub struct LocalClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl LocalClock {
    /// A clock that shows what `now` says.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for LocalClock {
    fn default() -> Self {
        Self::new(|| SystemTimeSource::new().now())
    }
}

impl TimeSource for LocalClock {
    fn now(&self) -> SystemTime {
        Self::now(self)
    }
}

impl fmt::Debug for LocalClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalClock")
    }
}

/// The service's clock: the local one with an offset that is learned from its answers. Clones
/// share it.
#[derive(Debug, Clone)]
pub struct StoreClock {
    local: LocalClock,
    /// Seconds that the service is ahead.
    offset: Arc<AtomicI64>,
}

impl StoreClock {
    pub(crate) fn new(local: LocalClock) -> Self {
        Self {
            local,
            offset: Arc::default(),
        }
    }

    /// Learns from the `Date` of an answer that just arrived. Whether that changed the clock.
    pub fn learn(&self, date: Timestamp) -> bool {
        let Ok(local) = Timestamp::try_from(self.local.now()) else {
            return false;
        };
        let offset = date.as_second() - local.as_second();
        let known = self.offset.load(Ordering::Relaxed);
        if (offset - known).abs() < TOLERATED {
            return false;
        }
        let offset = if offset.abs() < TOLERATED { 0 } else { offset };
        tracing::info!(seconds = offset, "the local clock differs from the store's");
        self.offset.swap(offset, Ordering::Relaxed) != offset
    }
}

impl TimeSource for StoreClock {
    fn now(&self) -> SystemTime {
        let local = self.local.now();
        let offset = self.offset.load(Ordering::Relaxed);
        let distance = Duration::from_secs(offset.unsigned_abs());
        let shifted = if offset < 0 {
            local.checked_sub(distance)
        } else {
            local.checked_add(distance)
        };
        shifted.unwrap_or(local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn a_day_is_corrected_either_way_and_seconds_are_not() {
        let clock = StoreClock::new(LocalClock::new(|| at(1_000_000)));
        assert!(!clock.learn(Timestamp::from_second(1_000_030).unwrap()));
        assert_eq!(clock.now(), at(1_000_000));
        assert!(clock.learn(Timestamp::from_second(1_086_400).unwrap()));
        assert_eq!(clock.now(), at(1_086_400));
        assert!(
            !clock.learn(Timestamp::from_second(1_086_401).unwrap()),
            "nothing new"
        );
        assert!(clock.learn(Timestamp::from_second(913_600).unwrap()));
        assert_eq!(clock.now(), at(913_600));
        assert!(
            clock.learn(Timestamp::from_second(1_000_001).unwrap()),
            "the local clock was set right"
        );
        assert_eq!(clock.now(), at(1_000_000));
    }
}
