//! Repositories whose life is acted out, beside what the model says about it.

use std::{collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use deb_index::suite::{commit::Commit, layout};
use jiff::{SignedDuration, Timestamp};
use s3_storage::{ManualClock, Memory};

use crate::{
    chance::founding,
    device::Head,
    flight::{Flight, Stop},
    foreign,
    life::{Life, Moment},
    model::{Content, Refusal, Wish},
    operation::{GRACE, Read},
    script::{ACTORS, COLLECTOR, Mishap, Operation, SPANS, Start, Step},
    shelf::{COPIED, REPOSITORIES, SIGNED, START, SUITES, Shelf, repository_of, suite, suites_of},
};

const LAG: SignedDuration = SignedDuration::from_secs(2);
/// What such clocks come to in one test.
pub(crate) const LAGS: SignedDuration = SignedDuration::from_secs(100);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub(crate) struct World {
    pub(crate) shelf: Rc<Shelf>,
    pub(crate) bucket: Arc<Memory>,
    pub(crate) clock: ManualClock,
    pub(crate) lives: Vec<Life>,
    pub(crate) flights: [Option<Flight>; ACTORS],
    /// Devices in the middle of an update, and since when.
    pub(crate) updates: Vec<(Head, Timestamp)>,
    /// By repository: commits that were no longer the head at this time may be gone.
    pub(crate) cuts: [Timestamp; REPOSITORIES.len()],
    /// Whether several suites have listed the alias since none did, or taken it at once: one of them does not have it.
    pub(crate) is_alias_contested: bool,
    /// Whether something may be in its folder that no process at work answers for.
    pub(crate) is_alias_littered: bool,
    /// What was there when it was last checked.
    pub(crate) checked: Option<u64>,
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
            cuts: REPOSITORIES.map(|_| Timestamp::MIN),
            is_alias_contested: false,
            is_alias_littered: false,
            checked: None,
        }
    }

    pub(crate) async fn live(mut self, (start, steps): (Start, Vec<Step>)) {
        let mut founded = 0..SUITES.len();
        match start {
            Start::Empty => founded = 0..0,
            Start::Founded => {}
            Start::Adopted(mishap) => {
                self.adopt(mishap).await;
                founded.next();
            }
        }
        for step in founded.map(founding).chain(steps) {
            self.step(step).await;
            self.check().await;
        }
        for actor in 0..ACTORS {
            self.finish(actor).await;
        }
        self.check().await;
        self.end().await;
    }

    /// Takes the signed suite over, twice if the first time something goes wrong.
    async fn adopt(&mut self, mishap: Mishap) {
        foreign::write(&self.bucket, &self.shelf).await;
        for mishap in [mishap, Mishap::Nothing] {
            self.run(0, (SIGNED, Operation::Adopt, mishap)).await;
            self.finish(0).await;
        }
        assert!(self.lives[SIGNED].last().is_some(), "it was taken over");
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
                let suite = operation.own_suite(suite);
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
            Step::Age { keep_days } => self.age(keep_days).await,
            Step::Update(suite) => {
                let head = Head::fetch(&self.bucket, suite);
                let now = self.clock.now();
                let shown = Head::fetch_alias(&self.bucket);
                let is_sure = !self.is_alias_doubtful();
                let shown = shown.filter(|shown| is_sure && shown.suite == suite);
                let heads = head.into_iter().chain(shown);
                self.updates.extend(heads.map(|head| (head, now)));
            }
        }
    }

    pub(crate) async fn run(&mut self, actor: usize, what: (usize, Operation, Mishap)) {
        if matches!(what.1, Operation::DeleteAlias) {
            self.updates.retain(|(head, _)| !head.is_alias());
        }
        let before = self.lives.iter().map(Life::now).collect();
        let mut flight = Flight::new(&self.bucket, &self.clock, &self.shelf, what, before);
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
        loop {
            let stop = flight.go_on().await;
            self.observe(&mut flight);
            match stop {
                Stop::OnTheBrink => continue,
                Stop::Done(Ok(done)) => self.succeeded(&flight, &done),
                Stop::Done(Err(error)) => self.failed(&flight, &error),
                Stop::Waiting => {
                    flight.waits_since = self.clock.now();
                    self.flights[actor] = Some(flight);
                }
            }
            return;
        }
    }

    /// Time goes on. No process takes as long as the grace period, as they have to promise, and no request takes an hour, and that
    /// of a first head not five minutes.
    pub(crate) async fn wait(&mut self, seconds: u64) {
        let then = self.clock.now() + SignedDuration::from_secs(seconds.try_into().unwrap());
        for actor in 0..ACTORS {
            let takes_too_long = |flight: &Flight| {
                let waits_for = then.duration_since(flight.waits_since);
                then.duration_since(flight.since) >= GRACE - LAGS
                    || flight.is_deleting() && waits_for > HOUR - LAGS
                    || flight.is_founding() && waits_for > MINUTE * 4 - LAGS
            };
            if self.flights[actor].as_ref().is_some_and(takes_too_long) {
                self.finish(actor).await;
            }
        }
        self.clock.advance(Duration::from_secs(seconds));
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    pub(crate) async fn age(&mut self, keep_days: i64) {
        self.finish(COLLECTOR).await;
        self.wait(25 * 3600).await;
        for suite in [SIGNED, COPIED] {
            let collect = Operation::Collect { keep_days };
            self.run(COLLECTOR, (suite, collect, Mishap::Nothing)).await;
        }
        self.wait(25 * 3600).await;
    }

    /// Looks whether a process has moved or deleted a head, and if it did, whether it did what it was to do.
    fn observe(&mut self, flight: &mut Flight) {
        let now = self.clock.now();
        if let Operation::Collect { keep_days } = flight.operation {
            let kept = GRACE.max(SignedDuration::from_hours(24 * keep_days));
            let cut = &mut self.cuts[repository_of(flight.suite)];
            *cut = (*cut).max(now - kept + LAGS);
        }
        for number in 0..SUITES.len() {
            let head = Head::fetch(&self.bucket, number);
            let last = self.lives[number].last();
            if head.as_ref().map(|head| head.commit) == last.map(|last| last.commit) {
                continue;
            }
            let is_its_own = flight.suites.contains(&number);
            assert!(is_its_own, "{number}: {:?}", flight.operation);
            let next = head.map(|head| self.landed(flight, number, &head));
            match &next {
                None => self.check_deletion(flight),
                Some(next) if next.content.is_closed => self.lives[number].begin_deletion(),
                Some(_) => {}
            }
            self.lives[number].push(next, now);
        }
        let lists = |life: &&Life| life.last().is_some_and(|last| last.content.has_alias);
        let lists = self.lives.iter().filter(lists).count();
        // Another suite may have taken it from this one meanwhile, and have no use for it any more.
        let had = |number: usize| {
            let mut seen = self.lives[number].since(&flight.before[number]).flatten();
            number != flight.suite && seen.any(|moment| moment.content.has_alias)
        };
        let has_taken = flight.operation.takes_alias() && flight.landed.contains(&flight.suite);
        let is_raced = has_taken && suites_of(0).any(had);
        self.is_alias_contested = lists > 1 || lists > 0 && (is_raced || self.is_alias_contested);
    }

    /// A commit that a process has made.
    fn landed(&self, flight: &mut Flight, number: usize, head: &Head) -> Moment {
        let is_first = flight.landed.insert(number);
        assert!(is_first, "an operation is one commit");
        let last = self.lives[number].last();
        let content = self.wanted(flight, number, last);
        let content = content.unwrap_or_else(|refusal| panic!("not refused: {refusal:?}"));
        if content.has_alias && last.is_none_or(|last| !last.content.has_alias) {
            let others = suites_of(0).filter_map(|other| self.lives[other].last());
            let mut others = others.filter(|other| other.content.has_alias);
            let may_be = flight.is_in_crowd || self.is_alias_doubtful();
            assert!(may_be || others.next().is_none(), "the alias is taken");
        }
        let prefix = REPOSITORIES[repository_of(number)];
        let key = layout::commit_key(&suite(number), &head.commit);
        let bytes = self.bucket.read(&format!("{prefix}{key}"));
        let bytes = bytes.expect("the head names a commit that is there");
        let commit = Commit::parse(&head.commit, &bytes).unwrap();
        assert_eq!(commit.parent, last.map(|last| last.commit));
        let is_future = head.date > self.clock.now() + LAGS;
        assert!(!is_future && last.is_none_or(|last| last.date <= head.date));
        let is_halt = matches!(flight.operation, Operation::Halt { .. });
        let before = last.filter(|_| is_halt).into_iter();
        let gone = before.flat_map(|last| last.content.packages.keys().copied());
        Moment {
            commit: head.commit,
            taken_back: gone
                .filter(|package| !content.packages.contains_key(package))
                .collect(),
            content,
            date: head.date,
            ended: None,
        }
    }

    /// A process has deleted the head of its suite.
    fn check_deletion(&mut self, flight: &Flight) {
        assert!(matches!(flight.operation, Operation::Delete));
        let life = &mut self.lives[flight.suite];
        let is_closed = life.last().is_some_and(|last| last.content.is_closed);
        assert!(is_closed, "a suite that was not closed is deleted");
        life.is_stale = false;
        // Its alias goes, too, with whatever it shows.
        let is_other = |head: &Head| head.suite != flight.suite && !head.is_alias();
        self.updates.retain(|(head, _)| is_other(head));
    }

    /// What an operation makes of a state of a suite.
    pub(crate) fn wanted(
        &self,
        flight: &Flight,
        number: usize,
        base: Option<&Moment>,
    ) -> Result<Content, Refusal> {
        let wish = self.wish(flight).ok_or(Refusal::Missing)?;
        let content = base.map(|base| &base.content);
        let has_all_keys = flight.operation.has_all_keys();
        wish.apply(content, number == SIGNED, has_all_keys)
    }

    /// What an operation wants, with what it has read; none if it did not come so far.
    fn wish(&self, flight: &Flight) -> Option<Wish> {
        let life = &self.lives[flight.suite];
        let content = |life: &Life| match flight.read()? {
            Read::Commit(id) => Some(life.find(id)?.content.clone()),
            _ => None,
        };
        let is_cut = |commit| {
            let mut history = life.history(commit);
            history.any(|moment| self.may_be_gone(flight.suite, moment))
        };
        Some(match &flight.operation {
            Operation::Publish {
                component,
                packages,
                replace,
                phase,
                keep,
                ..
            } => Wish::Publish {
                component: *component,
                files: packages.clone(),
                replace: *replace,
                phase: *phase,
                keep: *keep,
            },
            Operation::Remove { selector } => Wish::Remove(*selector),
            Operation::Promote {
                selector,
                mirror,
                replace,
                phase,
                to,
                ..
            } => Wish::Promote {
                source: content(&self.lives[flight.operation.source(flight.suite)?])?,
                selector: *selector,
                mirror: *mirror,
                replace: *replace,
                phase: *phase,
                to: *to,
            },
            Operation::Prune {
                selector,
                newest,
                below,
                older_than,
            } => {
                let only = match (older_than, flight.read()) {
                    (None, _) => None,
                    (_, Some(Read::Old(id, limit, old))) => {
                        let is_unknown = old.is_empty() && is_cut(id);
                        assert!(is_unknown || old == life.old(id, limit), "{old:?}");
                        Some(old)
                    }
                    _ => return None,
                };
                Wish::Prune {
                    selector: *selector,
                    newest: *newest,
                    below: *below,
                    only,
                }
            }
            Operation::Rollback { back, .. } => {
                let Some(Read::Back(head, time, Some(to))) = flight.read() else {
                    return None;
                };
                let then = life.then(head, *back, time)?;
                assert_eq!(then.commit, to, "the commit that is meant");
                Wish::Rollback(then.content.clone())
            }
            Operation::Phase { selector, percent } => {
                Wish::Phase(content(life)?.targets(*selector), *percent)
            }
            Operation::Halt { selector } => {
                let Some(Read::Halting(id, earlier)) = flight.read() else {
                    return None;
                };
                let of = life.find(id)?.content.targets(*selector);
                let expected = life.earlier(id, &of.packages);
                let is_expected = BTreeSet::from_iter(earlier.clone()) == expected;
                assert!(is_cut(id) || is_expected, "{earlier:?} for {expected:?}");
                Wish::Halt(of, earlier)
            }
            Operation::Refresh => Wish::Refresh,
            Operation::Set(setting, is_allowed) => Wish::Set(setting.clone(), *is_allowed),
            Operation::Create(setting) => Wish::Create(setting.clone()),
            Operation::AddKey(key) => Wish::AddKey(*key),
            Operation::RetireKey(key) => Wish::RetireKey(*key),
            Operation::ResetKeys(key, _) => Wish::ResetKeys(*key),
            Operation::Adopt => Wish::Adopt(foreign::content()),
            Operation::Delete => Wish::Close,
            Operation::DeleteAlias | Operation::Repair | Operation::Collect { .. } => return None,
        })
    }

    pub(crate) fn may_be_gone(&self, number: usize, moment: &Moment) -> bool {
        let cut = self.cuts[repository_of(number)];
        moment.ended.is_some_and(|ended| ended < cut)
    }

    pub(crate) fn leave_stale(&mut self, flight: &Flight) {
        self.is_alias_littered |= matches!(flight.operation, Operation::DeleteAlias);
        for number in 0..SUITES.len() {
            self.lives[number].is_stale |= flight.is_about(number);
            self.leave_litter(flight, number);
        }
    }

    /// A process that was held up while its suite was deleted may have left something, also in the folder of the alias.
    pub(crate) fn leave_litter(&mut self, flight: &Flight, number: usize) {
        let life = &mut self.lives[number];
        let before = &flight.before[number];
        if !flight.is_about(number) || !life.may_meet_deletion(before) {
            return;
        }
        if !life.is_being_deleted {
            life.begin_deletion();
        }
        let has_alias = |moment: &Moment| moment.content.has_alias;
        let mut seen = life.since(before).flatten();
        self.is_alias_littered |= seen.any(has_alias);
    }

    /// Whether some suite lists the alias.
    pub(crate) fn is_alias_listed(&self) -> bool {
        let mut last = suites_of(0).filter_map(|number| self.lives[number].last());
        last.any(|last| last.content.has_alias)
    }

    /// Whether a process may be deleting what is in the folder of the alias, or has left it behind.
    pub(crate) fn is_alias_broken(&self) -> bool {
        let is_deletion = |flight: &Flight| matches!(flight.operation, Operation::DeleteAlias);
        self.is_alias_littered || self.flights.iter().flatten().any(is_deletion)
    }

    pub(crate) fn is_alias_doubtful(&self) -> bool {
        self.is_alias_contested || self.is_alias_broken()
    }
}
