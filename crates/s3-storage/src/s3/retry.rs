//! Which answers the SDK tries again besides those that it knows: 429, whatever its code, and other
//! statuses and codes with which stores say that the same request may succeed later.
//!
//! A lost race (409) is not among them: its caller reads what is there first.

use std::{error::Error as StdError, fmt, marker::PhantomData};

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{
    interceptors::context::InterceptorContext,
    retries::classifiers::{ClassifyRetry, RetryAction},
};

use super::answer;
use crate::ErrorKind;

/// `E` is the operation's error.
pub(super) struct Retry<E>(PhantomData<fn() -> E>);

impl<E> Retry<E> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> fmt::Debug for Retry<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Retry")
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> ClassifyRetry for Retry<E> {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let (Some(response), Some(Err(error))) = (context.response(), context.output_or_error())
        else {
            return RetryAction::NoActionIndicated;
        };
        let error = error.as_operation_error();
        let error = error.and_then(|error| error.downcast_ref::<E>());
        let code = error.and_then(ProvideErrorMetadata::code);
        match answer::kind_of(response.status().as_u16(), code) {
            ErrorKind::Throttled => RetryAction::throttling_error(),
            ErrorKind::Unavailable | ErrorKind::Timeout => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Retry"
    }
}
