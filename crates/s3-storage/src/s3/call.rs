//! One request, from the client to its answer: the region that the bucket turns out to be in, the
//! clock that turns out to be wrong.
//!
//! Throttling, server errors and broken connections are retried below, by the SDK. What is tried
//! again here, at most once for each reason, is a request that another region or another time makes
//! right. What was observed of all these attempts ends in one [`Exchange`].

use std::{error::Error as StdError, fmt, marker::PhantomData};

use aws_access::Exchange;
use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::{
    Client,
    config::Region,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextRef},
        },
        orchestrator::HttpResponse,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{config_bag::ConfigBag, retry::RetryConfig};

use super::{S3, answer, request::Request, retry::Retry};
use crate::{Error, ErrorKind};

impl S3 {
    /// The region that is known by now.
    pub(super) async fn region(&self) -> String {
        let mut slot = self.inner.region.lock().await;
        if let Some(known) = &*slot {
            return known.clone();
        }
        slot.insert(self.inner.access.region().await).clone()
    }
}

impl Request<'_> {
    /// Runs `send`; more than once where the bucket is in another region than was thought or the
    /// clock was wrong.
    pub(super) async fn send<T, E, F>(&self, send: impl Fn(Client) -> F) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let inner = &self.s3.inner;
        let learn = || {
            let date = self.date();
            date.is_some_and(|date| inner.access.clock().learn(date))
        };
        let mut moved = false;
        let mut corrected = false;
        loop {
            let region = self.s3.region().await;
            let mut builder = inner.builder.clone();
            if self.once {
                builder = builder.retry_config(RetryConfig::disabled());
            }
            let config = builder
                .region(Region::new(region.clone()))
                .retry_classifier(Retry::<E>::new())
                .interceptor(Watch::<E>::of(self));
            let sdk = match send(Client::from_conf(config.build())).await {
                Ok(output) => {
                    learn();
                    return Ok(output);
                }
                Err(sdk) => sdk,
            };
            let clock_changed = sdk.raw_response().is_some() && learn();
            let hint = answer::region_hint(&sdk).filter(|right| *right != region);
            let error = answer::error(self, sdk);
            // An answer to HEAD has no body, hence no code: 403 stands for all reasons.
            let maybe_time = error.kind() == ErrorKind::ClockSkew
                || (error.status() == Some(403) && error.code().is_none());
            if maybe_time && clock_changed && !corrected {
                corrected = true;
                continue;
            }
            if let Some(right) = hint.filter(|_| !moved) {
                tracing::info!(
                    bucket = self.s3.bucket(),
                    from = region,
                    to = right,
                    "the bucket is in another region"
                );
                moved = true;
                *inner.region.lock().await = Some(right);
                continue;
            }
            return Err(error);
        }
    }
}

/// Attaches the exchange to each attempt, and sees its answer. `E` is the operation's error.
struct Watch<E> {
    exchange: Exchange,
    /// In hex.
    payload: Option<String>,
    error: PhantomData<fn() -> E>,
}

impl<E> Watch<E> {
    fn of(request: &Request<'_>) -> Self {
        Self {
            exchange: request.exchange.clone(),
            payload: request.sha256.map(hex::encode),
            error: PhantomData,
        }
    }
}

impl<E> fmt::Debug for Watch<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> Intercept for Watch<E> {
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

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(response), Some(Err(error))) = (context.response(), context.output_or_error())
        else {
            return Ok(());
        };
        let status = response.status().as_u16();
        let error = error
            .as_operation_error()
            .and_then(|error| error.downcast_ref::<E>());
        if answer::leaves_open(status, error.map(ProvideErrorMetadata::code)) {
            self.exchange.set_unanswered();
        }
        Ok(())
    }
}
