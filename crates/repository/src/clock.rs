//! This machine's clock, which decides nothing about a repository: `Date` and signatures have the store's time. It is only asked
//! whether the store's time makes sense.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use crate::Error;

/// How far the store's clock may be ahead of this machine's. Far more than a wrong time zone or a drifting clock, so that a
/// publisher's own clock changes nothing unless one of the two is absurd.
pub(crate) const TOLERANCE: SignedDuration = SignedDuration::from_hours(48);

/// The machine's clock, or a test's.
#[derive(Clone)]
pub(crate) struct Clock(pub(crate) Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Default for Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads this machine's clock; it only judges the store's"
    )]
    fn default() -> Self {
        Self(Arc::new(Timestamp::now))
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Whether `time` is so far ahead of this machine that one of the two clocks must be wrong.
    pub(crate) fn is_absurd(&self, time: Timestamp) -> bool {
        time.duration_since(self.now()) > TOLERANCE
    }

    /// A store whose clock was ahead once leaves a `Date` that can never fall again, so it is refused before that.
    pub(crate) fn check(&self, store: Timestamp) -> Result<(), Error> {
        if self.is_absurd(store) {
            return Err(Error::StoreClock {
                store,
                own: self.now(),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
