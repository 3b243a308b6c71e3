//! Whether a process may end as it did.

use deb_index::suite::layout;
use repository::Error;

use crate::{
    device::Head,
    flight::{Flight, refusal},
    life::Moment,
    model::Refusal,
    operation::{Changed, Done, Read},
    script::Operation,
    shelf::{ALIAS, REPOSITORIES, SIGNED, SUITES, repository_of, suites_of},
    world::World,
};

impl World {
    /// The states that a suite has had since a process began.
    fn seen(&self, number: usize, flight: &Flight) -> impl Iterator<Item = Option<&Moment>> {
        self.lives[number].since(&flight.before[number])
    }

    pub(crate) fn succeeded(&mut self, flight: &Flight, done: &Done) {
        match done {
            Done::Changed(suites) => {
                let changed = suites.iter().map(|changed| changed.suite);
                assert!(changed.eq(flight.suites.iter().copied()));
                for changed in suites {
                    self.changed(flight, *changed);
                }
            }
            Done::Deleted { is_free } if matches!(flight.operation, Operation::DeleteAlias) => {
                let may_be = flight.is_in_crowd || self.is_alias_doubtful();
                assert!(may_be || !self.is_alias_listed(), "the alias is in use");
                self.is_alias_littered |= flight.is_in_crowd;
                if *is_free && !flight.is_in_crowd {
                    assert!(
                        Head::fetch_alias(&self.bucket).is_none(),
                        "it is there still"
                    );
                    self.is_alias_littered = self.is_alias_listed();
                }
            }
            Done::Deleted { is_free } => {
                let mut seen = self.seen(flight.suite, flight);
                let is_closed = |moment: &Moment| moment.content.is_closed;
                let was_closed = seen.any(|moment| moment.is_some_and(is_closed));
                drop(seen);
                assert!(
                    was_closed || self.meets_deletion(flight),
                    "nothing to delete"
                );
                let life = &mut self.lives[flight.suite];
                assert!(
                    flight.is_in_crowd || life.last().is_none(),
                    "it is there still"
                );
                if *is_free {
                    life.is_being_deleted = false;
                }
            }
            Done::Repaired => {
                for number in suites_of(repository_of(flight.suite)) {
                    self.lives[number].is_stale &= flight.is_in_crowd;
                    self.leave_litter(flight, number);
                }
            }
            Done::Collected => {}
        }
    }

    fn changed(&mut self, flight: &Flight, changed: Changed) {
        let number = changed.suite;
        let has_landed = flight.landed.contains(&number);
        assert_eq!(changed.is_new, has_landed, "{:?}", flight.operation);
        if !changed.is_new && !matches!(flight.operation, Operation::Adopt) {
            let mut seen = self.seen(number, flight);
            let is_as_wanted = |moment: Option<&Moment>| {
                let wanted = self.wanted(flight, number, moment).ok();
                let is_fresh = match flight.read() {
                    Some(Read::Since(since)) => moment.is_some_and(|it| it.date >= since),
                    _ => true,
                };
                is_fresh && wanted.is_some() && wanted.as_ref() == moment.map(|it| &it.content)
            };
            assert!(seen.any(is_as_wanted), "unchanged: {:?}", flight.operation);
        }
        if changed.is_stale {
            let may_be = flight.had_mishap()
                || self.meets_deletion(flight)
                || self.is_alias_doubtful()
                || matches!(flight.operation, Operation::Adopt);
            assert!(may_be, "stale after {:?}", flight.operation);
            self.lives[number].is_stale = true;
        } else if !flight.is_in_crowd {
            self.lives[number].is_stale = false;
        }
        self.leave_litter(flight, number);
    }

    pub(crate) fn failed(&mut self, flight: &Flight, error: &Error) {
        let may = |text: &str| panic!("{text}: {:?}: {error:?}", flight.operation);
        let is_collector = matches!(flight.operation, Operation::Collect { .. });
        let deletes = matches!(flight.operation, Operation::Delete | Operation::DeleteAlias);
        let has_landed = flight.landed.len() == flight.suites.len();
        match error {
            Error::Unknown { .. } => assert!(flight.had_mishap()),
            _ if has_landed && !flight.is_killed() && !deletes => {
                may("failed after it was done");
            }
            _ if flight.had_mishap() => {}
            error if is_of_deletion(error) && self.meets_deletion(flight) => {}
            Error::BeingCollected { .. } => assert!(self.is_collecting(flight), "{error:?}"),
            Error::CollectorRuns { .. } => {
                assert!((is_collector || deletes) && self.is_collecting(flight));
            }
            Error::Replaced { .. } => {
                let mut seen = self.seen(flight.suite, flight);
                assert!(deletes && seen.any(|moment| moment.is_none()));
            }
            Error::IsAlias { .. } | Error::Missing(_)
                if matches!(flight.operation, Operation::DeleteAlias) =>
            {
                let is_refused = matches!(error, Error::IsAlias { .. });
                let may_be = self.is_alias_doubtful() || flight.is_in_crowd;
                assert!(may_be || is_refused == self.is_alias_listed(), "{error:?}");
            }
            Error::BeingFounded { .. } => assert!(deletes, "{error:?}"),
            Error::AliasLags { .. } => assert!(deletes && !self.holds_alias(flight)),
            Error::Contention { .. } => assert!(flight.is_in_crowd, "{error:?}"),
            Error::CollectorContention | Error::Missing(_) if is_collector => {
                assert!(flight.is_in_crowd, "{error:?}");
            }
            error => match refusal(error) {
                Some(refusal) if self.may_refuse(flight, refusal) => {}
                _ => may("failed"),
            },
        }
        let is_of_alias = matches!(flight.operation, Operation::DeleteAlias);
        if flight.had_mishap() || is_of_alias && flight.is_in_crowd {
            self.leave_stale(flight);
        }
        for number in 0..SUITES.len() {
            self.leave_litter(flight, number);
        }
    }

    /// Whether the record says that objects are being deleted.
    fn is_collecting(&self, flight: &Flight) -> bool {
        let prefix = REPOSITORIES[repository_of(flight.suite)];
        let record = self.bucket.read(&format!("{prefix}{}", layout::CONDEMNED));
        String::from_utf8_lossy(&record.unwrap_or_default()).contains("\"doomed\"")
    }

    /// What `suite.json` in the folder of the alias says.
    fn alias_record(&self) -> String {
        let key = format!("dists/{ALIAS}/suite.json");
        let record = self.bucket.read(&key).unwrap_or_default();
        String::from_utf8_lossy(&record).into_owned()
    }

    fn holds_alias(&self, flight: &Flight) -> bool {
        self.alias_record()
            .contains(&format!("\"{}\"", SUITES[flight.suite]))
    }

    /// Whether something that a process works with may have been deleted meanwhile, or is being deleted.
    fn meets_deletion(&self, flight: &Flight) -> bool {
        let is_met = |number: usize| self.lives[number].may_meet_deletion(&flight.before[number]);
        // A collector stops at a name that is being deleted, as at a suite.
        let is_of_alias = (flight.operation.takes_alias()
            || matches!(
                flight.operation,
                Operation::DeleteAlias | Operation::Collect { .. }
            ))
            && (self.is_alias_littered
                || suites_of(0).any(is_met)
                || self.alias_record().contains("deleting"));
        let of_source = flight.operation.source(flight.suite).is_some_and(is_met);
        let mut suites = 0..SUITES.len();
        let is_own = suites.any(|number| flight.is_about(number) && is_met(number));
        is_own || is_of_alias || of_source
    }

    /// Whether some state that the process may have seen gives reason to refuse the operation.
    fn may_refuse(&self, flight: &Flight, refusal: Refusal) -> bool {
        let mut seen = self.seen(flight.suite, flight);
        match flight.operation {
            Operation::DeleteAlias | Operation::Repair | Operation::Collect { .. } => false,
            Operation::Rollback { back, .. } if refusal == Refusal::Missing => {
                let Some(Read::Back(head, time, _)) = flight.read() else {
                    return seen.any(|moment| moment.is_none());
                };
                let then = self.lives[flight.suite].then(head, back, time);
                then.is_none_or(|then| self.may_be_gone(flight.suite, then))
            }
            Operation::Rollback { .. } if refusal == Refusal::Collected => {
                let Some(Read::Back(_, _, Some(id))) = flight.read() else {
                    return false;
                };
                let then = self.lives[flight.suite].find(id);
                then.is_some_and(|then| self.may_be_gone(flight.suite, then))
            }
            Operation::Halt { .. } if refusal == Refusal::Collected => seen.flatten().any(|seen| {
                let mut history = self.lives[flight.suite].history(seen.commit);
                history.any(|then| self.may_be_gone(flight.suite, then))
            }),
            Operation::Promote { .. } if flight.read().is_none() => {
                let source = flight.operation.source(flight.suite).into_iter();
                let mut sources = source.flat_map(|source| self.seen(source, flight));
                refusal == Refusal::Missing && sources.any(|moment| moment.is_none())
            }
            _ if refusal == Refusal::AliasTaken && flight.operation.takes_alias() => {
                let is_signed = self
                    .bucket
                    .read(&format!("dists/{ALIAS}/InRelease"))
                    .is_some();
                let others = suites_of(0).filter(|other| *other != flight.suite);
                let lists = |moment: Option<&Moment>| moment.is_some_and(|it| it.content.has_alias);
                let mut others = others.flat_map(|other| self.seen(other, flight));
                is_signed && flight.suite != SIGNED || others.any(lists)
            }
            _ => {
                let mut left = flight.suites.iter().copied();
                let is_refused = |number: usize| {
                    let mut seen = self.seen(number, flight);
                    seen.any(|moment| self.wanted(flight, number, moment) == Err(refusal))
                };
                left.any(|number| !flight.landed.contains(&number) && is_refused(number))
            }
        }
    }
}

/// Whether it may be because of a suite that is deleted.
fn is_of_deletion(error: &Error) -> bool {
    match error {
        Error::Source { source, .. } => is_of_deletion(source),
        Error::Deleting { .. }
        | Error::Deleted { .. }
        | Error::Reserved { .. }
        | Error::Replaced { .. }
        | Error::HeadVanished { .. }
        | Error::Missing(_) => true,
        _ => false,
    }
}
