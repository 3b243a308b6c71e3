//! One request over TLS on a connection of its own, with a client certificate, which the SDK's HTTP
//! client does not support. It goes straight to the server or through a proxy.
//!
//! Why there is no answer is told by the types of an error's causes, as
//! [`ConnectProblem`](crate::ConnectProblem) knows them.

use std::{error::Error as StdError, net::SocketAddr, sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::dns::ResolveDns as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    client::conn::http1,
    header::{HOST, PROXY_AUTHORIZATION},
};
use hyper_util::{client::proxy::matcher::Intercept, rt::TokioIo};
use rustls::{
    ClientConfig, RootCertStore, client::ResolvesClientCert, crypto::ring::default_provider,
    pki_types::ServerName,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{resolver::SystemResolver, target::host};

/// How long an answer may be, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// How long one address of several may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type BoxError = Box<dyn StdError + Send + Sync>;

/// The proxy does not let the connection through.
#[derive(Debug, thiserror::Error)]
#[error("the proxy answered with status {0}")]
pub(crate) struct ProxyRefused(pub(crate) StatusCode);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends a request to the server in its URL, which must be one of https, and reads the whole answer.
/// `certificate` is shown to that server only, not to a proxy.
pub(crate) async fn send(
    mut request: Request<String>,
    authorities: RootCertStore,
    certificate: Arc<dyn ResolvesClientCert>,
    proxy: Option<&Intercept>,
) -> Result<Response<Bytes>, BoxError> {
    let server = request.uri().clone();
    // Only a proxy would be told the whole URL (RFC 9112, 3.2.1).
    let path = server.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse()?;
    // They end with this request.
    let mut connections = JoinSet::new();
    let plain = tls(authorities)?;
    let stream: Box<dyn Stream> = match proxy {
        None => Box::new(connect(&server).await?),
        Some(proxy) => through(proxy, &server, &plain, &mut connections).await?,
    };
    let mut with_certificate = plain;
    with_certificate.client_auth_cert_resolver = certificate;
    let stream = secure(stream, &server, with_certificate).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    connections.spawn(async { connection.await.map_err(drop) });
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

fn tls(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(config
        .with_root_certificates(authorities)
        .with_no_client_auth())
}

async fn secure(
    stream: impl Stream + 'static,
    server: &Uri,
    config: ClientConfig,
) -> Result<impl Stream + 'static, BoxError> {
    let name = ServerName::try_from(host(server).to_owned())?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(connector.connect(name, stream).await?)
}

fn port(url: &Uri) -> u16 {
    let of_scheme = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    url.port_u16().unwrap_or(of_scheme)
}

/// A connection to the first address of a server that takes one.
async fn connect(server: &Uri) -> Result<TcpStream, BoxError> {
    let addresses = SystemResolver.resolve_dns(host(server)).await?;
    let mut failed: BoxError = "the name has no address".into();
    for address in addresses {
        let address = SocketAddr::new(address, port(server));
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error.into(),
            Err(_) => failed = std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
        }
    }
    Err(failed)
}

/// A connection to `server` that `proxy` makes (RFC 9110, 9.3.6).
async fn through(
    proxy: &Intercept,
    server: &Uri,
    tls: &ClientConfig,
    connections: &mut JoinSet<Result<(), ()>>,
) -> Result<Box<dyn Stream>, BoxError> {
    let stream = connect(proxy.uri()).await?;
    let stream: Box<dyn Stream> = if proxy.uri().scheme_str() == Some("https") {
        Box::new(secure(stream, proxy.uri(), tls.clone()).await?)
    } else {
        Box::new(stream)
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    connections.spawn(async { connection.with_upgrades().await.map_err(drop) });
    let target = format!("{}:{}", server.host().unwrap_or_default(), port(server));
    let mut request = Request::connect(&target)
        .header(HOST, &target)
        .body(String::new())?;
    if let Some(password) = proxy.basic_auth() {
        request
            .headers_mut()
            .insert(PROXY_AUTHORIZATION, password.clone());
    }
    let answer = sender.send_request(request).await?;
    if !answer.status().is_success() {
        return Err(ProxyRefused(answer.status()).into());
    }
    Ok(Box::new(TokioIo::new(hyper::upgrade::on(answer).await?)))
}
