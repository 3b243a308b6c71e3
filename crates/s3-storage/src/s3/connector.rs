//! HTTP and TLS below the SDK: hyper and rustls with ring, proxies, and the silence that ends an
//! attempt.
//!
//! The SDK's own read timeout runs from the start of a request to the first byte of its answer, so
//! it would end an upload that moves along well over a slow line. Here an attempt ends when
//! *nothing moved* for a time: no piece of the request was taken by the connection, no byte of the
//! answer came.

use std::{
    collections::HashMap,
    fmt,
    future::Future as _,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use tokio::time::{Instant, Sleep};

use super::exchange::Exchange;

/// Metadata services answer on the machine itself: never through a proxy.
const METADATA_HOSTS: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::254]",
];

/// Where a request goes and whom to trust there. TLS is set up at the first `https` request:
/// reading the system's certificates takes milliseconds, and a plain store may be used where there
/// are none.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) proxy: ProxyConfig,
    pub(super) trust: TlsContext,
}

/// To connect, and to the first byte of the answer.
type Timeouts = (Option<Duration>, Option<Duration>);

/// The HTTP client for the SDK: a connection pool for each pair of timeouts.
pub(super) struct Http {
    network: Network,
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

impl Http {
    pub(super) fn new(network: Network) -> Self {
        Self {
            network,
            connectors: Mutex::default(),
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let mut connectors = self
            .connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (settings.connect_timeout(), settings.read_timeout());
        let make =
            || SharedHttpConnector::new(ByScheme::new(self.network.clone(), settings.clone()));
        connectors.entry(key).or_insert_with(make).clone()
    }
}

/// Connections of the three kinds, each set up when it is first needed.
struct ByScheme {
    network: Network,
    settings: HttpConnectorSettings,
    metadata: OnceLock<Connector>,
    plain: OnceLock<Connector>,
    tls: OnceLock<Connector>,
}

impl ByScheme {
    fn new(network: Network, settings: HttpConnectorSettings) -> Self {
        Self {
            network,
            settings,
            metadata: OnceLock::new(),
            plain: OnceLock::new(),
            tls: OnceLock::new(),
        }
    }

    fn choose(&self, uri: &str) -> &Connector {
        let base = || Connector::builder().connector_settings(self.settings.clone());
        let Some(rest) = uri.strip_prefix("http://") else {
            return self.tls.get_or_init(|| {
                let provider = tls::Provider::Rustls(CryptoMode::Ring);
                base()
                    .proxy_config(self.network.proxy.clone())
                    .tls_provider(provider)
                    .tls_context(self.network.trust.clone())
                    .build()
            });
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if METADATA_HOSTS.iter().any(|host| {
            authority
                .strip_prefix(host)
                .is_some_and(|port| port.is_empty() || port.starts_with(':'))
        }) {
            return self
                .metadata
                .get_or_init(|| base().proxy_config(ProxyConfig::disabled()).build_http());
        }
        self.plain
            .get_or_init(|| base().proxy_config(self.network.proxy.clone()).build_http())
    }
}

impl fmt::Debug for ByScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByScheme")
    }
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.choose(request.uri());
        match request.extension::<Exchange>().cloned() {
            // Not a request to the bucket, but one for credentials: the SDK's own timeouts hold.
            None => connector.call(request),
            Some(exchange) => watched(connector, request, exchange),
        }
    }
}

fn watched(connector: &Connector, request: HttpRequest, exchange: Exchange) -> HttpConnectorFuture {
    let moved = Arc::new(Mutex::new(Instant::now()));
    let last_moved = {
        let moved = Arc::clone(&moved);
        move || *moved.lock().unwrap_or_else(PoisonError::into_inner)
    };
    let mut request = request;
    if request.body().bytes().is_none() {
        let inner = request.take_body();
        *request.body_mut() = SdkBody::from_body_1_x(Sent { inner, moved });
    }
    let answer = connector.call(request);
    HttpConnectorFuture::new(async move {
        tokio::pin!(answer);
        let limit = exchange.silence_left();
        let result = loop {
            let deadline = last_moved() + limit;
            tokio::select! {
                biased;
                result = &mut answer => break result,
                () = tokio::time::sleep_until(deadline) => {
                    if last_moved() + limit <= Instant::now() {
                        break Err(ConnectorError::timeout(Silence(limit).into()));
                    }
                }
            }
        };
        exchange.spend(last_moved().elapsed());
        let response = result.map_err(|error| {
            // Where no silence is left to be spent, another attempt would only wait in vain: this
            // kind is not retried.
            let over = exchange.silence_left().is_zero();
            if over && error.is_timeout() {
                ConnectorError::user(error.into_source())
            } else {
                error
            }
        })?;
        exchange.set_date(date(&response));
        let silence = exchange.silence;
        Ok(response.map(|inner| {
            SdkBody::from_body_1_x(Received {
                inner,
                silence,
                alarm: None,
            })
        }))
    })
}

/// The reply's `Date`; not that of a cache, which is old.
fn date(response: &HttpResponse) -> Option<Timestamp> {
    if response.headers().get("age").is_some() {
        return None;
    }
    parse_http_date(response.headers().get("date")?)
}

/// A date as HTTP writes it (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let date =
        aws_smithy_types::DateTime::from_str(text, aws_smithy_types::date_time::Format::HttpDate)
            .ok()?;
    Timestamp::from_second(date.secs()).ok()
}

/// Nothing moved for this long.
#[derive(Debug)]
pub(super) struct Silence(Duration);

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing arrived for {} s", self.0.as_secs_f32())
    }
}

impl std::error::Error for Silence {}

/// A request's body that notes when the connection takes a piece.
struct Sent {
    inner: SdkBody,
    moved: Arc<Mutex<Instant>>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.inner)
    }
}

/// A reply's body that ends with [`Silence`] where nothing comes.
struct Received {
    inner: SdkBody,
    silence: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let silence = self.silence;
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.alarm = None;
            return Poll::Ready(frame);
        }
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        alarm
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(Silence(silence).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.inner)
    }
}
