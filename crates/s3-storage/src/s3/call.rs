//! One operation, from the client to its answer: the region that the bucket turns out to be in, the
//! clock that turns out to be wrong.
//!
//! Throttling, server errors and broken connections are retried below, by the SDK. What is tried
//! again here, at most once for each reason, is a request that another region or another time makes
//! right.

use aws_sdk_s3::{
    Client,
    config::Region,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{
    DEFAULT_REGION, S3, answer, credentials::METADATA_TIMEOUT, environment, exchange::Exchange,
};
use crate::{Error, ErrorKind};

/// A failed operation: what the SDK has of it, for the few that look closer, and our error.
pub(super) struct Failed<E> {
    pub(super) error: Error,
    pub(super) sdk: SdkError<E, HttpResponse>,
}

impl<E> From<Failed<E>> for Error {
    fn from(failed: Failed<E>) -> Self {
        failed.error
    }
}

impl S3 {
    /// Runs `send`; more than once where the bucket is in another region than was thought or the
    /// clock was wrong.
    pub(super) async fn call<T, E, F>(
        &self,
        operation: &'static str,
        key: &str,
        send: impl Fn(Client, Exchange) -> F,
    ) -> Result<(T, Exchange), Failed<E>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut moved = false;
        let mut corrected = false;
        loop {
            let (region, client) = self.client().await;
            let exchange = Exchange::new(self.config().silence_timeout);
            let sdk = match send(client, exchange.clone()).await {
                Ok(output) => {
                    if let Some(date) = exchange.date() {
                        self.inner.clock.learn(date);
                    }
                    return Ok((output, exchange));
                }
                Err(sdk) => sdk,
            };
            let mut error = answer::error(operation, key, &sdk);
            if let (ErrorKind::Connect, Some(endpoint)) = (error.kind(), self.endpoint()) {
                let message = format!("cannot reach {endpoint}: {}", error.message());
                error = Error::new(ErrorKind::Connect, operation, key, message);
            }
            let clock_changed = answer::date(&sdk).is_some_and(|date| self.inner.clock.learn(date));
            // An answer to HEAD has no body, hence no code: 403 stands for all reasons.
            let maybe_time = error.kind() == ErrorKind::ClockSkew
                || (error.status() == Some(403) && error.code().is_none());
            if maybe_time && clock_changed && !corrected {
                corrected = true;
                continue;
            }
            if let Some(right) = answer::region_hint(&sdk).filter(|right| *right != region)
                && !moved
            {
                tracing::info!(
                    bucket = self.bucket(),
                    from = region,
                    to = right,
                    "the bucket is in another region"
                );
                moved = true;
                self.move_to(right).await;
                continue;
            }
            return Err(Failed { error, sdk });
        }
    }

    /// The client for the region that is known by now, and that region.
    async fn client(&self) -> (String, Client) {
        let mut slot = self.inner.client.lock().await;
        if let Some(known) = &*slot {
            return known.clone();
        }
        let from_metadata = match (&self.inner.region, &self.inner.metadata) {
            (None, Some(metadata)) => {
                environment::region_from_metadata(metadata.clone(), METADATA_TIMEOUT).await
            }
            _ => None,
        };
        let region = self
            .inner
            .region
            .clone()
            .or(from_metadata)
            .unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let made = (region.clone(), self.client_for(region));
        *slot = Some(made.clone());
        made
    }

    async fn move_to(&self, region: String) {
        let mut slot = self.inner.client.lock().await;
        if slot.as_ref().is_none_or(|(known, _)| *known != region) {
            *slot = Some((region.clone(), self.client_for(region)));
        }
    }

    fn client_for(&self, region: String) -> Client {
        Client::from_conf(
            self.inner
                .builder
                .clone()
                .region(Region::new(region))
                .build(),
        )
    }
}
