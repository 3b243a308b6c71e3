//! A server that answers each request as a test says, byte by byte: for what no real store does on
//! demand.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use s3_storage::{Config, Credentials, Keys, Proxy, S3Config};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Request line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    }
}

/// What is sent, and whether the connection is then closed or left open in silence.
pub(crate) struct Reply {
    pub(crate) bytes: String,
    pub(crate) closes: bool,
}

/// An answer with a body; the length is announced as `length`, or as it is.
pub(crate) fn answer(status: &str, headers: &str, body: &str, length: Option<usize>) -> Reply {
    let length = length.unwrap_or(body.len());
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nAge: 1";
    let head = format!(
        "HTTP/1.1 {status}\r\n{date}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    Reply {
        bytes: head + body,
        closes: true,
    }
}

pub(crate) type Requests = Arc<Mutex<Vec<Request>>>;

/// Serves until the runtime ends. Returns the address and the requests as they come.
pub(crate) async fn serve(
    tls: Option<TlsAcceptor>,
    reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let reply = Arc::new(reply);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (seen, reply, tls) = (Arc::clone(&seen), Arc::clone(&reply), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => converse(socket, &seen, &*reply).await,
                    Some(tls) => match tls.accept(socket).await {
                        Ok(socket) => converse(socket, &seen, &*reply).await,
                        Err(_) => Some(()),
                    },
                }
            });
        }
    });
    (address, requests)
}

async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Requests,
    reply: &(impl Fn(usize, &Request) -> Reply + ?Sized),
) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let mut request = Request {
        head,
        body: bytes.split_off(end),
    };
    let length = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        if socket.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    let reply = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        reply(seen.len(), &request)
    };
    socket.write_all(reply.bytes.as_bytes()).await.ok()?;
    socket.flush().await.ok()?;
    if reply.closes {
        socket.shutdown().await.ok()
    } else {
        std::future::pending().await
    }
}

/// A bucket on a server.
pub(crate) fn config(scheme: &str, address: SocketAddr) -> S3Config {
    let access = Config {
        endpoint: Some(format!("{scheme}://localhost:{}", address.port())),
        region: Some("us-east-1".into()),
        credentials: Credentials::Static(Keys {
            session_token: Some("a-token-that-is-not-shown".into()),
            ..Keys::new("AKIDEXAMPLE", "a-secret-that-is-not-shown")
        }),
        proxy: Proxy::Direct,
        ..Config::default()
    };
    S3Config::new("bucket", access)
}
