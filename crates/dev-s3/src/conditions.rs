//! Preconditions of reads ([RFC 9110, section
//! 13](https://www.rfc-editor.org/rfc/rfc9110#section-13)) and of writes, as S3 has them
//! ([conditional
//! requests](https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html)).

use hyper::{HeaderMap, StatusCode, header};
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    dto::{ETagCondition, Timestamp},
    s3_error,
};

use crate::{clock, object::Object};

/// The precondition headers of a read, or of the source of a copy.
#[derive(Debug, Default)]
pub(crate) struct ReadConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// What the preconditions of a read came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Read,
    NotModified,
    Failed,
}

impl ReadConditions {
    /// Compares them with `object`; an ETag wins over the date of its pair.
    pub(crate) fn check(&self, object: &Object) -> Verdict {
        let modified = Timestamp::from(clock::at(object.modified));
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(date)) => modified <= *date,
            (None, None) => true,
        };
        if !holds {
            return Verdict::Failed;
        }
        let fresh = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(date)) => modified <= *date,
            (None, None) => false,
        };
        if fresh {
            Verdict::NotModified
        } else {
            Verdict::Read
        }
    }
}

/// The precondition headers of a write.
#[derive(Debug, Default)]
pub(crate) struct WriteConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// From the request's headers, where the operation's own input leaves them out (`CopyObject`).
    pub(crate) fn of(headers: &HeaderMap) -> S3Result<Self> {
        let parse = |name| {
            let Some(value) = headers.get(name) else {
                return Ok(None);
            };
            match ETagCondition::parse_http_header(value.as_bytes()) {
                Ok(condition) => Ok(Some(condition)),
                Err(error) => Err(s3_error!(error, InvalidArgument, "invalid precondition")),
            }
        };
        Ok(Self {
            if_match: parse(header::IF_MATCH)?,
            if_none_match: parse(header::IF_NONE_MATCH)?,
        })
    }

    /// Compares them with what is at the key now. The caller holds the lock under which it then
    /// writes.
    pub(crate) fn check(&self, current: Option<&Object>) -> S3Result {
        match &self.if_none_match {
            None => {}
            Some(ETagCondition::Any) if current.is_none() => {}
            Some(ETagCondition::Any) => return Err(failed()),
            Some(ETagCondition::ETag(_)) => {
                return Err(s3_error!(
                    NotImplemented,
                    "If-None-Match takes only * in a write"
                ));
            }
        }
        match (&self.if_match, current) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(S3ErrorCode::NoSuchKey.into()),
            (Some(condition), Some(object)) if matches(condition, object) => Ok(()),
            (Some(_), Some(_)) => Err(failed()),
        }
    }
}

/// 412.
pub(crate) fn failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// 304 with the headers that it must carry.
pub(crate) fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_status_code(StatusCode::NOT_MODIFIED);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::ETAG, format!("\"{}\"", object.etag)),
        (header::LAST_MODIFIED, clock::http_date(object.modified)),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    error.set_headers(headers);
    error
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag,
    }
}
