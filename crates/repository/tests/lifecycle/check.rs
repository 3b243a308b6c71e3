//! What devices and `verify` find, beside the model.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use futures::TryStreamExt as _;
use jiff::SignedDuration;
use repository::{Depth, Part};

use crate::{
    device::Head,
    flight::repositories,
    operation::GRACE,
    script::{COLLECTOR, Mishap, Operation},
    shelf::{ALIAS, COPIED, SIGNED, SUITES, repository_of, suite, suites_of},
    world::{LAGS, World},
};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

impl World {
    /// Whether the followers of a suite have to follow.
    fn is_settled(&self, number: usize) -> bool {
        let mut flights = self.flights[..COLLECTOR].iter().flatten();
        let life = &self.lives[number];
        !life.is_stale && !life.is_being_deleted && !flights.any(|flight| flight.is_about(number))
    }

    /// A number that is another one if a check may find something else.
    fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for key in self.bucket.keys() {
            self.bucket.read(&key).hash(&mut hasher);
            key.hash(&mut hasher);
        }
        let settled = (0..SUITES.len()).map(|number| self.is_settled(number));
        settled.collect::<Vec<_>>().hash(&mut hasher);
        let flights = self.flights.each_ref().map(Option::is_some);
        (flights, self.updates.len()).hash(&mut hasher);
        hasher.finish()
    }

    /// Devices and `verify` agree with the model.
    pub(crate) async fn check(&mut self) {
        let state = self.state();
        if self.checked.replace(state) == Some(state) {
            return;
        }
        let now = self.clock.now();
        self.updates
            .retain(|(_, since)| now.duration_since(*since) < GRACE - LAGS);
        for (head, _) in &self.updates {
            head.read(&self.bucket, &self.shelf);
        }
        for (number, life) in self.lives.iter().enumerate() {
            let Some(last) = life.last() else {
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
        self.check_alias();
        for repository in 0..self.cuts.len() {
            self.verify(repository).await;
        }
    }

    /// The alias shows some state of some suite, whole; of the suite that has it and is settled, its last.
    fn check_alias(&self) {
        let shown = Head::fetch_alias(&self.bucket);
        let mut flights = self.flights.iter().flatten();
        let has_visitor = flights.any(|flight| {
            let is_met = |at: usize| self.lives[at].may_meet_deletion(&flight.before[at]);
            suites_of(0).any(is_met)
        });
        let is_broken = self.is_alias_broken() || has_visitor;
        if let Some(shown) = shown.as_ref().filter(|_| !is_broken) {
            let moment = self.lives[shown.suite].find(shown.commit);
            let content = &moment.expect("a commit of the suite").content;
            shown.check_signatures(&self.shelf, &content.keys);
            shown.check(&shown.read(&self.bucket, &self.shelf), content);
        }
        for number in suites_of(0).filter(|_| !is_broken && !self.is_alias_contested) {
            let last = self.lives[number].last();
            let has_alias = last.is_some_and(|last| last.content.has_alias);
            if has_alias && self.is_settled(number) {
                let head = Head::fetch(&self.bucket, number).unwrap();
                let shown = shown.as_ref().expect("the alias shows the suite");
                assert!(head.is_same(shown), "the alias is in step");
                shown.check_followers(&self.bucket, &self.shelf);
            }
        }
    }

    async fn verify(&self, at: usize) {
        let repository = &repositories(&self.bucket, &self.clock)[at];
        let numbers = suites_of(at);
        let suites = numbers.clone();
        let suites = suites.map(|it| repository.suite(suite(it), self.shelf.reader(it)));
        let suites: Vec<_> = suites.collect();
        let verified = repository.verify(&suites, Depth::Content).await.unwrap();
        for ((number, found), suite) in numbers.zip(&verified).zip(&suites) {
            let life = &self.lives[number];
            let last = life.last();
            let is_shown = found.commit == last.map(|last| last.commit);
            assert!(is_shown || life.is_being_deleted);
            let is_over = last.is_some_and(|last| {
                last.content.is_valid_for_a_week && last.date + WEEK <= self.clock.now()
            });
            let mut problems = found.problems.clone();
            problems.retain(|problem| problem.part != Part::Date);
            let says_over = problems.len() < found.problems.len();
            assert_eq!(says_over, is_over && !life.is_being_deleted);
            if !self.is_settled(number) {
                problems.retain(|problem| problem.part != Part::Follower);
            }
            if self.is_alias_doubtful() {
                let folder = format!("dists/{ALIAS}/");
                problems.retain(|problem| !problem.key.starts_with(&folder));
            }
            let mut flights = self.flights.iter().flatten();
            let has_visitor = flights.any(|flight| flight.is_about(number));
            let is_unfinished = life.is_being_deleted || last.is_none() && has_visitor;
            assert!(problems.is_empty() || is_unfinished, "{problems:#?}");
            let Some(last) = last else { continue };
            let history = suite.history(last.commit);
            let history: Vec<_> = history.map_ok(|(id, _)| id).try_collect().await.unwrap();
            let moments = life.history(last.commit);
            let expected: Vec<_> = moments.clone().map(|moment| moment.commit).collect();
            assert!(expected.starts_with(&history));
            let is_kept = |moment: &_| !self.may_be_gone(number, moment);
            let kept = moments.take_while(|moment| is_kept(moment)).count();
            assert!(history.len() >= kept, "{} of {kept}", history.len());
        }
    }

    /// In the end nothing is left but what the suites name.
    pub(crate) async fn end(mut self) {
        for number in 0..SUITES.len() {
            for _ in 0..2 {
                if self.lives[number].is_being_deleted {
                    let delete = (number, Operation::Delete, Mishap::Nothing);
                    self.run(0, delete).await;
                    self.check().await;
                    self.wait(2 * 3600).await;
                }
            }
        }
        if self.is_alias_littered && !self.is_alias_listed() {
            for _ in 0..2 {
                let delete = (SIGNED, Operation::DeleteAlias, Mishap::Nothing);
                self.run(0, delete).await;
                self.wait(2 * 3600).await;
            }
        }
        for number in [SIGNED, COPIED] {
            let repair = (number, Operation::Repair, Mishap::Nothing);
            self.run(0, repair).await;
            self.check().await;
        }
        for _ in 0..2 {
            self.age(0).await;
            self.check().await;
        }
        let heads = (0..SUITES.len()).filter_map(|number| Head::fetch(&self.bucket, number));
        let heads = heads.chain(Head::fetch_alias(&self.bucket));
        let heads: Vec<_> = heads.collect();
        let views = heads
            .iter()
            .map(|head| head.read(&self.bucket, &self.shelf));
        let named: BTreeSet<_> = views.flat_map(|view| view.pool).collect();
        let keys = self.bucket.keys().into_iter();
        let (pool, others): (Vec<_>, Vec<_>) =
            keys.partition(|key| key.starts_with("pool/") || key.starts_with("other/pool/"));
        assert_eq!(pool.into_iter().collect::<BTreeSet<_>>(), named);
        let commits = heads.iter().map(|head| (head.suite, head.commit));
        let commits: BTreeSet<_> = commits.collect();
        let stored = others.iter().filter(|key| key.contains("/commits/"));
        assert_eq!(stored.count(), commits.len());
        for number in (0..SUITES.len()).filter(|at| self.lives[*at].last().is_none()) {
            self.check_gone(number, &others);
        }
    }

    /// Of a suite that does not exist nothing is left but what says whose the name is.
    fn check_gone(&self, number: usize, keys: &[String]) {
        let folder = format!("dists/{}/", SUITES[number]);
        let of = keys.iter().filter(|key| key.contains(&folder));
        let inner = format!("{folder}next/");
        let mut left = of.filter(|key| !key.contains(&inner) && !key.ends_with("/suite.json"));
        assert_eq!(left.next(), None, "of repository {}", repository_of(number));
    }
}
