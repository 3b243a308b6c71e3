//! `gc/condemned.json`: the objects that a collector is going to delete, and how publishers keep it from deleting what they use.
//!
//! An object is *condemned* when nothing names it. After a grace period, if still nothing does, it is *doomed* by another swap of
//! the record, and only then deleted. A publisher creates its objects, and the store says if one is there already. Then, and before
//! it names an object that it does not send, it strikes the object off the record, also by compare and swap, and only after that
//! looks whether it is there. So at each object's fate one of two swaps comes first:
//!
//! - the publisher's: the collector finds the record changed, and looks at everything again;
//! - the collector's: the publisher finds the object doomed, and waits until it is gone; then it writes it anew.
//!
//! What is condemned only after a publisher has struck it off is not deleted before another grace period is over, by which time the
//! publisher's head has moved. `docs/semantics.md` has the whole argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use deb_index::{name::SuiteName, suite::layout};
use jiff::{SignedDuration, Timestamp};
use s3_storage::{Cas, Current, Swap};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{Error, Repository, Suite, Writes};

/// The most bytes of the record: about 300 for each object.
const LIMIT: u64 = 128 << 20;
/// How long a collector deletes what it has doomed.
pub(crate) const DELETING: Duration = Duration::from_secs(15 * 60);
/// When a collector that has doomed objects is certainly dead, and its last request with it.
pub(crate) const DEAD: SignedDuration = SignedDuration::from_hours(1);
/// How long a publisher waits for a collector that is deleting what it needs.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    /// Raised by each write, so that no two states of the record have the same bytes, or the same ETag.
    pub(crate) generation: u64,
    pub(crate) condemned: BTreeMap<String, Condemned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doomed: Option<Doomed>,
    /// By suite: commits that were no longer the head at this time may have been deleted.
    #[serde(default)]
    pub(crate) history: BTreeMap<SuiteName, Timestamp>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An object as it was when it was condemned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Condemned {
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    /// When, by the store's clock.
    pub(crate) since: Timestamp,
}

/// Objects that are being deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doomed {
    /// The collector: a number of its own.
    pub(crate) by: u64,
    /// Since when, by the store's clock.
    pub(crate) since: Timestamp,
    pub(crate) objects: BTreeMap<String, Condemned>,
}

impl Doomed {
    /// Whether the collector is certainly dead. Where the store's clock is not known, that is not known either.
    fn is_dead(&self, now: Option<Timestamp>) -> bool {
        now.is_some_and(|now| now.duration_since(self.since) > DEAD)
    }
}

/// Why a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordProblem {
    Malformed,
    /// A later version of this program wrote it.
    TooNew,
}

impl Record {
    const FORMAT: u32 = 1;

    /// The record as it was read. In place of one that is malformed there is an empty one, as soon as no collector can be alive
    /// that had doomed objects on it: what is condemned anew is not deleted before another grace period is over.
    pub(crate) fn of(current: &Current) -> Result<Self, Error> {
        let Some(bytes) = &current.bytes else {
            return Ok(Self::default());
        };
        match Self::parse(bytes) {
            Ok(record) => Ok(record),
            Err(RecordProblem::TooNew) => Err(Error::CondemnedTooNew),
            Err(RecordProblem::Malformed) => {
                let (now, written) = (current.date, current.modified);
                let (now, written) = now.zip(written).ok_or(Error::NoStoreTime)?;
                let until = written.checked_add(DEAD).unwrap_or(Timestamp::MAX);
                if now <= until {
                    return Err(Error::CondemnedMalformed { until });
                }
                Ok(Self {
                    // Higher than that of any earlier state, which were written less than once a second.
                    generation: written.as_second().unsigned_abs(),
                    ..Self::default()
                })
            }
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RecordProblem> {
        #[derive(Deserialize)]
        struct Start {
            format: u32,
        }
        let is_later = |format| format > Self::FORMAT;
        match serde_json::from_slice::<Self>(bytes) {
            Ok(record) if is_later(record.format) => Err(RecordProblem::TooNew),
            Ok(record) => Ok(record),
            Err(_) => match serde_json::from_slice(bytes) {
                Ok(Start { format }) if is_later(format) => Err(RecordProblem::TooNew),
                _ => Err(RecordProblem::Malformed),
            },
        }
    }

    /// The bytes of the next state.
    pub(crate) fn next(mut self) -> Bytes {
        self.format = Self::FORMAT;
        self.generation += 1;
        // Strings, numbers, and maps keyed by strings: nothing that JSON could refuse.
        serde_json::to_vec(&self).unwrap_or_default().into()
    }

    fn has(&self, key: &str) -> bool {
        let doomed = self.doomed.as_ref();
        self.condemned.contains_key(key)
            || doomed.is_some_and(|doomed| doomed.objects.contains_key(key))
    }

    /// Fails if a collector may be deleting now.
    pub(crate) fn check_idle(&self, now: Option<Timestamp>) -> Result<(), Error> {
        match &self.doomed {
            Some(doomed) if !doomed.is_dead(now) => Err(Error::CollectorRuns {
                since: doomed.since,
            }),
            _ => Ok(()),
        }
    }

    /// Takes these keys off; the first that a collector is deleting, if there is one.
    fn strike(&mut self, keys: &BTreeSet<&str>, now: Option<Timestamp>) -> Option<String> {
        if let Some(doomed) = &mut self.doomed {
            let is_dead = doomed.is_dead(now);
            let mut hits = keys.iter().filter(|key| doomed.objects.contains_key(**key));
            match hits.next() {
                Some(key) if !is_dead => return Some((*key).to_owned()),
                _ => doomed.objects.retain(|key, _| !keys.contains(key.as_str())),
            }
        }
        self.condemned.retain(|key, _| !keys.contains(key.as_str()));
        None
    }
}

impl Repository {
    pub(crate) fn condemned_record(&self) -> Cas<'static> {
        Cas {
            key: layout::CONDEMNED,
            limit: LIMIT,
            conditional: self.writes == Writes::Conditional,
        }
    }

    /// # Errors
    /// [`Error::CollectorRuns`] if a collector may be deleting now.
    pub(crate) async fn check_no_collector(&self) -> Result<(), Error> {
        let current = self.condemned_record().read(self.storage.as_ref()).await?;
        Record::of(&current)?.check_idle(current.date)
    }

    /// Makes every collector that has not doomed anything yet look at everything again.
    ///
    /// # Errors
    /// [`Error::CollectorRuns`] if one may be deleting now.
    pub(crate) async fn stop_collectors(&self) -> Result<(), Error> {
        let touch = |current: &Current| {
            let mut record = Record::of(current)?;
            record.check_idle(current.date)?;
            let dead = record.doomed.take();
            record
                .condemned
                .extend(dead.into_iter().flat_map(|dead| dead.objects));
            Ok::<_, Error>(Swap::Write(record.next(), ()))
        };
        let storage = self.storage.as_ref();
        self.condemned_record().update(storage, touch).await
    }

    /// What of these objects is on the record. Writes nothing.
    pub(crate) async fn condemned(&self, keys: &BTreeSet<&str>) -> Result<Spared, Error> {
        let current = self.condemned_record().read(self.storage.as_ref()).await?;
        Ok(Spared::of(&Record::of(&current)?, keys))
    }

    /// Strikes objects off the record that a head is going to name. What is found to be there after this will stay for the grace
    /// period at least.
    pub(crate) async fn spare(&self, keys: &BTreeSet<&str>) -> Result<Spared, Error> {
        let since = Instant::now();
        let mut spared = Spared::default();
        loop {
            let strike = |current: &Current| {
                let mut record = Record::of(current)?;
                let now = Spared::of(&record, keys);
                spared.has_record = now.has_record;
                spared.struck.extend(now.struck);
                let before = record.clone();
                Ok::<_, Error>(match record.strike(keys, current.date) {
                    Some(key) => Swap::Keep(Some(key)),
                    None if record == before => Swap::Keep(None),
                    None => Swap::Write(record.next(), None),
                })
            };
            let storage = self.storage.as_ref();
            match self.condemned_record().update(storage, strike).await? {
                None => return Ok(spared),
                Some(key) if since.elapsed() > PATIENCE => {
                    return Err(Error::BeingCollected { key });
                }
                Some(key) => {
                    tracing::info!(key, "waiting for a garbage collection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// What was on the record.
#[derive(Debug, Default)]
pub(crate) struct Spared {
    /// Whether a collector was ever here.
    pub(crate) has_record: bool,
    /// Keys that were on it: the objects may be gone.
    pub(crate) struck: BTreeSet<String>,
}

impl Spared {
    fn of(record: &Record, keys: &BTreeSet<&str>) -> Self {
        let struck = keys.iter().filter(|key| record.has(key));
        Self {
            has_record: record.generation > 0,
            struck: struck.map(|key| (*key).to_owned()).collect(),
        }
    }
}

impl Suite<'_> {
    /// Whether the commit before one of this time may have been deleted as old.
    pub(crate) async fn is_collected(&self, time: Timestamp) -> Result<bool, Error> {
        Ok(self
            .history_begins()
            .await?
            .is_some_and(|begin| time < begin))
    }

    /// Commits that were no longer the head at this time may have been deleted. A record that cannot be read does not say.
    pub(crate) async fn history_begins(&self) -> Result<Option<Timestamp>, Error> {
        let repository = self.repository;
        let record = repository.condemned_record();
        let current = record.read(repository.storage.as_ref()).await?;
        let record = current.bytes.and_then(|bytes| Record::parse(&bytes).ok());
        Ok(record.and_then(|record| record.history.get(&self.name).copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record() -> Record {
        let object = Condemned {
            etag: "\"e\"".to_owned(),
            modified: at(1),
            since: at(2),
        };
        Record {
            condemned: BTreeMap::from([("a".to_owned(), object.clone())]),
            doomed: Some(Doomed {
                by: u64::MAX,
                since: at(10),
                objects: BTreeMap::from([("b".to_owned(), object)]),
            }),
            ..Record::default()
        }
    }

    #[test]
    fn is_read_as_it_was_written_and_never_the_same_twice() {
        let first = record().next();
        let read = Record::parse(&first).unwrap();
        assert_eq!(read.generation, 1);
        assert_eq!(read.condemned, record().condemned);
        assert_eq!(read.doomed, record().doomed);
        assert_ne!(read.next(), first);
        for (bytes, problem) in [
            (&b""[..], RecordProblem::Malformed),
            (b"{}", RecordProblem::Malformed),
            (&first[..first.len() / 2], RecordProblem::Malformed),
            (
                b"{\"format\": 2, \"generation\": 1, \"condemned\": {}}",
                RecordProblem::TooNew,
            ),
            (b"{\"format\": 2, \"all\": \"new\"}", RecordProblem::TooNew),
        ] {
            assert_eq!(Record::parse(bytes), Err(problem));
        }
    }

    #[test]
    fn a_malformed_record_is_empty_once_no_collector_can_be_alive() {
        let read = |bytes: Option<&'static [u8]>, now| {
            Record::of(&Current {
                bytes: bytes.map(Bytes::from_static),
                date: Some(at(now)),
                modified: bytes.map(|_| at(1000)),
            })
        };
        assert_eq!(read(None, 1001).unwrap(), Record::default());
        let until = at(4600);
        for early in [1000, 4600] {
            let refused = read(Some(b"{"), early);
            assert!(
                matches!(refused, Err(Error::CondemnedMalformed { until: told }) if told == until)
            );
        }
        let fresh = read(Some(b"{"), 4601).unwrap();
        assert_eq!((fresh.generation, fresh.condemned.len()), (1000, 0));
    }

    #[test]
    fn what_is_condemned_can_be_struck_off_and_what_is_doomed_only_after_its_collector_is_dead() {
        let keys = |keys: &[&'static str]| keys.iter().copied().collect::<BTreeSet<_>>();
        let mut spared = record();
        assert_eq!(spared.strike(&keys(&["a", "c"]), Some(at(11))), None);
        assert!(spared.condemned.is_empty() && spared.has("b"));
        let mut waiting = record();
        assert_eq!(
            waiting.strike(&keys(&["a", "b"]), Some(at(11))),
            Some("b".to_owned())
        );
        assert_eq!(waiting, record(), "nothing is done by halves");
        assert_eq!(waiting.strike(&keys(&["b"]), None), Some("b".to_owned()));
        assert_eq!(waiting.strike(&keys(&["b"]), Some(at(3700))), None);
        assert!(!waiting.has("b") && waiting.has("a"));
    }
}
