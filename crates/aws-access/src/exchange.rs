//! What is observed of one request, across its attempts: the answer's `Date`, how long the line was
//! silent, and whether the service may have acted without our seeing its answer.
//!
//! The SDK's outputs carry neither headers nor a history of attempts. So a service's client
//! attaches an [`Exchange`] to every attempt's HTTP request, as an extension, and the connector
//! writes into it what the network said. Nothing is shared between requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// How many attempts' worth of silence a request may spend in all.
const SILENT_ATTEMPTS: u32 = 3;

/// One request, as the connector saw it. Clones share it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// How long nothing may move in one attempt.
    pub(crate) silence: Duration,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    date: Option<Timestamp>,
    silence_left: Duration,
    connected: bool,
    unanswered: bool,
    way: String,
}

impl Exchange {
    /// A request of which an attempt may be silent for `silence`, and all attempts together three
    /// times as long.
    pub fn new(silence: Duration) -> Self {
        let seen = Seen {
            date: None,
            silence_left: silence.saturating_mul(SILENT_ATTEMPTS),
            connected: false,
            unanswered: false,
            way: String::new(),
        };
        Self {
            silence,
            seen: Arc::new(Mutex::new(seen)),
        }
    }

    /// The `Date` of the last answer.
    pub fn date(&self) -> Option<Timestamp> {
        self.lock().date
    }

    /// Whether the last attempt had a connection to send the request on.
    pub fn was_connected(&self) -> bool {
        self.lock().connected
    }

    /// Where the last attempt that failed without an answer went, and through which proxy:
    /// `https://host through the proxy http://proxy:3128`.
    pub fn way(&self) -> String {
        self.lock().way.clone()
    }

    /// Whether the service may have carried out some attempt whose answer did not arrive or does
    /// not tell.
    pub fn is_unanswered(&self) -> bool {
        self.lock().unanswered
    }

    /// Notes that the attempt's answer does not tell whether it was carried out: a server error.
    pub fn set_unanswered(&self) {
        self.lock().unanswered = true;
    }

    /// An answer came.
    pub(crate) fn answered(&self, date: Option<Timestamp>) {
        let mut seen = self.lock();
        seen.date = date;
        seen.connected = true;
    }

    /// No answer came. Without a connection nothing was sent.
    pub(crate) fn failed(&self, way: String, connected: bool) {
        let mut seen = self.lock();
        seen.way = way;
        seen.connected = connected;
        seen.unanswered |= connected;
    }

    /// How long the next attempt may be silent.
    pub(crate) fn silence_left(&self) -> Duration {
        self.silence.min(self.lock().silence_left)
    }

    /// Counts a silence that an attempt ended with.
    pub(crate) fn spend(&self, silent: Duration) {
        let mut seen = self.lock();
        seen.silence_left = seen.silence_left.saturating_sub(silent);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
