//! A process that runs, or that waits at a request for others to go on.

use std::{cell::Cell, pin::Pin, rc::Rc, sync::Arc};

use jiff::Timestamp;
use repository::{Error, Repository, RepositoryUrl, Writes};
use s3_storage::{ErrorKind, Fault, Faulty, Gate, ManualClock, Memory, On, Operation as Request};

use crate::{
    model::Refusal,
    operation::{Done, Job, Read},
    script::{Mishap, Operation},
    shelf::Shelf,
};

pub(crate) struct Flight {
    process: Pin<Box<dyn Future<Output = Result<Done, Error>>>>,
    store: Arc<Faulty<Arc<Memory>>>,
    gate: Gate,
    mishap: Mishap,
    read: Rc<Cell<Option<Read>>>,
    pub(crate) suite: usize,
    pub(crate) operation: Operation,
    pub(crate) since: Timestamp,
    pub(crate) waits_since: Timestamp,
    /// For each suite, how many commits it had when the process began.
    pub(crate) before: Vec<usize>,
    pub(crate) has_landed: bool,
    /// Whether another process was in flight meanwhile.
    pub(crate) is_in_crowd: bool,
}

impl Flight {
    pub(crate) fn new(
        bucket: &Arc<Memory>,
        clock: &ManualClock,
        shelf: &Rc<Shelf>,
        (suite, operation, mishap): (usize, Operation, Mishap),
        before: Vec<usize>,
    ) -> Self {
        let store = Arc::new(Faulty::new(bucket.clone()));
        let gate = Gate::new();
        let refusal = Fault::Fail(ErrorKind::Unavailable);
        match mishap {
            Mishap::Nothing => {}
            Mishap::Kill { write, after } if after => store.at(On::Writes, write, Fault::KillAfter),
            Mishap::Kill { write, .. } => store.at(On::Writes, write, Fault::KillBefore),
            Mishap::LoseReply { write } => store.at(On::Writes, write, Fault::LoseReply),
            Mishap::Refuse { write } => store.at(On::Writes, write, refusal),
            Mishap::Pause { request, again } => {
                let again = again.map(|again| request + again);
                for nth in [request].into_iter().chain(again) {
                    store.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
                }
            }
        }
        let url = RepositoryUrl::new("bucket", "").unwrap();
        let now = clock.clone();
        let repository = Repository::new(store.clone(), url, Writes::Conditional);
        let read = Rc::new(Cell::new(None));
        let job = Job {
            repository: repository.with_clock(move || now.now()),
            author: fastrand::u64(..).to_string(),
            suite,
            operation: operation.clone(),
            shelf: shelf.clone(),
            read: read.clone(),
        };
        Self {
            process: Box::pin(job.run()),
            store,
            gate,
            mishap,
            read,
            suite,
            operation,
            since: clock.now(),
            waits_since: clock.now(),
            before,
            has_landed: false,
            is_in_crowd: false,
        }
    }

    /// Lets the process go on to its end, or to the request at which it waits: then none.
    pub(crate) async fn go_on(&mut self) -> Option<Result<Done, Error>> {
        tokio::select! {
            biased;
            done = &mut self.process => Some(done),
            () = self.gate.reached() => None,
        }
    }

    pub(crate) fn release(&self) {
        self.gate.open();
    }

    /// What it has read before it planned.
    pub(crate) fn read(&self) -> Option<Read> {
        self.read.get()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.store.is_killed()
    }

    /// Whether something has gone wrong that may make it fail.
    pub(crate) fn had_mishap(&self) -> bool {
        match self.mishap {
            Mishap::Nothing | Mishap::Pause { .. } => false,
            Mishap::Kill { .. } => self.is_killed(),
            Mishap::LoseReply { write } | Mishap::Refuse { write } => self.store.writes() >= write,
        }
    }

    /// Whether it waits while its request to delete something is on its way.
    pub(crate) fn is_deleting(&self) -> bool {
        let requests = self.store.requests();
        matches!(requests.last(), Some((Request::Delete, _)))
    }
}

/// What an error says about the operation, if it is not about the store.
pub(crate) fn refusal(error: &Error) -> Option<Refusal> {
    use deb_index::change::PlanError;
    Some(match error {
        Error::Plan(PlanError::Clash(_) | PlanError::Conflict { .. }) => Refusal::Conflict,
        Error::Plan(PlanError::DropsArchitecture(_)) => Refusal::Architectures,
        Error::Missing(_) => Refusal::Missing,
        Error::ReleaseInfo { .. } => Refusal::ReleaseInfo,
        Error::Untrusted { .. }
        | Error::NotAccepted { .. }
        | Error::SignerMissing { .. }
        | Error::LastKey { .. } => Refusal::Keys,
        Error::Collected { .. } | Error::Damaged { .. } => Refusal::Collected,
        _ => return None,
    })
}
