//! What every request passes before and after the S3 operations: the store's clock, the bucket's
//! region, the log.
//!
//! s3s compares a signature's time with the machine's clock; here it is compared with the store's,
//! and s3s is told to let any pass.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> has the errors.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};
use jiff::{civil::DateTime, tz::TimeZone};
use s3s::{Body, service::S3Service};

use crate::{
    clock::{self, Clock},
    operation::Operation,
    query::Query,
    request::{LoggedRequest, RequestInfo},
    request_body::RequestBody,
};

/// By so many seconds may a client's clock differ from the store's.
const LARGEST_SKEW: i64 = 15 * 60;

/// What the store answers to a request for its bucket that was signed for another region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongRegion {
    /// 400 `AuthorizationHeaderMalformed`, as the endpoint of the bucket's own region does.
    Malformed,
    /// 301 `PermanentRedirect`, as the endpoint of another region does.
    Redirect,
}

/// The way in to one server.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) service: S3Service,
    pub(crate) clock: Clock,
    /// The domain below which buckets are hosts.
    pub(crate) domain: Option<String>,
    /// The buckets' region, if requests for another one are refused.
    pub(crate) region: Option<(String, WrongRegion)>,
    pub(crate) log: Mutex<Vec<LoggedRequest>>,
}

impl Front {
    pub(crate) async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let body = RequestBody::new(body);
        let info = RequestInfo::of(&parts, self.domain.as_deref());
        let mut response = match self.refuse(&parts.headers, Query::of(&parts.uri), &info) {
            Some(refusal) => refusal,
            None => match self
                .service
                .call(Request::from_parts(parts, Body::http_body(body.clone())))
                .await
            {
                Ok(response) => response,
                Err(error) => {
                    tracing::error!(?error, "an answer could not be written");
                    answer(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "InternalError",
                        "We encountered an internal error.",
                        "",
                    )
                }
            },
        };
        if !response.status().is_success() {
            body.drain().await;
        }
        self.finish(&info, &mut response);
        self.log().push(LoggedRequest {
            request: info,
            status: response.status().as_u16(),
            time: started..Instant::now(),
        });
        Ok(response)
    }

    pub(crate) fn log(&self) -> std::sync::MutexGuard<'_, Vec<LoggedRequest>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a request that needs no look at its signature.
    fn refuse(
        &self,
        headers: &HeaderMap,
        query: Query<'_>,
        info: &RequestInfo,
    ) -> Option<Response<Body>> {
        let now = self.clock.unix();
        if signed_at(headers, query).is_some_and(|(at, tolerates_age)| {
            at > now + LARGEST_SKEW || (!tolerates_age && at < now - LARGEST_SKEW)
        }) {
            let times = format!(
                "<ServerTime>{}</ServerTime><MaxAllowedSkewMilliseconds>{}</MaxAllowedSkewMilliseconds>",
                clock::iso(now),
                LARGEST_SKEW * 1000
            );
            let message =
                "The difference between the request time and the current time is too large.";
            return Some(answer(
                StatusCode::FORBIDDEN,
                "RequestTimeTooSkewed",
                message,
                &times,
            ));
        }
        let (region, wrong) = self.region.as_ref()?;
        let signed_for = info.region.as_ref()?;
        // Where buckets are is asked of any region, and a new bucket is in none yet.
        if signed_for == region
            || info.bucket.is_empty()
            || [Operation::CreateBucket, Operation::GetBucketLocation].contains(&info.operation)
        {
            return None;
        }
        Some(match wrong {
            WrongRegion::Malformed => answer(
                StatusCode::BAD_REQUEST,
                "AuthorizationHeaderMalformed",
                &format!(
                    "The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{region}'"
                ),
                &format!("<Region>{region}</Region>"),
            ),
            WrongRegion::Redirect => answer(
                StatusCode::MOVED_PERMANENTLY,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
                &format!("<Endpoint>s3.{region}.amazonaws.com</Endpoint>"),
            ),
        })
    }

    /// The headers that each reply has, and no body where there must be none.
    fn finish(&self, info: &RequestInfo, response: &mut Response<Body>) {
        if response.status() == StatusCode::NOT_MODIFIED
            || (info.method == Method::HEAD && !response.status().is_success())
        {
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        let headers = response.headers_mut();
        let mut set = |name, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set(header::DATE, clock::http_date(self.clock.unix()));
        set(header::SERVER, "dev-s3".to_owned());
        set(
            header::HeaderName::from_static("x-amz-request-id"),
            format!("{:016X}", rand::random::<u64>()),
        );
        if let Some((region, _)) = self.region.as_ref().filter(|_| !info.bucket.is_empty()) {
            set(
                header::HeaderName::from_static("x-amz-bucket-region"),
                region.clone(),
            );
        }
    }
}

/// When the request was signed, and whether it may be old: a presigned URL has its own expiry,
/// which s3s checks.
fn signed_at(headers: &HeaderMap, query: Query<'_>) -> Option<(i64, bool)> {
    let header = headers
        .get("x-amz-date")
        .and_then(|value| value.to_str().ok());
    match header.filter(|_| headers.contains_key(header::AUTHORIZATION)) {
        Some(date) => Some((unix(date)?, false)),
        None => Some((unix(&query.get("X-Amz-Date")?)?, true)),
    }
}

/// Seconds since 1970 of `20130524T000000Z`.
fn unix(date: &str) -> Option<i64> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// An error reply; `more` are further elements of its XML.
pub(crate) fn answer(status: StatusCode, code: &str, message: &str, more: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    );
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amz_dates() {
        assert_eq!(unix("20130524T000000Z"), Some(1_369_353_600));
        assert_eq!(clock::iso(1_369_353_600), "2013-05-24T00:00:00.000Z");
        assert_eq!(unix("20130524"), None);
        assert_eq!(unix("20130524T000000"), None);
        assert_eq!(unix("20131324T000000Z"), None);
        assert_eq!(unix("2013é524T000000Z"), None);
    }
}
