//! The time of a signature: whole seconds since 1970, 32 bits without a sign, as OpenPGP keeps it
//! ([RFC 9580, section 3.5](https://www.rfc-editor.org/rfc/rfc9580.html#name-time-fields)).

use std::fmt;

use pgp::types::Timestamp;
use thiserror::Error;

/// A point in time, in seconds since 1970-01-01T00:00:00Z. The last one is in the year 2106.
///
/// It is shown as RFC 3339 in UTC: `2026-05-04T03:02:01Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureTime(u32);

/// The time is before 1970 or after 2106: OpenPGP cannot express it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an OpenPGP signature cannot carry the time {0} (seconds since 1970)")]
pub struct TimeOutOfRange(pub i64);

impl SignatureTime {
    /// The time `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// This time and `seconds` more, or `None` beyond 2106.
    pub(crate) fn after(self, seconds: u32) -> Option<Self> {
        self.0.checked_add(seconds).map(Self)
    }
}

impl TryFrom<i64> for SignatureTime {
    type Error = TimeOutOfRange;

    fn try_from(seconds: i64) -> Result<Self, TimeOutOfRange> {
        u32::try_from(seconds)
            .map(Self)
            .map_err(|_| TimeOutOfRange(seconds))
    }
}

impl From<Timestamp> for SignatureTime {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_secs())
    }
}

impl From<SignatureTime> for Timestamp {
    fn from(time: SignatureTime) -> Self {
        Self::from_secs(time.0)
    }
}

impl fmt::Display for SignatureTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(i64::from(self.0)) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} s after 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_in_utc() {
        assert_eq!(
            SignatureTime::from_seconds(0).to_string(),
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(
            SignatureTime::from_seconds(u32::MAX).to_string(),
            "2106-02-07T06:28:15Z"
        );
    }

    #[test]
    fn refuses_what_openpgp_cannot_express() {
        assert_eq!(
            SignatureTime::try_from(7_i64),
            Ok(SignatureTime::from_seconds(7))
        );
        assert_eq!(SignatureTime::try_from(-1_i64), Err(TimeOutOfRange(-1)));
        assert_eq!(
            SignatureTime::try_from(1_i64 << 32),
            Err(TimeOutOfRange(1 << 32))
        );
    }
}
