//! What a suite has been, and what the model says about it.

use std::collections::{BTreeMap, BTreeSet};

use deb_index::digest::Sha256;
use jiff::Timestamp;

use crate::{
    flight::Before,
    model::Content,
    shelf::{ARCHITECTURES, Build, Package},
};

/// All states of a suite, one after the other; none: there is no suite.
pub(crate) struct Life {
    states: Vec<Option<Moment>>,
    /// Whether a process that was killed may have left followers behind.
    pub(crate) is_stale: bool,
    deletions: usize,
    /// Whether a deletion has begun, and the name is not anyone's again.
    pub(crate) is_being_deleted: bool,
}

/// A commit.
pub(crate) struct Moment {
    pub(crate) commit: Sha256,
    pub(crate) content: Content,
    /// Packages that a halt has taken out.
    pub(crate) taken_back: BTreeSet<Package>,
    pub(crate) date: Timestamp,
    /// When another state took its place.
    pub(crate) ended: Option<Timestamp>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            states: vec![None],
            is_stale: false,
            deletions: 0,
            is_being_deleted: false,
        }
    }
}

impl Life {
    pub(crate) fn last(&self) -> Option<&Moment> {
        self.states.last().and_then(Option::as_ref)
    }

    /// The states that it has had since a process began.
    pub(crate) fn since(&self, before: &Before) -> impl Iterator<Item = Option<&Moment>> {
        self.states[before.states - 1..].iter().map(Option::as_ref)
    }

    pub(crate) fn now(&self) -> Before {
        Before {
            states: self.states.len(),
            deletions: self.deletions,
            is_being_deleted: self.is_being_deleted,
        }
    }

    /// Whether a process that began then may have met a deletion.
    pub(crate) fn may_meet_deletion(&self, before: &Before) -> bool {
        let has_begun = self.deletions != before.deletions;
        before.is_being_deleted || self.is_being_deleted || has_begun
    }

    pub(crate) fn begin_deletion(&mut self) {
        self.is_being_deleted = true;
        self.deletions += 1;
    }

    pub(crate) fn push(&mut self, next: Option<Moment>, now: Timestamp) {
        if let Some(Some(last)) = self.states.last_mut() {
            last.ended = Some(now);
        }
        self.states.push(next);
    }

    pub(crate) fn find(&self, commit: Sha256) -> Option<&Moment> {
        let mut moments = self.states.iter().flatten();
        moments.find(|moment| moment.commit == commit)
    }

    /// A commit and those before it, the newest first.
    pub(crate) fn history(&self, commit: Sha256) -> impl Iterator<Item = &Moment> + Clone {
        let is_meant = move |state: &Option<Moment>| {
            let commit = Some(commit);
            state.as_ref().map(|moment| moment.commit) == commit
        };
        let at = self.states.iter().position(is_meant);
        let states = &self.states[..at.map_or(0, |at| at + 1)];
        states.iter().rev().map_while(Option::as_ref)
    }

    /// What a rollback from a commit goes to: so many commits back, or what was there at a time.
    pub(crate) fn then(
        &self,
        from: Sha256,
        back: usize,
        time: Option<Timestamp>,
    ) -> Option<&Moment> {
        let mut history = self.history(from);
        match time {
            None => history.nth(back),
            Some(time) => history.find(|moment| moment.date <= time),
        }
    }

    /// The files of a commit that came in before a time, as far as that is known of those of another program.
    pub(crate) fn old(&self, commit: Sha256, time: Timestamp) -> BTreeSet<(Package, usize)> {
        let file = |(package, build): (&Package, &Build)| (*package, build.content);
        let files = |moment: &Moment| moment.content.packages.iter().map(file).collect();
        let history: Vec<_> = self.history(commit).collect();
        let all: BTreeSet<_> = history.first().map(|one| files(one)).unwrap_or_default();
        let all = all.iter();
        let all = all.map(|(package, content)| (package.in_first_component(), *content));
        let mut old: BTreeSet<_> = all.collect();
        for (at, child) in history.iter().enumerate() {
            let before = history.get(at + 1);
            let is_foreign = before.is_none() && child.content.architectures.contains(&"all");
            if child.date < time || is_foreign {
                break;
            }
            let before: BTreeSet<_> = before.map(|one| files(one)).unwrap_or_default();
            for (package, content) in files(child).difference(&before) {
                old.remove(&(package.in_first_component(), *content));
            }
        }
        old
    }

    /// What a halt of some packages of a commit puts in their place.
    pub(crate) fn earlier(&self, commit: Sha256, of: &[Package]) -> BTreeSet<(Package, Build)> {
        let mut found = BTreeSet::new();
        let Some(content) = self.find(commit).map(|moment| &moment.content) else {
            return found;
        };
        for id in of {
            let is_version_of = |other: &Package| {
                (other.component, other.name) == (id.component, id.name) && other != id
            };
            let packages = content.packages.keys();
            let left = packages.filter(|other| is_version_of(other) && !of.contains(other));
            let mut without = content.architectures.to_vec();
            without.retain(|architecture| {
                let own = ARCHITECTURES[id.architecture];
                (own == "all" || own == *architecture)
                    && !left.clone().any(|other| content.shows(architecture, other))
            });
            // Whether each package was taken back after it last came in.
            let mut events = BTreeMap::new();
            let mut is_past = false;
            let history: Vec<_> = self.history(commit).collect();
            for step in history.windows(2) {
                let (child, then) = (step[0], step[1]);
                let packages = &then.content.packages;
                let came = child.content.packages.keys();
                let came: Vec<_> = came.filter(|one| !packages.contains_key(one)).collect();
                let events_now = came.iter().map(|one| (**one, false));
                for (package, is_taken_back) in
                    events_now.chain(child.taken_back.iter().map(|one| (*one, true)))
                {
                    events.entry(package).or_insert(is_taken_back);
                }
                let is_taken_back = |one: &Package| events.get(one) == Some(&true);
                let is_reason = |one: &&Package| {
                    one == &id || is_past && is_version_of(one) && is_taken_back(one)
                };
                if !came.into_iter().any(|one| is_reason(&one)) {
                    continue;
                }
                is_past = true;
                without.retain(|architecture| {
                    let earlier = packages.iter().filter(|(other, _)| {
                        is_version_of(other)
                            && other.version < id.version
                            && content.shows(architecture, other)
                            && !is_taken_back(other)
                    });
                    let newest = earlier.max_by_key(|(one, _)| (one.version, one.architecture));
                    found.extend(newest.map(|(package, build)| (*package, *build)));
                    newest.is_none()
                });
            }
        }
        found
    }
}
