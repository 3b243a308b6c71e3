//! A repository whose life is acted out, beside what the model says about it.

use std::{collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, layout},
};
use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use repository::{Depth, Error, Part, Repository, RepositoryUrl, Writes};
use s3_storage::{ManualClock, Memory};

use crate::{
    device::Head,
    flight::{Flight, refusal},
    model::{Content, Refusal, Wish},
    operation::{Done, GRACE, Read, source},
    script::{ACTORS, COLLECTOR, Mishap, Operation, SPANS, Step, founding},
    shelf::{SIGNED, START, SUITES, Shelf, suite},
};

const LAG: SignedDuration = SignedDuration::from_secs(2);
/// What such clocks come to in one test.
const LAGS: SignedDuration = SignedDuration::from_secs(100);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(crate) struct World {
    shelf: Rc<Shelf>,
    bucket: Arc<Memory>,
    clock: ManualClock,
    lives: Vec<Life>,
    flights: [Option<Flight>; ACTORS],
    /// Devices in the middle of an update, and since when.
    updates: Vec<(Head, Timestamp)>,
    /// Commits that were no longer the head at this time may be gone.
    cut: Timestamp,
}

/// A suite: all its commits, and what the model says about each.
#[derive(Default)]
struct Life {
    moments: Vec<Moment>,
    /// Whether a process that was killed may have left followers behind.
    is_stale: bool,
}

struct Moment {
    commit: Sha256,
    content: Content,
    date: Timestamp,
    /// When another commit took its place.
    ended: Option<Timestamp>,
}

impl World {
    pub(crate) fn new(shelf: &Rc<Shelf>) -> Self {
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        Self {
            shelf: shelf.clone(),
            bucket: Arc::new(Memory::with_clock(clock.clone())),
            clock,
            lives: SUITES.iter().map(|_| Life::default()).collect(),
            flights: Default::default(),
            updates: Vec::new(),
            cut: Timestamp::MIN,
        }
    }

    pub(crate) async fn live(mut self, (founded, steps): (bool, Vec<Step>)) {
        let founding = (0..SUITES.len()).filter(|_| founded).map(founding);
        for step in founding.chain(steps) {
            self.step(step).await;
            self.check().await;
        }
        for actor in 0..ACTORS {
            self.finish(actor).await;
        }
        self.check().await;
        self.end().await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Run {
                actor,
                suite,
                operation,
                mishap,
            } => {
                self.finish(actor).await;
                let suite = operation.own_suite().unwrap_or(suite);
                self.run(actor, (suite, operation, mishap)).await;
            }
            Step::Resume(actor) => self.resume(actor).await,
            Step::Abandon(actor) => {
                if let Some(flight) = self.flights[actor].take() {
                    self.leave_stale(&flight);
                }
            }
            Step::Wait(span) => self.wait(SPANS[span]).await,
            Step::Lag => self.clock.set(self.clock.now() - LAG),
            Step::Age => self.age().await,
            Step::Update(suite) => {
                let head = Head::fetch(&self.bucket, suite);
                let now = self.clock.now();
                self.updates.extend(head.map(|head| (head, now)));
            }
        }
    }

    async fn run(&mut self, actor: usize, what: (usize, Operation, Mishap)) {
        let before = self.lives.iter().map(|life| life.moments.len());
        let mut flight = Flight::new(
            &self.bucket,
            &self.clock,
            &self.shelf,
            what,
            before.collect(),
        );
        for other in self.flights.iter_mut().flatten() {
            other.is_in_crowd = true;
            flight.is_in_crowd = true;
        }
        self.flights[actor] = Some(flight);
        self.go_on(actor).await;
    }

    async fn finish(&mut self, actor: usize) {
        while self.flights[actor].is_some() {
            self.resume(actor).await;
        }
    }

    async fn resume(&mut self, actor: usize) {
        if let Some(flight) = &self.flights[actor] {
            flight.release();
            self.go_on(actor).await;
        }
    }

    async fn go_on(&mut self, actor: usize) {
        let Some(mut flight) = self.flights[actor].take() else {
            return;
        };
        let result = flight.go_on().await;
        self.observe(&mut flight);
        match result {
            Some(Ok(done)) => self.succeeded(&flight, &done),
            Some(Err(error)) => self.failed(&flight, &error),
            None => {
                flight.waits_since = self.clock.now();
                self.flights[actor] = Some(flight);
            }
        }
    }

    /// Time goes on. No process takes as long as the grace period, as they have to promise, and no request takes an hour.
    async fn wait(&mut self, seconds: u64) {
        let then = self.clock.now() + SignedDuration::from_secs(seconds.try_into().unwrap());
        for actor in 0..ACTORS {
            let takes_too_long = |flight: &Flight| {
                let deletes_for = then.duration_since(flight.waits_since);
                then.duration_since(flight.since) >= GRACE - LAGS
                    || flight.is_deleting() && deletes_for > HOUR - LAGS
            };
            if self.flights[actor].as_ref().is_some_and(takes_too_long) {
                self.finish(actor).await;
            }
        }
        self.clock.advance(Duration::from_secs(seconds));
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    async fn age(&mut self) {
        self.finish(COLLECTOR).await;
        self.wait(25 * 3600).await;
        let collect = Operation::Collect { keep_days: 0 };
        self.run(COLLECTOR, (SIGNED, collect, Mishap::Nothing))
            .await;
        self.wait(25 * 3600).await;
    }

    /// Looks whether a process has moved a head, and if it did, whether it did what it was to do.
    fn observe(&mut self, flight: &mut Flight) {
        let now = self.clock.now();
        if let Operation::Collect { keep_days } = flight.operation {
            let kept = GRACE.max(SignedDuration::from_hours(24 * keep_days));
            self.cut = self.cut.max(now - kept + LAGS);
        }
        for number in 0..SUITES.len() {
            let head = Head::fetch(&self.bucket, number);
            let last = self.lives[number].moments.last();
            if head.as_ref().map(|head| head.commit) == last.map(|last| last.commit) {
                continue;
            }
            let head = head.expect("a head never vanishes");
            assert_eq!(number, flight.suite, "{:?}", flight.operation);
            assert!(!flight.has_landed, "an operation is one commit");
            flight.has_landed = true;
            let content = self.wanted(flight, last);
            let content = content.unwrap_or_else(|refusal| panic!("not refused: {refusal:?}"));
            let key = layout::commit_key(&suite(number), &head.commit);
            let commit = Commit::parse(&head.commit, &self.bucket.read(&key).unwrap()).unwrap();
            assert_eq!(commit.parent, last.map(|last| last.commit));
            assert!(head.date <= now + LAGS && last.is_none_or(|last| last.date <= head.date));
            let moments = &mut self.lives[number].moments;
            if let Some(last) = moments.last_mut() {
                last.ended = Some(now);
            }
            moments.push(Moment {
                commit: head.commit,
                content,
                date: head.date,
                ended: None,
            });
        }
    }

    /// What an operation makes of a state of its suite.
    fn wanted(&self, flight: &Flight, base: Option<&Moment>) -> Result<Content, Refusal> {
        let wish = self.wish(flight).ok_or(Refusal::Missing)?;
        let content = base.map(|base| &base.content);
        let has_all_keys = flight.operation.has_all_keys();
        wish.apply(content, flight.suite == SIGNED, has_all_keys)
    }

    /// What an operation wants, with what it has read; none if it did not come so far.
    fn wish(&self, flight: &Flight) -> Option<Wish> {
        let content = |number: usize| {
            let Some(Read::Commit(id)) = flight.read() else {
                return None;
            };
            let mut moments = self.lives[number].moments.iter();
            moments
                .find(|moment| moment.commit == id)
                .map(|moment| moment.content.clone())
        };
        Some(match &flight.operation {
            Operation::Publish {
                component,
                packages,
                replace,
                keep,
                ..
            } => Wish::Publish {
                component: *component,
                files: packages.clone(),
                replace: *replace,
                keep: *keep,
            },
            Operation::Remove { selector } => Wish::Remove(*selector),
            Operation::Promote {
                from,
                selector,
                mirror,
                replace,
            } => Wish::Promote {
                source: content(source(*from, flight.suite))?,
                selector: *selector,
                mirror: *mirror,
                replace: *replace,
            },
            Operation::Prune { selector, newest } => Wish::Prune(*selector, *newest),
            Operation::Rollback { .. } => Wish::Rollback(content(flight.suite)?),
            Operation::Refresh => Wish::Refresh,
            Operation::Set(setting) => Wish::Set(setting.clone()),
            Operation::AddKey(key) => Wish::AddKey(*key),
            Operation::RetireKey(key) => Wish::RetireKey(*key),
            Operation::Repair | Operation::Collect { .. } => return None,
        })
    }

    /// The states that a suite has had since a process began.
    fn seen(&self, number: usize, flight: &Flight) -> impl Iterator<Item = Option<&Moment>> {
        let before = flight.before[number];
        let moments = &self.lives[number].moments;
        let none = (before == 0).then_some(None);
        let seen = moments[before.saturating_sub(1)..].iter().map(Some);
        none.into_iter().chain(seen)
    }

    fn succeeded(&mut self, flight: &Flight, done: &Done) {
        match done {
            Done::Changed { is_new, is_stale } => {
                assert_eq!(*is_new, flight.has_landed, "{:?}", flight.operation);
                if !is_new {
                    let mut seen = self.seen(flight.suite, flight);
                    let is_as_wanted = |moment: Option<&Moment>| {
                        let wanted = self.wanted(flight, moment).ok();
                        let is_fresh = match flight.read() {
                            Some(Read::Since(since)) => moment.is_some_and(|it| it.date >= since),
                            _ => true,
                        };
                        is_fresh
                            && wanted.is_some()
                            && wanted.as_ref() == moment.map(|it| &it.content)
                    };
                    assert!(seen.any(is_as_wanted), "unchanged: {:?}", flight.operation);
                }
                if *is_stale {
                    assert!(flight.had_mishap());
                    self.leave_stale(flight);
                } else if !flight.is_in_crowd {
                    self.lives[flight.suite].is_stale = false;
                }
            }
            Done::Repaired if !flight.is_in_crowd => {
                self.lives.iter_mut().for_each(|life| life.is_stale = false);
            }
            Done::Repaired | Done::Collected => {}
        }
    }

    fn failed(&mut self, flight: &Flight, error: &Error) {
        let may = |text: &str| panic!("{text}: {:?}: {error:?}", flight.operation);
        let is_collector = matches!(flight.operation, Operation::Collect { .. });
        match error {
            Error::Unknown { .. } => assert!(flight.had_mishap()),
            _ if flight.has_landed && !flight.is_killed() => may("failed after it was done"),
            _ if flight.had_mishap() => {}
            Error::BeingCollected { .. } => assert!(self.is_collecting(), "{error:?}"),
            Error::CollectorRuns { .. } => assert!(is_collector && self.is_collecting()),
            Error::Contention { .. } => assert!(flight.is_in_crowd, "{error:?}"),
            Error::CollectorContention | Error::Missing(_) if is_collector => {
                assert!(flight.is_in_crowd, "{error:?}");
            }
            error => match refusal(error) {
                Some(refusal) if self.may_refuse(flight, refusal) => {}
                _ => may("failed"),
            },
        }
        if flight.had_mishap() {
            self.leave_stale(flight);
        }
    }

    /// Whether the record says that objects are being deleted.
    fn is_collecting(&self) -> bool {
        let record = self.bucket.read(layout::CONDEMNED).unwrap_or_default();
        String::from_utf8_lossy(&record).contains("\"doomed\"")
    }

    /// Whether some state that the process may have seen gives reason to refuse the operation.
    fn may_refuse(&self, flight: &Flight, refusal: Refusal) -> bool {
        let mut seen = self.seen(flight.suite, flight);
        match flight.operation {
            Operation::Repair | Operation::Collect { .. } => false,
            Operation::Rollback { back } if refusal == Refusal::Missing => seen.any(|moment| {
                let Some(moment) = moment else { return true };
                let then = self.before(flight.suite, moment, back);
                then.is_none_or(|then| self.may_be_gone(then))
            }),
            Operation::Rollback { .. } if refusal == Refusal::Collected => {
                let Some(Read::Commit(id)) = flight.read() else {
                    return false;
                };
                let mut moments = self.lives[flight.suite].moments.iter();
                moments.any(|moment| moment.commit == id && self.may_be_gone(moment))
            }
            Operation::Promote { from, .. } if flight.read().is_none() => {
                let mut sources = self.seen(source(from, flight.suite), flight);
                refusal == Refusal::Missing && sources.any(|moment| moment.is_none())
            }
            _ => seen.any(|moment| self.wanted(flight, moment) == Err(refusal)),
        }
    }

    /// The state `back` commits before another.
    fn before(&self, number: usize, moment: &Moment, back: usize) -> Option<&Moment> {
        let moments = &self.lives[number].moments;
        let at = moments
            .iter()
            .position(|other| other.commit == moment.commit);
        moments.get(at?.checked_sub(back)?)
    }

    fn may_be_gone(&self, moment: &Moment) -> bool {
        moment.ended.is_some_and(|ended| ended < self.cut)
    }

    fn leave_stale(&mut self, flight: &Flight) {
        let all = matches!(flight.operation, Operation::Repair);
        for (number, life) in self.lives.iter_mut().enumerate() {
            life.is_stale |= all || number == flight.suite;
        }
    }

    /// Whether the followers of a suite have to follow.
    fn is_settled(&self, number: usize) -> bool {
        let is_about = |flight: &Flight| {
            matches!(flight.operation, Operation::Repair) || flight.suite == number
        };
        !self.lives[number].is_stale && !self.flights[..COLLECTOR].iter().flatten().any(is_about)
    }

    /// Devices and `verify` agree with the model.
    async fn check(&mut self) {
        let now = self.clock.now();
        self.updates
            .retain(|(_, since)| now.duration_since(*since) < GRACE - LAGS);
        for (head, _) in &self.updates {
            head.read(&self.bucket, &self.shelf);
        }
        for (number, life) in self.lives.iter().enumerate() {
            let Some(last) = life.moments.last() else {
                continue;
            };
            let head = Head::fetch(&self.bucket, number).unwrap();
            assert_eq!((head.commit, head.date), (last.commit, last.date));
            head.check_signatures(&self.shelf, &last.content.keys);
            head.check(&head.read(&self.bucket, &self.shelf), &last.content);
            if self.is_settled(number) {
                head.check_followers(&self.bucket, &self.shelf);
            }
        }
        self.verify().await;
    }

    async fn verify(&self) {
        let url = RepositoryUrl::new("bucket", "").unwrap();
        let clock = self.clock.clone();
        let repository = Repository::new(self.bucket.clone(), url, Writes::Conditional);
        let repository = repository.with_clock(move || clock.now());
        let suites = (0..SUITES.len()).map(|it| repository.suite(suite(it), self.shelf.reader(it)));
        let suites: Vec<_> = suites.collect();
        let verified = repository.verify(&suites, Depth::Content).await.unwrap();
        for (number, found) in verified.iter().enumerate() {
            let last = self.lives[number].moments.last();
            assert_eq!(found.commit, last.map(|last| last.commit));
            let is_over = last.is_some_and(|last| {
                last.content.is_valid_for_a_week && last.date + WEEK <= self.clock.now()
            });
            let mut problems = found.problems.clone();
            if is_over {
                assert_eq!(problems.remove(0).part, Part::Head);
            }
            if !self.is_settled(number) {
                problems.retain(|problem| problem.part != Part::Follower);
            }
            assert!(problems.is_empty(), "{problems:#?}");
            let Some(last) = last else { continue };
            let history = suites[number].history(last.commit);
            let history: Vec<_> = history.map_ok(|(id, _)| id).try_collect().await.unwrap();
            let moments = self.lives[number].moments.iter().rev();
            let expected: Vec<_> = moments.clone().map(|moment| moment.commit).collect();
            assert!(expected.starts_with(&history));
            let kept = moments
                .take_while(|moment| !self.may_be_gone(moment))
                .count();
            assert!(history.len() >= kept, "{} of {kept}", history.len());
        }
    }

    /// In the end nothing is left but what the suites name.
    async fn end(mut self) {
        let repair = (SIGNED, Operation::Repair, Mishap::Nothing);
        self.run(0, repair).await;
        self.check().await;
        for _ in 0..2 {
            self.age().await;
            self.check().await;
        }
        let heads = (0..SUITES.len()).filter_map(|number| Head::fetch(&self.bucket, number));
        let views = heads.map(|head| head.read(&self.bucket, &self.shelf));
        let named: BTreeSet<_> = views.flat_map(|view| view.pool).collect();
        let keys = self.bucket.keys().into_iter();
        let (pool, others): (Vec<_>, Vec<_>) = keys.partition(|key| key.starts_with("pool/"));
        assert_eq!(pool.into_iter().collect::<BTreeSet<_>>(), named);
        let commits = others
            .iter()
            .filter(|key| key.contains("/commits/"))
            .count();
        let suites = self.lives.iter().filter(|life| !life.moments.is_empty());
        assert_eq!(commits, suites.count());
    }
}
