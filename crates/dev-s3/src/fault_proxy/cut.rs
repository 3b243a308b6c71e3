//! A body that ends too early, after exactly so many bytes have left.
//!
//! hyper drops what it has buffered when a body fails. So the body fails only after the connection
//! was flushed, which it learns from the socket.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::Frame;
use s3s::{Body, StdError};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How often a connection was flushed.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    count: AtomicU64,
    waiting: AtomicWaker,
}

/// A client's connection that counts its flushes.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) flushes: Arc<Flushes>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.flushes.count.fetch_add(1, Ordering::AcqRel);
        self.flushes.waiting.wake();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The first bytes of a body, and then an error.
pub(super) struct Cut {
    body: Body,
    left: u64,
    flushes: Arc<Flushes>,
    /// The flushes when the last byte had been handed over.
    handed_over: Option<u64>,
}

impl Cut {
    pub(super) fn new(body: Body, after: u64, flushes: Arc<Flushes>) -> Self {
        Self {
            body,
            left: after,
            flushes,
            handed_over: None,
        }
    }
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if self.left > 0 {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let Some(Ok(frame)) = frame else {
                return Poll::Ready(frame);
            };
            let Ok(mut data) = frame.into_data() else {
                return Poll::Ready(None);
            };
            data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        self.flushes.waiting.register(cx.waker());
        let now = self.flushes.count.load(Ordering::Acquire);
        if *self.handed_over.get_or_insert(now) < now {
            return Poll::Ready(Some(Err("the body is cut here".into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.left > 0 && self.body.is_end_stream()
    }
}
