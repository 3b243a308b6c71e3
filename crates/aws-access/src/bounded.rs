//! A limit for answers that the SDK reads whole: errors, and those of credential services. What answers
//! in place of a service may send a page of any length.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};

/// How many bytes of an answer are read. A service's own answers have some hundreds.
const LIMIT: usize = 256 << 10;

/// The answer with the beginning of its body.
pub(crate) fn bounded(mut response: HttpResponse) -> HttpResponse {
    // The SDK would miss the rest.
    response.headers_mut().remove("content-length");
    response.map(|inner| SdkBody::from_body_1_x(Beginning { inner, left: LIMIT }))
}

struct Beginning {
    inner: SdkBody,
    left: usize,
}

impl Body for Beginning {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(bytes) = frame
            .as_mut()
            .and_then(|frame| frame.as_mut().ok()?.data_mut())
        {
            bytes.truncate(self.left);
            self.left -= bytes.len();
        }
        Poll::Ready(frame)
    }
}
