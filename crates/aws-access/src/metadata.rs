//! The metadata service of an EC2 instance, as a source of credentials.
//!
//! Where there is none, its addresses are often black holes: nothing answers, nothing refuses. So it
//! has a short time to be found. Once anything was answered it is there, and has the time that a busy
//! service takes; what goes wrong then is no sign that this machine is elsewhere.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_config::{
    imds::{self, credentials::ImdsCredentialsProvider},
    provider_config::ProviderConfig,
};
use aws_smithy_runtime_api::client::{
    connection::CaptureSmithyConnection,
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use tokio::time::timeout;

use crate::{
    CredentialError, CredentialProblem, CredentialSource, Keys, cause,
    connector::Overloaded,
    credentials::{FromSdk, timed_out},
};

/// How long the service may take to be found.
pub(crate) const TO_BE_FOUND: Duration = Duration::from_secs(1);

/// How long it may take in all once it has answered.
const TO_ANSWER: Duration = Duration::from_secs(5);

/// The name of the source in messages.
pub(crate) const NAME: &str = "instance metadata";

#[derive(Debug)]
pub(crate) struct Metadata {
    source: FromSdk,
    seen: Arc<Seen>,
}

impl Metadata {
    pub(crate) fn new(config: &ProviderConfig, http: SharedHttpClient) -> Self {
        let seen = Arc::new(Seen::default());
        let http = Observed {
            inner: http,
            seen: Arc::clone(&seen),
        };
        let config = config.clone().with_http_client(http);
        let client = imds::Client::builder()
            .configure(&config)
            .connect_timeout(TO_BE_FOUND)
            .read_timeout(TO_ANSWER)
            .build();
        let provider = ImdsCredentialsProvider::builder()
            .configure(&config)
            .imds_client(client);
        let source = FromSdk::new(NAME, provider.build());
        Self { source, seen }
    }
}

#[async_trait]
impl CredentialSource for Metadata {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        use CredentialProblem::{Missing, Unavailable, Unreachable};
        let mut asked = self.source.keys();
        let mut ended = timeout(TO_BE_FOUND, &mut asked).await;
        let is_there = self.seen.answered.load(Ordering::Relaxed);
        if is_there && ended.is_err() {
            ended = timeout(TO_ANSWER - TO_BE_FOUND, &mut asked).await;
        }
        let error = match ended {
            Ok(Ok(keys)) => return Ok(keys),
            Ok(Err(error))
                if is_there && matches!(error.problem(), Unavailable | Unreachable(_)) =>
            {
                return Err(error);
            }
            Ok(Err(error)) => error,
            Err(_) if is_there => return Err(timed_out(TO_ANSWER, NAME)),
            Err(_) if self.seen.connection().get().is_some() => {
                let message = "the service takes connections and does not answer: in a container, the instance's \
                    HttpPutResponseHopLimit must be 2";
                return Err(CredentialError::new(Missing, message));
            }
            Err(_) => {
                let message = format!("nothing answers within {} s", TO_BE_FOUND.as_secs());
                return Err(CredentialError::new(Missing, message));
            }
        };
        // Something else answers there, or it has no keys.
        Err(CredentialError::new(Missing, error.to_string()).with_source(error))
    }
}

/// What was seen of the service.
#[derive(Debug, Default)]
struct Seen {
    answered: AtomicBool,
    connection: Mutex<CaptureSmithyConnection>,
}

impl Seen {
    fn connection(&self) -> MutexGuard<'_, CaptureSmithyConnection> {
        let connection = self.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }
}

/// An HTTP client, or one of its connectors, that notes what is seen.
#[derive(Debug)]
struct Observed<T> {
    inner: T,
    seen: Arc<Seen>,
}

impl HttpClient for Observed<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Observed {
            inner: self.inner.http_connector(settings, components),
            seen: Arc::clone(&self.seen),
        })
    }
}

impl HttpConnector for Observed<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let connection = request
            .extension::<CaptureSmithyConnection>()
            .cloned()
            .unwrap_or_default();
        request.add_extension(connection.clone());
        let seen = Arc::clone(&self.seen);
        *seen.connection() = connection;
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            let is_there = match &answer {
                Ok(_) => true,
                Err(error) => cause::<Overloaded>(error).is_some(),
            };
            if is_there {
                seen.answered.store(true, Ordering::Relaxed);
            }
            answer
        })
    }
}

/// A client for what else the service tells, that gives up soon.
pub(crate) fn client(config: &ProviderConfig) -> imds::Client {
    let wait = TO_BE_FOUND / 2;
    imds::Client::builder()
        .configure(config)
        .max_attempts(2)
        .connect_timeout(wait)
        .read_timeout(wait)
        .build()
}
