//! An HTTP/1.1 proxy on loopback in front of any store, which breaks what can break between a
//! client and it.
//!
//! Requests and replies pass unchanged, `Host` included: the client signs for the proxy's address
//! and the store checks the signature against the header that it sees, so signatures stay valid.
//! Bodies are streamed.
//!
//! A request that was begun is carried to its end even if its client has gone, as a store would do
//! with one that it has received.

mod cut;
mod rule;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    http::{request::Parts, uri::Authority},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use s3s::Body;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use self::cut::{Connection, Cut, Flushes};
pub use self::rule::{Fault, Hook, Next, Rule};
use crate::{
    Error,
    front::answer,
    listen,
    request::{LoggedRequest, RequestInfo},
};

/// A running proxy. It stops when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

struct Inner {
    upstream: Authority,
    client: Client<HttpConnector, Incoming>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    writes: u64,
    log: Vec<LoggedRequest>,
}

/// The connection is closed without a reply.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without a reply")
    }
}

impl std::error::Error for Closed {}

impl FaultProxy {
    /// Starts a proxy in front of `upstream`, of the form `http://127.0.0.1:9000`, on a free port.
    ///
    /// # Errors
    /// The upstream is of another form; no port can be listened on.
    pub async fn start(upstream: &str) -> Result<Self, Error> {
        let form = || Error::Upstream(upstream.to_owned());
        let uri: Uri = upstream.parse().map_err(|_| form())?;
        let authority = uri
            .authority()
            .filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/")
            .ok_or_else(form)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let inner = Arc::new(Inner {
            upstream: authority.clone(),
            client,
            state: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = Arc::clone(&inner);
        let serving = listen::accept(listener, move |stream| {
            Arc::clone(&accepting).connection(stream)
        });
        Ok(Self {
            address,
            inner,
            serving,
        })
    }

    /// What the client takes for the store: `http://127.0.0.1:4321`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule. A request meets the faults of all rules that it matches, in their order, until
    /// one ends it.
    pub fn push(&self, rule: Rule) {
        self.inner.state().rules.push(rule);
    }

    pub fn clear_rules(&self) {
        self.inner.state().rules.clear();
    }

    /// How many requests came that may change something (`PUT`, `POST`, `DELETE`), whatever became
    /// of them.
    pub fn writes(&self) -> u64 {
        self.inner.state().writes
    }

    /// The requests so far, in the order in which they ended; status 0 for those whose client got
    /// no reply.
    pub fn request_log(&self) -> Vec<LoggedRequest> {
        self.inner.state().log.clone()
    }

    /// Forgets them, and the number of writes.
    pub fn clear_request_log(&self) {
        let mut state = self.inner.state();
        state.log.clear();
        state.writes = 0;
    }

    /// Stops: closes the socket and all clients' connections.
    pub async fn stop(mut self) {
        self.serving.abort();
        // Being cancelled is what it was asked for.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy")
            .field("endpoint", &self.endpoint())
            .field("upstream", &self.inner.upstream)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One client's connection, until it or a fault ends it.
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let flushes = Arc::<Flushes>::default();
        let io = TokioIo::new(Connection {
            stream,
            flushes: Arc::clone(&flushes),
        });
        let service =
            service_fn(move |request| Arc::clone(&self).serve(request, Arc::clone(&flushes)));
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }

    async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
        flushes: Arc<Flushes>,
    ) -> Result<Response<Body>, Closed> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let info = RequestInfo::of(&parts, None);
        let faults: Vec<Fault> = {
            let mut state = self.state();
            state.writes += u64::from(info.is_write());
            state
                .rules
                .iter_mut()
                .filter_map(|rule| rule.meet(&info))
                .collect()
        };
        if faults.iter().any(|fault| matches!(fault, Fault::BlackHole)) {
            self.log(info, 0, started);
            return std::future::pending().await;
        }
        // On its own, so that it does not end with its client's connection.
        let carried =
            tokio::spawn(Arc::clone(&self).carry(parts, body, info, faults, flushes, started))
                .await;
        carried.unwrap_or(Err(Closed))
    }

    async fn carry(
        self: Arc<Self>,
        parts: Parts,
        body: Incoming,
        info: RequestInfo,
        faults: Vec<Fault>,
        flushes: Arc<Flushes>,
        started: Instant,
    ) -> Result<Response<Body>, Closed> {
        let reply = self.forward(parts, body, &info, &faults, flushes).await;
        self.log(
            info,
            reply.as_ref().map_or(0, |reply| reply.status().as_u16()),
            started,
        );
        reply
    }

    async fn forward(
        &self,
        parts: Parts,
        body: Incoming,
        info: &RequestInfo,
        faults: &[Fault],
        flushes: Arc<Flushes>,
    ) -> Result<Response<Body>, Closed> {
        for fault in faults {
            match fault {
                Fault::Delay(by) => tokio::time::sleep(*by).await,
                Fault::Refuse => return Err(Closed),
                Fault::Before(hook) if hook(info).await == Next::Close => return Err(Closed),
                Fault::Answer(status, code) => {
                    // A client that is still sending would not read the answer.
                    let _ = body.collect().await;
                    return Ok(answer(
                        *status,
                        code,
                        "The proxy was told to answer so.",
                        "",
                    ));
                }
                Fault::Before(_)
                | Fault::After(_)
                | Fault::LoseReply
                | Fault::CutBody(_)
                | Fault::BlackHole => {}
            }
        }
        let mut reply = self.ask(parts, body).await;
        for fault in faults {
            match fault {
                Fault::After(hook) if hook(info).await == Next::Close => return Err(Closed),
                Fault::LoseReply => {
                    // The store may still be at it while it sends the body.
                    let _ = reply.into_body().collect().await;
                    return Err(Closed);
                }
                Fault::CutBody(after) => {
                    reply = reply.map(|body| {
                        Body::http_body_unsync(Cut::new(body, *after, Arc::clone(&flushes)))
                    });
                }
                _ => {}
            }
        }
        Ok(reply)
    }

    /// The store's reply; 502 where it gave none.
    async fn ask(&self, mut parts: Parts, body: Incoming) -> Response<Body> {
        let mut uri = Uri::builder()
            .scheme("http")
            .authority(self.upstream.clone());
        if let Some(path_and_query) = parts.uri.path_and_query() {
            uri = uri.path_and_query(path_and_query.clone());
        }
        let asked = match uri.build() {
            Ok(uri) => {
                parts.uri = uri;
                self.client
                    .request(Request::from_parts(parts, body))
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match asked {
            Ok(reply) => reply.map(Body::from),
            Err(error) => answer(StatusCode::BAD_GATEWAY, "BadGateway", &error, ""),
        }
    }

    fn log(&self, request: RequestInfo, status: u16, started: Instant) {
        self.state().log.push(LoggedRequest {
            request,
            status,
            time: started..Instant::now(),
        });
    }
}
