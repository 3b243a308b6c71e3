//! Compare and swap: read an object, make something else of it, write it if it is still the one that was read.
//!
//! Whoever loses the race reads again and computes anew from what is there now. A lost reply counts as a lost race, so what is
//! computed must not change anything that it has already changed.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{Error, ErrorKind, Payload, PutMode, PutOptions, PutReply, Storage};

/// Attempts before a lost race is an error: far more than a crowd needs.
const ATTEMPTS: u32 = 40;
/// The longest first pause after a lost race; doubled each time, and shortened at random.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An object that is changed by several writers.
#[derive(Debug, Clone, Copy)]
pub struct Cas<'a> {
    pub key: &'a str,
    /// The most bytes that it may have.
    pub limit: u64,
    /// Whether the store checks that the object is still the one that was read. Without it, two writers undo each other's work.
    pub conditional: bool,
}

/// An object as it is now.
#[derive(Debug, Clone)]
pub struct Current {
    /// Its content; none if there is no object.
    pub bytes: Option<Bytes>,
    /// The store's clock when it was read.
    pub date: Option<Timestamp>,
    /// When it was written, by the store's clock.
    pub modified: Option<Timestamp>,
}

/// What is to become of an object.
#[derive(Debug, Clone)]
pub enum Swap<T> {
    /// It stays as it is.
    Keep(T),
    /// It gets this content.
    Write(Bytes, T),
}

impl Cas<'_> {
    /// Reads the object.
    ///
    /// # Errors
    /// Those of the store. A missing object is not an error.
    pub async fn read(&self, storage: &dyn Storage) -> Result<Current, Error> {
        self.look(storage).await.map(|(current, _)| current)
    }

    /// Lets `mutate` compute what becomes of the object, as often as another writer was faster; returns what it returned last.
    ///
    /// # Errors
    /// Those of `mutate` and of the store; the last refusal after many lost races.
    pub async fn update<T, E: From<Error>>(
        &self,
        storage: &dyn Storage,
        mut mutate: impl FnMut(&Current) -> Result<Swap<T>, E>,
    ) -> Result<T, E> {
        let mut attempt = 0;
        loop {
            let (current, mode) = self.look(storage).await?;
            let (bytes, value) = match mutate(&current)? {
                Swap::Keep(value) => return Ok(value),
                Swap::Write(bytes, value) => (bytes, value),
            };
            attempt += 1;
            match self.write(storage, bytes, mode).await {
                Ok(_) => return Ok(value),
                Err(error)
                    if attempt < ATTEMPTS
                        && (error.is_refused_condition() || error.is_ambiguous()) => {}
                Err(error) => return Err(error.into()),
            }
            let longest = FIRST_PAUSE.saturating_mul(1 << attempt.min(7));
            tokio::time::sleep(longest.min(LONGEST_PAUSE).mul_f64(fastrand::f64())).await;
        }
    }

    async fn look(&self, storage: &dyn Storage) -> Result<(Current, PutMode), Error> {
        let (current, mode) = match storage.get_bytes(self.key, self.limit).await {
            Ok((meta, bytes)) => {
                let current = Current {
                    bytes: Some(bytes),
                    date: meta.date,
                    modified: meta.last_modified,
                };
                (current, PutMode::Update(meta.etag))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let current = Current {
                    bytes: None,
                    date: error.date(),
                    modified: None,
                };
                (current, PutMode::Create)
            }
            Err(error) => return Err(error),
        };
        let mode = if self.conditional {
            mode
        } else {
            PutMode::Overwrite
        };
        Ok((current, mode))
    }

    async fn write(
        &self,
        storage: &dyn Storage,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<PutReply, Error> {
        use sha2::Digest as _;
        let mut options = PutOptions::new(mode);
        options.sha256 = Some(sha2::Sha256::digest(&bytes).into());
        options.content_type = Some("application/json");
        options.cache_control = Some("no-cache");
        storage.put(self.key, Payload::Bytes(bytes), options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Fault, Faulty, Memory, On};

    const COUNTER: Cas<'_> = Cas {
        key: "counter",
        limit: 100,
        conditional: true,
    };

    fn number(current: &Current) -> u32 {
        let text = current.bytes.as_deref().map(String::from_utf8_lossy);
        text.map_or(0, |text| text.parse().unwrap())
    }

    async fn raise(storage: &dyn Storage) -> Result<u32, Error> {
        let raised = |current: &Current| {
            let next = number(current) + 1;
            Ok(Swap::Write(next.to_string().into(), next))
        };
        COUNTER.update(storage, raised).await
    }

    #[tokio::test]
    async fn no_write_of_many_is_lost() {
        let store = Arc::new(Memory::new());
        let writers = (0..12).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { raise(&*store).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(number(&COUNTER.read(&*store).await.unwrap()), 12);
    }

    #[tokio::test]
    async fn what_stays_is_not_written() {
        let store = Faulty::new(Memory::new());
        let keep = |current: &Current| Ok::<_, Error>(Swap::Keep(number(current)));
        assert_eq!(COUNTER.update(&store, keep).await.unwrap(), 0);
        assert_eq!(store.writes(), 0);
    }

    #[tokio::test]
    async fn after_a_lost_reply_it_is_computed_anew() {
        let store = Faulty::new(Memory::new());
        store.at(On::Writes, 1, Fault::LoseReply);
        let set = |current: &Current| {
            Ok::<_, Error>(match number(current) {
                7 => Swap::Keep("it was written"),
                _ => Swap::Write("7".into(), "it is written now"),
            })
        };
        let set = COUNTER.update(&store, set).await.unwrap();
        assert_eq!((set, store.writes()), ("it was written", 1));
    }

    #[tokio::test]
    async fn other_errors_end_it() {
        let store = Faulty::new(Memory::new());
        store.always(On::Writes, Fault::Fail(ErrorKind::PermissionDenied));
        let error = raise(&store).await.unwrap_err();
        assert_eq!(
            (error.kind(), store.writes()),
            (ErrorKind::PermissionDenied, 1)
        );
    }

    #[tokio::test]
    async fn a_race_that_is_always_lost_ends() {
        tokio::time::pause();
        let store = Faulty::new(Memory::new());
        store.always(On::Writes, Fault::Fail(ErrorKind::PreconditionFailed));
        let error = raise(&store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    }
}
