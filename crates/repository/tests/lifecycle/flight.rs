//! A process that runs, or that waits at a request for others to go on.

use std::{cell::RefCell, collections::BTreeSet, pin::Pin, rc::Rc, sync::Arc};

use jiff::Timestamp;
use repository::{Error, Repository, RepositoryUrl, Writes};
use s3_storage::{
    ErrorKind, Fault, Faulty, Gate, ManualClock, Memory, On, Operation as Request, Prefixed,
    Storage,
};

use crate::{
    model::Refusal,
    operation::{Done, Job, Read},
    script::{Mishap, Operation},
    shelf::{REPOSITORIES, Shelf, repository_of},
};

pub(crate) struct Flight {
    process: Pin<Box<dyn Future<Output = Result<Done, Error>>>>,
    store: Arc<Faulty<Arc<Memory>>>,
    gate: Gate,
    /// It stops here just before a suite is gone.
    brink: Gate,
    mishap: Mishap,
    read: Rc<RefCell<Option<Read>>>,
    pub(crate) suite: usize,
    /// All that it changes.
    pub(crate) suites: Vec<usize>,
    pub(crate) operation: Operation,
    pub(crate) since: Timestamp,
    pub(crate) waits_since: Timestamp,
    /// For each suite, what it was when the process began.
    pub(crate) before: Vec<Before>,
    /// Those of its suites whose head it has moved.
    pub(crate) landed: BTreeSet<usize>,
    /// Whether another process was in flight meanwhile.
    pub(crate) is_in_crowd: bool,
}

/// A suite when a process begins.
pub(crate) struct Before {
    /// How many states it had had.
    pub(crate) states: usize,
    /// How often it had been deleted, and whether it was being deleted.
    pub(crate) deletions: usize,
    pub(crate) is_being_deleted: bool,
}

/// Where a process has stopped.
pub(crate) enum Stop {
    Done(Result<Done, Error>),
    /// Others go on.
    Waiting,
    /// It is about to delete the head of a suite.
    OnTheBrink,
}

/// The repositories of a bucket.
pub(crate) fn repositories<S>(bucket: &Arc<S>, clock: &ManualClock) -> Vec<Repository>
where
    Arc<S>: Storage + 'static,
{
    let repository = |prefix: &&str| {
        let url = RepositoryUrl::new("bucket", prefix).unwrap();
        let storage = Arc::new(Prefixed::new(bucket.clone(), prefix));
        let now = clock.clone();
        let repository = Repository::new(storage, url, Writes::Conditional);
        repository.with_clock(move || now.now())
    };
    REPOSITORIES.iter().map(repository).collect()
}

impl Flight {
    pub(crate) fn new(
        bucket: &Arc<Memory>,
        clock: &ManualClock,
        shelf: &Rc<Shelf>,
        (suite, operation, mishap): (usize, Operation, Mishap),
        before: Vec<Before>,
    ) -> Self {
        let store = Arc::new(Faulty::new(bucket.clone()));
        let (gate, brink) = (Gate::new(), Gate::new());
        let delete = On::Key(Request::Delete, "dists/".to_owned());
        if matches!(operation, Operation::Delete) {
            store.at(delete, 1, Fault::PauseBefore(brink.clone()));
        }
        let refusal = Fault::Fail(ErrorKind::Unavailable);
        match mishap {
            Mishap::Nothing => {}
            Mishap::Kill { write, after } if after => store.at(On::Writes, write, Fault::KillAfter),
            Mishap::Kill { write, .. } => store.at(On::Writes, write, Fault::KillBefore),
            Mishap::LoseReply { write } => store.at(On::Writes, write, Fault::LoseReply),
            Mishap::Refuse { write } => store.at(On::Writes, write, refusal),
            Mishap::PauseBeforeDeleting => {
                let delete = On::Operation(Request::Delete);
                store.at(delete, 1, Fault::PauseBefore(gate.clone()));
            }
            Mishap::Pause { request, again } => {
                let again = again.map(|again| request + again);
                for nth in [request].into_iter().chain(again) {
                    store.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
                }
            }
        }
        let read = Rc::new(RefCell::new(None));
        let job = Job {
            repositories: repositories(&store, clock),
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
            brink,
            mishap,
            read,
            suite,
            suites: operation.suites(suite),
            operation,
            since: clock.now(),
            waits_since: clock.now(),
            before,
            landed: BTreeSet::new(),
            is_in_crowd: false,
        }
    }

    /// Lets the process go on to its end, or to a request at which it stops.
    pub(crate) async fn go_on(&mut self) -> Stop {
        tokio::select! {
            biased;
            done = &mut self.process => Stop::Done(done),
            () = self.gate.reached() => Stop::Waiting,
            () = self.brink.reached() => {
                self.brink.open();
                Stop::OnTheBrink
            }
        }
    }

    pub(crate) fn release(&self) {
        self.gate.open();
    }

    /// Whether it may write into the folder of a suite.
    pub(crate) fn is_about(&self, suite: usize) -> bool {
        let is_of_all = matches!(
            self.operation,
            Operation::Repair | Operation::Collect { .. }
        );
        let is_of_none = matches!(self.operation, Operation::DeleteAlias);
        self.suites.contains(&suite) && !is_of_none
            || is_of_all && repository_of(self.suite) == repository_of(suite)
    }

    /// What it has read before it planned.
    pub(crate) fn read(&self) -> Option<Read> {
        self.read.borrow().clone()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.store.is_killed()
    }

    /// Whether something has gone wrong that may make it fail.
    pub(crate) fn had_mishap(&self) -> bool {
        match self.mishap {
            Mishap::Nothing | Mishap::PauseBeforeDeleting | Mishap::Pause { .. } => false,
            Mishap::Kill { .. } => self.is_killed(),
            Mishap::LoseReply { write } | Mishap::Refuse { write } => self.store.writes() >= write,
        }
    }

    /// Whether it waits while the first head of a suite is on its way.
    pub(crate) fn is_founding(&self) -> bool {
        let requests = self.store.requests();
        matches!(
            &requests[..],
            [.., (Request::Get, looks_at), (Request::Put, head)]
                if looks_at.ends_with("/suite.json") && head.ends_with("Release")
        )
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
        Error::Plan(PlanError::Clash(_) | PlanError::Conflict { .. } | PlanError::Collision(_)) => {
            Refusal::Conflict
        }
        Error::Plan(PlanError::Exists) => Refusal::Exists,
        Error::Plan(PlanError::DropsArchitecture(_)) => Refusal::Architectures,
        Error::Plan(PlanError::NoComponent) => Refusal::Component,
        Error::Missing(_) => Refusal::Missing,
        Error::ReleaseInfo { .. } => Refusal::ReleaseInfo,
        Error::Untrusted { .. }
        | Error::NotAccepted { .. }
        | Error::SignerMissing { .. }
        | Error::LastKey { .. } => Refusal::Keys,
        Error::NotWhole { .. } | Error::Damaged { .. } => Refusal::Collected,
        Error::Deleting { .. } => Refusal::Deleting,
        Error::AliasTaken { .. } | Error::AliasIsSigned { .. } => Refusal::AliasTaken,
        Error::Source { source, .. } => return refusal(source),
        _ => return None,
    })
}
