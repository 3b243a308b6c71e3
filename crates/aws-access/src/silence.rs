//! The silence that ends an attempt.
//!
//! The SDK's own read timeout runs from the start of a request to the first byte of its answer, so
//! it would end an upload that moves along well over a slow line. Here an attempt ends when
//! *nothing moved* for a time: no piece of the request was taken by the connection, no byte of the
//! answer came.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::{
    connection::CaptureSmithyConnection,
    http::{HttpConnector as _, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use tokio::time::{Instant, Sleep};

use crate::{Exchange, bounded::bounded};

/// Sends a request, and writes into `exchange` what the network says.
pub(crate) fn watched(
    connector: &Connector,
    request: HttpRequest,
    exchange: Exchange,
    way: String,
) -> HttpConnectorFuture {
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
    // The SDK attaches one of its own to the attempts of which it may close the connection.
    let connection = request
        .extension::<CaptureSmithyConnection>()
        .cloned()
        .unwrap_or_default();
    request.add_extension(connection.clone());
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
            exchange.failed(way, connection.get().is_some());
            // Where no silence is left to be spent, another attempt would only wait in vain: this
            // kind is not retried.
            let over = exchange.silence_left().is_zero();
            if over && error.is_timeout() {
                ConnectorError::user(error.into_source())
            } else {
                error
            }
        })?;
        exchange.answered(date(&response));
        let silence = exchange.silence;
        let response = if response.status().is_success() {
            response
        } else {
            bounded(response)
        };
        Ok(response.map(|inner| {
            SdkBody::from_body_1_x(Received {
                inner,
                silence,
                alarm: None,
            })
        }))
    })
}

/// The answer's `Date`; not that of a cache, which is old.
fn date(response: &HttpResponse) -> Option<Timestamp> {
    if response.headers().get("age").is_some() {
        return None;
    }
    parse_http_date(response.headers().get("date")?)
}

/// A date as HTTP writes it (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn parse_http_date(text: &str) -> Option<Timestamp> {
    let date =
        aws_smithy_types::DateTime::from_str(text, aws_smithy_types::date_time::Format::HttpDate)
            .ok()?;
    Timestamp::from_second(date.secs()).ok()
}

/// Nothing moved for this long.
#[derive(Debug)]
pub struct Silence(Duration);

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

/// An answer's body that ends with [`Silence`] where nothing comes.
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
