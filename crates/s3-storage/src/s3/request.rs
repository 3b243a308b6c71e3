//! One request to the store: what it asks, with what.

use aws_access::Exchange;
use jiff::Timestamp;

use super::S3;
use crate::error::Refusable;

/// What is asked of the store, and what was observed of the attempts to ask it.
pub(super) struct Request<'a> {
    pub(super) s3: &'a S3,
    /// The S3 API's name.
    pub(super) operation: &'static str,
    /// Empty where the request is about the bucket.
    pub(super) key: &'a str,
    pub(super) refusable: Refusable,
    pub(super) sha256: Option<[u8; 32]>,
    /// Whether it is not sent again after an answer, or none, that leaves open whether it took effect.
    pub(super) once: bool,
    pub(super) exchange: Exchange,
}

impl S3 {
    pub(super) fn request<'a>(&'a self, operation: &'static str, key: &'a str) -> Request<'a> {
        Request {
            s3: self,
            operation,
            key,
            refusable: Refusable::default(),
            sha256: None,
            once: false,
            exchange: Exchange::new(self.config().access.silence_timeout),
        }
    }
}

impl Request<'_> {
    /// Signs the payload by its digest, instead of reading it for that or leaving it unsigned.
    pub(super) fn signed_by(mut self, sha256: [u8; 32]) -> Self {
        self.sha256 = Some(sha256);
        self
    }

    /// Never sends it twice, unless it was refused for another region or time.
    pub(super) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Says what the request has that it need not have.
    pub(super) fn having(mut self, refusable: Refusable) -> Self {
        self.refusable = refusable;
        self
    }

    /// The `Date` of the last answer.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.exchange.date()
    }
}
