//! HTTP and TLS below the SDK: hyper and rustls with ring, and the choice between the proxy and the
//! direct way.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::retry::ErrorKind;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::RootCertStore;

use crate::{
    Exchange, bounded::bounded, problem::NoAuthorities, resolver::SystemResolver, silence::watched,
    target::is_direct,
};

/// Where a request goes and whom to trust there.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) proxy: ProxyConfig,
    /// The same proxy, to be asked what it is used for.
    pub(crate) matcher: Arc<Matcher>,
    pub(crate) trust: TrustStore,
    /// The same authorities; `None` is the system's.
    pub(crate) authorities: Option<Arc<RootCertStore>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// Where a request goes, for people.
    pub(crate) fn way(&self, url: &str) -> String {
        let server = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let target: Option<Uri> = url.parse().ok();
        match target.and_then(|target| self.matcher.intercept(&target)) {
            Some(proxy) => {
                let proxy = proxy.uri();
                let (scheme, host) = (proxy.scheme_str(), proxy.host());
                let port = proxy.port().map(|port| format!(":{port}"));
                format!(
                    "{server} through the proxy {}://{}{}",
                    scheme.unwrap_or("http"),
                    host.unwrap_or_default(),
                    port.unwrap_or_default()
                )
            }
            None => server,
        }
    }
}

/// To connect, and to the first byte of the answer.
type Timeouts = (Option<Duration>, Option<Duration>);

/// The HTTP client for the SDK: a connection pool for each pair of timeouts.
#[derive(Debug)]
pub(crate) struct Http {
    network: Network,
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

impl Http {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            connectors: Mutex::default(),
        }
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
        let make = || {
            SharedHttpConnector::new(ByTarget(Arc::new(Kinds {
                network: self.network.clone(),
                settings: settings.clone(),
                connectors: Default::default(),
            })))
        };
        connectors.entry(key).or_insert_with(make).clone()
    }
}

/// Connections by the proxy and direct ones, each in clear and over TLS.
#[derive(Clone)]
struct ByTarget(Arc<Kinds>);

/// Each is set up when it is first needed: to read the system's certificates takes milliseconds,
/// and a plain store may be used where there are none.
struct Kinds {
    network: Network,
    settings: HttpConnectorSettings,
    connectors: [[OnceLock<Connector>; 2]; 2],
}

impl Kinds {
    fn get(&self, url: &str, direct: bool) -> Result<&Connector, ConnectorError> {
        let plain = url.starts_with("http://");
        if !plain && self.network.authorities.is_none() && !*SYSTEM_HAS_AUTHORITIES {
            return Err(ConnectorError::other(NoAuthorities.into(), None));
        }
        let connector =
            self.connectors[usize::from(direct)][usize::from(plain)].get_or_init(|| {
                let proxy = if direct {
                    ProxyConfig::disabled()
                } else {
                    self.network.proxy.clone()
                };
                let trust = if plain {
                    TrustStore::empty()
                } else {
                    self.network.trust.clone()
                };
                let tls = TlsContext::builder().with_trust_store(trust).build();
                Connector::builder()
                    .connector_settings(self.settings.clone())
                    .proxy_config(proxy)
                    .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
                    .tls_context(tls.unwrap_or_default())
                    .build_with_resolver(SystemResolver)
            });
        Ok(connector)
    }
}

impl fmt::Debug for ByTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByTarget")
    }
}

impl HttpConnector for ByTarget {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Some(exchange) = request.extension::<Exchange>().cloned() {
            let way = self.0.network.way(request.uri());
            return match self.0.get(request.uri(), false) {
                Ok(connector) => watched(connector, request, exchange, way),
                Err(error) => {
                    exchange.failed(way, false);
                    HttpConnectorFuture::ready(Err(error))
                }
            };
        }
        // Not a service's request, but one for credentials, to which the SDK's own timeouts apply.
        // The services on this machine answer in clear text: a proxy would see the role's keys, or
        // ask the services of its own machine.
        let kinds = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let direct = request.uri().parse().is_ok_and(|url| is_direct(&url));
            let response = kinds.get(request.uri(), direct)?.call(request).await?;
            let status = response.status().as_u16();
            if direct && (status >= 500 || status == 429) {
                // The SDK would keep no more of it than a text.
                let overloaded = Overloaded(status).into();
                let kind = ErrorKind::TransientError;
                return Err(ConnectorError::other(overloaded, Some(kind)));
            }
            Ok(bounded(response))
        })
    }
}

/// Whether the system has certificates of authorities at all.
static SYSTEM_HAS_AUTHORITIES: LazyLock<bool> = LazyLock::new(|| !system_authorities().is_empty());

/// The authorities that the system trusts.
pub(crate) fn system_authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs().certs;
    authorities.add_parsable_certificates(found);
    authorities
}

/// A credential service on this machine cannot answer now.
#[derive(Debug, thiserror::Error)]
#[error("the service answered with status {0}")]
pub(crate) struct Overloaded(u16);
