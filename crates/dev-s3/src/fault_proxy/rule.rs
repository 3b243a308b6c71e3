//! What goes wrong, and for which requests.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use hyper::{Method, StatusCode};

use crate::{operation::Operation, request::RequestInfo};

/// Told of a request while it is on its way. The request waits for it.
pub type Hook = Arc<dyn Fn(&RequestInfo) -> BoxFuture<'static, Next> + Send + Sync>;

/// What a [`Hook`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Continue,
    /// The client's connection is closed without a reply.
    Close,
}

#[derive(Clone)]
pub enum Fault {
    /// The hook is called before anything reaches the store.
    Before(Hook),
    /// The hook is called when the store has answered, before the client learns of it.
    After(Hook),
    /// The connection is closed before anything reaches the store.
    Refuse,
    /// The store does what it is asked, but the connection is closed in place of a reply.
    LoseReply,
    /// The connection is closed after so many bytes of the reply's body; a shorter body is whole.
    CutBody(u64),
    /// This reply with this S3 error code, in place of the store's.
    Answer(StatusCode, &'static str),
    /// The request waits for so long before it goes on.
    Delay(Duration),
    /// The request is taken and never answered.
    BlackHole,
}

impl Fault {
    /// [`Fault::Answer`] with a status that is a plain number; 500 if there is no such status.
    pub fn answer(status: u16, code: &'static str) -> Self {
        let status = StatusCode::from_u16(status);
        Self::Answer(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code)
    }

    /// 503 `SlowDown`.
    pub fn slow_down() -> Self {
        Self::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")
    }

    /// [`Fault::Before`] of a plain function, after which the request goes on or not.
    pub fn before(hook: impl Fn(&RequestInfo) -> Next + Send + Sync + 'static) -> Self {
        Self::Before(plain(hook))
    }

    /// [`Fault::After`] of a plain function, after which the reply goes on or not.
    pub fn after(hook: impl Fn(&RequestInfo) -> Next + Send + Sync + 'static) -> Self {
        Self::After(plain(hook))
    }
}

fn plain(hook: impl Fn(&RequestInfo) -> Next + Send + Sync + 'static) -> Hook {
    Arc::new(move |request| {
        let next = hook(request);
        Box::pin(async move { next })
    })
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(_) => f.write_str("Before"),
            Self::After(_) => f.write_str("After"),
            Self::Refuse => f.write_str("Refuse"),
            Self::LoseReply => f.write_str("LoseReply"),
            Self::CutBody(bytes) => write!(f, "CutBody({bytes})"),
            Self::Answer(status, code) => write!(f, "Answer({status}, {code})"),
            Self::Delay(by) => write!(f, "Delay({by:?})"),
            Self::BlackHole => f.write_str("BlackHole"),
        }
    }
}

/// A fault and the requests that meet it: all of them, unless it is narrowed down.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    only_writes: bool,
    method: Option<Method>,
    operation: Option<Operation>,
    key: Option<String>,
    /// The first match, from 1, that meets the fault, and the last.
    occurrences: (u64, u64),
    matched: u64,
}

impl Rule {
    /// Every request meets `fault`.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            only_writes: false,
            method: None,
            operation: None,
            key: None,
            occurrences: (1, u64::MAX),
            matched: 0,
        }
    }

    /// Only those that may change something: `PUT`, `POST`, `DELETE`.
    #[must_use]
    pub fn writes(mut self) -> Self {
        self.only_writes = true;
        self
    }

    /// Only those of this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only this operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only those whose key has this in it.
    #[must_use]
    pub fn key_contains(mut self, part: impl Into<String>) -> Self {
        self.key = Some(part.into());
        self
    }

    /// Only the `n`-th of those that match, from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.occurrences = (n, n);
        self
    }

    /// Only the first `n` of those that match.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.occurrences = (1, n);
        self
    }

    /// The fault that `request` meets; each call counts.
    pub(super) fn meet(&mut self, request: &RequestInfo) -> Option<Fault> {
        let matches = (!self.only_writes || request.is_write())
            && self
                .method
                .as_ref()
                .is_none_or(|method| *method == request.method)
            && self
                .operation
                .is_none_or(|operation| operation == request.operation)
            && self
                .key
                .as_ref()
                .is_none_or(|key| request.key.contains(key.as_str()));
        if !matches {
            return None;
        }
        self.matched += 1;
        let (first, last) = self.occurrences;
        (first..=last)
            .contains(&self.matched)
            .then(|| self.fault.clone())
    }
}
