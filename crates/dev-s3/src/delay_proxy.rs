//! A TCP proxy on loopback that makes its upstream as far away as another region: every byte arrives late, and none is held back
//! by another.
//!
//! Bandwidth is not limited, nothing is lost or reordered, and no connection waits for another one. A new connection costs a
//! round trip before its first byte, as TCP's handshake does.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{Error, listen};

/// Most that is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// A running proxy. It stops when it is dropped.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl DelayProxy {
    /// Starts a proxy in front of `upstream` on a free port. `round_trip` is the sum of both directions, which are equally long.
    ///
    /// # Errors
    /// No port can be listened on.
    pub async fn start(upstream: SocketAddr, round_trip: Duration) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = listen::accept(listener, move |stream| {
            connection(stream, upstream, round_trip)
        });
        Ok(Self { address, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(client: TcpStream, upstream: SocketAddr, round_trip: Duration) {
    let accepted = Instant::now();
    // Its client sees the connection closed, as it would if the store refused it.
    let Ok(store) = TcpStream::connect(upstream).await else {
        return;
    };
    // Without this a small piece can wait for an acknowledgement.
    let _ = store.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_store, to_store) = store.into_split();
    let one_way = round_trip / 2;
    tokio::join!(
        carry(from_client, to_store, one_way, accepted + round_trip),
        carry(from_store, to_client, one_way, accepted),
    );
}

/// Carries bytes and the end of the stream, each `late` after it came, and nothing that came before `open`.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    late: Duration,
    open: Instant,
) {
    // What is under way; an empty piece is the end.
    let (depart, mut arrive) = mpsc::unbounded_channel::<(Instant, Bytes)>();
    let read = async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            let is_end = !matches!(from.read_buf(&mut piece).await, Ok(1..));
            let at = Instant::now().max(open) + late;
            if depart.send((at, piece.freeze())).is_err() || is_end {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, piece)) = arrive.recv().await {
            sleep_until(at).await;
            if piece.is_empty() || to.write_all(&piece).await.is_err() {
                break;
            }
        }
        // The other side may have closed it already.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
