//! What is observed of one operation, across its attempts: the reply's `Date` and how long the line
//! was silent.
//!
//! The SDK's outputs do not carry the reply's headers, so an interceptor attaches an [`Exchange`]
//! to every attempt's request, and the connector (see [`super::connector`]) writes into it what the
//! network said. Nothing is shared between operations.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_runtime::auth::PayloadSigningOverride;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use jiff::Timestamp;

/// How many attempts' worth of silence an operation may spend in all.
const SILENT_ATTEMPTS: u32 = 3;

/// One operation, as the connector saw it. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// How long nothing may move in one attempt.
    pub(super) silence: Duration,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    date: Option<Timestamp>,
    silence_left: Duration,
}

impl Exchange {
    pub(super) fn new(silence: Duration) -> Self {
        let seen = Seen {
            date: None,
            silence_left: silence.saturating_mul(SILENT_ATTEMPTS),
        };
        Self {
            silence,
            seen: Arc::new(Mutex::new(seen)),
        }
    }

    /// The `Date` of the last reply.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.lock().date
    }

    pub(super) fn set_date(&self, date: Option<Timestamp>) {
        self.lock().date = date;
    }

    /// How long the next attempt may be silent.
    pub(super) fn silence_left(&self) -> Duration {
        self.silence.min(self.lock().silence_left)
    }

    /// Counts a silence that an attempt ended with.
    pub(super) fn spend(&self, silent: Duration) {
        let mut seen = self.lock();
        seen.silence_left = seen.silence_left.saturating_sub(silent);
    }

    /// Attaches this exchange to an operation. With `sha256` the payload is signed by that digest,
    /// instead of being read for it or left unsigned.
    pub(super) fn watch(&self, sha256: Option<[u8; 32]>) -> Watch {
        Watch {
            exchange: self.clone(),
            payload: sha256.map(hex::encode),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interceptor that attaches an exchange.
#[derive(Debug)]
pub(super) struct Watch {
    exchange: Exchange,
    payload: Option<String>,
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_signing(
        &self,
        _context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(sha256) = &self.payload {
            config
                .interceptor_state()
                .store_put(PayloadSigningOverride::Precomputed(sha256.clone()));
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().add_extension(self.exchange.clone());
        Ok(())
    }
}
