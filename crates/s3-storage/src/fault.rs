//! A store on which things go wrong as a test says: lost replies, 503, a killed process, a request
//! that waits at a barrier.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use tokio::sync::Semaphore;

use crate::{
    Address, Body, ConnectProblem, Error, ErrorKind, GetOptions, GetReply, Listed, ObjectMeta,
    Payload, PutOptions, PutReply, Storage,
};

/// An operation of [`Storage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    Get,
    Head,
    Put,
    /// [`Storage::list`]; all pages of a listing are one request here.
    List,
    /// [`Storage::delete`].
    Delete,
}

impl Operation {
    /// Whether it changes the bucket.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Put | Self::Delete)
    }
}

/// Which requests a fault is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All of them.
    Requests,
    /// Those that change the bucket.
    Writes,
    /// Those of an operation.
    Operation(Operation),
    /// Those of an operation whose key contains this.
    Key(Operation, String),
}

impl On {
    fn covers(&self, operation: Operation, key: &str) -> bool {
        match self {
            Self::Requests => true,
            Self::Writes => operation.is_write(),
            Self::Operation(wanted) => *wanted == operation,
            Self::Key(wanted, part) => *wanted == operation && key.contains(part),
        }
    }
}

#[derive(Debug, Clone)]
pub enum Fault {
    /// The request fails like this and has no effect.
    Fail(ErrorKind),
    /// The request takes effect, its reply is lost ([`ErrorKind::Connect`]).
    LoseReply,
    /// The process is killed before the request is sent: this and all later requests fail.
    KillBefore,
    /// The process is killed when the request has taken effect, before the reply: this and all
    /// later requests fail.
    KillAfter,
    /// The request waits at the gate before it is sent.
    PauseBefore(Gate),
    /// The request waits at the gate when it has taken effect, before its reply is seen.
    PauseAfter(Gate),
    /// The body of a read ends, as by a broken connection, after this many bytes.
    CutBody(u64),
}

/// A place where a request waits until the test lets it go on. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self {
            reached: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until a request stands at the gate. Each request is seen once.
    pub async fn reached(&self) {
        if let Ok(permit) = self.reached.acquire().await {
            permit.forget();
        }
    }

    /// Lets one request through: the one that waits, or the next.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn wait(&self) {
        self.reached.add_permits(1);
        if let Ok(permit) = self.open.acquire().await {
            permit.forget();
        }
    }
}

/// A [`Storage`] with a script of faults.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: Vec<Rule>,
    requests: Vec<(Operation, String)>,
    killed: bool,
}

#[derive(Debug)]
struct Rule {
    on: On,
    /// How many requests that the rule covers are still let through; `None`: it has fired.
    left: Option<u64>,
    repeats: bool,
    fault: Fault,
}

impl<S> Faulty<S> {
    /// A wrapper under which nothing goes wrong yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            state: Mutex::default(),
        }
    }

    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// `fault` at the `nth` request (from 1, counted from now) of those that `on` covers.
    pub fn at(&self, on: On, nth: u64, fault: Fault) {
        self.lock().script.push(Rule {
            on,
            left: Some(nth.saturating_sub(1)),
            repeats: false,
            fault,
        });
    }

    /// `fault` at each request that `on` covers, until [`Faulty::clear`].
    pub fn always(&self, on: On, fault: Fault) {
        self.lock().script.push(Rule {
            on,
            left: Some(0),
            repeats: true,
            fault,
        });
    }

    /// Forgets all faults, and brings a killed process back. The requests stay counted.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.script.clear();
        state.killed = false;
    }

    /// Whether the process was killed.
    pub fn is_killed(&self) -> bool {
        self.lock().killed
    }

    /// All requests so far, in order, with their keys (of a listing: the prefix; of a deletion: the
    /// first key); those that failed, too.
    pub fn requests(&self) -> Vec<(Operation, String)> {
        self.lock().requests.clone()
    }

    /// How many requests there were of each operation.
    pub fn counts(&self) -> BTreeMap<Operation, usize> {
        let mut counts = BTreeMap::new();
        for (operation, _) in &self.lock().requests {
            *counts.entry(*operation).or_default() += 1;
        }
        counts
    }

    /// How many requests changed the bucket, or tried to.
    pub fn writes(&self) -> u64 {
        self.lock()
            .requests
            .iter()
            .filter(|(operation, _)| operation.is_write())
            .count() as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and finds its fault.
    fn arrives(&self, operation: Operation, key: &str) -> Result<Option<Fault>, Error> {
        let mut state = self.lock();
        state.requests.push((operation, key.to_owned()));
        if state.killed {
            return Err(killed(key));
        }
        let mut fault = None;
        for rule in &mut state.script {
            if !rule.on.covers(operation, key) {
                continue;
            }
            match rule.left {
                Some(0) if fault.is_none() => {
                    fault = Some(rule.fault.clone());
                    rule.left = rule.repeats.then_some(0);
                }
                Some(left) => rule.left = Some(left.saturating_sub(1)),
                None => {}
            }
        }
        if matches!(fault, Some(Fault::KillBefore)) {
            state.killed = true;
            return Err(killed(key));
        }
        Ok(fault)
    }

    async fn run<T>(
        &self,
        operation: Operation,
        key: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<(T, Option<u64>), Error> {
        let fault = self.arrives(operation, key)?;
        match &fault {
            Some(Fault::Fail(kind)) => {
                return Err(Error::new(
                    *kind,
                    "injected",
                    key,
                    "a fault that the test asked for",
                ));
            }
            Some(Fault::PauseBefore(gate)) => gate.wait().await,
            _ => {}
        }
        let result = request.await;
        if self.is_killed() {
            return Err(killed(key));
        }
        match fault {
            Some(Fault::LoseReply) => result.and_then(|_| {
                Err(Error::new(
                    ErrorKind::Connect(ConnectProblem::Other),
                    "injected",
                    key,
                    "the reply was lost",
                ))
            }),
            Some(Fault::KillAfter) => {
                self.lock().killed = true;
                Err(killed(key))
            }
            Some(Fault::PauseAfter(gate)) => {
                gate.wait().await;
                result.map(|value| (value, None))
            }
            Some(Fault::CutBody(after)) => result.map(|value| (value, Some(after))),
            _ => result.map(|value| (value, None)),
        }
    }
}

fn killed(key: &str) -> Error {
    Error::new(
        ErrorKind::Connect(ConnectProblem::Other),
        "injected",
        key,
        "the process was killed",
    )
}

#[async_trait]
impl<S: Storage> Storage for Faulty<S> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
        let (reply, cut) = self
            .run(Operation::Get, key, self.inner.get(key, options))
            .await?;
        Ok(match (reply, cut) {
            (GetReply::Found(mut object), Some(after)) => {
                object.body = cut_short(key.to_owned(), object.body, after);
                GetReply::Found(object)
            }
            (reply, _) => reply,
        })
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        self.run(Operation::Head, key, self.inner.head(key))
            .await
            .map(|(meta, _)| meta)
    }

    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        self.run(Operation::Put, key, self.inner.put(key, payload, options))
            .await
            .map(|(reply, _)| reply)
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>> {
        let listed = self.inner.list(prefix, delimiter);
        let prefix = prefix.to_owned();
        let whole = async move {
            self.run(Operation::List, &prefix, listed.try_collect::<Vec<_>>())
                .await
        };
        stream::once(whole)
            .map_ok(|(listed, _)| stream::iter(listed).map(Ok))
            .try_flatten()
            .boxed()
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        let first = keys.first().map_or("", String::as_str);
        self.run(Operation::Delete, first, self.inner.delete(keys))
            .await
            .map(|_| ())
    }

    fn address(&self, key: &str) -> Option<Address> {
        self.inner.address(key)
    }

    async fn abort_uploads(&self) {
        self.inner.abort_uploads().await;
    }
}

/// The first `after` bytes of a body, then a broken connection.
fn cut_short(key: String, body: Body, after: u64) -> Body {
    stream::try_unfold((key, body, after), |(key, mut body, left)| async move {
        let broken = Error::new(
            ErrorKind::Truncated,
            "injected",
            &key,
            "the connection broke",
        );
        if left == 0 {
            return Err(broken);
        }
        let Some(piece) = body.next().await.transpose()? else {
            return Ok(None);
        };
        let take = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        let piece: Bytes = piece.slice(..take);
        Ok(Some((piece, (key, body, left - take as u64))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    fn bytes(content: &'static str) -> Payload {
        Payload::Bytes(Bytes::from_static(content.as_bytes()))
    }

    async fn put(store: &impl Storage, key: &str) -> Result<PutReply, Error> {
        store
            .put(
                key,
                bytes("content"),
                PutOptions::new(crate::PutMode::Create),
            )
            .await
    }

    #[tokio::test]
    async fn the_second_write_is_lost_in_the_way_that_was_asked_for() {
        for (fault, there) in [
            (Fault::Fail(ErrorKind::Unavailable), false),
            (Fault::LoseReply, true),
            (Fault::KillAfter, true),
            (Fault::KillBefore, false),
        ] {
            let store = Faulty::new(Memory::new());
            store.at(On::Writes, 2, fault.clone());
            put(&store, "one").await.unwrap();
            assert!(store.head("one").await.is_ok(), "a read is no write");
            let error = put(&store, "two").await.unwrap_err();
            assert!(error.is_ambiguous(), "{error}");
            assert_eq!(store.inner().read("two").is_some(), there, "{fault:?}");
            let dead = matches!(fault, Fault::KillAfter | Fault::KillBefore);
            assert_eq!(store.head("one").await.is_err(), dead);
            store.clear();
            assert!(store.head("one").await.is_ok());
            assert_eq!(store.writes(), 2);
            assert_eq!(store.counts()[&Operation::Head], 3);
        }
    }

    #[tokio::test]
    async fn a_gate_orders_two_writers() {
        let store = Arc::new(Faulty::new(Memory::new()));
        let gate = Gate::new();
        store.at(
            On::Key(Operation::Put, "key".into()),
            1,
            Fault::PauseBefore(gate.clone()),
        );
        let slow = tokio::spawn({
            let store = Arc::clone(&store);
            async move { put(&store, "key").await }
        });
        gate.reached().await;
        put(&store, "key").await.unwrap();
        gate.open();
        assert_eq!(
            slow.await.unwrap().unwrap_err().kind(),
            ErrorKind::PreconditionFailed
        );
    }

    #[tokio::test]
    async fn a_body_is_cut() {
        let store = Faulty::new(Memory::new());
        put(&store, "key").await.unwrap();
        store.always(On::Operation(Operation::Get), Fault::CutBody(3));
        let GetReply::Found(object) = store.get("key", GetOptions::default()).await.unwrap() else {
            panic!("unconditional")
        };
        let pieces: Vec<_> = object.body.collect().await;
        assert_eq!(pieces[0].as_ref().unwrap().as_ref(), b"con");
        assert_eq!(pieces[1].as_ref().unwrap_err().kind(), ErrorKind::Truncated);
    }
}
